"""Lines for the control file `hints`."""

import errno
import os
import re

# Blanks, control bytes and "%" anywhere, "#" in front.
_ODD = re.compile(r"[\x00-\x20\x7f%]|^#")
_PIECE_BYTES = 4 << 20


def escape(path):
    """A path (str, bytes or os.PathLike, relative to the mount) as hints have it."""
    path = os.fsdecode(path)
    return _ODD.sub(lambda odd: f"%{ord(odd[0]):02X}", path)


class Hints:
    """The hints of one mount. Each call opens the file, writes and closes it, so that an object may
    be kept, copied to workers and used by several threads at once.

    What the mount refuses is a ValueError with its reason; the values before the bad one hold.
    """

    def __init__(self, mnt, job=None):
        self.path = os.path.join(os.fspath(mnt), ".stokefs", "hints")
        self._job = job  # whose root indices are below

    def importance(self, values):
        """values: {path or index: importance}, or pairs of them. Indices are ImageFolder's below the
        root of the job named last by this object."""
        pairs = values.items() if hasattr(values, "items") else values
        lines = []
        for target, value in pairs:
            if target.__class__ is str:
                word = target if _ODD.search(target) is None else escape(target)
            elif isinstance(target, (bytes, os.PathLike)):
                word = escape(target)
            else:
                word = f"#{int(target)}"
            lines.append(f"importance {word} {float(value)!r}\n")
        self._write(lines, self._job)

    def epoch(self, job, number):
        """`job` begins its epoch `number`."""
        self._write([f"epoch {job} {int(number)}\n"])

    def pin(self, path):
        """Keeps a file, or all files below a folder, on the local disk. "" or ".": all."""
        self._write([f"pin {_place(path)}\n"])

    def unpin(self, path):
        self._write([f"unpin {_place(path)}\n"])

    def job(self, name, root=None):
        """Names a job and the folder that its indices count from; without `root` one that is there.
        importance() counts from it from now on."""
        self._write([f"job {name}\n" if root is None else f"job {name} root={_place(root)}\n"])
        self._job = name

    def _write(self, lines, job=None):
        text = "".join(lines)
        if job is not None:
            text = f"job {job}\n{text}"
        left = memoryview(text.encode("utf-8", "surrogateescape"))
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            while left:
                left = left[os.write(descriptor, left[:_PIECE_BYTES]):]
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            reason = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
            raise ValueError(f"{self.path}: {reason}") from None
        finally:
            os.close(descriptor)


def _place(path):
    return escape(path) or "."
