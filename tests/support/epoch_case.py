"""What the tests of epochs share: a dataset of small files, a mount with little memory, and a look
at the jobs that it has seen.

    class Epochs(epoch_case.EpochTestCase):
        def test_x(self):
            self.mount_small(self.files())
            reads = self.follow(Trainer(self.space, self.space.mnt, epochs=5), 5)
            job = self.job("", 5)
            self.assertGreaterEqual(self.steady_hits(job), 0.50)
"""

import os
import random
import sys

import mounting
from mounting import pattern, wait_until, write_file


class EpochTestCase(mounting.MountTestCase):
    count = 6000  # of files

    def files(self, top="", count=None, folders=10):
        """So many below `top`. Returns their bytes."""
        sizes = random.Random(3)
        total = 0
        for index in range(count or self.count):
            path = os.path.join(self.space.source, top, f"class{index % folders}", f"{index:05}")
            size = sizes.randrange(8 << 10, 16 << 10)
            write_file(path, pattern(size, f"{top}{index}"))
            total += size
        return total

    def mount_small(self, total, share=0.2):
        # No disk tier, and no page cache behind which reads could hide.
        self.mount = self.space.mount("--disk", "0", "--page-cache", "drop", "--memory",
                                      str(int(total * share))).wait_settled()

    def follow(self, trainer, epochs):
        """Lets the trainer read so many epochs. What the origin read in each but the first."""
        reads = []
        for epoch in range(epochs):
            trainer.wait_epoch()
            reads.append(self.mount.stats()["origin"]["reads"])
            if epoch + 1 < epochs:
                trainer.go_on()
        return [after - before for before, after in zip(reads, reads[1:])]

    def job(self, root, epochs, whole=0.97):
        """The one job of `root`, when it has read so many epochs."""
        def found():
            jobs = [job for job in self.mount.stats()["jobs"] if job["root"] == root]
            # A few files the kernel still had, and answered by itself.
            done = [job for job in jobs
                    if sum(epoch["progress"] > whole for epoch in job["epochs"]) >= epochs]
            return done and jobs
        try:
            jobs = wait_until(found, 10, f"{epochs} epochs of {root!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; jobs: {self.mount.stats()['jobs']}") from None
        self.assertEqual(1, len(jobs), jobs)
        return jobs[0]

    def steady_hits(self, job, count=3, whole=0.97):
        """The mean of the last epochs: of one, chance alone moves it by 0.006."""
        ratios = [epoch["hit_ratio"] for epoch in job["epochs"] if epoch["progress"] > whole]
        mean = sum(ratios[-count:]) / count
        print(f"{job['name']}: hits {mean:.3f}", file=sys.stderr)
        return mean
