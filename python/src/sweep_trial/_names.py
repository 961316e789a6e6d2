"""The names of metrics that a program may report in addition to losses and accuracies. `sweep` checks the same rules."""

from __future__ import annotations

import difflib
import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,63}")

#: The metrics that `Trial.log` knows.
KNOWN = (
    "train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "grad_norm", "weights_hash", "step", "lr", "checkpoint",
)  # fmt: skip

_ACCURACIES = "valid_accuracy or test_accuracy"

#: Names that could mean several metrics, or that `sweep` uses, with what to write instead.
_AMBIGUOUS = {
    "loss": "train_loss or valid_loss",
    "train": "train_loss",
    "valid": "valid_loss or valid_accuracy",
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    **dict.fromkeys(("final", "best", "tail", "steps_to", "ask", "loaded"), "another name"),
}


def check(name: str) -> None:
    """Raises ValueError if `name` can't be the name of a metric of the program's own."""
    if name in _AMBIGUOUS:
        raise ValueError(f"the metric {name!r} is ambiguous: write {_AMBIGUOUS[name]}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} can't be the name of a metric: names have at most 64 letters, digits and _ - . /, and begin with a letter"
        )
    begun = [known for known in KNOWN if len(name) >= 4 and known.startswith(name)]
    near = begun or difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=0.85)
    if near:
        raise ValueError(f"unknown metric {name!r}: did you mean {near[0]!r}?")
