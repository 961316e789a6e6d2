"""Where reports go: to `sweep` as JSON lines, or outside of a sweep to a person. Whether they make sense is
for `_trial` to say.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Optional, Protocol, Union

from ._modules import Modules

Fields = dict[str, Union[float, str]]

#: Seconds between two lines of progress.
_PAUSE = 2.0


class Asks(Protocol):
    """What takes a question and gives the line that answers it."""

    def ask(self, question: str) -> bytes: ...


class Writes(Protocol):
    """What takes a line."""

    def write(self, line: str) -> None: ...


class Reporter(Protocol):
    """What takes the reports of a trial, in order."""

    def report(self, step: int, fields: Fields) -> None: ...


class Lines:
    """Reports for `sweep`. Before the steps come the files that the program has loaded, if `sweep` asks for them."""

    def __init__(self, pipes: Writes, modules: Optional[Modules] = None) -> None:
        self._pipes = pipes
        self._modules = modules

    def report(self, step: int, fields: Fields) -> None:
        if self._modules is not None:
            for files in self._modules.new():
                self._pipes.write(json.dumps({"loaded": files}))
        self._pipes.write(json.dumps({"step": step, **fields}))


class Echo:
    """Reports for somebody who runs the program by hand: now and then a line on stderr, and the last metrics.

    With `verbose` all of them instead, on stdout.
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
            f"{name.replace('_', ' ')} {value if isinstance(value, str) else format(value, '.5g')}"
            for name, value in fields.items()
        )
        line = f"step {step} of {self._last}: {shown}"
        # What was known of the last step before finish() says it again.
        if line != self._shown:
            print(line, file=sys.stdout if self._verbose else sys.stderr, flush=True)
        self._shown = line
