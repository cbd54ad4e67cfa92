"""From the mount command to the last trace: what is refused and how, what every end leaves behind
(nothing), and the control mount beside it all."""

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounting  # noqa: E402
from mounting import DONE, FAILED, REFUSED, limit, read_file, wait_until, write_file  # noqa: E402

needs_root = mounting.unittest.skipUnless(os.geteuid() == 0, "bind mounts need root")


class LifecycleTestCase(mounting.MountTestCase):
    def setUp(self):
        super().setUp()
        write_file(os.path.join(self.space.source, "class", "sample"), b"content")
        self.binds = []
        self.addCleanup(self.unbind)  # runs before the space is closed

    def unbind(self):
        for path in reversed(self.binds):
            subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)

    def bind(self, source, path):
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "--bind", source, path], check=True)
        self.binds.append(path)
        return path

    def assert_serves(self, path=None, content=b"content"):
        self.assertEqual(content, read_file(os.path.join(path or self.space.mnt, "class/sample")))

    def everything(self):
        """All files of the test's folder, but what tests themselves keep there."""
        found = set()
        for folder, folders, files in os.walk(self.space.path):
            found |= {os.path.join(folder, name) for name in folders + files}
        return found

    def assert_refused(self, finished, *words, status=REFUSED):
        self.assertEqual(status, finished.status, str(finished))
        lines = finished.err.strip().split("\n")
        self.assertEqual(1, len(lines), f"one clear line, not: {finished.err}")
        self.assertTrue(lines[0], "a refusal without a reason")
        for word in words:
            self.assertIn(word, finished.err)
        self.assertEqual("", finished.out)

    def check_refusal(self, *flags, words=(), **places):
        before = self.everything()
        finished = self.space.try_mount(*flags, **places)
        self.assert_refused(finished, *words)
        self.assertEqual(before, self.everything(), "something was left behind")
        wait_until(lambda: not mounting.marked_processes(self.space.mark), 2, "no process left")


