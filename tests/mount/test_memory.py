"""The daemon's own memory grows by at most 200 bytes a file, its arena aside.

With --long (or STOKEFS_TEST_LONG=1) a million files, else 100,000.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402

FILES_PER_FOLDER = 1000
BYTES_PER_FILE, FIXED_BYTES = 200, 64 << 20


def anonymous_bytes(pid):
    """Private anonymous memory; the arena is a memfd, so it is shared memory and not in this."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no Anonymous line")


def fill(root, count):
    """Names as ImageNet has them; one byte in every tenth file, for a million writes take long."""
    for first in range(0, count, FILES_PER_FOLDER):
        name = os.path.join(root, f"n{first * 7:08d}")
        os.mkdir(name)
        folder = os.open(name, os.O_RDONLY)
        for index in range(first, min(first + FILES_PER_FOLDER, count)):
            file = f"n{first * 7:08d}_{index}.JPEG"
            if index % 10:
                os.mknod(file, 0o644, dir_fd=folder)
            else:
                out = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder)
                os.write(out, b"x")
                os.close(out)
        os.close(folder)


class Memory(mounting.MountTestCase):
    seconds_max = 900

    def check(self, mount, count, when):
        used = anonymous_bytes(mount.pid)
        print(f"{when}: {used / 2**20:.1f} MiB anonymous, {count} files: "
              f"{used / count:.0f} bytes a file", file=sys.stderr)
        self.assertLessEqual(used, BYTES_PER_FILE * count + FIXED_BYTES, when)

    def test_bytes_per_file(self):
        count = 1_000_000 if mounting.LONG else 100_000
        fill(self.space.source, count)
        mount = self.space.mount().wait_settled(300)
        self.assertEqual(count, mount.stats()["dataset"]["samples"])
        self.check(mount, count, "after the first scan")
        found = mounting.run(["bash", "-c", "find . -type f -size -2 | wc -l"], 300,
                             cwd=mount.path)  # a stat each
        self.assertEqual(count, int(found.out))
        self.check(mount, count, "after a walk")
        mount.unmount()
        mount = self.space.mount()
        self.assertLess(mount.finished.seconds, mounting.limit(2))
        mount.wait_scanned(60)
        self.assertTrue(mount.stats()["scan"]["loaded"])
        self.check(mount, count, "after a load")
        mount.wait_settled(300)
        self.check(mount, count, "after the comparison with the origin")
        self.assertEqual(count, mount.stats()["dataset"]["samples"])


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        mounting.LONG = True
    mounting.main()
