"""Tables of typed columns as pandas or polars frames, or as plain records. The values come from the program `sweep`."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from datetime import datetime
from typing import Any, Iterable, Literal, Mapping, Optional, Sequence

#: The libraries that a user can choose.
Frame = Literal["pandas", "polars", "records"]

Kind = Literal["integer", "real", "text", "time", "flag"]

_INTEGERS = """
    diverged diverged_at diverged_in_grid done failed left missing n processes queued rank rank_high rank_low running seed step
    steps steps_done stopped stuck tie_group trials unreached unreported
"""
_REALS = """
    base_lr diff diff_high diff_low e final_train_loss final_valid_loss grad_norm lr mean p p_floor p_raw sd seconds test_accuracy test_loss
    train_loss valid_accuracy valid_loss wins
"""
_TEXTS = "axis_edges config_id digest edge error metric purpose schedule status sweep trial_id verdict weights_hash"
_TIMES = "finished_at started_at updated_at"

#: The types of the columns that `sweep` prints. The type of any other column follows from its values.
KINDS: dict[str, Kind] = {
    **{name: "integer" for name in _INTEGERS.split()},
    **{name: "real" for name in _REALS.split()},
    **{name: "text" for name in _TEXTS.split()},
    **{name: "time" for name in _TIMES.split()},
}


def library(wanted: Optional[str]) -> Frame:
    """The library to use: the wanted one, else pandas, else polars, else plain records."""
    libraries: tuple[Frame, ...] = ("pandas", "polars")
    for name in libraries:
        is_installed = importlib.util.find_spec(name) is not None
        if wanted == name and not is_installed:
            raise ImportError(f'frame="{name}" needs {name}, which is not installed: pip install {name}')
        if is_installed and wanted in (name, None):
            return name
    if wanted in ("records", None):
        return "records"
    raise ValueError(f'frame must be "pandas", "polars" or "records", not {wanted!r}')


class Table:
    """Columns with names and types, and rows.

    Attributes:
        kinds: the type of each column, in order.
        rows: one dict per row. Times are `datetime`, missing values None.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], kinds: Optional[Mapping[str, Kind]] = None) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row)) or list(kinds or {})
        known = {**KINDS, **(kinds or {})}
        self.kinds: dict[str, Kind] = {
            name: known.get(name) or _kind_of(row.get(name) for row in rows) for name in names
        }
        self.rows: list[dict[str, Any]] = [
            {name: _value(kind, row.get(name)) for name, kind in self.kinds.items()} for row in rows
        ]

    def frame(self, wanted: Optional[str]) -> Any:
        """The table in the library that the user wants."""
        chosen = library(wanted)
        if chosen == "records":
            return [dict(row) for row in self.rows]
        columns = {name: [row[name] for row in self.rows] for name in self.kinds}
        if chosen == "polars":
            return _polars(columns, self.kinds)
        return _pandas(columns, self.kinds)


def _kind_of(values: Iterable[object]) -> Kind:
    """The type that fits all values."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return "flag"
    if present and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        return "integer" if all(isinstance(value, int) for value in present) else "real"
    return "text"


def _value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "real":
        return float(value)
    if kind == "integer":
        return int(value)
    if kind == "time":
        # Python before 3.11 does not read the Z.
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    if kind == "flag":
        return bool(value)
    # Axis values may be lists or mappings.
    return value if isinstance(value, str) else json.dumps(value)


#: The integer columns that may have missing values.
_NULLABLE = {"diverged_at", "rank", "rank_high", "rank_low", "tie_group"}


def _pandas_type(name: str, kind: Kind, has_missing: bool = False) -> str:
    if kind == "integer":
        return "Int64" if has_missing or name in _NULLABLE else "int64"
    return {"real": "float64", "text": "string", "flag": "boolean", "time": "datetime64[ms, UTC]"}[kind]


def _pandas(columns: Mapping[str, list[Any]], kinds: Mapping[str, Kind]) -> Any:
    import pandas

    made = {}
    for name, values in columns.items():
        series = pandas.to_datetime(pandas.Series(values, dtype="object"), utc=True) if kinds[name] == "time" else values
        made[name] = pandas.Series(series, dtype=_pandas_type(name, kinds[name], None in values))
    return pandas.DataFrame(made, columns=list(columns))


def _polars_type(kind: Kind) -> Any:
    import polars

    if kind == "time":
        return polars.Datetime("ms", "UTC")
    return {"integer": polars.Int64, "real": polars.Float64, "text": polars.String, "flag": polars.Boolean}[kind]


def _polars(columns: Mapping[str, list[Any]], kinds: Mapping[str, Kind]) -> Any:
    import polars

    made = [polars.Series(name, values, dtype=_polars_type(kinds[name])) for name, values in columns.items()]
    return polars.DataFrame(made)


def from_csv(text: bytes, wanted: Optional[str]) -> Any:
    """The rows of a CSV file of steps, which may be large. It keeps NaN and infinity, which JSON has not."""
    chosen = library(wanted)
    header = text[: text.index(b"\n")].decode().split(",")
    # Every other column is a metric of the program's own.
    kinds: dict[str, Kind] = {name: KINDS.get(name, "real") for name in header}
    if chosen == "pandas":
        import pandas

        types: Any = {name: _pandas_type(name, kind) for name, kind in kinds.items()}
        # A schedule may be called NA.
        missing: Any = {name: ["", "NaN"] for name, kind in kinds.items() if kind == "real"}
        # Every digit counts: the default since pandas 3.1, which warns about the option.
        is_exact = tuple(map(int, pandas.__version__.split(".")[:2])) >= (3, 1)
        exact: Any = {} if is_exact else {"float_precision": "round_trip"}
        return pandas.read_csv(io.BytesIO(text), dtype=types, na_values=missing, keep_default_na=False, **exact)
    if chosen == "polars":
        import polars

        return polars.read_csv(io.BytesIO(text), schema_overrides={name: _polars_type(kind) for name, kind in kinds.items()})
    rows = csv.DictReader(io.StringIO(text.decode()))
    return [{name: _value(kind, row[name] or None) for name, kind in kinds.items()} for row in rows]
