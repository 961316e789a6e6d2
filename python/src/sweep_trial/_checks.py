"""Converts values from the program to plain ints and floats, or raises an error that names the problem. Independent of trials."""

from __future__ import annotations

import operator
from typing import SupportsFloat, SupportsIndex, Union

#: Anything `float()` takes: Python's and numpy's numbers, and tensors of one element.
Number = Union[SupportsFloat, SupportsIndex]


def number(name: str, value: object) -> float:
    """`value` as a float. Strings and bools are refused, although `float()` accepts them."""
    if isinstance(value, (str, bytes, bytearray, bool)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    # PyTorch warns when a tensor with a graph becomes a float; that is harmless here.
    detach = getattr(value, "detach", None)
    try:
        return float(detach() if callable(detach) else value)  # type: ignore[arg-type]
    # Frameworks raise different errors for a tensor with several elements.
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be one number, not {type(value).__name__}: {error}") from error


def whole(name: str, value: object) -> int:
    """`value` as an int. Accepts integers of Python and numpy; refuses bools and floats."""
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
    """`value` as a float from 0 to 1, for accuracies. NaN is accepted: a diverged program may report it."""
    at = number(name, value)
    if at < 0 or at > 1:
        percent = f": {at:g} percent is {at / 100:g}" if 1 < at <= 100 else ""
        raise ValueError(f"{name} must be between 0 and 1, not {at:g}{percent}")
    return at


def norm(name: str, value: object) -> float:
    """`value` as a float of at least 0."""
    at = number(name, value)
    if at < 0:
        raise ValueError(f"{name} must be at least 0, not {at:g}")
    return at


def is_same_lr(used: float, planned: float) -> bool:
    """Whether both are the same lr up to single precision, which an optimizer may store it in."""
    return abs(used - planned) <= 1e-6 * abs(planned) + 1.2e-38
