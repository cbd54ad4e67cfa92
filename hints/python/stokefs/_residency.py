"""What a mount has in memory."""

import os
import re

_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def residency(mnt):
    """The paths below `mnt` of the samples whose bytes are all in the mount's memory now, sorted by
    their bytes. A moment's view: what to prefer, not what to rely on."""
    with open(os.path.join(os.fspath(mnt), ".stokefs", "residency"), "rb") as listed:
        words = listed.read().splitlines()
    return [os.fsdecode(_ESCAPED.sub(lambda code: bytes([int(code[1], 16)]), word))
            for word in words]
