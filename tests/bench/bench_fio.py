#!/usr/bin/python3
"""Large files over the disk tier: fio on the mount beside fio on the disk that keeps it, and how
reads scale with the number of disks.

  fio      one file, random and sequential, 4 KiB to 1 MiB, psync, two jobs, page cache off the path
           (caches dropped before, each byte read at most once); the mount has little memory and all
           chunks on disk. Beside it the same fio on a file of that size on the same disk. MB/s.
  stripes  one, two and four cache directories, each ext4 on a loop device that cgroup v1's blkio
           limits to 60 MB/s: MB/s of the mount with cold caches against what one directory gives,
           for many files and for one large one.

Sides take turns; medians of the rounds. --quick: less data, one round.
"""

import json
import os
import random
import shutil
import subprocess

import side_by_side
from side_by_side import (MIB, Watch, drop_caches, median, mounting, progress, read_files,
                          wait_packed)

BLOCKS = ("4k", "16k", "64k", "256k", "1m")
LIMIT = 60_000_000  # bytes/s of each loop device
LINEAR = 0.9
BLKIO = "/sys/fs/cgroup/blkio"


def write_random(path, size_bytes):
    rng = random.Random(size_bytes)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        for _ in range(size_bytes // MIB):
            out.write(rng.randbytes(MIB))


# --- fio

def fio(path, pattern, block, bytes_each):
    """MB/s of two jobs, each with a half of the file to itself."""
    half = os.path.getsize(path) // 2
    drop_caches()
    out = subprocess.run(
        ["fio", "--name=read", f"--filename={path}", f"--rw={pattern}", f"--bs={block}",
         "--readonly", "--ioengine=psync", "--numjobs=2", f"--size={half}",
         f"--offset_increment={half}", f"--io_size={min(bytes_each, half)}", "--invalidate=1",
         "--thread", "--group_reporting", "--output-format=json"],
        stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)["jobs"][0]["read"]["bw_bytes"] / 1e6


def fio_part(bench):
    size = (256 if bench.quick else 1024) * MIB
    source = os.path.join(bench.ram, "big")
    write_random(os.path.join(source, "file"), size)
    copy = os.path.join(bench.space.path, "copy")
    shutil.copyfile(os.path.join(source, "file"), copy)
    mount = bench.space.mount("--disk", "20GiB", "--page-cache", "drop", source=source,
                              memory="32MiB").wait_settled()
    shown = os.path.join(bench.space.mnt, "file")
    with open(shown, "rb", buffering=0) as file:
        while file.read(MIB):
            pass
    wait_packed(mount)
    before = mount.stats()["origin"]["bytes"]
    bench.row("", text=f"\nfio on a file of {size // MIB} MiB, --memory 32MiB, MB/s")
    for pattern in ("randread", "read"):
        for block in BLOCKS:
            # A random 4 KiB read brings an extent: few of them tell as much as many.
            most = {"4k": 16 * MIB, "16k": 64 * MIB}.get(block, size) if pattern == "randread" \
                else size
            rates = {copy: [], shown: []}
            for _ in range(bench.rounds):
                for path, got in rates.items():
                    got.append(fio(path, pattern, block, most))
            base, mine = median(rates[copy]), median(rates[shown])
            progress(f"{pattern} {block}: disk {base:.0f}, mount {mine:.0f} MB/s")
            bench.row("", text=f"  {pattern:<9} {block:>5}   disk {base:8.1f}   mount {mine:8.1f}"
                               f"   ratio {mine / base:5.2f}")
            bench.row(f"fio {pattern} {block}", text="", disk=rates[copy], mount=rates[shown])
    if mount.stats()["origin"]["bytes"] != before:
        progress("WRONG: the origin was read")
    mount.unmount()
    os.unlink(copy)
    shutil.rmtree(source)


# --- stripes

class LimitedDisks:
    """ext4 on loop devices; processes started through `words` read each at LIMIT at most."""

    def __init__(self, bench, count, size_bytes):
        self.bench, self.folders, self.devices = bench, [], []
        self.group = os.path.join(BLKIO, f"stokefs-bench-{os.getpid()}")
        os.makedirs(self.group, exist_ok=True)
        for index in range(count):
            folder = bench.space.folder(f"disk{index}")
            image = folder + ".image"
            with open(image, "wb") as out:
                out.truncate(size_bytes)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
            device = subprocess.run(["losetup", "--show", "-f", "--direct-io=on", image],
                                    stdout=subprocess.PIPE, check=True).stdout.decode().strip()
            self.devices.append(device)
            subprocess.run(["mount", device, folder], check=True)
            self.folders.append(folder)
            bench.space.undo.callback(self._take_down, folder, device, image)
        bench.space.undo.callback(self._remove_group)
        self.words = ["sh", "-c", f"echo $$ > {self.group}/cgroup.procs && exec \"$@\"", "-"]

    def limit(self, bytes_per_s):
        """0: none."""
        for device in self.devices:
            number = os.stat(device).st_rdev
            with open(os.path.join(self.group, "blkio.throttle.read_bps_device"), "w",
                      encoding="ascii") as out:
                out.write(f"{os.major(number)}:{os.minor(number)} {bytes_per_s}\n")

    def _remove_group(self):
        with open(os.path.join(self.group, "cgroup.procs"), encoding="ascii") as pids:
            for pid in pids.read().split():
                with open(os.path.join(BLKIO, "cgroup.procs"), "w", encoding="ascii") as out:
                    out.write(pid)
        os.rmdir(self.group)

    @staticmethod
    def _take_down(folder, device, image):
        while mounting.is_mounted(folder):
            subprocess.run(["umount", folder], check=True)
        subprocess.run(["losetup", "-d", device], check=True)
        os.unlink(image)

    def alone(self, count):
        """MB/s of `count` devices by themselves: a dd on each, in the same group, of all chunk
        files there, past the page cache."""
        size, readers = 0, []
        with Watch() as watch:
            for folder in self.folders[:count]:
                paths = [os.path.join(root, name) for root, _, names in os.walk(folder)
                         for name in names if name.endswith(".chunk")]
                size += sum(map(os.path.getsize, paths))
                readers.append(subprocess.Popen(
                    [*self.words, "sh", "-c", "for path; do dd if=\"$path\" of=/dev/null bs=1M "
                     "iflag=direct status=none; done", "-", *paths]))
            if any(reader.wait() for reader in readers):
                raise AssertionError("a dd failed")
        return size / watch.seconds / 1e6


def mount_in_group(bench, disks, count, source):
    caches = [os.path.join(folder, "cache") for folder in disks.folders[:count]]
    more = [word for folder in caches[1:] for word in ("--cache-dir", folder)]
    command = bench.space.mount_command("--disk", "20GiB", "--page-cache", "drop", *more,
                                        source=source, cache=caches[0], memory="32MiB")
    finished = mounting.run([*disks.words, mounting.STOKEFS, *command], 60,
                            env=bench.space.environment())
    if finished.status != mounting.DONE:
        raise AssertionError(str(finished))
    return bench.space.adopt(finished=finished).wait_settled()


def large_rate(path):
    """MB/s of one reader of a large file, 1 MiB at a time."""
    drop_caches()
    size, buffer = 0, bytearray(MIB)
    with open(path, "rb", buffering=0) as file, Watch() as watch:
        while got := file.readinto(buffer):
            size += got
    return size / watch.seconds / 1e6


def stripes_part(bench):
    scale = 4 if bench.quick else 1
    source = os.path.join(bench.ram, "striped")
    paths = side_by_side.make_files(source, 3200 // scale, 112_000)
    write_random(os.path.join(source, "large", "file"), 384 * MIB // scale)
    disks = LimitedDisks(bench, 4, 1280 * MIB)
    rates = {}
    for count in (1, 2, 4):
        disks.limit(0)
        mount = mount_in_group(bench, disks, count, source)
        read_files(bench.space.mnt, paths, 0)
        large_rate(os.path.join(bench.space.mnt, "large", "file"))
        wait_packed(mount)
        mount.unmount()
        disks.limit(LIMIT)
        for number in range(bench.rounds):
            mount = mount_in_group(bench, disks, count, source)
            drop_caches()
            seconds, size = read_files(bench.space.mnt, paths, number + 1, workers=8)
            rates.setdefault(("many files", count), []).append(size / seconds / 1e6)
            mount.unmount()
            mount = mount_in_group(bench, disks, count, source)
            rates.setdefault(("one large file", count), []).append(
                large_rate(os.path.join(bench.space.mnt, "large", "file")))
            if mount.stats()["origin"]["bytes"]:
                progress("WRONG: the origin was read")
            mount.unmount()
            progress(f"{count} directories: " + ", ".join(
                f"{what} {got[-1]:.0f} MB/s" for (what, n), got in rates.items() if n == count))
        spread = [sum(os.stat(os.path.join(root, name)).st_size for root, _, names in
                      os.walk(os.path.join(folder, "cache")) for name in names) >> 20
                  for folder in disks.folders[:count]]
        progress(f"MiB in each directory: {spread}")
        drop_caches()
        rates["dd on each disk", count] = [disks.alone(count)]
        for folder in disks.folders:
            shutil.rmtree(os.path.join(folder, "cache"), ignore_errors=True)
    bench.row("", text=f"\nreads over directories limited to {LIMIT / 1e6:.0f} MB/s each")
    for (what, count), got in rates.items():
        bench.row(f"{what}, {count} director{'y' if count == 1 else 'ies'}", value=median(got),
                  unit="MB/s", all=got)
    for what in ("many files", "one large file"):
        for count in (2, 4):
            bench.judge(f"{what}: {count} directories over {count} times one",
                        median(rates[what, count]) / median(rates[what, 1]) / count, LINEAR)


def run(bench, part):
    if shutil.which("fio") is None:
        progress("SKIPPED: fio is lacking")
    elif part == "fio":
        fio_part(bench)
    elif not os.path.isdir(BLKIO):
        progress("SKIPPED: no blkio controller of cgroup v1")
    else:
        stripes_part(bench)


if __name__ == "__main__":
    side_by_side.main(__doc__, ["fio", "stripes"], run)
