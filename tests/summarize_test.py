#!/usr/bin/python3
"""Tests of summarize.py: what was skipped or broke must never be counted as passed."""

import contextlib
import io
import json
import os
import tempfile
import unittest

import summarize

GTEST = """[==========] Running 3 tests from 1 test suite.
[ RUN      ] Mount.ShowsNames
[       OK ] Mount.ShowsNames (2 ms)
[ RUN      ] Mount.NeedsFuse
../tests/fs/mount_test.cc:12: Skipped
no /dev/fuse on this machine
[  SKIPPED ] Mount.NeedsFuse (0 ms)
{third}"""
GTEST_END = """[==========] 3 tests from 1 test suite ran. (3 ms total)
[  PASSED  ] 2 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] Mount.NeedsFuse
"""
GTEST_OK = GTEST.format(
    third="[ RUN      ] Mount.Reads/0\n[       OK ] Mount.Reads/0 (1 ms)\n" + GTEST_END)
GTEST_FAILED = GTEST.format(
    third="[ RUN      ] Mount.Reads/0\nx.cc:3: Failure\n"
          "[  FAILED  ] Mount.Reads/0, where GetParam() = 4 (1 ms)\n" + GTEST_END)
GTEST_CRASHED = GTEST.format(third="[ RUN      ] Mount.Reads/0\n")


def entry(name, result, stdout="", stderr="", returncode=0):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr,
            "returncode": returncode}


class SummarizeTest(unittest.TestCase):
    def summarize(self, *tests, steps=()):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "testlog.json")
            with open(path, "w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(test) + "\n" for test in tests)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = summarize.main([f"--log=release={path}", *(f"--step={s}" for s in steps)])
        return status, out.getvalue().splitlines()

    def test_plain_tests_count_as_one(self):
        status, lines = self.summarize(entry("a", "OK"), entry("b", "SKIP", "SKIPPED: no GPU\n"),
                                       steps=["clang-format=passed"])
        self.assertEqual(status, 0)
        self.assertEqual(lines, ["SKIPPED release: b: SKIPPED: no GPU",
                                 "2 passed, 0 failed, 1 skipped"])

    def test_every_bad_end_fails(self):
        for result in ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS", "unheard of"):
            status, lines = self.summarize(entry("a", result))
            self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"), result)

    def test_skipped_case_of_a_passing_program_is_skipped(self):
        status, lines = self.summarize(entry("m", "OK", GTEST_OK))
        self.assertEqual(status, 0)
        self.assertEqual(lines, ["SKIPPED release: m Mount.NeedsFuse: no /dev/fuse on this machine",
                                 "2 passed, 0 failed, 1 skipped"])

    def test_failed_case_is_counted_once(self):
        status, lines = self.summarize(entry("m", "FAIL", GTEST_FAILED, returncode=1))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 1 skipped"))

    def test_crash_without_a_failed_case_is_a_failure(self):
        status, lines = self.summarize(entry("m", "FAIL", GTEST_CRASHED, returncode=-11))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 1 skipped"))

    def test_failure_after_all_cases_passed_is_a_failure(self):
        status, lines = self.summarize(entry("m", "FAIL", GTEST_OK, returncode=66))
        self.assertEqual((status, lines[-1]), (1, "2 passed, 1 failed, 1 skipped"))

    def test_unittest_counts_by_cases(self):
        stderr = ("test_a (x.T) ... ok\ntest_b (x.T) ... skipped 'no torch'\n\n"
                  "Ran 2 tests in 0.1s\n\nOK (skipped=1)\n")
        status, lines = self.summarize(entry("t", "OK", stderr=stderr))
        self.assertEqual(lines, ["SKIPPED release: t test_b: 'no torch'",
                                 "1 passed, 0 failed, 1 skipped"])
        self.assertEqual(status, 0)

    def test_unittest_failures_fail(self):
        stderr = "Ran 3 tests in 0.1s\n\nFAILED (failures=1, errors=1)\n"
        status, lines = self.summarize(entry("t", "FAIL", stderr=stderr, returncode=1))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 2 failed, 0 skipped"))

    def test_run_without_results_fails(self):
        self.assertEqual(self.summarize()[0], 1)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(summarize.main(["--log=release=/nowhere/testlog.json"]), 1)

    def test_failed_step_fails(self):
        status, lines = self.summarize(entry("a", "OK"), steps=["clang-tidy=failed:a.cc"])
        self.assertEqual(status, 1)
        self.assertEqual(lines[0], "FAILED  clang-tidy: a.cc")


if __name__ == "__main__":
    unittest.main()
