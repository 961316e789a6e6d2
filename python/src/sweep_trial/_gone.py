"""The exception for a `sweep` that is no longer there. Not how one finds out: see `_pipes`."""

from __future__ import annotations


class ParentGone(SystemExit):
    """`sweep` has ended. Not caught, it ends the program with one line on stderr and exit code 1."""

    def __init__(self, what: str) -> None:
        super().__init__(f"sweep_trial: {what}; this program ends")
