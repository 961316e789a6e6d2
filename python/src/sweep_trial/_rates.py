"""Where the lr of a step comes from: a file, a question to `sweep`, or outside of a sweep a number or a function.

The order in which a program may ask is the business of `_trial`.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Optional, Protocol, Union

from ._checks import number
from ._facts import Facts
from ._npy import Values
from ._reporters import Asks


class Rates(Protocol):
    """The lr and the momentum of each step."""

    def lr(self, step: int, told: dict[str, float]) -> float:
        """The lr of `step`. `told` is what the program says of the step's batch."""

    def momentum(self, step: int) -> Optional[float]:
        """The momentum of `step`; None where the schedule leaves it alone."""

    def known(self, step: int) -> bool:
        """Whether the lr of `step` is at hand without a question."""

    def cycles_momentum(self) -> bool:
        """Whether the momentum is known to change."""


class Listed:
    """An open-loop schedule: all values are in files."""

    def __init__(self, facts: Facts) -> None:
        assert facts.lr is not None
        self.lrs = _read(facts, "lr")
        self.momenta = None if facts.momentum is None else _read(facts, "momentum")

    def lr(self, step: int, told: dict[str, float]) -> float:
        return self.lrs[step]

    def momentum(self, step: int) -> Optional[float]:
        return None if self.momenta is None else self.momenta[step]

    def known(self, step: int) -> bool:
        return True

    def cycles_momentum(self) -> bool:
        return self.momenta is not None


class Asked:
    """A closed-loop schedule: `sweep` is asked once for each step."""

    def __init__(self, facts: Facts, pipes: Asks) -> None:
        self._pipes = pipes
        self._momenta = None if facts.momentum is None else _read(facts, "momentum")
        self._step: Optional[int] = None
        self._lr = 0.0
        self._momentum: Optional[float] = None

    def lr(self, step: int, told: dict[str, float]) -> float:
        if self._step != step:
            self._ask(step, told)
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

    def _ask(self, step: int, told: dict[str, float]) -> None:
        line = self._pipes.ask(json.dumps({"ask": step, **told}))
        try:
            answer: dict[str, Any] = json.loads(line)
            lr, momentum = float(answer["lr"]), answer.get("momentum")
            if answer["step"] != step:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise RuntimeError(f"sweep answered the question for the lr of step {step} with {line!r}") from None
        self._step, self._lr = step, lr
        self._momentum = None if momentum is None else float(momentum)


class Computed:
    """Outside of a sweep: a constant, or a function of the step."""

    def __init__(self, lr: Union[float, Callable[[int], float]]) -> None:
        self._lr = lr

    def lr(self, step: int, told: dict[str, float]) -> float:
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
        raise ValueError(f"{path} holds {len(values)} numbers for {facts.total_steps} steps")
    return values
