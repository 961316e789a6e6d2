"""`open`: the results of a store, as the program `sweep` computes them. Nothing here computes a statistic or opens a database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Optional, Union

from . import _program
from ._dashboard import Dashboard
from ._frames import Table, from_csv, library
from ._mirror import Mirrored, mirror, tracker
from ._results import Comparison, Ranking, Report

PathOrUrl = Union[str, "os.PathLike[str]"]


class Store:
    """The results in a store. Made by `open`.

    Every method runs the program `sweep`, which reads the store and changes nothing, also while a sweep trains. A sweep is a
    name or a sweep file; without one it is the sweep that was run last. Mistakes raise `SweepError`.
    """

    def __init__(
        self,
        path: Optional[PathOrUrl] = None,
        *,
        frame: Optional[str] = None,
        data_dir: Optional[PathOrUrl] = None,
    ) -> None:
        library(frame)
        self._frame = frame
        self.context = _program.words({"store": path, "data_dir": data_dir})
        self._path, self._data_dir = path, data_dir

    def __repr__(self) -> str:
        return "open()" if self._path is None else f"open({os.fspath(self._path)!r})"

    def sweeps(self) -> Any:
        """A frame with one row for each sweep: how many of its runs are done, running, left."""
        return self._table("status").frame(self._frame)

    def trials(self, sweep: Optional[PathOrUrl] = None, *, schedule: Optional[str] = None) -> Any:
        """A frame with one row for each run of a sweep, or of one schedule. Each axis is a column `axis:PATH`, and the
        last value of each metric of a program's own a column `metric:NAME`.
        """
        out, _ = self._call("export", "results", *_named(sweep), "--to=jsonl", *_program.words({"schedule": schedule}))
        return Table([json.loads(line) for line in out.splitlines()]).frame(self._frame)

    def metrics(
        self,
        trial: Optional[str] = None,
        *,
        schedule: Optional[str] = None,
        sweep: Optional[PathOrUrl] = None,
    ) -> Any:
        """A frame with one row for each step: lr, losses, gradient norm, and a column for each other metric of the runs.

        The steps are those of one run (`trial`: the start of its id, or `"best"`), of all runs of a schedule, or of all runs of
        a sweep.
        """
        if trial is None:
            words = _program.words({"schedule": schedule})
            out, _ = self._call("export", "results", *_named(sweep), "--metrics", "--to=csv", *words)
        elif schedule is not None:
            raise ValueError("give a trial or a schedule, not both")
        else:
            words = _program.words({"sweep": sweep})
            out, _ = self._call("show", "--metrics", "--format=csv", *words, "--", trial)
        return from_csv(out, self._frame)

    def ranking(
        self,
        sweep: Optional[PathOrUrl] = None,
        *,
        metric: Optional[str] = None,
        budget: Optional[int] = None,
        rope: Optional[float] = None,
    ) -> Ranking:
        """The ranking of a sweep's schedules, each at its best lr, as `sweep rank` computes it.

        Args:
            sweep: the sweep.
            metric: what to rank by: "final", "best", "tail:N", "valid_accuracy", "test_loss", "accuracy", a metric of the program's
                own ("bleu:max"), or "steps_to:valid_loss:0.1". By default the metric of the sweep file.
            budget: rank the runs with this many steps instead of the longest.
            rope: differences up to this count as equivalent.
        """
        how = {"metric": metric, "budget": budget, "rope": rope}
        out, notes = self._call("rank", *_named(sweep), "--format=json", *_program.words(how))
        return Ranking(self, sweep, how, _json(out), notes, self._frame)

    def compare(
        self,
        a: str,
        b: str,
        *,
        sweep: Optional[PathOrUrl] = None,
        metric: Optional[str] = None,
        budget: Optional[int] = None,
        rope: Optional[float] = None,
    ) -> Comparison:
        """Whether one of two schedules is better, as `sweep compare` computes it. The arguments are those of `ranking`."""
        words = _program.words({"sweep": sweep, "metric": metric, "budget": budget, "rope": rope})
        out, _ = self._call("compare", "--format=json", *words, "--", a, b)
        return Comparison(_json(out), self._frame)

    def query(self, sql: str) -> Any:
        """A frame with the result of one SELECT statement on the tables and views of the database."""
        return self._table("query", "--", sql).frame(self._frame)

    def report(
        self,
        sweep: Optional[PathOrUrl] = None,
        *,
        metric: Optional[str] = None,
        budget: Optional[int] = None,
        rope: Optional[float] = None,
    ) -> Report:
        """The report of a sweep: one HTML page that works offline. A notebook shows it."""
        words = _program.words({"metric": metric, "budget": budget, "rope": rope})
        out, _ = self._call("report", *_named(sweep), "--format=html", *words)
        return Report(out.decode())

    def mirror(self, sweep: Optional[PathOrUrl] = None, *, to: str, at: Optional[str] = None) -> Mirrored:
        """Copies the runs of a sweep to another tracker, with their curves. Adds only what the tracker does not have, so that it
        can be repeated at any time, also while the sweep trains.

        Args:
            sweep: the sweep.
            to: "mlflow" or "trackio". Its package must be installed.
            at: the tracker's data: MLflow's tracking URI, trackio's folder. By default that of the tracker.
        """
        name = self.name_of(sweep)
        return mirror(Store(self._path, frame="records", data_dir=self._data_dir), name, tracker(to, name, at))

    def dashboard(self, sweep: Optional[PathOrUrl] = None, *, height: int = 700) -> Dashboard:
        """Starts `sweep dashboard`, the live page of a sweep. A notebook shows it; `close()` stops it."""
        return Dashboard(["dashboard", *self.context, "--port=0", *_named(sweep)], height)

    def name_of(self, sweep: Optional[PathOrUrl] = None) -> str:
        """The name of the sweep of a sweep file that was run, or of the sweep that was run last."""
        out, _ = self._call("status", *_named(sweep), "--format=json")
        rows = _json(out)
        if not rows:
            raise _program.SweepError("the store has no sweep", 2)
        # The sweep that was run last comes first.
        name: str = rows[0]["sweep"]
        return name

    def _call(self, verb: str, *arguments: str) -> tuple[bytes, list[str]]:
        # `--` ends the options, so those of the store come first.
        return _program.call(verb, *self.context, *arguments)

    def _table(self, *arguments: str) -> Table:
        verb, *rest = arguments
        out, _ = self._call(verb, "--format=json", *rest)
        return Table(_json(out))


def open(
    store: Optional[PathOrUrl] = None,
    *,
    frame: Optional[str] = None,
    data_dir: Optional[PathOrUrl] = None,
) -> Store:
    """Opens the results of a store, read-only.

    Args:
        store: the folder of the store, or the address of a PostgreSQL database. By default `$SWEEP_STORE`, else "runs".
        frame: "pandas", "polars" or "records" (a list of dicts). By default the first of these that is installed.
        data_dir: the folder of the data sets, which a sweep file needs when it is given in place of a sweep's name.
    """
    if store is not None and "://" not in os.fspath(store) and not Path(store).exists():
        raise _program.SweepError(f"store not found: {os.fspath(store)}; run a sweep first, or name another store", 2)
    return Store(store, frame=frame, data_dir=data_dir)


def _named(sweep: Optional[PathOrUrl]) -> list[str]:
    """The sweep as a word of the command line. A name that begins with `-` would be read as an option."""
    if sweep is None:
        return []
    name = os.fspath(sweep)
    if name.startswith("-"):
        raise ValueError(f"a sweep's name does not begin with `-`: {name}")
    return [name]


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        program = _program.find()
        raise _program.SweepError(f"{program} printed no JSON: is it another program with the name `sweep`?") from None
