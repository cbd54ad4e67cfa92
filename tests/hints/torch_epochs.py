#!/usr/bin/python3
"""Epochs as real PyTorch reads them, for the recogniser to explain.

    torch_epochs.py --golden            a few small cases, the same each time (torch_epochs.txt)
    torch_epochs.py REPLAY [COUNT SEED] random cases, told to the program REPLAY; exit 77: no torch

One line a fact, told to tests/hints/recogniser_replay.cc:
    case NAME SAMPLES SEARCHED          SEARCHED: the long search looks at seeds below it; 0: cheap
    epoch KIND SEED FIRST_OUTPUT WORLD RANK BATCH WORKERS    what is to be found
    sequence INDEX...                   of this rank, in the order of its batches
    reads READER:INDEX...               as the daemon would see them
    end                                 of a case
"""

import os
import random
import subprocess
import sys

try:
    import torch
    from torch.utils.data import DataLoader, RandomSampler
    from torch.utils.data.distributed import DistributedSampler
except ImportError as error:
    print(f"skipped: no torch for {sys.executable}: {error}")
    sys.exit(77)


class Indices(torch.utils.data.Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        worker = torch.utils.data.get_worker_info()
        return (worker.id if worker else 0, index)


def keep(samples):
    return samples


def tell(out, name, fact):
    out.write(" ".join([name, *map(str, fact)]) + "\n")


class Job:
    """One case: epochs of a loader, and threads whose ids live as long as its workers."""

    def __init__(self, out, rand, name, samples, searched, loader, persistent):
        self.out, self.rand, self.loader, self.persistent = out, rand, loader, persistent
        self.samples, self.first_thread = samples, 1000
        tell(out, "case", [name.replace(" ", "-"), samples, searched])

    def epoch(self, kind, seed, first_output, world=1, rank=0):
        loader = self.loader
        tell(self.out, "epoch", [kind, seed & 0xffffffff, first_output, world, rank,
                                 loader.batch_size, max(1, loader.num_workers)])
        batches = list(loader)
        tell(self.out, "sequence", [index for batch in batches for _, index in batch])
        # Workers run side by side: any interleaving of a round of batches.
        reads, width = [], max(1, loader.num_workers)
        for begin in range(0, len(batches), width):
            queues = [list(batch) for batch in batches[begin:begin + width]]
            while queues:
                queue = self.rand.choice(queues)
                worker, index = queue.pop(0)
                reads.append(f"{self.first_thread + worker}:{index}")
                queues = [queue for queue in queues if queue]
        tell(self.out, "reads", reads)
        if not self.persistent and loader.num_workers:
            self.first_thread += 100

    def end(self):
        tell(self.out, "end", [])


def shape(rand, samples, small):
    workers = rand.choice([0, 2] if small else [0, 1, 2, 3])
    persistent = workers > 0 and rand.random() < 0.4
    return dict(batch_size=rand.randint(4, 24) if small else rand.randint(2, max(2, min(256, samples // 30))),
                num_workers=workers, persistent_workers=persistent, collate_fn=keep,
                drop_last=rand.random() < 0.3)


def distributed(out, rand, samples, epochs, small):
    world = rand.randint(1, max(1, min(1024, samples // 40)))
    rank, seed = rand.randrange(world), rand.randrange(0, 9990)
    set_epoch = rand.random() < 0.8
    data = Indices(samples)
    sampler = DistributedSampler(data, num_replicas=world, rank=rank, seed=seed,
                                 drop_last=rand.random() < 0.5)
    form = shape(rand, samples // world, small)
    job = Job(out, rand, "DistributedSampler", samples, 0,
              DataLoader(data, sampler=sampler, **form), form["persistent_workers"])
    for epoch in range(epochs):
        if set_epoch:
            sampler.set_epoch(epoch)
        job.epoch("seeded", seed + (epoch if set_epoch else 0), 0, world, rank)
    job.end()


def unshuffled(out, rand, samples, epochs, small):
    world = rand.randint(1, 4)
    rank = rand.randrange(world)
    data = Indices(samples)
    sampler = DistributedSampler(data, num_replicas=world, rank=rank, shuffle=False)
    form = shape(rand, samples // world, small)
    job = Job(out, rand, "DistributedSampler(shuffle=False)", samples, 0,
              DataLoader(data, sampler=sampler, **form), form["persistent_workers"])
    for _ in range(epochs):
        job.epoch("sequential", 0, 0, world, rank)
    job.end()


def loader_generator(out, rand, samples, epochs, small):
    seed, data = rand.randrange(10001), Indices(samples)
    generator = torch.Generator()
    generator.manual_seed(seed)
    form = shape(rand, samples, small)
    job = Job(out, rand, "DataLoader(generator=g)", samples, 0,
              DataLoader(data, shuffle=True, generator=generator, **form),
              form["persistent_workers"])
    gap = 2 * (samples - 1) + (0 if form["persistent_workers"] else 2)
    for epoch in range(epochs):
        job.epoch("loader-generator", seed, 2 + epoch * gap)
    job.end()


def sampler_generator(out, rand, samples, epochs, small):
    seed, data = rand.randrange(10001), Indices(samples)
    generator = torch.Generator()
    afresh = rand.random() < 0.5
    generator.manual_seed(seed)
    form = shape(rand, samples, small)
    sampler = RandomSampler(data, generator=generator)
    job = Job(out, rand, "RandomSampler(generator=g)", samples, 0,
              DataLoader(data, sampler=sampler, **form), form["persistent_workers"])
    for epoch in range(epochs):
        if afresh:
            generator.manual_seed(seed + epoch)
            job.epoch("seeded", seed + epoch, 0)
        else:
            job.epoch("seeded", seed, epoch * 2 * (samples - 1))
    job.end()


def next_sampler_seed(draws_base_seed=True):
    """The low half of the seed that the next unseeded loader's sampler gets."""
    generator = torch.Generator()
    generator.set_state(torch.get_rng_state())
    if draws_base_seed:
        torch.empty((), dtype=torch.int64).random_(generator=generator)
    return torch.empty((), dtype=torch.int64).random_(generator=generator).item() & 0xffffffff


def unseeded(out, rand, samples, epochs, small, searched=1 << 22, drawn=False):
    """Nothing told to the loader; its first sampler seed lies among those that are searched."""
    data = Indices(samples)
    if drawn:  # a small seed, and a model's initialisation before the first epoch
        torch.manual_seed(rand.randrange(64))
        torch.rand(rand.randrange(1000, 3_000_000))
        while next_sampler_seed() >= searched:
            torch.rand(1)
    else:
        while True:
            torch.manual_seed(rand.randrange(10_001, min(searched, 1 << 32)))
            if next_sampler_seed() < searched:
                break
    form = shape(rand, samples, small)
    job = Job(out, rand, "DataLoader(shuffle=True)" + ("+drawn" if drawn else ""), samples,
              searched, DataLoader(data, shuffle=True, **form), form["persistent_workers"])
    validation = DataLoader(Indices(10), collate_fn=keep) if rand.random() < 0.5 else None
    for epoch in range(epochs):
        fresh = epoch == 0 or not form["persistent_workers"]
        job.epoch("default-generator", next_sampler_seed(draws_base_seed=fresh), 0)
        if validation:
            list(validation)
    job.end()


def early_seeded(out, rand, samples, epochs, small):
    """manual_seed small, and the loader is the first to draw: no search is needed."""
    torch.manual_seed(rand.randrange(10_001))
    data, form = Indices(samples), shape(rand, samples, small)
    job = Job(out, rand, "DataLoader(shuffle=True)+seeded", samples, 0,
              DataLoader(data, shuffle=True, **form), form["persistent_workers"])
    job.epoch("default-generator", next_sampler_seed(), 0)
    job.end()


KINDS = [distributed, unshuffled, loader_generator, sampler_generator, early_seeded, unseeded,
         lambda *case: unseeded(*case, drawn=True)]


def write_golden(out):
    rand = random.Random(6)
    for kind in KINDS:
        samples = rand.randint(80, 120)
        if kind is distributed:
            samples = 200
        kind(out, rand, samples, 3, True)


def replay(program, count, seed):
    print(f"seed {seed}, torch {torch.__version__}", flush=True)
    rand = random.Random(seed)
    with subprocess.Popen([program], stdin=subprocess.PIPE, text=True) as process:
        try:
            for number in range(count):
                samples = int(10 ** rand.uniform(2.2, 4.6))
                KINDS[number % len(KINDS)](process.stdin, rand, samples, 3, False)
            process.stdin.close()
        except BrokenPipeError:
            pass
        return process.wait()


def main(arguments):
    torch.set_num_threads(1)
    if arguments == ["--golden"]:
        write_golden(sys.stdout)
        return 0
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    count = int(arguments[1]) if len(arguments) > 1 else 2 * len(KINDS)
    seed = int(arguments[2]) if len(arguments) > 2 else int.from_bytes(os.urandom(4), "little")
    return replay(arguments[0], count, seed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
