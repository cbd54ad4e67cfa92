"""File systems of a test's own, made to be filled, broken and taken away: a tmpfs of a few MiB, or
ext4 in a file behind a loop device. Needs root; lack() says why there is none.

    disk = small_disk.Ext4(folder, 64 << 20)     # mounted at folder until close()
    disk.fill()                                  # not a byte more fits
    disk.become_read_only()                      # as ext4 does when it finds itself damaged
    disk.die()                                   # every read and write is EIO from now on
"""

import contextlib
import errno
import fcntl
import os
import subprocess

import mounting

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2


def lack():
    """Why there can be no such file system here; None when there can."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    return None


def _run(*words):
    finished = mounting.run(list(words), 30)
    if finished.status != 0:
        raise OSError(errno.EIO, str(finished))
    return finished


class Tmpfs:
    def __init__(self, folder, size_bytes):
        self.path = folder
        os.makedirs(folder, exist_ok=True)
        self._make(size_bytes)

    def _make(self, size_bytes):
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", self.path)

    def free_bytes(self):
        space = os.statvfs(self.path)
        return space.f_bavail * space.f_frsize

    def total_bytes(self):
        space = os.statvfs(self.path)
        return space.f_blocks * space.f_frsize

    def fill(self, leave_bytes=0):
        """Others fill the disk, until this much is free."""
        with open(os.path.join(self.path, "filler"), "ab", buffering=0) as out:
            while (more := self.free_bytes() - leave_bytes) > 0:
                try:
                    out.write(b"f" * min(more, 1 << 20))
                    os.fsync(out.fileno())
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def drain(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "filler"))

    def close(self):
        while mounting.is_mounted(self.path):
            subprocess.run(["umount", "-l", self.path], check=True)


class Ext4(Tmpfs):
    def _make(self, size_bytes):
        self._image = self.path.rstrip("/") + ".image"
        with open(self._image, "wb") as image:
            image.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", self._image)
        _run("mount", "-o", "loop,errors=remount-ro", self._image, self.path)

    def become_read_only(self):
        """Every write is EROFS from now on, of files that are open as well."""
        device = os.stat(self.path).st_dev
        name = os.path.basename(os.path.realpath(
            f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
        with open(f"/sys/fs/ext4/{name}/trigger_fs_error", "w", encoding="ascii") as trigger:
            trigger.write("a test of read-only disks")

    def die(self):
        """As a disk that fell out: all that comes to it fails, what was not written is lost."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(descriptor)
        with open("/proc/sys/vm/drop_caches", "w") as drop:
            drop.write("1")  # pages that are held would be read on

    def close(self):
        super().close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._image)
