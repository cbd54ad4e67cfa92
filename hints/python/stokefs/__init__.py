"""What a training job tells a stokefs mount, in Python.

    import stokefs
    stokefs.Hints("/mnt/data").importance({"train/cat/1.jpg": 2.5, 17: 0.1})

`ImportanceSampler` is a torch sampler that draws by importance; torch is imported when it is used.
The grammar behind this is docs/HINTS.md's; nothing here needs more than a file that can be written.
"""

from ._hints import Hints, escape

__all__ = ["Hints", "ImportanceSampler", "escape"]


def __getattr__(name):
    if name == "ImportanceSampler":
        from ._sampler import ImportanceSampler
        return ImportanceSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
