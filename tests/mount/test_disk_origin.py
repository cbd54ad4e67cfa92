"""The origin's bad days over a warm disk: it changes, vanishes, hangs, stalls, fails single files
and reads short. What is cached is served throughout, and what changed is never served old."""

import errno
import os
import shutil
import statistics
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
from disk_case import MIB, cold_read  # noqa: E402
from mounting import limit, wait_until  # noqa: E402
from trainer import WORKERS, Trainer  # noqa: E402

DEADLINE = limit(2)


class OriginCase(disk_case.DiskTestCase):
    """A part of the dataset is on disk, a part was never read."""

    def setUp(self):
        super().setUp()
        self.cached = self.fill(200, folder="cached")
        self.cached.append(self.put("cached/large", mounting.pattern(6 * MIB + 1, "large")))
        self.fresh = self.fill(100, folder="fresh")

    def mount(self, *flags, deadline=DEADLINE, **places):
        return super().mount("--disk", "1GiB", "--origin-deadline", f"{round(deadline)}s", *flags,
                             **places)

    def warm_mount(self, **more):
        """Mounted again after the cached part was read, so that memory has none of it."""
        mount = self.mount(**more)
        self.epoch(self.cached)
        self.wait_packed(mount)
        return self.remount(mount, **more)

    def reset_longest(self):
        self.read_longest = (0.0, "nothing")


class Away(OriginCase):
    def check_served(self, seconds=1, rounds=3):
        """All that is cached is right, and no read waits for the origin."""
        self.reset_longest()
        for seed in range(rounds):
            self.epoch(self.cached, seed)
        self.assertLess(self.read_longest[0], limit(seconds), self.read_longest)

    def start_stuck(self, mount, count=40):
        """Reads of what is not cached, in processes of their own because they may be killed."""
        for name in self.fresh[:count]:
            self.space.start(["cat", self.at(name)], stdout=-3, stderr=-3)
        wait_until(lambda: mount.stats()["parked_count"] >= count, 10, "stuck reads")

    def test_a_hung_origin_slows_nothing_that_is_cached(self):
        # Room for hung fetches to lie about in and yet leave 1 MiB in one piece for an extent.
        more = {"deadline": limit(30), "memory": "8MiB"}
        mount = self.warm_mount(**more)
        free, hung = [], []
        for seed in range(5):
            free.append(self.epoch(self.cached, seed))
            self.slow().command("hang", "*")
            self.start_stuck(mount)
            hung.append(self.epoch(self.cached, seed + 10))
            self.slow().command("release")
            wait_until(lambda: mount.stats()["parked_count"] == 0, 10, "the stuck ones' end")
            # They are cached now, and what stands beside them may have been read ahead.
            self.fresh = self.fill(40, folder=f"later{seed}")
            mount = self.remount(mount, **more)
        ratio = statistics.median(free) / statistics.median(hung)
        print(f"cached reads while the origin hangs: {ratio:.2f} of the free speed",
              file=sys.stderr)
        self.assertLess(max(hung), limit(10))  # a read that waits for a stuck one waits for 30 s

    def test_a_job_whose_prefetches_hang_slows_nothing_that_is_cached(self):
        self.fresh += self.fill(600, folder="more")
        mount = self.warm_mount(deadline=limit(30), memory="8MiB")
        trainer = Trainer(self.space, self.space.mnt, epochs=2)
        wait_until(lambda: mount.stats()["jobs"], 10, "a job")
        wait_until(lambda: mount.stats()["reads"]["prefetched"] > 20, 10, "prefetches")
        self.slow().command("hang", "*")
        wait_until(lambda: mount.stats()["parked_count"] >= WORKERS, 10, "stuck workers")
        self.check_served(seconds=3, rounds=4)
        self.slow().command("release")
        trainer.wait_epoch()

    def test_served_while_it_hangs_and_after_a_deadline(self):
        self.warm_mount()
        self.slow().command("hang", "*")
        self.check_served()
        self.assert_errno(errno.ETIMEDOUT, cold_read, self.at(self.fresh[0]))
        self.check_served()
        self.slow().command("release")
        wait_until(lambda: self.is_right(self.fresh[0]), 10, "its return")
        self.epoch(self.cached + self.fresh)

    def is_right(self, name):
        try:
            return cold_read(self.at(name)) == self.content[name]
        except OSError:
            return False

    def test_served_while_it_is_stopped(self):
        self.warm_mount()
        self.slow().stop()
        self.check_served()
        self.slow().resume()
        self.epoch(self.cached + self.fresh)

    def test_served_while_it_is_away_and_when_it_comes_back(self):
        for number in (errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.ENOENT, errno.EACCES):
            with self.subTest(errno=errno.errorcode[number]):
                self.slow().command("heal")
                self.unmount_all()
                mount = self.warm_mount()
                self.slow().command("vanish", number)
                self.check_served(rounds=2)
                self.assert_errno((number, errno.EIO, errno.ESTALE, errno.ENOENT), cold_read,
                                  self.at(self.fresh[0]))
                self.check_served(rounds=1)
                self.slow().command("heal")
                self.epoch(self.cached, seed=9)
                # A name that was missed may have been dropped; it comes back with its folder.
                mount = self.remount(mount)
                self.epoch(self.cached + self.fresh)
                mount.unmount()
                shutil.rmtree(self.space.cache)

    def test_mounted_while_it_cannot_be_listed(self):
        """A mount whose comparison with the origin fails forgets nothing."""
        mount = self.warm_mount()
        mount.unmount()
        self.slow().command("fail", errno.EIO, "cached")
        self.slow().command("fail", errno.EIO, "fresh")
        mount = self.space.mount("--disk", "1GiB", "--page-cache", "keep", "--origin-deadline",
                                 f"{round(DEADLINE)}s", source=self.slow().path, memory="4MiB")
        mount.wait_scanned()
        self.check_served()
        self.slow().command("heal")
        mount = self.remount(mount)
        with self.no_origin_reads():
            self.epoch(self.cached)

    def test_its_server_dies_and_another_comes(self):
        mount = self.warm_mount()
        self.slow().process.kill()
        self.slow().process.wait()
        self.check_served()
        self.assert_errno((errno.ENOTCONN, errno.EIO, errno.ECONNABORTED), cold_read,
                          self.at(self.fresh[0]))
        mounting.force_unmount(self.slow().path)
        self.check_served()
        self.origin = self.space.slow_origin()  # at the same place
        self.check_served()
        mount = self.remount(mount)
        self.epoch(self.cached + self.fresh)

    def test_an_empty_folder_in_its_place(self):
        """As when a network share is not mounted: nothing is shown; later all is right again."""
        self.warm_mount().unmount()
        self.slow().close()
        mount = self.mount()
        self.assertEqual([], os.listdir(self.space.mnt))
        mount.unmount()
        self.origin = self.space.slow_origin()
        self.mount()
        self.epoch(self.cached + self.fresh)


