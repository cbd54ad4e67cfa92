"""What happens when the origin changes under a mount: old bytes, ESTALE or ENOENT, never a mix; and
a later mount sees what changed. A damaged catalog is rebuilt, never believed."""

import errno
import os
import random
import shutil
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
import odd_tree  # noqa: E402
from mounting import limit, read_file, wait_until, write_file  # noqa: E402
from odd_tree import KIB, MIB  # noqa: E402

OLD, NEW = b"old", b"new"


def version(word, size):
    """`size` bytes in which every 16 tell the version and the place."""
    block = 16
    count = size // block + 1
    return b"".join(word + b"%013d" % index for index in range(count))[:size]


class Changes(mounting.MountTestCase):
    SIZES = {"small": 5000, "page": 4096, "medium": 300 * KIB, "large": 5 * MIB + 11}

    def setUp(self):
        super().setUp()
        for name, size in self.SIZES.items():
            write_file(self.at_source(name), version(OLD, size))

    def at_source(self, name):
        return os.path.join(self.space.source, "folder", name)

    def at_mount(self, name):
        return os.path.join(self.space.mnt, "folder", name)

    def replace(self, name, content):
        """A new file under the name, as most programs write."""
        write_file(self.at_source(name) + ".tmp", content)
        os.rename(self.at_source(name) + ".tmp", self.at_source(name))

    def rewrite(self, name, content):
        """The same file, written over."""
        with open(self.at_source(name), "r+b") as out:
            out.write(content)
            out.truncate()

    def rewrite_in_secret(self, name, content):
        """The same file and size, and the time set back: only ctime tells."""
        before = os.stat(self.at_source(name))
        self.rewrite(name, content)
        os.utime(self.at_source(name), ns=(before.st_atime_ns, before.st_mtime_ns))

    def wait_for(self, name, content, seconds=10):
        """Until the name, opened anew each time, gives these bytes whole."""
        def reads():
            try:
                return read_file(self.at_mount(name)) == content
            except OSError as error:
                if error.errno not in (errno.ESTALE, errno.ENOENT):
                    raise
                return False
        wait_until(reads, seconds, f"the new version of {name}")

    def read_or_stale(self, read, allowed):
        """What read() gives must be one of `allowed`, or ESTALE: returned as None."""
        try:
            got = read()
        except OSError as error:
            self.assertEqual(errno.ESTALE, error.errno, error)
            return None
        for content in allowed:
            if got == content:
                return got
        words = {got[at:at + 3] for at in range(0, len(got), 16)}
        self.fail(f"{len(got)} bytes of versions {sorted(words)[:4]}: a mix, or another size")

    def test_a_removed_file_that_nobody_has_read_is_gone(self):
        self.space.mount().wait_settled()
        self.assertEqual(sorted(self.SIZES), os.listdir(os.path.dirname(self.at_mount("x"))))
        for name in self.SIZES:
            os.unlink(self.at_source(name))
        for name in self.SIZES:
            self.assert_errno(errno.ENOENT, read_file, self.at_mount(name))
        wait_until(lambda: os.listdir(os.path.dirname(self.at_mount("x"))) == [], 10,
                   "the end of the names")

    def test_a_removed_file_in_memory_gives_its_bytes_or_is_gone(self):
        self.space.mount("--page-cache", "drop").wait_settled()
        for name, size in self.SIZES.items():
            self.assertEqual(version(OLD, size), read_file(self.at_mount(name)))
        for name in self.SIZES:
            os.unlink(self.at_source(name))
        for name, size in self.SIZES.items():
            try:
                self.assertEqual(version(OLD, size), read_file(self.at_mount(name)))
            except OSError as error:
                self.assertEqual(errno.ENOENT, error.errno)

    def test_a_removed_folder_is_gone(self):
        self.space.mount().wait_settled()
        shutil.rmtree(os.path.dirname(self.at_source("x")))
        self.assert_errno(errno.ENOENT, read_file, self.at_mount("small"))
        wait_until(lambda: "folder" not in os.listdir(self.space.mnt), 10, "the end of the folder")

    def check_changed(self, change, new_size):
        """Each file, unread before and read before, changes; then the new version is readable."""
        for name, size in self.SIZES.items():
            for read_before in (False, True):
                with self.subTest(name=name, read_before=read_before):
                    old, new = version(OLD, size), version(NEW, new_size(size))
                    self.replace(name, old)
                    mount = self.space.mount("--page-cache", "drop").wait_settled()
                    self.assertEqual(size, os.stat(self.at_mount(name)).st_size)
                    held = os.open(self.at_mount(name), os.O_RDONLY)
                    if read_before:
                        self.assertEqual(old, read_file(self.at_mount(name)))
                    change(name, new)
                    try:
                        self.read_or_stale(lambda: read_file(self.at_mount(name)), (old, new))
                        # An open file is the version that was opened.
                        self.read_or_stale(lambda: os.pread(held, size + 1, 0), (old,))
                        self.read_or_stale(lambda: os.pread(held, 4096, size // 2),
                                           (old[size // 2:size // 2 + 4096],))
                        if not read_before:  # else the old version may be served for ever
                            self.wait_for(name, new)
                            self.assertEqual(len(new), os.stat(self.at_mount(name)).st_size)
                            self.read_or_stale(lambda: os.pread(held, size + 1, 0), (old,))
                    finally:
                        os.close(held)
                    mount.unmount()

    def test_replaced_with_the_same_size(self):
        self.check_changed(self.replace, lambda size: size)

    def test_written_over_with_the_same_size(self):
        self.check_changed(self.rewrite, lambda size: size)

    def test_written_over_in_secret(self):
        self.check_changed(self.rewrite_in_secret, lambda size: size)

    def test_replaced_by_a_longer_one(self):
        self.check_changed(self.replace, lambda size: size + 70_000)

    def test_replaced_by_a_shorter_one(self):
        self.check_changed(self.replace, lambda size: size // 3)

    def test_truncated(self):
        self.check_changed(self.rewrite, lambda size: 0 if size == 4096 else size // 2)

    def test_a_large_file_half_read_goes_on_with_its_version_or_is_stale(self):
        size = 24 * MIB + 11  # more than is fetched ahead at first
        old, new = version(OLD, size), version(NEW, size)
        for change in (self.replace, self.rewrite):
            with self.subTest(change=change.__name__):
                self.replace("large", old)
                mount = self.space.mount("--page-cache", "drop").wait_settled()
                held = os.open(self.at_mount("large"), os.O_RDONLY)
                half = os.pread(held, 2 * MIB, 0)
                self.assertEqual(old[:2 * MIB], half)
                change("large", new)
                stale = 0
                for offset in range(0, size, 256 * KIB):
                    got = self.read_or_stale(lambda: os.pread(held, 256 * KIB, offset),
                                             (old[offset:offset + 256 * KIB],))
                    stale += got is None
                self.assertGreater(stale, 0, "the end of the old version cannot be had any more")
                self.wait_for("large", new)
                os.close(held)
                mount.unmount()

    def test_a_file_replaced_all_the_time_is_never_a_mix(self):
        sizes = {"small": 5000, "medium": 300 * KIB, "large": 3 * MIB}
        for name, size in sizes.items():
            self.replace(name, version(b"000", size))
        self.space.mount("--page-cache", "drop").wait_settled()
        stop, replaced = threading.Event(), [0]

        def replace_on():
            while not stop.is_set():
                replaced[0] += 1
                for name, size in sizes.items():
                    self.replace(name, version(b"%03d" % (replaced[0] % 1000), size))
                stop.wait(0.005)

        writer = threading.Thread(target=replace_on)
        writer.start()
        whole = stale = 0
        try:
            deadline = time.monotonic() + limit(6)
            while time.monotonic() < deadline:
                for name, size in sizes.items():
                    try:
                        got = read_file(self.at_mount(name))
                    except OSError as error:
                        self.assertIn(error.errno, (errno.ESTALE, errno.ENOENT), error)
                        stale += 1
                        continue
                    self.assertEqual(version(got[:3], size), got, "a mix of versions")
                    whole += 1
        finally:
            stop.set()
            writer.join()
        print(f"{replaced[0]} replacements, {whole} whole reads, {stale} stale", file=sys.stderr)
        self.assertGreater(whole, 0)

    def test_a_file_that_becomes_something_else(self):
        self.space.mount().wait_settled()
        held = {name: os.open(self.at_mount(name), os.O_RDONLY) for name in ("small", "medium")}
        os.unlink(self.at_source("small"))
        os.mkdir(self.at_source("small"))
        os.unlink(self.at_source("medium"))
        os.symlink("/etc/passwd", self.at_source("medium"))  # must not be followed by the daemon
        for descriptor in held.values():
            self.assert_errno((errno.ESTALE, errno.ENOENT), os.read, descriptor, 4096)
            os.close(descriptor)
        wait_until(lambda: os.path.isdir(self.at_mount("small")), 10, "the folder")
        wait_until(lambda: os.path.islink(self.at_mount("medium")), 10, "the link")

    def test_a_folder_swapped_for_a_link_is_not_followed(self):
        secret = self.space.folder("outside")
        write_file(os.path.join(secret, "small"), b"not of the dataset")
        self.space.mount().wait_settled()
        os.stat(self.at_mount("small"))
        os.rename(os.path.dirname(self.at_source("x")), os.path.join(self.space.path, "aside"))
        os.symlink(secret, os.path.dirname(self.at_source("x")))
        with self.assertRaises(OSError) as caught:
            read_file(self.at_mount("small"))
        self.assertIn(caught.exception.errno, (errno.ESTALE, errno.ENOENT, errno.ENOTDIR))


class KeptCatalog(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        for index in range(300):
            write_file(self.at(f"class{index % 7}/sample{index}"), b"sample %d" % index)
        write_file(self.at("large"), mounting.pattern(3 * MIB, 1))

    def at(self, name):
        return os.path.join(self.space.source, name)

    def wait_same(self, seconds=20):
        """Until the mount shows what the origin has."""
        seen = []

        def same():
            try:
                seen[:] = odd_tree.differences(odd_tree.picture(self.space.source),
                                               odd_tree.picture(self.space.mnt))
            except OSError as error:
                seen[:] = [str(error)]
                if error.errno not in (errno.ESTALE, errno.ENOENT):
                    raise
            return not seen
        try:
            wait_until(same, seconds, "the origin's state")
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen[:5]}") from None

    def test_the_second_mount_starts_from_the_catalog_and_sees_what_changed(self):
        mount = self.space.mount().wait_settled()
        self.wait_same()
        first = mount.stats()["dataset"]
        self.assertEqual(301, first["samples"])
        mount.unmount()

        mount = self.space.mount()
        mount.wait_scanned()
        self.assertTrue(mount.stats()["scan"]["loaded"])
        self.assertEqual(first, mount.stats()["dataset"])  # same digest, chunks, bytes
        mount.wait_settled()
        self.assertEqual(first, mount.stats()["dataset"])
        mount.unmount()

        write_file(self.at("class1/added"), b"an addition")
        write_file(self.at("class new/deep/er/sample"), b"in new folders")
        os.unlink(self.at("class2/sample2"))
        shutil.rmtree(self.at("class3"))
        write_file(self.at("class4/sample4"), b"longer than it was before")
        os.rename(self.at("class5/sample5"), self.at("class5/renamed"))
        os.rename(self.at("class6"), self.at("class6 renamed"))
        os.symlink("large", self.at("link"))
        os.chmod(self.at("class0/sample0"), 0o600)
        with open(self.at("large"), "r+b") as out:
            out.seek(2 * MIB)
            out.write(b"changed inside")
        mount = self.space.mount()
        self.wait_same()
        mount.wait_settled()
        self.assertNotEqual(first["digest"], mount.stats()["dataset"]["digest"])
        samples = sum(len(files) for _, _, files in os.walk(self.space.source)) - 1  # but the link
        self.assertEqual(samples, mount.stats()["dataset"]["samples"])
        mount.unmount()
        mount = self.space.mount().wait_settled()  # and that was kept
        self.assertTrue(mount.stats()["scan"]["loaded"])
        self.wait_same()

    def test_the_digest_is_the_dataset_s_not_the_mount_s(self):
        digest = self.space.mount().wait_scanned().stats()["dataset"]["digest"]
        other = os.path.join(self.space.path, "copy")
        shutil.copytree(self.space.source, other, symlinks=True)
        mount = self.space.mount(source=other, mnt=self.space.folder("mnt2"),
                                 cache=os.path.join(self.space.path, "cache2"))
        self.assertEqual(digest, mount.wait_scanned().stats()["dataset"]["digest"])

    def kept_files(self):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.space.cache)
                      for name in names
                      if name not in ("log", "lock") and not name.endswith((".damaged", ".bad")))

    def damage(self, rng, kind, path):
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            if kind == "flip bits":
                for _ in range(40):
                    at = rng.randrange(size)
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 1 << rng.randrange(8)]))
            elif kind == "flip one bit":
                return self.flip_one(rng, file, size)
            elif kind == "truncate":
                file.truncate(rng.randrange(size))
            elif kind == "empty":
                file.truncate(0)
            elif kind == "zero a stretch":
                file.seek(rng.randrange(size))
                file.write(bytes(min(size // 3, 64 * KIB)))
            elif kind == "noise":
                file.seek(0)
                file.write(rng.randbytes(min(size, 64 * KIB)))
        return None

    @staticmethod
    def flip_one(rng, file, size):
        content = file.read()
        at = rng.choice([index for index in range(size) if content[index]])
        file.seek(at)
        file.write(bytes([content[at] ^ 1 << rng.randrange(8)]))

    def test_a_damaged_catalog_is_rebuilt(self):
        seed = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        mount = self.space.mount().wait_settled()
        first = mount.stats()["dataset"]
        mount.unmount()
        self.assertTrue(self.kept_files(), "no catalog file found in the cache directory")
        kinds = ["flip bits", "flip one bit", "truncate", "empty", "zero a stretch", "noise",
                 "flip one bit", "flip bits", "zero a stretch", "truncate"]
        for round_number, kind in enumerate(kinds):
            with self.subTest(seed=seed, round=round_number, kind=kind):
                for path in self.kept_files():
                    self.damage(rng, kind, path)
                mount = self.space.mount()
                self.assertEqual([], odd_tree.differences(odd_tree.picture(self.space.source),
                                                          odd_tree.picture(self.space.mnt)))
                mount.wait_settled()
                self.assertEqual(first, mount.stats()["dataset"])
                mount.unmount()
                mount = self.space.mount().wait_settled()  # what was rebuilt is kept again
                self.assertTrue(mount.stats()["scan"]["loaded"], "rebuilt, but not kept")
                mount.unmount()

    def test_the_cache_may_be_deleted_at_any_time(self):
        mount = self.space.mount().wait_settled()
        first = mount.stats()["dataset"]["digest"]
        shutil.rmtree(self.space.cache)
        self.assertEqual([], odd_tree.differences(odd_tree.picture(self.space.source),
                                                  odd_tree.picture(self.space.mnt)))
        mount.unmount()
        mount = self.space.mount().wait_settled()
        self.assertEqual(first, mount.stats()["dataset"]["digest"])
        self.wait_same()


class BrokenOrigin(mounting.MountTestCase):
    """An origin that says no, or gives less than asked."""

    def setUp(self):
        super().setUp()
        self.size = 300 * KIB
        for name in ("good", "bad", "large"):
            size = 3 * MIB if name == "large" else self.size
            write_file(os.path.join(self.space.source, name), mounting.pattern(size, name))
        self.origin = self.space.slow_origin()
        self.mount = self.space.mount("--page-cache", "drop", source=self.origin.path)
        self.mount.wait_settled()

    def read(self, name):
        return read_file(os.path.join(self.space.mnt, name))

    def expected(self, name):
        return read_file(os.path.join(self.space.source, name))

    def test_an_origin_s_errno_is_the_reader_s(self):
        self.origin.command("fail", errno.EIO, "bad")
        self.assertEqual(self.size, os.stat(os.path.join(self.space.mnt, "bad")).st_size)
        self.assert_errno(errno.EIO, self.read, "bad")
        self.assertEqual(self.expected("good"), self.read("good"))
        self.assertGreater(self.mount.stats()["origin"]["errors"], 0)
        self.origin.command("fail", errno.EACCES, "bad")
        wait_until(lambda: self.fails_with("bad", errno.EACCES), 5, "the origin's new errno")
        self.origin.command("heal")
        wait_until(lambda: not self.fails_with("bad", errno.EACCES), 5, "the end of the failure")
        self.assertEqual(self.expected("bad"), self.read("bad"))

    def fails_with(self, name, number):
        try:
            self.read(name)
        except OSError as error:
            return error.errno == number
        return False

    def test_short_reads_are_put_together(self):
        for name in ("bad", "large"):
            self.origin.command("short", name)
            self.assertEqual(self.expected(name), self.read(name))

    def test_a_file_that_ends_too_early_is_an_error_never_zeros(self):
        for name in ("bad", "large"):
            self.origin.command("cut", name)
            with self.assertRaises(OSError) as caught:
                self.read(name)
            self.assertIn(caught.exception.errno, (errno.EIO, errno.ESTALE))
        self.origin.command("heal")
        for name in ("bad", "large"):
            wait_until(lambda: not (self.fails_with(name, errno.EIO)
                                    or self.fails_with(name, errno.ESTALE)), 5, "the cure")
            self.assertEqual(self.expected(name), self.read(name))

    def test_a_folder_that_cannot_be_listed_gives_the_errno(self):
        write_file(os.path.join(self.space.source, "locked", "inside"), b"x")
        write_file(os.path.join(self.space.source, "open", "inside"), b"x")
        self.mount.unmount()
        self.origin.command("fail", errno.EACCES, "locked")
        self.space.mount(source=self.origin.path, cache=os.path.join(self.space.path, "cache2"))
        self.assertEqual(["bad", "good", "large", "locked", "open"], os.listdir(self.space.mnt))
        self.assertEqual(["inside"], os.listdir(os.path.join(self.space.mnt, "open")))
        self.assert_errno(errno.EACCES, os.listdir, os.path.join(self.space.mnt, "locked"))
        self.origin.command("heal")
        wait_until(lambda: self.lists("locked"), 10, "the folder's listing")

    def lists(self, name):
        try:
            return os.listdir(os.path.join(self.space.mnt, name)) == ["inside"]
        except OSError:
            return False


if __name__ == "__main__":
    mounting.main()
