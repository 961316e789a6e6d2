"""Rows of metrics and a config for each run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional, Sequence

from .utils import TRACKIO_DIR


def _path(project: str) -> Path:
    return TRACKIO_DIR / f"{project}.json"


def _read(project: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_path(project).read_text()) if _path(project).exists() else {}
    return data


def _write(project: str, data: dict[str, Any]) -> None:
    TRACKIO_DIR.mkdir(parents=True, exist_ok=True)
    _path(project).write_text(json.dumps(data))


class SQLiteStorage:
    @staticmethod
    def get_runs(project: str) -> list[str]:
        return list(_read(project))

    @staticmethod
    def get_run_config(project: str, run: str) -> Optional[dict[str, Any]]:
        config: Optional[dict[str, Any]] = _read(project)[run]["config"]
        return config

    @staticmethod
    def get_logs(project: str, run: str) -> list[dict[str, Any]]:
        return [{**row["metrics"], "step": row["step"], "timestamp": row["timestamp"]} for row in _read(project)[run]["rows"]]

    @staticmethod
    def delete_run(project: str, run: str) -> bool:
        data = _read(project)
        del data[run]
        _write(project, data)
        return True

    @staticmethod
    def bulk_log(
        project: str,
        run: str,
        metrics_list: Sequence[dict[str, float]],
        steps: Sequence[int],
        timestamps: Sequence[str],
        config: dict[str, Any],
        log_ids: Sequence[str],
    ) -> None:
        # As in trackio, a config without rows is not written.
        if not metrics_list:
            return
        data = _read(project)
        there = data.setdefault(run, {"rows": [], "config": None})
        known = {row["id"] for row in there["rows"]}
        for metrics, step, timestamp, id in zip(metrics_list, steps, timestamps, log_ids):
            if id not in known:
                there["rows"].append({"id": id, "step": step, "timestamp": timestamp, "metrics": metrics})
        there["config"] = config
        _write(project, data)
