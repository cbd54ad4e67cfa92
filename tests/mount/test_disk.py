"""The disk tier on good days: each sample is read from the origin once, also over a restart; the
budget holds; cache directories come, go and are shared by sources, never by daemons of one."""

import os
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
from disk_case import KIB, MIB, allocated_bytes, chunk_paths, disk_used  # noqa: E402
from mounting import DONE, limit, wait_until, write_file  # noqa: E402


class ReadOnce(disk_case.DiskTestCase):
    """All samples fit --disk, few fit memory."""

    def setUp(self):
        super().setUp()
        self.names = self.fill(300)
        self.names.append(self.put("large", mounting.pattern(5 * MIB + 77, "large")))
        self.total = self.bytes_of(self.names)

    def mount(self, *flags, **places):
        self.assertGreater(self.total, 6 * 4 * MIB)  # or memory alone could do it
        return super().mount("--disk", "1GiB", *flags, **places)

    def test_two_shuffled_epochs_and_two_restarts(self):
        mount = self.mount()
        self.epoch(self.names, seed=1)
        counters = self.slow().counters()
        self.assertEqual(self.total, counters["bytes"])
        for name in self.names[:-1]:
            self.assertEqual(1, self.slow().opened(name), name)
        with self.no_origin_reads():
            self.epoch(self.names, seed=2)
            self.wait_packed(mount)
            self.assert_budget_is_real(mount, 1 << 30)
            for seed in (3, 4):
                mount = self.remount(mount)
                self.epoch(self.names, seed)
                reads = mount.stats()["reads"]
                self.assertEqual(0, reads["origin"])
                # Memory answers more than by recency: what is not read yet is fetched ahead.
                self.assertGreater(reads["disk"], len(self.names) * 0.3)
                self.assertEqual(len(self.names), reads["disk"] + reads["memory"])
                self.assertEqual((len(self.names), 0), (reads["samples"], reads["errors"]))

    def test_four_readers_at_once(self):
        """Each its own order, so that most samples are wanted again long after they left memory."""
        mount, wrong = self.mount(), []

        def read(seed):
            try:
                self.epoch(self.names, seed)
            except (AssertionError, OSError) as error:
                wrong.append(str(error))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)
        self.assertEqual(self.total, self.slow().counters()["bytes"])
        mount = self.remount(mount)
        with self.no_origin_reads():
            self.epoch(self.names, seed=9)

    def test_an_unmount_right_after_the_last_read_loses_nothing(self):
        mount = self.mount()
        self.epoch(self.names)
        mount = self.remount(mount)
        with self.no_origin_reads():
            self.epoch(self.names, seed=1)

    def test_parts_of_a_large_file(self):
        """Only the extents that were asked for are read, each once."""
        self.mount()
        content, rng = self.content["large"], random.Random(5)
        descriptor = os.open(self.at("large"), os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        try:
            for offset in [100, 4 * MIB + 9] + [rng.randrange(4 * KIB, MIB) for _ in range(50)]:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                start = time.monotonic()
                got = os.pread(descriptor, 5000, offset)
                self.note(time.monotonic() - start, f"5000 bytes at {offset}")
                self.assertEqual(content[offset:offset + 5000], got)
        finally:
            os.close(descriptor)
        self.assertIn(self.slow().counters()["bytes"], range(2 * MIB, 3 * MIB + 1))

    def test_disk_0_writes_no_chunk_file(self):
        mount = disk_case.DiskTestCase.mount(self, "--disk", "0")
        self.epoch(self.names, seed=1)
        self.epoch(self.names, seed=2)
        self.assertEqual(0, disk_used(mount.stats()))
        self.assertEqual(0, mount.stats()["reads"]["disk"])
        mount.unmount()
        self.assertEqual([], chunk_paths(self.space.path, kind=""))
        self.assertGreater(self.slow().counters()["bytes"], 1.5 * self.total)


class Budget(disk_case.DiskTestCase):
    def test_a_dataset_larger_than_the_budget(self):
        """The disk serves its share, and du never finds more than was allowed."""
        names = self.fill(400)
        budget = self.bytes_of(names) // 2
        with disk_case.BudgetWatch(self.space.cache) as watch:
            mount = self.mount("--disk", str(budget))
            for seed in range(2):
                self.epoch(names, seed)
            self.wait_packed(mount)
            self.assert_budget_is_real(mount, budget)
            before = self.slow().counters()["bytes"]
            self.epoch(names, seed=3)
            again = self.slow().counters()["bytes"] - before
        self.assertGreater(watch.polls, 10)
        self.assertLessEqual(watch.bytes_max, budget)
        self.assertGreater(watch.bytes_max, budget * 0.6)
        # Without a disk all would be read again but what memory holds; half is on disk.
        self.assertLess(again, self.bytes_of(names) * 0.7)

    def test_a_budget_lowered_at_the_next_mount(self):
        names = self.fill(300)
        mount = self.mount("--disk", "1GiB")
        self.epoch(names)
        mount.unmount()
        full = allocated_bytes(self.space.cache)
        self.assertGreater(full, self.bytes_of(names) * 0.99)
        for budget in (full // 2, full // 10, 64 * KIB):
            with self.subTest(budget=budget):
                mount = self.mount("--disk", str(budget))
                wait_until(lambda: allocated_bytes(self.space.cache) <= budget, 10, "the eviction")
                with disk_case.BudgetWatch(self.space.cache) as watch:
                    self.epoch(names, seed=budget)
                self.assertLessEqual(watch.bytes_max, budget)
                self.wait_packed(mount)
                self.assert_budget_is_real(mount, budget)
                mount.unmount()
                self.assertLessEqual(allocated_bytes(self.space.cache), budget)
        mount = self.mount("--disk", "0")  # what an earlier mount left there takes no more room
        self.epoch(names, seed=1)
        self.assertEqual(0, mount.stats()["reads"]["disk"])

    def test_a_budget_raised_again_is_filled(self):
        names = self.fill(200)
        mount = self.mount("--disk", str(self.bytes_of(names) // 3))
        self.epoch(names)
        mount = self.remount(mount, "--disk", "1GiB")
        self.epoch(names, seed=1)
        with self.no_origin_reads():
            self.epoch(names, seed=2)
            mount = self.remount(mount, "--disk", "1GiB")
            self.epoch(names, seed=3)


class Directories(disk_case.DiskTestCase):
    def setUp(self):
        super().setUp()
        self.second = os.path.join(self.space.path, "cache-2")
        self.third = os.path.join(self.space.path, "cache-3")

    def test_added_removed_and_put_back(self):
        names = self.fill(400)
        mount = self.mount("--disk", "1GiB", cache_dirs=[self.second])
        self.epoch(names)
        self.wait_packed(mount)
        self.assertEqual(2, len(mount.stats()["tiers"]["disk"]))
        first, second = allocated_bytes(self.space.cache), allocated_bytes(self.second)
        self.assertGreater(min(first, second), 0)
        self.assert_budget_is_real(mount, 1 << 30, self.space.cache, self.second)

        mount = self.remount(mount, "--disk", "1GiB", cache_dirs=[self.second, self.third])
        with self.no_origin_reads():
            self.epoch(names, seed=1)

        before = self.slow().counters()["bytes"]
        mount = self.remount(mount, "--disk", "1GiB")  # the second and third are gone
        self.epoch(names, seed=2)
        again = self.slow().counters()["bytes"] - before
        # Only what lay there is read again, and then the first directory holds all.
        self.assertLess(again, self.bytes_of(names) - first * 0.9)
        self.assertGreater(again, 0)
        with self.no_origin_reads():
            self.epoch(names, seed=3)

        # Put back, and what both hold counts within the budget.
        mount = self.remount(mount, "--disk", "1GiB", cache_dirs=[self.second])
        with self.no_origin_reads():
            self.epoch(names, seed=4)
        self.wait_packed(mount)
        self.assert_budget_is_real(mount, 1 << 30, self.space.cache, self.second)

    def test_in_another_order(self):
        """The first directory has the catalog; the chunks of all serve wherever they stand."""
        names = self.fill(200)
        mount = self.mount("--disk", "1GiB", cache_dirs=[self.second])
        self.epoch(names)
        mount = self.remount(mount, "--disk", "1GiB", cache=self.second,
                             cache_dirs=[self.space.cache])
        with self.no_origin_reads():
            self.epoch(names, seed=1)

    def test_two_sources_in_one_directory(self):
        names = self.fill(100)
        other, mnt = self.space.folder("other"), self.space.folder("mnt2")
        for name in names:  # the same names and sizes, other bytes
            write_file(os.path.join(other, name),
                       mounting.pattern(len(self.content[name]), f"other {name}"))
        for _ in range(2):
            mount = self.mount("--disk", "1GiB")
            second = self.space.mount("--disk", "1GiB", source=other, mnt=mnt).wait_settled()
            for seed in range(2):
                self.epoch(names, seed)
                for name in names:
                    self.assertEqual(mounting.read_file(os.path.join(other, name)),
                                     self.read(name, root=mnt), name)
            second.unmount()
            mount.unmount()
        folders = [name for name in os.listdir(self.space.cache)
                   if os.path.isdir(os.path.join(self.space.cache, name, "chunks"))]
        self.assertEqual(2, len(folders))

    def check_refused(self, holder, *flags, **places):
        finished = self.space.try_mount(*flags, source=self.slow().path,
                                        mnt=self.space.folder("mnt2"), **places)
        self.assertIn(finished.status, (mounting.REFUSED, mounting.FAILED), str(finished))
        self.assertIn(str(holder.pid), finished.err)
        self.assertIn(holder.path, finished.err)

    def test_two_daemons_on_one_directory_for_one_source(self):
        names = self.fill(100)
        mount = self.mount("--disk", "1GiB", cache_dirs=[self.second])
        with self.readers(names):
            self.check_refused(mount, "--disk", "1GiB")
            self.check_refused(mount, "--disk", "0")
            # One that shares only a directory that is the first of neither.
            self.check_refused(mount, "--disk", "1GiB", "--cache-dir", self.second,
                               cache=self.third)
            self.check_refused(mount, "--disk", "1GiB", cache=self.second)
        self.wait_packed(mount)
        self.assertEqual([], chunk_paths(self.space.path, kind=".bad"))
        mount.unmount()
        self.mount("--disk", "1GiB", cache=self.second)
        self.epoch(names)

    def test_one_directory_given_twice(self):
        """The same folder by two names must not be taken for two disks."""
        names = self.fill(100)
        os.symlink(self.space.cache, self.second)
        finished = self.space.try_mount("--disk", "1GiB", "--cache-dir", self.second,
                                        source=self.slow().path)
        if finished.status == DONE:
            mount = self.space.mounts[-1].wait_settled()
            self.epoch(names)
            self.wait_packed(mount)
            self.assert_budget_is_real(mount, 1 << 30)
        else:
            self.assertIn(finished.status, (mounting.REFUSED, mounting.FAILED), str(finished))
            self.assertIn(self.second, finished.err)

    def test_the_chunks_may_be_deleted_between_mounts(self):
        names = self.fill(60)
        mount = self.mount("--disk", "1GiB")
        self.epoch(names)
        mount.unmount()
        for path in os.listdir(self.space.cache):
            shutil.rmtree(os.path.join(self.space.cache, path, "chunks"))
        mount = self.mount("--disk", "1GiB")
        self.epoch(names, seed=1)
        with self.no_origin_reads():
            mount = self.remount(mount, "--disk", "1GiB")
            self.epoch(names, seed=2)


class Speed(disk_case.DiskTestCase):
    def test_the_second_epoch_is_faster_than_a_slow_origin(self):
        names = self.fill(200)
        self.slow().command("delay_us", 5_000)
        mount = self.mount("--disk", "1GiB")
        first = self.epoch(names)
        self.wait_packed(mount)
        second = self.epoch(names, seed=1)
        print(f"first epoch {first:.2f} s, second {second:.2f} s", file=sys.stderr)
        # An open and a read each, of which a shuffled epoch's prefetch spares a part.
        self.assertGreater(first, 200 * 2 * 0.005 / 4)
        self.assertLess(second, limit(1))  # with an origin read each, 2 s
        self.assertLess(self.read_longest[0], limit(5))


if __name__ == "__main__":
    mounting.main()
