"""The schedule for PyTorch: an `LRScheduler`. The program itself reports its losses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Union

import torch
from torch.optim.lr_scheduler import LRScheduler

from ._checks import Number, number

if TYPE_CHECKING:
    from ._trial import Trial

#: Attributes in which wrappers (Accelerate, Lightning, SAM, Opacus) keep the inner optimizer.
_INNER = ("optimizer", "base_optimizer", "original_optimizer")

#: Names the schedule's group of a parameter group: a mapping from its name, or a function from its optimizer's position and itself.
Naming = Union[Mapping[str, str], Callable[[int, dict[str, Any]], str]]

#: From an optimizer's position and one of its groups to the name of the group, or None if it has none.
_Namer = Callable[[int, dict[str, Any]], Any]


class SweepLR(LRScheduler):
    """Sets the trial's lr on one or several optimizers.

    The first group of the first scheduled optimizer gets the trial's lr. Every other group keeps its ratio: its lr is the
    trial's lr times the group's initial lr divided by the initial lr of the first group. A group with the same initial lr
    gets exactly the trial's lr.

    A group that is added between two updates starts with the lr it is added with, and keeps the ratio of this lr to the
    first group's lr at that time, as under PyTorch's CosineAnnealingLR. The program writes lrs in its own scale, in which
    the first group starts with the lr that its optimizer was created with. A group that has the key `initial_lr` is treated
    as if it existed from the start.

    If the schedule has parameter groups, this holds within each of them: the first group of a name gets the schedule's lr for the name,
    and further groups of the name keep their ratio to it. A group for which the sweep file has no base lr keeps its ratio to the
    first group of the schedule's first name. Each group needs a name, and each name of the schedule a group before the first update.

    Open-loop schedule: the lr is set when this scheduler is created (first step) and by `step()` (next steps).
    Closed-loop schedule: the lr is requested when `optimizer.step()` begins. All earlier steps must be reported by then;
    `step()` may be called before or after `log`. Rules that use the loss or gradient of the current batch need
    them from `tell`, called before `optimizer.step()`.

    In a resumed trial the scheduler starts at the step to resume from, and ignores the step in a loaded state.
    """

    def __init__(self, optimizers: Sequence[Any], trial: Trial, name_of: Optional[_Namer] = None) -> None:
        self._trial = trial
        self._batch: dict[str, Optional[Number]] = {}
        self._groups = [_Groups(optimizer, self._indexer(at, name_of or _name)) for at, optimizer in enumerate(optimizers)]
        # The schedulers of the trial, and this one, in the order in which they were made.
        self._earlier = list(trial._schedulers)
        # The trial's lr as set here, by the index of a group of the schedule. The last update: its step, and the lrs that the optimizer used.
        self._lrs: dict[int, float] = {}
        self._used: Optional[tuple[int, dict[int, float]]] = None
        self._begin: int = max((scheduler.last_epoch for scheduler in trial._schedulers), default=trial._first)
        # The last step whose update was made or skipped.
        self._updated = self._begin - 1
        # The base class calls step(), which moves to the first step.
        super().__init__(optimizers[0], self._begin - 1)
        for optimizer in optimizers:
            # The hook also restores the lr if loading the state of the optimizer has overwritten it.
            optimizer.register_step_pre_hook(self._before_update)
            optimizer.register_step_post_hook(self._after_update)
        trial._schedulers.append(self)

    def tell(self, *, train_loss: Optional[Number] = None, grad_norm: Optional[Number] = None) -> None:
        """Passes the metrics of the batch of the next update, for rules that use them. Other schedules ignore them."""
        self._batch = {"train_loss": train_loss, "grad_norm": grad_norm}

    def step(self, epoch: Optional[int] = None) -> None:
        """Moves to the next step. Call it once after each `optimizer.step()`.

        An update that a loss scaler skipped, because a gradient was not finite, counts as made: see `skipped`. Accelerate steps a
        prepared scheduler once for each process, and not after a skipped update: it moves once for each update.

        Raises:
            RuntimeError: the update of this step has not been made.
        """
        if epoch is not None:
            raise ValueError("sweep counts the steps: call step() without an epoch")
        if self._is_repeated(sys._getframe(1).f_globals.get("__name__", "")):
            return
        if not self.settle(self.last_epoch):
            raise RuntimeError(self._ahead())
        self._go_to(self.last_epoch + 1)

    @property
    def skipped(self) -> bool:
        """Whether the update of this step was not made. After `scaler.step(optimizer)`: whether the loss scaler skipped it.

        A loop that repeats such a step does not count it: `if scheduler.skipped: continue`, before `log` and `step()`.
        """
        return self._updated < self.last_epoch

    def get_lr(self) -> list[float]:
        """The current lr of each group, optimizer by optimizer."""
        return [float(group["lr"]) for groups in self._groups for group in groups.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The current lr of each group. Under a closed-loop schedule it is the lr of the last update."""
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        return {
            "last_epoch": self.last_epoch,
            "updated": self._updated,
            "initial_lrs": [list(groups.initials) for groups in self._groups],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for groups, initials in zip(self._groups, state_dict["initial_lrs"]):
            groups.load(initials)
        resume = self._trial.resume
        at = state_dict["last_epoch"] if resume is None else resume.step
        self._updated = state_dict["updated"] if resume is None else at - 1
        self._go_to(at)

    def sets(self, optimizers: Sequence[Any]) -> bool:
        """Whether this is the scheduler of exactly these optimizers.

        Raises:
            ValueError: this is the scheduler of only some of them.
        """
        mine = [groups.optimizer for groups in self._groups]
        shared = [optimizer for optimizer in optimizers if any(optimizer is other for other in mine)]
        if shared and not len(mine) == len(shared) == len(optimizers):
            raise ValueError("one of these optimizers already has a scheduler: call trial.schedule([first, second]) once for all of them")
        return bool(shared)

    def settle(self, step: int) -> bool:
        """Whether the update of `step` was made. From now on, an update that a loss scaler skipped counts as made."""
        if self._updated < step and self.last_epoch == step and self._is_skipped():
            if self._trial.closed_loop:
                # The schedule must decide for every step.
                self._set()
            self._updated = step
        return self._updated >= step

    def lrs_used(self, step: int) -> dict[int, float]:
        """The trial's lrs that the optimizer used in the update of `step`, by group of the schedule, if that was the last update."""
        if self._used is None or self._used[0] != step:
            return {}
        return self._used[1]

    def _go_to(self, step: int) -> None:
        self._batch = {}
        self.last_epoch = step
        self._step_count = step + 1
        if not self._trial.closed_loop:
            self._set()

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        step, total = self.last_epoch, self._trial.total_steps
        if step >= total:
            raise RuntimeError(f"all {total} steps of the trial are done: this optimizer.step() is one too many")
        furthest = max(scheduler.last_epoch for scheduler in self._trial._schedulers)
        # A difference of one step is normal, because optimizers are updated one after the other.
        if self._updated == step and furthest > step + 1:
            raise RuntimeError(
                f"the scheduler of {type(optimizer).__name__} is at step {step}, but the scheduler of another optimizer is at step"
                f" {furthest}: call step() of both, or create one scheduler with trial.schedule([first, second])"
            )
        if self._used is None:
            self._need_all_groups()
        self._set()

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._updated = self.last_epoch
        used: dict[int, float] = {}
        for groups in self._groups:
            for group, initial, index in groups:
                ratio = self._ratio(index, initial) if index not in used else 0.0
                if ratio:
                    # Read from the optimizer, because other code may have changed the lr.
                    used[index] = float(group["lr"]) / ratio
        self._used = self._updated, used

    def _set(self) -> None:
        # After the last step the lr stays.
        if self.last_epoch >= self._trial.total_steps:
            return
        for groups in self._groups:
            groups.refresh(self._initial)
        if self._trial.groups:
            _separate(self._groups)
        trial, batch = self._trial, {name: number(name, value) for name, value in self._batch.items() if value is not None}
        with trial._lock:
            at = trial._may_ask(self.last_epoch)
            indices = {index for groups in self._groups for index in groups.indices}
            self._lrs = {index: trial._group_lr(at, index, batch) for index in sorted(indices)}
            momenta = {index: trial._group_momentum(at, index) for index in indices}
        for groups in self._groups:
            for group, initial, index in groups:
                _put(group, "lr", self._lrs[index] * self._ratio(index, initial))
                momentum = momenta[index]
                if momentum is not None:
                    _put_momentum(groups.optimizer, group, momentum)
        self._last_lr = self.get_lr()

    def _ratio(self, index: int, initial: float) -> float:
        """The factor on the schedule's lr for a group with the initial lr `initial`, in the group `index` of the schedule."""
        first = self._first(0 if self._trial._keeps_ratio(index) else index)
        if initial == first:
            return 1.0
        if first == 0:
            raise ValueError(
                "the initial lr of the first group is 0, so the other groups have no ratio to it: create the optimizer with"
                " lr=trial.base_lr"
            )
        return initial / first

    def _first(self, index: int) -> float:
        """The initial lr of the first group of all optimizers that belongs to the group `index` of the schedule."""
        for scheduler in (*self._earlier, self):
            for groups in scheduler._groups:
                if index in groups.indices:
                    return groups.initials[groups.indices.index(index)]
        name = self._trial._groups[index].name
        raise ValueError(
            f"the sweep file has no lr for some groups, which keep their ratio to the group {name}, but no optimizer so far has parameters of"
            f" {name}: pass all optimizers to trial.schedule at once, or that of {name} first"
        )

    def _indexer(self, position: int, name_of: _Namer) -> Callable[[dict[str, Any]], int]:
        """From a group of the optimizer at `position` to the index of its group in the schedule."""

        def index(group: dict[str, Any]) -> int:
            known = self._trial._groups
            if not known:
                return 0
            given = name_of(position, group)
            if given is None:
                raise ValueError(
                    f"the schedule {self._trial.schedule_name} has an lr for each parameter group ({known.listed()}), but a parameter group of"
                    f" optimizer {position} has no name: give it the key `name`, or pass trial.schedule a dict of optimizers or groups=..."
                )
            return known.at(given, f"a parameter group of optimizer {position}")

        return index

    def _need_all_groups(self) -> None:
        """Refuses an update while no optimizer, and no read of an lr, belongs to a group of the schedule."""
        trial = self._trial
        found = {index for scheduler in trial._schedulers for groups in scheduler._groups for index in groups.indices} | trial._lrs_read
        names = [trial._groups[index].name for index in sorted(found)] if trial._groups else []
        missing = trial._groups.missing(names)
        if missing:
            raise ValueError(
                f"no parameter group belongs to {', '.join(missing)} of the schedule {trial.schedule_name}; the optimizers have:"
                f" {', '.join(names)}. Pass all optimizers to trial.schedule before the first update"
            )

    def _initial(self, group: dict[str, Any], index: int) -> float:
        """The initial lr of a new group: its lr, after the first update scaled back by the schedule."""
        lr = group["lr"]
        for groups in self._groups:
            for other, initial, _ in groups:
                # Groups with the default lr share the optimizer's tensor, which is already set.
                if other["lr"] is lr and isinstance(lr, torch.Tensor):
                    return initial
        if self._used is None:
            return float(lr)
        now = next((scheduler._lrs[index] for scheduler in (self, *self._trial._schedulers) if index in scheduler._lrs), None)
        if now is None:
            # The first group of its name.
            return float(lr)
        if now == 0:
            raise ValueError(
                f"a parameter group was added before step {self.last_epoch}, while the schedule's lr is 0, so it has no ratio"
                " to the other groups: add the key `initial_lr` to it, the lr that it would have had at the start"
            )
        # Outside of a sweep the lr function may start at 0. The initial lr of the first group is then the unit.
        trial = self._trial
        base = trial._groups[index].base_lr if trial._groups else trial.base_lr
        one = base or self._first(index)
        return float(lr) * one / now

    def _is_skipped(self) -> bool:
        """Whether a gradient is not finite, the condition under which a loss scaler skips an update."""
        return any(not _is_finite(grad) for groups in self._groups for grad in groups.gradients())

    def _is_repeated(self, caller: str) -> bool:
        """Whether Accelerate calls `step()` again for an update after which it already moved."""
        return caller.startswith("accelerate.") and self._begin <= self._updated < self.last_epoch

    def _ahead(self) -> str:
        """The error of a `step()` that came too early."""
        step, total = self.last_epoch, self._trial.total_steps
        if step >= total:
            return f"all {total} steps of the trial are done: this scheduler.step() is one too many"
        return (
            f"scheduler.step() is ahead of the updates: the update of step {step} has not been made. Call scheduler.step() once"
            " after each optimizer.step(): with gradient accumulation once for each update, not for each batch; with a loss scaler"
            " before zero_grad()"
        )


class _Groups:
    """The parameter groups of an optimizer, their initial lrs, and their groups in the schedule. Independent of the trial."""

    def __init__(self, optimizer: Any, index_of: Callable[[dict[str, Any]], int]) -> None:
        self.optimizer = optimizer
        self.initials: list[float] = []
        #: The index of each group's group in the schedule.
        self.indices: list[int] = []
        self._index_of = index_of
        self.refresh(lambda group, index: float(group["lr"]))

    def __iter__(self) -> Iterator[tuple[dict[str, Any], float, int]]:
        return zip(self.optimizer.param_groups, self.initials, self.indices)

    def refresh(self, initial: Callable[[dict[str, Any], int], float]) -> None:
        """Adds new groups, and takes over changes that loading the state of the optimizer made.

        `initial` computes the initial lr of a group without the key `initial_lr`.
        """
        added = [self._index_of(group) for group in self.optimizer.param_groups[len(self.indices) :]]
        indices = self.indices + added
        for at, group in enumerate(self.optimizer.param_groups):
            if "initial_lr" in group:
                value = float(group["initial_lr"])
            elif at < len(self.initials):
                value = self.initials[at]
            else:
                value = initial(group, indices[at])
            group["initial_lr"] = value
            self.initials[at : at + 1] = [value]
        self.indices = indices

    def load(self, initials: list[float]) -> None:
        """Sets the initial lrs from a loaded state."""
        groups = self.optimizer.param_groups
        if len(initials) != len(groups):
            raise ValueError(
                f"the state has {len(initials)} parameter groups, but the optimizer {len(groups)}: add the groups before loading the state"
            )
        self.initials = [float(initial) for initial in initials]
        for group, initial in zip(groups, self.initials):
            group["initial_lr"] = initial

    def gradients(self) -> Iterator[Any]:
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    yield parameter.grad


def bare(given: Any) -> tuple[list[Any], list[Optional[str]]]:
    """The inner optimizers, and their names if they are in a dict.

    `given` is one optimizer, a list of them, or a dict of optimizers or lists; each may be in a wrapper.
    """
    named: list[tuple[Optional[str], Any]] = list(given.items()) if isinstance(given, Mapping) else [(None, given)]
    found, names = [], []
    for name, some in named:
        for optimizer in some if isinstance(some, (list, tuple)) else [some]:
            found.append(_unwrapped(optimizer))
            names.append(name)
    if not found:
        raise ValueError("schedule() received an empty list of optimizers")
    if len({id(optimizer) for optimizer in found}) < len(found):
        raise ValueError("schedule() received the same optimizer twice")
    return found, names


def naming(keys: Sequence[Optional[str]], groups: Optional[Naming]) -> _Namer:
    """The names of parameter groups, from the keys of a dict of optimizers, the groups themselves, and the argument `groups`."""
    if groups is not None and not isinstance(groups, Mapping):
        if not callable(groups):
            raise TypeError(f"groups must be a mapping or a function of an optimizer's position and a parameter group, not {groups!r}")
        return groups

    def name(position: int, group: dict[str, Any]) -> Any:
        given = keys[position] if keys[position] is not None else _name(position, group)
        return given if groups is None or given is None else groups.get(given, given)

    return name


def _name(position: int, group: dict[str, Any]) -> Any:
    return group.get("name")


def _separate(optimizers: Sequence[_Groups]) -> None:
    """Gives groups with different schedules their own lr and beta if they share a tensor: it is changed in place."""
    owners: dict[int, int] = {}
    for groups in optimizers:
        for group, _, index in groups:
            if isinstance(group["lr"], torch.Tensor) and owners.setdefault(id(group["lr"]), index) != index:
                group["lr"] = group["lr"].clone()
            first, *rest = group.get("betas", (None,))
            if isinstance(first, torch.Tensor) and owners.setdefault(id(first), index) != index:
                group["betas"] = (first.clone(), *rest)


def _unwrapped(optimizer: Any) -> Any:
    inner = [getattr(optimizer, name, None) for name in _INNER]
    inner = [one for one in inner if isinstance(one, torch.optim.Optimizer) and one is not optimizer]
    if inner:
        return _unwrapped(inner[0])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"schedule() expects a PyTorch optimizer or a list of them, not {type(optimizer).__name__}")
    return optimizer


def _put(group: dict[str, Any], key: str, value: float) -> None:
    """Sets a value of a group. A tensor is changed in place, because compiled code and CUDA graphs refer to it."""
    if isinstance(group[key], torch.Tensor):
        group[key].fill_(value)
    else:
        group[key] = value


def _put_momentum(optimizer: Any, group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        first, *rest = group["betas"]
        if isinstance(first, torch.Tensor):
            first.fill_(momentum)
        else:
            group["betas"] = (momentum, *rest)
    elif "momentum" in group:
        _put(group, "momentum", momentum)
    else:
        raise ValueError(
            f"the schedule sets the momentum, but {type(optimizer).__name__} has neither `betas` nor `momentum`"
        )


def _is_finite(gradient: Any) -> bool:
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(torch.isfinite(values).all())