class Faulty(OriginCase):
    def test_eio_for_single_files(self):
        mount = self.warm_mount()
        bad = self.fresh[::10] + self.cached[::10]
        for name in bad:
            self.slow().command("fail", errno.EIO, name)
        failed = self.epoch_with_errors(self.cached + self.fresh, allowed=(errno.EIO,))
        self.assertEqual(dict.fromkeys(self.fresh[::10], errno.EIO), failed)
        self.slow().command("heal")
        self.epoch(self.cached + self.fresh, seed=1)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.epoch(self.cached + self.fresh, seed=2)

    def test_short_reads(self):
        for name in self.fresh + self.cached:
            self.slow().command("short", name)
        mount = self.mount()
        self.epoch(self.fresh + self.cached)
        self.wait_packed(mount)
        with self.no_origin_reads():
            mount = self.remount(mount)
            self.epoch(self.fresh + self.cached, seed=1)

    def test_files_that_end_too_early_are_kept_by_nobody(self):
        for name in self.fresh[::5]:
            self.slow().command("cut", name)
        mount = self.mount()
        failed = self.epoch_with_errors(self.fresh, allowed=(errno.EIO, errno.ESTALE))
        self.assertEqual(set(self.fresh[::5]), set(failed))
        self.wait_packed(mount)
        self.slow().command("heal")
        mount = self.remount(mount)
        self.epoch(self.fresh, seed=1)

    def test_stalls_of_2_s_are_not_felt_by_what_is_cached(self):
        mount = self.warm_mount(deadline=limit(30))
        self.slow().command("stall", 2_000, 5)
        wrong = []

        def read_fresh():
            try:
                for name in self.fresh[:12]:
                    if cold_read(self.at(name)) != self.content[name]:
                        wrong.append(name)
            except OSError as error:
                wrong.append(str(error))

        reader = threading.Thread(target=read_fresh)
        reader.start()
        self.reset_longest()
        rounds = 0
        while reader.is_alive():
            self.epoch(self.cached, seed=rounds)
            rounds += 1
        reader.join()
        self.assertEqual([], wrong)
        self.assertGreater(rounds, 3)
        self.assertLess(self.read_longest[0], limit(1), self.read_longest)
        self.assertEqual(0, mount.stats()["reads"]["errors"])


