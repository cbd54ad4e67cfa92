"""A training script whose data loader is of a kind, as a process of its own.

It reads one line of JSON, and then, epoch after epoch, the files below each of its roots in a new
order. After each epoch it says so and goes on when it is told to. With PyTorch the workers are
those of a DataLoader, else those of a multiprocessing pool.

    {"kind": "forked" | "spawned"    workers, begun anew each epoch
           | "persistent"            workers that live until the end
           | "threads"               of this process
           | "alone",                this process itself
     "roots": [...], "epochs": 5, "seed": 1,
     "batch": 64, "drop_last": false,
     "share": 1,                     of the files below a root, the same ones in all epochs
     "step": 0}                      > 0: it also says "step" after each so many files, and waits
"""

import json
import multiprocessing
import multiprocessing.pool
import os
import random
import sys

try:
    import torch
except ImportError:
    torch = None

WORKERS = 2


def read(path):
    with open(path, "rb") as file:
        return len(file.read())


class Files(list):
    """Paths as a map-style dataset of what lies there."""

    def __getitem__(self, index):
        return read(super().__getitem__(index))


class PoolLoader:
    """What a DataLoader does, by other means."""

    def __init__(self, paths, told):
        self._paths, self._told = paths, told
        self._dice = random.Random(told["seed"])
        self._pool = None

    def __iter__(self):
        order = self._dice.sample(self._paths, len(self._paths))
        if self._told["drop_last"]:
            del order[len(order) - len(order) % self._told["batch"]:]
        kind = self._told["kind"]
        if kind == "alone":
            yield from map(read, order)
            return
        if self._pool is None:
            make = {"threads": multiprocessing.pool.ThreadPool,
                    "spawned": multiprocessing.get_context("spawn").Pool}
            self._pool = make.get(kind, multiprocessing.get_context("fork").Pool)(WORKERS)
        yield from self._pool.imap(read, order, chunksize=self._told["batch"])
        if kind in ("forked", "spawned"):
            self._pool.close()
            self._pool.join()
            self._pool = None


def loader_of(paths, told):
    if torch is None or told["kind"] in ("threads", "alone"):
        return PoolLoader(paths, told)
    return torch.utils.data.DataLoader(
        Files(paths), batch_size=told["batch"], shuffle=True, drop_last=told["drop_last"],
        num_workers=WORKERS, persistent_workers=told["kind"] == "persistent",
        multiprocessing_context="spawn" if told["kind"] == "spawned" else "fork",
        generator=torch.Generator().manual_seed(told["seed"]))


def paths_below(root, told):
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(root) for name in names)
    return random.Random(0).sample(paths, round(told["share"] * len(paths)))


def say(what):
    print(what, flush=True)
    sys.stdin.readline()


def main():
    told = json.loads(sys.stdin.readline())
    loaders = [loader_of(paths_below(root, told), told) for root in told["roots"]]
    for epoch in range(told["epochs"]):
        for loader in loaders:
            for count, _ in enumerate(loader, 1):
                if told["step"] and count % told["step"] == 0:
                    say("step")
        say(f"epoch {epoch}")


if __name__ == "__main__":
    main()
