"""Sends reports to `sweep` as JSON lines, or prints them outside of a sweep. `_trial` checks them."""

from __future__ import annotations

import json
import sys
import time
from typing import Mapping, Optional, Protocol, Union

from ._modules import Modules

Fields = dict[str, Union[float, str, Mapping[str, float]]]

#: Seconds between two lines of progress.
_PAUSE = 2.0


class Asks(Protocol):
    """Sends a request and returns the line of the answer."""

    def ask(self, question: str) -> bytes: ...


class Writes(Asks, Protocol):
    """Writes a line."""

    def write(self, line: str) -> None: ...


class Reporter(Protocol):
    """Receives the reports of a trial, in order."""

    def report(self, step: int, fields: Fields) -> None: ...

    def keep(self, step: int, checkpoint: str) -> None:
        """Reports a checkpoint that other trials need, and waits until it may be changed or removed."""


class Lines:
    """Reports to `sweep`. If `sweep` requests it, reports the files that the program has loaded before the step."""

    def __init__(self, pipes: Writes, modules: Optional[Modules] = None) -> None:
        self._pipes = pipes
        self._modules = modules

    def report(self, step: int, fields: Fields) -> None:
        self._report_modules()
        self._pipes.write(json.dumps({"step": step, **fields}))

    def keep(self, step: int, checkpoint: str) -> None:
        self._report_modules()
        line = self._pipes.ask(json.dumps({"step": step, "checkpoint": checkpoint}))
        try:
            if json.loads(line) != {"step": step, "kept": True}:
                raise ValueError
        except ValueError:
            raise RuntimeError(f"sweep sent an invalid answer to the checkpoint after step {step}: {line!r}") from None

    def _report_modules(self) -> None:
        if self._modules is not None:
            for files in self._modules.new():
                self._pipes.write(json.dumps({"loaded": files}))


class Echo:
    """Prints reports outside of a sweep: a progress line on stderr every few seconds, and the last metrics.

    With `verbose`, prints all reports on stdout instead.
    """

    def __init__(self, total_steps: int, verbose: bool) -> None:
        self._last = total_steps - 1
        self._verbose = verbose
        self._due = 0.0
        self._shown = ""

    def report(self, step: int, fields: Fields) -> None:
        now = time.monotonic()
        worth = "valid_loss" in fields or "checkpoint" in fields or step == self._last
        if not (self._verbose or worth or now >= self._due):
            return
        self._due = now + _PAUSE
        shown = ", ".join(
            f"{name.replace('_', ' ')} {_shown(value)}" for name, value in fields.items()
        )
        line = f"step {step} of {self._last}: {shown}"
        # finish() may repeat the last line.
        if line != self._shown:
            print(line, file=sys.stdout if self._verbose else sys.stderr, flush=True)
        self._shown = line

    def keep(self, step: int, checkpoint: str) -> None:
        self.report(step, {"checkpoint": checkpoint})


def _shown(value: Union[float, str, Mapping[str, float]]) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {one:.5g}" for name, one in value.items())
    return value if isinstance(value, str) else format(value, ".5g")
