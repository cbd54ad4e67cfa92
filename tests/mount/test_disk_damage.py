"""Chunk files and catalog damaged in every way, between mounts and under a live one: right bytes
always, damaged files put aside and counted, and what was lost is fetched once.

With --long (or STOKEFS_TEST_LONG=1) each of the 1,000 bit flips has a mount of its own.
"""

import os
import random
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import disk_case  # noqa: E402
import mounting  # noqa: E402
from disk_case import chunk_paths, damaged, disk_used  # noqa: E402
from mounting import limit, write_file  # noqa: E402

FLIPS = 1000
BATCH = 40  # flips a mount in the default run


class BitFlips(disk_case.DiskTestCase):
    seconds_max = 2400

    def dataset_folder(self):
        [name] = [name for name in os.listdir(self.space.cache)
                  if os.path.isdir(os.path.join(self.space.cache, name, "chunks"))]
        return os.path.join(self.space.cache, name)

    def flip(self, rng):
        """One bit of a chunk file's head, of any byte of a chunk file, or of the catalog. Returns
        where, and whether it cannot be without effect."""
        kind = rng.choice(("head", "any", "any", "catalog"))
        path = os.path.join(self.dataset_folder(), "catalog")
        if kind != "catalog":
            path = rng.choice(chunk_paths(self.space.cache))
        size = os.path.getsize(path)
        offset = rng.randrange(min(size, 64) if kind == "head" else size)
        bit = rng.randrange(8)
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << bit]))
        return f"bit {bit} of byte {offset} of {os.path.relpath(path, self.space.cache)}", kind

    def test_flipped_bits_are_never_believed(self):
        seed = random.randrange(1 << 32)
        rng, per_mount = random.Random(seed), 1 if mounting.LONG else BATCH
        print(f"seed {seed}, {per_mount} flips a mount", file=sys.stderr)
        names = self.fill(30 if mounting.LONG else 200)
        mount = self.mount("--disk", "1GiB", memory="1MiB")
        self.epoch(names)
        self.wait_packed(mount)
        mount.unmount()
        pristine = os.path.join(self.space.path, "pristine")
        shutil.copytree(self.space.cache, pristine)
        counted = aside = 0
        for number in range(FLIPS // per_mount):
            shutil.rmtree(self.space.cache)
            shutil.copytree(pristine, self.space.cache)
            flips = [self.flip(rng) for _ in range(per_mount)]
            with self.subTest(number=number, flips=flips[:3]):
                self.unmount_all()
                mount = self.mount("--disk", "1GiB", memory="1MiB")
                # What was damaged is fetched once; so is, whenever it has left memory, what was
                # read well before its file was found to be damaged.
                before = {name: self.slow().opened(name) for name in names}
                for seed_of_epoch in range(number, number + 3):
                    self.epoch(names, seed_of_epoch)
                twice = [name for name in names if self.slow().opened(name) > before[name] + 1]
                self.assertEqual([], twice)
                stats = mount.stats()
                self.assertEqual(0, stats["reads"]["errors"])
                if any(kind == "head" for _, kind in flips):
                    self.assertGreater(damaged(stats), 0, flips)
                    self.assertGreater(len(chunk_paths(self.space.cache, kind=".bad")), 0)
                counted += damaged(stats) > 0
                aside += len(chunk_paths(self.space.cache, kind=".bad"))
                mount.unmount()
        print(f"{counted} of {FLIPS // per_mount} mounts counted damage, {aside} files put aside",
              file=sys.stderr)
        self.assertGreater(counted, 0)


class Files(disk_case.DiskTestCase):
    """Whole files: what is done to one chunk file, or to all of them."""

    def setUp(self):
        super().setUp()
        self.names = self.fill(150)
        mount = self.mount()
        self.epoch(self.names)
        self.wait_packed(mount)
        mount.unmount()
        self.assertGreater(len(chunk_paths(self.space.cache)), 1)
        self.pristine = os.path.join(self.space.path, "pristine")
        shutil.copytree(self.space.cache, self.pristine)
        self.foreign = self.foreign_chunk()

    def mount(self, **places):
        return super().mount("--disk", "1GiB", **dict({"memory": "1MiB"}, **places))

    def foreign_chunk(self):
        """A chunk file of another dataset with the same names and sizes."""
        other, cache = self.space.folder("other"), os.path.join(self.space.path, "other-cache")
        for name in self.names:
            write_file(os.path.join(other, name),
                       mounting.pattern(len(self.content[name]), "other" + name))
        mount = self.mount(source=other, cache=cache)
        for name in self.names:
            self.read(name)
        self.wait_packed(mount)
        mount.unmount()
        return chunk_paths(cache)[0]

    # Each takes the path of a chunk file and that of another one of the same dataset.

    def truncated_in_the_middle(self, path, _):
        os.truncate(path, os.path.getsize(path) // 2 // 4096 * 4096)

    def truncated_by_a_byte(self, path, _):
        os.truncate(path, os.path.getsize(path) - 1)

    def made_longer(self, path, _):
        with open(path, "ab") as out:
            out.write(b"more" * 2048)

    def emptied(self, path, _):
        os.truncate(path, 0)

    def deleted(self, path, _):
        os.unlink(path)

    def zeroed(self, path, _):
        size = os.path.getsize(path)
        with open(path, "r+b") as out:
            out.write(bytes(size))

    def replaced_by_a_folder(self, path, _):
        os.unlink(path)
        os.mkdir(path)
        write_file(os.path.join(path, "file"), b"in the way")

    def replaced_by_a_link_to_nothing(self, path, _):
        os.unlink(path)
        os.symlink("nothing", path)

    def replaced_by_a_pipe(self, path, _):
        os.unlink(path)
        os.mkfifo(path)

    def replaced_by_another_dataset_s(self, path, _):
        os.unlink(path)
        shutil.copyfile(self.foreign, path)

    def written_over_by_another_dataset_s(self, path, _):
        with open(path, "r+b") as out, open(self.foreign, "rb") as other:
            out.write(other.read())
            out.truncate()

    def replaced_by_another_of_ours(self, path, other):
        os.unlink(path)
        shutil.copyfile(other, path)

    def swapped_with_another_of_ours(self, path, other):
        os.rename(path, path + ".tmp")
        os.rename(other, path)
        os.rename(path + ".tmp", other)

    def made_unreadable(self, path, _):
        os.chmod(path, 0)  # which root does not mind

    DAMAGES = (truncated_in_the_middle, truncated_by_a_byte, made_longer, emptied, deleted, zeroed,
               replaced_by_a_folder, replaced_by_a_link_to_nothing, replaced_by_a_pipe,
               replaced_by_another_dataset_s, written_over_by_another_dataset_s,
               replaced_by_another_of_ours, swapped_with_another_of_ours, made_unreadable)

    def cases(self):
        """(damage, whether all files get it): one and all in turns, both with --long."""
        for number, damage in enumerate(self.DAMAGES):
            for whole in (False, True):
                if mounting.LONG or whole == bool(number % 2):
                    yield damage, whole

    def damage(self, damage, whole):
        paths = chunk_paths(self.space.cache)
        for path in paths if whole else paths[:1]:
            if os.path.isfile(path):
                other = next((other for other in paths if other != path and os.path.isfile(other)),
                             self.foreign)
                damage(self, path, other)

    def restore(self):
        shutil.rmtree(self.space.cache)
        shutil.copytree(self.pristine, self.space.cache)

    def check_healed(self, mount, live=False):
        """All is right, what was lost is fetched once, and a restart needs the origin no more.
        A block that was read well before its file was found to be bad is missed an epoch later; a
        file that was open when its name was taken away (`live`) is missed after the restart."""
        with self.origin_reads_at_most(self.bytes_of(self.names)):
            self.epoch(self.names, seed=1)
            self.epoch(self.names, seed=2)
        with self.no_origin_reads():
            self.epoch(self.names, seed=3)
        self.wait_packed(mount)
        self.assertEqual(0, mount.stats()["reads"]["errors"])
        mount = self.remount(mount)
        with self.origin_reads_at_most(self.bytes_of(self.names) if live else 0):
            self.epoch(self.names, seed=4)
        with self.no_origin_reads():
            self.epoch(self.names, seed=5)
        self.assertLess(self.read_longest[0], limit(5))
        mount.unmount()

    def test_between_mounts(self):
        for damage, whole in self.cases():
            with self.subTest(damage=damage.__name__, all_files=whole):
                self.unmount_all()
                self.restore()
                self.damage(damage, whole)
                self.check_healed(self.mount())

    def test_under_a_live_mount(self):
        for damage, whole in self.cases():
            with self.subTest(damage=damage.__name__, all_files=whole):
                self.unmount_all()
                self.restore()
                mount = self.mount()
                self.epoch(self.names[::2])  # so that files are open
                self.damage(damage, whole)
                self.check_healed(mount, live=True)

    def test_under_readers(self):
        """Every damage once, one after the other, while two readers read."""
        self.restore()
        mount = self.mount()
        with self.readers(self.names):
            for damage in self.DAMAGES:
                self.damage(damage, whole=False)
                self.epoch(self.names, seed=4)
        self.assertEqual(0, mount.stats()["reads"]["errors"])

    def test_strange_things_in_the_folder(self):
        """What is nobody's chunk file is left alone, not followed and not believed."""
        self.restore()
        folder = os.path.dirname(os.path.dirname(chunk_paths(self.space.cache)[0]))
        outside = write_file(os.path.join(self.space.path, "outside"), b"not ours")
        name = "0123456789abcd"  # ends in the name of its folder
        write_file(os.path.join(folder, "ab", "notes.txt"), b"notes")
        write_file(os.path.join(folder, "zz", name + "zz.chunk"), b"x")
        write_file(os.path.join(folder, "ab", name + "ac.chunk"), b"of another folder")
        write_file(os.path.join(folder, "ab", name + "ab.chunk.new"), b"unfinished")
        os.makedirs(os.path.join(folder, "ac", name + "ac.chunk"))
        os.makedirs(os.path.join(folder, "ad"), exist_ok=True)
        os.symlink(outside, os.path.join(folder, "ad", name + "ad.chunk"))
        self.check_healed(self.mount())
        with open(outside, "rb") as file:
            self.assertEqual(b"not ours", file.read())
        self.assertEqual([], chunk_paths(self.space.cache, kind=".new"))

    def test_bad_files_stay_within_the_budget(self):
        """Damage after damage: what is put aside does not pile up."""
        self.restore()
        budget = 2 * self.bytes_of(self.names)
        mount = disk_case.DiskTestCase.mount(self, "--disk", str(budget), memory="1MiB")
        with disk_case.BudgetWatch(self.space.cache) as watch:
            for seed in range(12):
                self.damage(Files.zeroed, whole=True)
                self.epoch(self.names, seed)
                self.wait_packed(mount)
        self.assertLessEqual(watch.bytes_max, budget)
        self.assertLessEqual(len(chunk_paths(self.space.cache, kind=".bad")), 2)
        self.assertLessEqual(disk_used(mount.stats()), budget)
        self.assertGreater(damaged(mount.stats()), 12)


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        mounting.LONG = True
    mounting.main()
