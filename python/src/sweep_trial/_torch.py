"""The schedule as PyTorch wants it: an `LRScheduler`. Reports are up to the program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional, Sequence

import torch
from torch.optim.lr_scheduler import LRScheduler

from ._checks import Number

if TYPE_CHECKING:
    from ._trial import Trial

#: Where a wrapper (of Accelerate, Lightning, SAM, Opacus) keeps the optimizer that makes the update.
_INNER = ("optimizer", "base_optimizer", "original_optimizer")


class SweepLR(LRScheduler):
    """Sets the trial's lr on one or several optimizers.

    The first group of the first optimizer that the program schedules has the trial's lr. The others keep their ratio to
    it: a group's lr is the trial's, times the group's initial lr over that of the first group. A group with the same
    initial lr has exactly the trial's.

    A group that is added between two updates has the lr that it is added with, and keeps the ratio that this is to the
    first group's lr then, as under PyTorch's CosineAnnealingLR. Lrs that the program writes count in its own scale, in
    which the first group begins with the lr that its optimizer was made with. With a key `initial_lr` of its own a group
    counts as one that was there from the start.

    The lr of an open-loop schedule is set at once: for the first step when this is made, for the next one by
    `step()`. That of a closed-loop schedule is asked for at the last moment, when `optimizer.step()` begins: by then
    the steps before it must have been reported, and whether `step()` came before `log` or after it does not matter.
    Rules that decide on the batch at hand need its loss or gradient: hand them to `tell` before `optimizer.step()`.

    When a trial is resumed, this begins with the step to resume with, whatever a loaded state says.
    """

    def __init__(self, optimizers: Sequence[Any], trial: Trial) -> None:
        self._trial = trial
        self._told: dict[str, Optional[Number]] = {}
        self._groups = [_Groups(optimizer) for optimizer in optimizers]
        self._reference: SweepLR = trial._schedulers[0] if trial._schedulers else self
        # The trial's lr as it is set, and the last update: its step, and the trial's lr as the optimizer had it.
        self._lr: Optional[float] = None
        self._used: Optional[tuple[int, Optional[float]]] = None
        self._begin: int = max((scheduler.last_epoch for scheduler in trial._schedulers), default=trial._first)
        # The last step whose update was made or skipped.
        self._updated = self._begin - 1
        # The base class calls step(), which goes to the first step.
        super().__init__(optimizers[0], self._begin - 1)
        for optimizer in optimizers:
            # Also puts right what loading the optimizer's state may have overwritten.
            optimizer.register_step_pre_hook(self._before_update)
            optimizer.register_step_post_hook(self._after_update)
        trial._schedulers.append(self)

    def tell(self, *, train_loss: Optional[Number] = None, grad_norm: Optional[Number] = None) -> None:
        """Says what the batch of the coming update was like, for rules that decide on it. Others ignore it."""
        self._told = {"train_loss": train_loss, "grad_norm": grad_norm}

    def step(self, epoch: Optional[int] = None) -> None:
        """Goes on to the next step. Called once after each `optimizer.step()`.

        An update that a loss scaler skips, because a gradient is not finite, counts as made.

        Raises:
            RuntimeError: the update of this step has not been made.
        """
        if epoch is not None:
            raise ValueError("the sweep counts the steps: call step() without an epoch")
        if not self.settle(self.last_epoch):
            caller = sys._getframe(1).f_globals.get("__name__", "")
            raise RuntimeError(self._ahead(by_accelerate=caller.startswith("accelerate.")))
        self._go_to(self.last_epoch + 1)

    def get_lr(self) -> list[float]:
        """The lr of each group, as it is set now; optimizer by optimizer."""
        return [float(group["lr"]) for groups in self._groups for group in groups.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The lr of each group, as it is set now: under a closed-loop schedule the one of the last update."""
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
        """Whether this is the scheduler of just these optimizers.

        Raises:
            ValueError: it is the scheduler of only some of them.
        """
        mine = [groups.optimizer for groups in self._groups]
        shared = [optimizer for optimizer in optimizers if any(optimizer is other for other in mine)]
        if shared and not len(mine) == len(shared) == len(optimizers):
            raise ValueError("an optimizer has a scheduler already: call trial.schedule([first, second]) once for all of them")
        return bool(shared)

    def settle(self, step: int) -> bool:
        """Whether the update of `step` was made. One that a loss scaler has skipped counts as made from now on."""
        if self._updated < step and self.last_epoch == step and self._is_skipped():
            if self._trial.closed_loop:
                # The schedule decides for each step.
                self._set()
            self._updated = step
        return self._updated >= step

    def lr_used(self, step: int) -> Optional[float]:
        """The trial's lr that the optimizer had in the update of `step`, if that was the last one."""
        if self._used is None or self._used[0] != step:
            return None
        return self._used[1]

    def _go_to(self, step: int) -> None:
        self._told = {}
        self.last_epoch = step
        self._step_count = step + 1
        if not self._trial.closed_loop:
            self._set()

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        step, total = self.last_epoch, self._trial.total_steps
        if step >= total:
            raise RuntimeError(f"all {total} steps of the trial are done: this update is one more")
        furthest = max(scheduler.last_epoch for scheduler in self._trial._schedulers)
        # One step apart they may be in between: optimizers are updated one after the other.
        if self._updated == step and furthest > step + 1:
            raise RuntimeError(
                f"the scheduler of {type(optimizer).__name__} is at step {step}, and that of another optimizer at step"
                f" {furthest}: call step() of both, or make one scheduler with trial.schedule([first, second])"
            )
        self._set()

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._updated = self.last_epoch
        first = self._groups[0]
        ratio = self._ratio(first.initials[0])
        # What the optimizer has, and not what was meant: something else may have set it.
        lr = float(first.optimizer.param_groups[0]["lr"]) / ratio if ratio else None
        self._used = self._updated, lr

    def _set(self) -> None:
        # After the last step there is no next one, and the lr stays.
        if self.last_epoch >= self._trial.total_steps:
            return
        for groups in self._groups:
            groups.refresh(self._initial)
        lr = self._trial.lr(self.last_epoch, **self._told)
        momentum = self._trial.momentum(self.last_epoch)
        for groups in self._groups:
            for group, initial in groups:
                _put(group, "lr", lr * self._ratio(initial))
                if momentum is not None:
                    _put_momentum(groups.optimizer, group, momentum)
        self._lr = lr
        self._last_lr = self.get_lr()

    def _ratio(self, initial: float) -> float:
        """What a group that began with `initial` has of the trial's lr."""
        first = self._reference._groups[0].initials[0]
        if initial == first:
            return 1.0
        if first == 0:
            raise ValueError(
                "the first group begins with an lr of 0, so the others have no ratio to it: make the optimizer with"
                " lr=trial.base_lr"
            )
        return initial / first

    def _initial(self, group: dict[str, Any]) -> float:
        """The initial lr of a group that is new: its lr, or once there were updates what has come down to it by now."""
        lr = group["lr"]
        for groups in self._groups:
            for other, initial in groups:
                # Groups that take the optimizer's default share its tensor, which is set already.
                if other["lr"] is lr and isinstance(lr, torch.Tensor):
                    return initial
        if self._lr is None or self._used is None:
            return float(lr)
        if self._lr == 0:
            raise ValueError(
                f"a parameter group was added before step {self.last_epoch}, while the schedule's lr is 0, so it has no ratio"
                " to the others: give it a key `initial_lr` beside `lr`, what it would have begun with"
            )
        # Outside of a sweep a function may begin with 0; the first group's lr is then the unit.
        one = self._trial.base_lr or self._reference._groups[0].initials[0]
        return float(lr) * one / self._lr

    def _is_skipped(self) -> bool:
        """Whether a gradient is not finite: by this a loss scaler skips an update."""
        return any(not _is_finite(grad) for groups in self._groups for grad in groups.gradients())

    def _ahead(self, by_accelerate: bool) -> str:
        """Why there is no next step yet, and what to do."""
        step, total = self.last_epoch, self._trial.total_steps
        if step >= total:
            return f"all {total} steps of the trial are done: this scheduler.step() is one more"
        ahead = f"scheduler.step() is ahead of the updates: that of step {step} has not been made"
        if by_accelerate and step > self._begin:
            return (
                f"{ahead}. Accelerate steps a prepared scheduler once for each process: leave it out of accelerator.prepare(),"
                " and call scheduler.step() yourself after each update (`if accelerator.sync_gradients`)"
            )
        return (
            f"{ahead}. Call scheduler.step() once after each optimizer.step(): with gradient accumulation for each update, not"
            " for each batch; with a loss scaler before zero_grad()"
        )


