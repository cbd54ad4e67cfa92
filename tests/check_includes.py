#!/usr/bin/python3
"""Checks the include arrows: base <- cache <- hints <- (fs, rpc) <- tools.

    check_includes.py [ROOT]      checks a tree
    check_includes.py --self-test checks that each rule below catches a tree that breaks it

Errors: an include of our own that points to a higher layer or to a sibling, that is not written
from the root ("cache/chunk_store.h"), or that stands in <>; a third-party header in quotes; FUSE,
gRPC or Protobuf below the layer that may know them; a header without #pragma once or a guard. Long
files are only warned about. Link order alone would not do: it lets cycles grow between headers.
"""

import os
import re
import sys
import tempfile

RANKS = {"base": 0, "cache": 1, "hints": 2, "fs": 3, "rpc": 3, "tools": 4, "tests": 5}
ENDINGS = (".h", ".cc", ".cu")
# Who may not know what: the lower layers none of the ways in, fs and rpc not each other's.
FORBIDDEN = {
    "fuse": (re.compile(r"^(fuse\.h|fuse_|fuse3/)"), {"base", "cache", "hints", "rpc"}),
    "gRPC": (re.compile(r"^(grpc|grpc\+\+|grpcpp)/"), {"base", "cache", "hints", "fs"}),
    "Protobuf": (re.compile(r"^google/protobuf/"), {"base", "cache", "hints", "fs"}),
}
LINES_MAX = {".h": 150, ".cc": 400, ".cu": 400}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
GUARD = re.compile(r"^\s*#\s*ifndef\s+(\w+)\s*\n\s*#\s*define\s+\1\b", re.MULTILINE)
PRAGMA_ONCE = re.compile(r"^\s*#\s*pragma\s+once\b", re.MULTILINE)


def source_files(root):
    for folder in RANKS:
        for parent, folders, names in os.walk(os.path.join(root, folder)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(ENDINGS):
                    yield os.path.relpath(os.path.join(parent, name), root)


def judge_include(root, folder, bracket, target):
    """Returns what is wrong with one include in a file of `folder`, or None."""
    top = target.split("/")[0]
    if bracket == "<":
        if top in RANKS and os.path.exists(os.path.join(root, target)):
            return f'<{target}> is our own: write "{target}"'
        for name, (pattern, folders) in FORBIDDEN.items():
            if folder in folders and pattern.search(target):
                return f"{folder}/ must not know {name}, but includes <{target}>"
        return None
    if "/" not in target or top not in RANKS or ".." in target.split("/"):
        return f'"{target}" is not from the root (a third-party header goes in <>)'
    if top == folder or RANKS[top] < RANKS[folder]:
        return None
    if RANKS[top] == RANKS[folder]:
        return f'"{target}": {folder}/ and {top}/ are siblings and never include each other'
    return f'"{target}" points up: {folder}/ is below {top}/'


def check(root):
    """Returns (errors, warnings, files looked at)."""
    errors, warnings, files = [], [], 0
    for path in source_files(root):
        files += 1
        folder, ending = path.split("/")[0], os.path.splitext(path)[1]
        with open(os.path.join(root, path), encoding="utf-8") as stream:
            text = stream.read()
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            include = INCLUDE.match(line)
            wrong = include and judge_include(root, folder, *include.groups())
            if wrong:
                errors.append(f"{path}:{number}: {wrong}")
        if ending == ".h" and not PRAGMA_ONCE.search(text) and not GUARD.search(text):
            errors.append(f"{path}:1: a header needs #pragma once or a guard")
        if len(lines) > LINES_MAX[ending] and folder != "tests":
            warnings.append(f"{path}: {len(lines)} lines, more than {LINES_MAX[ending]}")
    return errors, warnings, files


# Each fixture: (name, {path: text}, the error it must cause, or None).
FIXTURES = (
    ("arrows that point down pass", {
        "base/clock.h": "#pragma once\n#include <string>\n",
        "cache/tier.h": '#ifndef A_H\n#define A_H\n#include "base/clock.h"\n#endif\n',
        "hints/plan.h": '#pragma once\n#include "cache/tier.h"\n#include "hints/other.h"\n',
        "fs/mount.cc": '#include "hints/plan.h"\n#include <fuse_lowlevel.h>\n',
        "rpc/peer.cc": '#include "rpc/stokefs.pb.h"\n#include <grpcpp/grpcpp.h>\n',
        "tools/stokefs.cc": '#include "fs/mount.h"\n#include "rpc/peer.h"\n#include <rpc/rpc.h>\n',
        "tests/cache/tier_test.cc": '#include "tests/support/fake.h"\n#include "tools/a.h"\n',
    }, None),
    ("an arrow up", {"base/a.cc": '#include "cache/tier.h"\n'}, "points up"),
    ("an arrow up by two", {"cache/a.cc": '#  include "fs/mount.h"\n'}, "points up"),
    ("siblings", {"fs/a.cc": '#include "rpc/peer.h"\n'}, "siblings"),
    ("siblings, the other way", {"rpc/client/a.cc": '#include "fs/mount.h"\n'}, "siblings"),
    ("a product with a test header", {"tools/a.cc": '#include "tests/a.h"\n'}, "points up"),
    ("not from the root", {"cache/a.cc": '#include "tier.h"\n'}, "not from the root"),
    ("by a relative path", {"cache/a.cc": '#include "../base/a.h"\n'}, "not from the root"),
    ("out and back in", {"cache/a.cc": '#include "base/../fs/a.h"\n'}, "not from the root"),
    ("third-party in quotes", {"cache/a.cc": '#include "absl/a.h"\n'}, "not from the root"),
    ("our own in <>", {"base/a.h": "#pragma once\n", "cache/a.cc": "#include <base/a.h>\n"},
     "is our own"),
    ("FUSE in cache/", {"cache/a.cc": "#include <fuse_lowlevel.h>\n"}, "must not know fuse"),
    ("gRPC in fs/", {"fs/a.cc": "#include <grpcpp/grpcpp.h>\n"}, "must not know gRPC"),
    ("a header without a guard", {"base/a.h": "int a;\n"}, "needs #pragma once"),
)


def self_test():
    failures = 0
    for name, files, wanted in FIXTURES:
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
                    stream.write(text)
            errors = check(root)[0]
        passed = not errors if wanted is None else len(errors) == 1 and wanted in errors[0]
        failures += not passed
        print(f"{'ok  ' if passed else 'FAIL'} {name}{'' if passed else f': {errors}'}")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.join(os.path.dirname(__file__), "..")
    errors, warnings, files = check(root)
    for warning in warnings:
        print(f"warning: {warning}")
    for error in errors:
        print(f"error: {error}")
    print(f"{files} files, {len(errors)} errors, {len(warnings)} warnings")
    if files == 0:
        print(f"error: no source file below {root}: wrong root?")
        return 1
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
