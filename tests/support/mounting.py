"""Mounts for tests: made in a folder of their own, waited for, always taken down, and checked.

A test derives from MountTestCase and asks self.space for what it needs:

    mount = self.space.mount("--page-cache", "drop")     # SOURCE, MNT and the cache have defaults
    self.assertEqual(mount.stats()["reads"]["samples"], 0)

When the test ends, every mount is unmounted (by force at last) and the test fails if a process, a
mount, a registry file or a control folder is left, or if a sanitizer wrote a report. Only processes
that the test itself started are ever signalled: they bear a mark in their environment.

No test sleeps to wait for something: wait_until() polls a condition. Time limits go through
limit(), so that sanitizer builds (STOKEFS_TEST_SLOWNESS=10) run the same tests.
"""

import contextlib
import ctypes
import errno
import faulthandler
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid

STOKEFS = os.environ.get("STOKEFS_BIN", "stokefs")
FSCTL = os.environ.get("FSCTL_BIN", "fsctl")
SLOW_ORIGIN = os.environ.get("SLOW_ORIGIN_BIN", "slow_origin")
SLOWNESS = float(os.environ.get("STOKEFS_TEST_SLOWNESS", "1"))
LONG = os.environ.get("STOKEFS_TEST_LONG", "") not in ("", "0")
SKIPPED = 77  # meson's word for it
MARK = "STOKEFS_TEST_MARK"

# Exit statuses of stokefs and fsctl.
DONE, FAILED, REFUSED, NO_ANSWER = 0, 1, 2, 3


def limit(seconds):
    """A time limit of the fast build, in this one."""
    return seconds * SLOWNESS


def wait_until(condition, seconds, what):
    """Polls until condition() is true and returns its value; fails after limit(seconds)."""
    deadline = time.monotonic() + limit(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit(seconds):g} s: {what}")
        time.sleep(0.01)


def _unescape(text):
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), text)


def mount_table():
    """[(mount point, file system type, device number)], all bytes but the last."""
    table = []
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields = line.split(b" ")
            kind = fields[fields.index(b"-") + 1]
            table.append((_unescape(fields[4]), kind, fields[2]))
    return table


def is_mounted(path):
    return os.fsencode(path) in [point for point, _, _ in mount_table()]


def process_state(pid):
    """The letter of /proc/PID/stat, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rsplit(b") ", 1)[1][:1].decode()
    except (FileNotFoundError, ProcessLookupError):
        return None


def child_of(pid):
    """The pid of its one child."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        child, = children.read().split()
    return int(child)


