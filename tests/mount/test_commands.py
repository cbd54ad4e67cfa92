"""Commands that steer a mount: refresh, verify, locate, warmup, evict, pin, by fsctl and by hand."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import (DONE, FAILED, NO_ANSWER, REFUSED, MountTestCase, limit,  # noqa: E402
                      pattern, read_file, wait_until, write_file)

DISK = ("--disk", "256MiB")
COMMANDS = (("refresh",), ("verify",), ("locate", "a/1"), ("warmup",), ("warmup", "--background"),
            ("warmup", "--status"), ("warmup", "--stop"), ("evict", "a"), ("evict", "--all"),
            ("pin",), ("pin", "a"), ("unpin", "a"))


def tree(folder):
    """{path: bytes, link target or None for a folder}"""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            else:
                found[key] = read_file(path) if os.path.isfile(path) else None
    return found


class CommandCase(MountTestCase):
    def setUp(self):
        super().setUp()
        self.source = self.space.source
        self.files = {}
        for number in range(40):
            self.put(f"a/{number}", pattern(3000 + number, number))
        self.put("a/large", pattern(3 << 20, 999))
        self.put("b/deep/er/file", b"deep")

    def put(self, name, content):
        write_file(os.path.join(self.source, name), content)
        self.files[name] = content

    def ask(self, mount, command, *rest, **more):
        return self.space.fsctl(command, mount.path, *rest, **more)

    def asked(self, mount, *words, **more):
        finished = self.ask(mount, *words, **more)
        self.assertEqual(finished.status, DONE, str(finished))
        return finished.out

    def assert_same_tree(self, mount):
        self.assertEqual(tree(mount.path), tree(self.source))

    def locate(self, mount, path):
        return json.loads(self.asked(mount, "locate", path, "--json"))

    def on_disk(self, mount, path):
        return all(block["disk"] for block in self.locate(mount, path)["blocks"])


class Refresh(CommandCase):
    def test_changes_of_every_kind(self):
        for name in ("turns/into/a/file", "gone/1", "gone/2", "same", "twice", "flips"):
            self.put(name, b"before")
        os.symlink("a", os.path.join(self.source, "link"))
        mount = self.space.mount().wait_settled()
        self.assert_same_tree(mount)
        digest = mount.stats()["dataset"]["digest"]

        source = self.source
        self.put("same", b"behind")  # of the same size
        self.put("twice", b"of another size")
        self.put("n/e/w/deep/folders/file", b"new")
        for name in ("turns", "gone"):
            shutil.rmtree(os.path.join(source, name))
        self.put("turns", b"a file now")
        os.unlink(os.path.join(source, "flips"))
        self.put("flips/file", b"a folder now")
        os.unlink(os.path.join(source, "link"))
        os.symlink("b", os.path.join(source, "link"))
        os.chmod(os.path.join(source, "b"), 0o711)

        out = self.asked(mount, "refresh")
        self.assertRegex(out, r"^7 added, 6 changed, 6 removed; now \d+ samples")
        self.assert_same_tree(mount)
        self.assertEqual(os.stat(os.path.join(mount.path, "b")).st_mode & 0o7777, 0o711)
        self.assertNotEqual(mount.stats()["dataset"]["digest"], digest)
        self.assertRegex(self.asked(mount, "refresh"), "^0 added, 0 changed, 0 removed")

    def test_what_changed_before_it_was_called_is_seen(self):
        mount = self.space.mount().wait_settled()
        for number in range(10):
            self.put(f"new/{number}/file", b"%d" % number)
            if number:
                shutil.rmtree(os.path.join(self.source, f"new/{number - 1}"))
            self.asked(mount, "refresh")
            self.assertEqual(os.listdir(os.path.join(mount.path, "new")), [f"{number}"])
            self.assertEqual(read_file(os.path.join(mount.path, f"new/{number}/file")),
                             b"%d" % number)

    def test_many_at_once_all_see_what_was_there(self):
        mount = self.space.mount().wait_settled()
        self.put("new", b"new")
        processes = [self.space.start([mounting.FSCTL, "refresh", mount.path],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                     for _ in range(5)]
        for process in processes:
            out, err = process.communicate(timeout=limit(30))
            self.assertEqual(process.returncode, DONE, err)
            self.assertIn(b"now 43 samples", out)
        self.assertEqual(read_file(os.path.join(mount.path, "new")), b"new")

    def test_a_file_removed_while_it_is_read(self):
        mount = self.space.mount("--memory", "8MiB", "--disk", "0").wait_settled()
        descriptor = os.open(os.path.join(mount.path, "a/large"), os.O_RDONLY)
        try:
            content = self.files["a/large"]
            self.assertEqual(os.pread(descriptor, 4096, 0), content[:4096])
            os.unlink(os.path.join(self.source, "a/large"))
            self.asked(mount, "refresh")
            self.assertFalse(os.path.lexists(os.path.join(mount.path, "a/large")))
            for offset in range(0, len(content), 1 << 19):
                try:
                    piece = os.pread(descriptor, 4096, offset)
                except OSError as error:
                    self.assertIn(error.errno, (errno.ESTALE, errno.ENOENT))
                else:
                    self.assertEqual(piece, content[offset:offset + 4096])
        finally:
            os.close(descriptor)

    def test_a_new_version_is_read_after_it(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.asked(mount, "warmup")
        for round_ in range(3):
            content = pattern(3000, 1000 + round_)
            self.put("a/0", content)
            self.asked(mount, "refresh")
            self.assertEqual(read_file(os.path.join(mount.path, "a/0")), content)

    def test_waits_for_the_first_scan(self):
        origin = self.space.slow_origin()
        origin.command("hang_contents", "b")
        mount = self.space.mount("--disk", "0", source=origin.path)
        process = self.space.start([mounting.FSCTL, "refresh", mount.path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.assertIn(b"waiting for the first scan", process.stderr.readline())
        origin.command("release")
        self.assertEqual(process.wait(limit(30)), DONE)
        process.stderr.close()

    def test_a_hung_origin_is_an_error_and_nothing_is_forgotten(self):
        origin = self.space.slow_origin()
        mount = self.space.mount("--origin-deadline", "2s", "--disk", "0",
                                 source=origin.path).wait_settled()
        names = sorted(os.listdir(os.path.join(mount.path, "a")))
        origin.stop()
        finished = self.ask(mount, "refresh", seconds=30)
        origin.resume()
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("does not answer", finished.err)
        self.assertEqual(sorted(os.listdir(os.path.join(mount.path, "a"))), names)
        self.put("new", b"new")
        wait_until(lambda: self.ask(mount, "refresh").status == DONE, 20, "a good refresh")
        self.assertEqual(read_file(os.path.join(mount.path, "new")), b"new")

    def test_a_vanished_origin_is_an_error_and_nothing_is_forgotten(self):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        self.asked(mount, "warmup")
        mounting.force_unmount(origin.path)
        finished = self.ask(mount, "refresh")
        self.assertEqual(finished.status, FAILED, str(finished))
        for name, content in self.files.items():
            self.assertEqual(read_file(os.path.join(mount.path, name)), content)

    def test_folders_that_fail_are_told_and_stay(self):
        origin = self.space.slow_origin()
        mount = self.space.mount("--disk", "0", source=origin.path).wait_settled()
        self.put("a/new", b"new")
        origin.command("fail", errno.EIO, "b")
        finished = self.ask(mount, "refresh")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("1 added", finished.out)
        self.assertIn("would not tell", finished.out)
        origin.command("heal")
        self.assertEqual(read_file(os.path.join(mount.path, "b/deep/er/file")), b"deep")
        self.asked(mount, "refresh")

    def test_interrupted_it_says_what_becomes_of_it(self):
        origin = self.space.slow_origin()
        mount = self.space.mount("--disk", "0", source=origin.path).wait_settled()
        origin.command("hang", "*")
        process = self.space.start([mounting.FSCTL, "refresh", mount.path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        wait_until(lambda: b"comparing" in process.stderr.readline(), 20, "its begin")
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=limit(10))[1]
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"cancelled", err)
        self.assertIn(b"goes on in the daemon", err)
        origin.command("release")
        self.asked(mount, "refresh")


class ByHand(CommandCase):
    """The control file `command` without fsctl."""

    def talk(self, mount, request):
        """The answer once it is no longer running, and the errno of the write."""
        descriptor = os.open(os.path.join(mount.control, "command"), os.O_RDWR)
        try:
            refused = 0
            try:
                os.write(descriptor, request)
            except OSError as error:
                refused = error.errno
            def ended():
                answer = json.loads(os.pread(descriptor, 1 << 20, 0))
                return answer if answer["state"] != "running" else None
            return wait_until(ended, 30, "the end of a command"), refused
        finally:
            os.close(descriptor)

    def test_only_the_owner_may_write(self):
        mount = self.space.mount("--disk", "0")
        status = os.stat(os.path.join(mount.control, "command"))
        self.assertEqual(status.st_mode & 0o7777, 0o600)
        self.assertEqual(status.st_uid, os.geteuid())

    def test_nonsense_is_refused_in_words(self):
        mount = self.space.mount("--disk", "0").wait_scanned()
        for request in (b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"command": 1}\n',
                        b'{"command": "explode"}\n', b'{"command": "locate"}\n',
                        b'{"command": "locate", "path": "../x"}\n', b'{"command": "evict"}\n',
                        b'{"command": "evict", "paths": "a"}\n', b"\xff\xfe\n", b"[" * 60000 + b"\n",
                        b'{"command": "warmup", "paths": [{"hex": "0"}]}\n', b'{"command": "pin"}\n'):
            answer, refused = self.talk(mount, request)
            self.assertEqual((answer["state"], refused), ("failed", errno.EINVAL), request[:80])
            self.assertTrue(answer["error"])
        answer, refused = self.talk(mount, b'{"command": "refresh"}\n')
        self.assertEqual((answer["state"], refused), ("done", 0))

    def test_a_request_comes_in_pieces_and_once(self):
        mount = self.space.mount("--disk", "0").wait_scanned()
        descriptor = os.open(os.path.join(mount.control, "command"), os.O_RDWR)
        try:
            self.assertEqual(json.loads(os.pread(descriptor, 4096, 0))["state"], "waiting")
            os.write(descriptor, b'{"command": "locate", ')
            os.write(descriptor, b'"path": "a/1"}')
            os.write(descriptor, b"\n")
            wait_until(lambda: json.loads(os.pread(descriptor, 4096, 0))["state"] == "done", 10,
                       "its end")
            self.assert_errno(errno.EALREADY, os.write, descriptor, b"{}\n")
        finally:
            os.close(descriptor)

    def test_a_huge_request_is_refused(self):
        mount = self.space.mount("--disk", "0").wait_scanned()
        descriptor = os.open(os.path.join(mount.control, "command"), os.O_WRONLY)
        try:
            with self.assertRaises(OSError) as caught:
                for _ in range(64):
                    os.write(descriptor, b" " * (1 << 20))
            self.assertEqual(caught.exception.errno, errno.EFBIG)
        finally:
            os.close(descriptor)

    def test_a_closed_handle_cancels_and_too_many_are_refused(self):
        origin = self.space.slow_origin()
        origin.command("hang_contents", "b")
        mount = self.space.mount("--disk", "0", source=origin.path)
        handles, refused = [], 0
        for _ in range(20):
            handles.append(os.open(os.path.join(mount.control, "command"), os.O_RDWR))
            try:
                os.write(handles[-1], b'{"command": "warmup"}\n')
            except OSError as error:
                self.assertEqual(error.errno, errno.EBUSY)
                refused += 1
        self.assertGreaterEqual(refused, 10)
        self.assertIn("fsctl", self.ask(mount, "warmup", "--status").arguments[0])
        for handle in handles:
            os.close(handle)
        wait_until(lambda: self.talk(mount, b'{"command": "warmup-status"}\n')[1] == 0, 10, "room")
        origin.command("release")
        mount.wait_scanned()
        # Those that were cut off hold nothing any more.
        wait_until(lambda: self.ask(mount, "warmup", "a/1").status == DONE, 20, "a warm-up")

    def test_the_end_waits_for_no_command(self):
        origin = self.space.slow_origin()
        mount = self.space.mount("--disk", "0", source=origin.path).wait_settled()
        origin.command("hang", "*")
        descriptor = os.open(os.path.join(mount.control, "command"), os.O_RDWR)
        try:
            os.write(descriptor, b'{"command": "refresh"}\n')
            start = time.monotonic()
            mount.unmount()
            self.assertLess(time.monotonic() - start, limit(5))
        finally:
            with contextlib.suppress(OSError):  # the mount is gone: nobody hears of it
                os.close(descriptor)


class Answers(CommandCase):
    def test_a_stopped_daemon_is_given_up(self):
        mount = self.space.mount(*DISK).wait_settled()
        mount.signal(signal.SIGSTOP)
        try:
            for command, *rest in COMMANDS:
                finished = self.ask(mount, command, *rest)
                self.assertEqual(finished.status, NO_ANSWER, str(finished))
                self.assertLess(finished.seconds, limit(2.1), str(finished))
                self.assertIn(str(mount.pid), finished.err)
        finally:
            mount.signal(signal.SIGCONT)

    def test_a_daemon_that_stops_on_the_way_is_given_up(self):
        origin = self.space.slow_origin()
        mount = self.space.mount("--disk", "0", source=origin.path).wait_settled()
        origin.command("hang", "*")
        process = self.space.start([mounting.FSCTL, "refresh", mount.path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        wait_until(lambda: b"comparing" in process.stderr.readline(), 20, "its begin")
        mount.signal(signal.SIGSTOP)
        start = time.monotonic()
        try:
            err = process.communicate(timeout=limit(10))[1]
            self.assertEqual(process.returncode, NO_ANSWER, err)
            self.assertLess(time.monotonic() - start, limit(2.5))
        finally:
            mount.signal(signal.SIGCONT)
        origin.command("release")

    def test_wrong_words(self):
        mount = self.space.mount("--disk", "0").wait_settled()
        for words in (("refresh",), ("refresh", mount.path, "x"), ("evict", mount.path),
                      ("evict", mount.path, "a", "--all"), ("locate", mount.path),
                      ("locate", mount.path, "/etc/passwd"), ("locate", mount.path, "../x"),
                      ("unpin", mount.path), ("warmup", mount.path, "--status", "--stop"),
                      ("warmup", mount.path, "a", "--status"), ("refresh", self.space.source),
                      ("pin", mount.path, "a", "--json")):
            finished = self.space.fsctl(*words)
            self.assertEqual(finished.status, REFUSED, str(finished))

    def test_paths_that_are_not_there(self):
        mount = self.space.mount(*DISK).wait_settled()
        for command in ("locate", "warmup", "evict", "pin", "unpin"):
            finished = self.ask(mount, command, "no/such/path")
            self.assertEqual(finished.status, FAILED, str(finished))
            self.assertIn("no/such/path", finished.err)

    def test_any_name_is_a_path(self):
        names = ["with space", "comma,comma", "line\nbreak", "-dash", "ü", b"\xff\xfe".decode(
            errors="surrogateescape"), '"quoted\\'] 
        for name in names:
            self.put(f"odd/{name}", b"odd")
        mount = self.space.mount(*DISK).wait_settled()
        for name in names:
            for word in (f"odd/{name}", os.path.join(mount.path, "odd", name)):
                self.assertEqual(self.locate(mount, word)["size"], 3)
            self.asked(mount, "warmup", f"odd/{name}")
            self.assertTrue(self.on_disk(mount, f"odd/{name}"))


class Keeping(CommandCase):
    """What needs the disk tier."""

    def origin_reads(self, mount):
        return mount.stats()["origin"]["reads"]

    def test_warmup_brings_all_to_disk(self):
        mount = self.space.mount(*DISK).wait_settled()
        out = self.asked(mount, "warmup")
        self.assertIn("42 samples fetched", out)
        reads = self.origin_reads(mount)
        for name, content in self.files.items():
            self.assertTrue(self.on_disk(mount, name), name)
            self.assertEqual(read_file(os.path.join(mount.path, name)), content)
        self.assertEqual(self.origin_reads(mount), reads)
        self.assertIn("0 samples fetched", self.asked(mount, "warmup"))
        mount.unmount()
        mount = self.space.mount(*DISK).wait_settled()
        self.assertIn("0 samples fetched", self.asked(mount, "warmup"))
        for name, content in self.files.items():
            self.assertEqual(read_file(os.path.join(mount.path, name)), content)
        self.assertEqual(self.origin_reads(mount), 0)

    def test_warmup_of_paths(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.assertIn("2 samples fetched",
                      self.asked(mount, "warmup", "a/1", os.path.join(mount.path, "b")))
        self.assertTrue(self.on_disk(mount, "a/1"))
        self.assertTrue(self.on_disk(mount, "b/deep/er/file"))
        self.assertFalse(self.on_disk(mount, "a/2"))

    def test_warmup_goes_on_past_files_that_fail(self):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        origin.command("fail", errno.EIO, "a/3")
        finished = self.ask(mount, "warmup")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("41 samples fetched", finished.out)
        self.assertIn("a/3", finished.out)
        origin.command("heal")
        self.assertIn("1 sample fetched", self.asked(mount, "warmup"))

    def test_warmup_shows_its_progress(self):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        origin.command("bandwidth", 500_000)
        process = self.space.start([mounting.FSCTL, "warmup", mount.path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        wait_until(lambda: b" of 42 samples" in process.stderr.readline(), 20, "progress")
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=limit(10))[1]
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"what was fetched stays", err)
        origin.command("bandwidth", 0)

    def test_warmup_without_a_disk_fills_memory_and_says_so(self):
        for number in range(20):
            self.put(f"more/{number}", pattern(1 << 20, 2000 + number))
        mount = self.space.mount("--disk", "0", "--memory", "8MiB").wait_settled()
        finished = self.ask(mount, "warmup", "more")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("memory is full", finished.out)
        self.assertEqual(mount.stats()["tiers"]["memory"]["evicted"], 0)
        self.assertIn("fetched", self.asked(mount, "warmup", "a/1", "b"))

    def test_a_warmup_larger_than_the_disk_stops(self):
        for number in range(40):
            self.put(f"more/{number}", pattern(1 << 20, 2000 + number))
        mount = self.space.mount("--disk", "16MiB", "--memory", "16MiB").wait_settled()
        finished = self.ask(mount, "warmup", "more", seconds=60)
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("takes no more", finished.out)
        self.assertLess(self.origin_reads(mount), 40)

    def test_a_warmup_in_the_background(self):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        self.assertIn("no warm-up", self.asked(mount, "warmup", "--status"))
        origin.command("hang", "*")
        self.assertIn("begun", self.asked(mount, "warmup", "--background"))
        self.assertIn("running", self.asked(mount, "warmup", "--status"))
        finished = self.ask(mount, "warmup", "--background")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("already", finished.err)
        self.assertIn("stopped", self.asked(mount, "warmup", "--stop"))
        wait_until(lambda: "cancelled" in self.asked(mount, "warmup", "--status"), 10, "its end")
        self.assertIn("no warm-up runs", self.asked(mount, "warmup", "--stop"))
        origin.command("release")
        self.asked(mount, "warmup", "--background")
        wait_until(lambda: "done" in self.asked(mount, "warmup", "--status"), 20, "its end")
        self.assertTrue(self.on_disk(mount, "a/large"))

    def check_goes_on(self, end):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        origin.command("hang", "a/large")
        self.asked(mount, "warmup", "a", "--background")
        end(mount, origin)
        origin.command("release")
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        wait_until(lambda: "done" in self.asked(mount, "warmup", "--status"), 30, "the warm-up")
        self.assertTrue(self.on_disk(mount, "a/large"))
        self.assertFalse(self.on_disk(mount, "b/deep/er/file"))
        mount.unmount()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        self.assertIn("no warm-up", self.asked(mount, "warmup", "--status"))

    def test_a_warmup_cut_off_by_an_unmount_goes_on(self):
        self.check_goes_on(lambda mount, _: mount.unmount())

    def test_a_warmup_cut_off_by_a_kill_goes_on(self):
        self.space.crash_expected = True
        def kill(mount, origin):
            mount.signal(signal.SIGKILL)
            origin.command("release")  # nobody can end a thread that such an origin holds
            mount.wait_exit()
            self.space.stokefs("unmount", mount.path)
        self.check_goes_on(kill)

    def test_a_stopped_warmup_does_not_go_on(self):
        origin = self.space.slow_origin()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        origin.command("hang", "a/large")
        self.asked(mount, "warmup", "--background")
        self.asked(mount, "warmup", "--stop")
        wait_until(lambda: "cancelled" in self.asked(mount, "warmup", "--status"), 10, "its end")
        origin.command("release")
        mount.unmount()
        mount = self.space.mount(*DISK, source=origin.path).wait_settled()
        self.assertIn("no warm-up", self.asked(mount, "warmup", "--status"))

    def test_evict(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.asked(mount, "warmup")
        path = os.path.join(mount.path, "a/1")
        read_file(path)
        self.assertRegex(self.asked(mount, "evict", "a/1"), "^1 block on disk .*, 1 block in memory")
        self.assertFalse(self.on_disk(mount, "a/1"))
        self.assertEqual(mounting.resident_pages(path), 0)
        self.assertEqual(read_file(path), self.files["a/1"])
        self.asked(mount, "evict", "--all")
        stats = mount.stats()
        self.assertEqual(stats["tiers"]["memory"]["slots"], 0)
        for name in self.files:  # before the first is read: reading in order brings the next ones
            self.assertFalse(self.on_disk(mount, name))
        for name, content in self.files.items():
            self.assertEqual(read_file(os.path.join(mount.path, name)), content)

    def test_evict_under_readers_gives_no_wrong_byte(self):
        mount = self.space.mount(*DISK).wait_settled()
        wrong, ending = [], threading.Event()
        def read():
            while not ending.is_set():
                for name, content in self.files.items():
                    if read_file(os.path.join(mount.path, name)) != content:
                        wrong.append(name)
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for _ in range(10):
                self.asked(mount, "evict", "--all", "--pinned")
                self.asked(mount, "warmup", "a")
        finally:
            ending.set()
            for reader in readers:
                reader.join()
        self.assertEqual(wrong, [])

    def test_pins(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.assertIn("nothing is pinned", self.asked(mount, "pin"))
        self.asked(mount, "pin", "a")
        def is_there():
            pin, = json.loads(self.asked(mount, "pin", "--json"))["pins"]
            return pin["samples_on_disk"] == pin["samples"] == 41
        wait_until(is_there, 20, "the pinned samples")
        self.assertIn("41 pinned samples left", self.asked(mount, "evict", "--all"))
        self.assertTrue(is_there())
        mount.unmount()
        mount = self.space.mount(*DISK).wait_settled()
        self.assertIn("a: 41 of 41 samples on disk", self.asked(mount, "pin"))
        self.put("a/new", b"new")
        self.asked(mount, "refresh")
        wait_until(lambda: self.on_disk(mount, "a/new"), 20, "a new file below the pin")
        self.asked(mount, "evict", "a", "--pinned")
        self.assertFalse(self.on_disk(mount, "a/1"))
        self.asked(mount, "unpin", "a")
        self.assertIn("nothing is pinned", self.asked(mount, "pin"))
        self.assertEqual(self.ask(mount, "unpin", "a").status, FAILED)

    def test_pins_need_a_disk(self):
        mount = self.space.mount("--disk", "0").wait_settled()
        finished = self.ask(mount, "pin", "a")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("no disk tier", finished.err)

    def test_locate(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.asked(mount, "warmup")
        found = self.locate(mount, "a/large")
        self.assertEqual(found["size"], 3 << 20)
        self.assertEqual([block["offset"] for block in found["blocks"]], [0, 1 << 20, 2 << 20])
        content = self.files["a/large"]
        for block in found["blocks"]:
            with open(block["disk"]["file"], "rb") as file:
                file.seek(block["disk"]["offset"])
                self.assertEqual(file.read(block["disk"]["length"]),
                                 content[block["offset"]:block["offset"] + block["size"]])
        self.assertEqual(found["origin"], os.path.join(self.source, "a/large"))
        text = self.asked(mount, "locate", "a/1")
        self.assertIn(self.locate(mount, "a/1")["sample"], text)
        self.assertIn(self.locate(mount, "a/1")["blocks"][0]["disk"]["file"], text)

    def test_verify_finds_flipped_bytes(self):
        mount = self.space.mount(*DISK).wait_settled()
        self.asked(mount, "warmup")
        self.assertIn("all right", self.asked(mount, "verify"))
        disk = self.locate(mount, "a/1")["blocks"][0]["disk"]
        with open(disk["file"], "r+b") as file:
            file.seek(disk["offset"] + 10)
            byte = file.read(1)
            file.seek(disk["offset"] + 10)
            file.write(bytes([byte[0] ^ 1]))
        finished = self.ask(mount, "verify")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("put aside", finished.out)
        self.asked(mount, "evict", "b")  # nothing to do with it
        for name, content in self.files.items():
            self.assertEqual(read_file(os.path.join(mount.path, name)), content)
        self.assertIn("all right", self.asked(mount, "verify"))

    def test_verify_finds_a_damaged_catalog_and_it_is_made_anew(self):
        mount = self.space.mount("--disk", "0").wait_settled()
        folder, = os.scandir(self.space.cache)
        catalog = os.path.join(folder.path, "catalog")
        wait_until(lambda: os.path.exists(catalog), 20, "the kept catalog")
        self.assertIn("catalog: sound", self.asked(mount, "verify"))
        with open(catalog, "r+b") as file:
            file.seek(os.path.getsize(catalog) // 2)
            file.write(b"\xa5" * 4096)
        finished = self.ask(mount, "verify")
        self.assertEqual(finished.status, FAILED, str(finished))
        self.assertIn("catalog: damaged", finished.out)
        wait_until(lambda: os.path.exists(catalog), 20, "a new catalog")
        self.assertIn("catalog: sound", self.asked(mount, "verify"))


if __name__ == "__main__":
    mounting.main()
