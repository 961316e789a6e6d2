"""The runs of a sweep in MLflow: an experiment with the name of the sweep, a run for each trial. Uses the package's client, so it
writes to everything that MLflow can track to: a database, a folder, a server.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any, Mapping, Optional, Sequence

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from ._mirror import Curve, Run

#: The most metrics in a batch that MLflow accepts.
_BATCH = 1000

#: The status of MLflow. A diverged run has a result; the tag `sweep.status` says it.
_STATUS = {"running": "RUNNING", "done": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}


class Experiment:
    """The experiment of a sweep."""

    def __init__(self, sweep: str, at: Optional[str]) -> None:
        self._client: Any = mlflow.MlflowClient(tracking_uri=at)
        known = self._client.get_experiment_by_name(sweep)
        if known is not None and known.lifecycle_stage != "active":
            raise ValueError(f"MLflow's experiment {sweep!r} is deleted: restore it, or remove it for good (mlflow gc)")
        self._experiment = self._client.create_experiment(sweep) if known is None else known.experiment_id
        self._runs = {run.data.tags["sweep.trial"]: run for run in self._all() if "sweep.trial" in run.data.tags}

    def _all(self) -> Sequence[Any]:
        found, token = [], None
        while True:
            page = self._client.search_runs([self._experiment], max_results=_BATCH, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def state(self, run: Run) -> Optional[str]:
        there = self._runs.get(run.trial_id)
        return None if there is None else str(there.data.tags.get("sweep.state", ""))

    def curves(self, run: Run) -> dict[str, Curve]:
        there = self._runs[run.trial_id]
        return {
            name: {int(value.step): float(value.value) for value in self._client.get_metric_history(there.info.run_id, name)}
            for name in there.data.metrics
        }

    def add(self, run: Run, curves: Mapping[str, Curve]) -> None:
        begun = _milliseconds(run.started)
        there = self._runs.get(run.trial_id)
        if there is None:
            tags = {"sweep.trial": run.trial_id, "sweep.name": run.sweep, "sweep.purpose": run.purpose}
            there = self._client.create_run(self._experiment, start_time=begun, run_name=run.name, tags=tags)
            params = [Param(name, str(value)) for name, value in run.params.items()]
            self._client.log_batch(there.info.run_id, params=params)
        id = there.info.run_id
        # The store has no time of a step, so every value has that of the begin of its run.
        values = [Metric(name, value, begun, step) for name, curve in curves.items() for step, value in curve.items()]
        for first in range(0, len(values), _BATCH):
            self._client.log_batch(id, metrics=values[first : first + _BATCH])
        if run.is_over:
            self._client.set_terminated(id, _STATUS[run.status], _milliseconds(run.finished))
        else:
            self._client.update_run(id, _STATUS[run.status])
        # Last, because it says that all of this is there.
        self._client.log_batch(id, tags=[RunTag("sweep.status", run.status), RunTag("sweep.state", run.state)])
        self._runs[run.trial_id] = self._client.get_run(id)

    def remove(self, run: Run) -> None:
        self._client.delete_run(self._runs.pop(run.trial_id).info.run_id)


def open(sweep: str, at: Optional[str]) -> Experiment:
    # With a server, MLflow would print two lines for each run that ends.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        return Experiment(sweep, at)
    except MlflowException as error:
        # A wrong address, or a kind of store that this version no longer writes to.
        raise ValueError(f"MLflow: {error}") from None


def _milliseconds(time: Optional[datetime]) -> int:
    return int((time or datetime.now(timezone.utc)).timestamp() * 1000)
