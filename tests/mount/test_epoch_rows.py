"""The mount hits what stokesim says, for each size of memory, and its figures tell of all reads."""

import json
import os
import random
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import pattern, wait_until, write_file  # noqa: E402
from trainer import Trainer  # noqa: E402

STOKESIM = os.environ.get("STOKESIM_BIN", "stokesim")
COUNT = 6000
ROWS = (0.1, 0.2, 0.3, 0.5, 0.75)
# Of one epoch chance alone moves the hit ratio by 0.006; of so many, by 0.0025.
STEADY = 6
EPOCHS = 1 + STEADY
SEEDS = 16


def simulated(chunk_samples, memory):
    """What stokesim says of such a dataset: the mean over SEEDS seeds."""
    words = [STOKESIM, "epochs", "--json", "--policy", "stokefs", "--samples", str(COUNT),
             "--chunk-samples", str(chunk_samples), "--memory", str(memory), "--seed"]
    rows = [json.loads(subprocess.run(words + [str(seed)], stdout=subprocess.PIPE,
                                      check=True).stdout)[0] for seed in range(SEEDS)]
    return sum(row["hit_ratio"] for row in rows) / SEEDS


class MemoryWatch:
    """Polls what of memory is no sample's bytes, until its end. Context manager."""

    def __init__(self, mount):
        self._mount, self._done = mount, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.costs = []  # what slots waste and what is under way, as shares of --memory
        self.idles = []  # what is free

    def _run(self):
        while not self._done.wait(0.02):
            memory = self._mount.stats()["tiers"]["memory"]
            used, budget = memory["used_bytes"], memory["budget_bytes"]
            self.costs.append((used - memory["payload_bytes"]) / budget)
            self.idles.append((budget - used) / budget)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


class EpochRows(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        sizes = random.Random(3)
        self.total = 0
        for index in range(COUNT):
            size = sizes.randrange(8 << 10, 16 << 10)
            write_file(os.path.join(self.space.source, f"class{index % 10}", f"{index:05}"),
                       pattern(size, index))
            self.total += size

    def check_row(self, memory, chunk_samples):
        # No disk tier, and no page cache behind which reads could hide.
        mount = self.space.mount("--disk", "0", "--page-cache", "drop", "--chunk-samples",
                                 str(chunk_samples), "--memory", str(int(self.total * memory)))
        try:
            self.judge_row(memory, mount.wait_settled())
        finally:
            mount.unmount()

    def judge_row(self, memory, mount):
        seen = []  # statistics after each epoch
        trainer = Trainer(self.space, self.space.mnt, EPOCHS)
        trainer.wait_epoch()  # memory was filled
        seen.append(mount.stats())
        with MemoryWatch(mount) as watch:
            for _ in range(STEADY):
                trainer.go_on()
                trainer.wait_epoch()
                seen.append(mount.stats())

        def epochs():
            job, = mount.stats()["jobs"]
            done = [epoch for epoch in job["epochs"] if epoch["progress"] > 0.97]
            return len(done) == EPOCHS and done
        ratios = [epoch["hit_ratio"] for epoch in wait_until(epochs, 10, f"{EPOCHS} epochs")]
        hits = sum(ratios[-STEADY:]) / STEADY
        chunks = seen[-1]["dataset"]["chunks"]
        expected = simulated(round(COUNT / chunks), memory)
        fetched = (seen[-1]["origin"]["reads"] - seen[0]["origin"]["reads"]) / STEADY / COUNT
        print(f"memory {memory:4}, {chunks} chunks, each {1 / chunks / memory:.1%} of it: hits "
              f"{hits:.3f}, stokesim {expected:.3f}; origin reads a sample {fetched:.3f}; slot "
              f"waste and under way {max(watch.costs):.1%} at most, "
              f"{sum(watch.costs) / len(watch.costs):.1%} on average; free "
              f"{sum(watch.idles) / len(watch.idles):.1%} on average", file=sys.stderr)
        self.assertAlmostEqual(expected, hits, delta=0.02)
        self.assertLessEqual(max(watch.costs), 0.05)
        for before, after in zip(seen, seen[1:]):
            # READs of a sample's first byte, and the bytes of all READs: none goes unseen, none
            # comes twice.
            reads = after["reads"]["samples"] - before["reads"]["samples"]
            self.assertAlmostEqual(1, reads / COUNT, delta=0.01)
            size = after["reads"]["bytes"] - before["reads"]["bytes"]
            self.assertAlmostEqual(1, size / self.total, delta=0.01)
            self.assertEqual(before["reads"]["errors"], after["reads"]["errors"])

    def test_each_size_of_memory_hits_what_the_simulator_says(self):
        for memory in ROWS:
            with self.subTest(memory=memory):
                self.check_row(memory, chunk_samples=128)

    def test_chunks_of_a_third_of_memory_are_refilled_in_parts(self):
        self.check_row(0.1, chunk_samples=1024)  # --chunk-bytes bounds them


if __name__ == "__main__":
    mounting.main()
