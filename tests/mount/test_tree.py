"""An odd tree is the same through the mount as at its origin, whatever reads it, and stays so."""

import errno
import hashlib
import mmap
import os
import random
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
import odd_tree  # noqa: E402
from mounting import limit, read_file  # noqa: E402

MANY = 100_000


class SharedMount(unittest.TestCase):
    """Reads only: one mount serves all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.space = mounting.Space()
        cls.addClassCleanup(cls.tear_down)
        cls.fill(cls.space.source)
        cls.mount = cls.space.mount()
        cls.source, cls.mnt = cls.space.source, cls.space.mnt

    @classmethod
    def tear_down(cls):
        wrong = cls.space.close()
        if wrong:
            raise AssertionError("\n".join(wrong))

    def tool(self, command, root, **more):
        """The output of a shell command run in `root`; its exit status must be 0."""
        finished = mounting.run(["bash", "-c", f"set -o pipefail; {command}"], 300, cwd=root,
                                env=self.space.environment(), **more)
        self.assertEqual(0, finished.status, str(finished)[-1500:])
        return finished.out


class OddTree(SharedMount):
    # What the mount shows otherwise on purpose, or is too large to be copied by a tool.
    NOT_BY_TOOLS = ("links_inside", "sparse")

    fill = staticmethod(odd_tree.build)

    def test_everything_is_the_same_read_by_folder_descriptors(self):
        expected, found = odd_tree.picture(self.source), odd_tree.picture(self.mnt)
        for path in [path for path in expected if path.startswith(b"links_inside/")]:
            if b"target" in path or "target" in expected[path]:  # test_links_inside_stay_inside
                for pictured in (expected[path], found.get(path, {})):
                    pictured.pop("target", None), pictured.pop("size", None)
        self.assertEqual([], odd_tree.differences(expected, found))
        self.assertGreater(len(expected), 150)  # an odd tree indeed

    def test_find_prints_the_same(self):
        # Names, kinds, sizes, modes, owners, times, targets, links; a folder's size is its own.
        command = (r"find . -path ./links_inside -prune -o "
                   r"\( -type d -printf '%P %y %m %U %G %T@\0' "
                   r"-o -printf '%P %y %s %m %U %G %T@ %l %n\0' \) | sort -z | tr '\0' '\n'")
        self.assertEqual(self.tool(command, self.source), self.tool(command, self.mnt))

    def test_tar_packs_the_same_bytes(self):
        skipped = " ".join(f"--exclude=./{name}" for name in self.NOT_BY_TOOLS)
        command = f"tar --sort=name --format=gnu {skipped} -cf - . | sha256sum"
        self.assertEqual(self.tool(command, self.source), self.tool(command, self.mnt))

    def test_rsync_finds_no_difference(self):
        skipped = [f"--exclude=/{name}" for name in (*self.NOT_BY_TOOLS, "deep")]  # PATH_MAX
        for folders in ((self.source, self.mnt), (self.mnt, self.source)):
            finished = mounting.run(["rsync", "-nacH", "--delete", "--itemize-changes", *skipped,
                                     *(folder + "/" for folder in folders)], 120)
            self.assertEqual((0, ""), (finished.status, finished.out), finished.err)

    def test_sha256sum_prints_the_same(self):
        command = (r"find . -path ./sparse -prune -o -type f -execdir sha256sum {} + | sort")
        self.assertEqual(self.tool(command, self.source), self.tool(command, self.mnt))

    def test_mmap_shows_the_same_bytes(self):
        for size in odd_tree.SIZES[1:]:
            name = f"sizes/size-{size}"
            with open(os.path.join(self.mnt, name), "rb") as file, \
                    mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                self.assertEqual(read_file(os.path.join(self.source, name)), view[:], name)

    def test_pread_at_random_offsets(self):
        seed = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        for _ in range(400):
            size = rng.choice(odd_tree.SIZES)
            name = f"sizes/size-{size}"
            offset, length = odd_tree.random_range(rng, size)
            advice = rng.choice([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM])
            pieces = []
            for root in (self.source, self.mnt):
                descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, advice)
                pieces.append(os.pread(descriptor, length, offset))
                os.close(descriptor)
            self.assertEqual(pieces[0], pieces[1], f"seed {seed}: {name} at {offset}+{length}")

    def test_direct_reads_are_the_same(self):
        for size in (4097, odd_tree.MIB + 1, 3 * odd_tree.MIB + 7):
            name = f"sizes/size-{size}"
            try:
                descriptor = os.open(os.path.join(self.mnt, name), os.O_RDONLY | os.O_DIRECT)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    self.skipTest("this kernel refuses O_DIRECT on FUSE")
                raise
            with mmap.mmap(-1, 4 * odd_tree.MIB) as buffer:  # aligned, as O_DIRECT wants it
                got = os.preadv(descriptor, [buffer], 0)
                self.assertEqual(read_file(os.path.join(self.source, name)), buffer[:got])
            os.close(descriptor)

    def test_sparse_file_over_4_gib(self):
        path = os.path.join(self.mnt, "sparse", "huge")
        self.assertEqual(odd_tree.SPARSE_SIZE, os.stat(path).st_size)
        rng = random.Random(4)
        origin_path = os.path.join(self.source, "sparse", "huge")
        with open(path, "rb") as mine, open(origin_path, "rb") as origin:
            for offset, piece in odd_tree.SPARSE_PIECES.items():
                self.assertEqual(piece, os.pread(mine.fileno(), len(piece), offset))
            for _ in range(40):
                offset = rng.randrange(odd_tree.SPARSE_SIZE)
                self.assertEqual(os.pread(origin.fileno(), 70_000, offset),
                                 os.pread(mine.fileno(), 70_000, offset))
            self.assertEqual(odd_tree.SPARSE_SIZE, mine.seek(0, os.SEEK_END))
            self.assertEqual(b"", mine.read())

    def test_links_inside_stay_inside(self):
        inside = os.path.join(self.mnt, "links_inside")
        for folder, _, _ in [(inside, 0, 0), (os.path.join(inside, "below"), 0, 0)]:
            for entry in os.scandir(folder):
                if not entry.is_symlink():
                    continue
                target = os.readlink(entry.path)
                origin_link = entry.path.replace(self.mnt, self.source, 1)
                expected = os.path.realpath(origin_link).replace(self.source, self.mnt, 1)
                self.assertFalse(target.startswith("/"), f"{entry.path} -> {target}")
                self.assertEqual(expected, os.path.realpath(entry.path))
                self.assertEqual(len(os.fsencode(target)), os.lstat(entry.path).st_size, entry.path)
        self.assertEqual(read_file(os.path.join(self.source, "sizes/size-4097")),
                         read_file(os.path.join(inside, "file")))
        self.assertEqual(["hard link 3"], os.listdir(os.path.join(inside, "below", "folder")))

    def test_links_outside_are_told_of(self):
        text = self.mount.wait_scanned().control_text("events")
        self.assertIn("link outside", text)

    def test_the_control_link_is_hidden_but_there(self):
        self.assertNotIn(".stokefs", os.listdir(self.mnt))
        self.assertNotIn(".stokefs", self.tool("ls -a", self.mnt).split("\n"))
        self.assertTrue(stat.S_ISLNK(os.lstat(os.path.join(self.mnt, ".stokefs")).st_mode))
        self.assertIn("stats", os.listdir(os.path.join(self.mnt, ".stokefs")))
        self.assertFalse(os.path.lexists(os.path.join(self.mnt, "kinds", ".stokefs")))

    def test_listings_are_sorted_and_know_kinds(self):
        for folder in ("names", "kinds", "sizes", "."):
            listed = os.listdir(os.fsencode(os.path.join(self.mnt, folder)))
            self.assertEqual(sorted(listed), listed, folder)
            for entry in os.scandir(os.path.join(self.mnt, folder)):
                mode = os.lstat(os.path.join(self.source, folder, entry.name)).st_mode
                self.assertEqual((stat.S_ISDIR(mode), stat.S_ISREG(mode), stat.S_ISLNK(mode)),
                                 (entry.is_dir(follow_symlinks=False),
                                  entry.is_file(follow_symlinks=False), entry.is_symlink()))

    def test_seekdir_continues_where_it_was(self):
        # A folder read in small pieces, as getdents with a small buffer does it.
        script = ("import ctypes, os, sys\n"
                  "libc = ctypes.CDLL(None, use_errno=True)\n"
                  "fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)\n"
                  "buffer, names = ctypes.create_string_buffer(600), []\n"
                  "while (got := libc.syscall(217, fd, buffer, 600)) > 0:\n"  # getdents64
                  "    at = 0\n"
                  "    while at < got:\n"
                  "        size = int.from_bytes(buffer.raw[at + 16:at + 18], 'little')\n"
                  "        names.append(buffer.raw[at + 19:at + size].split(b'\\0')[0])\n"
                  "        offset = int.from_bytes(buffer.raw[at + 8:at + 16], 'little')\n"
                  "        at += size\n"
                  "    os.lseek(fd, offset, 0)\n"
                  "assert got == 0, (got, ctypes.get_errno())\n"
                  "sys.stdout.buffer.write(b'\\0'.join(sorted(names)))\n")
        finished = subprocess.run([sys.executable, "-c", script, os.path.join(self.mnt, "names")],
                                  check=True, capture_output=True, timeout=limit(30))
        expected = os.listdir(os.fsencode(os.path.join(self.source, "names"))) + [b".", b".."]
        self.assertEqual(sorted(expected), finished.stdout.split(b"\0"))

    def test_absent_names(self):
        for path, number in (("absent", errno.ENOENT), ("absent/below", errno.ENOENT),
                             ("sizes/size-1/below", errno.ENOTDIR), ("n" * 256, errno.ENAMETOOLONG),
                             ("kinds/link dangling/x", errno.ENOENT),
                             ("kinds/link in a circle", errno.ELOOP)):
            with self.assertRaises(OSError) as caught:
                os.close(os.open(os.path.join(self.mnt, path), os.O_RDONLY))
            self.assertEqual(number, caught.exception.errno, path)
        with self.assertRaises(IsADirectoryError):
            read_file(os.path.join(self.mnt, "sizes"))

    def test_other_users_meet_the_permissions(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        finished = mounting.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                 "cat", os.path.join(self.mnt, "sizes/size-1")], 20)
        self.assertNotEqual(0, finished.status)  # without allow_other nobody else gets in at all

    def test_statfs_answers(self):
        status = os.statvfs(self.mnt)
        self.assertEqual(255, status.f_namemax)
        self.assertTrue(status.f_flag & os.ST_RDONLY)


class ModelOfTheTree(SharedMount):
    """Random operations on the mount, each compared with the same operation at the source."""

    fill = staticmethod(odd_tree.build)

    def test_random_operations(self):
        seed = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        paths = [b"."]
        for folder, folders, files in os.walk(os.fsencode(self.source)):
            below = os.path.relpath(folder, os.fsencode(self.source))
            if below.count(b"/") > 8 or b"links_inside" in below:
                continue
            paths += [os.path.join(below, name) for name in folders + files]
        opened = {}  # path: {root: descriptor}
        self.addCleanup(lambda: [os.close(descriptor) for pair in opened.values()
                                 for descriptor in pair.values()])
        for step in range(4000):
            path = rng.choice(paths)
            if rng.random() < 0.1:
                path = os.path.join(path, rng.choice([b"absent", b"..", b".", b"\xff"]))
            operation = rng.choice([self.do_stat, self.do_list, self.do_link, self.do_open,
                                    self.do_read, self.do_read, self.do_seek, self.do_close])
            got = [self.outcome(operation, rng, root, path, opened, state) for root, state in
                   zip((self.source, self.mnt), self.twice(rng))]
            self.assertEqual(got[0], got[1],
                             f"seed {seed} step {step}: {operation.__name__} {path!r}")

    @staticmethod
    def twice(rng):
        """The generator's state, so that both sides draw the same."""
        state = rng.getstate()
        yield state
        yield state

    @staticmethod
    def outcome(operation, rng, root, path, opened, state):
        rng.setstate(state)
        try:
            return operation(rng, root, os.path.join(os.fsencode(root), path), path, opened)
        except OSError as error:
            return errno.errorcode[error.errno]

    @staticmethod
    def do_stat(rng, _root, full, _path, _opened):
        return odd_tree.metadata(os.stat(full, follow_symlinks=rng.random() < 0.5))

    @staticmethod
    def do_list(_rng, _root, full, _path, _opened):
        return sorted(os.listdir(full))

    @staticmethod
    def do_link(_rng, _root, full, _path, _opened):
        return os.readlink(full)

    @staticmethod
    def do_open(_rng, root, full, path, opened):
        if root in opened.get(path, {}) or not stat.S_ISREG(os.stat(full).st_mode):
            return None  # a fifo would wait for its other end
        opened.setdefault(path, {})[root] = os.open(full, os.O_RDONLY | os.O_NONBLOCK)
        return "opened"

    @staticmethod
    def pick(rng, root, opened):
        names = sorted(path for path in opened if opened[path])
        if not names:
            return None
        return opened[rng.choice(names)].get(root)

    def do_read(self, rng, root, _full, _path, opened):
        descriptor = self.pick(rng, root, opened)
        if descriptor is None:
            return None
        offset, length = odd_tree.random_range(rng, os.fstat(descriptor).st_size)
        if rng.random() < 0.5:
            return hashlib.sha256(os.pread(descriptor, length, offset)).digest()
        return hashlib.sha256(os.read(descriptor, length)).digest()

    def do_seek(self, rng, root, _full, _path, opened):
        descriptor = self.pick(rng, root, opened)
        if descriptor is None:
            return None
        size = os.fstat(descriptor).st_size
        return os.lseek(descriptor, *rng.choice([(0, os.SEEK_SET), (size // 2, os.SEEK_SET),
                                                 (0, os.SEEK_END), (-1, os.SEEK_END),
                                                 (3, os.SEEK_CUR), (size + 5, os.SEEK_SET)]))

    @staticmethod
    def do_close(_rng, root, _full, path, opened):
        descriptor = opened.get(path, {}).pop(root, None)
        if descriptor is None:
            return None
        if not opened[path]:
            del opened[path]
        os.close(descriptor)
        return "closed"


class ManyFiles(SharedMount):
    """100,000 files in one folder, listed while the scan runs."""

    @staticmethod
    def fill(root):
        os.mkdir(os.path.join(root, "many"))
        folder = os.open(os.path.join(root, "many"), os.O_RDONLY)
        for index in range(MANY):
            name = f"file-{index * 7919 % MANY:06d}"
            if index % 100:
                os.mknod(name, 0o644, dir_fd=folder)
            else:
                out = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder)
                os.write(out, name.encode() * (index % 50 + 1))
                os.close(out)
        os.close(folder)

    def test_all_are_listed_and_found(self):
        command = r"find . -printf '%P %y %s %m %T@\n' | grep -v '^ d\|^many d' | sort | sha256sum"
        self.assertEqual(self.tool(command, self.source), self.tool(command, self.mnt))
        names = os.listdir(os.path.join(self.mnt, "many"))
        self.assertEqual([f"file-{index:06d}" for index in range(MANY)], names)

    def test_contents(self):
        command = r"find many -size +0 -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
        self.assertEqual(self.tool(command, self.source), self.tool(command, self.mnt))

    def test_image_folder_s_scan_is_the_same(self):
        def scan(root):  # as torchvision.datasets.folder.make_dataset does it
            classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
            samples = []
            for target in classes:
                top = os.path.join(root, target)
                for folder, _, names in sorted(os.walk(top, followlinks=True)):
                    samples += [(os.path.relpath(os.path.join(folder, name), root), target)
                                for name in sorted(names)]
            return classes, samples
        self.assertEqual(scan(self.source), scan(self.mnt))


