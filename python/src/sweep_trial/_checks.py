"""Turns what a program hands over into plain ints and floats, or says what is wrong with it. Knows no trial."""

from __future__ import annotations

import operator
from typing import SupportsFloat, SupportsIndex, Union

#: Anything `float()` takes: Python's and numpy's numbers, and tensors of one element.
Number = Union[SupportsFloat, SupportsIndex]


def number(name: str, value: object) -> float:
    """`value` as a float. A string or a bool is no number here, though `float()` would take it."""
    if isinstance(value, (str, bytes, bytearray, bool)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    # PyTorch warns about a loss that still hangs on its graph, which does no harm here.
    detach = getattr(value, "detach", None)
    try:
        return float(detach() if callable(detach) else value)  # type: ignore[arg-type]
    # Frameworks disagree on what they raise for a tensor of several elements.
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be one number, not {type(value).__name__}: {error}") from error


def whole(name: str, value: object) -> int:
    """`value` as an int: Python's or numpy's integers, but no bool and no float."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None


def positive(name: str, value: object) -> int:
    """`value` as an int of at least 1."""
    at = whole(name, value)
    if at < 1:
        raise ValueError(f"{name} must be at least 1, not {at}")
    return at


def share(name: str, value: object) -> float:
    """`value` as a float from 0 to 1, as accuracies are. NaN is let through: it is what a program may have."""
    at = number(name, value)
    if at < 0 or at > 1:
        percent = f": {at:g} percent is {at / 100:g}" if 1 < at <= 100 else ""
        raise ValueError(f"{name} must be a share from 0 to 1, not {at:g}{percent}")
    return at


def norm(name: str, value: object) -> float:
    """`value` as a float of at least 0."""
    at = number(name, value)
    if at < 0:
        raise ValueError(f"{name} must be at least 0, not {at:g}")
    return at


def is_same_lr(used: float, planned: float) -> bool:
    """Whether both are the same lr. An optimizer may keep its own in single precision."""
    return abs(used - planned) <= 1e-6 * abs(planned) + 1.2e-38
