#!/usr/bin/python3
"""Adds up the results of test runs and says loudly what was skipped and what failed.

    summarize.py [--step NAME=passed|failed|skipped[:REASON]]... [--log NAME=TESTLOG_JSON]...

A log is the meson-logs/testlog.json of a build. A GoogleTest or unittest program counts by its
cases, any other test as one: a program that skipped one of ten has not passed ten. A test that
ended badly counts as failed even if none of its cases did, and so does a run without results. The
last line is always `N passed, N failed, N skipped`; exit status 1 if anything failed.
"""

import argparse
import json
import re
import sys

GTEST_RUN = re.compile(r"^\[==========\] \d+ tests? from .* ran\.", re.MULTILINE)
GTEST_CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] ([\w/.-]+)(?:, where .*?)? \(\d+ ms\)$",
                        re.MULTILINE)
GTEST_START = re.compile(r"^\[ RUN      \] ")
GTEST_SKIP_PLACE = re.compile(r": Skipped$")
UNITTEST_RUN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_SKIP = re.compile(r"^(\w+) \(.*\)(?:\n.*)? \.\.\. skipped (.*)$", re.MULTILINE)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.MULTILINE)


class Sum:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []  # (name, reason)

    def add(self, name, outcome, reason=""):
        if outcome == "passed":
            self.passed += 1
        elif outcome == "skipped":
            self.skipped.append((name, reason or "no reason given"))
        else:
            self.failed.append(f"{name}: {reason}" if reason else name)


def skip_reason(output):
    """The line that says SKIP, else the last line that says anything."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    named = [line for line in lines if "skip" in line.lower()]
    return (named or lines or [""])[-1]


def gtest_reasons(output):
    """Returns {case: what its GTEST_SKIP said}."""
    reasons, said = {}, []
    for line in output.splitlines():
        case = GTEST_CASE.match(line)
        if case:
            reasons[case[2]] = " ".join(said)
        if case or GTEST_START.match(line):
            said = []
        elif line.strip() and not GTEST_SKIP_PLACE.search(line):
            said.append(line.strip())
    return reasons


def add_gtest(total, name, stdout):
    """Adds a GoogleTest program's cases. Returns whether one of them failed."""
    reasons = gtest_reasons(stdout)
    failed = False
    for outcome, case in GTEST_CASE.findall(stdout):
        if outcome == "OK":
            total.add(f"{name} {case}", "passed")
        elif outcome == "SKIPPED":
            total.add(f"{name} {case}", "skipped", reasons.get(case))
        else:
            total.add(f"{name} {case}", "failed")
            failed = True
    return failed


def add_unittest(total, name, stderr):
    """Adds a unittest program's cases. Returns whether one of them failed."""
    end = UNITTEST_END.search(stderr)
    counts = dict(part.split("=") for part in end[1].split(", ")) if end and end[1] else {}
    bad = sum(int(counts.get(kind, 0)) for kind in ("failures", "errors", "unexpected successes"))
    skipped = int(counts.get("skipped", 0))
    total.passed += int(UNITTEST_RUN.search(stderr)[1]) - bad - skipped
    reasons = UNITTEST_SKIP.findall(stderr)
    for index in range(skipped):
        case, reason = reasons[index] if index < len(reasons) else ("a case", "run it with -v")
        total.add(f"{name} {case}", "skipped", reason)
    for _ in range(bad):
        total.add(name, "failed", "a case failed")
    return bad > 0


def add_test(total, run, test):
    name = f"{run}: {test['name'].split(' / ')[-1]}"
    result, stdout, stderr = test["result"], test.get("stdout", ""), test.get("stderr", "")
    if result == "SKIP":
        total.add(name, "skipped", skip_reason(stdout + "\n" + stderr))
        return
    well = result in ("OK", "EXPECTEDFAIL")
    if GTEST_RUN.search(stdout) or "[ RUN      ]" in stdout:
        told = add_gtest(total, name, stdout)
    elif UNITTEST_RUN.search(stderr):
        told = add_unittest(total, name, stderr)
    else:
        total.add(name, "passed" if well else "failed", "" if well else result)
        return
    if not well and not told:
        total.add(name, "failed", f"{result}, exit status {test.get('returncode')}")


def add_log(total, run, path):
    tests = []
    try:
        with open(path, encoding="utf-8") as stream:
            tests = [json.loads(line) for line in stream if line.strip()]
    except (OSError, ValueError) as error:
        total.add(run, "failed", f"no results: {error}")
        return
    if not tests:
        total.add(run, "failed", "no test ran")
    for test in tests:
        add_test(total, run, test)


def main(arguments):
    parser = argparse.ArgumentParser(description="Adds up the results of test runs.")
    parser.add_argument("--step", action="append", default=[])
    parser.add_argument("--log", action="append", default=[])
    given = parser.parse_args(arguments)

    total = Sum()
    for step in given.step:
        name, rest = step.split("=", 1)
        total.add(name, *rest.split(":", 1))
    for log in given.log:
        add_log(total, *log.split("=", 1))

    for name, reason in total.skipped:
        print(f"SKIPPED {name}: {reason}")
    for name in total.failed:
        print(f"FAILED  {name}")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
