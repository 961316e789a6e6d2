"""Copies the runs of a sweep to another tracker: what a run has there, and which of it is missing. The trackers are in `_mlflow` and
`_trackio`, which import their packages on use.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Mapping, Optional, Protocol, Sequence

#: The trackers, each with the module of its adapter.
TRACKERS = {"mlflow": "_mlflow", "trackio": "_trackio"}

#: The values of a metric by step.
Curve = dict[int, float]

#: The metrics of a run that exist once, after its last step.
_ONCE = ("test_loss", "test_accuracy")

#: Columns of the steps that are not metrics.
_NO_METRICS = {"schedule", "config_id", "base_lr", "seed", "trial_id", "step"}


@dataclass(frozen=True)
class Run:
    """A run as a tracker gets it, without its curves.

    Attributes:
        state: changes whenever the run has something new; a run with the same state needs no look.
        is_over: whether the run has ended. The last step of any other run may still get metrics.
        params: schedule, base lr, seed, length and the values of the axes.
    """

    trial_id: str
    name: str
    sweep: str
    status: str
    purpose: str
    state: str
    is_over: bool
    started: Optional[datetime]
    finished: Optional[datetime]
    params: Mapping[str, Any] = field(default_factory=dict)


class Tracker(Protocol):
    """The runs of one sweep in a tracker."""

    def state(self, run: Run) -> Optional[str]:
        """The state that the tracker has, or None if it does not have the run or has only a part of this state."""

    def curves(self, run: Run) -> dict[str, Curve]:
        """The curves that the tracker has of the run."""

    def add(self, run: Run, curves: Mapping[str, Curve]) -> None:
        """Adds values that the tracker does not have. Makes the run if it is new, and notes its status and, last, its state."""

    def remove(self, run: Run) -> None:
        """Removes the run, so that it can be written again."""


@dataclass
class Mirrored:
    """The values that a call of `mirror` has copied.

    Attributes:
        runs: the runs that the tracker has now.
        new: how many of them are new or were written again.
        values: how many values were added.
        left: runs that have not ended.
    """

    runs: int = 0
    new: int = 0
    values: int = 0
    left: int = 0

    def __str__(self) -> str:
        return f"{self.runs} runs ({self.new} new), {self.values} values added, {self.left} runs not ended"


def tracker(to: str, sweep: str, at: Optional[str]) -> Tracker:
    """The tracker `to` with the runs of a sweep. `at` is the place of its data, by default the tracker's own default."""
    if to not in TRACKERS:
        raise ValueError(f"unknown tracker {to!r}: one of {', '.join(TRACKERS)}")
    try:
        made: Tracker = importlib.import_module(f".{TRACKERS[to]}", __package__).open(sweep, at)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != to:
            raise
        raise ImportError(f"this needs the package {to}, which is not installed: pip install {to}") from None
    return made


def mirror(store: Any, sweep: str, target: Tracker) -> Mirrored:
    """Adds to `target` what is new in the runs of a sweep. `store` is a `Store` whose frames are records."""
    done = Mirrored()
    for run, once in runs(sweep, store.trials(sweep)):
        done.left += not run.is_over
        if run.status == "queued":
            continue
        done.runs += 1
        has = target.state(run)
        if has == run.state and run.is_over:
            continue
        wanted = curves(store.metrics(run.trial_id), once, run.is_over)
        there = {} if has is None else target.curves(run)
        if not agree(there, wanted):
            # A retry without a checkpoint trains other values, unless the program is deterministic.
            target.remove(run)
            has, there = None, {}
        added = {name: missing for name, curve in wanted.items() if (missing := _missing(curve, there.get(name, {})))}
        target.add(run, added)
        done.new += has is None
        done.values += sum(map(len, added.values()))
    return done


def runs(sweep: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Run, dict[str, float]]]:
    """The runs of a sweep, each with the metrics that it has once. A run of several schedules has their names."""
    schedules: dict[str, list[str]] = {}
    for row in rows:
        names = schedules.setdefault(row["trial_id"], [])
        if row["schedule"] not in names:
            names.append(row["schedule"])
    found: dict[str, tuple[Run, dict[str, float]]] = {}
    for row in rows:
        once = {name: row[name] for name in _ONCE if row.get(name) is not None}
        found.setdefault(row["trial_id"], (_run(sweep, row, ", ".join(schedules[row["trial_id"]])), once))
    return list(found.values())


def _run(sweep: str, row: Mapping[str, Any], schedule: str) -> Run:
    axes = {name[len("axis:") :]: value for name, value in row.items() if name.startswith("axis:") and value is not None}
    params = {"schedule": schedule, **{name: row[name] for name in ("base_lr", "seed", "steps", "config_id")}, **axes}
    lr = f"{row['base_lr']:g}"
    return Run(
        trial_id=row["trial_id"],
        # The id makes the name unique.
        name=f"{schedule}, lr {lr}, seed {row['seed']}, {row['trial_id'][:6]}",
        sweep=sweep,
        status=row["status"],
        purpose=row["purpose"],
        state=f"{row['status']}, {row['steps_done']} steps, {row['digest'] or row['finished_at']}",
        is_over=row["status"] in ("done", "diverged", "failed", "stopped"),
        started=row["started_at"],
        finished=row["finished_at"],
        params=params,
    )


def curves(rows: Sequence[Mapping[str, Any]], once: Mapping[str, float], is_over: bool) -> dict[str, Curve]:
    """The curves of a run from its steps. The last step of a run that has not ended is left out: it may still get metrics."""
    found: dict[str, Curve] = {}
    for row in rows if is_over else rows[:-1]:
        for name, value in row.items():
            if name not in _NO_METRICS and value is not None:
                found.setdefault(name, {})[row["step"]] = value
    if is_over and rows:
        for name, value in once.items():
            found[name] = {rows[-1]["step"]: value}
    return found


def agree(there: Mapping[str, Curve], wanted: Mapping[str, Curve]) -> bool:
    """Whether all values that a tracker has are those of the run."""
    return all(
        step in wanted.get(name, {}) and is_same(value, wanted[name][step])
        for name, curve in there.items()
        for step, value in curve.items()
    )


def is_same(there: float, value: float) -> bool:
    """Whether a tracker has kept the value. Databases may hold the largest number in place of an infinity."""
    if math.isnan(value):
        return math.isnan(there)
    if math.isinf(value):
        return there == value or abs(there) > 1.7e308 and math.copysign(1, there) == math.copysign(1, value)
    return there == value


def _missing(curve: Curve, there: Curve) -> Curve:
    return {step: value for step, value in curve.items() if step not in there}
