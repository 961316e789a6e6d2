"""The base class of schedulers."""

from __future__ import annotations

from typing import Any

from . import Optimizer


class LRScheduler:
    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer: Any = optimizer
        self.last_epoch = last_epoch
        self.step()

    def step(self, epoch: Any = None) -> None:
        raise NotImplementedError
