#!/usr/bin/python3
"""Every promise in docs/SEMANTICS.md names its tests, and every test that it names exists.

A promise is a list item that begins with "- " (a limit begins with "* "); it names its tests as
`path/to/file: TestName[, TestName]` in parentheses. Prints what is wrong; exit status 1 then.
Run with --self-test it checks itself.
"""

import pathlib
import re
import sys

REFERENCE = re.compile(r"`(tests/[\w/]+\.(?:py|cc)): ([\w, .]+)`")


def promises(text):
    """The list items of the document, each as one line."""
    items, current = [], None
    for line in text.splitlines():
        if line.startswith("- "):
            current = [line[2:]]
            items.append(current)
        elif current is not None and line.startswith("  "):
            current.append(line.strip())
        else:
            current = None
    return [" ".join(item) for item in items]


def problems(text, read):
    """What is wrong with `text`; `read(path)` gives a test file's text or None."""
    found = []
    for promise in promises(text):
        references = REFERENCE.findall(promise)
        if not references:
            found.append(f"names no test: {promise[:70]}")
        for path, names in references:
            source = read(path)
            if source is None:
                found.append(f"no such file: {path}")
                continue
            for name in names.split(", "):
                if not re.search(rf"\b{re.escape(name)}\b", source):
                    found.append(f"no test {name} in {path}")
    return found


def self_test():
    files = {"tests/a_test.cc": "TEST(A, Holds)", "tests/b.py": "def test_it(self):"}
    good = "# T\n- One\n  thing (`tests/a_test.cc: Holds`)\n- Two (`tests/b.py: test_it`)\n"
    assert problems(good, files.get) == []
    assert len(problems(good.replace("Holds", "Hold"), files.get)) == 1
    assert len(problems(good.replace("a_test", "c_test"), files.get)) == 1
    assert len(problems("- Bare promise\n", files.get)) == 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent

    def read(path):
        file = root / path
        return file.read_text() if file.is_file() else None

    text = (root / "docs/SEMANTICS.md").read_text()
    found = problems(text, read)
    if not promises(text):
        found.append("docs/SEMANTICS.md makes no promise")
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
