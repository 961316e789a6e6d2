"""The parameter groups of a schedule: looks them up by name, and names the nearest one if there is none. Knows no framework."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence


@dataclass(frozen=True)
class Group:
    """A parameter group of a schedule, with its own lr at each step.

    If `keeps_ratio`, the sweep file has no base lr for the group: its `1x` is the base lr of the first group, and the program multiplies by
    its own ratio of the initial lrs.
    """

    name: str
    base_lr: float
    keeps_ratio: bool = False
    #: The files with one number for each step; None if the lr is requested, or the momentum is not set.
    lr: Optional[Path] = None
    momentum: Optional[Path] = None


class Groups:
    """The groups of one schedule, in order. There are none if one lr applies to all parameters."""

    def __init__(self, groups: Sequence[Group], schedule: str) -> None:
        self._groups = tuple(groups)
        self._schedule = schedule
        self._index = {group.name: at for at, group in enumerate(groups)}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __getitem__(self, at: int) -> Group:
        return self._groups[at]

    @property
    def names(self) -> list[str]:
        return list(self._index)

    def at(self, name: Any, what: str) -> int:
        """The index of the group that `what` names; 0 for any name if the schedule has no groups.

        Raises ValueError if the schedule has groups, but not this one.
        """
        if not self._groups:
            return 0
        if name is None:
            raise ValueError(f"the schedule {self._schedule} has an lr for each parameter group ({self.listed()}): {what}")
        found = self._index.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValueError(f"{what}: the schedule {self._schedule} has no parameter group {name!r}; {self._hint(name)}")
        return found

    def listed(self) -> str:
        return ", ".join(self._index)

    def missing(self, found: Iterable[Optional[str]]) -> list[str]:
        """The groups that are not in `found`."""
        known = set(found)
        return [name for name in self._index if name not in known]

    def _hint(self, name: Any) -> str:
        near = difflib.get_close_matches(name, self._index, n=1, cutoff=0.5) if isinstance(name, str) else []
        return (f"did you mean {near[0]!r}? " if near else "") + f"It has: {self.listed()}"
