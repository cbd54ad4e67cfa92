#!/usr/bin/python3
"""How fast the mount is, beside tmpfs, in one run.

Each row is the median of interleaved rounds (tmpfs, mount, tmpfs, mount, ...) and the ratio of the
medians. The dataset lies on tmpfs, so both sides read from memory: what is measured is the mount.

  reads   warm whole-file reads and the pattern of torchvision's loader, 112 KB and 2 KB files, by
          one and by two reading processes (tests/bench/read_files.cc), in us a file
  walk    the second walk of the tree, in us an entry
  first   seconds from the mount command to ImageFolder's first batch, 60,000 files, with a cold and
          with a kept catalog; beside the same from the plain folder

--quick: fewer files and rounds. --json FILE: all figures. --only PART: one of the three.
Programs: STOKEFS_BIN, FSCTL_BIN, READ_FILES_BIN; by default those in build/.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
STOKEFS = os.environ.get("STOKEFS_BIN", os.path.join(BUILD, "tools", "stokefs"))
READ_FILES = os.environ.get("READ_FILES_BIN", os.path.join(BUILD, "tests", "bench", "read_files"))

# (name, files, bytes): sizes spread around these as photographs' do.
DATASETS = {"112 KB": (500, 112_000), "2 KB": (5000, 1_900)}
# Least part of tmpfs's speed that is promised, by pattern and dataset.
TARGETS = {("whole", "112 KB"): 0.5, ("whole", "2 KB"): 0.65,
           ("loader", "112 KB"): 0.28, ("loader", "2 KB"): 0.18}
WALK_TARGET = 1.2  # at most this many times tmpfs's time


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.rounds = 5 if quick else 11
        self.folder = tempfile.mkdtemp(prefix="stokefs-bench-", dir="/dev/shm")
        self.mnt = os.path.join(self.folder, "mnt")
        self.cache = os.path.join(self.folder, "cache")
        os.mkdir(self.mnt)
        self.rows = []
        self.mounted = False

    def close(self):
        if self.mounted:
            self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_stokefs(self, *arguments):
        env = dict(os.environ, XDG_RUNTIME_DIR=self.folder)
        subprocess.run([STOKEFS, *arguments], env=env, check=True, stdin=subprocess.DEVNULL)

    def mount(self, source):
        self.run_stokefs("mount", source, self.mnt, "--cache-dir", self.cache, "--memory", "1GiB",
                         "--page-cache", "keep")
        self.mounted = True

    def unmount(self):
        self.run_stokefs("unmount", self.mnt)
        self.mounted = False

    def stats(self):
        with open(os.path.join(self.mnt, ".stokefs", "stats"), "rb") as stats:
            return json.loads(stats.read())

    def wait_scanned(self):
        while self.stats()["scan"]["state"] != "complete" or self.stats()["scan"]["rescanning"]:
            time.sleep(0.02)

    def add(self, part, what, unit, base, mine, ratio, target=None, met=None):
        self.rows.append(dict(part=part, what=what, unit=unit, tmpfs=base, mount=mine, ratio=ratio,
                              target=target, met=met))

    # --- reads

    def reads(self):
        for name, (count, size) in DATASETS.items():
            source = os.path.join(self.folder, "dataset " + name)
            rng = random.Random(size)
            paths = []
            for index in range(count):
                path = os.path.join(f"class{index % 10}", f"{index:05}.jpg")
                os.makedirs(os.path.dirname(os.path.join(source, path)), exist_ok=True)
                with open(os.path.join(source, path), "wb") as out:
                    out.write(rng.randbytes(int(size * rng.uniform(0.7, 1.3))))
                paths.append(path)
            listing = "\0".join(paths).encode() + b"\0"
            self.mount(source)
            self.wait_scanned()
            for pattern in ("whole", "loader"):
                for processes in (1, 2):
                    self.compare_reads(name, source, listing, count, pattern, processes)
            for pattern in ("os.open", "open"):
                self.compare_python(name, source, paths, pattern)
            self.unmount()
            shutil.rmtree(source)

    def compare_reads(self, name, source, listing, count, pattern, processes):
        repeats = 4 if self.quick else 8  # passes in a round
        progress(f"{pattern} reads of {name} files, {processes} readers")
        times = {source: [], self.mnt: []}
        for number in range(self.rounds + 1):
            for root in times:
                took = 0
                for repeat in range(repeats):
                    out = subprocess.run([READ_FILES, pattern, str(processes),
                                          str(number * repeats + repeat), root], input=listing,
                                         stdout=subprocess.PIPE, check=True).stdout
                    took += int(out.split()[0])
                if number:  # the first round fills the caches
                    times[root].append(took / 1000 / repeats / count)
        base, mine = (statistics.median(times[root]) for root in (source, self.mnt))
        target = TARGETS[pattern, name]
        self.add("reads", f"{pattern} {name}, {processes} reader{'s' * (processes > 1)}", "us/file",
                 base, mine, base / mine, f">= {target}", base / mine >= target)

    def compare_python(self, name, source, paths, pattern):
        """The same from Python, whose own share is large: for the record, without a target."""
        def by_os_open(path):
            descriptor = os.open(path, os.O_RDONLY)
            os.read(descriptor, os.fstat(descriptor).st_size)
            os.close(descriptor)

        def by_open(path):
            with open(path, "rb") as file:
                file.read()

        read = by_os_open if pattern == "os.open" else by_open
        times = {source: [], self.mnt: []}
        for number in range(self.rounds + 1):
            for root in times:
                names = [os.path.join(root, path) for path in paths]
                random.Random(number).shuffle(names)
                start = time.perf_counter()
                for path in names:
                    read(path)
                times[root].append((time.perf_counter() - start) * 1e6 / len(names))
        base, mine = (statistics.median(times[root][1:]) for root in (source, self.mnt))
        self.add("reads", f"Python {pattern} {name}, 1 reader", "us/file", base, mine, base / mine)

    # --- walk

    def walk(self):
        source = os.path.join(self.folder, "tree")
        folders, files = (20, 500) if self.quick else (60, 1000)
        for folder in range(folders):
            os.makedirs(os.path.join(source, f"class{folder:03}"))
            for index in range(files):
                os.mknod(os.path.join(source, f"class{folder:03}", f"{index:05}.jpg"))
        self.mount(source)
        self.wait_scanned()
        entries = folders * (files + 1) + 1

        def by_os_walk(root):
            for folder, _, names in os.walk(root):
                for name in names:
                    os.stat(os.path.join(folder, name))

        def by_find(root):
            subprocess.run(["find", root, "-printf", "%s%p\n"], check=True,
                           stdout=subprocess.DEVNULL)

        def by_scandir(root):  # as ImageFolder: names and kinds only
            for folder in os.scandir(root):
                for _ in os.scandir(folder.path):
                    pass

        for name, walk in (("os.walk and stat", by_os_walk), ("find -printf", by_find),
                           ("os.scandir", by_scandir)):
            progress(f"walk by {name}")
            times = {source: [], self.mnt: []}
            for number in range(self.rounds + 1):
                for root in times:
                    start = time.perf_counter()
                    walk(root)
                    if number:
                        times[root].append((time.perf_counter() - start) * 1e6 / entries)
            base, mine = (statistics.median(times[root]) for root in (source, self.mnt))
            target = None if name == "os.scandir" else f"<= {WALK_TARGET}"
            self.add("walk", f"second walk by {name}", "us/entry", base, mine, mine / base, target,
                     mine / base <= WALK_TARGET if target else None)
        self.unmount()
        shutil.rmtree(source)

    # --- first batch

    # A trainer up to its first batch. Imports first, then waits for its start.
    TRAINER = """
