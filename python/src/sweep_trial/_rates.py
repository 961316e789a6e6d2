"""The sources of a step's lr: a file, a request to `sweep`, or outside of a sweep a number or a function.

`_trial` checks the order of the steps.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Protocol, Union

from ._checks import number
from ._facts import Facts
from ._groups import Group
from ._npy import Values
from ._ranks import Ranks
from ._reporters import Asks


#: An lr outside of a sweep: a number, or a function of the step.
Lr = Union[float, Callable[[int], float]]


class Rates(Protocol):
    """The lr and the momentum of each step. `group` is the index of a parameter group of the schedule, 0 if it has none."""

    def lr(self, step: int, batch: dict[str, float], group: int = 0) -> float:
        """The lr of `step`. `batch` holds the metrics of the step's batch that the program passed."""

    def momentum(self, step: int, group: int = 0) -> Optional[float]:
        """The momentum of `step`, or None if the schedule does not set it."""

    def known(self, step: int) -> bool:
        """Whether the lr of `step` is available without a request."""

    def cycles_momentum(self, group: Optional[int] = None) -> bool:
        """Whether the schedule is known to set the momentum: of the group, or of any."""


class Listed:
    """An open-loop schedule: all values are in files."""

    def __init__(self, facts: Facts) -> None:
        groups = _groups(facts)
        self._lrs = [_read(group.lr, facts.total_steps) for group in groups if group.lr is not None]
        self._momenta = [_momenta(group, facts) for group in groups]

    def lr(self, step: int, batch: dict[str, float], group: int = 0) -> float:
        return self._lrs[group][step]

    def momentum(self, step: int, group: int = 0) -> Optional[float]:
        momenta = self._momenta[group]
        return None if momenta is None else momenta[step]

    def known(self, step: int) -> bool:
        return True

    def cycles_momentum(self, group: Optional[int] = None) -> bool:
        momenta = self._momenta if group is None else [self._momenta[group]]
        return any(values is not None for values in momenta)


class Asked:
    """A closed-loop schedule: requests the lr from `sweep` once for each step. If there are several processes, rank 0 requests it, and
    the others receive it.
    """

    def __init__(self, facts: Facts, pipes: Asks, ranks: Ranks) -> None:
        self._pipes = pipes
        self._ranks = ranks
        self._names = [group.name for group in facts.groups]
        self._momenta = [_momenta(group, facts) for group in _groups(facts)]
        self._step: Optional[int] = None
        # The last answer, for each group.
        self._lr = [0.0] * len(self._momenta)
        self._momentum: list[Optional[float]] = [None] * len(self._momenta)

    def lr(self, step: int, batch: dict[str, float], group: int = 0) -> float:
        if self._step != step:
            self._ask(step, batch)
        return self._lr[group]

    def momentum(self, step: int, group: int = 0) -> Optional[float]:
        momenta = self._momenta[group]
        if momenta is not None:
            return momenta[step]
        if self._step != step:
            self._ask(step, {})
        return self._momentum[group]

    def known(self, step: int) -> bool:
        return self._step == step

    def cycles_momentum(self, group: Optional[int] = None) -> bool:
        groups = range(len(self._momenta)) if group is None else [group]
        return any(self._momenta[at] is not None or self._momentum[at] is not None for at in groups)

    def _ask(self, step: int, batch: dict[str, float]) -> None:
        # A NaN is sent where there is no momentum.
        values = self._request(step, batch) if self._ranks.is_first else [math.nan] * (1 + 2 * len(self._lr))
        at, *pairs = self._ranks.from_first(values)
        if at != step:
            raise RuntimeError(
                f"this process trains step {step}, but rank 0 step {at:.0f}: every process must make every update, and"
                " read trial.stop_requested as often as rank 0"
            )
        self._step, self._lr = step, pairs[::2]
        self._momentum = [None if math.isnan(momentum) else momentum for momentum in pairs[1::2]]

    def _request(self, step: int, batch: dict[str, float]) -> list[float]:
        """The step, and for each group its lr and its momentum or NaN."""
        line = self._pipes.ask(json.dumps({"ask": step, **batch}))
        try:
            answer: dict[str, Any] = json.loads(line)
            if answer["step"] != step:
                raise ValueError
            values: list[float] = [step]
            for one in [answer["groups"][name] for name in self._names] or [answer]:
                momentum = one.get("momentum")
                values += [float(one["lr"]), math.nan if momentum is None else float(momentum)]
            return values
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RuntimeError(f"sweep sent an invalid answer to the request for the lr of step {step}: {line!r}") from None


class Computed:
    """Outside of a sweep: a constant or a function of the step, or one for each parameter group."""

    def __init__(self, lr: Union[Lr, Mapping[str, Lr]]) -> None:
        self._lrs: list[Lr] = list(lr.values()) if isinstance(lr, Mapping) else [lr]
        if not self._lrs:
            raise ValueError("lr has no parameter group: give a number or a function for each of them")

    def lr(self, step: int, batch: dict[str, float], group: int = 0) -> float:
        lr = self._lrs[group]
        return number("lr", lr(step) if callable(lr) else lr)

    def momentum(self, step: int, group: int = 0) -> Optional[float]:
        return None

    def known(self, step: int) -> bool:
        return True

    def cycles_momentum(self, group: Optional[int] = None) -> bool:
        return False


def _groups(facts: Facts) -> tuple[Group, ...]:
    """The groups of the schedule; if it has none, one for all parameters."""
    return facts.groups or (Group("", facts.base_lr, lr=facts.lr, momentum=facts.momentum),)


def _momenta(group: Group, facts: Facts) -> Optional[Values]:
    return None if group.momentum is None else _read(group.momentum, facts.total_steps)


def _read(path: Path, total_steps: int) -> Values:
    values = Values(path)
    if len(values) != total_steps:
        raise ValueError(f"{path} holds {len(values)} numbers, expected {total_steps}: one for each step")
    return values
