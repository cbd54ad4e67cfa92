#!/usr/bin/python3
"""Epochs over the disk tier beside what users have today, in one run.

The origin takes 2 ms a file and 200 MB/s and serves 32 requests at once. Two processes read whole
files (tests/bench/read_files.cc). Before every epoch the machine's caches are dropped, so nothing
is read from the kernel's memory. Each figure is the median of the rounds, in files/s, with the bytes
that the origin gave in that epoch.

  first    the first epoch ever, shuffled; for stokefs also in order, and after `fsctl warmup`
  second   the same mount again, another shuffle
  restart  unmounted and mounted again, first reads at once after the mount command returned

  bare        the slow origin itself, which has no memory of its own
  rclone      rclone mount --vfs-cache-mode full --vfs-fast-fingerprint (else it reads each file
              twice, to hash it)
  ext4        a copy on a local disk, cold (in the rounds of `restart`)
  squashfuse  an image on a local disk, cold
  stokefs     --memory for all of the dataset, and for a fifth

--quick: fewer files, one round.  --json FILE: all figures.  --only: one of the sizes.
"""

import os
import shutil
import subprocess

import side_by_side
from side_by_side import (MIB, Watch, drop_caches, median, mounting, progress, read_files,
                          wait_packed)

# name: (files, quick, mean bytes, what the first epoch must reach over the bare origin)
DATASETS = {"2KB": (20_000, 3_000, 2_000, 5.0), "112KB": (3_000, 500, 112_000, 1.8)}


class Side:
    """One way to read the dataset. start() makes `root` readable, stop() takes it away; what it
    keeps on disk stays until forget()."""

    def __init__(self, run):
        self.run, self.space = run, run.bench.space
        self.root = None

    def start(self):
        pass

    def stop(self):
        pass

    def forget(self):
        pass

    def settle(self):
        """Until what it does in the background after an epoch is done."""


class Bare(Side):
    def start(self):
        self.root = self.run.origin.path


class Rclone(Side):
    def start(self):
        self.root = self.space.folder("rclone-mount")
        self.process = self.space.start(
            ["rclone", "--config", "/dev/null", "mount", self.run.origin.path, self.root,
             "--vfs-cache-mode", "full", "--vfs-fast-fingerprint", "--cache-dir", self.cache(),
             "--read-only"],
            stdout=-3, stderr=-3)
        mounting.wait_until(lambda: mounting.is_mounted(self.root), 20, "rclone's mount")

    def cache(self):
        return os.path.join(self.space.path, "rclone-cache")

    def settle(self):
        """Its cache is written while it reads."""

    def stop(self):
        subprocess.run(["fusermount3", "-u", self.root], check=True)
        self.process.wait(20)

    def forget(self):
        shutil.rmtree(self.cache(), ignore_errors=True)


class Ext4(Side):
    def start(self):
        self.root = os.path.join(self.space.path, "copy")
        if not os.path.isdir(self.root):
            shutil.copytree(self.run.source, self.root)


class Squashfuse(Side):
    def start(self):
        image = os.path.join(self.space.path, "image.squashfs")
        if not os.path.exists(image):  # photographs do not shrink
            subprocess.run(["mksquashfs", self.run.source, image, "-quiet", "-no-progress", "-noD",
                            "-noF"], check=True, stdout=subprocess.DEVNULL)
        self.root = self.space.folder("squash-mount")
        subprocess.run(["squashfuse", image, self.root], check=True,
                       env=self.space.environment())

    def stop(self):
        subprocess.run(["fusermount3", "-u", self.root], check=True)


class Stokefs(Side):
    def __init__(self, run, memory_bytes):
        super().__init__(run)
        self.memory, self.mount = memory_bytes, None
        self.root = self.space.mnt

    def start(self):
        self.mount = self.space.mount("--disk", "20GiB", source=self.run.origin.path,
                                      memory=str(self.memory))

    def settle(self):
        wait_packed(self.mount)

    def stop(self):
        self.mount.unmount(seconds=60)

    def forget(self):
        shutil.rmtree(self.space.cache, ignore_errors=True)


