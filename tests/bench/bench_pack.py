#!/usr/bin/python3
"""How fast `stokefs pack` writes, beside dd on the same disk in the same run; how soon a packed
dataset of a million samples is there.

The source lies on tmpfs, OUT on the disk of --folder. Each round writes the dataset's amount by
`dd bs=4M conv=fsync`, by dd with O_DIRECT as well, by tar into one file with fsync, and by stokefs
pack; printed are the medians in MB/s and the ratio of pack's to dd's with fsync. Small files cost
more to open than to write, so for them tar is the measure.

  pack    112 KB files, 2 KB files, and files of 300 MB
  mount   1,000,000 samples in 1,000 folders, three levels deep: seconds of the mount command, and
          until a look-up of a random path has answered as well; without a kept catalog

--quick: smaller, fewer rounds, 100,000 samples. --json FILE: all figures. --only PART.
Programs: STOKEFS_BIN; by default that in build/.
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
STOKEFS = os.environ.get("STOKEFS_BIN", os.path.join(HERE, "..", "..", "build", "tools", "stokefs"))

# (name, files, bytes each, least part of dd's speed that is promised)
DATASETS = [("112 KB", 9000, 112_000, 0.8), ("2 KB", 100_000, 2_000, None),
            ("300 MB", 4, 300_000_000, 0.8)]
MOUNT_SECONDS_MAX = 1.0


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, quick, folder):
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.memory = tempfile.mkdtemp(prefix="stokefs-bench-", dir="/dev/shm")
        self.disk = tempfile.mkdtemp(prefix="stokefs-bench-", dir=folder)
        self.rows = []
        self.mounted = None

    def close(self):
        if self.mounted:
            self.stokefs("unmount", self.mounted)
        for folder in (self.memory, self.disk):
            shutil.rmtree(folder, ignore_errors=True)

    def stokefs(self, *arguments):
        env = dict(os.environ, XDG_RUNTIME_DIR=self.memory)
        done = subprocess.run([STOKEFS, *arguments], env=env, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
        return done.stdout

    def dd(self, size, *more):
        """MB/s of writing so many bytes."""
        path = os.path.join(self.disk, "dd")
        pieces = max(1, round(size / (4 << 20)))
        start = time.monotonic()
        subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4M", f"count={pieces}",
                        "conv=fsync", *more], check=True, stderr=subprocess.DEVNULL)
        took = time.monotonic() - start
        os.remove(path)
        return pieces * (4 << 20) / took / 1e6

    def tar(self, source, size):
        path = os.path.join(self.disk, "tar")
        start = time.monotonic()
        subprocess.run(f"tar -C {source} -cf - . | dd of={path} bs=4M iflag=fullblock conv=fsync",
                       shell=True, check=True, stderr=subprocess.DEVNULL)
        took = time.monotonic() - start
        os.remove(path)
        return size / took / 1e6

    def pack(self, source):
        out = os.path.join(self.disk, "out")
        start = time.monotonic()
        sums = json.loads(self.stokefs("pack", source, out, "--json"))
        took = time.monotonic() - start
        shutil.rmtree(out)
        return sums["bytes"] / took / 1e6

    def packs(self):
        for name, count, size, target in DATASETS:
            if self.quick:
                count = max(2, count // 4)
            source = os.path.join(self.memory, "source")
            blob = os.urandom(size + 65536)
            for i in range(count):
                folder = os.path.join(source, f"{i // 1000:04}")
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, f"{i:07}.jpg"), "wb") as out:
                    out.write(memoryview(blob)[i * 13 % 65536:][:size])
            progress(f"packing {count} files of {name}")
            figures = {"dd": [], "dd direct": [], "tar": [], "pack": []}
            for _ in range(self.rounds):
                figures["dd"].append(self.dd(count * size))
                figures["dd direct"].append(self.dd(count * size, "oflag=direct"))
                figures["tar"].append(self.tar(source, count * size))
                figures["pack"].append(self.pack(source))
            shutil.rmtree(source)
            medians = {what: statistics.median(values) for what, values in figures.items()}
            ratio = medians["pack"] / medians["dd"]
            self.rows.append({"part": "pack", "what": f"{count} files of {name}", **medians,
                              "ratio": ratio, "target": target,
                              "met": None if target is None else ratio >= target})

    def mounts(self):
        folders, names = 1000, 100 if self.quick else 1000
        source = os.path.join(self.memory, "source")
        progress(f"a source of {folders * names} samples")
        # Names of few files, because a million files would take 4 GiB of memory.
        os.makedirs(source)
        for i in range(names):
            with open(os.path.join(source, f"{i:04}"), "wb") as out:
                out.write(b"%d" % i * 20)
        paths = []
        for f in range(folders):
            folder = f"train/{f // 100}/{f % 100:03}"
            os.makedirs(os.path.join(source, folder))
            for i in range(names):
                os.link(os.path.join(source, f"{i:04}"), os.path.join(source, folder, f"{i:04}"))
            paths.append(folder)
        out = os.path.join(self.disk, "out")
        progress("packing it")
        sums = json.loads(self.stokefs("pack", source, out, "--json"))
        shutil.rmtree(source)
        mounted, answered = [], []
        mnt = os.path.join(self.memory, "mnt")
        os.mkdir(mnt)
        for _ in range(self.rounds):
            path = os.path.join(random.choice(paths), f"{random.randrange(names):04}")
            cache = os.path.join(self.disk, "cache")
            start = time.monotonic()
            self.stokefs("mount", "packed:" + out, mnt, "--cache-dir", cache, "--memory", "256MiB")
            self.mounted = mnt
            mounted.append(time.monotonic() - start)
            os.stat(os.path.join(mnt, path))
            answered.append(time.monotonic() - start)
            self.stokefs("unmount", mnt)
            self.mounted = None
            shutil.rmtree(cache)
        self.rows.append({"part": "mount", "what": f"{sums['samples']} samples packed",
                          "packed in s": sums["seconds"], "mounted in s": statistics.median(mounted),
                          "answered in s": statistics.median(answered),
                          "worst answer in s": max(answered), "target": MOUNT_SECONDS_MAX,
                          "met": max(answered) < MOUNT_SECONDS_MAX})

    def print(self):
        for row in self.rows:
            shown = [f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in row.items() if key not in ("part", "what", "met")]
            verdict = {None: "", True: "  met", False: "  NOT MET"}[row["met"]]
            print(f"{row['part']:6} {row['what']:28} " + "  ".join(shown) + verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", help="on the disk to be measured; default: the temporary one")
    parser.add_argument("--json")
    parser.add_argument("--only", choices=("pack", "mount"))
    options = parser.parse_args()
    bench = Bench(options.quick, options.folder)
    try:
        if options.only != "mount":
            bench.packs()
        if options.only != "pack":
            bench.mounts()
    finally:
        bench.close()
    bench.print()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(bench.rows, out, indent=2)
    return 0 if all(row["met"] is not False for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
