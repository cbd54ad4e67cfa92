"""Large files over the disk tier: memory-mapped arrays, and a tar that is read as a stream twice.

With --long (or STOKEFS_TEST_LONG=1) the tar has 1 GB, else 160 MB.
"""

import errno
import hashlib
import os
import random
import signal
import struct
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
from disk_case import KIB, MIB  # noqa: E402
from mounting import limit  # noqa: E402

# Reads elements through a memory-mapped array, as a trainer does: prints their sum.
NUMPY = """
import mmap, os, sys, numpy
array = numpy.load(sys.argv[1], mmap_mode="r")
assert isinstance(array, numpy.memmap)
print(sum(int(array[int(index)]) for index in sys.argv[2:]))
"""

# The same without numpy: the kernel's side of it is the same.
MAPPED = """
import mmap, struct, sys
with open(sys.argv[1], "rb") as file:
    view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
view.madvise(mmap.MADV_RANDOM)
print(sum(struct.unpack_from("<q", view, 128 + 8 * int(index))[0] for index in sys.argv[2:]))
"""


def npy(values):
    """A version 1.0 .npy file of int64s, with a header of 128 bytes."""
    head = "{'descr': '<i8', 'fortran_order': False, 'shape': (%d,), }" % len(values)
    head = head.encode().ljust(117) + b"\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head
            + struct.pack(f"<{len(values)}q", *values))


class Mapped(disk_case.DiskTestCase):
    COUNT = 2_000_000  # 16 MB

    def setUp(self):
        super().setUp()
        rng = random.Random(1)
        self.values = [rng.randrange(1 << 40) for _ in range(self.COUNT)]
        self.content["array.npy"] = npy(self.values)
        self.put("array.npy", self.content["array.npy"])
        self.mounted = self.mount("--disk", "1GiB")

    def ask(self, program, indices):
        start = time.monotonic()
        finished = mounting.run([sys.executable, "-c", program, self.at("array.npy"),
                                 *map(str, indices)], 60)
        self.note(time.monotonic() - start, f"a program of {len(indices)} mapped reads")
        return finished

    def check(self, program, seed):
        indices = random.Random(seed).sample(range(self.COUNT), 300)
        finished = self.ask(program, indices)
        self.assertEqual(0, finished.status, str(finished))
        self.assertEqual(sum(self.values[index] for index in indices), int(finished.out))

    def check_program(self, program):
        self.check(program, seed=1)
        self.check(program, seed=2)
        self.epoch(["array.npy"])
        self.mounted = self.remount(self.mounted, "--disk", "1GiB")
        with self.no_origin_reads():
            self.check(program, seed=3)

    def test_numpy_maps_an_array(self):
        if mounting.run([sys.executable, "-c", "import numpy"], 60).status != 0:
            self.skipTest("numpy is lacking")
        self.check_program(NUMPY)

    def test_a_mapped_file(self):
        self.check_program(MAPPED)

    def test_a_failed_page_is_the_reader_s_alone(self):
        good = self.put("good", mounting.pattern(100 * KIB, "good"))
        self.mounted = self.remount(self.mounted, "--disk", "1GiB")
        self.assertEqual(0, self.ask(MAPPED, [0]).status)  # its extent is there, others are not
        for failure in ("fail", "hang"):
            with self.subTest(failure=failure):
                if failure == "fail":
                    self.slow().command("fail", errno.EIO, "array.npy")
                else:
                    self.mounted = self.remount(self.mounted, "--disk", "1GiB",
                                                "--origin-deadline", "1s")
                    self.slow().command("hang", "array.npy")
                finished = self.ask(MAPPED, [self.COUNT - 1])
                self.assertEqual(-signal.SIGBUS, finished.status, str(finished))
                finished = self.ask(MAPPED, [0])
                self.assertEqual(0, finished.status, str(finished))
                self.assertEqual(self.values[0], int(finished.out))
                self.epoch([good])
                self.assertEqual(self.mounted.pid, self.mounted.stats()["pid"])
                self.slow().command("heal")
                self.slow().command("release")
        self.mounted = self.remount(self.mounted, "--disk", "1GiB")
        self.check(MAPPED, seed=4)


class Streams(disk_case.DiskTestCase):
    seconds_max = 600

    def make_tar(self, size_bytes):
        """As WebDataset's shards: samples of about 100 KB, incompressible. Returns its SHA-256."""
        path = os.path.join(self.space.source, "shard.tar")
        rng = random.Random(3)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            index = 0
            while tar.offset < size_bytes:
                sample = os.path.join(self.space.path, "sample")
                with open(sample, "wb") as out:
                    out.write(rng.randbytes(rng.randrange(50_000, 150_000)))
                tar.add(sample, f"{index:08}.jpg", recursive=False)
                index += 1
        return self.stream(path)[0], index

    @staticmethod
    def stream(path):
        digest = hashlib.sha256()
        longest, start = 0.0, time.monotonic()
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := file.read(64 * KIB):
                longest = max(longest, time.monotonic() - start)
                digest.update(piece)
                start = time.monotonic()
        return digest.hexdigest(), longest

    def timed_stream(self, what):
        start = time.monotonic()
        got, longest = self.stream(self.at("shard.tar"))
        self.note(longest, f"64 KiB of the stream, {what}")
        took = time.monotonic() - start
        size = os.path.getsize(self.at("shard.tar"))
        print(f"{what}: {size / took / 1e6:.0f} MB/s", file=sys.stderr)
        return got

    def test_a_tar_is_read_as_a_stream_twice(self):
        size = 1_000_000_000 if mounting.LONG else 160_000_000
        expected, count = self.make_tar(size)
        mount = self.mount("--disk", "4GiB", memory="32MiB")
        self.assertEqual(expected, self.timed_stream("first time"))
        self.assertEqual(os.path.getsize(self.at("shard.tar")), self.slow().counters()["bytes"])
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.assertEqual(expected, self.timed_stream("second time"))
            mount = self.remount(mount, "--disk", "4GiB", memory="32MiB")
            self.assertEqual(expected, self.timed_stream("after a restart"))
            with tarfile.open(self.at("shard.tar"), "r|") as tar:
                self.assertEqual(count, sum(1 for _ in tar))
            listed = subprocess.run(["tar", "-tf", self.at("shard.tar")], check=True,
                                    stdout=subprocess.PIPE, timeout=limit(60)).stdout
            self.assertEqual(count, listed.count(b"\n"))
        self.assertEqual(0, mount.stats()["reads"]["errors"])


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        mounting.LONG = True
    mounting.main()
