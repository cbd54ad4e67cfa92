"""kill -9 while chunks are packed: the next mount has no wrong byte and no leaked budget."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
from disk_case import MIB, allocated_bytes, chunk_paths, disk_used  # noqa: E402
from mounting import limit, wait_until  # noqa: E402

KILLS = 10
CHUNK = 4 * MIB  # and as much again may be under way


class Crash(disk_case.DiskTestCase):
    seconds_max = 240

    def kill(self, mount):
        mount.signal(signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, mount.wait_exit())

    def check_kills(self, budget, kills):
        """New files each round, so that there is always something to pack; old ones are read
        along. Half of the kills come at a random moment, half when a file is being written."""
        self.space.crash_expected = True
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        print(f"seed {seed}", file=sys.stderr)
        names, caught_writing = [], 0
        slices = [self.fill(120, folder=f"slice{number}") for number in range(kills)]
        with disk_case.BudgetWatch(self.space.cache) as watch:
            for number in range(kills):
                names += slices[number]
                self.slow().command("delay_us", 5_000)  # else all is packed before the kill
                mount = self.mount("--disk", str(budget))
                unfinished = chunk_paths(self.space.cache, kind=".new")
                self.assertEqual([], unfinished, "what a crash left unfinished is removed")
                with self.readers(slices[number], gone_is_fine=True):
                    moment = time.monotonic() + rng.uniform(0.05, 1.5)
                    while time.monotonic() < moment:
                        if number % 2 and chunk_paths(self.space.cache, kind=".new"):
                            caught_writing += 1
                            break
                        time.sleep(0.001)
                    self.kill(mount)
                left = allocated_bytes(self.space.cache)
                self.slow().command("delay_us", 0)
                mount = self.mount("--disk", str(budget))
                wait_until(lambda: disk_used(mount.stats()) == allocated_bytes(self.space.cache),
                           10, "a count that agrees with the disk")
                self.assertLessEqual(disk_used(mount.stats()), left + CHUNK)
                self.epoch(names, seed=number)
                self.wait_packed(mount)
                self.assert_budget_is_real(mount, budget)
                self.assertEqual([], chunk_paths(self.space.cache, kind=".bad"),
                                 "a crash leaves no damaged file under a whole one's name")
                mount.unmount()
        self.assertLessEqual(watch.bytes_max, budget)
        print(f"{caught_writing} of {kills} kills while a chunk was being written; "
              f"at most {watch.bytes_max / MIB:.1f} MiB on disk", file=sys.stderr)
        return names

    def test_killed_while_packing(self):
        names = self.check_kills(budget=1 << 30, kills=KILLS)
        self.mount("--disk", "1GiB")
        with self.no_origin_reads():
            self.epoch(names, seed=1)

    def test_killed_while_packing_with_too_small_a_budget(self):
        self.check_kills(budget=16 * MIB, kills=KILLS // 2)

    def test_killed_and_warm(self):
        """What was on disk before the kill is served after it without the origin."""
        self.space.crash_expected = True
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB")
        self.epoch(names)
        self.wait_packed(mount)
        self.kill(mount)
        self.mount("--disk", "1GiB")
        with self.no_origin_reads():
            self.epoch(names, seed=1)
        self.assertLess(self.read_longest[0], limit(5))


if __name__ == "__main__":
    mounting.main()
