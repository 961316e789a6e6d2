"""Lets a training program run as one trial of a sweep, and reads and runs sweeps from Python.

`current()` returns the `Trial` of a training program; the protocol itself is in docs/reference/protocol.md of the project.
`run()` trains a sweep file, and `open()` returns the `Store` with its results; both call the program `sweep`. Everything else of
the package is private.
"""

from __future__ import annotations

from ._dashboard import Dashboard
from ._facts import Resume
from ._gone import ParentGone
from ._program import SweepError
from ._results import Comparison, Ranking, Report
from ._run import run
from ._store import Store, open
from ._trial import Trial, current

__all__ = [
    "Comparison",
    "Dashboard",
    "ParentGone",
    "Ranking",
    "Report",
    "Resume",
    "Store",
    "SweepError",
    "Trial",
    "current",
    "open",
    "run",
]
__version__ = "0.1.0"
