#!/usr/bin/python3
"""What writing hints costs those who read, in one run: the latency of reads that memory answers.

A process reads 2,000 files of 10 KB again and again, each READ through the daemon, while

  alone    nothing else happens
  spin     another process computes: what a second busy process costs by itself
  hints    another process writes 1,000,000 importances by index to MNT/.stokefs/hints, with a sleep
           of as long as that took between two of them (a trainer trains, too)

Rounds of the three are interleaved; a row is the median over the rounds of a round's median and 99th
percentile, and their ratios to those alone. Each round also says how long the million took.

--quick: fewer rounds. --json FILE: all figures. --rounds N.
"""

import os
import subprocess
import sys

import side_by_side
from side_by_side import make_files, median, progress, read_files

FILES, SIZE = 2000, 10_000
VALUES = 1_000_000
SECONDS = 4  # of a round
KINDS = ("alone", "spin", "hints")
# Prints the latencies of so many seconds' reads, in ns, one a line.
READER = """
import os, sys, time
root, seconds = sys.argv[1], float(sys.argv[2])
paths = [os.path.join(at, name) for at, _, names in os.walk(root) for name in names]
took, end, i = [], time.monotonic() + seconds, 0
while time.monotonic() < end:
    descriptor = os.open(paths[i % len(paths)], os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter_ns()
    os.read(descriptor, 1 << 17)
    took.append(time.perf_counter_ns() - start)
    os.close(descriptor)
    i += 1
print("\\n".join(map(str, took)))
"""
SPINNER = "while True: pass"
# Says how long each million took.
WRITER = """
import os, sys, time
text = "".join(f"importance #{i % int(sys.argv[2])} 0.{i:07}\\n" for i in range(int(sys.argv[3])))
text = text.encode()
print("ready", flush=True)
sys.stdin.readline()
while True:
    start = time.monotonic()
    with open(sys.argv[1], "wb", buffering=0) as file:
        at = 0
        while at < len(text):
            at += file.write(text[at:at + (8 << 20)])
    took = time.monotonic() - start
    print(took, flush=True)
    time.sleep(took)
"""


def company(space, kind):
    """The process that runs beside the reader; none for `alone`."""
    if kind == "alone":
        return None
    words = ["-c", SPINNER]
    if kind == "hints":
        words = ["-c", WRITER, os.path.join(space.mnt, ".stokefs", "hints"), str(FILES),
                 str(VALUES)]
    process = space.start([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if kind == "hints":
        process.stdout.readline()  # its text is made
        process.stdin.write(b"\n")
        process.stdin.flush()
    return process


def one_round(space, kind):
    """(p50, p99) of the reads in us, and the seconds of a million values or None."""
    beside = company(space, kind)
    out = subprocess.run([sys.executable, "-c", READER, space.mnt, str(SECONDS)],
                         stdout=subprocess.PIPE, check=True).stdout
    took = None
    if beside:
        beside.kill()
        lines = beside.stdout.read().split()
        took = median([float(line) for line in lines]) if lines else None
        beside.wait()
    latencies = sorted(int(line) / 1e3 for line in out.split())
    return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100], took


def run(bench, _part):
    space = bench.space
    root = os.path.join(bench.ram, "dataset")
    paths = make_files(root, FILES, SIZE)
    space.mount("--disk", "0", "--page-cache", "drop", source=root).wait_settled()
    read_files(space.mnt, paths, 1)
    found = {kind: [] for kind in KINDS}
    for turn in range(bench.rounds):
        for kind in KINDS:
            progress(f"round {turn + 1}: {kind}")
            found[kind].append(one_round(space, kind))
    percentiles = {kind: [median([one[i] for one in found[kind]]) for i in (0, 1)]
                   for kind in KINDS}
    for kind in KINDS:
        p50, p99 = percentiles[kind]
        ratios = [mine / alone for mine, alone in zip(percentiles[kind], percentiles["alone"])]
        bench.row(kind, p50_us=p50, p99_us=p99, p50_ratio=ratios[0], p99_ratio=ratios[1],
                  text=f"{kind:6} p50 {p50:7.1f} us ({ratios[0]:.2f} of alone)   "
                       f"p99 {p99:7.1f} us ({ratios[1]:.2f})")
    bench.judge("seconds of a million values", median([one[2] for one in found["hints"]]), 2,
                at_most=True)
    bench.judge("p99 beside hints / p99 alone", percentiles["hints"][1] / percentiles["alone"][1],
                1.2, at_most=True)
    bench.judge("p99 beside hints / p99 beside a process that computes",
                percentiles["hints"][1] / percentiles["spin"][1], 1.2, at_most=True)


if __name__ == "__main__":
    side_by_side.main(__doc__, ["hints"], run)
