"""Results with more than a table: the ranking, a comparison, a report. `_html` draws them for notebooks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

from . import _html
from ._frames import Table

if TYPE_CHECKING:
    from ._dashboard import Dashboard
    from ._store import Store


class Ranking:
    """The schedules of a sweep, best first, each at its best lr. A notebook shows it as a table.

    Attributes:
        rows: one dict per schedule; the columns are those of `sweep rank --format json`.
        notes: what `sweep` said about the ranking: warnings with their advice.
    """

    def __init__(
        self,
        store: Store,
        sweep: Union[str, os.PathLike[str], None],
        how: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        notes: Sequence[str],
        frame: Optional[str],
    ) -> None:
        self._table = Table(rows)
        self._store, self._sweep, self._how, self._frame = store, sweep, dict(how), frame
        self.rows: list[dict[str, Any]] = self._table.rows
        self.notes: list[str] = list(notes)

    @property
    def frame(self) -> Any:
        """The rows as a pandas or polars frame, or as records."""
        return self._table.frame(self._frame)

    @property
    def best(self) -> Optional[str]:
        """The schedule with the best mean, or None before the first result. Others may be as good: see `rank_low`."""
        first = self.rows[0] if self.rows else {}
        return first["schedule"] if first.get("rank") is not None else None

    def compare(self, a: str, b: str) -> Comparison:
        """Whether one of two schedules is better, by the metric of this ranking."""
        return self._store.compare(a, b, sweep=self._sweep, **self._how)

    def report(self) -> Report:
        """The report of the sweep, by the metric of this ranking."""
        return self._store.report(self._sweep, **self._how)

    def dashboard(self, *, height: int = 700) -> Dashboard:
        """The live page of the sweep."""
        return self._store.dashboard(self._sweep, height=height)

    def _title(self) -> str:
        sweep = "" if self._sweep is None else f"{os.fspath(self._sweep)}: "
        metric = self.rows[0].get("metric") if self.rows else self._how.get("metric")
        return f"{sweep}schedules by {_html.metric(metric)}, each at its best lr"

    def __repr__(self) -> str:
        return _html.ranking_as_text(self._title(), self.rows, self.notes)

    def _repr_html_(self) -> str:
        return _html.ranking(self._title(), self.rows, self.notes)


class Comparison:
    """Two schedules, compared by seed. A notebook shows its sentence and its seeds.

    Attributes:
        sentence: the verdict in words.
        verdict: "better", "worse", "equivalent", "undecided", ... of the second schedule against the first.
        diff: how much larger the metric of `b` is than that of `a`, with its 95 % interval `diff_low` to `diff_high`.
        p: the corrected p-value.
        notes: warnings with their advice.
        data: everything that `sweep compare --format json` printed.
    """

    def __init__(self, data: Mapping[str, Any], frame: Optional[str]) -> None:
        self.data: dict[str, Any] = dict(data)
        self._frame = frame
        self.a: str = data["a"]
        self.b: str = data["b"]
        self.sentence: str = data["sentence"]
        self.verdict: str = data["verdict"]
        self.diff: Optional[float] = data["diff"]
        self.diff_low: Optional[float] = data["diff_low"]
        self.diff_high: Optional[float] = data["diff_high"]
        self.p: Optional[float] = data["p"]
        self.notes: list[str] = [f"{warning['text']}; {warning['advice']}" for warning in data["warnings"]]

    def _seeds(self) -> Table:
        return Table(self.data["seeds"], {"seed": "integer", self.a: "real", self.b: "real", "difference": "real"})

    @property
    def seeds(self) -> Any:
        """A frame with one row for each seed: the metric of both schedules and the difference."""
        return self._seeds().frame(self._frame)

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *(f"  {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return _html.comparison(self.sentence, self._seeds().rows, self.notes)


class Report:
    """The report of a sweep: one HTML page that works offline. A notebook shows it.

    Attributes:
        html: the text of the page.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: Union[str, os.PathLike[str]]) -> Path:
        """Writes the page to a file."""
        file = Path(path)
        file.write_text(self.html, encoding="utf-8")
        return file

    def __repr__(self) -> str:
        return f"<report, {len(self.html) // 1000} kB of HTML: save(path) writes it to a file>"

    def _repr_html_(self) -> str:
        return _html.framed(self.html)
