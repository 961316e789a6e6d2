"""The runs of a sweep in trackio's local database: a project with the name of the sweep, a run for each trial. Uses the package's own
storage, because its `init` and `log` can't give a value its time, and start a server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Mapping, Optional

from ._mirror import Curve, Run

#: What trackio adds to the values of a step.
_NO_METRICS = {"step", "timestamp"}


class Project:
    """The project of a sweep."""

    def __init__(self, storage: Any, sweep: str) -> None:
        self._storage, self._project = storage, sweep
        self._runs = set(storage.get_runs(sweep))

    def state(self, run: Run) -> Optional[str]:
        if run.name not in self._runs:
            return None
        config = self._storage.get_run_config(self._project, run.name) or {}
        return str(config.get("state", ""))

    def curves(self, run: Run) -> dict[str, Curve]:
        found: dict[str, Curve] = {}
        for row in self._storage.get_logs(self._project, run.name):
            for name, value in row.items():
                if name not in _NO_METRICS:
                    found.setdefault(name, {})[int(row["step"])] = float(value)
        return found

    def add(self, run: Run, curves: Mapping[str, Curve]) -> None:
        steps: dict[int, dict[str, float]] = {}
        for name, curve in curves.items():
            for step, value in curve.items():
                steps.setdefault(step, {})[name] = value
        # The store has no time of a step, so every value has that of the begin of its run.
        time = run.started.isoformat() if run.started else ""
        config = {**run.params, "trial": run.trial_id, "purpose": run.purpose, "status": run.status, "state": run.state}
        # trackio writes no config without a step, so a step without values brings a new state.
        at = sorted(steps) or [0]
        values = [steps.get(step, {}) for step in at]
        # trackio ignores a row whose id it has: two mirrors at the same time write a value once.
        ids = [f"{run.trial_id} {step} {' '.join(sorted(row)) or run.state}" for step, row in zip(at, values)]
        # One transaction for the values, and for the state that says that they are there.
        self._storage.bulk_log(self._project, run.name, values, steps=at, timestamps=[time] * len(at), config=config, log_ids=ids)
        self._runs.add(run.name)

    def remove(self, run: Run) -> None:
        self._storage.delete_run(self._project, run.name)
        self._runs.discard(run.name)


def open(sweep: str, at: Optional[str]) -> Project:
    if at is not None:
        # trackio reads its folder when it is imported.
        known = sys.modules.get("trackio.utils")
        if known is not None and Path(known.TRACKIO_DIR) != Path(at):
            raise ValueError(f"trackio is imported and writes to {known.TRACKIO_DIR}: set TRACKIO_DIR to {at} before the import")
        os.environ["TRACKIO_DIR"] = at
    from trackio.sqlite_storage import SQLiteStorage

    return Project(SQLiteStorage, sweep)
