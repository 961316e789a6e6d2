"""As much of PyTorch as a scheduler touches, with one number for each tensor: for tests where torch is not installed.

Written from torch's documentation. What it does is compared with torch itself wherever that is installed: test_scheduler.py
runs each of its tests with both.
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

    def all(self) -> bool:
        return bool(self.value)


def tensor(value: float, dtype: object = None) -> Tensor:
    return Tensor(value)


def isfinite(values: Tensor) -> Tensor:
    return Tensor(math.isfinite(values.value))


float64 = "float64"
nn: Any = SimpleNamespace(Parameter=lambda data: Tensor(float(data)))

from . import optim as optim  # noqa: E402
