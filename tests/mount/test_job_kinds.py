"""Readers of every kind are told apart: who is one job, where its epochs end, who is none."""

import math
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from epoch_case import EpochTestCase  # noqa: E402
import mounting  # noqa: E402
from mounting import limit  # noqa: E402
from trainer import Loader, Trainer  # noqa: E402

COUNT = 4000
EPOCHS = 5
HITS = 0.48  # of 0.522 that a fifth of the dataset can hit


def bound(share):
    """The most that shuffled epochs can hit with memory for this share of the dataset."""
    return share * (1 + math.log(1 / share)) if share < 1 else 1.0


def lack_of_namespaces():
    """Why no process can be put into a pid namespace of its own here; None when one can."""
    try:
        tried = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False,
                               stderr=subprocess.PIPE, timeout=limit(10))
    except FileNotFoundError:
        return "unshare is lacking"
    return tried.stderr.decode().strip() if tried.returncode else None


class JobKinds(EpochTestCase):
    count = COUNT

    def load(self, kind, **told):
        return Loader(self.space, kind, [self.space.mnt], EPOCHS, **told)

    def check_one_job(self, loader, whole=0.97):
        """It reads EPOCHS epochs: one job, each of them counted, hits as they should be."""
        self.follow(loader, EPOCHS)
        job = self.job("", EPOCHS, whole)
        self.assertEqual(1, len(self.mount.stats()["jobs"]), self.mount.stats()["jobs"])
        self.check_epochs(job, whole)
        self.assertGreaterEqual(self.steady_hits(job, whole=whole), HITS, job)
        return job

    def check_epochs(self, job, whole=0.97):
        """As many as were read, and all of them whole."""
        self.assertEqual(list(range(EPOCHS)), [epoch["index"] for epoch in job["epochs"]], job)
        self.assertGreater(min(epoch["progress"] for epoch in job["epochs"]), whole, job)
        self.assertTrue(job["active"])

    # --- loaders

    def test_workers_forked_each_epoch_are_one_job(self):
        self.mount_small(self.files())
        self.check_one_job(self.load("forked"))

    def test_workers_spawned_each_epoch_are_one_job(self):
        self.mount_small(self.files())
        self.check_one_job(self.load("spawned"))

    def test_workers_that_live_on_are_one_job(self):
        self.mount_small(self.files())
        self.check_one_job(self.load("persistent"))

    def test_threads_of_one_process_are_one_job(self):
        self.mount_small(self.files())
        self.check_one_job(self.load("threads"))

    # --- namespaces

    def need_namespaces(self):
        reason = lack_of_namespaces()
        if reason:
            self.skipTest(reason)

    def test_workers_in_a_pid_namespace_below_the_daemon_s_are_one_job(self):
        self.need_namespaces()
        self.mount_small(self.files())
        words = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        self.check_one_job(self.load("forked", words=words))

    def test_readers_whom_the_daemon_s_pid_namespace_does_not_hold_are_a_job(self):
        # FUSE gives the daemon no thread id of theirs.
        self.need_namespaces()
        self.mount_in_namespace(self.files())
        job = self.check_one_job(self.load("forked"))
        self.assertEqual("unknown", job["name"])
        # The pid that the daemon knows of itself is another's here, so `unmount` would wait for it.
        subprocess.run(["fusermount3", "-u", self.space.mnt], check=True, timeout=limit(10))
        self.mount.wait_gone()

    def mount_in_namespace(self, total):
        flags = ("--disk", "0", "--page-cache", "drop", "--memory", str(int(total * 0.2)))
        words = ("unshare", "--pid", "--fork", "--kill-child")
        self.mount = self.space.mount_foreground(*flags, words=words).wait_settled()

    # --- what is read of an epoch

    def test_epochs_that_drop_the_last_batch_are_counted(self):
        # Of each, 100 samples of 4000 are not read.
        self.mount_small(self.files())
        self.check_one_job(self.load("forked", batch=300, drop_last=True))

    def test_epochs_over_a_subset_are_counted(self):
        self.mount_small(self.files())
        self.follow_subset()

    def test_epochs_over_a_subset_hit_what_memory_holds_of_it(self):
        self.mount_small(self.files())
        job = self.follow_subset()
        # Less than bound(0.2 / 0.6) would be for who knew the subset beforehand.
        self.assertGreaterEqual(self.steady_hits(job, whole=0.59), 0.2 / 0.6, job)

    def follow_subset(self):
        self.follow(self.load("forked", share=0.6), EPOCHS)
        job = self.job("", EPOCHS, whole=0.59)
        self.check_epochs(job, whole=0.59)
        return job

    # --- several

    def test_two_jobs_in_step_cost_the_origin_no_more_than_one(self):
        # Half of each one's reads the kernel answers, as it still has what the other has just read.
        self.check_in_step(epochs=8)

    def check_in_step(self, epochs, last=3, step=50):
        self.mount_small(self.files())
        loaders = [Loader(self.space, "alone", [self.space.mnt], epochs, step=step)
                   for _ in range(2)]
        reads = []
        for _ in range(epochs):
            for word in [b"step"] * (COUNT // step) + [b"epoch"]:
                for loader in loaders:
                    loader.wait_for(word)
                if word == b"epoch":
                    reads.append(self.mount.stats()["origin"]["reads"])
                for loader in loaders:
                    loader.go_on()
        jobs = self.mount.stats()["jobs"]
        self.assertEqual(2, len(jobs), jobs)
        each = [(after - before) / (2 * COUNT) for before, after in zip(reads, reads[1:])]
        print("origin reads of each of their reads, by epoch: "
              + " ".join(f"{ratio:.3f}" for ratio in each), file=sys.stderr)
        # 0.40 if they read as one, 0.80 if each for itself. Steps in which one is ahead, and epochs
        # that are found late, cost a little: 0.41 to 0.46.
        self.assertLessEqual(sum(each[-last:]) / last, 0.5)
        for job in jobs:
            self.assertEqual(list(range(epochs)), [epoch["index"] for epoch in job["epochs"]], job)

    def test_who_searches_packs_or_lists_beside_a_training_is_no_job(self):
        self.mount_small(self.files())
        alone, epochs = 4, 7
        trainer = Trainer(self.space, self.space.mnt, epochs)
        beside = []
        for epoch in range(epochs):
            trainer.wait_epoch()
            for other in beside:
                self.assertEqual(0, other.wait(limit(60)), other.args)
            if epoch + 1 in range(alone, epochs):
                beside = [self.start_beside(words) for words in self.searches()]
            if epoch + 1 < epochs:
                trainer.go_on()
        jobs = self.mount.stats()["jobs"]
        self.assertEqual(1, len(jobs), jobs)
        ratios = [epoch["hit_ratio"] for epoch in jobs[0]["epochs"]]
        self.assertEqual(epochs, len(ratios), jobs)
        before, after = (sum(some) / len(some) for some in (ratios[1:alone], ratios[alone:]))
        print(f"hits alone {before:.3f}, with others {after:.3f}", file=sys.stderr)
        self.assertGreater(after, before - 0.03, ratios)

    def searches(self):
        mnt = self.space.mnt
        return (["grep", "-r", "-c", "e", mnt], ["find", mnt, "-size", "+9k", "-name", "*7"],
                ["tar", "c", "-C", mnt, "."])

    def start_beside(self, words):
        # grep and tar read little when they see that they write to /dev/null.
        return self.space.start(["bash", "-c", '"$@" | wc -c > /dev/null; exit ${PIPESTATUS[0]}',
                                 "bash", *words])

    def test_two_roots_of_one_process_are_kept_apart(self):
        total = self.files("train")
        total += self.files("val", count=COUNT // 4)
        self.mount_small(total)
        roots = [os.path.join(self.space.mnt, name) for name in ("train", "val")]
        self.follow(Loader(self.space, "forked", roots, EPOCHS), EPOCHS)
        # Of the smaller one's first epoch a part passes before it is seen to be a job.
        jobs = [self.job(root, EPOCHS, whole=0.7) for root in ("train", "val")]
        self.assertEqual(2, len(self.mount.stats()["jobs"]), self.mount.stats()["jobs"])
        for job, count in zip(jobs, (COUNT, COUNT // 4)):
            self.assertEqual(count, job["epochs"][-1]["samples"])
            self.check_epochs(job, whole=0.7)
            # Half of memory, a fifth of all files, is each one's own.
            least = bound(0.2 / 2 * (COUNT + COUNT // 4) / count)
            self.assertGreaterEqual(self.steady_hits(job), least - 0.02, job)


if __name__ == "__main__":
    mounting.main()
