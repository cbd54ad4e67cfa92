"""A tree of odd names, sizes and kinds, and two ways to take a picture of any tree."""

import hashlib
import os
import random
import socket
import stat

from mounting import pattern, write_file

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

SIZES = [0, 1, 4095, 4096, 4097, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1,
         MIB - 1, MIB, MIB + 1, 3 * MIB + 7]

NAMES = [
    b"-rf", b"--help", b" leading and trailing ", b"new\nline", b"tab\there", b"back\\slash",
    b"quote\"'`", b"percent%41", b"star*[?]", b"$(reboot)", b"\x01\x1b[31m", b"\x7f",
    b"\xff\xfe not UTF-8", b"\xc3\x28", "Größe, 大小, размер".encode(), "e\u0301 vs \u00e9".encode(),
    b"...", b"..x", b".hidden", b"~", b"#sharp", b"a" * 255, b"\xe2\x82\xac" * 85, b":colon", b"|",
]

SPARSE_SIZE = 4 * GIB + 12345
SPARSE_PIECES = {0: b"start", 2 * GIB - 3: b"across 2 GiB", 4 * GIB - 2: b"across 4 GiB",
                 SPARSE_SIZE - 3: b"end"}

DEEP_LEVELS, DEEP_NAME = 60, b"d" * 200


def build(root):
    """Fills `root` (str). Parts: names, sizes, kinds, links_inside, sparse, deep, empty."""
    root = os.fsencode(root)
    for index, name in enumerate(NAMES):
        write_file(os.path.join(root, b"names", name), b"content of %d" % index)
    every_byte = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    write_file(os.path.join(root, b"names", every_byte[:127]), b"low bytes")
    write_file(os.path.join(root, b"names", every_byte[127:]), b"high bytes")
    write_file(os.path.join(root, b"names", b"folder \xff\n", b"inner"), b"inside an odd folder")
    for size in SIZES:
        write_file(os.path.join(root, b"sizes", b"size-%d" % size), pattern(size, size))
    _build_kinds(os.path.join(root, b"kinds"))
    _build_links_inside(root)
    os.mkdir(os.path.join(root, b"sparse"))
    with open(os.path.join(root, b"sparse", b"huge"), "wb") as out:
        out.truncate(SPARSE_SIZE)
        for offset, piece in SPARSE_PIECES.items():
            out.seek(offset)
            out.write(piece)
    os.mkdir(os.path.join(root, b"empty"))
    _build_deep(os.path.join(root, b"deep"))
    os.utime(os.path.join(root, b"names"), ns=(0, 1_000_000_000_123_456_789))


def _build_kinds(kinds):
    def at(name):
        return os.path.join(kinds, name)
    write_file(at(b"no permissions"), b"secret", 0o000)
    write_file(at(b"all permissions"), b"everything", 0o7777)
    write_file(at(b"executable"), b"#!/bin/sh\n", 0o755)
    write_file(at(b"someone's"), b"other owner", 0o640)
    if os.geteuid() == 0:
        os.chown(at(b"someone's"), 12345, 54321)
    for name, nanoseconds in ((b"old", -1_500_000_000), (b"epoch", 0),
                              (b"odd nanoseconds", 1_234_567_890_987_654_321),
                              (b"after 2038", (1 << 32) * 1_000_000_000 + 5)):
        os.utime(write_file(at(b"time " + name), name), ns=(0, nanoseconds))
    write_file(at(b"hard link 1"), b"one inode, three names")
    os.mkdir(at(b"linked"))
    os.link(at(b"hard link 1"), at(b"hard link 2"))
    os.link(at(b"hard link 1"), at(b"linked/hard link 3"))
    os.mkfifo(at(b"fifo"))
    with socket.socket(socket.AF_UNIX) as unix:
        here = os.open(".", os.O_RDONLY)  # the path may be longer than a socket's may
        os.chdir(kinds)
        unix.bind(b"socket")
        os.fchdir(here)
        os.close(here)
    os.symlink(b"executable", at(b"link relative"))
    os.symlink(b"../sizes/size-4096", at(b"link up and down"))
    os.symlink(b"linked", at(b"link to folder"))
    os.symlink(b"/etc/passwd", at(b"link outside"))
    os.symlink(b"no such thing \xff\n", at(b"link dangling"))
    os.symlink(b"../" * 40 + b"etc/passwd", at(b"link too far up"))
    os.symlink(b"link in a circle", at(b"link in a circle"))
    os.symlink(b"t" * 4000, at(b"link long"))
    os.mkdir(at(b"locked"), 0o700)
    write_file(at(b"locked/file"), b"in a locked folder")
    os.chmod(at(b"locked"), 0o000)


