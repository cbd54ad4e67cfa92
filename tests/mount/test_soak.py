"""All at once, for a minute: trainers, copies, refreshes, hints, statistics; no read goes wrong.

With --long (or STOKEFS_TEST_LONG=1) for ten minutes. --seed N (or STOKEFS_TEST_SEED) makes the same
choices again, though not the same interleaving; the seed is printed.
"""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)
from disk_case import BudgetWatch, disk_used  # noqa: E402
import mounting  # noqa: E402
from mounting import DONE, limit, read_file, wait_until, write_file  # noqa: E402
from versioned_files import GONE, THERE, Ledger, content, judge  # noqa: E402

SECONDS, SECONDS_LONG = 60, 600
SEED = int(os.environ.get("STOKEFS_TEST_SEED", random.randrange(1 << 32)))

TRAIN, VAL = 2400, 400  # files
MEMORY, DISK = 12 << 20, 24 << 20  # of some 75 MB
STUCK_S = 20  # a read that has waited so long is stuck; none takes nearly as long
READ_S_MAX = 10
REFUSALS = re.compile("No such file or directory|Stale file handle")


class Trainer:
    """A soak_reader.py in a session of its own, and what it has reported."""

    def __init__(self, soak, name, compute_us, validation=False, hints=False):
        self.name, self._soak = name, soak
        self._told = {"ledger": soak.ledger.path, "root": soak.space.mnt, "compute_us": compute_us,
                      "files": soak.stable if hints else soak.train,
                      "validation": soak.val if validation else [],
                      "hints": soak.hints if hints else None}
        self.epochs = self.reads = self.refused = self.hints = self.starts = 0
        self.longest = [0, ""]
        self.start()

    def start(self):
        self.starts += 1
        self.process = self._soak.space.start(
            [sys.executable, "-B", os.path.join(SUPPORT, "soak_reader.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        told = dict(self._told, seed=f"{SEED} {self.name} {self.starts}")
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()

    def _listen(self, process):
        for line in process.stdout:
            if not line.endswith(b"\n"):  # it was killed
                break
            report = json.loads(line)
            self.epochs += 1
            for count in ("reads", "refused", "hints"):
                setattr(self, count, getattr(self, count) + report[count])
            self.longest = max(self.longest, report["longest"])
            for text in report["wrong"]:
                self._soak.fail_later(f"{self.name}: {text}")

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # its workers too
        self.process.wait()
        self._listener.join()

    def wait(self):
        try:
            status = self.process.wait(limit(STUCK_S))
        except subprocess.TimeoutExpired:
            self._soak.fail_later(f"{self.name} is stuck: {mounting.describe(self.process.pid)}")
            return
        self._listener.join()
        if status != 0:
            self._soak.fail_later(f"{self.name}: exit status {status}")

    def __str__(self):
        return (f"{self.name}: {self.epochs} epochs, {self.reads} reads, {self.refused} of files "
                f"that changed refused, {self.starts} starts, longest {self.longest[0] * 1000:.0f} "
                f"ms ({self.longest[1]})")


class Soak(mounting.MountTestCase):
    def setUp(self):
        self.seconds = SECONDS_LONG if mounting.LONG else SECONDS
        self.seconds_max = self.seconds + 140
        super().setUp()
        print(f"seed {SEED}", file=sys.stderr)
        self.names = [f"train/class{index % 20:02}/{index:05}" for index in range(TRAIN)]
        self.names += [f"val/class{index % 5}/{index:05}" for index in range(TRAIN, TRAIN + VAL)]
        self.train = list(enumerate(self.names))[:TRAIN]
        self.val = list(enumerate(self.names))[TRAIN:]
        # What is changed, removed and added; an eighth of them begins as not being there.
        self.edited = [index for index in range(TRAIN) if index % 8 == 7]
        self.stable = [(index, name) for index, name in self.train if index not in self.edited]
        self.ledger = Ledger(os.path.join(self.space.path, "ledger"), len(self.names))
        for index, name in enumerate(self.names):
            absent = index % 64 == 7
            if not absent:
                write_file(os.path.join(self.space.source, name), content(index, 0))
            self.ledger.settle(index, GONE if absent else THERE)
        self.stopping = threading.Event()
        self._wrong = []

    def fail_later(self, text):
        print(text, file=sys.stderr)
        self._wrong.append(text)
        self.stopping.set()

    def periodically(self, what, least_s, most_s):
        """A thread that does it again and again, after pauses of random length, until the end."""
        dice = random.Random(f"{SEED} {what.__name__}")

        def run():
            try:
                while not self.stopping.wait(dice.uniform(least_s, most_s)):
                    what(dice)
            except Exception as error:  # whatever it is, the test shall know
                self.fail_later(f"{what.__name__}: {error!r}")
                print(self.mount.control_text("events")[-1000:], file=sys.stderr)
        return threading.Thread(target=run, name=what.__name__)

    # --- what goes on beside the trainers

    def edit(self, dice):
        """Changes at the origin, all of them by a rename or an unlink, and a refresh."""
        chosen = dice.sample(self.edited, dice.randrange(1, 30))
        settled = {index: self.edit_one(index, dice) for index in chosen}
        finished = self.mount.fsctl("refresh", seconds=60)
        self.assertEqual(DONE, finished.status, str(finished))
        for index, presence in settled.items():
            self.ledger.settle(index, presence)
        self.edits += len(chosen)

    def edit_one(self, index, dice):
        path = os.path.join(self.space.source, self.names[index])
        if self.ledger.entry(index).presence == THERE and dice.random() < 0.3:
            self.ledger.begin_removal(index)
            os.unlink(path)
            return GONE
        made = os.path.join(self.space.path, "made")
        write_file(made, content(index, self.ledger.begin_write(index)))
        os.rename(made, path)
        return THERE

    def restart(self, _dice):
        self.restarted.kill()
        self.restarted.start()

    def copy(self, _dice):
        """cp -r of all: what it did not complain of is right, and it complained of nothing else
        than files that are edited."""
        before = [self.ledger.entry(index) for index in range(len(self.names))]
        target = os.path.join(self.space.path, "copy")
        refused = self.refused_to("cp", "-r", self.space.mnt, target)
        for index, name in enumerate(self.names):
            path = os.path.join(target, name)
            got = read_file(path) if os.path.exists(path) else errno.ENOENT
            if name in refused:
                continue
            wrong = judge(index, got, before[index], self.ledger.entry(index))
            if wrong:
                self.fail_later(f"cp: {name}: {wrong}")
        shutil.rmtree(target)

    def search(self, _dice):
        self.refused_to("grep", "-r", "-c", "-a", "7 0", os.path.join(self.space.mnt, "train"))

    def refused_to(self, *words):
        """The names that a program complained of."""
        finished = mounting.run(words, 120, env=self.space.environment())
        refused = set()
        for line in finished.err.splitlines():
            found = re.search(r"(train/class\d\d/(\d{5}))", line)
            if not found or int(found[2]) not in self.edited or not REFUSALS.search(line):
                self.fail_later(f"{words[0]}: {line}")
            else:
                refused.add(found[1])
        return refused

    def hint(self, dice):
        """Some lines, now and then a bad one, which fails its write and no other. They are written
        whole: whatever this process starts meanwhile closes the handle too, and so ends a line.
        (The weighted trainer cuts its lines anywhere.)"""
        descriptor = os.open(self.hints, os.O_WRONLY)
        try:
            for _ in range(dice.randrange(1, 50)):
                if dice.random() < 0.1:
                    bad = dice.choice([b"nonsense", b"importance nowhere 1", b"\xff\0\x01",
                                       b"importance val nan", b'{"importance": {"val": 1}}', b"{"])
                    self.assert_errno(errno.EINVAL, os.write, descriptor, bad + b"\n")
                    self.bad_hints += 1
                    continue
                line = f"importance {dice.choice(self.stable)[1]} {dice.random()}\n"
                os.write(descriptor, line.encode())
                self.good_hints += 1
        finally:
            os.close(descriptor)

    def poll(self, dice):
        if dice.random() < 0.2:
            finished = self.mount.fsctl("stats", "--json")
            self.assertEqual(DONE, finished.status, str(finished))
            stats = json.loads(finished.out)
        else:
            stats = self.mount.stats()
        memory = stats["tiers"]["memory"]
        self.memory_max = max(self.memory_max, memory["used_bytes"])
        self.disk_max = max(self.disk_max, disk_used(stats))
        self.parked_ms_max = max([self.parked_ms_max]
                                 + [read["waited_ms"] for read in stats["parked"]])
        self.jobs_max = max(self.jobs_max, sum(job["active"] for job in stats["jobs"]))

    # --- the test

    def test_nothing_goes_wrong_when_all_goes_on_at_once(self):
        self.mount = self.space.mount("--disk", str(DISK), "--page-cache", "drop", "--memory",
                                      str(MEMORY)).wait_settled()
        self.hints = os.path.join(self.space.mnt, ".stokefs", "hints")
        self.edits = self.good_hints = self.bad_hints = 0
        self.memory_max = self.disk_max = self.parked_ms_max = self.jobs_max = 0
        trainers = [Trainer(self, "fast", compute_us=100, validation=True),
                    Trainer(self, "weighted", compute_us=500, hints=True),
                    Trainer(self, "restarted", compute_us=1500)]
        self.restarted = trainers[-1]
        threads = [self.periodically(self.edit, 0.2, 3), self.periodically(self.restart, 3, 9),
                   self.periodically(self.copy, 1, 5), self.periodically(self.search, 1, 5),
                   self.periodically(self.hint, 0, 0.5), self.periodically(self.poll, 0, 0.1)]
        with BudgetWatch(self.space.cache) as watch:
            for thread in threads:
                thread.start()
            self.stopping.wait(self.seconds)
            self.stopping.set()
            for thread in threads:
                thread.join()
            self.ledger.stop()
            for trainer in trainers:
                trainer.wait()
        self.tell(trainers)
        self.assertEqual([], self._wrong)
        self.judge_trainers(trainers)
        self.judge_mount(watch)
        self.compare_all()

    def tell(self, trainers):
        for trainer in trainers:
            print(trainer, file=sys.stderr)
        reads = self.mount.stats()["reads"]
        print(f"{self.edits} edits, {self.good_hints} hints and {self.bad_hints} bad ones; memory "
              f"{self.memory_max / MEMORY:.1%} and disk {self.disk_max / DISK:.1%} of their "
              f"budgets at most, parked {self.parked_ms_max} ms at most, {self.jobs_max} jobs at "
              f"once; {reads}", file=sys.stderr)

    def judge_trainers(self, trainers):
        for trainer in trainers:
            self.assertGreater(trainer.reads, 0, trainer.name)
            self.assertLess(trainer.longest[0], limit(READ_S_MAX), trainer.longest)

    def judge_mount(self, watch):
        self.assertLessEqual(self.memory_max, MEMORY)
        self.assertLessEqual(self.disk_max, DISK)
        self.assertLessEqual(watch.bytes_max, DISK)
        self.assertLess(self.parked_ms_max, limit(STUCK_S) * 1000)
        wait_until(lambda: self.mount.stats()["parked_count"] == 0, 10, "the last parked read")
        stats = self.mount.stats()
        self.assertEqual((0, 0), (stats["reads"]["timeouts"], stats["reads"]["refused"]))
        self.assertEqual(self.bad_hints, stats["hints"]["rejected"])
        self.assertGreaterEqual(self.jobs_max, 3)

    def compare_all(self):
        """After a last refresh the mount is the origin, in names and in bytes."""
        self.assertEqual(DONE, self.mount.fsctl("refresh", seconds=60).status)
        found = sorted(os.path.relpath(os.path.join(at, name), self.space.mnt)
                       for top in ("train", "val")
                       for at, _, names in os.walk(os.path.join(self.space.mnt, top))
                       for name in names)
        there = [name for index, name in enumerate(self.names)
                 if self.ledger.entry(index).presence == THERE]
        self.assertEqual(sorted(there), found)
        for name in there:
            same = (read_file(os.path.join(self.space.source, name))
                    == read_file(os.path.join(self.space.mnt, name)))
            self.assertTrue(same, name)


def take_seed(arguments):
    """Takes --seed N out of them."""
    if "--seed" not in arguments:
        return SEED
    at = arguments.index("--seed")
    seed = int(arguments[at + 1])
    del arguments[at:at + 2]
    return seed


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        mounting.LONG = True
    SEED = take_seed(sys.argv)
    mounting.main()