class _Groups:
    """The parameter groups of an optimizer, and the lr that each began with. Knows no trial."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.initials: list[float] = []
        self.refresh(lambda group: float(group["lr"]))

    def __iter__(self) -> Iterator[tuple[dict[str, Any], float]]:
        return zip(self.optimizer.param_groups, self.initials)

    def refresh(self, initial: Callable[[dict[str, Any]], float]) -> None:
        """Takes in groups that are new, and what loading the optimizer's state has changed.

        `initial` is asked for the initial lr of a group that does not name it.
        """
        for at, group in enumerate(self.optimizer.param_groups):
            if "initial_lr" in group:
                value = float(group["initial_lr"])
            elif at < len(self.initials):
                value = self.initials[at]
            else:
                value = initial(group)
            group["initial_lr"] = value
            self.initials[at : at + 1] = [value]

    def load(self, initials: list[float]) -> None:
        """Takes the initial lrs of a state."""
        groups = self.optimizer.param_groups
        if len(initials) != len(groups):
            raise ValueError(
                f"the state has {len(initials)} parameter groups, and the optimizer {len(groups)}: add the groups before loading it"
            )
        self.initials = [float(initial) for initial in initials]
        for group, initial in zip(groups, self.initials):
            group["initial_lr"] = initial

    def gradients(self) -> Iterator[Any]:
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    yield parameter.grad


def bare(given: Any) -> list[Any]:
    """The optimizers that make the updates: `given` is one or a list of them, each as it is or in a wrapper."""
    found = [_unwrapped(optimizer) for optimizer in (given if isinstance(given, (list, tuple)) else [given])]
    if not found:
        raise ValueError("schedule() was given a list without an optimizer")
    if len({id(optimizer) for optimizer in found}) < len(found):
        raise ValueError("schedule() was given the same optimizer twice")
    return found


def _unwrapped(optimizer: Any) -> Any:
    inner = [getattr(optimizer, name, None) for name in _INNER]
    inner = [one for one in inner if isinstance(one, torch.optim.Optimizer) and one is not optimizer]
    if inner:
        return _unwrapped(inner[0])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"schedule() takes an optimizer of PyTorch or a list of them, not {type(optimizer).__name__}")
    return optimizer


def _put(group: dict[str, Any], key: str, value: float) -> None:
    """Sets a value of a group. A tensor stays the same one: compiled code and CUDA graphs look there."""
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
            f"the schedule cycles the momentum, but {type(optimizer).__name__} has neither betas nor one"
        )


def _is_finite(gradient: Any) -> bool:
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(torch.isfinite(values).all())
