"""The exception for a `sweep` process that has ended. `_pipes` detects this."""

from __future__ import annotations


class ParentGone(SystemExit):
    """`sweep` has ended. If not caught, this ends the program with one line on stderr and exit code 1."""

    def __init__(self, what: str) -> None:
        super().__init__(f"sweep_trial: {what}; this program ends")
