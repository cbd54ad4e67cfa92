"""Memory follows the epochs of whoever shuffles, and nobody told the mount anything."""

import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from epoch_case import EpochTestCase  # noqa: E402
import mounting  # noqa: E402
from mounting import limit, wait_until  # noqa: E402
from trainer import Trainer  # noqa: E402

COUNT = 6000


class Epochs(EpochTestCase):
    count = COUNT

    def test_a_shuffled_epoch_hits_nearly_all_that_is_possible(self):
        self.mount_small(self.files())
        reads = self.follow(Trainer(self.space, self.space.mnt, epochs=5), 5)
        job = self.job("", 5)
        self.assertEqual(COUNT, job["epochs"][-1]["samples"])
        self.assertTrue(job["active"])
        self.assertGreaterEqual(self.steady_hits(job), 0.50)  # of 0.522 that are possible
        print(f"origin reads a sample: {sum(reads[-3:]) / 3 / COUNT:.3f}", file=sys.stderr)
        self.assertLessEqual(sum(reads[-3:]) / 3 / COUNT, 0.82)

    def test_a_validation_pass_between_epochs_costs_the_training_little(self):
        total = self.files("train")
        self.files("val", count=COUNT // 4)
        self.mount_small(total)
        train, val = (os.path.join(self.space.mnt, name) for name in ("train", "val"))
        self.follow(Trainer(self.space, train, epochs=5, validation=val), 5)
        job = self.job("train", 5)
        self.assertEqual(COUNT, job["epochs"][-1]["samples"])
        self.assertGreaterEqual(self.steady_hits(job), 0.50 - 0.03)
        # Read in order, the validation files are nobody's epochs.
        self.assertEqual(["train"], [job["root"] for job in self.mount.stats()["jobs"]])

    def test_a_copy_beside_it_costs_the_training_little(self):
        self.mount_small(self.files())
        trainer = Trainer(self.space, self.space.mnt, epochs=5)
        copies = []
        for epoch in range(5):
            trainer.wait_epoch()
            if epoch + 1 == 5:
                break
            copies.append(self.space.start(
                ["cp", "-r", self.space.mnt, os.path.join(self.space.path, f"copy{epoch}")],
                stderr=subprocess.DEVNULL))
            trainer.go_on()
        for copy in copies:
            copy.wait(limit(60))
        jobs = self.mount.stats()["jobs"]
        self.assertEqual(1, len(jobs), jobs)
        # What a copy has just read the kernel may answer by itself.
        self.assertGreaterEqual(self.steady_hits(jobs[0], whole=0.5), 0.50 - 0.03, jobs)

    def test_a_trainer_that_starts_anew_in_mid_epoch_is_a_new_job(self):
        self.mount_small(self.files())
        first = Trainer(self.space, self.space.mnt, epochs=5)
        self.follow(first, 2)
        first.go_on()
        before = self.mount.stats()["reads"]["samples"]
        wait_until(lambda: self.mount.stats()["reads"]["samples"] > before + COUNT // 3, 30,
                   "a third of an epoch")
        os.killpg(first.process.pid, signal.SIGKILL)  # its workers too
        first.process.wait()
        # That the first one is gone is seen after a second: not before its second epoch here.
        self.follow(Trainer(self.space, self.space.mnt, epochs=5, seed=2), 5)
        wait_until(lambda: [job["active"] for job in self.mount.stats()["jobs"]] == [False, True],
                   10, "the end of the first job")
        last = self.mount.stats()["jobs"][1]
        self.assertGreaterEqual(self.steady_hits(last), 0.50)

    def test_two_jobs_out_of_phase_each_hit_what_half_of_memory_gives(self):
        self.mount_small(self.files())
        trainers = [Trainer(self.space, self.space.mnt, epochs=6, seed=seed) for seed in (1, 2)]
        for epoch in range(6):  # at a pace of their own, but neither ends long before the other
            for trainer in trainers:
                trainer.wait_epoch()
            if epoch < 5:
                for trainer in trainers:
                    trainer.go_on()
        jobs = [job for job in self.mount.stats()["jobs"]]
        self.assertEqual(2, len(jobs), jobs)
        for job in jobs:
            self.assertGreaterEqual(self.steady_hits(job), 0.330 - 0.02)

    def test_who_draws_by_weights_told_has_what_is_drawn_most_kept(self):
        total = self.files()
        self.mount_small(total)
        paths = sorted(os.path.join(at, name) for at, _, names in os.walk(self.space.mnt)
                       for name in names)
        weights = [1 / (1 + rank) ** 0.9 for rank in range(COUNT)]  # Zipf
        random.Random(5).shuffle(weights)
        with open(os.path.join(self.space.mnt, ".stokefs", "hints"), "w") as hints:
            for path, weight in zip(paths, weights):
                hints.write(f"importance {os.path.relpath(path, self.space.mnt)} {weight}\n")
        trainer = Trainer(self.space, self.space.mnt, epochs=6, weights=weights)
        misses = []
        for epoch in range(6):
            trainer.wait_epoch()
            reads = self.mount.stats()["reads"]
            misses.append(reads["samples"] - reads["memory"])
            if epoch < 5:
                trainer.go_on()
        jobs = self.mount.stats()["jobs"]
        self.assertEqual(1, len(jobs), jobs)
        # What the best set that never changes would hit.
        room, best = total * 0.2, 0
        for weight, size in sorted(((w, os.path.getsize(p)) for w, p in zip(weights, paths)),
                                   key=lambda pair: pair[0] / pair[1], reverse=True):
            if room < size:
                break
            room, best = room - size, best + weight / sum(weights)
        # A sample drawn again at once the kernel may answer by itself: of all draws, what waited.
        hits = 1 - (misses[-1] - misses[-4]) / (3 * COUNT)
        print(f"hits {hits:.3f}, the best set {best:.3f}", file=sys.stderr)
        self.assertGreaterEqual(hits, 0.97 * best)


if __name__ == "__main__":
    mounting.main()
