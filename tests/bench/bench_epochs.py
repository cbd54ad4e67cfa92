#!/usr/bin/python3
"""Shuffled epochs with memory for a fifth of the dataset, beside what users have today, in one run.

The origin takes 2 ms a file and serves 32 requests at once. The script is tools/train_fashion_mnist
(torchvision's ImageFolder, two workers), or, without torch, a plain one of two workers that only
read; it knows nothing of who serves it, and tells nobody its order. The files are PNGs of 28x28 that
carry as many bytes more as make them 8 to 16 KB.

  stokefs     --memory for a fifth, --disk 0, --page-cache drop
  rclone      rclone mount --vfs-cache-mode full, its cache on a local disk limited to as many bytes
              and cleaned every 100 ms: the least recently used files go until the rest fits
  page cache  the origin's own mount; the script's memory cgroup holds its pages to as many bytes:
              every 10 ms its limit makes the kernel choose what of the rest goes

A round gives each of them --epochs epochs from nothing; all but the first two count. Hits: for
stokefs what its statistics say, for the others the share of bytes that the origin was not asked
for. What rclone's cache and the pages really take is polled and stands beside the figures.
Afterwards 200 files are read through each and compared.

--quick: fewer files, one round.  --json FILE: all figures.  --side NAME: one of them.
"""

import hashlib
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import threading
import zlib

import side_by_side
from side_by_side import DELAY_US, PARALLEL, Watch, median, mounting, progress

sys.path.insert(0, os.path.join(side_by_side.HERE, "..", "support"))
import trainer  # noqa: E402

SHARE = 0.2
WARM_EPOCHS = 2  # that do not count: the first fills, the second is the first that finds something
CHECKED = 200
PYTHON = "/usr/bin/python3"  # Debian's torch is found by Debian's Python only
TRAIN = os.path.join(side_by_side.HERE, "..", "..", "tools", "train_fashion_mnist")
CGROUP = "/sys/fs/cgroup/memory"  # version 1


class Lack(Exception):
    """Something that this machine has not."""


# --- the dataset

def png(rng, size_bytes):
    """A grey image of 28x28 with a private chunk that makes it so large."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))
    rows = b"".join(b"\0" + rng.randbytes(28) for _ in range(28))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    return head + chunk(b"stOk", rng.randbytes(size_bytes - len(head) - len(tail) - 12)) + tail


def make_images(root, count, size_bytes):
    """root/train with `count` images in ten classes, root/test with ten. Returns (bytes, paths) of
    train."""
    rng, total, paths = random.Random(size_bytes), 0, []
    for split, images in (("test", 10), ("train", count)):
        for index in range(images):
            path = os.path.join(root, split, f"class{index % 10}", f"{index:06}.png")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = png(rng, rng.randrange(size_bytes * 2 // 3, size_bytes * 4 // 3))
            with open(path, "wb") as out:
                out.write(content)
            if split == "train":
                total += len(content)
                paths.append(os.path.relpath(path, root))
    return total, paths


# --- the script

def has_torch():
    found = subprocess.run([PYTHON, "-c", "import torch, torchvision"], stderr=subprocess.DEVNULL,
                           check=False)
    return found.returncode == 0


def torch_epochs(space, side, epochs, seed):
    """Yields the seconds of each epoch."""
    script = space.start(side.words + [PYTHON, TRAIN, side.root, "--epochs", str(epochs), "--seed",
                                       str(seed)],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    for line in script.stdout:
        said = re.match(rb"epoch \d+ of \d+: ([\d,]+) samples in .* s, ([\d,]+) samples/s", line)
        if said:
            yield int(said[1].replace(b",", b"")) / int(said[2].replace(b",", b""))
    if script.wait() != 0:
        raise AssertionError(f"the script failed over {side.name}")


def plain_epochs(space, side, epochs, seed):
    """The same of a script that only reads."""
    script = trainer.Trainer(space, os.path.join(side.root, "train"), epochs, seed,
                             words=side.words)
    for epoch in range(epochs):
        with Watch() as watch:
            if epoch > 0:
                script.go_on()
            script.wait_epoch()
        yield watch.seconds
    script.go_on()


# --- who serves

class Side:
    """One way to read the dataset, from nothing. start() makes `root` readable, stop() takes it
    away."""

    words = []  # before the script's command line

    def __init__(self, run):
        self.run, self.space, self.root = run, run.bench.space, None

    def hit_ratios(self, seen):
        """Of each epoch but the first; `seen`: the origin's counters after each epoch."""
        return [1 - (after["bytes"] - before["bytes"]) / self.run.bytes
                for before, after in zip(seen, seen[1:])]

    def notes(self):
        """What else is to be said of it: a line."""
        return ""


