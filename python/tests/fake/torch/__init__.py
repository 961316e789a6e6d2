"""The part of PyTorch that a scheduler uses, with one number per tensor, for tests without torch.

Written from torch's documentation. test_scheduler.py runs each of its tests with this package, and also with torch if it is
installed, so both are compared.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Optional


class Tensor:
    is_sparse = False

    def __init__(self, value: float) -> None:
        self.value = float(value)
        self.grad: Optional[Tensor] = None

    def __float__(self) -> float:
        return self.value

    def fill_(self, value: float) -> Tensor:
        self.value = float(value)
        return self

    def clone(self) -> Tensor:
        return Tensor(self.value)

    def all(self) -> bool:
        return bool(self.value)


class Vector:
    """Several numbers, which a process group can send."""

    def __init__(self, values: list[float]) -> None:
        self.values = [float(value) for value in values]

    def tolist(self) -> list[float]:
        return self.values


def tensor(value: Any, dtype: object = None, device: object = None) -> Any:
    return Vector(value) if isinstance(value, list) else Tensor(value)


def isfinite(values: Tensor) -> Tensor:
    return Tensor(math.isfinite(values.value))


float64 = "float64"
nn: Any = SimpleNamespace(Parameter=lambda data: Tensor(float(data)))

from . import optim as optim  # noqa: E402
