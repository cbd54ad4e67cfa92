"""A packed dataset shows what its source showed, and is right bytes or an errno whatever became of it."""

import errno
import glob
import json
import os
import pty
import random
import signal
import stat
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
import odd_tree  # noqa: E402
from mounting import pattern, read_file, wait_until, write_file  # noqa: E402

MIB = odd_tree.MIB


def try_read(path):
    """(bytes, None) or (None, errno)."""
    try:
        return read_file(path), None
    except OSError as error:
        return None, error.errno


def flip_bit(path, bit):
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << bit % 8)]))


class Packed(mounting.MountTestCase):
    seconds_max = 200

    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.space.path, "out")

    def pack(self, *flags, source=None, out=None, seconds=60):
        """The sums of a pack that must succeed."""
        finished = self.try_pack(*flags, "--json", source=source, out=out, seconds=seconds)
        self.assertEqual(mounting.DONE, finished.status, str(finished))
        return json.loads(finished.out)

    def try_pack(self, *flags, source=None, out=None, seconds=60):
        return self.space.stokefs("pack", source or self.space.source, out or self.out, *flags,
                                  seconds=seconds)

    def mount(self, *flags, **places):
        return self.space.mount(*flags, source="packed:" + self.out, **places)

    def try_mount(self, *flags, **places):
        return self.space.try_mount(*flags, source="packed:" + self.out, **places)

    def chunk_files(self):
        return sorted(glob.glob(os.path.join(self.out, "chunks", "*", "*")))

    def index_file(self):
        return glob.glob(os.path.join(self.out, "*.index"))[0]

    def fill(self, count, size=5000, folder="d"):
        """{name below the source: content}."""
        files = {}
        for i in range(count):
            files[f"{folder}/{i:05}"] = pattern(size + i % 7, i)
        for name, content in files.items():
            write_file(os.path.join(self.space.source, name), content)
        return files

    def assert_refused(self, finished, *words):
        self.assertEqual(mounting.REFUSED, finished.status, str(finished))
        self.assertEqual(1, finished.err.count("\n"), finished.err)
        for word in words:
            self.assertIn(word, finished.err)

    # The same tree.

    def build_odd_tree(self):
        odd_tree.build(self.space.source)
        os.remove(os.path.join(self.space.source, "sparse", "huge"))  # 4 GiB of zeros, written
        write_file(os.path.join(self.space.source, "run after run"), pattern(70 * MIB + 3, 1))

    def assert_same_tree(self):
        expected = odd_tree.picture(self.space.source, 100 * MIB)
        found = odd_tree.picture(self.space.mnt, 100 * MIB)
        for path in [path for path in expected if path.startswith(b"links_inside/")]:
            entry, origin = found[path], expected[path]
            if "target" not in origin:
                continue
            self.assertFalse(entry["target"].startswith(b"/"), entry)
            inside = [os.path.realpath(os.path.join(os.fsencode(root), path))
                      for root in (self.space.source, self.space.mnt)]
            self.assertEqual(inside[0].replace(os.fsencode(self.space.source),
                                               os.fsencode(self.space.mnt), 1), inside[1])
            for pictured in (entry, origin):
                pictured.pop("target"), pictured.pop("size")
        self.assertEqual([], odd_tree.differences(expected, found))
        self.assertGreater(len(expected), 150)

    def test_an_odd_tree_is_the_same_through_pack_and_mount(self):
        self.build_odd_tree()
        before = odd_tree.full_stat(self.space.source)
        sums = self.pack()
        self.assertEqual([], odd_tree.differences(before, odd_tree.full_stat(self.space.source)))
        mount = self.mount()
        self.assert_same_tree()
        mount.wait_scanned()
        self.assertEqual(sums["samples"], mount.stats()["dataset"]["samples"])
        self.assertEqual(sums["bytes"], mount.stats()["dataset"]["bytes"])
        self.assertEqual(0, mount.stats()["scan"]["errors"])
        mount.unmount()
        again = self.mount()  # from the kept catalog
        self.assertTrue(again.wait_settled().stats()["scan"]["loaded"])
        self.assert_same_tree()

    def test_the_source_may_be_gone(self):
        files = self.fill(50)
        self.pack()
        os.rename(self.space.source, self.space.source + ".away")
        os.rename(self.out, self.out + " moved")
        self.out += " moved"
        self.mount()
        for name, content in files.items():
            self.assertEqual(content, read_file(os.path.join(self.space.mnt, name)))

    def test_the_layout_is_that_of_the_pack(self):
        write_file(os.path.join(self.space.source, "large"), pattern(MIB, 1))
        self.pack("--large-file-bytes", "128KiB", "--chunk-bytes", "64KiB", "--chunk-samples", "7")
        mount = self.mount("--large-file-bytes", "4MiB")
        config = mount.control_text("config")
        for line in ("large-file-bytes = 131072", "chunk-bytes = 65536", "chunk-samples = 7"):
            self.assertIn(line, config)
        self.assertEqual(pattern(MIB, 1), read_file(os.path.join(self.space.mnt, "large")))
        self.assertEqual(8, mount.stats()["origin"]["reads"])

    def test_a_packed_mount_is_packed_to_the_same_bytes(self):
        files = self.fill(50)
        self.pack()
        self.mount()
        again = os.path.join(self.space.path, "again")
        self.pack(source=self.space.mnt, out=again)
        for name, content in files.items():
            self.assertEqual(content, read_file(os.path.join(self.space.mnt, name)))

    # Damage.

    def test_damaged_chunk_files_give_right_bytes_or_eio_and_a_pack_repairs_them(self):
        seed = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        files = self.fill(300)
        self.pack("--chunk-bytes", "64KiB")
        for path in self.chunk_files():
            flip_bit(path, rng.randrange(os.path.getsize(path) * 8))
        mount = self.mount()
        failed = []
        for name, content in files.items():
            got, error = try_read(os.path.join(self.space.mnt, name))
            if error:
                self.assertEqual(errno.EIO, error, name)
                failed.append(name)
            else:
                self.assertEqual(content, got, name)
        self.assertGreater(len(failed), 0)
        self.assertGreater(mount.stats()["origin"]["errors"], 0)
        sums = self.pack("--chunk-bytes", "64KiB")
        self.assertLess(sums["reused_files"], sums["files"])
        for name in failed:
            self.assertEqual(files[name], read_file(os.path.join(self.space.mnt, name)))

    def test_chunk_files_that_are_short_gone_or_another_s_give_eio(self):
        files = self.fill(300)
        self.pack("--chunk-bytes", "64KiB")
        chunks = self.chunk_files()
        with open(chunks[0], "r+b") as file:
            file.truncate(os.path.getsize(chunks[0]) // 2)
        os.remove(chunks[1])
        write_file(chunks[2], b"")
        write_file(chunks[3], read_file(chunks[4]))
        os.remove(chunks[5])
        os.mkdir(chunks[5])
        self.mount()
        errors = set()
        for name, content in files.items():
            got, error = try_read(os.path.join(self.space.mnt, name))
            if error:
                errors.add(error)
            else:
                self.assertEqual(content, got, name)
        self.assertEqual({errno.EIO}, errors & {errno.EIO})
        self.assertLessEqual(errors, {errno.EIO, errno.EISDIR})

    def test_a_damaged_index_is_refused_or_an_errno_never_a_wrong_name(self):
        seed = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        files = self.fill(60)
        self.pack()
        index = self.index_file()
        good = read_file(index)
        for i in range(12):
            write_file(index, good)
            flip_bit(index, rng.randrange(len(good) * 8))
            finished = self.try_mount(cache=os.path.join(self.space.path, f"cache-{i}"))
            if finished.status != mounting.DONE:
                self.assertEqual(mounting.FAILED, finished.status, str(finished))
                self.assertIn("packed dataset", finished.err)
                continue
            for name, content in files.items():
                got, error = try_read(os.path.join(self.space.mnt, name))
                if error:
                    self.assertEqual(errno.EIO, error, name)
                else:
                    self.assertEqual(content, got, name)
            self.space.mounts[-1].unmount()

    def test_what_is_no_packed_dataset_is_refused(self):
        self.fill(5)
        os.mkdir(self.out)
        self.assert_refused(self.try_mount(), self.out, "no manifest")
        self.pack()
        manifest = os.path.join(self.out, "manifest")
        good = read_file(manifest)
        write_file(manifest, good[:8] + b"\x02" + good[9:])
        self.assert_refused(self.try_mount(), "version 2")
        for damaged in (b"", good[:-1], good[:20] + bytes([good[20] ^ 1]) + good[21:],
                        b"?" * 5000):
            write_file(manifest, damaged)
            finished = self.try_mount()
            self.assertEqual(mounting.FAILED, finished.status, str(finished))
            self.assertIn("manifest", finished.err)
        write_file(manifest, good)
        index = self.index_file()
        os.rename(index, index + ".away")
        finished = self.try_mount()
        self.assertEqual(mounting.FAILED, finished.status, str(finished))
        self.assertIn("index", finished.err)
        os.rename(index + ".away", index)
        self.mount().unmount()
        self.assert_refused(self.space.try_mount(source="packed:"), "SOURCE")
        self.assert_refused(self.space.try_mount(source="packed:/no/such/folder"), "does not exist")
        self.assert_refused(self.space.try_mount(source="packed:" + manifest), "not a folder")

    # Interrupted, repacked.

    def test_a_killed_pack_is_no_dataset_and_the_next_one_uses_what_is_there(self):
        files = self.fill(1500, size=20000)
        flags = ["--chunk-bytes", "256KiB"]
        for _ in range(3):
            before = len(self.chunk_files())
            process = self.space.start([mounting.STOKEFS, "pack", self.space.source, self.out, *flags,
                                        "--threads", "1"])
            wait_until(lambda was=before: len(self.chunk_files()) > was + 2, 30, "chunk files")
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assertFalse(os.path.exists(os.path.join(self.out, "manifest")))
            self.assert_refused(self.try_mount(), "no manifest")
        sums = self.pack(*flags)
        self.assertGreater(sums["reused_files"], 5)
        self.assertLess(sums["reused_files"], sums["files"])
        self.assertEqual(sums["files"], len(self.chunk_files()))
        self.mount()
        for name, content in files.items():
            self.assertEqual(content, read_file(os.path.join(self.space.mnt, name)))

    def test_repacked_while_mounted_readers_see_old_or_new_bytes_or_estale(self):
        count, versions = 120, 4

        def content(i, version):
            # Most never change; of the others each version is of another length.
            return pattern(3000 + i + (version if i % 3 == 0 else 0), i * 10 + (
                version if i % 3 == 0 else 0))

        def write(version):
            for i in range(count):
                if version == 0 or i % 3 == 0:
                    write_file(os.path.join(self.space.source, "d", str(i)), content(i, version))
        write(0)
        self.pack("--chunk-bytes", "64KiB")
        self.mount("--memory", "1MiB", "--page-cache", "drop")
        wrong, stop, reads = [], threading.Event(), [0]

        def read_all(seed):
            rng = random.Random(seed)
            while not stop.is_set():
                i = rng.randrange(count)
                got, error = try_read(os.path.join(self.space.mnt, "d", str(i)))
                reads[0] += 1
                if error and error != errno.ESTALE:
                    wrong.append(f"{i}: {errno.errorcode[error]}")
                elif not error and got not in [content(i, v) for v in range(versions)]:
                    wrong.append(f"{i}: {len(got)} wrong bytes")
        readers = [threading.Thread(target=read_all, args=(n,)) for n in range(3)]
        for reader in readers:
            reader.start()
        for version in range(1, versions):
            goal = reads[0] + 200
            wait_until(lambda goal=goal: reads[0] > goal or wrong, 60, "reads")
            write(version)
            self.pack("--chunk-bytes", "64KiB")
        goal = reads[0] + 200
        wait_until(lambda: reads[0] > goal or wrong, 60, "reads")
        stop.set()
        for reader in readers:
            reader.join()
        self.assertEqual([], wrong[:5])
        self.space.mounts[-1].unmount()
        again = self.mount().wait_settled()
        self.assertFalse(again.stats()["scan"]["loaded"])  # the kept catalog is of another edition
        for i in range(count):
            self.assertEqual(content(i, versions - 1),
                             read_file(os.path.join(self.space.mnt, "d", str(i))))

    def test_a_stale_name_soon_shows_the_new_edition(self):
        write_file(os.path.join(self.space.source, "d", "f"), b"old")
        self.pack()
        mount = self.mount().wait_settled()
        write_file(os.path.join(self.space.source, "d", "f"), b"new bytes")
        write_file(os.path.join(self.space.source, "d", "g"), b"another")
        self.pack()
        path = os.path.join(self.space.mnt, "d", "f")
        wait_until(lambda: try_read(path)[0] == b"new bytes", 20, "the new edition")
        self.assertEqual(b"another", read_file(os.path.join(self.space.mnt, "d", "g")))
        self.assertGreater(mount.stats()["origin"]["stale"], 0)

    # What is refused, and what fails.

    def test_places_that_a_pack_refuses(self):
        self.fill(3)
        source = self.space.source
        inside = os.path.join(source, "d", "out")
        self.assert_refused(self.try_pack(out=inside), "at or below the source")
        self.assert_refused(self.try_pack(out=source), "at or below the source")
        self.assert_refused(self.try_pack(out=self.space.path), "below the output")
        link = os.path.join(self.space.path, "link")
        os.symlink(os.path.join(source, "d"), link)
        self.assert_refused(self.try_pack(out=os.path.join(link, "out")), "at or below the source")
        self.assert_refused(self.try_pack(source="/no/such/folder"), "does not exist")
        file = write_file(os.path.join(self.space.path, "file"), b"x")
        self.assert_refused(self.try_pack(source=file), "not a folder")
        self.assert_refused(self.try_pack(out=file), "not a folder")
        write_file(os.path.join(self.out, "thesis"), b"years of work")
        self.assert_refused(self.try_pack(), "no packed dataset")
        self.assertEqual(["thesis"], os.listdir(self.out))
        self.assertEqual(["d"], os.listdir(source))

    def test_words_that_a_pack_refuses(self):
        for words in ([], ["a"], ["a", "b", "c"], ["a", "b", "--no-such-flag"],
                      ["a", "b", "--threads", "0"], ["a", "b", "--threads", "x"],
                      ["a", "b", "--chunk-bytes", "1"], ["a", "b", "--chunk-samples", "100000"],
                      ["a", "b", "--large-file-bytes", "1"]):
            self.assert_refused(self.space.stokefs("pack", *words))

    def test_own_places_inside_a_packed_dataset(self):
        self.fill(3)
        self.pack()
        inside = os.path.join(self.out, "chunks")
        self.assert_refused(self.try_mount(mnt=inside), "mount point")
        self.assert_refused(self.try_mount(cache=os.path.join(self.out, "cache")), "cache directory")

    def test_files_that_cannot_be_read_are_named_and_nothing_is_packed(self):
        files = self.fill(40)
        origin = self.space.slow_origin()
        origin.command("fail", errno.EIO, "d/00007")
        origin.command("fail", errno.EIO, "d/00011")
        finished = self.try_pack(source=origin.path)
        self.assertEqual(mounting.FAILED, finished.status, str(finished))
        for name in ("d/00007", "d/00011"):
            self.assertIn(name, finished.err)
        self.assertFalse(os.path.exists(os.path.join(self.out, "manifest")))
        self.assert_refused(self.try_mount(), "no manifest")
        origin.command("heal")
        self.pack(source=origin.path)
        self.mount()
        for name, content in files.items():
            self.assertEqual(content, read_file(os.path.join(self.space.mnt, name)))

    def test_two_packs_into_one_folder(self):
        self.fill(20)
        origin = self.space.slow_origin()
        origin.command("delay_us", 100_000)
        first = self.space.start([mounting.STOKEFS, "pack", origin.path, self.out])
        wait_until(lambda: os.path.exists(os.path.join(self.out, "lock")), 20, "the first pack")
        self.assert_refused(self.try_pack(), "being packed")
        self.assertEqual(0, first.wait(mounting.limit(60)))

    def test_a_terminal_is_told_of_the_progress(self):
        self.fill(20)
        mine, its = pty.openpty()
        with os.fdopen(mine, "rb", buffering=0) as terminal:
            process = self.space.start([mounting.STOKEFS, "pack", self.space.source, self.out],
                                       stderr=its, stdout=subprocess.DEVNULL)
            os.close(its)
            self.assertEqual(0, process.wait(mounting.limit(30)))
            told = terminal.read(65536)
        self.assertIn(b"listing the source", told)
        self.assertIn(b"(100%)", told)
        self.assertTrue(told.endswith(b"\r\x1b[K"), told)  # and the line is left empty

    def test_sums_and_list_tell_of_it(self):
        self.fill(20)
        finished = self.try_pack()
        self.assertEqual(mounting.DONE, finished.status, str(finished))
        self.assertIn("packed 20 samples", finished.out)
        self.assertEqual("", finished.err)  # progress is for terminals
        self.mount()
        listed = json.loads(self.space.stokefs("list", "--json").out)
        self.assertEqual(["packed:" + self.out],
                         [mount["source"] for mount in listed
                          if mount["mount_point"] == self.space.mnt])
        mode = os.stat(os.path.join(self.space.mnt, "d")).st_mode
        self.assertTrue(stat.S_ISDIR(mode))


if __name__ == "__main__":
    mounting.main()
