"""Files and streams that are read in order are fetched ahead; others are not. And time in which the
daemon did not run is held against nobody."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import limit, pattern, read_file, wait_until, write_file  # noqa: E402

SIZE = 2000
DELAY_US = 2000


class ReadAhead(mounting.MountTestCase):
    def files(self, folders, count, size=SIZE):
        """Paths below the source, in the order of a walk."""
        paths = []
        for folder in range(folders):
            for index in range(count):
                paths.append(os.path.join(f"class{folder}", f"{index:04}"))
                write_file(os.path.join(self.space.source, paths[-1]), pattern(size, paths[-1]))
        return paths

    def mount_slow(self, *flags, delay_us=DELAY_US):
        self.origin = self.space.slow_origin()
        self.mount = self.space.mount(*flags, source=self.origin.path).wait_settled()
        self.origin.command("delay_us", delay_us)
        return self.mount

    def assert_reads_right(self, paths):
        for path in paths:
            read = read_file(os.path.join(self.space.mnt, path))
            self.assertEqual(read_file(os.path.join(self.space.source, path)), read, path)

    def test_a_walk_is_fetched_many_files_at_a_time(self):
        paths = self.files(folders=4, count=250)
        self.mount_slow()
        start = time.monotonic()
        self.assert_reads_right(paths)
        took = time.monotonic() - start
        # One after the other the origin's own delays of 1,000 opens and reads would last this long.
        alone = len(paths) * 2 * DELAY_US / 1e6
        self.assertLess(took, limit(alone / 3))
        stats = self.mount.stats()
        self.assertEqual(len(paths), stats["origin"]["reads"])  # nothing was fetched twice
        self.assertGreater(self.origin.counters()["most_at_once"], 4)
        self.assertGreater(stats["read_ahead"]["used"], len(paths) * 9 // 10)
        self.assertEqual(stats["reads"]["samples"], len(paths))

    def test_tar_is_a_walk(self):
        paths = self.files(folders=3, count=100)
        self.mount_slow()
        subprocess.run(["tar", "-c", "-f", os.path.join(self.space.path, "out.tar"), "-C",
                        self.space.mnt, "class0", "class1", "class2"], check=True,
                       timeout=limit(30))
        stats = self.mount.stats()
        self.assertEqual(len(paths), stats["origin"]["reads"])
        self.assertGreater(stats["read_ahead"]["used"], len(paths) * 3 // 4)

    def test_workers_that_take_batches_in_turn_are_a_walk(self):
        paths = self.files(folders=4, count=200)
        self.mount_slow()
        workers, batch = 4, 16

        def work(worker):
            for first in range(worker * batch, len(paths), workers * batch):
                for path in paths[first:first + batch]:
                    read_file(os.path.join(self.space.mnt, path))
        threads = [threading.Thread(target=work, args=(i,)) for i in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = self.mount.stats()
        self.assertEqual(len(paths), stats["origin"]["reads"])
        self.assertGreater(stats["read_ahead"]["used"], len(paths) * 3 // 4)

    def test_random_reads_are_no_walk(self):
        paths = self.files(folders=4, count=250)
        random.Random(5).shuffle(paths)
        self.mount_slow(delay_us=0)
        self.assert_reads_right(paths[:600])
        stats = self.mount.stats()
        # What is fetched ahead is fetched for the epoch of a shuffled reader, and all of it fits.
        self.assertLessEqual(stats["origin"]["reads"], len(paths))
        self.assertEqual(0, stats["read_ahead"]["prefetched"])

    def test_a_stream_is_fetched_ahead_and_a_random_reader_s_file_is_not(self):
        for name in ("stream", "random"):
            write_file(os.path.join(self.space.source, name), pattern(32 << 20, name))
        self.mount_slow()
        random_numbers = random.Random(7)
        with open(os.path.join(self.space.mnt, "random"), "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for _ in range(50):
                file.seek(random_numbers.randrange(0, 32 << 20, 4096))
                file.read(4096)
        self.assertEqual(0, self.mount.stats()["reads"]["prefetched"])
        self.assert_reads_right(["stream"])
        stats = self.mount.stats()
        self.assertGreater(stats["read_ahead"]["used"], 24)
        self.assertLessEqual(stats["origin"]["bytes"], 64 << 20)
        self.assertGreater(self.origin.counters()["most_at_once"], 1)

    def test_who_stops_leaves_little_behind(self):
        paths = self.files(folders=1, count=500)
        self.mount_slow(delay_us=0)
        self.assert_reads_right(paths[:50])
        wait_until(lambda: self.mount.stats()["read_ahead"]["prefetched"] > 30, 10, "read-ahead")
        self.assertLessEqual(self.mount.stats()["origin"]["reads"], 100)


class Stopped(mounting.MountTestCase):
    def test_a_read_parked_while_the_daemon_is_stopped_gets_its_bytes(self):
        write_file(os.path.join(self.space.source, "file"), b"content")
        origin = self.space.slow_origin()
        deadline = limit(2)
        mount = self.space.mount("--origin-deadline", f"{round(deadline)}s",
                                 source=origin.path).wait_settled()
        origin.command("hang_contents", "file")
        reader = self.space.start(["cat", os.path.join(self.space.mnt, "file")],
                                  stdout=subprocess.PIPE)
        wait_until(lambda: mount.stats()["parked_count"] == 1, 10, "a parked read")
        mount.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: mounting.process_state(mount.pid) == "T", 10, "the stop")
        # Nothing tells that time has passed but the clock.
        wait_until(lambda: time.monotonic() > stopped + 1.5 * deadline, 10, "the time")
        mount.signal(signal.SIGCONT)
        woken = mount.stats()["uptime_s"]
        wait_until(lambda: mount.stats()["uptime_s"] > woken + 0.2, 10, "ten looks at deadlines")
        self.assertEqual(1, mount.stats()["parked_count"])
        origin.command("release")
        out, _ = reader.communicate(timeout=limit(10))
        self.assertEqual((0, b"content"), (reader.returncode, out))
        self.assertEqual(0, mount.stats()["reads"]["timeouts"])


if __name__ == "__main__":
    mounting.main()
