"""Disks that fail under the tier: deleted, read-only, full from the first byte or in the middle,
filled by others, dead. Reads go on with right bytes, and one directory's end is not the other's."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
import small_disk  # noqa: E402
from disk_case import MIB, allocated_bytes, chunk_paths, disk_used  # noqa: E402
from mounting import DONE, limit, wait_until  # noqa: E402

AGAIN = 10  # seconds after which a retired directory is tried again
LATE = 3  # no read may take longer, whatever a disk does


class Faults(disk_case.DiskTestCase):
    def setUp(self):
        super().setUp()
        self.second = os.path.join(self.space.path, "cache-2")

    def tearDown(self):
        self.assertLess(self.read_longest[0], limit(LATE), self.read_longest)

    def small(self, kind, folder, size_bytes):
        reason = small_disk.lack()
        if reason:
            self.skipTest(reason)
        disk = kind(folder, size_bytes)
        self.space.undo.callback(disk.close)
        return disk

    def log(self):
        """A log that is not on the disk that fails."""
        return ["--log", os.path.join(self.space.path, "log")]

    def state(self, mount, folder):
        for disk in mount.stats()["tiers"]["disk"]:
            if os.path.realpath(disk["path"]).startswith(os.path.realpath(folder)):
                return disk["state"]
        self.fail(f"no {folder} in the statistics")


class Gone(Faults):
    def test_the_chunks_are_deleted_under_way(self):
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB")
        self.epoch(names)
        self.wait_packed(mount)
        with self.readers(names):
            for path in os.listdir(self.space.cache):
                shutil.rmtree(os.path.join(self.space.cache, path, "chunks"))
            self.epoch(names, seed=1)
            self.epoch(names, seed=2)
        self.assertEqual(0, mount.stats()["reads"]["errors"])

    def test_the_whole_cache_directory_is_deleted_under_way(self):
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB")
        self.epoch(names)
        with self.readers(names):
            shutil.rmtree(self.space.cache, ignore_errors=True)
            self.epoch(names, seed=1)
            self.epoch(names, seed=2)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        mount = self.remount(mount, "--disk", "1GiB")
        self.epoch(names, seed=3)
        with self.no_origin_reads():
            mount = self.remount(mount, "--disk", "1GiB")
            self.epoch(names, seed=4)

    def test_one_of_two_is_deleted_and_the_other_goes_on(self):
        names = self.fill(300)
        mount = self.mount("--disk", "1GiB", cache_dirs=[self.second])
        self.epoch(names)
        self.wait_packed(mount)
        lost = allocated_bytes(self.second)
        self.assertGreater(lost, 0)
        self.assertGreater(allocated_bytes(self.space.cache), 0)
        with self.origin_reads_at_most(lost):  # only what lay there was lost
            with self.readers(names, count=1):
                shutil.rmtree(self.second)
                self.epoch(names, seed=1)
            self.epoch(names, seed=2)  # a file that is open is read on until it is closed
        with self.no_origin_reads():  # the other directory took it over
            self.epoch(names, seed=3)


class ReadOnly(Faults):
    def immutable(self, folder, word):
        """Nothing can be made, renamed or removed below; what is there can be read."""
        flags = subprocess.run(["chattr", "-R", word, folder], stderr=subprocess.PIPE, check=False)
        if flags.returncode != 0:
            self.skipTest(f"chattr: {flags.stderr.decode().strip()}")

    def test_an_immutable_directory(self):
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB", *self.log())
        half = names[::2]
        self.epoch(half)
        self.wait_packed(mount)
        self.immutable(self.space.cache, "+i")
        self.space.undo.callback(self.immutable, self.space.cache, "-i")
        self.epoch(names, seed=1)
        with self.no_origin_reads():  # reads of what is there go on
            self.epoch(half, seed=2)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        self.immutable(self.space.cache, "-i")
        self.epoch(names, seed=3)

        def kept():  # it is tried again
            self.epoch(names, seed=4)
            return allocated_bytes(self.space.cache) >= self.bytes_of(names)
        wait_until(kept, AGAIN + 10, "the directory's return")

    def test_one_of_two_becomes_read_only(self):
        disk = self.small(small_disk.Ext4, self.second, 256 * MIB)
        cache = os.path.join(self.second, "cache")
        names = self.fill(400)
        mount = self.mount("--disk", "1GiB", cache_dirs=[cache])
        self.epoch(names[:200])
        self.wait_packed(mount)
        self.assertGreater(allocated_bytes(cache), 0)
        with self.readers(names[:200], count=1):
            disk.become_read_only()
            self.epoch(names, seed=1)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(names, seed=2)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        self.assertEqual("healthy", self.state(mount, self.space.cache))

    def test_the_only_one_becomes_read_only(self):
        disk = self.small(small_disk.Ext4, self.second, 256 * MIB)
        names = self.fill(300)
        mount = self.mount("--disk", "1GiB", cache=os.path.join(self.second, "cache"))
        self.epoch(names[:200])
        self.wait_packed(mount)
        with self.readers(names[:200], count=1):
            disk.become_read_only()
            self.epoch(names, seed=1)
        with self.no_origin_reads():  # what is there is read on
            self.epoch(names[:200], seed=2)
        self.epoch(names, seed=3)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        mount.unmount()

    def test_read_only_from_the_start(self):
        disk = self.small(small_disk.Ext4, self.second, 64 * MIB)
        cache = os.path.join(self.second, "cache")
        disk.become_read_only()
        names = self.fill(100)
        finished = self.space.try_mount("--disk", "1GiB", "--page-cache", "keep", "--cache-dir",
                                        cache, source=self.slow().path, memory="4MiB")
        if finished.status != DONE:  # to refuse it is right as well, if it says which
            self.assertIn(self.second, finished.err)
            return
        mount = self.space.mounts[-1].wait_settled()
        self.epoch(names)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(names, seed=1)


class Full(Faults):
    def test_enospc_from_the_first_byte(self):
        disk = self.small(small_disk.Tmpfs, self.second, 32 * MIB)
        disk.fill()
        names = self.fill(150)
        cache = os.path.join(self.second, "cache")
        mount = self.mount("--disk", "1GiB", "--log", os.path.join(self.space.path, "log"),
                           cache=cache)
        self.epoch(names)
        self.epoch(names, seed=1)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        disk.drain()

        def kept():
            self.epoch(names, seed=2)
            return allocated_bytes(cache) >= self.bytes_of(names)
        wait_until(kept, AGAIN + 10, "the use of the room that there is again")

    def test_enospc_in_the_middle(self):
        disk = self.small(small_disk.Tmpfs, self.second, 16 * MIB)
        names = self.fill(400)
        self.assertGreater(self.bytes_of(names), disk.total_bytes())
        cache = os.path.join(self.second, "cache")
        mount = self.mount("--disk", "1GiB", cache=cache)
        for seed in range(3):
            self.epoch(names, seed)
        self.wait_packed(mount)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        self.assertEqual(disk_used(mount.stats()), allocated_bytes(cache))
        self.assertGreater(allocated_bytes(cache), disk.total_bytes() * 0.6)
        mount = self.remount(mount, "--disk", "1GiB", cache=cache)
        before = self.slow().counters()["bytes"]
        self.epoch(names, seed=3)
        self.assertLess(self.slow().counters()["bytes"] - before, self.bytes_of(names) * 0.75)

    def test_one_full_directory_of_two(self):
        disk = self.small(small_disk.Tmpfs, self.second, 16 * MIB)
        disk.fill()
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB", cache_dirs=[os.path.join(self.second, "cache")])
        self.epoch(names)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(names, seed=1)

    def test_others_fill_the_disk(self):
        """Files are evicted down to the free-space floor, 5 % of a small file system."""
        disk = self.small(small_disk.Ext4, self.second, 128 * MIB)
        cache = os.path.join(self.second, "cache")
        names = self.fill(600)
        mount = self.mount("--disk", "1GiB", cache=cache)
        self.epoch(names)
        self.wait_packed(mount)
        full = allocated_bytes(cache)
        floor = disk.total_bytes() * 0.05
        self.assertGreater(disk.free_bytes(), floor)
        with self.readers(names, count=1):
            for leave in (floor * 0.8, floor * 0.4):
                disk.fill(int(leave))
                wait_until(lambda: disk.free_bytes() >= floor * 0.9, 15, "room for others")
        self.assertLess(allocated_bytes(cache), full)
        self.assertGreater(allocated_bytes(cache), full // 4)  # and no more than it takes
        self.assertEqual(0, mount.stats()["reads"]["errors"])


class Frozen(Faults):
    def test_a_disk_that_takes_no_write_holds_up_no_end(self):
        """Frozen: whoever writes there hangs, and cannot be killed until the thaw."""
        self.small(small_disk.Ext4, self.second, 256 * MIB)
        names = self.fill(100)
        cache = os.path.join(self.second, "cache")
        mount = self.mount("--disk", "1GiB", cache_dirs=[cache])
        self.epoch(names)
        subprocess.run(["fsfreeze", "-f", self.second], check=True)
        try:
            self.epoch(names, seed=1)  # read by open descriptors and from memory, or the origin
            mount.signal(signal.SIGTERM)
            wait_until(lambda: not mounting.is_mounted(mount.path), 5, "the end of the mount")
        finally:
            subprocess.run(["fsfreeze", "-u", self.second], check=True)
        mount.wait_gone()


class Dead(Faults):
    def test_one_disk_of_two_dies(self):
        """All reads and writes of it are EIO from one moment on."""
        disk = self.small(small_disk.Ext4, self.second, 256 * MIB)
        names = self.fill(400)
        cache = os.path.join(self.second, "cache")
        mount = self.mount("--disk", "1GiB", cache_dirs=[cache])
        self.epoch(names[:300])
        self.wait_packed(mount)
        lost = allocated_bytes(cache)
        self.assertGreater(lost, 0)
        with self.origin_reads_at_most(lost + self.bytes_of(names[300:])):
            with self.readers(names[:300]):
                disk.die()
                self.epoch(names, seed=1)
            wait_until(lambda: self.state(mount, cache) == "retired", 10, "its retirement")
            self.assertEqual("healthy", self.state(mount, self.space.cache))
            self.epoch(names, seed=2)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(names, seed=3)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        self.assertIn(cache, mount.control_text("events"))

    def test_the_only_disk_dies(self):
        disk = self.small(small_disk.Ext4, self.second, 256 * MIB)
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB", *self.log(), cache=os.path.join(self.second, "cache"))
        self.epoch(names)
        self.wait_packed(mount)
        with self.readers(names):
            disk.die()
            self.epoch(names, seed=1)
            self.epoch(names, seed=2)
        self.assertEqual(0, mount.stats()["reads"]["errors"])


class Machine(Faults):
    def test_out_of_file_descriptors(self):
        names = self.fill(300)
        command = self.space.mount_command("--disk", "1GiB", "--page-cache", "keep",
                                           "--chunk-bytes", "64KiB", source=self.slow().path,
                                           memory="4MiB")
        for most in (64, 40):
            with self.subTest(descriptors=most):
                finished = mounting.run(["prlimit", f"--nofile={most}:{most}", mounting.STOKEFS,
                                         *command], 30, env=self.space.environment())
                if finished.status != DONE and most < 64:
                    self.assertTrue(finished.err.strip())  # refused with a word
                    continue
                self.assertEqual(DONE, finished.status, str(finished))
                mount = self.space.adopt(finished=finished).wait_settled()
                with self.readers(names, count=8):
                    self.epoch(names, seed=most)
                self.epoch(names, seed=1)
                self.assertEqual(0, mount.stats()["reads"]["errors"])
                mount.unmount()
        mount = self.mount("--disk", "1GiB", "--chunk-bytes", "64KiB")
        self.epoch(names, seed=2)
        self.assertEqual([], chunk_paths(self.space.cache, kind=".bad"))  # no file's fault

    def test_stopped_for_5_s_and_continued(self):
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB")
        with self.readers(names):
            self.epoch(names)
            mount.signal(signal.SIGSTOP)
            time.sleep(5)  # the fault itself
            mount.signal(signal.SIGCONT)
            self.epoch(names, seed=1)
        longest, self.read_longest = self.read_longest, (0.0, "nothing")
        print(f"longest read with the stop: {longest[0] * 1000:.0f} ms", file=sys.stderr)
        self.assertLess(longest[0], 5 + limit(LATE))
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(names, seed=2)

    def test_ended_with_reads_in_flight(self):
        """Reads end with bytes or an errno, at once; the next mount is right and within budget."""
        self.space.crash_expected = True  # --force may kill
        names = self.fill(300)
        rng = random.Random(7)
        ends = {
            "unmount --force": lambda mount: self.space.stokefs("unmount", mount.path, "--force"),
            "fusermount3 -u -z": lambda mount: subprocess.run(
                ["fusermount3", "-u", "-z", mount.path], check=True),
            "SIGTERM": lambda mount: mount.signal(signal.SIGTERM),
        }
        for name, end in ends.items():
            with self.subTest(end=name):
                self.slow().command("delay_us", 2_000)
                mount = self.mount("--disk", "1GiB")
                with self.readers(names, count=6, gone_is_fine=True):
                    time.sleep(rng.uniform(0.1, 0.6))  # somewhere in the epoch
                    end(mount)
                    mount.wait_gone(10)
                self.slow().command("delay_us", 0)
                mount = self.mount("--disk", "1GiB")
                self.assert_budget_is_real(mount, 1 << 30)
                self.epoch(names)
                mount.unmount()
                shutil.rmtree(self.space.cache)


if __name__ == "__main__":
    mounting.main()
