"""The sources of a step's lr: a file, a request to `sweep`, or outside of a sweep a number or a function.

`_trial` checks the order of the steps.
"""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Optional, Protocol, Union

from ._checks import number
from ._facts import Facts
from ._npy import Values
from ._ranks import Ranks
from ._reporters import Asks


class Rates(Protocol):
    """The lr and the momentum of each step."""

    def lr(self, step: int, batch: dict[str, float]) -> float:
        """The lr of `step`. `batch` holds the metrics of the step's batch that the program passed."""

    def momentum(self, step: int) -> Optional[float]:
        """The momentum of `step`, or None if the schedule does not set it."""

    def known(self, step: int) -> bool:
        """Whether the lr of `step` is available without a request."""

    def cycles_momentum(self) -> bool:
        """Whether the schedule is known to set the momentum."""


class Listed:
    """An open-loop schedule: all values are in files."""

    def __init__(self, facts: Facts) -> None:
        assert facts.lr is not None
        self.lrs = _read(facts, "lr")
        self.momenta = None if facts.momentum is None else _read(facts, "momentum")

    def lr(self, step: int, batch: dict[str, float]) -> float:
        return self.lrs[step]

    def momentum(self, step: int) -> Optional[float]:
        return None if self.momenta is None else self.momenta[step]

    def known(self, step: int) -> bool:
        return True

    def cycles_momentum(self) -> bool:
        return self.momenta is not None


class Asked:
    """A closed-loop schedule: requests the lr from `sweep` once for each step. If there are several processes, rank 0 requests it, and
    the others receive it.
    """

    def __init__(self, facts: Facts, pipes: Asks, ranks: Ranks) -> None:
        self._pipes = pipes
        self._ranks = ranks
        self._momenta = None if facts.momentum is None else _read(facts, "momentum")
        self._step: Optional[int] = None
        self._lr = 0.0
        self._momentum: Optional[float] = None

    def lr(self, step: int, batch: dict[str, float]) -> float:
        if self._step != step:
            self._ask(step, batch)
        return self._lr

    def momentum(self, step: int) -> Optional[float]:
        if self._momenta is not None:
            return self._momenta[step]
        if self._step != step:
            self._ask(step, {})
        return self._momentum

    def known(self, step: int) -> bool:
        return self._step == step

    def cycles_momentum(self) -> bool:
        return self._momenta is not None or self._momentum is not None

    def _ask(self, step: int, batch: dict[str, float]) -> None:
        # A NaN is sent where there is no momentum.
        values = self._request(step, batch) if self._ranks.is_first else [math.nan] * 3
        at, lr, momentum = self._ranks.from_first(values)
        if at != step:
            raise RuntimeError(
                f"this process trains step {step}, but rank 0 step {at:.0f}: every process must make every update, and"
                " read trial.stop_requested as often as rank 0"
            )
        self._step, self._lr = step, lr
        self._momentum = None if math.isnan(momentum) else momentum

    def _request(self, step: int, batch: dict[str, float]) -> list[float]:
        """The step, its lr, and its momentum or NaN."""
        line = self._pipes.ask(json.dumps({"ask": step, **batch}))
        try:
            answer: dict[str, Any] = json.loads(line)
            lr, momentum = float(answer["lr"]), answer.get("momentum")
            if answer["step"] != step:
                raise ValueError
            return [step, lr, math.nan if momentum is None else float(momentum)]
        except (ValueError, KeyError, TypeError):
            raise RuntimeError(f"sweep sent an invalid answer to the request for the lr of step {step}: {line!r}") from None


class Computed:
    """Outside of a sweep: a constant, or a function of the step."""

    def __init__(self, lr: Union[float, Callable[[int], float]]) -> None:
        self._lr = lr

    def lr(self, step: int, batch: dict[str, float]) -> float:
        return number("lr", self._lr(step) if callable(self._lr) else self._lr)

    def momentum(self, step: int) -> Optional[float]:
        return None

    def known(self, step: int) -> bool:
        return True

    def cycles_momentum(self) -> bool:
        return False


def _read(facts: Facts, name: str) -> Values:
    path = facts.lr if name == "lr" else facts.momentum
    assert path is not None
    values = Values(path)
    if len(values) != facts.total_steps:
        raise ValueError(f"{path} holds {len(values)} numbers, expected {facts.total_steps}: one for each step")
    return values