class ReadOnly(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        source = self.space.source
        mounting.write_file(os.path.join(source, "folder", "file"), b"content")
        mounting.write_file(os.path.join(source, "other"), b"other")
        os.symlink("other", os.path.join(source, "link"))
        os.mkdir(os.path.join(source, "empty"))
        os.mkfifo(os.path.join(source, "fifo"))

    def test_every_change_is_refused_and_the_origin_stays_untouched(self):
        before = odd_tree.full_stat(self.space.source)
        self.space.mount("-o", "allow_other")

        def at(name):
            return os.path.join(self.space.mnt, name)

        def open_for(flags, name="folder/file"):
            os.close(os.open(at(name), flags, 0o644))

        changes = {
            "open for writing": lambda: open_for(os.O_WRONLY),
            "open for both": lambda: open_for(os.O_RDWR),
            "open to append": lambda: open_for(os.O_WRONLY | os.O_APPEND),
            "open to truncate": lambda: open_for(os.O_WRONLY | os.O_TRUNC),
            "create": lambda: open_for(os.O_WRONLY | os.O_CREAT, "new"),
            "create below": lambda: open_for(os.O_WRONLY | os.O_CREAT | os.O_EXCL, "folder/new"),
            "temporary": lambda: open_for(os.O_WRONLY | os.O_TMPFILE, "folder"),
            "truncate": lambda: os.truncate(at("folder/file"), 1),
            "rename": lambda: os.rename(at("other"), at("renamed")),
            "rename over": lambda: os.rename(at("other"), at("folder/file")),
            "rename a folder": lambda: os.rename(at("folder"), at("folder2")),
            "unlink": lambda: os.unlink(at("folder/file")),
            "unlink a link": lambda: os.unlink(at("link")),
            "rmdir": lambda: os.rmdir(at("empty")),
            "mkdir": lambda: os.mkdir(at("new")),
            "symlink": lambda: os.symlink("x", at("new")),
            "link": lambda: os.link(at("other"), at("new")),
            "mkfifo": lambda: os.mkfifo(at("new")),
            "mknod": lambda: os.mknod(at("new")),
            "chmod": lambda: os.chmod(at("folder/file"), 0o777),
            "chmod a folder": lambda: os.chmod(at("folder"), 0o777),
            "chmod the root": lambda: os.chmod(self.space.mnt, 0o777),
            "chown": lambda: os.chown(at("folder/file"), 1, 1),
            "chown a link": lambda: os.lchown(at("link"), 1, 1),
            "utime": lambda: os.utime(at("folder/file"), (1, 1)),
            "utime of a folder": lambda: os.utime(at("folder"), (1, 1)),
            "setxattr": lambda: os.setxattr(at("folder/file"), "user.x", b"y"),
            "removexattr": lambda: os.removexattr(at("folder/file"), "user.x"),
            "replace the control link": lambda: os.rename(at("other"), at(".stokefs")),
            "remove the control link": lambda: os.unlink(at(".stokefs")),
        }
        for name, change in changes.items():
            with self.subTest(change=name):
                self.assert_errno(errno.EROFS, change)
        descriptor = os.open(at("folder/file"), os.O_RDONLY)
        self.assert_errno((errno.EROFS, errno.EINVAL, errno.EBADF), os.ftruncate, descriptor, 1)
        self.assert_errno(errno.EROFS, os.fchmod, descriptor, 0o777)
        self.assertEqual(b"content", os.read(descriptor, 100))
        os.close(descriptor)
        self.assertEqual([], odd_tree.differences(before, odd_tree.full_stat(self.space.source)))

    def test_a_device_is_listed_and_leads_nowhere(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make one")
        os.mknod(os.path.join(self.space.source, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.space.mount()
        path = os.path.join(self.space.mnt, "null")
        self.assertEqual(os.lstat(os.path.join(self.space.source, "null")).st_mode,
                         os.lstat(path).st_mode)
        self.assert_errno(errno.EACCES, read_file, path)  # nodev

    def test_permissions_hold_for_other_users(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        secret = mounting.write_file(os.path.join(self.space.source, "secret"), b"root's", 0o600)
        os.chmod(self.space.path, 0o755)
        self.space.mount("-o", "allow_other")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat"]
        finished = mounting.run([*nobody, os.path.join(self.space.mnt, "other")], 20)
        self.assertEqual((0, "other"), (finished.status, finished.out), finished.err)
        finished = mounting.run([*nobody, os.path.join(self.space.mnt, "secret")], 20)
        self.assertEqual((1, ""), (finished.status, finished.out))
        self.assertIn("Permission denied", finished.err)
        self.assertEqual(b"root's", read_file(secret))

    def test_reading_leaves_the_origin_untouched(self):
        before = odd_tree.full_stat(self.space.source)
        self.space.mount().wait_scanned()
        odd_tree.picture(self.space.mnt)
        self.assertEqual([], odd_tree.differences(before, odd_tree.full_stat(self.space.source)))


if __name__ == "__main__":
    mounting.main()
