"""The control file `hints`, on real mounts: what is taken, what is refused, what lasts."""

import errno
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "hints",
                                "python"))
import mounting  # noqa: E402
from mounting import MountTestCase, limit, pattern, read_file, wait_until, write_file  # noqa: E402
import stokefs  # noqa: E402

DISK = ("--disk", "256MiB")


class Hints(MountTestCase):
    def setUp(self):
        super().setUp()
        self.files = {}
        for folder in ("train/cat", "train/dog", "val/cat"):
            for number in range(10):
                self.put(f"{folder}/{number}.png", pattern(2000 + number, f"{folder}{number}"))
        self.put("notes.txt", b"notes")

    def put(self, name, content):
        self.files[name] = content
        write_file(os.path.join(self.space.source, name), content)

    def mount(self, *flags, **places):
        mount = self.space.mount(*flags, **places).wait_settled()
        self.hints = os.path.join(mount.path, ".stokefs", "hints")
        return mount

    def write(self, text, flags=os.O_TRUNC):
        """0, or the errno of the write or else of the close."""
        descriptor = os.open(self.hints, os.O_WRONLY | flags)
        error = 0
        try:
            os.write(descriptor, text if isinstance(text, bytes) else text.encode())
        except OSError as failure:
            error = failure.errno
        try:
            os.close(descriptor)
        except OSError as failure:
            error = error or failure.errno
        return error

    def counts(self, mount):
        counts = mount.stats()["hints"]
        return counts["accepted"], counts["rejected"]

    def check_reads(self, mount):
        for name, content in self.files.items():
            self.assertEqual(content, read_file(os.path.join(mount.path, name)), name)

    def test_good_lines_are_taken(self):
        mount = self.mount(*DISK)
        self.assertEqual(0, self.write("importance train/cat/1.png 2.5\n"
                                       "job small root=train\n"
                                       "importance #19 1e3\n\n"
                                       "epoch small 3\n"
                                       '{"importance": {"notes.txt": 0, "#0": 7}}\n'
                                       "pin train/cat\n"))
        self.assertEqual((7, 0), self.counts(mount))
        self.assertIn("train/cat", mount.fsctl("pin").out)
        self.assertEqual(0, self.write("unpin train/cat\n"))
        self.assertIn("nothing is pinned", mount.fsctl("pin").out)
        self.check_reads(mount)

    def test_a_bad_line_fails_the_write_and_the_lines_before_it_hold(self):
        mount = self.mount("--disk", "0")
        cases = {
            "nonsense": "no hint begins like this",
            "importance train/cat/1.png": "importance PATH VALUE",
            "importance train/cat/1.png 1 2": "importance PATH VALUE",
            "importance no/such 1": "no such path",
            "importance train 1": "no file",
            "importance /notes.txt 1": "no such path",
            "importance ../source/notes.txt 1": "no such path",
            "importance notes.txt nan": "not finite",
            "importance notes.txt inf": "not finite",
            "importance notes.txt -1": "below 0",
            "importance notes.txt 1e39": "above",
            "importance notes.txt one": "no number",
            "importance notes.txt 1x": "no number",
            "importance #30 1": "less than 30",
            "importance #x 1": "no index",
            "importance a%2 1": "hex",
            "importance a\1 1": "control byte",
            "epoch job -1": "whole number",
            "job other": "no such job",
            "job other root=notes.txt": "folder",
            "job other root=nowhere": "no such path",
            "pin train": "no disk",
            '{"importance": {"notes.txt": NaN}}': "JSON",
            '{"importance": {"notes.txt": -1}}': "below 0",
            '{"importance": {"notes.txt": [1]}}': "JSON",
            '{"importance": {"notes.txt": 1,}}': "JSON",
            '{"importance": {"notes.txt": 1}} 1': "JSON",
            '{"importance": 1}': "JSON",
            '{"order": {}}': "JSON",
            "{}": "JSON",
        }
        for number, (line, reason) in enumerate(cases.items()):
            with self.subTest(line=line):
                accepted = self.counts(mount)[0]
                text = f"importance notes.txt {number + 1}\n{line}\nimportance notes.txt 0\n"
                self.assertEqual(errno.EINVAL, self.write(text))
                # Of a JSON line too what stands before the fault holds.
                before = 1 + line.startswith(('{"importance": {"notes.txt": 1,',
                                              '{"importance": {"notes.txt": 1}'))
                self.assertEqual((accepted + before, number + 1), self.counts(mount))
                last = mount.control_text("events").splitlines()[-1]
                self.assertIn("hints: line 2: ", last)
                self.assertIn(reason, last)

    def test_a_handle_goes_on_after_a_bad_line(self):
        mount = self.mount("--disk", "0")
        descriptor = os.open(self.hints, os.O_RDWR)
        try:
            self.assertIn(b"importance PATH VALUE", os.pread(descriptor, 4096, 0))
            with self.assertRaises(OSError):
                os.write(descriptor, b"bad\n")
            self.assertIn(b"line 1: ", os.pread(descriptor, 4096, 0))
            os.write(descriptor, b"importance notes.txt 1\n")
        finally:
            os.close(descriptor)
        self.assertEqual((1, 1), self.counts(mount))

    def test_a_partial_line_is_judged_at_close(self):
        mount = self.mount("--disk", "0")
        self.assertEqual(0, self.write("importance notes.txt 1"))
        self.assertEqual((1, 0), self.counts(mount))
        self.assertEqual(errno.EINVAL, self.write("importance notes.txt"))
        self.assertEqual((1, 1), self.counts(mount))

    def test_a_forked_process_that_ends_does_not_end_a_line(self):
        mount = self.mount("--disk", "0")
        descriptor = os.open(self.hints, os.O_WRONLY)
        os.write(descriptor, b"importance notes.txt 1")
        child = os.fork()
        if child == 0:
            os.close(descriptor)
            os._exit(0)
        self.assertEqual(0, os.waitpid(child, 0)[1])
        subprocess.run(["true"], check=True, close_fds=False)
        os.write(descriptor, b"7\nimportance notes.txt")
        self.assertEqual((1, 0), self.counts(mount))
        with self.assertRaises(OSError) as closed:  # its own close does
            os.close(descriptor)
        self.assertEqual(errno.EINVAL, closed.exception.errno)
        # One that was forked may write too, and is told at its own close.
        child = os.fork()
        if child == 0:
            os._exit(self.write("importance notes.txt") == errno.EINVAL)
        self.assertEqual(1, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def test_the_shell_appends_and_truncates(self):
        mount = self.mount("--disk", "0")
        script = ('echo "importance notes.txt 1" >> "$1" && echo "importance #3 2" > "$1" && '
                  '! echo bad >> "$1" 2>/dev/null')
        finished = subprocess.run(["sh", "-c", script, "sh", self.hints], check=False,
                                  timeout=limit(20))
        self.assertEqual(0, finished.returncode)
        self.assertEqual((2, 1), self.counts(mount))

    def test_any_split_gives_the_same(self):
        text = ("importance train/cat/1.png 2\n" + json.dumps(
            {"importance": {name: 1.5 for name in self.files}}) + "\nimportance #2 4\n").encode()
        mount = self.mount("--disk", "0")
        rng = random.Random(7)
        for turn in range(20):
            descriptor = os.open(self.hints, os.O_WRONLY | os.O_APPEND)
            at = 0
            while at < len(text):
                size = 1 if turn == 0 else rng.randint(1, 200)
                at += os.write(descriptor, text[at:at + size])
            os.close(descriptor)
            self.assertEqual(((turn + 1) * (2 + len(self.files)), 0), self.counts(mount))

    def test_names_of_any_bytes(self):
        names = [b"with space", b"#1", b"100%", b"\xff\xfe", "ü".encode(), b"tab\tand\nbreak"]
        for name in names:
            write_file(os.path.join(os.fsencode(self.space.source), name), b"odd")
        mount = self.mount("--disk", "0")
        stokefs.Hints(mount.path).importance({os.fsdecode(name): 1 for name in names})
        self.assertEqual((len(names), 0), self.counts(mount))
        line = json.dumps({"importance": {"with space": 1, "%231": 2, "tab\tand\nbreak": 3,
                                          "%ff%FE": 4, "ü": 5}})
        self.assertEqual(0, self.write(line + "\n"))
        self.assertEqual((len(names) + 5, 0), self.counts(mount))

    def test_many_writers_at_once(self):
        mount = self.mount("--disk", "0")
        names = list(self.files)
        wrong = []

        def write(seed):
            rng = random.Random(seed)
            descriptor = os.open(self.hints, os.O_WRONLY | os.O_APPEND)
            for _ in range(200):
                line = f"importance {rng.choice(names)} {rng.random()}\n".encode()
                cut = rng.randrange(len(line))
                try:
                    os.write(descriptor, line[:cut] or line)
                    if cut:
                        os.write(descriptor, line[cut:])
                except OSError as error:
                    wrong.append(error)
            os.close(descriptor)

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        self.check_reads(mount)
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)
        self.assertEqual((1200, 0), self.counts(mount))

    def test_values_survive_a_remount(self):
        mount = self.mount("--disk", "0")
        stokefs.Hints(mount.path).importance({name: 2 for name in self.files})
        self.assertEqual(len(self.files), mount.stats()["hints"]["importances"])
        mount.unmount()
        mount = self.mount("--disk", "0")
        wait_until(lambda: mount.stats()["hints"]["importances"] == len(self.files), 10,
                   "the kept values")
        mount.unmount()
        folder, = os.scandir(self.space.cache)
        kept = os.path.join(folder.path, "importance")
        with open(kept, "r+b") as file:
            file.seek(60)
            byte = file.read(1)
            file.seek(60)
            file.write(bytes([byte[0] ^ 1]))
        mount = self.mount("--disk", "0")
        wait_until(lambda: "put aside" in mount.control_text("events"), 10, "the damage")
        self.assertEqual(0, mount.stats()["hints"]["importances"])
        self.assertTrue(os.path.exists(kept + ".damaged"))

    def test_during_the_scan_the_origin_is_asked(self):
        origin = self.space.slow_origin()
        origin.command("hang_contents", "val/cat")
        mount = self.space.mount("--disk", "0", source=origin.path)
        self.hints = os.path.join(mount.path, ".stokefs", "hints")
        self.assertEqual(0, self.write("importance train/cat/3.png 1\n"))
        self.assertEqual(errno.EINVAL, self.write("importance train/cat/no.png 1\n"))
        self.assertEqual(errno.EINVAL, self.write("importance #0 1\n"))
        self.assertIn("first scan", mount.control_text("events").splitlines()[-1])
        errors = []
        waiting = threading.Thread(
            target=lambda: errors.append(self.write("importance val/cat/3.png 1\n")))
        waiting.start()
        mount.stats()  # the control mount answers
        origin.command("release")
        waiting.join()
        self.assertEqual([0], errors)
        self.assertEqual((2, 2), self.counts(mount))
        mount.wait_settled()
        self.check_reads(mount)

    def test_an_unmount_ends_a_waiting_write(self):
        origin = self.space.slow_origin()
        origin.command("hang_contents", "val/cat")
        mount = self.space.mount("--disk", "0", source=origin.path)
        self.hints = os.path.join(mount.path, ".stokefs", "hints")
        errors = []
        waiting = threading.Thread(
            target=lambda: errors.append(self.write("importance val/cat/3.png 1\n")))
        waiting.start()
        self.space.stokefs("unmount", mount.path, "--force")
        waiting.join()
        self.assertNotEqual([0], errors)
        origin.command("release")

    def test_hostile_bytes_change_no_read(self):
        mount = self.mount("--disk", "0")
        rng = random.Random(11)
        words = [b"importance ", b"#", b"notes.txt", b" ", b"1", b"\n", b"{", b'"importance"', b":",
                 b"}", b",", b"[", b"%", b"\0", b"\xff", b"job ", b"root=", b"pin ", b"epoch ",
                 b"1e999", b"nan", b"\\", b'"']
        for _ in range(300):
            text = b"".join(rng.choice(words) for _ in range(rng.randint(1, 60)))
            self.assertIn(self.write(text), (0, errno.EINVAL), text)
        self.assertEqual(errno.EINVAL, self.write(b"{" * (1 << 20)))
        self.assertEqual(errno.EINVAL, self.write(b"x" * (3 << 20)))
        self.assertEqual(errno.EINVAL, self.write(bytes(1 << 20)))
        self.check_reads(mount)
        self.assertEqual(0, self.write("importance notes.txt 1\n"))

    def test_a_bad_line_deep_in_a_long_write_fails_it(self):
        mount = self.mount("--disk", "0")
        count = 200_000
        members = ", ".join('"notes.txt": 1' for _ in range(count))
        descriptor = os.open(self.hints, os.O_WRONLY)
        text = ('{"importance": {' + members + ', "no": 1}}\n').encode()
        with self.assertRaises(OSError):
            at = 0
            while at < len(text):
                at += os.write(descriptor, text[at:])
        os.close(descriptor)
        self.assertEqual((count, 1), self.counts(mount))

    def test_python_raises_with_the_reason(self):
        mount = self.mount("--disk", "0")
        hints = stokefs.Hints(mount.path)
        with self.assertRaisesRegex(ValueError, "no such path"):
            hints.importance({"notes.txt": 1, "nowhere": 1})
        with self.assertRaisesRegex(ValueError, "finite"):
            hints.importance({"notes.txt": float("nan")})
        hints.job("small", "train")
        hints.importance({19: 1.0})
        with self.assertRaisesRegex(ValueError, "less than 20"):
            hints.importance({20: 1.0})
        hints.epoch("small", 4)

    def test_a_million_values_in_two_seconds(self):
        # Deadlines leave room for a busy machine; the time is printed.
        count = 1_000_000
        folders = 50
        for folder in range(folders):
            os.makedirs(os.path.join(self.space.source, f"many/{folder:03}"))
            for number in range(200):
                path = os.path.join(self.space.source, f"many/{folder:03}/{number:06}.jpg")
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        mount = self.mount("--disk", "0")
        names = [f"many/{i % folders:03}/{i // folders % 200:06}.jpg" for i in range(count)]
        plain = "".join(f"importance {name} 0.{i:07}\n" for i, name in enumerate(names)).encode()
        by_index = "".join(f"importance #{i % 10_000} 0.{i:07}\n" for i in range(count)).encode()
        json_line = ('{"importance": {' + ", ".join(
            f'"{name}": 0.{i:07}' for i, name in enumerate(names)) + "}}\n").encode()
        for what, text in (("lines", plain), ("indices", by_index), ("JSON", json_line)):
            before = self.counts(mount)[0]
            start = time.monotonic()
            with open(self.hints, "wb", buffering=0) as file:
                at = 0
                while at < len(text):
                    at += file.write(text[at:at + (8 << 20)])
            took = time.monotonic() - start
            print(f"a million values as {what}: {took:.2f} s, {len(text) / 1e6:.0f} MB")
            self.assertEqual(before + count, self.counts(mount)[0])
            self.assertLess(took, limit(10))


if __name__ == "__main__":
    mounting.main()