def _build_links_inside(root):
    """Absolute links into the tree itself: shown relative, so that they stay inside."""
    os.makedirs(os.path.join(root, b"links_inside", b"below"))
    for name, target in ((b"file", b"sizes/size-4097"), (b"below/file", b"sizes/size-1"),
                         (b"below/folder", b"kinds/linked"), (b"root", b""),
                         (b"dangling", b"no/such/thing")):
        os.symlink(os.path.join(root, target) if target else root,
                   os.path.join(root, b"links_inside", name))


def _build_deep(path):
    """60 levels of 200-byte names: a path longer than PATH_MAX."""
    os.mkdir(path)
    folder = os.open(path, os.O_RDONLY)
    for level in range(DEEP_LEVELS):
        os.mkdir(DEEP_NAME, dir_fd=folder)
        inner = os.open(DEEP_NAME, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
        out = os.open(b"at level", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder)
        os.write(out, b"level %d" % level)
        os.close(out)
    os.close(folder)


def walk(root):
    """Yields (path below root, stat, folder descriptor, name) of everything, by folder descriptors,
    so that no path is too long."""
    def visit(folder, prefix):
        for name in sorted(os.listdir(folder)):
            name = os.fsencode(name)
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            yield os.path.join(prefix, name), status, folder, name
            if stat.S_ISDIR(status.st_mode):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
                try:
                    yield from visit(inner, os.path.join(prefix, name))
                finally:
                    os.close(inner)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield from visit(top, b"")
    finally:
        os.close(top)


def metadata(status):
    """What a picture compares: a folder's own size and link count belong to its file system."""
    picture = {"mode": oct(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
               "mtime_ns": status.st_mtime_ns}
    if not stat.S_ISDIR(status.st_mode):
        picture.update(size=status.st_size, nlink=status.st_nlink)
    return picture


def sha256_of(descriptor):
    digest = hashlib.sha256()
    while piece := os.read(descriptor, MIB):
        digest.update(piece)
    return digest.hexdigest()


def picture(root, contents_up_to=16 * MIB):
    """{path: metadata, and content or target}; bytes of larger files are not read."""
    pictured, links = {}, {}
    for path, status, folder, name in walk(root):
        entry = metadata(status)
        if stat.S_ISREG(status.st_mode) and status.st_size <= contents_up_to:
            descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
            entry["sha256"] = sha256_of(descriptor)
            os.close(descriptor)
        elif stat.S_ISLNK(status.st_mode):
            entry["target"] = os.readlink(name, dir_fd=folder)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            links.setdefault((status.st_dev, status.st_ino), []).append(path)
        pictured[path] = entry
    for names in links.values():
        for path in names:
            pictured[path]["same inode as"] = names
    return pictured


def full_stat(root):
    """Everything stat tells of everything, but the access time: has anybody touched it?"""
    fields = [f for f in dir(os.stat_result) if f.startswith("st_") and "atime" not in f]
    pictured = {b"": None}
    status = os.stat(root)
    pictured[b""] = {field: getattr(status, field) for field in fields}
    for path, status, _, _ in walk(root):
        pictured[path] = {field: getattr(status, field) for field in fields}
    return pictured


def differences(expected, found):
    """What differs between two pictures, as lines; empty when nothing."""
    lines = []
    for path in sorted(expected.keys() | found.keys()):
        if path not in found:
            lines.append(f"{path[-80:]!r} is missing")
        elif path not in expected:
            lines.append(f"{path[-80:]!r} should not be there")
        elif expected[path] != found[path]:
            keys = [key for key in expected[path].keys() | found[path].keys()
                    if expected[path].get(key) != found[path].get(key)]
            lines.append(f"{path[-80:]!r}: " + ", ".join(
                f"{key} {found[path].get(key)!r}, not {expected[path].get(key)!r}" for key in keys))
    return lines


def random_range(rng: random.Random, size):
    """An offset and a length in, around and behind a file, edges of pages and extents preferred."""
    edges = [0, 1, 4095, 4096, 128 * KIB, MIB - 1, MIB, MIB + 1, 2 * MIB, size - 1, size, size + 1]
    offset = rng.choice(edges) if rng.random() < 0.5 else rng.randrange(size + 2)
    length = rng.choice([0, 1, 7, 4096, 65536, 128 * KIB + 3, MIB + 5, rng.randrange(1, 3 * MIB)])
    return max(0, offset), length
