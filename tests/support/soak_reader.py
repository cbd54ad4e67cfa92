"""A trainer of the soak test: reads and judges files until the ledger says stop, or it is killed.

It reads one line of JSON:

    {"ledger": PATH, "root": MNT, "seed": N, "compute_us": N,
     "files": [[INDEX, NAME], ...],         read in a new order each epoch, by forked workers
     "validation": [[INDEX, NAME], ...],    read in this order between epochs
     "hints": PATH | null}                  files are drawn by weights, which it tells there

and writes one line of JSON after each epoch, or as soon as something is wrong:

    {"reads": N, "refused": N, "longest": [SECONDS, NAME], "hints": N, "wrong": [TEXT, ...]}
"""

import json
import os
import random
import sys
import time

from versioned_files import Ledger, judge

WORKERS = 2
HINT_WRITERS = 3
WRONG_MAX = 5


def read(path, cold):
    """The bytes or the errno."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if cold:  # else the kernel may answer by itself
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            pieces = []
            while piece := os.read(descriptor, 1 << 20):
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno


class Reader:
    def __init__(self, told, ledger, seed):
        self._told, self._ledger, self._dice = told, ledger, random.Random(seed)
        self._report = {"reads": 0, "refused": 0, "longest": [0, ""], "hints": 0, "wrong": []}

    def read_all(self, files):
        """What was seen."""
        report = self._report
        for index, name in files:
            if self._ledger.is_stopped() or len(report["wrong"]) >= WRONG_MAX:
                break
            before = self._ledger.entry(index)
            start = time.monotonic()
            got = read(os.path.join(self._told["root"], name), cold=self._dice.random() < 0.7)
            took = time.monotonic() - start
            wrong = judge(index, got, before, self._ledger.entry(index))
            if wrong:
                report["wrong"].append(f"{name}: {wrong}")
            report["reads"] += 1
            report["refused"] += isinstance(got, int)
            report["longest"] = max(report["longest"], [took, name])
            time.sleep(self._told["compute_us"] / 1e6)  # what else a trainer does
        return report

    def tell_weights(self, files, weights):
        """Importance lines, cut at any place."""
        text = b"".join(b"importance %s %f\n" % (name.encode(), weight)
                        for (_, name), weight in zip(files, weights))
        descriptor = os.open(self._told["hints"], os.O_WRONLY)
        while text:
            text = text[os.write(descriptor, text[:self._dice.randrange(1, 8 << 10)]):]
        os.close(descriptor)
        self._report["hints"] += len(files)
        return self._report


def in_children(tasks):
    """Runs each function in a forked child. What they return."""
    children = []
    for task in tasks:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            with os.fdopen(into, "w") as pipe:
                json.dump(task(), pipe)
            os._exit(0)
        os.close(into)
        children.append((child, out))
    reports = []
    for child, out in children:
        with os.fdopen(out) as pipe:
            reports.append(json.load(pipe))
        assert os.waitpid(child, 0)[1] == 0
    return reports


def shares(items, count):
    return [items[first::count] for first in range(count)]


def main():
    told = json.loads(sys.stdin.readline())
    ledger, files = Ledger(told["ledger"]), told["files"]
    dice = random.Random(told["seed"])
    while not ledger.is_stopped():
        tasks = []
        if told["hints"]:
            weights = [dice.random() ** 4 for _ in files]
            order = dice.choices(files, weights, k=len(files))
            for some in shares(list(zip(files, weights)), HINT_WRITERS):
                writer = Reader(told, ledger, dice.random())
                tasks.append(lambda writer=writer, some=some: writer.tell_weights(*zip(*some)))
        else:
            order = dice.sample(files, len(files))
        for some in shares(order, WORKERS):
            reader = Reader(told, ledger, dice.random())
            tasks.append(lambda reader=reader, some=some: reader.read_all(some))
        reports = in_children(tasks)
        reports.append(Reader(told, ledger, dice.random()).read_all(told["validation"]))
        print(json.dumps({
            "reads": sum(report["reads"] for report in reports),
            "refused": sum(report["refused"] for report in reports),
            "longest": max(report["longest"] for report in reports),
            "hints": sum(report["hints"] for report in reports),
            "wrong": [text for report in reports for text in report["wrong"]]}), flush=True)


if __name__ == "__main__":
    main()
