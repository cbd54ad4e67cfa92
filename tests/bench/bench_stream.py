#!/usr/bin/python3
"""A tar of 1 GB that is read as a stream through the mount: the first time beside the slow origin
itself, later beside the disk it is kept on.

Sides take turns, caches are dropped before every pass, medians of the rounds in MB/s. The reader
asks for 256 KiB at a time, in one thread.

  first   the slow origin (2 ms a file, 200 MB/s) by itself; a fresh mount of it
  later   a copy on the local disk; the mount again, and after a restart

--quick: 200 MB, one round.
"""

import os
import random
import shutil

import side_by_side
from side_by_side import MIB, Watch, drop_caches, median, progress, wait_packed

FIRST, LATER = 0.8, 0.8  # of the origin's speed, of the disk's


def make_shard(path, size_bytes):
    rng = random.Random(1)
    with open(path, "wb") as out:
        for _ in range(size_bytes // MIB):
            out.write(rng.randbytes(MIB))


def stream(path):
    """MB/s of one cold pass."""
    drop_caches()
    size, buffer = 0, bytearray(256 << 10)
    with open(path, "rb", buffering=0) as file, Watch() as watch:
        while got := file.readinto(buffer):
            size += got
    return size / watch.seconds / 1e6


def run(bench, _part):
    source = os.path.join(bench.ram, "shards")
    os.mkdir(source)
    make_shard(os.path.join(source, "shard.tar"), (200 if bench.quick else 1000) * 1_000_000)
    size = os.path.getsize(os.path.join(source, "shard.tar"))
    copy = os.path.join(bench.space.path, "copy.tar")
    shutil.copyfile(os.path.join(source, "shard.tar"), copy)
    origin = bench.slow_origin(source)
    rates = {name: [] for name in ("origin", "first", "disk", "again", "restart")}
    shown = os.path.join(bench.space.mnt, "shard.tar")

    def note(name, path):
        rates[name].append(stream(path))
        progress(f"{name}: {rates[name][-1]:.0f} MB/s")

    for _ in range(bench.rounds):
        bench.fresh_cache()

        def mount():
            return bench.space.mount("--disk", "20GiB", source=origin.path,
                                     memory="64MiB").wait_settled()
        note("origin", os.path.join(origin.path, "shard.tar"))
        mounted = mount()
        note("first", shown)
        wait_packed(mounted)
        before = origin.counters()["bytes"]
        note("disk", copy)
        note("again", shown)
        mounted.unmount()
        mounted = mount()
        note("restart", shown)
        mounted.unmount()
        if origin.counters()["bytes"] != before:
            progress("WRONG: later passes read the origin")
    bench.row("", text=f"\n{size / 1e6:.0f} MB read as a stream, --memory 64MiB")
    for name, what in (("origin", "the slow origin itself"), ("first", "stokefs, first time"),
                       ("disk", "a copy on the disk, cold"), ("again", "stokefs, second time"),
                       ("restart", "stokefs, after a restart")):
        bench.row(what, value=median(rates[name]), unit="MB/s", all=rates[name])
    bench.judge("first time over the origin", median(rates["first"]) / median(rates["origin"]),
                FIRST)
    for name in ("again", "restart"):
        bench.judge(f"{name} over the disk", median(rates[name]) / median(rates["disk"]), LATER)


if __name__ == "__main__":
    side_by_side.main(__doc__, ["stream"], run)