class Stokefs(Side):
    name = "stokefs"

    def start(self):
        self.mount = self.space.mount("--disk", "0", "--page-cache", "drop", "--memory",
                                      str(self.run.budget), source=self.run.origin.path)
        self.mount.wait_settled()
        self.root = self.space.mnt

    def hit_ratios(self, seen):
        job, = self.mount.stats()["jobs"]
        return [epoch["hit_ratio"] for epoch in job["epochs"][1:]]

    def notes(self):
        memory = self.mount.stats()["tiers"]["memory"]
        return f"holds {memory['payload_bytes'] / self.run.bytes:.1%} of the dataset at the end"

    def stop(self):
        self.mount.unmount(seconds=60)
        shutil.rmtree(self.space.cache, ignore_errors=True)


class Sampled:
    """Calls `sample` again and again, for a share, until stopped."""

    def __init__(self, sample, period_s):
        self._sample, self._period_s = sample, period_s
        self._done, self.shares = threading.Event(), []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._done.wait(self._period_s):
            self.shares.append(self._sample())

    def stop(self):
        self._done.set()
        self._thread.join()

    def __str__(self):
        return f"{statistics.mean(self.shares):.1%} on average, {max(self.shares):.1%} at most"


class Rclone(Side):
    name = "rclone"

    def start(self):
        if shutil.which("rclone") is None:
            raise Lack("no rclone: install it")
        self.root = self.space.folder("rclone-mount")
        self.cache = os.path.join(self.space.path, "rclone-cache")
        self.process = self.space.start(
            ["rclone", "--config", "/dev/null", "mount", self.run.origin.path, self.root,
             "--vfs-cache-mode", "full", "--vfs-fast-fingerprint", "--cache-dir", self.cache,
             "--vfs-cache-max-size", f"{self.run.budget}B", "--vfs-cache-poll-interval", "100ms",
             "--read-only"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        mounting.wait_until(lambda: mounting.is_mounted(self.root), 20, "rclone's mount")
        self.taken = Sampled(self._share, 0.5)

    def _share(self):
        size = 0
        for at, _, names in os.walk(os.path.join(self.cache, "vfs")):
            for name in names:
                try:
                    size += os.stat(os.path.join(at, name)).st_size
                except FileNotFoundError:
                    pass
        return size / self.run.bytes

    def notes(self):
        return f"its cache takes {self.taken} of the dataset"

    def stop(self):
        self.taken.stop()
        subprocess.run(["fusermount3", "-u", self.root], check=True)
        self.process.wait(20)
        shutil.rmtree(self.cache, ignore_errors=True)


class PageCache(Side):
    name = "page cache"

    def start(self):
        if not os.path.exists(os.path.join(CGROUP, "memory.limit_in_bytes")):
            raise Lack("no memory controller of cgroup v1")
        self.group = os.path.join(CGROUP, f"stokefs-bench-{os.getpid()}")
        os.makedirs(self.group)
        self.words = ["sh", "-c", f"echo $$ > {self.group}/cgroup.procs && exec \"$@\"", "-"]
        self.run.origin.command("page_cache", 1)
        self.root = self.run.origin.path
        self.held = Sampled(self._trim, 0.01)

    def _write(self, name, value):
        with open(os.path.join(self.group, name), "w", encoding="ascii") as out:
            out.write(str(value))

    def _trim(self):
        """Lets the kernel choose what goes of pages beyond a fifth: it does so before a lower limit
        holds. That is taken away again at once, because fork fails at a limit."""
        with open(os.path.join(self.group, "memory.stat"), encoding="ascii") as lines:
            stat = dict(line.split() for line in lines)
        pages = int(stat["cache"]) - int(stat["shmem"])
        if pages > self.run.budget:
            with open(os.path.join(self.group, "memory.usage_in_bytes"), encoding="ascii") as usage:
                used = int(usage.read())
            try:
                self._write("memory.limit_in_bytes", used - (pages - self.run.budget))
            except OSError:  # EBUSY: what is there cannot go now
                pass
            self._write("memory.limit_in_bytes", -1)
        return pages / self.run.bytes

    def notes(self):
        return f"pages take {self.held} of the dataset"

    def stop(self):
        self.held.stop()
        self._write("memory.force_empty", 0)
        os.rmdir(self.group)


SIDES = {side.name: side for side in (Stokefs, Rclone, PageCache)}


# --- the run

class Run:
    """All rounds."""

    def __init__(self, bench):
        options = bench.options
        self.bench, self.names = bench, options.side or list(SIDES)
        self.count = options.files or (1_000 if bench.quick else 4_000)
        self.epochs = options.epochs
        self.source = os.path.join(bench.ram, "images")
        self.bytes, self.paths = make_images(self.source, self.count, options.size)
        self.budget = int(self.bytes * SHARE)
        self.script = torch_epochs if has_torch() else plain_epochs
        if self.script is plain_epochs:
            progress("no torch here: a plain script reads")
        self.origin = None
        self.figures = {}  # side -> {"hits", "reads", "seconds"} -> values, and "notes"

    def go(self):
        for number in range(self.bench.rounds):
            for name in list(self.names):
                try:
                    self.round(SIDES[name](self), number)
                except Lack as lack:
                    self.bench.row(name, text=f"SKIPPED: {name}: {lack}")
                    self.names.remove(name)
        self.report()

    def round(self, side, number):
        """Each time a mount of the origin of its own, of which the kernel holds nothing."""
        self.origin = self.bench.space.slow_origin(self.source)
        self.origin.command("parallel", PARALLEL)
        self.origin.command("first_read_delay_us", DELAY_US)
        try:
            side.start()
            try:
                self.measure(side, number)
            finally:
                side.stop()
        finally:
            self.origin.close()

    def measure(self, side, number):
        seen, seconds = [], []
        for took in self.script(self.bench.space, side, self.epochs, number):
            seen.append(self.origin.counters())
            seconds.append(took)
            progress(f"round {number + 1}, {side.name}: epoch {len(seconds)}: {took:.2f} s")
        self.note(side, seen, seconds)
        self.compare(side.root)

    def note(self, side, seen, seconds):
        figures = self.figures.setdefault(side.name, {"hits": [], "reads": [], "seconds": []})
        figures["hits"] += side.hit_ratios(seen)[WARM_EPOCHS - 1:]
        reads = [(after["first_reads"] - before["first_reads"]) / self.count
                 for before, after in zip(seen, seen[1:])]
        figures["reads"] += reads[WARM_EPOCHS - 1:]
        figures["seconds"] += seconds[WARM_EPOCHS:]
        figures["notes"] = side.notes()

    def compare(self, root):
        for path in random.Random(1).sample(self.paths, min(CHECKED, self.count)):
            digests = []
            for top in (self.source, root):
                with open(os.path.join(top, path), "rb") as file:
                    digests.append(hashlib.sha256(file.read()).digest())
            if digests[0] != digests[1]:
                raise AssertionError(f"wrong bytes: {os.path.join(root, path)}")

    def report(self):
        script = "tools/train_fashion_mnist" if self.script is torch_epochs else "a plain script"
        form = "{:<12}{:>11}{:>24}{:>12}{:>13}"
        lines = [f"\n{self.count} files, {self.bytes / 1e6:.0f} MB; {script}; medians of "
                 f"{self.bench.rounds} rounds, {self.epochs - WARM_EPOCHS} epochs each",
                 form.format("", "hit ratio", "origin reads a sample", "s an epoch", "of stokefs")]
        own = self.figures.get("stokefs")
        for name, figures in self.figures.items():
            seconds = median(figures["seconds"])
            ratio = f"{seconds / median(own['seconds']):.2f}" if own else ""
            lines.append(form.format(name, f"{median(figures['hits']):.3f}",
                                     f"{median(figures['reads']):.3f}", f"{seconds:.2f}", ratio)
                         + "  " + figures["notes"])
            self.bench.row(f"epochs {name}", text="", **figures)
        for line in lines:
            self.bench.row("", text=line)


def add_flags(parser):
    parser.add_argument("--files", type=int, metavar="N",
                        help="default: 4000, or 1000 with --quick")
    parser.add_argument("--size", type=int, metavar="BYTES", default=12_000,
                        help="mean of the files; they have two thirds to four thirds of it")
    parser.add_argument("--side", choices=SIDES, action="append")
    parser.add_argument("--epochs", type=int, metavar="N", default=6, help="of a round, at least 3")


if __name__ == "__main__":
    side_by_side.main(__doc__, ["epochs"], lambda bench, _: Run(bench).go(), add_flags)
