"""The schedule as PyTorch wants it: an `LRScheduler`. Reports are up to the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.optim.lr_scheduler import LRScheduler

from ._checks import Number

if TYPE_CHECKING:
    from ._trial import Trial


class SweepLR(LRScheduler):
    """Sets the trial's lr on an optimizer.

    The groups keep their ratios: a group's lr is the trial's, times the group's initial lr over that of the first
    group. Where all groups begin with the same lr, each has exactly the trial's.

    The lr of an open-loop schedule is set at once: for the first step when this is made, for the next one by
    `step()`. That of a closed-loop schedule is asked for at the last moment, when `optimizer.step()` begins: by then
    the steps before it must have been reported, and whether `step()` came before `log` or after it does not matter.
    Rules that decide on the batch at hand need its loss or gradient: hand them to `tell` before `optimizer.step()`.

    When a trial is resumed, this begins with the step to resume with, whatever a loaded state says.
    """

    def __init__(self, optimizer: Any, trial: Trial) -> None:
        self._trial = trial
        self._told: dict[str, Optional[Number]] = {}
        begins = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        if all(begin == begins[0] for begin in begins):
            self._ratios = [1.0] * len(begins)
        elif begins[0] == 0:
            raise ValueError("the first group begins with an lr of 0, so the others have no ratio to it")
        else:
            self._ratios = [begin / begins[0] for begin in begins]
        for group, begin in zip(optimizer.param_groups, begins):
            group.setdefault("initial_lr", begin)
        trial._schedulers.append(self)
        # The base class calls step(), which goes to the first step.
        super().__init__(optimizer, trial._first - 1)
        # Also puts right what loading the optimizer's state may have overwritten.
        optimizer.register_step_pre_hook(self._before_update)

    def tell(self, *, train_loss: Optional[Number] = None, grad_norm: Optional[Number] = None) -> None:
        """Says what the batch of the coming update was like, for rules that decide on it. Others ignore it."""
        self._told = {"train_loss": train_loss, "grad_norm": grad_norm}

    def step(self, epoch: Optional[int] = None) -> None:
        """Goes on to the next step. Called once after each `optimizer.step()`."""
        if epoch is not None:
            raise ValueError("the sweep counts the steps: call step() without an epoch")
        self._go_to(self.last_epoch + 1)

    def get_lr(self) -> list[float]:
        """The lr of each group, as it is set now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The lr of each group, as it is set now: under a closed-loop schedule the one of the last update."""
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "ratios": list(self._ratios)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._ratios = list(state_dict["ratios"])
        resume = self._trial.resume
        self._go_to(state_dict["last_epoch"] if resume is None else resume.step)

    def _go_to(self, step: int) -> None:
        self._told = {}
        self.last_epoch = step
        self._step_count = step + 1
        if not self._trial.closed_loop:
            self._set()

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self.last_epoch >= self._trial.total_steps:
            raise RuntimeError(f"all {self._trial.total_steps} steps of the trial are done: this update is one more")
        self._set()

    def _set(self) -> None:
        # After the last step there is no next one, and the lr stays.
        if self.last_epoch >= self._trial.total_steps:
            return
        lr = self._trial.lr(self.last_epoch, **self._told)
        momentum = self._trial.momentum(self.last_epoch)
        for group, ratio in zip(self.optimizer.param_groups, self._ratios):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr * ratio)
            else:
                group["lr"] = lr * ratio
            if momentum is None:
                continue
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum
            else:
                raise ValueError(
                    f"the schedule cycles the momentum, but {type(self.optimizer).__name__} has neither betas nor one"
                )
        self._last_lr = self.get_lr()
