"""Files whose bytes tell which file and which version they are, and what of them may be seen now.

A dataset is edited while others read it through a mount. Whoever edits moves an entry of the Ledger
before the origin changes (`begin_...`) and after a refresh has taken the change over (`settle`).
So a reader, in any process, can say of all that it got whether it was right:

    before = ledger.entry(index)
    got = ...                                  # bytes, or the errno
    wrong = judge(index, got, before, ledger.entry(index))      # None, or what is wrong
"""

import collections
import errno
import mmap
import os
import random

KIB = 1 << 10
THERE, IN_DOUBT, GONE = range(3)

# The oldest and the newest version that may be seen, and whether the name is there.
Entry = collections.namedtuple("Entry", ["oldest", "newest", "presence"])


def content(index, version):
    dice = random.Random(f"{index} {version}")
    big = index % 100 == 50  # more than one extent, now and then
    size = dice.randrange(300 * KIB, 2500 * KIB) if big else dice.randrange(2 * KIB, 24 * KIB)
    head = f"{index} {version}\n".encode()
    return head + dice.randbytes(size - len(head))


def version_of(index, got):
    """Which version of the file these bytes are, whole; None when they are none."""
    words = got[:40].split(b"\n", 1)[0].split(b" ")
    if len(words) != 2 or words[0] != b"%d" % index or not words[1].isdigit():
        return None
    version = int(words[1])
    return version if got == content(index, version) else None


def judge(index, got, before, after):
    """What is wrong with these bytes, or with this errno; None: nothing. The entries are from
    before the open and from after the last read."""
    unsettled = before.oldest != after.newest or IN_DOUBT in (before.presence, after.presence)
    if isinstance(got, int):
        gone = got == errno.ENOENT and GONE in (before.presence, after.presence)
        if gone or (unsettled and got in (errno.ENOENT, errno.ESTALE)):
            return None
        return f"{os.strerror(got)}; {before}, {after}"
    version = version_of(index, got)
    if version is None:
        return f"{len(got)} bytes that no version has; they begin with {got[:40]!r}"
    if not before.oldest <= version <= after.newest:
        return f"version {version}; {before}, {after}"
    if before.presence == GONE and before == after:
        return f"version {version} of a file that is gone"
    return None


class Ledger:
    """An entry a file, and a word that ends all readers. Processes share it: a file, mapped. One
    writer; each field is a word of its own, and only ever read or written whole."""

    ENTRY_WORDS = 3

    def __init__(self, path, count=None):
        """`count`: makes the file."""
        if count is not None:
            with open(path, "wb") as file:
                file.truncate(4 * (1 + self.ENTRY_WORDS * count))
        with open(path, "r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 0)).cast("I")
        self.path = path

    def entry(self, index):
        at = 1 + self.ENTRY_WORDS * index
        return Entry(*self._words[at:at + self.ENTRY_WORDS])

    def _set(self, index, **fields):
        for name, value in fields.items():
            self._words[1 + self.ENTRY_WORDS * index + Entry._fields.index(name)] = value

    def begin_write(self, index):
        """The version that may be written at the origin now."""
        entry = self.entry(index)
        self._set(index, newest=entry.newest + 1)
        if entry.presence != THERE:
            self._set(index, presence=IN_DOUBT)
        return entry.newest + 1

    def begin_removal(self, index):
        self._set(index, presence=IN_DOUBT)

    def settle(self, index, presence):
        """What was begun is seen by all who open from now on."""
        self._set(index, oldest=self.entry(index).newest, presence=presence)

    def stop(self):
        self._words[0] = 1

    def is_stopped(self):
        return self._words[0] != 0
