"""What the statistics say is what happened; the byte budgets hold; one sample is fetched once."""

import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import read_file, resident_pages, wait_until, write_file  # noqa: E402
from odd_tree import KIB, MIB  # noqa: E402

COUNT = 200


class Statistics(mounting.MountTestCase):
    def fill(self, count=COUNT, size=10_000, folder="data"):
        for index in range(count):
            write_file(os.path.join(self.space.source, folder, f"{index:04}"),
                       mounting.pattern(size, index))
        return [os.path.join(folder, f"{index:04}") for index in range(count)]

    def at(self, name):
        return os.path.join(self.space.mnt, name)

    def expected(self, name):
        return read_file(os.path.join(self.space.source, name))

    def read_all(self, names, seed=0):
        names = list(names)
        random.Random(seed).shuffle(names)
        for name in names:
            self.assertEqual(self.expected(name), read_file(self.at(name)), name)

    def wait_dropped(self, names):
        wait_until(lambda: not any(resident_pages(self.at(name)) for name in names), 10,
                   "an empty page cache")

    def test_residency_lists_what_is_in_memory(self):
        names = self.fill(20, folder="two words")
        self.space.mount("--page-cache", "drop", "--disk", "0").wait_settled()
        self.read_all(names[3:7])
        listed = read_file(self.at(".stokefs/residency")).decode().splitlines()
        self.assertEqual([name.replace(" ", "%20") for name in sorted(names[3:7])], listed)

    def test_first_reads_by_tier_and_the_hit_ratio(self):
        names = self.fill()
        mount = self.space.mount("--page-cache", "drop").wait_settled()
        stats = mount.stats()
        self.assertEqual((COUNT, COUNT * 10_000),
                         (stats["dataset"]["samples"], stats["dataset"]["bytes"]))
        self.assertEqual(0, stats["reads"]["samples"])
        self.assertIsNone(stats["hit_ratio"])
        self.read_all(names)
        stats = mount.stats()
        # A reader that shuffles finds what was fetched ahead for its epoch in memory.
        ahead = stats["reads"]["memory"]
        self.assertLess(ahead, COUNT - 32)
        reads = {"samples": COUNT, "bytes": COUNT * 10_000, "memory": ahead, "disk": 0,
                 "origin": COUNT - ahead}
        self.assertEqual(reads, {key: stats["reads"][key] for key in reads})
        self.assertEqual({"reads": COUNT, "bytes": COUNT * 10_000, "errors": 0},
                         {key: stats["origin"][key] for key in ("reads", "bytes", "errors")})
        self.assertAlmostEqual(ahead / COUNT, stats["hit_ratio"])
        self.wait_dropped(names)
        self.read_all(names, seed=1)
        stats = mount.stats()
        reads.update(samples=2 * COUNT, bytes=2 * COUNT * 10_000, memory=ahead + COUNT)
        self.assertEqual(reads, {key: stats["reads"][key] for key in reads})
        self.assertEqual(COUNT, stats["origin"]["reads"])
        self.assertAlmostEqual((ahead + COUNT) / 2 / COUNT, stats["hit_ratio"])
        self.assertGreaterEqual(stats["tiers"]["memory"]["used_bytes"], COUNT * 10_000)
        self.assertGreater(stats["latency_us"]["read_p99"], 0)
        self.assertGreaterEqual(stats["latency_us"]["read_p99"], stats["latency_us"]["read_p50"])

    def test_kept_pages_are_read_without_the_daemon(self):
        names = self.fill()
        mount = self.space.mount("--page-cache", "keep").wait_settled()
        self.read_all(names)
        self.read_all(names, seed=1)
        stats = mount.stats()
        self.assertEqual(COUNT, stats["reads"]["samples"])
        self.assertEqual("keep", stats["page_cache"])
        self.assertEqual(3, resident_pages(self.at(names[0])))

    def test_auto_keeps_what_fits_and_drops_what_does_not(self):
        names = self.fill(count=100, size=100_000)
        mount = self.space.mount("--page-cache", "auto", memory="64MiB").wait_settled()
        self.read_all(names)
        self.read_all(names)
        self.assertEqual(100, mount.stats()["reads"]["samples"])
        mount.unmount()
        mount = self.space.mount("--page-cache", "auto", memory="4MiB").wait_settled()
        self.read_all(names)
        self.wait_dropped(names)
        self.read_all(names)
        self.assertEqual(200, mount.stats()["reads"]["samples"])

    def test_the_memory_budget_is_never_passed(self):
        names = self.fill(count=400, size=100_000)
        budget = 8 * MIB
        mount = self.space.mount("--page-cache", "drop", memory="8MiB").wait_settled()
        self.assertEqual(budget, mount.stats()["tiers"]["memory"]["budget_bytes"])
        wrong, done = [], threading.Event()

        def read(seed):
            try:
                self.read_all(names, seed)
            except AssertionError as error:
                wrong.append(str(error)[:300])

        readers = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for reader in readers:
            reader.start()
        used = []
        while any(reader.is_alive() for reader in readers):
            used.append(mount.stats()["tiers"]["memory"]["used_bytes"])
            done.wait(0.02)
        self.assertEqual([], wrong)
        self.assertLessEqual(max(used), budget)
        self.assertGreater(max(used), budget // 2)
        self.assertGreater(mount.stats()["tiers"]["memory"]["evicted"], 0)

    def test_a_budget_smaller_than_one_file_works(self):
        names = ["large", "larger"]
        write_file(os.path.join(self.space.source, "large"), mounting.pattern(9 * MIB + 5, 1))
        write_file(os.path.join(self.space.source, "larger"), mounting.pattern(20 * MIB, 2))
        small = self.fill(count=40, size=MIB - 1)  # not above the extent: one block each
        for memory in (1, 2, 8):
            with self.subTest(memory=memory):
                mount = self.space.mount("--page-cache", "drop", memory=f"{memory}MiB")
                mount.wait_settled()
                self.read_all(names + small)
                threads = [threading.Thread(target=self.read_all, args=(names, seed))
                           for seed in range(3)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                memory_tier = mount.stats()["tiers"]["memory"]
                self.assertLessEqual(memory_tier["used_bytes"], memory * MIB)
                self.assertEqual(0, mount.stats()["reads"]["errors"])
                mount.unmount()

    def test_many_readers_of_one_sample_cause_one_origin_read(self):
        size = 900 * KIB  # one block, many READs
        write_file(os.path.join(self.space.source, "wanted"), mounting.pattern(size, "wanted"))
        origin = self.space.slow_origin()
        mount = self.space.mount("--page-cache", "drop", source=origin.path).wait_settled()
        origin.command("delay_us", 300_000)
        expected, wrong = self.expected("wanted"), []

        def read(offset):
            descriptor = os.open(self.at("wanted"), os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
            if os.pread(descriptor, 4096, offset) != expected[offset:offset + 4096]:
                wrong.append(offset)
            os.close(descriptor)

        threads = [threading.Thread(target=read, args=(index * 50_000,)) for index in range(18)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)
        stats = mount.stats()
        self.assertEqual((1, size), (stats["origin"]["reads"], stats["origin"]["bytes"]))
        self.assertGreater(stats["reads"]["joined"], 0)
        self.assertEqual(1, origin.opened("wanted"))

    def test_a_small_read_of_a_large_file_fetches_one_extent(self):
        size = 64 * MIB
        with open(os.path.join(self.space.source, "large"), "wb") as out:
            for index in range(64):
                out.write(mounting.pattern(MIB, index))
        mount = self.space.mount("--page-cache", "drop").wait_settled()
        descriptor = os.open(self.at("large"), os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        self.assertEqual(mounting.pattern(MIB, 33)[512 * KIB:516 * KIB],
                         os.pread(descriptor, 4096, 33 * MIB + 512 * KIB))
        stats = mount.stats()
        self.assertEqual((1, MIB), (stats["origin"]["reads"], stats["origin"]["bytes"]))
        self.assertEqual(size, stats["dataset"]["bytes"])
        self.assertLessEqual(stats["tiers"]["memory"]["used_bytes"], 2 * MIB)
        os.pread(descriptor, 8192, 40 * MIB - 4096)  # across an edge
        self.assertEqual(3, mount.stats()["origin"]["reads"])

    def test_extents_follow_the_flag(self):
        write_file(os.path.join(self.space.source, "file"), mounting.pattern(MIB, 1))
        mount = self.space.mount("--large-file-bytes", "256KiB").wait_settled()
        self.assertEqual(self.expected("file"), read_file(self.at("file")))
        self.assertEqual(4, mount.stats()["origin"]["reads"])

    def test_empty_files_need_no_origin(self):
        write_file(os.path.join(self.space.source, "empty"), b"")
        mount = self.space.mount().wait_settled()
        self.assertEqual(b"", read_file(self.at("empty")))
        self.assertEqual(0, mount.stats()["origin"]["reads"])

    def test_fsctl_says_the_same(self):
        import json
        names = self.fill(count=20)
        mount = self.space.mount("--page-cache", "drop").wait_settled()
        self.read_all(names)
        finished = mount.fsctl("stats", "--json")
        self.assertEqual(0, finished.status, str(finished))
        told, own = json.loads(finished.out), mount.stats()
        for key in ("dataset", "reads", "hit_ratio", "jobs", "tiers", "hints", "pid", "version"):
            self.assertEqual(own[key], told[key], key)
        finished = mount.fsctl("stats")
        self.assertEqual(0, finished.status, str(finished))
        for word in ("hit ratio", "origin", "memory", "20"):
            self.assertIn(word, finished.out.lower())

    def test_fsctl_watch_goes_on_until_told(self):
        import signal
        import subprocess
        mount = self.space.mount().wait_settled()
        process = self.space.start([mounting.FSCTL, "stats", "--watch", mount.path],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        seen = b""
        while seen.lower().count(b"hit ratio") < 2:  # the test's watchdog ends this
            piece = os.read(process.stdout.fileno(), 4096)
            self.assertTrue(piece, seen)
            seen += piece
        process.send_signal(signal.SIGINT)
        process.wait(mounting.limit(3))


if __name__ == "__main__":
    mounting.main()
