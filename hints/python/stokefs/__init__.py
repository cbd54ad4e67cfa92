"""What a training job tells a stokefs mount and learns from it, in Python.

    import stokefs
    stokefs.Hints("/mnt/data").importance({"train/cat/1.jpg": 2.5, 17: 0.1})
    stokefs.residency("/mnt/data")  # paths of the samples that are in memory

`ImportanceSampler` is a torch sampler that draws by importance; torch is imported when it is used.
The grammar behind this is docs/HINTS.md's; nothing here needs more than the control files.
"""

from ._hints import Hints, escape
from ._residency import residency

__all__ = ["Hints", "ImportanceSampler", "escape", "residency"]


def __getattr__(name):
    if name == "ImportanceSampler":
        from ._sampler import ImportanceSampler
        return ImportanceSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
