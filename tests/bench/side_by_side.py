"""What the benchmarks of the disk tier share: data made in memory, a slow origin and local disk,
cold caches, readers, mounts, and a table whose rows stand beside each other from one run.

Data that an origin shows lies on tmpfs (/dev/shm), so that the origin is as slow as it is told and
no slower; caches and copies lie on a local disk (--disk, by default /tmp). Programs: STOKEFS_BIN,
FSCTL_BIN, SLOW_ORIGIN_BIN, READ_FILES_BIN; by default those in build/.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
for _variable, _path in (("STOKEFS_BIN", "tools/stokefs"), ("FSCTL_BIN", "tools/fsctl"),
                         ("SLOW_ORIGIN_BIN", "tests/support/slow_origin")):
    os.environ.setdefault(_variable, os.path.join(BUILD, _path))
READ_FILES = os.environ.get("READ_FILES_BIN", os.path.join(BUILD, "tests", "bench", "read_files"))

sys.path.insert(0, os.path.join(HERE, "..", "support"))
import mounting  # noqa: E402

MIB = 1 << 20
DELAY_US, BANDWIDTH, PARALLEL = 2_000, 200_000_000, 32  # the slow origin of the contract
WORKERS = 2


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def drop_caches():
    """Page cache, names and attributes of the whole machine. Data on tmpfs stays."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
        drop.write("3")


def make_files(root, count, size_bytes):
    """Sizes spread around the mean as photographs' do. Returns paths below root, in order."""
    rng, paths = random.Random(size_bytes), []
    for index in range(count):
        path = os.path.join(f"class{index * 10 // count}", f"{index:06}.jpg")
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "wb") as out:
            out.write(rng.randbytes(int(size_bytes * rng.uniform(0.7, 1.3))))
        paths.append(path)
    return paths


def read_files(root, paths, order, workers=WORKERS):
    """Whole reads of all files by `workers` processes; order: a shuffle's number, or "-". Returns
    (seconds, bytes)."""
    listing = "\0".join(paths).encode() + b"\0"
    out = subprocess.run([READ_FILES, "whole", str(workers), str(order), root], input=listing,
                         stdout=subprocess.PIPE, check=True).stdout
    nanoseconds, size = out.split()
    return int(nanoseconds) / 1e9, int(size)


class Bench:
    """A run: places on tmpfs and on disk, a Space for mounts, rows."""

    def __init__(self, options):
        self.options = options
        self.quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else 3)
        self.rows = []
        self.space = mounting.Space(parent=options.disk)
        self.ram = tempfile.mkdtemp(prefix="stokefs-bench-", dir="/dev/shm")

    def close(self):
        wrong = self.space.close()
        shutil.rmtree(self.ram, ignore_errors=True)
        for line in wrong:
            progress(f"WRONG: {line}")
        return wrong

    def slow_origin(self, folder):
        origin = self.space.slow_origin(folder)
        origin.command("parallel", PARALLEL)
        origin.command("bandwidth", BANDWIDTH)
        origin.command("open_delay_us", DELAY_US)
        return origin

    def fresh_cache(self, *names):
        """Paths of cache directories that are not there yet."""
        paths = [os.path.join(self.space.path, name) for name in names or ("cache",)]
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)
        return paths

    def row(self, name, **values):
        self.rows.append(dict(name=name, **values))

    def judge(self, name, value, target, at_most=False):
        """A target beside what was measured: value >= target, or <= with at_most."""
        met = value <= target if at_most else value >= target
        self.row(name, value=value, target=target, at_most=at_most, met=met)

    def print_rows(self):
        for row in self.rows:
            if "met" in row:
                sign = "<=" if row["at_most"] else ">="
                print(f"{row['name']:<78} {row['value']:8.2f}  {sign} {row['target']:g} "
                      f"{'met' if row['met'] else 'MISSED'}")
            elif "text" in row:
                if row["text"]:
                    print(row["text"])
            else:
                print(f"{row['name']:<78} {row['value']:10.1f} {row['unit']}")


def median(values):
    return statistics.median(values)


class Watch:
    """Seconds of a block."""

    def __enter__(self):
        self._start = time.perf_counter()
        self.seconds = 0.0
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self._start


def wait_packed(mount):
    """Until what was fetched is on disk."""
    mounting.wait_until(lambda: not mount.stats()["disk"]["pending_bytes"], 60,
                        "the end of packing")


def main(doc, parts, run, add_flags=None):
    """Parses the command line, with the flags that `add_flags` adds, and calls run(bench, part) for
    each part. Exit status 1 when something was left behind; a missed target is no failure, it
    stands in the table."""
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3, or 1 with --quick")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    parser.set_defaults(only=None)
    if len(parts) > 1:
        parser.add_argument("--only", choices=parts, action="append")
    parser.add_argument("--disk", metavar="DIR", default="/tmp", help="a folder on a local disk")
    if add_flags:
        add_flags(parser)
    options = parser.parse_args()
    reason = mounting.lack() or (None if os.geteuid() == 0 else "dropping caches needs root")
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(mounting.SKIPPED)
    bench = Bench(options)
    try:
        for part in options.only or parts:
            run(bench, part)
    finally:
        wrong = bench.close()
        bench.print_rows()
        if options.json:
            with open(options.json, "w", encoding="utf-8") as out:
                json.dump({"command": sys.argv, "cpus": os.cpu_count(),
                           "kernel": os.uname().release, "rows": bench.rows}, out, indent=2)
    sys.exit(1 if wrong else 0)
