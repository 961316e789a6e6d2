"""Writes what scripts/check-python printed into python/examples/OUTPUT.md: each part of the output replaces the earlier one of its name.

    python3 scripts/record_output.py FILE
"""

import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[1] / "python/examples/OUTPUT.md"
BEGIN = """Written by `scripts/check-python --record` on two cores of an x86-64 Linux. Elsewhere the last bits, and with them the digests, may be others.
"""
SECTION = re.compile(r"^## (\S+)\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
PART = re.compile(r"^--- (\S+?):? .*?(?=^--- |\Z)", re.DOTALL | re.MULTILINE)


def main(path):
    printed = pathlib.Path(path).read_text()
    versions = ", ".join(printed.splitlines()[:2])
    sections = {found[1]: found[0] for found in SECTION.finditer(PAGE.read_text())}
    for part in PART.finditer(printed):
        sections[part[1]] = f"## {part[1]}\n\n{versions}\n\n```text\n{part[0].rstrip()}\n```\n\n"
    PAGE.write_text(BEGIN + "\n" + "".join(sections.values()).rstrip() + "\n")


main(sys.argv[1])
