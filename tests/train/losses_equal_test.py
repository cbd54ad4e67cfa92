#!/usr/bin/python3
"""Training over a mount gives the same losses, batch for batch, as over the source directory.

Trains tools/train_fashion_mnist, which knows nothing of stokefs, on a small subset: from the
source, then from a mount in each page-cache mode. Exit status 0 equal, 77 something lacks
here (said on stdout), 1 anything else. STOKEFS_BIN and FSCTL_BIN name the programs
(default: build/tools/).
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
STOKEFS = os.environ.get("STOKEFS_BIN", os.path.join(ROOT, "build/tools/stokefs"))
FSCTL = os.environ.get("FSCTL_BIN", os.path.join(ROOT, "build/tools/fsctl"))
PYTHON = "/usr/bin/python3"  # Debian's torch is found by Debian's Python only

IMAGES = 600  # of train and of test each
EPOCHS = 2
BATCH = 50
SEED = 42
PAGE_CACHE_MODES = ("drop", "keep")

MOUNT_SECONDS = 60  # many times what it takes: sanitizer builds run this too
TRAIN_SECONDS = 300


class Skip(Exception):
    """Something that this machine lacks."""


def require(condition, lack):
    if not condition:
        raise Skip(lack)


def look_for_parts():
    require(os.path.exists("/dev/fuse"), "no /dev/fuse on this machine")
    require(os.path.exists(PYTHON), f"no {PYTHON}")
    for module in ("torch", "torchvision"):
        found = subprocess.run([PYTHON, "-c", f"import importlib.util, sys; "
                                f"sys.exit(importlib.util.find_spec('{module}') is None)"],
                               check=False)
        require(found.returncode == 0, f"no {module} for {PYTHON}: install python3-{module}")
    require(os.path.isdir("/usr/share/datasets/fashion-mnist"),
            "no Fashion-MNIST: install dataset-fashion-mnist")


def run(*command, seconds, **options):
    """Runs a command in a session of its own, and leaves nothing of it when it is late."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        out, _ = process.communicate(timeout=seconds)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise AssertionError(f"{' '.join(command)}: exit status {process.returncode}")
    return out


def train(directory, losses):
    run(PYTHON, os.path.join(ROOT, "tools/train_fashion_mnist"), directory, "--losses", losses,
        "--epochs", str(EPOCHS), "--batch-size", str(BATCH), "--seed", str(SEED),
        seconds=TRAIN_SECONDS)
    with open(losses, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    assert len(lines) == EPOCHS * IMAGES // BATCH, f"{directory}: {len(lines)} losses"
    assert len(set(lines)) > len(lines) / 2, f"{directory}: the losses hardly change: {lines}"
    return lines


def is_mounted(mount_point):
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return any(line.split()[4] == mount_point for line in table)


@contextlib.contextmanager
def mounted(source, mount_point, cache, mode):
    os.mkdir(mount_point)
    try:
        # Its output goes to this test's, never into a pipe: the daemon might keep the other end.
        run(STOKEFS, "mount", source, mount_point, "--cache-dir", cache, "--page-cache", mode,
            seconds=MOUNT_SECONDS)
        assert is_mounted(mount_point), f"mount returned 0, but {mount_point} is not mounted"
        yield
        run(STOKEFS, "unmount", mount_point, seconds=MOUNT_SECONDS)
        assert not is_mounted(mount_point), f"unmount returned 0, but {mount_point} is mounted"
    finally:
        if is_mounted(mount_point):
            subprocess.run([STOKEFS, "unmount", mount_point, "--force"], check=False,
                           timeout=MOUNT_SECONDS)
        if is_mounted(mount_point):
            subprocess.run(["fusermount3", "-u", "-z", mount_point], check=False)


def assert_equal(expected, found, mode):
    for batch, (want, got) in enumerate(zip(expected, found)):
        assert want == got, f"page cache {mode}: batch {batch}: {got} over the mount, not {want}"


def size_of(directory):
    return sum(os.path.getsize(os.path.join(parent, name))
               for parent, _, names in os.walk(directory) for name in names)


def assert_read_through_mount(mount_point, source):
    """Without this a mount that shows the source some other way would pass."""
    stats = json.loads(run(FSCTL, "stats", mount_point, "--json", seconds=MOUNT_SECONDS,
                           stdout=subprocess.PIPE))
    reads, origin = stats["reads"], stats["origin"]
    print(f"reads {reads}, origin {origin}, hit ratio {stats['hit_ratio']}", flush=True)
    assert stats["dataset"]["samples"] == 2 * IMAGES, stats["dataset"]
    assert reads["samples"] >= 2 * IMAGES, reads
    assert origin["bytes"] >= size_of(source), origin
    assert origin["errors"] == 0, origin


def compare(work):
    for program in (STOKEFS, FSCTL):  # not a lack of the machine but a broken build: no skip
        assert os.access(program, os.X_OK), f"{program} is not built"
    source = os.path.join(work, "source")
    run(os.path.join(ROOT, "tools/make_fashion_mnist"), source, "--limit", str(IMAGES),
        seconds=TRAIN_SECONDS)
    expected = train(source, os.path.join(work, "losses-source"))
    for mode in PAGE_CACHE_MODES:
        mount_point = os.path.join(work, f"mnt-{mode}")
        with mounted(source, mount_point, os.path.join(work, f"cache-{mode}"), mode):
            found = train(mount_point, os.path.join(work, f"losses-{mode}"))
            assert_read_through_mount(mount_point, source)
        assert_equal(expected, found, mode)
        print(f"page cache {mode}: {len(found)} losses are equal", flush=True)


def main():
    # meson ends a late test by SIGTERM: unmount then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        look_for_parts()
    except Skip as lack:
        print(f"SKIPPED: {lack}")
        return 77
    work = os.path.realpath(tempfile.mkdtemp(prefix="stokefs-train-"))
    try:
        compare(work)
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        # Never below a mount that is still there.
        if not any(is_mounted(os.path.join(work, f"mnt-{mode}")) for mode in PAGE_CACHE_MODES):
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