class Refusals(LifecycleTestCase):
    def test_wrong_usage(self):
        for arguments in ([], ["mount"], ["mount", self.space.source], ["unmount"], ["fly"],
                          ["mount", self.space.source, self.space.mnt, "one-more"],
                          ["unmount", self.space.mnt, "--by-magic"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(REFUSED, self.space.stokefs(*arguments).status)
        for arguments in ([], ["stats"], ["fly", self.space.mnt]):
            with self.subTest(fsctl=arguments):
                self.assertEqual(REFUSED, self.space.fsctl(*arguments).status)

    def test_unknown_flag(self):
        self.check_refusal("--no-such-flag", words=["no-such-flag"])

    def test_bad_values(self):
        for flags in (["--memory", "lots"], ["--memory", "-1"], ["--memory", "12XiB"],
                      ["--memory", "1e99GiB"], ["--memory", ""], ["--disk", "1 .. 2"],
                      ["--page-cache", "sometimes"], ["--origin-deadline", "soon"],
                      ["--origin-deadline", "-3s"], ["--scan-threads", "none"],
                      ["--parked-reads", "99999999999999999999"], ["-o", "no_such_option"]):
            with self.subTest(flags=flags):
                self.check_refusal(*flags)

    def test_too_much_memory_is_not_taken(self):
        self.check_refusal("--memory", "900TiB")

    def test_sizes_are_understood(self):
        for text, size in (("8MiB", 8 << 20), ("8MB", 8_000_000), ("8388608", 8 << 20)):
            mount = self.space.mount("--memory", text)
            self.assertEqual(size, mount.stats()["tiers"]["memory"]["budget_bytes"], text)
            mount.unmount()

    def test_missing_places(self):
        absent = os.path.join(self.space.path, "absent")
        self.check_refusal(source=absent, words=[absent])
        self.check_refusal(mnt=absent, words=[absent])
        file = os.path.join(self.space.source, "class", "sample")
        self.check_refusal(source=file)
        self.check_refusal(mnt=file)
        self.check_refusal("--config", absent, words=[absent])

    def test_a_bad_configuration_file(self):
        path = os.path.join(self.space.path, "stokefs.toml")
        for text in ("memory = ", "no_such_key = 1", "memory = 'lots'", "page_cache = 7",
                     "cache_dir = 3", "[memory]\nx = 1"):
            with self.subTest(text=text):
                write_file(path, text.encode())
                self.check_refusal("--config", path, words=[path])

    def test_flags_override_the_file(self):
        path = write_file(os.path.join(self.space.path, "stokefs.toml"),
                          b'memory = "16MiB"\npage_cache = "drop"\n')
        mount = self.space.adopt_command("mount", self.space.source, self.space.mnt,
                                         "--config", path, "--cache-dir", self.space.cache,
                                         "--page-cache", "keep")
        self.assertEqual(16 << 20, mount.stats()["tiers"]["memory"]["budget_bytes"])
        self.assertEqual("keep", mount.stats()["page_cache"])

    def test_a_mount_point_in_use(self):
        mount = self.space.mount()
        other = self.space.folder("other")
        finished = self.space.try_mount(source=other, cache=os.path.join(self.space.path, "cache2"))
        self.assert_refused(finished, self.space.mnt)
        self.assert_serves()
        self.assertEqual([mount.pid], mounting.marked_processes(self.space.mark))

    def test_one_dataset_and_cache_twice(self):
        mount = self.space.mount()
        finished = self.space.try_mount(mnt=self.space.folder("mnt2"))
        self.assert_refused(finished, str(mount.pid))
        self.assertLess(finished.seconds, limit(8), "it waited for a daemon that is not ending")
        self.assert_serves()

    def test_own_places_below_the_mount_point(self):
        inner = self.space.folder("mnt/inner")
        places = {
            "source": dict(source=inner),
            "cache": dict(cache=os.path.join(inner, "cache")),
            "cache is the mount point": dict(cache=self.space.mnt),
        }
        for name, place in places.items():
            with self.subTest(name=name):
                self.check_refusal(**place)
        for flag in ("--control-dir", "--log"):
            with self.subTest(flag=flag):
                self.check_refusal(flag, os.path.join(inner, "x"))
        link = os.path.join(self.space.path, "link")
        os.symlink(inner, link)
        self.check_refusal(cache=os.path.join(link, "cache"))
        self.check_refusal(cache=os.path.join(self.space.path, "cache", "..", "mnt", "inner"))

    def test_cache_inside_the_source(self):
        for cache in (self.space.source, os.path.join(self.space.source, "cache"),
                      os.path.join(self.space.source, "class", "new", "cache")):
            with self.subTest(cache=cache):
                self.check_refusal(cache=cache)

    @needs_root
    def test_nestings_behind_bind_mounts(self):
        self.space.folder("mnt/inner")
        alias = self.bind(self.space.mnt, self.space.folder("alias of mnt"))
        inner = self.bind(os.path.join(self.space.mnt, "inner"),
                          self.space.folder("alias of inner"))
        part = self.bind(os.path.join(self.space.source, "class"),
                         self.space.folder("alias of part"))
        origin = self.bind(self.space.source, self.space.folder("alias of source"))
        for name, place in {
                "source below MNT": dict(source=os.path.join(alias, "inner")),
                "source is below MNT, under another name": dict(source=inner),
                "cache below MNT": dict(cache=os.path.join(alias, "inner", "cache")),
                "cache is below MNT, under another name": dict(cache=os.path.join(inner, "cache")),
                "cache inside the source": dict(cache=os.path.join(origin, "cache")),
                "cache inside a part of the source": dict(cache=os.path.join(part, "cache")),
        }.items():
            with self.subTest(name=name):
                self.check_refusal(**place)

    def test_mount_point_inside_the_source(self):
        mnt = os.path.join(self.space.source, "inside")
        os.mkdir(mnt)
        finished = self.space.try_mount(mnt=mnt)
        if finished.status != DONE:
            self.assert_refused(finished)
            return
        walked = mounting.run(["find", mnt], 20)  # a mount that shows itself must not meet itself
        self.assertLess(walked.out.count("\n"), 20, walked.out[:500])

    def test_unmounting_what_is_not_ours(self):
        finished = self.space.stokefs("unmount", self.space.mnt)
        self.assertIn(finished.status, (FAILED, REFUSED))
        self.assertIn(self.space.mnt, finished.err)
        finished = self.space.stokefs("unmount", os.path.join(self.space.path, "absent"))
        self.assertIn(finished.status, (FAILED, REFUSED))
        finished = self.space.fsctl("stats", self.space.mnt)
        self.assertIn(finished.status, (FAILED, REFUSED))
        self.assertIn(self.space.mnt, finished.err)


class Life(LifecycleTestCase):
    def test_the_background_mount_returns_at_once(self):
        mount = self.space.mount()
        self.assertLess(mount.finished.seconds, limit(2))
        self.assert_serves()
        self.assertNotEqual(os.getpgid(0), os.getpgid(mount.pid), "it must not die with the shell")
        self.assertEqual("/", os.readlink(f"/proc/{mount.pid}/cwd"))
        for descriptor in (0, 1, 2):
            self.assertNotIn("pipe:", os.readlink(f"/proc/{mount.pid}/fd/{descriptor}"))

    def test_the_background_mount_returns_at_once_from_a_slow_origin(self):
        for folder in range(20):
            os.mkdir(os.path.join(self.space.source, f"many{folder}"))
            for index in range(1000):
                os.mknod(os.path.join(self.space.source, f"many{folder}", str(index)))
        origin = self.space.slow_origin()
        origin.command("meta_delay_us", 5000)
        origin.command("parallel", 8)
        mount = self.space.mount(source=origin.path)
        self.assertLess(mount.finished.seconds, limit(2))
        self.assertIsNone(mount.stats()["dataset"]["digest"])
        self.assert_serves()  # while the scan goes on
        self.assertEqual(1000, len(os.listdir(os.path.join(self.space.mnt, "many19"))))
        origin.command("meta_delay_us", 0)
        mount.wait_settled()

    def test_foreground(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                mount = self.space.mount_foreground()
                self.assertEqual(mount.pid, mount.process.pid)
                self.assert_serves()
                mount.signal(number)
                self.assertEqual(DONE, mount.wait_exit())
                mount.wait_gone()
                self.assertEqual([], self.space.registry())

    def check_end(self, end):
        mount = self.space.mount()
        self.assert_serves()
        end(mount)
        mount.wait_gone()
        self.assertEqual(DONE, mount.wait_exit())
        self.assertEqual([], self.space.registry())
        self.assertEqual([], os.listdir(self.space.mnt))
        self.assertNotIn(self.space.mnt, self.space.stokefs("list").out)

    def test_sigterm(self):
        self.check_end(lambda mount: mount.signal(signal.SIGTERM))

    def test_sigint(self):
        self.check_end(lambda mount: mount.signal(signal.SIGINT))

    def test_fusermount(self):
        self.check_end(lambda mount: subprocess.run(["fusermount3", "-u", mount.path], check=True))

    def test_umount(self):
        if os.geteuid() != 0:
            self.skipTest("umount needs root")
        self.check_end(lambda mount: subprocess.run(["umount", mount.path], check=True))

    def test_unmount(self):
        self.check_end(lambda mount: self.assertEqual(
            DONE, self.space.stokefs("unmount", mount.path).status))

    def test_unmount_has_ended_everything_when_it_returns(self):
        mount = self.space.mount()
        self.assertEqual(DONE, self.space.stokefs("unmount", mount.path).status)
        self.assertFalse(mounting.is_mounted(mount.path))
        self.assertFalse(os.path.lexists(mount.control))

    def test_unmount_by_another_name(self):
        mount = self.space.mount()
        os.symlink(self.space.mnt, os.path.join(self.space.path, "link"))
        finished = self.space.stokefs("unmount", "./link/", cwd=self.space.path)
        self.assertEqual(DONE, finished.status, str(finished))
        mount.wait_gone()

    def test_hangup_does_not_end_it(self):
        mount = self.space.mount()
        mount.signal(signal.SIGHUP)
        mount.signal(signal.SIGPIPE)
        for _ in range(20):
            self.assertEqual(mount.pid, mount.stats()["pid"])

    def test_killed_and_taken_over(self):
        self.space.crash_expected = True
        for again in range(2):
            with self.subTest(again=again):
                mount = self.space.mount()
                self.assert_serves()
                mount.signal(signal.SIGKILL)
                self.assertEqual(-signal.SIGKILL, mount.wait_exit())
                self.assertTrue(mounting.is_mounted(mount.path))
                self.assert_errno(errno.ENOTCONN, os.listdir, mount.path)
                second = self.space.mount()
                self.assertRegex(second.finished.err, r"(?i)stale|left|taken over|dead")
                self.assertNotEqual(mount.pid, second.pid)
                self.assert_serves()
                points = [point for point, _, _ in mounting.mount_table()]
                self.assertEqual(1, points.count(os.fsencode(mount.path)))
                second.unmount()
                self.assertEqual([], self.space.registry())
                self.assertFalse(mounting.is_mounted(mount.control))

    def test_killed_and_unmounted(self):
        self.space.crash_expected = True
        mount = self.space.mount()
        mount.signal(signal.SIGKILL)
        mount.wait_exit()
        finished = mount.fsctl("stats")
        self.assertIn(finished.status, (FAILED, mounting.NO_ANSWER), str(finished))
        self.assertTrue(finished.err.strip())
        listed = self.space.stokefs("list")
        self.assertEqual(DONE, listed.status, str(listed))
        finished = self.space.stokefs("unmount", mount.path)
        self.assertEqual(DONE, finished.status, str(finished))
        self.assertFalse(mounting.is_mounted(mount.path))
        self.assertEqual([], self.space.registry())

    def test_two_datasets_at_once(self):
        other = self.space.folder("other")
        write_file(os.path.join(other, "class", "sample"), b"other content")
        first = self.space.mount()
        second = self.space.mount(source=other, mnt=self.space.folder("mnt2"))  # the same cache
        self.assert_serves()
        self.assert_serves(second.path, b"other content")
        listed = self.space.stokefs("list").out
        for word in (first.path, second.path, str(first.pid), str(second.pid)):
            self.assertIn(word, listed)
        first.unmount()
        self.assert_serves(second.path, b"other content")
        self.assertEqual(second.pid, second.stats()["pid"])

    def test_one_dataset_with_two_caches(self):
        self.space.mount()
        second = self.space.mount(mnt=self.space.folder("mnt2"),
                                  cache=os.path.join(self.space.path, "cache2"))
        self.assert_serves()
        self.assert_serves(second.path)

    def test_a_mount_just_after_an_end_waits_for_it(self):
        for end in (["fusermount3", "-u", self.space.mnt],
                    [mounting.STOKEFS, "unmount", self.space.mnt]):
            for _ in range(5):
                mount = self.space.mount()
                self.assert_serves()
                finished = mounting.run(end, 20, env=self.space.environment())
                self.assertEqual(DONE, finished.status, str(finished))
                again = self.space.mount()  # the daemon may still be ending
                self.assert_serves()
                again.unmount()
                self.assertEqual(DONE, mount.wait_exit())

    def test_a_mount_just_after_sigterm_waits_for_it(self):
        for _ in range(5):
            mount = self.space.mount()
            mount.signal(signal.SIGTERM)
            wait_until(lambda: not mounting.is_mounted(self.space.mnt), 5, "the unmount")
            self.space.mount().unmount()

    def test_over_the_source_itself(self):
        mount = self.space.mount(mnt=self.space.source)
        self.assert_serves(self.space.source)
        self.assertEqual(["class"], os.listdir(self.space.source))
        mount.wait_settled()
        self.assert_errno(errno.EROFS, os.mkdir, os.path.join(self.space.source, "new"))
        mount.unmount()
        self.assertEqual(["class"], os.listdir(self.space.source))
        os.mkdir(os.path.join(self.space.source, "new"))

    def test_a_relative_mount(self):
        finished = self.space.stokefs("mount", "source", "./mnt", "--cache-dir", "cache",
                                      "--memory", "16MiB", cwd=self.space.path)
        self.assertEqual(DONE, finished.status, str(finished))
        self.space.adopt()
        self.assert_serves()
        self.assertTrue(os.path.isdir(self.space.cache))

    def test_odd_mount_point_names(self):
        for name in ("with space", "back\\slash", "new\nline", "comma,comma", "Größe", "-dash",
                     "percent%s", "quote'\""):
            with self.subTest(name=name):
                mount = self.space.mount(mnt=self.space.folder(name))
                self.assert_serves(mount.path)
                self.assertIn("pid", mount.stats())
                self.assertEqual(DONE, mount.fsctl("stats", "--json").status)
                mount.unmount()

    def test_a_busy_mount_is_not_unmounted(self):
        mount = self.space.mount()
        holders = {
            "an open file": self.space.start(
                ["bash", "-c", 'exec sleep 1000 < "$0"', os.path.join(mount.path, "class/sample")]),
            "a working directory": self.space.start(["sleep", "1000"],
                                                    cwd=os.path.join(mount.path, "class")),
        }
        for name, holder in holders.items():
            with self.subTest(holder=name):
                wait_until(lambda: self.holds(holder.pid, mount.path), 5, "the holder's start")
                finished = self.space.stokefs("unmount", mount.path)
                self.assertIn(finished.status, (FAILED, REFUSED), str(finished))
                self.assertIn(str(holder.pid), finished.err)
                self.assert_serves()
                holder.kill()
                holder.wait()
        mount.unmount()

    @staticmethod
    def holds(pid, path):
        links = [f"/proc/{pid}/cwd", f"/proc/{pid}/fd/0"]
        return any(os.readlink(link).startswith(path) for link in links)

    def test_force_unmounts_a_busy_mount(self):
        mount = self.space.mount()
        holder = self.space.start(["sleep", "1000"], cwd=os.path.join(mount.path, "class"))
        finished = self.space.stokefs("unmount", mount.path, "--force")
        self.assertEqual(DONE, finished.status, str(finished))
        self.assertLess(finished.seconds, limit(5))
        mount.wait_gone()
        self.assertIsNone(holder.poll())
        self.space.crash_expected = True  # how it ends is its own affair

    def test_list_of_nothing(self):
        listed = self.space.stokefs("list")
        self.assertEqual(DONE, listed.status)
        self.assertNotIn(self.space.path, listed.out)

    def test_doctor(self):
        finished = self.space.stokefs("doctor")
        self.assertIn(finished.status, (DONE, FAILED))
        for word in ("fuse", "kernel", "gpu"):
            self.assertIn(word, finished.out.lower())

    def test_help(self):
        for program in (self.space.stokefs, self.space.fsctl):
            finished = program("--help")
            self.assertEqual(DONE, finished.status, str(finished))
            self.assertIn("usage", finished.out.lower())


class Control(LifecycleTestCase):
    KEYS = {
        "dataset": ["digest", "samples", "bytes", "chunks"],
        "reads": ["samples", "bytes", "memory", "disk", "origin"],
        "origin": ["reads", "bytes", "errors"],
        "tiers": ["memory", "disk"],
        "hints": ["accepted", "rejected"],
        "latency_us": ["read_p50", "read_p99"],
    }
    PLAIN_KEYS = ["hit_ratio", "jobs", "page_cache", "pid", "uptime_s", "version"]

    def test_the_files_are_there(self):
        mount = self.space.mount()
        names = ("stats", "metrics", "config", "events")
        self.assertLessEqual(set(names), set(os.listdir(mount.control)))
        for name in names:
            path = os.path.join(mount.control, name)
            self.assertTrue(stat.S_ISREG(os.stat(path).st_mode))
            self.assertTrue(mount.control_text(name).endswith("\n") or name == "events")
            self.assert_errno((errno.EROFS, errno.EACCES, errno.EPERM), open, path, "wb")
        self.assert_errno(errno.ENOENT, mount.control_text, "no such file")
        # The folder goes with the mount, so what is left of it cannot be filled.
        self.assertTrue(mounting.is_mounted(mount.control))
        self.assert_errno((errno.EROFS, errno.EACCES, errno.ENOSYS, errno.EPERM),
                          os.mkdir, os.path.join(mount.control, "new"))

    def test_stats_have_every_key(self):
        mount = self.space.mount().wait_settled()
        stats = mount.stats()
        for name, keys in self.KEYS.items():
            for key in keys:
                self.assertIn(key, stats[name], name)
        for key in self.PLAIN_KEYS:
            self.assertIn(key, stats)
        self.assertEqual([], stats["jobs"])
        self.assertLessEqual({"used_bytes", "budget_bytes"}, stats["tiers"]["memory"].keys())
        self.assertIsInstance(stats["tiers"]["disk"], list)
        self.assertEqual((1, 7), (stats["dataset"]["samples"], stats["dataset"]["bytes"]))
        self.assertGreaterEqual(stats["uptime_s"], 0)

    def test_metrics_are_prometheus_text(self):
        mount = self.space.mount().wait_settled()
        self.assert_serves()
        label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"'
        sample = re.compile(rf'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{{{label}(?:,{label})*\}})? '
                            r'([-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|Inf|NaN))$')
        typed, helped, seen, current = {}, set(), set(), None
        for line in mount.control_text("metrics").splitlines():
            if line.startswith("# TYPE "):
                _, _, current, kind = line.split(" ")
                self.assertNotIn(current, typed)
                self.assertIn(kind, ("counter", "gauge", "histogram", "summary"))
                typed[current] = kind
            elif line.startswith("# HELP "):
                helped.add(line.split(" ")[2])
            else:
                match = sample.match(line)
                self.assertIsNotNone(match, line)
                self.assertTrue(match[1].startswith("stokefs_"), line)
                base = re.sub(r"_(bucket|sum|count)$", "", match[1])
                self.assertIn(current, (match[1], base), f"{line} stands below another's TYPE")
                self.assertNotIn((match[1], match[2]), seen, line)
                seen.add((match[1], match[2]))
                if typed[current] == "counter":
                    self.assertRegex(match[1], "_total$")
                    self.assertGreaterEqual(float(match[3]), 0)
        self.assertEqual(set(typed), helped)
        self.assertGreater(len(typed), 10)
        text = mount.control_text("metrics")
        self.assertRegex(text, r'stokefs_\w*origin\w* 1\n|tier="origin"\S* 1\n')

    def test_config_says_what_was_asked(self):
        text = self.space.mount("--page-cache", "drop", memory="17MiB").control_text("config")
        self.assertIn("drop", text)
        self.assertRegex(text, r"17 ?MiB|17825792")
        self.assertIn(self.space.source, text)

    def test_a_handle_reads_the_snapshot_of_its_open(self):
        mount = self.space.mount("--page-cache", "drop").wait_settled()
        descriptor = os.open(os.path.join(mount.control, "stats"), os.O_RDONLY)
        text = os.read(descriptor, 40)
        self.assert_serves()
        while piece := os.read(descriptor, 97):
            text += piece
        self.assertEqual(0, json.loads(text)["reads"]["samples"])
        self.assertEqual(text, os.pread(descriptor, 1 << 20, 0))
        os.close(descriptor)
        self.assertEqual(1, mount.stats()["reads"]["samples"])

    def test_a_held_control_file_blocks_no_end(self):
        ends = {
            "fusermount3": lambda mount: subprocess.run(["fusermount3", "-u", mount.path],
                                                        check=True),
            "unmount": lambda mount: self.assertEqual(
                DONE, self.space.stokefs("unmount", mount.path).status),
            "SIGTERM": lambda mount: mount.signal(signal.SIGTERM),
        }
        for name, end in ends.items():
            with self.subTest(end=name):
                mount = self.space.mount()
                held = [os.open(os.path.join(mount.control, file), os.O_RDONLY)
                        for file in ("stats", "stats", "metrics", "events")]
                os.read(held[0], 10)
                try:
                    end(mount)
                    mount.wait_gone()
                    self.assertEqual(DONE, mount.wait_exit())
                    self.assertEqual([], self.space.registry())
                finally:
                    for descriptor in held:
                        with contextlib.suppress(OSError):  # ENOTCONN: nobody is told of the close
                            os.close(descriptor)

    def test_a_shell_in_the_control_folder_blocks_no_end(self):
        mount = self.space.mount()
        self.space.start(["sleep", "1000"], cwd=mount.control)
        subprocess.run(["fusermount3", "-u", mount.path], check=True)
        mount.wait_gone()

    def test_a_lost_control_mount_comes_back(self):
        if os.geteuid() != 0:
            self.skipTest("umount needs root")
        mount = self.space.mount()
        subprocess.run(["umount", mount.control], check=True)
        self.assert_serves()
        wait_until(lambda: mounting.is_mounted(mount.control), 10, "the control mount's return")
        self.assertEqual(mount.pid, mount.stats()["pid"])

    def test_control_dir_gives_a_relative_link(self):
        folder = os.path.join(self.space.path, "control")
        mount = self.space.mount("--control-dir", folder)
        target = os.readlink(os.path.join(mount.path, ".stokefs"))
        self.assertFalse(target.startswith("/"), target)
        self.assertEqual(os.path.realpath(os.path.join(mount.path, ".stokefs")),
                         os.path.realpath(mount.control))
        self.assertTrue(os.path.realpath(mount.control).startswith(folder))
        self.assertEqual(mount.pid, mount.stats()["pid"])
        self.assertEqual(DONE, mount.fsctl("stats").status)
        mount.unmount()
        self.assertFalse(os.path.lexists(mount.control))
        self.assertIn(os.listdir(folder) if os.path.isdir(folder) else [], ([],))

    def test_a_container_sees_both_through_the_parent(self):
        if os.geteuid() != 0:
            self.skipTest("a mount namespace needs root")
        mount = self.space.mount("--control-dir", os.path.join(self.space.path, "control"))
        inside = self.space.folder("inside")
        script = (f"mount --rbind '{self.space.path}' '{inside}' && "
                  f"cat '{inside}/mnt/.stokefs/stats'")
        finished = mounting.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script],
                                20)
        self.assertEqual(0, finished.status, str(finished))
        self.assertEqual(mount.pid, json.loads(finished.out)["pid"])

    def test_control_mounts_are_no_mounts_to_be_listed(self):
        mount = self.space.mount()
        finished = self.space.stokefs("list")
        self.assertEqual(1, sum(self.space.path in line for line in finished.out.splitlines()),
                         finished.out)
        finished = self.space.fsctl("stats", "--json", os.path.join(mount.path, "class"))
        self.assertIn(finished.status, (DONE, FAILED, REFUSED))  # but never a crash or a wait


class Unprivileged(LifecycleTestCase):
    """Another user mounts through fusermount3, in a mount namespace of its own whose /dev/fuse
    everybody may open."""

    NOBODY = 65534

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        fusermount = shutil.which("fusermount3")
        if not os.stat(fusermount).st_mode & stat.S_ISUID:
            self.skipTest("fusermount3 is not set-user-id")
        os.chmod(self.space.path, 0o755)
        for folder in (self.space.run_dir, self.space.mnt, self.space.reports):
            os.chown(folder, self.NOBODY, self.NOBODY)
        self.cache = self.space.folder("nobody")
        os.chown(self.cache, self.NOBODY, self.NOBODY)

    def test_mount_read_and_unmount(self):
        script = f"""
set -e
mknod '{self.space.path}/fuse' c 10 229
chmod 666 '{self.space.path}/fuse'
mount --bind '{self.space.path}/fuse' /dev/fuse
exec setpriv --reuid={self.NOBODY} --regid={self.NOBODY} --clear-groups bash -c "$0"
"""
        inner = f"""
set -e
'{mounting.STOKEFS}' mount '{self.space.source}' '{self.space.mnt}' --cache-dir '{self.cache}/c' \
  --memory 16MiB
cat '{self.space.mnt}/class/sample'
echo; test -r '{self.space.mnt}/.stokefs/stats'
'{mounting.FSCTL}' stats '{self.space.mnt}' --json | grep -q '"pid"'
'{mounting.STOKEFS}' list | grep -q '{self.space.mnt}'
'{mounting.STOKEFS}' unmount '{self.space.mnt}'
! grep -q '{self.space.path}' /proc/self/mountinfo || grep '{self.space.path}' /proc/self/mountinfo
"""
        finished = mounting.run(["unshare", "-m", "--propagation", "private", "bash", "-c", script,
                                 inner], 60, env=self.space.environment(HOME=self.cache))
        self.assertEqual(0, finished.status, str(finished))
        self.assertIn("content\n", finished.out)
        self.assertNotIn("fuse.stokefs", finished.out)

    def test_without_a_fuse_device_it_says_so(self):
        finished = mounting.run(
            ["unshare", "-m", "--propagation", "private", "bash", "-c",
             "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec \"$@\"", "-",
             mounting.STOKEFS, *self.space.mount_command()], 30, env=self.space.environment())
        self.assertEqual(FAILED, finished.status, str(finished))
        self.assertIn("/dev/fuse", finished.err)
        self.assertEqual([], self.space.registry())


if __name__ == "__main__":
    mounting.main()
