"""fsctl why: what a job waits for, and what would change that; and the trace that it is told from."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import DONE, FSCTL, REFUSED, pattern, run, wait_until, write_file  # noqa: E402
from trainer import Trainer  # noqa: E402

STOKESIM = os.environ.get("STOKESIM_BIN", "stokesim")
COUNT, SIZE = 2000, 8 << 10
EPOCHS = 4
# What more memory is expected to give, and what a mount with so much then hits.
CLOSE = 0.04


class Why(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        for index in range(COUNT):
            write_file(os.path.join(self.space.source, f"class{index % 4}", f"{index:05}"),
                       pattern(SIZE, index))
        self.origin = self.space.slow_origin()
        self.origin.command("open_delay_us", 2000)

    def train(self, share, *flags):
        """A mount with so much memory whose dataset was read EPOCHS times."""
        mount = self.space.mount("--disk", "0", "--page-cache", "drop", *flags, "--memory",
                                 str(int(COUNT * SIZE * share)), source=self.origin.path)
        mount.wait_settled()
        trainer = Trainer(self.space, self.space.mnt, epochs=EPOCHS)
        for epoch in range(EPOCHS):
            trainer.wait_epoch()
            if epoch + 1 < EPOCHS:
                trainer.go_on()

        def read():
            jobs = mount.stats()["jobs"]
            return jobs and sum(epoch["progress"] > 0.97 for epoch in jobs[0]["epochs"]) >= EPOCHS
        wait_until(read, 10, "all epochs")
        return mount, trainer

    def why(self):
        done = run([FSCTL, "why", self.space.mnt, "--json"], 30)
        self.assertEqual(DONE, done.status, str(done))
        jobs = json.loads(done.out)["jobs"]
        self.assertEqual(1, len(jobs), jobs)
        return jobs[0]

    def test_what_a_job_waits_for_and_what_more_memory_would_give(self):
        mount, _trainer = self.train(0.2)
        job = self.why()
        self.assertEqual("origin", job["bound"])
        told = mount.stats()["jobs"][0]["epochs"][job["epoch"]]
        self.assertAlmostEqual(told["hit_ratio"], job["hit_ratio"], delta=0.01)
        waits = job["wait"]
        self.assertEqual(job["reads"], sum(tier["reads"] for tier in waits.values()))
        # The origin takes 2 ms; a read may also wait for its turn there.
        self.assertGreater(waits["origin"]["seconds"] / waits["origin"]["reads"], 0.0018)
        self.assertEqual(0, waits["disk"]["reads"])
        shares = job["think"]["share"] + sum(tier["share"] for tier in waits.values())
        self.assertAlmostEqual(1, shares, delta=0.001)
        # Two workers: their time together is twice the epoch's.
        busy = job["think"]["seconds"] + sum(tier["seconds"] for tier in waits.values())
        self.assertAlmostEqual(2, busy / job["seconds"], delta=0.4)

        changes = {}
        for one in job["what_if"]:
            changes.setdefault(one["change"], []).append(one)
        self.assertEqual({"memory", "disk", "plan"}, set(changes))
        hits = [one["hit_ratio"] for one in changes["memory"]]
        self.assertEqual(sorted(hits), hits)
        self.assertTrue(all(one["shorter"] > 0 for one in changes["memory"]), changes)
        self.assertGreater(changes["plan"][0]["hit_ratio"], 0.95)
        text = run([FSCTL, "why", self.space.mnt], 30)
        self.assertEqual(DONE, text.status, str(text))
        self.assertIn("origin-bound", text.out)
        self.assertIn("shorter", text.out)
        print(text.out, file=sys.stderr)

        # What is foretold for twice the memory is what a mount with twice as much does.
        twice = next(one for one in changes["memory"]
                     if abs(one["more_bytes"] - 0.2 * COUNT * SIZE) < 0.01 * COUNT * SIZE)
        mount.unmount()
        self.train(0.4)
        after = self.why()
        print(f"foretold hits {twice['hit_ratio']:.3f}, epoch {twice['seconds']:.2f} s; then "
              f"{after['hit_ratio']:.3f}, {after['seconds']:.2f} s; before "
              f"{job['hit_ratio']:.3f}, {job['seconds']:.2f} s", file=sys.stderr)
        self.assertAlmostEqual(twice["hit_ratio"], after["hit_ratio"], delta=CLOSE)

    def test_the_trace_is_replayed_by_stokesim(self):
        mount, _trainer = self.train(0.3)
        path = os.path.join(self.space.path, "trace")
        with open(os.path.join(self.space.mnt, ".stokefs", "trace"), "rb") as trace:
            write_file(path, trace.read())
        done = run([STOKESIM, "epochs", "--trace", path, "--memory", "0.3", "--json"], 60)
        self.assertEqual(DONE, done.status, str(done))
        rows = {row["policy"]: row for row in json.loads(done.out)}
        self.assertNotIn("shade", rows)
        epochs = mount.stats()["jobs"][0]["epochs"]
        self.assertAlmostEqual(rows["stokefs"]["hit_ratio"], epochs[-1]["hit_ratio"], delta=CLOSE)
        self.assertLess(rows["lru"]["hit_ratio"], 0.1)
        self.assertGreater(rows["stokefs"]["coverage"], 0.99)
        refused = run([STOKESIM, "epochs", "--trace", path, "--policy", "shade"], 60)
        self.assertEqual(REFUSED, refused.status, str(refused))
        for wrong in ("/nowhere", self.space.source, __file__):
            refused = run([STOKESIM, "epochs", "--trace", wrong], 60)
            self.assertEqual(REFUSED, refused.status, str(refused))

    def test_a_mount_without_a_job_says_so(self):
        self.space.mount(source=self.origin.path).wait_settled()
        done = run([FSCTL, "why", self.space.mnt], 30)
        self.assertEqual(DONE, done.status, str(done))
        self.assertIn("no job", done.out)
        for name in sorted(os.listdir(os.path.join(self.space.mnt, "class0")))[:100]:
            subprocess.run(["cat", os.path.join(self.space.mnt, "class0", name)], check=True,
                           stdout=subprocess.DEVNULL)
        self.assertIn("no job", run([FSCTL, "why", self.space.mnt], 30).out)

    def test_what_is_no_mount_is_refused(self):
        self.assertEqual(REFUSED, run([FSCTL, "why", self.space.source], 30).status)
        self.assertEqual(REFUSED, run([FSCTL, "why"], 30).status)


if __name__ == "__main__":
    mounting.main()
