"""Tables as HTML for notebooks, and as text. Rendering only; colours come from the notebook, so that dark themes work."""

from __future__ import annotations

from html import escape
from typing import Any, Mapping, Optional, Sequence

_METRICS = {
    None: "valid loss",
    "final": "valid loss",
    "best": "best valid loss",
    "valid_accuracy": "valid accuracy",
    "test_loss": "test loss",
    "accuracy": "test accuracy",
}

_HEADS = "rank|schedule|best lr|mean ± deviation|vs first|95 % interval|p adj.|seeds|diverged|steps".split("|")

#: Columns of text, which are aligned at the left.
_LEFT = {"schedule", ""}


def metric(name: Optional[str]) -> str:
    """The name of a metric as people read it."""
    if name in _METRICS:
        return _METRICS[name]
    first, *rest = (name or "").split(":")
    if first == "steps_to" and len(rest) > 1:
        return f"steps to {rest[0].replace('_', ' ') if rest[0].startswith('valid_') else rest[0]} {rest[-1]}"
    return first if rest in (["max"], ["min"]) else name or ""


def _number(value: Optional[float], signed: bool = False) -> str:
    if value is None:
        return ""
    return f"{value:+.4g}" if signed else f"{value:.4g}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    low, high = row["rank_low"], row["rank_high"]
    rank = "" if low is None else str(low) if low == high else f"{low}–{high}"
    lr = _number(row["base_lr"]) + (f" (edge: {row['edge']})" if row["edge"] else "")
    mean = "" if row["mean"] is None else _number(row["mean"])
    if row["sd"] is not None:
        mean += f" ± {row['sd']:.2g}"
    interval = "" if row["diff_low"] is None else f"{row['diff_low']:+.3g} to {row['diff_high']:+.3g}"
    diverged = str(row["diverged"]) if row["diverged"] else ""
    return [
        rank,
        row["schedule"],
        lr,
        mean,
        _number(row["diff"], signed=True),
        interval,
        _number(row["p"]),
        str(row["n"]),
        diverged,
        str(row["steps"]),
    ]


def ranking_as_text(title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """The ranking in aligned columns."""
    lines = [_HEADS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return "\n".join([title, "", *text, *([""] if notes else []), *(f"  {note}" for note in notes)])


def ranking(title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """The ranking as a table, with a picture of the intervals."""
    bounds = [row[name] for row in rows for name in ("diff", "diff_low", "diff_high") if row[name] is not None]
    low, high = min([0.0, *bounds]), max([0.0, *bounds])
    table = [(_cells(row), _interval(row, low, high)) for row in rows]
    heads = [*_HEADS[:6], "", *_HEADS[6:]]
    body = [[escape(cell) for cell in cells[:6]] + [picture] + [escape(cell) for cell in cells[6:]] for cells, picture in table]
    return _block(title, _table(heads, body) + _notes(notes))


def _interval(row: Mapping[str, Any], low: float, high: float) -> str:
    """A line from the lower to the upper bound of the difference, a dot for the difference, and a mark at 0."""
    width, height = 140, 16
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(6 + (width - 12) * (value - low) / span, 1)

    parts = [f'<line x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}" stroke="currentColor" stroke-opacity="0.3"/>']
    if row["diff_low"] is not None:
        ends = f'x1="{x(row["diff_low"])}" x2="{x(row["diff_high"])}"'
        parts.append(f'<line {ends} y1="8" y2="8" stroke="currentColor" stroke-width="2" stroke-opacity="0.6"/>')
    if row["diff"] is not None or row["rank"] == 1:
        parts.append(f'<circle cx="{x(row["diff"] or 0.0)}" cy="8" r="3.5" fill="#3b6fd4"/>')
    return f'<svg width="{width}" height="{height}" style="vertical-align: middle">{"".join(parts)}</svg>'


def comparison(sentence: str, seeds: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """A comparison: its sentence, and its seeds to open."""
    heads = list(seeds[0]) if seeds else []
    body = [[str(row["seed"]), *(_number(row[name], name == "difference") for name in heads[1:])] for row in seeds]
    opened = f"<details><summary>{len(seeds)} seeds</summary>{_table(heads, body)}</details>" if seeds else ""
    return _block(sentence, opened + _notes(notes))


def _block(title: str, content: str) -> str:
    return f'<div><p style="margin: 0.3em 0"><b>{escape(title)}</b></p>{content}</div>'


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Cells of the body are HTML."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="text-align: {"left" if head in _LEFT else "right"}; white-space: nowrap">{text}</{tag}>'
            for head, text in zip(heads, texts)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in body)
    head = f"<thead><tr>{cells('th', [escape(name) for name in heads])}</tr></thead>"
    return f'<div style="overflow-x: auto"><table class="dataframe">{head}<tbody>{rows}</tbody></table></div>'


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul style="margin: 0.3em 0; font-size: 90%">{items}</ul>' if notes else ""


def framed(page: str, height: int = 640) -> str:
    """A whole HTML page inside the notebook's page. It can't reach the notebook."""
    style = f"width: 100%; height: {height}px; box-sizing: border-box; border: 1px solid rgba(128, 128, 128, 0.4)"
    sandbox = 'sandbox="allow-scripts allow-downloads allow-popups"'
    return f'<iframe srcdoc="{escape(page, quote=True)}" {sandbox} style="{style}"></iframe>'


def progress(finished: Optional[int], all_: Optional[int], lines: Sequence[str]) -> str:
    """The progress of a sweep: a bar, if the numbers of runs are known, above lines of text."""
    bar = ""
    if all_:
        bar = f'<progress value="{finished}" max="{all_}" style="width: 100%; max-width: 40em"></progress>'
    text = escape("\n".join(lines))
    return f'<div>{bar}<pre style="margin: 0; white-space: pre-wrap">{text}</pre></div>'
