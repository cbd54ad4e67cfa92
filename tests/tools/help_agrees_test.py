"""Every flag of a command's --help is in its man page's section, and the other way round.

Usage: help_agrees_test.py STOKEFS FSCTL STOKESIM FOLDER_OF_MAN_PAGES"""

import re
import subprocess
import sys
import unittest

COMMANDS = {"stokefs": ["mount", "pack", "unmount", "list", "doctor"],
            "fsctl": ["stats", "why", "events", "config", "refresh", "verify", "locate", "warmup", "evict",
                      "pin", "unpin"],
            "stokesim": ["epochs"]}
STOKEFS = sys.argv[1]
PROGRAMS = {"stokefs": STOKEFS, "fsctl": sys.argv[2], "stokesim": sys.argv[3]}
PAGES = sys.argv[4]
FLAG = re.compile(r"(?:^|[\s,])(--[a-z][a-z-]+|-[a-z])(?=[\s,=\[]|$)")


def flags_of_help(program, command):
    """The flags that begin a line of the help."""
    done = subprocess.run([PROGRAMS[program], command, "--help"], capture_output=True, text=True,
                          timeout=60, check=True)
    flags = set()
    for line in done.stdout.splitlines():
        # Further lines of a flag's text are indented deeper.
        start = re.match(r" {1,6}(?:(-[a-z]), )?(--[a-z][a-z-]*)", line)
        if start:
            flags |= {flag for flag in start.groups() if flag}
    return flags


def sections(program):
    """{section: [tagged lines]} without roff's marks."""
    found, section, tag = {}, None, False
    with open(f"{PAGES}/{program}.1", encoding="utf-8") as page:
        for line in page.read().splitlines():
            if line.startswith(".SH"):
                section = line[4:].strip().strip('"')
                found[section] = []
            elif line == ".TP":
                tag = True
            elif tag:
                tag = False
                found[section].append(re.sub(r"\\f[A-Z]", "", line).replace("\\-", "-"))
    return found


class HelpAgrees(unittest.TestCase):
    def test_flags(self):
        for program, commands in COMMANDS.items():
            pages = sections(program)
            for command in commands:
                with self.subTest(command=f"{program} {command}"):
                    told = set()
                    for line in pages[command.upper()]:
                        told |= set(FLAG.findall(line))
                    helped = flags_of_help(program, command)
                    self.assertIn("--help", helped)
                    self.assertEqual(helped, told)

    def defaults_agree(self, program, command, count_min):
        done = subprocess.run([PROGRAMS[program], command, "--help"], capture_output=True,
                              text=True, timeout=60, check=True)
        words = " ".join(done.stdout.split())
        helped = re.findall(
            r" --([a-z-]+) (?:(?! --[a-z]).)*?\(default: ([0-9A-Za-z.,]+)\)", words)
        self.assertGreaterEqual(len(helped), count_min)
        with open(f"{PAGES}/{program}.1", encoding="utf-8") as page:
            entries = page.read().replace("\\-", "-").split(".TP\n")[1:]
        for flag, value in helped:
            with self.subTest(flag=flag):
                entry = next(text for text in entries if f"--{flag}\\fR" in text)
                self.assertIn(f"Default: {value}.", entry)

    def test_defaults(self):
        self.defaults_agree("stokefs", "mount", 9)
        self.defaults_agree("stokesim", "epochs", 10)

    def test_commands(self):
        for program, commands in COMMANDS.items():
            done = subprocess.run([PROGRAMS[program], "--help"], capture_output=True, text=True,
                                  timeout=60, check=True)
            listed = set(re.findall(rf"^  {program} ([a-z]+)", done.stdout, re.MULTILINE))
            self.assertEqual(set(commands), listed)

    def test_positions_have_their_flag(self):
        # SOURCE and MNT are flags as well, since they are keys of the configuration file.
        self.assertLessEqual({"--source", "--mount-point", "-o", "-f", "--memory"},
                             flags_of_help("stokefs", "mount"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
