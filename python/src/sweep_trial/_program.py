"""Finds the program `sweep`, runs it, and turns its messages into `SweepError`. `_store` and `_run` read its output."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

#: The distribution whose wheel holds the program.
DISTRIBUTION = "sweep-lr"

#: Names a program that is used instead of all others.
VARIABLE = "SWEEP_PROGRAM"


class SweepError(RuntimeError):
    """`sweep` was not found, or it ended with an error. The text is the message of `sweep`.

    Attributes:
        code: the exit code of `sweep` (1: something failed, 2: a mistake in the input), or None if it was not run.
    """

    def __init__(self, message: str, code: Optional[int] = None) -> None:
        super().__init__(message)
        self.code = code


def find() -> str:
    """The path of the program: `$SWEEP_PROGRAM`, that of this package's wheel, or one on the PATH, in this order."""
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise SweepError(f"the program {named} of the environment variable {VARIABLE} not found, or not executable")
        return os.path.abspath(found)
    found = next(_of_wheel(), None) or shutil.which("sweep")
    if found is None:
        raise SweepError(
            f"the program `sweep` not found: it is neither installed with this package nor on the PATH. "
            f"`pip install {DISTRIBUTION}` installs both; `cargo install --path crates/cli` in the project's folder builds it"
        )
    return found


def _of_wheel() -> Iterator[str]:
    """Where the wheel of this package put its program."""
    places = []
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return
    places += [Path(str(file.locate())) for file in files if file.name in ("sweep", "sweep.exe")]
    if places:
        # `pip install --target DIR` moves programs to DIR/bin, which the list of files does not show.
        places += [Path(sysconfig.get_path("scripts")) / "sweep", Path(__file__).parents[1] / "bin" / "sweep"]
    for place in places:
        if os.access(place, os.X_OK) and place.is_file():
            yield str(place.resolve())


def words(options: Mapping[str, Any]) -> list[str]:
    """Keyword arguments as options of the command line: `no_share=True` becomes `--no-share`."""
    found = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            found.append(option)
        elif value is not None and value is not False:
            # One word, because a value may begin with `-`.
            found.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
    return found


def call(*arguments: str) -> tuple[bytes, list[str]]:
    """Runs the program to its end. Returns its stdout and the lines of its stderr."""
    command = [find(), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise SweepError(f"can't run {command[0]}: {error.strerror}") from None
    printed = done.stderr.decode("utf-8", "replace").splitlines()
    if done.returncode != 0:
        raise failure(command, done.returncode, printed)
    return done.stdout, printed


def failure(command: Sequence[str], code: int, printed: Sequence[str]) -> SweepError:
    """The error of a command that has ended with this exit code."""
    text = "\n".join(printed)
    start = 0 if text.startswith("error: ") else text.find("\nerror: ") + 1
    message = text[start:].strip()
    # The list of options below a wrong one says nothing about the notebook.
    message = message.split("\n\nUsage: ")[0].split("\n\nFor more information")[0]
    message = message[len("error: ") :] if message.startswith("error: ") else message
    if not message:
        message = f"`sweep {' '.join(command[1:])}` ended with exit code {code}"
    return SweepError(message, code)