class Changed(OriginCase):
    """Whatever changes at the origin: cached bytes of the old version are never the new file's."""

    def source(self, name):
        return os.path.join(self.space.source, name)

    def new_content(self, name, size=None):
        return mounting.pattern(size or len(self.content[name]), "new " + name)

    def written_over(self, name):
        with open(self.source(name), "r+b") as out:
            out.write(self.new_content(name))
        return self.new_content(name)

    def written_over_and_the_time_put_back(self, name):
        before = os.stat(self.source(name))
        content = self.written_over(name)
        os.utime(self.source(name), ns=(before.st_atime_ns, before.st_mtime_ns))
        return content

    def replaced(self, name):
        mounting.write_file(self.source(name) + ".tmp", self.new_content(name))
        os.rename(self.source(name) + ".tmp", self.source(name))
        return self.new_content(name)

    def replaced_with_the_times_put_back(self, name):
        before = os.stat(self.source(name))
        content = self.replaced(name)
        os.utime(self.source(name), ns=(before.st_atime_ns, before.st_mtime_ns))
        return content

    def made_longer(self, name):
        mounting.write_file(self.source(name), self.new_content(name, len(self.content[name]) + 99))
        return self.new_content(name, len(self.content[name]) + 99)

    def made_shorter(self, name):
        mounting.write_file(self.source(name), self.new_content(name, 1000))
        return self.new_content(name, 1000)

    def swapped_with_its_neighbour(self, name):
        other = self.cached[self.cached.index(name) + 1]
        os.rename(self.source(name), self.source(name) + ".tmp")
        os.rename(self.source(other), self.source(name))
        os.rename(self.source(name) + ".tmp", self.source(other))
        mine, self.content[other] = self.content[other], self.content[name]
        return mine

    CHANGES = (written_over, written_over_and_the_time_put_back, replaced,
               replaced_with_the_times_put_back, made_longer, made_shorter,
               swapped_with_its_neighbour)

    def change_all(self):
        """Each change to some cached files, some removed, some new. Returns the removed ones."""
        names = list(self.cached[:-1])
        for number, change in enumerate(self.CHANGES):
            for name in names[number * 20:number * 20 + 6:2]:
                self.content[name] = change(self, name)
        self.content["cached/large"] = self.written_over_and_the_time_put_back("cached/large")
        removed = names[150:155]
        for name in removed:
            os.unlink(self.source(name))
            self.cached.remove(name)
        self.cached += self.fill(5, folder="cached/new")
        return removed

    def check_new(self, removed):
        self.epoch(self.cached, seed=5)
        for name in removed:
            self.assert_errno(errno.ENOENT, cold_read, self.at(name))

    def check_only_changes_are_read(self, before):
        """3 files of each of 7 changes, their neighbours of one, the large one, the new ones."""
        opens = self.slow().counters()["opens"] - before["opens"]
        self.assertLessEqual(opens, 6 * 3 + 3 * 2 + 7 + 5)

    def test_between_mounts(self):
        mount = self.warm_mount()
        mount.unmount()
        removed = self.change_all()
        before = self.slow().counters()
        mount = self.mount()
        self.check_new(removed)
        self.check_only_changes_are_read(before)
        self.wait_packed(mount)
        mount = self.remount(mount)
        with self.no_origin_reads():
            self.check_new(removed)

    def test_under_a_live_mount_and_refreshed(self):
        mount = self.warm_mount()
        removed = self.change_all()
        before = self.slow().counters()
        finished = mount.fsctl("refresh", seconds=30)
        self.assertEqual(mounting.DONE, finished.status, str(finished))
        self.check_new(removed)  # it returned when it was done
        self.check_only_changes_are_read(before)
        mount = self.remount(mount)
        with self.no_origin_reads():
            self.check_new(removed)

    def test_under_a_live_mount_that_is_not_told(self):
        """Old bytes whole or new bytes whole, never a mix, and after the next mount the new."""
        mount = self.warm_mount()
        old = dict(self.content)
        removed = self.change_all()
        for name in self.cached * 2:
            try:
                got = self.read(name)
            except OSError as error:
                self.assertIn(error.errno, (errno.ESTALE, errno.ENOENT), name)
                continue
            self.assertTrue(got in (old.get(name), self.content[name]), f"a mix: {name}")
        mount = self.remount(mount)
        self.check_new(removed)
        self.wait_packed(mount)
        with self.no_origin_reads():
            self.check_new(removed)

    def test_put_back(self):
        """The old file under its old name again: its bytes may be had from disk, and are right."""
        name = self.cached[3]
        mount = self.warm_mount()
        os.rename(self.source(name), self.source("aside"))
        mounting.write_file(self.source(name), b"meanwhile")
        mount = self.remount(mount)
        self.assertEqual(b"meanwhile", cold_read(self.at(name)))
        os.rename(self.source("aside"), self.source(name))
        mount = self.remount(mount)
        self.check_bytes(name, self.read(name))


if __name__ == "__main__":
    mounting.main()
