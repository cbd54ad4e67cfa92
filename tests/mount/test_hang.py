"""An origin that hangs: what memory holds is served on, new reads end at their deadline, and the
mount can always be ended."""

import errno
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import limit, read_file, wait_until, write_file  # noqa: E402

STUCK = 64
DEADLINE = limit(2)
LATE = limit(1)  # how much after its deadline a read must have failed
WARM, COLD, SIZE = 400, 1500, 16 << 10
ROUNDS = 6

# Reads each file whose path comes on stdin, one thread a file; prints "PATH ERRNO SECONDS" each.
READERS = """
import os, sys, threading, time
def read(path):
    start, number = time.monotonic(), 0
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            while os.read(descriptor, 1 << 20):
                pass
        finally:
            os.close(descriptor)
    except OSError as error:
        number = error.errno
    line = f"{path} {number} {time.monotonic() - start:.3f}\\n"
    with lock:
        sys.stdout.write(line)
        sys.stdout.flush()
lock = threading.Lock()
for path in sys.stdin.read().split("\\n"):
    threading.Thread(target=read, args=(path,)).start()
"""


class Hang(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        for index in range(WARM):
            write_file(os.path.join(self.space.source, "warm", f"{index}"),
                       mounting.pattern(SIZE, index))
        for index in range(ROUNDS * STUCK):
            write_file(os.path.join(self.space.source, f"stuck{index // STUCK}", f"{index}"),
                       mounting.pattern(SIZE, ~index))
        for index in range(COLD):
            write_file(os.path.join(self.space.source, "cold", f"{index}"),
                       mounting.pattern(SIZE, -index))
        write_file(os.path.join(self.space.source, "large"), mounting.pattern(5 << 20, "large"))
        write_file(os.path.join(self.space.source, "unlisted", "file"), b"content")
        self.origin = self.space.slow_origin()
        self.next_cold = 0

    def mount(self, deadline=DEADLINE, **more):
        mount = self.space.mount("--page-cache", "drop", "--origin-deadline", f"{round(deadline)}s",
                                 source=self.origin.path, **more)
        return mount.wait_settled()

    def at(self, *names):
        return os.path.join(self.space.mnt, *names)

    def cold_paths(self, count):
        """Files that nobody has read yet, far apart in a listing: else they would be fetched ahead."""
        first, self.next_cold = self.next_cold, self.next_cold + count
        self.assertLessEqual(self.next_cold, COLD)
        return [self.at("cold", str(index * 7 % COLD)) for index in range(first, first + count)]

    def read_warm(self, order):
        """Seconds that whole reads of these warm files take."""
        start = time.perf_counter()
        for index in order:
            descriptor = os.open(self.at("warm", str(index)), os.O_RDONLY)
            got = os.read(descriptor, SIZE + 1)
            os.close(descriptor)
            self.assertEqual(SIZE, len(got))
        return time.perf_counter() - start

    def start_readers(self, paths):
        process = self.space.start([sys.executable, "-c", READERS], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        process.stdin.write("\n".join(paths).encode())
        process.stdin.close()
        return process

    def start_stuck(self, mount, paths):
        process = self.start_readers(paths)
        wait_until(lambda: mount.stats()["parked_count"] >= len(paths), 10,
                   f"{len(paths)} parked reads")
        return process

    def stuck_paths(self, turn):
        """All files of a folder, the last one first: neither there nor in what follows it in a
        listing is anything left that would be fetched ahead for whoever reads some of them."""
        folder = f"stuck{ROUNDS - 1 - turn}"
        return [self.at(folder, name)
                for name in os.listdir(os.path.join(self.space.source, folder))]

    def results(self, process, seconds):
        """[(errno, seconds)] of all readers, which must all end within limit(seconds)."""
        out, deadline = b"", time.monotonic() + limit(seconds)
        while True:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([process.stdout], [], [], left)
            self.assertTrue(ready, f"readers still hang: {mounting.describe(process.pid)}")
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                break
            out += piece
        process.stdout.close()
        process.wait(limit(5))
        return [(int(line.split()[1]), float(line.split()[2])) for line in out.splitlines()]

    def timed(self, function, *arguments):
        """(errno or 0, seconds)"""
        start = time.monotonic()
        try:
            function(*arguments)
            return 0, time.monotonic() - start
        except OSError as error:
            return error.errno, time.monotonic() - start

    def assert_timed_out(self, number, seconds):
        self.assertEqual(errno.ETIMEDOUT, number, f"after {seconds:.2f} s")
        self.assertGreater(seconds, DEADLINE * 0.7)
        self.assertLess(seconds, DEADLINE + LATE)

    def warm_up(self):
        for index in range(WARM):
            read_file(self.at("warm", str(index)))

    def test_memory_serves_on_while_64_reads_are_stuck(self):
        mount = self.mount(deadline=limit(60))
        self.warm_up()
        rng, free, stuck = random.Random(1), [], []
        order = list(range(WARM)) * 4
        for turn in range(ROUNDS):
            rng.shuffle(order)
            free.append(self.read_warm(order))
            self.origin.command("hang", "*")
            readers = self.start_stuck(mount, self.stuck_paths(turn))
            before = mount.stats()["reads"]
            rng.shuffle(order)
            stuck.append(self.read_warm(order))
            after = mount.stats()
            self.assertGreaterEqual(after["parked_count"], STUCK)
            self.assertEqual(before["origin"], after["reads"]["origin"])
            # Most of these READs came to the daemon: the kernel's pages are dropped.
            self.assertGreater(after["reads"]["memory"] - before["memory"], len(order) / 2)
            self.origin.command("release")
            self.assertEqual([0] * STUCK, [number for number, _ in self.results(readers, 20)])
        ratio = statistics.median(free) / statistics.median(stuck)
        print(f"speed of warm reads with {STUCK} stuck ones: {ratio:.2f} of the free speed "
              f"({1e6 * statistics.median(free) / len(order):.1f} and "
              f"{1e6 * statistics.median(stuck) / len(order):.1f} us a file)", file=sys.stderr)
        # The figure is for whoever reads it; a busy machine makes any of it. What no machine is busy
        # enough for is a warm read that waits for the stuck ones, which are stuck for 60 s.
        self.assertLess(max(stuck), limit(5))

    def check_new_reads_time_out(self, hang, release):
        mount = self.mount()
        self.warm_up()
        hang()
        for number, seconds in self.results(self.start_readers(self.cold_paths(STUCK)), 20):
            self.assert_timed_out(number, seconds)
        self.assert_timed_out(*self.timed(read_file, self.cold_paths(1)[0]))
        self.assert_timed_out(*self.timed(read_file, self.at("large")))
        self.assertGreaterEqual(mount.stats()["reads"]["timeouts"], STUCK)
        order = list(range(WARM))
        self.assertLess(self.read_warm(order), DEADLINE)  # none of them waited for a deadline
        names = os.listdir(self.at("cold"))  # what is listed stays listed
        self.assertEqual(COLD, len(names))
        release()
        self.next_cold = 0
        for path in self.cold_paths(STUCK):  # those that failed, and do so until their fetch ends
            wait_until(lambda: self.timed(read_file, path)[0] == 0, 10, "the recovery")
            expected = read_file(path.replace(self.space.mnt, self.space.source, 1))
            self.assertEqual(expected, read_file(path))
        wait_until(lambda: self.timed(read_file, self.at("large"))[0] == 0, 10, "the recovery")
        self.assertEqual(read_file(os.path.join(self.space.source, "large")),
                         read_file(self.at("large")))

    def test_new_reads_of_a_hung_origin_time_out(self):
        self.check_new_reads_time_out(lambda: self.origin.command("hang", "*"),
                                      lambda: self.origin.command("release"))

    def test_new_reads_of_a_stopped_origin_time_out(self):
        self.check_new_reads_time_out(self.origin.stop, self.origin.resume)

    def test_more_reads_than_may_wait_are_refused_not_stuck(self):
        mount = self.mount()
        self.warm_up()
        self.origin.command("hang", "*")
        readers = self.start_readers(self.cold_paths(1100))
        wait_until(lambda: mount.stats()["parked_count"] >= 500, 10, "many parked reads")
        self.assertLess(self.read_warm(range(WARM)), DEADLINE * 2)
        got = self.results(readers, 60)
        self.assertEqual(1100, len(got))
        self.assertTrue(all(number in (errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.EIO)
                            for number, _ in got), sorted({number for number, _ in got}))
        self.assertEqual(0, mount.stats()["parked_count"])
        self.origin.command("release")
        wait_until(lambda: self.timed(read_file, self.at("cold", "0"))[0] == 0, 10, "the recovery")

    def test_an_unlisted_folder_times_out_and_others_are_listed(self):
        self.origin.command("hang_contents", "unlisted")
        self.space.mount("--origin-deadline", f"{round(DEADLINE)}s", source=self.origin.path)
        self.assertEqual(sorted(os.listdir(self.space.source)), os.listdir(self.space.mnt))
        self.assertEqual(COLD, len(os.listdir(self.at("cold"))))
        self.assert_timed_out(*self.timed(os.listdir, self.at("unlisted")))
        # The listing is overdue now: whoever asks for it again waits no second deadline.
        number, seconds = self.timed(os.stat, self.at("unlisted", "file"))
        self.assertEqual(errno.ETIMEDOUT, number)
        self.assertLess(seconds, DEADLINE + LATE)
        self.assertEqual(SIZE, len(read_file(self.at("cold", "1"))))
        self.origin.command("release")
        wait_until(lambda: self.timed(os.listdir, self.at("unlisted"))[0] == 0, 10, "the recovery")
        self.assertEqual(b"content", read_file(self.at("unlisted", "file")))

    def test_a_kept_catalog_answers_without_the_origin(self):
        self.mount().unmount()
        mount = self.space.mount("--origin-deadline", f"{round(DEADLINE)}s",
                                 source=self.origin.path)
        self.origin.command("hang", "*")  # the comparison in the background may have begun
        mount.wait_scanned()
        self.assertEqual(["file"], os.listdir(self.at("unlisted")))
        self.assertEqual(COLD, len(os.listdir(self.at("cold"))))
        self.assertEqual(SIZE, os.stat(self.at("cold", "7")).st_size)
        self.assert_timed_out(*self.timed(read_file, self.at("cold", "7")))

    def check_ends(self, end, mount):
        start = time.monotonic()
        end()
        mount.wait_gone(5)
        self.assertEqual([], self.space.registry())
        self.assertLess(time.monotonic() - start, limit(5))

    def check_every_end(self, hang):
        """Each way to end a mount with 64 reads stuck takes at most 5 s, and a new one follows."""
        ends = {
            "unmount --force": lambda mount: self.assertEqual(
                mounting.DONE,
                self.space.stokefs("unmount", mount.path, "--force", seconds=5).status),
            "SIGTERM": lambda mount: mount.signal(signal.SIGTERM),
            "fusermount3 -u -z": lambda mount: subprocess.run(
                ["fusermount3", "-u", "-z", mount.path], check=True, timeout=limit(5)),
        }
        # --force kills a daemon that has not ended in 3 s; a sanitizer's may need longer.
        self.space.crash_expected = mounting.SLOWNESS > 1
        for name, end in ends.items():
            with self.subTest(end=name):
                mount = self.mount(deadline=limit(60))
                read_file(self.at("warm", "0"))
                hang()
                # A lazy unmount leaves the open files alone, so their readers have to end first.
                lazy = name.endswith("-z")
                readers = None if lazy else self.start_stuck(mount, self.cold_paths(STUCK))
                self.check_ends(lambda: end(mount), mount)
                if readers:
                    for number, _ in self.results(readers, 5):
                        self.assertNotIn(number, (0, errno.ETIMEDOUT))
                self.origin.resume()
                self.origin.command("release")
                wait_until(lambda: mounting.process_state(mount.pid) is None, 10, "its end")

    def test_ends_while_the_origin_hangs(self):
        self.check_every_end(lambda: self.origin.command("hang", "*"))

    def test_ends_while_the_origin_is_stopped(self):
        self.check_every_end(self.origin.stop)

    def test_ends_while_the_first_scan_hangs(self):
        self.origin.command("hang_contents", "unlisted")
        mount = self.space.mount(source=self.origin.path)
        self.assertIsNone(mount.stats()["dataset"]["digest"])
        self.check_ends(lambda: mount.signal(signal.SIGTERM), mount)

    def test_a_stuck_reader_can_be_killed(self):
        mount = self.mount(deadline=limit(10))
        self.origin.command("hang", "*")
        readers = self.start_stuck(mount, self.cold_paths(STUCK))
        readers.kill()
        readers.wait(limit(3))
        readers.stdout.close()
        # The kernel reads ahead on nobody's behalf: these READs end at their deadline only.
        wait_until(lambda: mount.stats()["parked_count"] == 0, 11, "the reads given up")

    def test_mounting_a_source_that_hangs_gives_up(self):
        self.origin.command("hang", "*")
        finished = self.space.try_mount("--origin-deadline", "2s", source=self.origin.path)
        self.assertIn(finished.status, (mounting.FAILED, mounting.NO_ANSWER), str(finished))
        self.assertTrue(finished.err.strip())
        self.assertLess(finished.seconds, limit(15))
        self.assertFalse(mounting.is_mounted(self.space.mnt))

    def test_fsctl_answers_and_shows_what_is_parked(self):
        mount = self.mount(deadline=limit(60))
        self.origin.command("hang", "*")
        readers = self.start_stuck(mount, self.cold_paths(STUCK))
        finished = mount.fsctl("stats", seconds=2)
        self.assertEqual(mounting.DONE, finished.status, str(finished))
        self.assertRegex(finished.out, r"(?i)parked|waiting|stuck")
        self.assertIn("cold/", finished.out)
        stats = mount.stats()
        self.assertGreaterEqual(stats["parked_count"], STUCK)
        self.assertTrue(all(read["path"].startswith("cold/") for read in stats["parked"]), stats)
        self.origin.command("release")
        self.results(readers, 20)
        wait_until(lambda: mount.stats()["parked_count"] == 0, 5, "no parked reads")

    def test_fsctl_gives_up_on_a_stopped_daemon_and_names_it(self):
        mount = self.mount()
        mount.signal(signal.SIGSTOP)
        wait_until(lambda: mounting.process_state(mount.pid) == "T", 5, "the stop")
        try:
            for arguments in (["stats"], ["stats", "--json"]):
                finished = mount.fsctl(*arguments)
                self.assertEqual(mounting.NO_ANSWER, finished.status, str(finished))
                self.assertLess(finished.seconds, limit(2.5))
                self.assertIn(str(mount.pid), finished.err)
                self.assertRegex(finished.err, r"(?i)stopped|\bT\b")
            start = time.monotonic()
            listed = self.space.stokefs("list", seconds=5)
            self.assertIn(listed.status, (mounting.DONE, mounting.NO_ANSWER), str(listed))
            self.assertLess(time.monotonic() - start, limit(4))
        finally:
            mount.signal(signal.SIGCONT)
        self.assertEqual(mounting.DONE, mount.fsctl("stats").status)

    def test_force_ends_a_stopped_daemon(self):
        self.space.crash_expected = True  # what cannot answer may be killed
        mount = self.mount()
        mount.signal(signal.SIGSTOP)
        finished = self.space.stokefs("unmount", mount.path, "--force", seconds=10)
        self.assertEqual(mounting.DONE, finished.status, str(finished))
        self.assertLess(finished.seconds, limit(5))
        mount.wait_gone(5)

    def test_a_slow_origin_is_waited_for_and_asked_once(self):
        self.origin.command("delay_us", 100_000)
        mount = self.mount(deadline=limit(30))
        process = self.start_readers([self.at("cold", "0")] * 20 + [self.at("large")])
        self.assertEqual([0] * 21, [number for number, _ in self.results(process, 20)])
        self.assertEqual(1, self.origin.opened("cold/0"))
        self.assertEqual(1 + 5, mount.stats()["origin"]["reads"])


if __name__ == "__main__":
    mounting.main()