def marked_processes(mark):
    """Pids of all living processes started by the test that bears the mark, but this one."""
    needle = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:
                if needle in environment.read().split(b"\0"):
                    found.append(int(name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return found


def describe(pid):
    lines = [f"pid {pid} state {process_state(pid)}"]
    for name in ("cmdline", "wchan"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as text:
            lines.append(text.read().replace(b"\0", b" ").decode(errors="replace"))
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as text:
                lines.append(text.read()[:60].decode(errors="replace"))
    return "\n    ".join(lines)


def force_unmount(path):
    """The kernel's own force: aborts a FUSE connection, then detaches. Needs no daemon."""
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (1, 2):  # MNT_FORCE aborts what waits, MNT_DETACH takes it away
        libc.umount2(os.fsencode(path), flags)
    if is_mounted(path):
        subprocess.run(["fusermount3", "-u", "-z", path], stderr=subprocess.DEVNULL, check=False)


class Finished:
    """What a command did: status, out, err (text), seconds."""

    def __init__(self, arguments, status, out, err, seconds):
        self.arguments, self.status, self.seconds = arguments, status, seconds
        self.out = out.decode(errors="surrogateescape")
        self.err = err.decode(errors="surrogateescape")

    def __str__(self):
        words = " ".join(os.fsdecode(word) for word in self.arguments)
        return (f"{words}: exit status {self.status} after {self.seconds:.2f} s\n"
                f"stdout: {self.out}\nstderr: {self.err}")


def run(arguments, seconds=60, env=None, **more):
    """Runs a command that must end within limit(seconds). Its output goes through files, because a
    daemon that it leaves may have inherited it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                              **more) as process:
            try:
                status = process.wait(limit(seconds))
            except subprocess.TimeoutExpired:
                state = describe(process.pid)
                process.kill()
                err.seek(0)
                raise AssertionError(f"{arguments} did not end in {limit(seconds):g} s: {state}\n"
                                     f"{err.read().decode(errors='replace')}") from None
        took = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        return Finished(arguments, status, out.read(), err.read(), took)


class Mount:
    """One mount that was made and answers."""

    def __init__(self, space, path, finished, process, pid=None):
        """`pid`: of a daemon that is in a pid namespace of its own, and knows another."""
        self.space, self.path = space, path
        self.finished = finished  # of the mount command; None in the foreground
        self.process = process  # a Popen, in the foreground
        self.control = os.path.join(path, os.readlink(os.path.join(path, ".stokefs")))
        self.pid = pid or self.stats()["pid"]
        self.exit_status = None  # of the daemon; None while it runs
        self._reaped = threading.Event()
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self):
        # The daemon became our child when its parent ended (see _become_subreaper), and is reaped
        # at once, as init would do it.
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(self.pid)
            select.select([descriptor], [], [])
            os.close(descriptor)
        if self.process is not None:
            self.exit_status = self.process.wait()
        else:
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(self.pid, 0)
                self.exit_status = os.waitstatus_to_exitcode(status)
        self._reaped.set()

    def stats(self):
        with open(os.path.join(self.control, "stats"), "rb") as stats:
            return json.loads(stats.read())

    def control_text(self, name):
        with open(os.path.join(self.control, name), "rb") as text:
            return text.read().decode(errors="surrogateescape")

    def fsctl(self, *arguments, **more):
        return self.space.fsctl(*arguments, self.path, **more)

    def wait_scanned(self, seconds=60):
        """Until the first scan, or the load of a kept catalog, is whole."""
        wait_until(lambda: self.stats()["dataset"]["digest"] is not None, seconds, "the first scan")
        return self

    def wait_settled(self, seconds=60):
        """Until nothing is scanned or compared in the background."""
        def settled():
            scan = self.stats()["scan"]
            return scan["state"] == "complete" and not scan["rescanning"]
        wait_until(settled, seconds, "the end of the background scan")
        return self

    def unmount(self, *flags, seconds=20):
        finished = self.space.stokefs("unmount", self.path, *flags, seconds=seconds)
        if finished.status != DONE:
            raise AssertionError(str(finished))
        self.wait_gone()
        return finished

    def signal(self, number):
        os.kill(self.pid, number)

    def is_gone(self):
        """No mount, no control folder, no process that serves (one that hangs in a dead origin
        cannot be ended by anybody, but must have stopped being more than that)."""
        return (not is_mounted(self.path) and not is_mounted(self.control)
                and not os.path.lexists(self.control)
                and process_state(self.pid) in (None, "Z", "X"))

    def wait_gone(self, seconds=10):
        try:
            wait_until(self.is_gone, seconds, f"the end of the mount at {self.path}")
        except AssertionError as error:
            raise AssertionError(f"{error}; mounted: {is_mounted(self.path)}, control mounted: "
                                 f"{is_mounted(self.control)}, control folder: "
                                 f"{os.path.lexists(self.control)}\n{describe(self.pid)}") from None

    def wait_exit(self, seconds=10):
        """The daemon's exit status."""
        if not self._reaped.wait(limit(seconds)):
            raise AssertionError(f"the daemon did not end: {describe(self.pid)}")
        return self.exit_status


class SlowOrigin:
    """A FUSE server of ours that shows a folder, slow or broken as told (slow_origin.cc)."""

    def __init__(self, space, folder):
        self.folder = folder
        number = len(space.origins) or ""
        self.path = space.folder(f"origin-mount{number}")
        self._socket_path = os.path.join(space.path, f"origin-{len(space.origins)}.sock")
        self.process = subprocess.Popen([SLOW_ORIGIN, folder, self.path, self._socket_path],
                                        env=space.environment())
        wait_until(lambda: is_mounted(self.path) or self.process.poll() is not None, 10,
                   "the slow origin's mount")
        if self.process.poll() is not None:
            raise AssertionError("the slow origin did not start")

    def command(self, verb, *arguments):
        words = [verb] + [str(word) if isinstance(word, int) or word == "*" else
                          urllib.parse.quote_from_bytes(os.fsencode(word), safe="/.")
                          for word in arguments]
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(limit(20))
            client.connect(self._socket_path)
            client.sendall(" ".join(words).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = client.recv(65536)
                if not piece:
                    raise AssertionError(f"the slow origin closed on {words}")
                answer += piece
        if answer.startswith(b"error"):
            raise AssertionError(answer.decode())
        return answer.decode().strip()

    def counters(self):
        return json.loads(self.command("counters"))

    def opened(self, path):
        return int(self.command("opened", path))

    def stop(self):
        """Stops the server, as a hung server machine would."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(limit(10))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if is_mounted(self.path):
            force_unmount(self.path)


class Space:
    """A test's folder, with what it mounted and started."""

    living = []  # what a test that is told to end takes away

    def __init__(self, parent=None):
        Space.living.append(self)
        self.mark = uuid.uuid4().hex
        self.path = os.path.realpath(tempfile.mkdtemp(prefix="stokefs-test-", dir=parent))
        self.run_dir = self.folder("run")
        self.reports = self.folder("reports")
        self.source = self.folder("source")
        self.mnt = self.folder("mnt")
        self.cache = os.path.join(self.path, "cache")
        self.mounts, self.origins, self._processes = [], [], []
        self.undo = contextlib.ExitStack()  # what is undone once the mounts are gone
        self.crash_expected = False  # a test that kills a daemon on purpose says so

    def folder(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def environment(self, **more):
        env = dict(os.environ, XDG_RUNTIME_DIR=self.run_dir, LC_ALL="C.UTF-8", **{MARK: self.mark})
        env["XDG_CACHE_HOME"] = os.path.join(self.path, "home-cache")
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in env:  # a daemon's stderr goes nowhere
                env[name] += f":log_path={self.reports}/{name[:4].lower()}"
        env.update(more)
        return env

    def stokefs(self, *arguments, seconds=30, **more):
        return run([STOKEFS, *arguments], seconds, env=self.environment(), **more)

    def fsctl(self, *arguments, seconds=10, **more):
        return run([FSCTL, *arguments], seconds, env=self.environment(), **more)

    def start(self, arguments, **more):
        """A process of the test's own, killed at the end if it still runs."""
        process = subprocess.Popen(arguments, env=self.environment(), **more)
        self._processes.append(process)
        return process

    def slow_origin(self, folder=None):
        origin = SlowOrigin(self, folder or self.source)
        self.origins.append(origin)
        return origin

    def mount_command(self, *flags, source=None, mnt=None, cache=None, memory="64MiB"):
        arguments = ["mount", source or self.source, mnt or self.mnt,
                     "--cache-dir", cache or self.cache]
        if "--memory" not in flags:
            arguments += ["--memory", memory]
        return arguments + list(flags)

    def try_mount(self, *flags, **places):
        """The finished mount command, for mounts that should be refused. Unmounts what was not."""
        finished = self.stokefs(*self.mount_command(*flags, **places))
        if finished.status == DONE:
            self.adopt(places.get("mnt"), finished=finished)
        return finished

    def mount(self, *flags, **places):
        """A mount in the background, made by the command line alone."""
        finished = self.stokefs(*self.mount_command(*flags, **places))
        if finished.status != DONE:
            raise AssertionError(f"mount failed: {finished}")
        return self.adopt(places.get("mnt"), finished=finished)

    def adopt_command(self, *arguments):
        """A mount at the usual place by a command line of the test's own."""
        finished = self.stokefs(*arguments)
        if finished.status != DONE:
            raise AssertionError(f"mount failed: {finished}")
        return self.adopt(finished=finished)

    def adopt(self, mnt=None, finished=None, process=None, pid=None):
        """Takes charge of a mount that was made by other means than mount()."""
        mount = Mount(self, mnt or self.mnt, finished, process, pid)
        self.mounts.append(mount)
        return mount

    def mount_foreground(self, *flags, words=(), **places):
        """`words`: before the command line; they name a program that has the daemon as a child."""
        process = self.start([*words, STOKEFS, *self.mount_command("-f", *flags, **places)],
                             stderr=subprocess.PIPE)
        mnt = places.get("mnt") or self.mnt
        wait_until(lambda: process.poll() is not None or is_mounted(mnt), 10, "the mount")
        if process.poll() is not None:
            raise AssertionError(f"mount -f ended: {process.stderr.read()!r}")
        wait_until(lambda: os.path.exists(os.path.join(mnt, ".stokefs", "stats")), 10, "stats")
        return self.adopt(mnt, process=process, pid=child_of(process.pid) if words else None)

    def registry(self):
        """What mounts have left to find each other by: must be empty when none is up. Root's mounts
        share /run/stokefs with those of others: there it is what names a path of ours."""
        own = os.path.join(self.run_dir, "stokefs")
        found = [os.path.join(own, name) for name in os.listdir(own)] if os.path.isdir(own) else []
        if os.path.isdir("/run/stokefs"):
            for name in os.listdir("/run/stokefs"):
                path = os.path.join("/run/stokefs", name)
                with contextlib.suppress(OSError), open(path, "rb") as file:
                    if self.path.encode() in file.read(1 << 20):
                        found.append(path)
        return found

    def abort(self):
        """Unblocks whatever hangs in our mounts (a watchdog's last word)."""
        for point, kind, _ in reversed(mount_table()):
            path = os.fsdecode(point)
            if kind.startswith(b"fuse") and path.startswith(self.path + "/"):
                force_unmount(path)

    def wreck(self):
        """Takes everything away at once, unjudged: whoever ends this test waits a second at most."""
        for pid in marked_processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.abort()
        for mount in self.mounts:
            force_unmount(mount.control)
            with contextlib.suppress(OSError):
                os.rmdir(mount.control)
        with contextlib.suppress(Exception):
            self.undo.close()
        for path in self.registry():
            with contextlib.suppress(OSError):
                os.unlink(path)
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self):
        """Takes everything down and returns what was wrong with it."""
        try:
            return self._close()
        finally:
            Space.living.remove(self)

    def _close(self):
        wrong = []
        for pid in marked_processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for process in self._processes:
            own = [mount for mount in self.mounts if mount.process is process]
            if process.poll() is None and not own:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
        for origin in self.origins:
            with contextlib.suppress(OSError, AssertionError):
                origin.command("release")
        for mount in reversed(self.mounts):
            try:
                if not mount.is_gone() and is_mounted(mount.path):
                    finished = self.stokefs("unmount", mount.path)
                    if finished.status != DONE:
                        wrong.append(f"unmount: {finished}")
                        self.stokefs("unmount", mount.path, "--force")
                if mount.pid in marked_processes(self.mark):
                    mount.wait_exit()
                mount.wait_gone()
                if mount.exit_status not in (DONE, None) and not self.crash_expected:
                    wrong.append(f"the daemon's exit status is {mount.exit_status}")
            except AssertionError as error:
                wrong.append(str(error))
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stderr:
                process.stderr.close()
        for origin in self.origins:
            origin.close()
        self.undo.close()
        wrong += self._leftovers()
        for name in sorted(os.listdir(self.reports)):
            with open(os.path.join(self.reports, name), errors="replace") as report:
                wrong.append(f"sanitizer report {name}:\n{report.read()}")
        if not any(os.fsdecode(point).startswith(self.path + "/") for point, _, _ in mount_table()):
            shutil.rmtree(self.path, ignore_errors=True)
        return wrong

    def _leftovers(self):
        wrong = []
        deadline = time.monotonic() + limit(5)
        while marked_processes(self.mark) and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in marked_processes(self.mark):
            wrong.append(f"a process was left: {describe(pid)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for point, kind, _ in reversed(mount_table()):
            if os.fsdecode(point).startswith(self.path + "/"):
                wrong.append(f"a mount was left: {os.fsdecode(point)} ({kind.decode()})")
                force_unmount(os.fsdecode(point))
        if self.registry():
            wrong.append(f"the registry is not empty: {self.registry()}")
        for mount in self.mounts:
            if os.path.lexists(mount.control):
                wrong.append(f"a control folder was left: {mount.control}")
        return wrong


class MountTestCase(unittest.TestCase):
    """A test with a Space. A watchdog breaks up what hangs, so that a failure is a failure."""

    seconds_max = 120  # of one test, before the watchdog

    def setUp(self):
        self.space = Space()
        self._watchdog = threading.Timer(limit(self.seconds_max), self._bite)
        self._watchdog.daemon = True
        self._watchdog.start()
        self.addCleanup(self._close)

    def _bite(self):
        sys.stderr.write(f"{self.id()}: still running after {limit(self.seconds_max):g} s\n")
        faulthandler.dump_traceback()
        for pid in marked_processes(self.space.mark):
            sys.stderr.write(describe(pid) + "\n")
        self.space.abort()

    def _close(self):
        wrong = self.space.close()
        self._watchdog.cancel()
        self.assertEqual([], wrong, "\n".join(wrong))

    def assert_errno(self, expected, function, *arguments, **more):
        """function(...) must raise OSError with this errno, or one of these."""
        expected = expected if isinstance(expected, tuple) else (expected,)
        with self.assertRaises(OSError) as caught:
            function(*arguments, **more)
        names = "/".join(errno.errorcode[number] for number in expected)
        self.assertIn(caught.exception.errno, expected, f"{caught.exception}, not {names}")
        return caught.exception


def write_file(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(content)
    os.chmod(path, mode)
    return path


def pattern(size, seed):
    """Bytes that tell one file, and one place in a file, from another."""
    import random
    return random.Random(seed).randbytes(size)


def read_file(path):
    """One open, whole reads until the end, as a loader does it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def resident_pages(path):
    """How many pages of a file the kernel holds (mincore asks for no byte)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            return 0
        address = libc.mmap(None, size, 1, 1, descriptor, 0)  # PROT_READ, MAP_SHARED
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap", path)
        pages = ctypes.create_string_buffer((size + 4095) // 4096)
        failed = libc.mincore(address, size, pages)
        libc.munmap(address, size)
        if failed:
            raise OSError(ctypes.get_errno(), "mincore", path)
        return sum(byte & 1 for byte in pages.raw)
    finally:
        os.close(descriptor)


def _become_subreaper():
    """Daemons become children of this process when their parents end, so it sees how they end."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def lack():
    """Why no mount is possible here; None when one is."""
    if not os.path.exists("/dev/fuse"):
        return "/dev/fuse is lacking"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is lacking"
    return None


def _end_at_once(number, _frame):
    for space in Space.living:
        space.wreck()
    os._exit(128 + number)


def main():
    """Runs the tests of the calling module. Exit status 77 when none could run."""
    signal.signal(signal.SIGTERM, _end_at_once)
    signal.signal(signal.SIGINT, _end_at_once)
    faulthandler.enable()
    reason = lack()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIPPED)
    _become_subreaper()
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    for test, why in result.skipped:
        print(f"SKIPPED: {test.id()}: {why}")
    if result.wasSuccessful() and result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)