class Run:
    """All figures of one dataset."""

    def __init__(self, bench, name):
        self.bench, self.name = bench, name
        count, quick_count, size, self.factor = DATASETS[name]
        self.rounds = bench.rounds
        self.source = os.path.join(bench.ram, name)
        self.paths = side_by_side.make_files(self.source, quick_count if bench.quick else count,
                                             size)
        self.bytes = sum(os.path.getsize(os.path.join(self.source, path)) for path in self.paths)
        self.origin = bench.slow_origin(self.source)
        self.figures = {}  # (side, epoch) -> [(files/s, origin bytes)]
        self.shuffles = 0

    def epoch(self, side_name, side, epoch, order=None):
        """One timed pass with cold caches."""
        self.shuffles += 1
        drop_caches()
        before = self.origin.counters()["bytes"]
        seconds, size = read_files(side.root, self.paths, self.shuffles if order is None else order)
        if size != self.bytes:
            raise AssertionError(f"{side_name} gave {size} of {self.bytes} bytes")
        given = self.origin.counters()["bytes"] - before
        self.figures.setdefault((side_name, epoch), []).append((len(self.paths) / seconds, given))
        progress(f"{self.name} {side_name} {epoch}: {len(self.paths) / seconds:.0f} files/s, "
                 f"{given / 1e6:.1f} MB from the origin")

    def first_epochs(self, sides):
        """Each side from nothing to its second epoch; sides take turns."""
        for _ in range(self.rounds):
            for name, side in sides.items():
                side.forget()
                side.start()
                self.epoch(name, side, "first")
                side.settle()
                if name != "bare":
                    self.epoch(name, side, "second")
                    side.settle()
                side.stop()

    def restarts(self, sides):
        for _ in range(self.rounds + 2):
            for name, side in sides.items():
                drop_caches()
                side.start()
                self.epoch(name, side, "restart")
                side.settle()
                side.stop()

    def other_first_epochs(self, memory_bytes):
        """In order, and after a warm-up, each from nothing; the bare origin in order beside it."""
        bare, side = Bare(self), Stokefs(self, memory_bytes)
        bare.start()
        for _ in range(self.rounds):
            self.epoch("bare", bare, "in order", order="-")
            side.forget()
            side.start()
            self.epoch("stokefs", side, "in order", order="-")
            side.stop()
            side.forget()
            side.start()
            side.mount.wait_settled(120)
            drop_caches()
            before = self.origin.counters()["bytes"]
            with Watch() as watch:
                finished = side.mount.fsctl("warmup", seconds=600)
                if finished.status != mounting.DONE:
                    raise AssertionError(str(finished))
            self.figures.setdefault(("stokefs", "warmup itself"), []).append(
                (len(self.paths) / watch.seconds, self.origin.counters()["bytes"] - before))
            self.epoch("stokefs", side, "warmed up")
            side.stop()
        side.forget()

    def go(self):
        full, fifth = int(self.bytes * 1.3) + 16 * MIB, max(self.bytes // 5, MIB)
        bare, rclone = Bare(self), Rclone(self)
        self.first_epochs({"bare": bare, "rclone": rclone})
        self.restarts({"rclone": rclone})
        rclone.forget()
        local = {"ext4": Ext4(self), "squashfuse": Squashfuse(self)}
        for name, memory in (("stokefs", full), ("stokefs, memory 20%", fifth)):
            side = Stokefs(self, memory)
            self.first_epochs({name: side})
            self.restarts({**local, name: side})
            side.forget()
        self.other_first_epochs(full)
        shutil.rmtree(os.path.join(self.bench.space.path, "copy"))
        os.unlink(os.path.join(self.bench.space.path, "image.squashfs"))
        self.report()

    def rate(self, side, epoch):
        return median([rate for rate, _ in self.figures[side, epoch]])

    def report(self):
        self.bench.row("", text=f"\n{self.name}: {len(self.paths)} files, "
                                f"{self.bytes / 1e6:.0f} MB, files/s (MB from the origin)")
        epochs = ("first", "in order", "warmup itself", "warmed up", "second", "restart")
        form = "{:<22}" + "{:>19}" * len(epochs)
        self.bench.row("", text=form.format("", *epochs))
        sides = dict.fromkeys(side for side, _ in self.figures)
        for side in sides:
            cells = []
            for epoch in epochs:
                got = self.figures.get((side, epoch))
                cells.append(f"{self.rate(side, epoch):.0f} "
                             f"({median([given for _, given in got]) / 1e6:.1f})" if got else "")
            self.bench.row("", text=form.format(side, *cells))
        for (side, epoch), got in self.figures.items():
            self.bench.row(f"{self.name} {side} {epoch}", unit="files/s",
                           value=self.rate(side, epoch), all=got, text="")
        self.judge_all()

    def judge_all(self):
        judge, bare = self.bench.judge, self.rate("bare", "first")
        for (side, epoch), got in self.figures.items():
            if side.startswith("stokefs") and epoch in ("second", "restart", "warmed up"):
                judge(f"{self.name} {side}: origin bytes of the epoch: {epoch}",
                      max(given for _, given in got), 0, at_most=True)
        for side in ("stokefs", "stokefs, memory 20%"):
            ratio = self.rate(side, "restart") / self.rate("ext4", "restart")
            if side == "stokefs":
                judge(f"{self.name} {side}: first reads after a restart over ext4 cold", ratio, 1.0)
            else:
                self.bench.row(f"{self.name} {side}: the same, with no target", value=ratio,
                               unit="")
        for epoch in ("in order", "warmed up"):
            judge(f"{self.name} stokefs: first epoch {epoch} over the bare origin",
                  self.rate("stokefs", epoch) / bare, self.factor)
        both = 1 / (1 / self.rate("stokefs", "warmup itself") + 1 / self.rate("stokefs",
                                                                              "warmed up"))
        judge(f"{self.name} stokefs: the same with the time that the warm-up took", both / bare,
              self.factor)


if __name__ == "__main__":
    side_by_side.main(__doc__, list(DATASETS), lambda bench, part: Run(bench, part).go())
