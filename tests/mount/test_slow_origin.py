"""The tests' own origin is slow and broken exactly as told, or what others find means nothing."""

import errno
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
import odd_tree  # noqa: E402
from mounting import read_file, wait_until, write_file  # noqa: E402


class SlowOriginTest(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        for name, size in (("one", 10), ("folder/two \n", 100_000), ("folder/three", 3 << 20)):
            write_file(os.path.join(self.space.source, name), mounting.pattern(size, name))
        os.symlink("one", os.path.join(self.space.source, "link"))
        self.origin = self.space.slow_origin()

    def at(self, name):
        return os.path.join(self.origin.path, name)

    def seconds(self, name):
        start = time.monotonic()
        read_file(self.at(name))
        return time.monotonic() - start

    def test_it_shows_the_folder(self):
        self.assertEqual([], odd_tree.differences(odd_tree.picture(self.space.source),
                                                  odd_tree.picture(self.origin.path)))
        self.assert_errno(errno.EROFS, os.mkdir, self.at("new"))

    def test_it_counts(self):
        before = self.origin.counters()
        read_file(self.at("folder/three"))
        os.listdir(self.at("folder"))
        after = self.origin.counters()
        self.assertEqual(1, after["opens"] - before["opens"])
        self.assertEqual(3 << 20, after["bytes"] - before["bytes"])
        self.assertEqual(1, self.origin.opened("folder/three"))
        self.assertGreater(after["readdirs"], before["readdirs"])

    def test_it_is_late(self):
        self.origin.command("delay_us", 100_000)
        self.assertGreater(self.seconds("one"), 0.2)  # open and read
        self.origin.command("delay_us", 0)
        self.origin.command("open_delay_us", 100_000)
        self.assertGreater(self.seconds("one"), 0.1)
        self.origin.command("open_delay_us", 0)
        self.origin.command("bandwidth", 500_000)
        self.assertGreater(self.seconds("folder/two \n"), 0.2)

    def test_it_serves_few_at_once(self):
        self.origin.command("delay_us", 50_000)
        for parallel, seconds in ((0, 0.1), (2, 0.4)):
            self.origin.command("parallel", parallel)
            threads = [threading.Thread(target=read_file, args=(self.at("one"),)) for _ in range(8)]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertGreaterEqual(time.monotonic() - start, seconds)

    def test_it_fails_as_told(self):
        self.origin.command("fail", errno.EIO, "folder/two \n")
        self.assert_errno(errno.EIO, read_file, self.at("folder/two \n"))
        self.assertEqual(10, len(read_file(self.at("one"))))
        self.origin.command("heal")
        self.origin.command("short", "folder/two \n")
        descriptor = os.open(self.at("folder/two \n"), os.O_RDONLY)
        self.assertEqual(50_000, len(os.read(descriptor, 100_000)))
        os.close(descriptor)
        self.assertEqual(100_000, len(read_file(self.at("folder/two \n"))))
        self.origin.command("cut", "folder/three")
        self.assertEqual((3 << 20) // 2, len(read_file(self.at("folder/three"))))
        with self.assertRaises(AssertionError):
            self.origin.command("dance", "one")

    def test_it_stalls_now_and_then(self):
        self.origin.command("stall", 200, 4)  # an open, a read and the end of the file each
        seconds = sorted(self.seconds("one") for _ in range(8))
        self.assertLess(seconds[1], 0.2)
        self.assertGreater(seconds[-1], 0.2)
        self.origin.command("stall", 0)
        self.assertLess(max(self.seconds("one") for _ in range(8)), mounting.limit(0.2))

    def test_it_goes_away_and_comes_back(self):
        self.origin.command("vanish", errno.ENOTCONN)
        for function in (read_file, os.stat, os.readlink):
            self.assert_errno(errno.ENOTCONN, function, self.at("one"))
        self.assert_errno(errno.ENOTCONN, os.listdir, self.at("folder"))
        self.origin.command("heal")
        self.assertEqual(10, len(read_file(self.at("one"))))
        self.assertEqual(2, len(os.listdir(self.at("folder"))))

    def test_it_hangs_until_released(self):
        for target in ("*", "folder/three"):
            self.origin.command("hang", target)
            threads = [threading.Thread(target=read_file, args=(self.at("folder/three"),))
                       for _ in range(70)]
            for thread in threads:
                thread.start()
            wait_until(lambda: self.origin.counters()["hung"] > 0, 5, "hung requests")
            self.assertTrue(any(thread.is_alive() for thread in threads))
            self.origin.command("release")
            for thread in threads:
                thread.join()
            self.assertEqual(0, self.origin.counters()["hung"])

    def test_it_ends_while_requests_hang(self):
        self.origin.command("hang", "*")
        process = self.space.start(["cat", self.at("one")], stdout=-3, stderr=-3)
        wait_until(lambda: self.origin.counters()["hung"] > 0, 5, "hung requests")
        self.origin.close()
        process.wait(5)
        self.assertFalse(mounting.is_mounted(self.origin.path))


if __name__ == "__main__":
    mounting.main()
