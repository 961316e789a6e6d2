"""The schedule and all reports for Lightning, in one callback. The `LightningModule` stays as it is.

Tested with `lightning` 2.6; `pytorch_lightning` has the same classes under another name.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Optional

import torch

if TYPE_CHECKING:
    from ._torch import Naming, SweepLR
    from ._trial import Trial

#: A script that has imported only the older name uses its Trainer.
_NAME = "pytorch_lightning" if "pytorch_lightning" in sys.modules else "lightning.pytorch"
Callback: Any = importlib.import_module(_NAME).Callback

#: More batches than any run has: no validation is due.
_NEVER = sys.maxsize


class SweepCallback(Callback):
    """Sets the lr of all optimizers before each update, and reports losses and checkpoints.

    An update may use several batches (`accumulate_grad_batches`, several processes); its loss is their mean. Under manual optimization an update
    is a `training_step` in which optimizers step. The callback makes `Trainer` validate when a validation loss is due, and stops
    it after the last step.
    """

    def __init__(self, trial: Trial, valid_loss: str, valid_accuracy: Optional[str], groups: Optional[Naming] = None) -> None:
        super().__init__()
        self._trial = trial
        self._names = {"valid_loss": valid_loss, "valid_accuracy": valid_accuracy}
        self._groups = groups
        self._scheduler: Optional[SweepLR] = None
        self._losses: list[float] = []
        self._has_updated = False
        self._evaluated = -1
        self._is_stopping = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.lr_scheduler_configs:
            raise ValueError("configure_optimizers() must return no lr scheduler: the callback sets the lr of every step")
        if not trainer.enable_validation:
            raise ValueError("the ranking compares validation losses: give Trainer.fit validation data, and the module a validation_step")
        self._scheduler = self._trial.schedule(list(trainer.optimizers), groups=self._groups)
        done, first = self._updates(trainer), self._step
        if done != first:
            raise ValueError(
                f"Trainer starts at step {done}, but the trial at step {first}: pass trial.resume to fit,"
                " `ckpt_path=trial.resume and str(trial.resume.path)`"
            )
        self._trial._stop.take_over()
        trainer.check_val_every_n_epoch = None
        trainer.val_check_batch = _NEVER

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._has_updated = True

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._losses.append(float(loss))
        trainer.val_check_batch = _NEVER
        if not self._has_updated:
            return
        self._has_updated = False
        self._report_update(trainer, pl_module)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        step = self._step - 1
        if trainer.sanity_checking or self._is_stopping or self._scheduler is None or step < 0 or self._evaluated == step:
            return
        self._evaluated = step
        found: dict[str, float] = {}
        for metric, name in self._names.items():
            if name is None:
                continue
            if name not in trainer.callback_metrics:
                logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
                raise ValueError(f"the module logged no {name!r} in validation (it logged {logged}): name it with {metric}=...")
            found[metric] = float(trainer.callback_metrics[name])
        self._trial.log(step, valid_loss=found["valid_loss"], valid_accuracy=found.get("valid_accuracy"))
        if self._trial.needs_checkpoint(step):
            self._save(trainer, step)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        total = self._trial.total_steps
        if self._is_stopping:
            return
        if self._step < total:
            raise ValueError(f"Trainer ended after {self._step} of {total} steps: use max_epochs=-1, and no max_steps")
        if self._evaluated < total - 1:
            raise ValueError(f"the final validation loss is missing: Trainer did not validate after step {total - 1}")

    def _report_update(self, trainer: Any, pl_module: Any) -> None:
        """Reports the update that was made, moves on, and says what `Trainer` does next."""
        trial, step = self._trial, self._step
        losses, self._losses = self._losses, []
        if not losses:
            raise ValueError("training_step() returned no loss: return it, also under manual optimization")
        # Lightning has divided the losses of automatic optimization by the number of batches.
        count = 1 if pl_module.automatic_optimization else len(losses)
        loss = sum(losses) / count
        if trainer.world_size > 1:
            # An update uses the batches of all processes.
            loss = trainer.strategy.reduce(torch.tensor(loss, device=pl_module.device), reduce_op="mean")
        trial.log(step, train_loss=loss)
        assert self._scheduler is not None
        self._scheduler.step()
        if step == trial.total_steps - 1:
            # Lightning validates before it stops.
            trainer.should_stop = True
            trainer.val_check_batch = 1
        elif trial.stop_requested:
            self._stop(trainer, step)
        elif trial.evaluates(step):
            trainer.val_check_batch = 1
        elif trial.needs_checkpoint(step):
            self._save(trainer, step)

    def _stop(self, trainer: Any, step: int) -> None:
        """Writes a checkpoint and ends `fit`."""
        self._is_stopping = True
        self._save(trainer, step)
        trainer.should_stop = True

    def _save(self, trainer: Any, step: int) -> None:
        """Writes a checkpoint and reports it."""
        path = self._trial.checkpoints / f"step-{step}.ckpt"
        trainer.save_checkpoint(path)
        self._trial.checkpoint(step, path)

    @property
    def _step(self) -> int:
        """The step of the next update."""
        return 0 if self._scheduler is None else self._scheduler.last_epoch

    @staticmethod
    def _updates(trainer: Any) -> int:
        """The updates that `Trainer` has counted, in which every optimizer stepped."""
        count: int = trainer.global_step // max(1, len(trainer.optimizers))
        return count