import sys, time
import torch
from torchvision import datasets, transforms
torch.set_num_threads(1)
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
dataset = datasets.ImageFolder(sys.argv[1], transforms.ToTensor())
scanned = time.perf_counter()
loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True, num_workers=2)
images, _ = next(iter(loader))
assert images.shape == (64, 3, 28, 28), images.shape
end = time.perf_counter()
print(len(dataset), scanned - start, end - start, flush=True)
"""

    def first(self):
        finished = subprocess.run([sys.executable, "-c", "import torch, torchvision, PIL"],
                                  stderr=subprocess.PIPE, check=False)
        if finished.returncode:
            progress("SKIPPED: first batch: torch and torchvision are lacking")
            return
        count = 6000 if self.quick else 60_000
        source = os.path.join(self.folder, "images")
        self.make_images(source, count)
        plain, cold, warm = [], [], []
        for number in range(3 if self.quick else 5):
            progress(f"first batch of {count} images, round {number + 1}")
            plain.append(self.first_batch(source))
            shutil.rmtree(self.cache, ignore_errors=True)
            for times in (cold, warm):
                times.append(self.first_batch(source, mounted=True))
                self.wait_scanned()
                self.unmount()
        base = statistics.median(total for total, _ in plain)
        for name, times in (("cold catalog", cold), ("kept catalog", warm)):
            mine = statistics.median(total for total, _ in times)
            self.add("first", f"mount to first batch, {count} files, {name}", "s", base, mine,
                     mine / base)
            mine = statistics.median(mount for _, mount in times)
            self.add("first", f"  of which the mount command, {name}", "s", 0, mine, None)
        shutil.rmtree(source)

    def first_batch(self, source, mounted=False):
        trainer = subprocess.Popen(
            [sys.executable, "-c", self.TRAINER, self.mnt if mounted else source],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert trainer.stdout.readline() == "ready\n"
        start = time.perf_counter()
        if mounted:
            self.mount(source)
        mount_seconds = time.perf_counter() - start
        trainer.stdin.write("go\n")
        trainer.stdin.flush()
        answer = trainer.stdout.readline().split()
        total = time.perf_counter() - start
        trainer.communicate()
        assert trainer.returncode == 0 and answer, "the trainer failed"
        return total, mount_seconds

    @staticmethod
    def make_images(root, count):
        """28x28 grey PNGs, as small as Fashion-MNIST's."""
        progress(f"writing {count} images")

        def piece(kind, data):
            return (struct.pack(">I", len(data)) + kind + data
                    + struct.pack(">I", zlib.crc32(kind + data)))

        rng = random.Random(1)
        head = b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
        for index in range(count):
            folder = os.path.join(root, f"class{index % 10}")
            if index < 10:
                os.makedirs(folder)
            rows = b"".join(b"\0" + rng.randbytes(14) + bytes(14) for _ in range(28))
            with open(os.path.join(folder, f"{index:05}.png"), "wb") as out:
                out.write(head + piece(b"IDAT", zlib.compress(rows, 1)) + piece(b"IEND", b""))

    # --- the table

    def print_table(self):
        form = "{:<52} {:>8} {:>10} {:>10} {:>7}  {}"
        print(form.format("", "", "tmpfs", "stokefs", "ratio", "target"))
        for row in self.rows:
            met = {None: "", True: "met", False: "MISSED"}[row["met"]]
            print(form.format(
                row["what"], row["unit"], f"{row['tmpfs']:.2f}" if row["tmpfs"] else "",
                f"{row['mount']:.2f}", f"{row['ratio']:.2f}" if row["ratio"] else "",
                f"{row['target']} {met}" if row["target"] else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--only", choices=["reads", "walk", "first"], action="append")
    options = parser.parse_args()
    bench = Bench(options.quick)
    try:
        for part in options.only or ["reads", "walk", "first"]:
            getattr(bench, part)()
    finally:
        bench.close()
    bench.print_table()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"command": sys.argv, "cpus": os.cpu_count(), "kernel": os.uname().release,
                       "rounds": bench.rounds, "rows": bench.rows}, out, indent=2)


if __name__ == "__main__":
    main()
