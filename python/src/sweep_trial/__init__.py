"""Lets a training program run as one trial of a sweep: `current()` returns the `Trial`.

Everything else of the package is private. The protocol itself is in docs/reference/protocol.md of the project.
"""

from __future__ import annotations

from ._facts import Resume
from ._gone import ParentGone
from ._trial import Trial, current

__all__ = ["ParentGone", "Resume", "Trial", "current"]
__version__ = "0.1.0"
