"""Runs the commands that a page shows, in the order of the page, and writes what they print below them.

A page has one folder for all of its commands. It holds the project's `data`, `experiments`, `examples` and `python`; `sweep` is on
the path, and the database is in `runs/`. A comment before a code block says what happens with the block:

    <!-- file: NAME -->             the block is written to NAME
    <!-- run: OPTIONS -->           the block is run with options; see below
    <!-- not run: REASON -->        the block is not run

A comment `<!-- setup: COMMANDS -->` runs commands that the page does not show.

Without a comment a block of `sh` is a script that must succeed, and in a block of `console` each line after `$ ` is a command; the
lines below it are what it prints. Blocks of other languages are not run, unless they follow `run: python`. Options, separated by
commas:

    exit N           the exit code of the last command is N
    slow             not with --quick
    varies           the output depends on the machine: a check does not compare it
    first N, last N  the lines that the page shows; `...` is written for the others
    only TEXT        the page shows the lines with this text
    needs MODULE     not where Python lacks the module, or the program is not on the path
    python           a block of Python, run with python3
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = ("data", "experiments", "examples", "python")
BLOCK = re.compile(
    r"^<!-- setup:\n(?P<setup>.*?)^-->$|"
    r"(?:^<!-- (?P<verb>file|run|not run): (?P<words>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Options:
    """The content of the comment before a block."""

    def __init__(self, words):
        self.exit, self.first, self.last, self.only, self.needs = 0, None, 0, "", []
        self.slow = self.varies = self.python = False
        for word in filter(None, (word.strip() for word in words.split(","))):
            name, _, value = word.partition(" ")
            if name in ("exit", "first", "last"):
                setattr(self, name, int(value))
            elif name == "only":
                self.only = value
            elif name == "needs":
                self.needs.append(value)
            elif name in ("slow", "varies", "python"):
                setattr(self, name, True)
            else:
                sys.exit(f"`{word}` is not an option of a block")

    def shown(self, text):
        lines = [line.rstrip() for line in text.rstrip().splitlines() if self.only in line]
        if self.first is None or len(lines) <= self.first + self.last:
            return lines
        return [*lines[: self.first], "...", *lines[len(lines) - self.last :]]


class Sandbox:
    """The folder of one page."""

    def __init__(self, binary):
        self.temporary = tempfile.TemporaryDirectory()
        top = pathlib.Path(self.temporary.name)
        self.folder = top / "project"
        (top / "bin").mkdir()
        self.folder.mkdir()
        self.binary = pathlib.Path(binary).resolve()
        (top / "bin" / "sweep").symlink_to(self.binary)
        for name in SHARED:
            (self.folder / name).symlink_to(ROOT / name)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SWEEP_")}
        self.env |= {"PATH": f"{top / 'bin'}:{os.environ['PATH']}", "COLUMNS": "160", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        # As `pip install ./python` does.
        self.env |= {"PYTHONPATH": str(ROOT / "python/src"), "PYTHONDONTWRITEBYTECODE": "1"}

    def has(self, needed):
        if shutil.which(needed, path=self.env["PATH"]):
            return True
        found = subprocess.run(["python3", "-c", f"import {needed}"], cwd=self.folder, env=self.env, capture_output=True)
        return found.returncode == 0

    def run(self, command, status, page):
        """The output of the command: stdout and stderr."""
        done = subprocess.run(
            ["bash", "-ec", command], cwd=self.folder, env=self.env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode != status:
            sys.exit(f"{page}: exit code {done.returncode} instead of {status}\n$ {command}\n{done.stdout}")
        return done.stdout.replace(str(self.folder), "/home/me/project").replace(str(self.binary), "/home/me/.cargo/bin/sweep")


def commands(text):
    """The commands of a `console` block, each with its output on the page. A backslash at the end continues a command."""
    found, lines = [], iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = [line]
            while command[-1].endswith("\\"):
                command.append(next(lines))
            found.append(("\n".join(command), []))
        elif found:
            found[-1][1].append(line)
        else:
            sys.exit(f"a block of console begins with a command, not with: {line}")
    return found


def run(page, text, binary, quick=False, check=False):
    """The text of the page with what its commands print now. Returns it with the blocks that were left out."""
    sandbox, left_out, stopped = Sandbox(binary), [], []

    def block(match):
        if match["setup"]:
            sandbox.run(match["setup"], 0, page)
            return match[0]
        verb, words, language, body = match["verb"], match["words"] or "", match["language"], match["text"]
        if verb == "file":
            path = sandbox.folder / words
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        if verb in ("file", "not run") or match.start() in excerpts:
            return match[0]
        options = Options(words)
        if language not in ("sh", "console") and not options.python:
            return match[0]
        missing = [needed for needed in options.needs if not sandbox.has(needed)]
        # The rest of the page may need what a slow block trains.
        if quick and options.slow:
            stopped.append(match)
        if stopped or missing:
            left_out.append(body.strip().splitlines()[0])
            return match[0]
        if language != "console":
            command = f"python3 - <<'END'\n{body}END" if options.python else body
            sandbox.run(command, options.exit, page)
            return match[0]
        lines, found = [], commands(body)
        for i, (command, before) in enumerate(found, 1):
            status = options.exit if i == len(found) else 0
            printed = options.shown(sandbox.run(command.removeprefix("$ "), status, page))
            lines += [command, *(before if options.varies and check else printed)]
        start = match.start("text") - match.start()
        return match[0][:start] + "\n".join(lines) + "\n```"

    excerpts = set()
    for excerpt in re.finditer(r"<!-- excerpt \w+: begin.*?<!-- excerpt \w+: end -->", text, re.DOTALL):
        excerpts |= {m.start() for m in BLOCK.finditer(text) if excerpt.start() < m.start() < excerpt.end()}
    return BLOCK.sub(block, text), left_out
