"""The part of MLflow's client that the mirror uses, with its data in memory by tracking URI, for tests without mlflow.

Written from MLflow's documentation. test_mirror.py runs each of its tests with this package, and also with mlflow if it is installed.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, Optional, Sequence

from .exceptions import MlflowException

_stores: dict[Optional[str], dict[str, Any]] = {}
_ids = itertools.count(1)


class _Page(list[Any]):
    token = None


class MlflowClient:
    def __init__(self, tracking_uri: Optional[str] = None) -> None:
        if tracking_uri is not None and tracking_uri.startswith("nothing:"):
            raise MlflowException("no store for this address")
        self._store = _stores.setdefault(tracking_uri, {"experiments": {}, "runs": {}})

    def get_experiment_by_name(self, name: str) -> Any:
        return self._store["experiments"].get(name)

    def create_experiment(self, name: str) -> str:
        made = SimpleNamespace(experiment_id=str(next(_ids)), name=name, lifecycle_stage="active")
        self._store["experiments"][name] = made
        return str(made.experiment_id)

    def delete_experiment(self, experiment_id: str) -> None:
        for experiment in self._store["experiments"].values():
            if experiment.experiment_id == experiment_id:
                experiment.lifecycle_stage = "deleted"

    def search_runs(self, experiment_ids: Sequence[str], max_results: int = 1000, page_token: Optional[str] = None) -> Any:
        return _Page(run for run in self._store["runs"].values() if run.info.experiment_id in experiment_ids)

    def create_run(self, experiment_id: str, start_time: int, run_name: str, tags: dict[str, str]) -> Any:
        info = SimpleNamespace(
            run_id=str(next(_ids)), experiment_id=experiment_id, run_name=run_name, start_time=start_time, end_time=None, status="RUNNING"
        )
        run = SimpleNamespace(info=info, data=SimpleNamespace(tags=dict(tags), params={}, metrics={}), history={})
        self._store["runs"][info.run_id] = run
        return run

    def get_run(self, run_id: str) -> Any:
        return self._store["runs"][run_id]

    def delete_run(self, run_id: str) -> None:
        del self._store["runs"][run_id]

    def log_batch(self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = (), tags: Sequence[Any] = ()) -> None:
        assert len(metrics) <= 1000, "MLflow accepts at most 1000 metrics in a batch"
        run = self.get_run(run_id)
        for metric in metrics:
            run.history.setdefault(metric.key, []).append(metric)
            run.data.metrics[metric.key] = metric.value
        for param in params:
            assert param.key not in run.data.params, "MLflow accepts a parameter once"
            run.data.params[param.key] = param.value
        run.data.tags.update({tag.key: tag.value for tag in tags})

    def get_metric_history(self, run_id: str, key: str) -> Any:
        return self.get_run(run_id).history[key]

    def set_terminated(self, run_id: str, status: str, end_time: int) -> None:
        self.get_run(run_id).info.status, self.get_run(run_id).info.end_time = status, end_time

    def update_run(self, run_id: str, status: str) -> None:
        self.get_run(run_id).info.status = status
