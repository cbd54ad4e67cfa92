"""What the tests of the disk tier share: a dataset whose bytes are known, reads that are timed and
compared, and a look at the cache directories from outside.

    class Disk(disk_case.DiskTestCase):
        def test_x(self):
            names = self.fill()                    # files below SOURCE, bytes remembered
            mount = self.mount("--disk", "1GiB")   # little memory; SOURCE is a slow origin
            self.epoch(names, seed=1)              # each name once, shuffled, compared
            self.wait_packed(mount)

Every read of an epoch misses the kernel's page cache. The longest one is printed at the test's end.
From outside means: names and st_blocks of what lies in `<cache-dir>/<16 hex>/chunks/`.
"""

import contextlib
import errno
import glob
import os
import random
import sys
import threading
import time

import mounting
from mounting import limit, wait_until, write_file
from odd_tree import KIB, MIB

SIZES = (2 * KIB, 7_000, 40 * KIB, 112_000, 200_001)


def cold_read(path):
    """The whole file, none of it from the kernel's page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def chunk_paths(*cache_dirs, kind=".chunk"):
    """All files of one kind (.chunk, .chunk.new, .chunk.bad; "": all) in cache directories."""
    found = []
    for folder in cache_dirs:
        for path in glob.iglob(os.path.join(glob.escape(folder), "*", "chunks", "**", "*" + kind),
                               recursive=True):
            if os.path.isfile(path):
                found.append(path)
    return sorted(found)


def allocated_bytes(*cache_dirs):
    """st_blocks of all that lies in chunks/, as du counts it, without the folders themselves."""
    total = 0
    for path in chunk_paths(*cache_dirs, kind=""):
        with contextlib.suppress(FileNotFoundError):
            total += os.stat(path).st_blocks * 512
    return total


def disk_used(stats):
    return sum(disk["used_bytes"] for disk in stats["tiers"]["disk"])


def damaged(stats):
    return stats["disk"]["damaged"]


class BudgetWatch:
    """Polls what chunk files take of the disk until it is stopped. Context manager."""

    def __init__(self, *cache_dirs):
        self._cache_dirs, self._done = cache_dirs, threading.Event()
        self.bytes_max, self.polls = 0, 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._done.wait(0.01):
            self.bytes_max = max(self.bytes_max, allocated_bytes(*self._cache_dirs))
            self.polls += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


class DiskTestCase(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        self.origin = None
        self.content = {}  # name -> bytes
        self.read_longest = (0.0, "nothing")
        self.read_count = 0
        self.addCleanup(self._tell)

    def _tell(self):
        seconds, name = self.read_longest
        print(f"longest read: {seconds * 1000:.1f} ms ({self._testMethodName}: {name}, "
              f"{self.read_count} reads)", file=sys.stderr)

    # --- the dataset

    def fill(self, count=200, folder="data", sizes=SIZES):
        """`count` new files of these sizes in turn. Returns their names below SOURCE."""
        names = []
        for index in range(count):
            name = os.path.join(folder, f"{index:05}")
            self.put(name, mounting.pattern(sizes[index % len(sizes)], f"{folder} {index}"))
            names.append(name)
        return names

    def put(self, name, content):
        write_file(os.path.join(self.space.source, name), content)
        self.content[name] = content
        return name

    def bytes_of(self, names):
        return sum(len(self.content[name]) for name in names)

    # --- mounts

    def slow(self):
        """The origin that counts, made at the first call."""
        if self.origin is None:
            self.origin = self.space.slow_origin()
        return self.origin

    def mount(self, *flags, cache_dirs=(), source=None, **places):
        """A mount of the counting origin with little memory. `cache_dirs`: more than the first."""
        more = [word for folder in cache_dirs for word in ("--cache-dir", folder)]
        places.setdefault("memory", "4MiB")
        if "--page-cache" not in flags:
            more += ["--page-cache", "keep"]
        return self.space.mount(*flags, *more, source=source or self.slow().path,
                                **places).wait_settled()

    def wait_packed(self, mount, seconds=20):
        """Until nothing that was fetched still waits to be written."""
        def packed():
            tier = mount.stats()["disk"]  # None without a disk tier
            return not (tier and tier["pending_bytes"]) and not chunk_paths(self.space.path,
                                                                            kind=".new")
        wait_until(packed, seconds, "the end of packing")
        return mount

    def unmount_all(self):
        """What a subtest that failed has left mounted."""
        for mount in self.space.mounts:
            if mounting.is_mounted(mount.path) and not mount.is_gone():
                mount.unmount("--force")

    def remount(self, mount, *flags, **places):
        mount.unmount()
        return self.mount(*flags, **places)

    # --- reads

    def at(self, name):
        return os.path.join(self.space.mnt, name)

    def read(self, name, root=None):
        """The bytes, whatever they are; an OSError is the caller's."""
        start = time.monotonic()
        try:
            return cold_read(os.path.join(root or self.space.mnt, name))
        finally:
            self.note(time.monotonic() - start, name)

    def note(self, seconds, what):
        self.read_count += 1
        if seconds > self.read_longest[0]:
            self.read_longest = (seconds, what)

    def check_bytes(self, name, got):
        expected = self.content[name]
        if got != expected:  # assertEqual would print megabytes
            first = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
                         min(len(got), len(expected)))
            self.fail(f"{name}: wrong from byte {first} on; {len(got)} of {len(expected)} bytes")

    def epoch(self, names, seed=0, root=None):
        """Reads each name once in an order that the seed tells. Returns the seconds it took."""
        order = list(names)
        random.Random(seed).shuffle(order)
        start = time.monotonic()
        for name in order:
            self.check_bytes(name, self.read(name, root))
        return time.monotonic() - start

    def epoch_with_errors(self, names, seed=0, allowed=()):
        """The same where reads may fail with these errnos: right bytes or one of them. Returns
        {name: errno} of those that failed."""
        order, failed = list(names), {}
        random.Random(seed).shuffle(order)
        for name in order:
            try:
                self.check_bytes(name, self.read(name))
            except OSError as error:
                self.assertIn(error.errno, allowed, f"{name}: {error}")
                failed[name] = error.errno
        return failed

    @contextlib.contextmanager
    def readers(self, names, count=2, gone_is_fine=False):
        """`count` threads read epoch after epoch while the block runs. What they find wrong fails
        the test at the block's end. `gone_is_fine`: an error of an ended mount ends a reader."""
        done, wrong = threading.Event(), []

        def run(seed):
            rng = random.Random(seed)
            order = list(names)
            while not done.is_set():
                rng.shuffle(order)
                for name in order:
                    if done.is_set():
                        return
                    try:
                        self.check_bytes(name, self.read(name))
                    except OSError as error:
                        if not (gone_is_fine and error.errno in GONE):
                            wrong.append(f"{name}: {error}")
                        return
                    except AssertionError as error:
                        wrong.append(str(error))
                        return

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], wrong)

    # --- what the origin saw

    @contextlib.contextmanager
    def no_origin_reads(self):
        """Fails when the block opened a file of the origin or read a byte of one."""
        before = self.slow().counters()
        yield
        after = self.slow().counters()
        self.assertEqual((0, 0), (after["opens"] - before["opens"],
                                  after["bytes"] - before["bytes"]), "opens and bytes")

    @contextlib.contextmanager
    def origin_reads_at_most(self, bytes_max):
        before = self.slow().counters()["bytes"]
        yield
        self.assertLessEqual(self.slow().counters()["bytes"] - before, bytes_max)

    def assert_budget_is_real(self, mount, budget, *cache_dirs):
        """What the daemon counts is what lies there, and no more than allowed."""
        dirs = cache_dirs or (self.space.cache,)
        wait_until(lambda: disk_used(mount.stats()) == allocated_bytes(*dirs), 10,
                   "used_bytes to equal the disk's blocks")
        self.assertLessEqual(allocated_bytes(*dirs), budget)
        self.assertEqual([], chunk_paths(*dirs, kind=".new"))


# What a read of a mount that is being taken down or was killed may give.
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENOENT, errno.EINTR)

__all__ = ["GONE", "KIB", "MIB", "SIZES", "BudgetWatch", "DiskTestCase", "allocated_bytes",
           "chunk_paths", "cold_read", "damaged", "disk_used", "limit"]
