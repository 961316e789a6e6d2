"""A trial inside Keras' `fit`: sets the lr of each batch, reports its loss and the validation after each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import keras

if TYPE_CHECKING:
    from ._trial import Trial


class SweepCallback(keras.callbacks.Callback):
    """Pass it to `fit` with `validation_data` and more epochs than the trial needs: it stops training after the last step.

    Keras then shows the loss of the last batch instead of the mean over the epoch, because `sweep` needs the loss of each
    batch. A step is a batch, so `steps_per_execution` must be 1.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        if trial.groups:
            raise ValueError(
                f"the schedule {trial.schedule_name} has an lr for each parameter group ({', '.join(trial.groups)}), but an optimizer of Keras"
                " has one lr for all parameters: use a schedule without groups, or your own loop with trial.lr(step, group=...)"
            )
        self._trial = trial
        self._step = trial._first

    def on_train_begin(self, logs: Optional[dict[str, Any]] = None) -> None:
        if getattr(self.model, "steps_per_execution", 1) != 1:
            raise ValueError("steps_per_execution must be 1: the lr is set and the loss reported for each step")
        if self._trial._rates.cycles_momentum():
            raise ValueError("this schedule changes the momentum during training, which Keras optimizers do not support")

    def on_train_batch_begin(self, batch: int, logs: Optional[dict[str, Any]] = None) -> None:
        # With the JAX backend, reading the property synchronizes the variables, so that the lr set here takes effect.
        model = self.model
        model.optimizer.learning_rate = self._trial.lr(self._step)
        for metric in model.metrics:
            if metric.name == "loss":
                metric.reset_state()

    def on_train_batch_end(self, batch: int, logs: Optional[dict[str, Any]] = None) -> None:
        if logs is None or "loss" not in logs:
            raise RuntimeError("the model reports no loss: a custom train_step must return one")
        # Another callback may have changed the lr.
        self._trial.log(self._step, train_loss=logs["loss"], lr=self.model.optimizer.learning_rate)
        self._step += 1
        if self._step == self._trial.total_steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Optional[dict[str, Any]] = None) -> None:
        logs = logs or {}
        if "val_loss" not in logs:
            return
        accuracies = [value for name, value in logs.items() if name.startswith("val_") and name.endswith("accuracy")]
        self._trial.log(
            self._step - 1, valid_loss=logs["val_loss"], valid_accuracy=accuracies[0] if accuracies else None
        )

    def on_train_end(self, logs: Optional[dict[str, Any]] = None) -> None:
        total = self._trial.total_steps
        if self._step != total and not self._trial._stop.asked:
            raise RuntimeError(f"fit ended after {self._step} of {total} steps: pass more epochs")
        if self._step == total and "val_loss" not in (logs or {}):
            raise RuntimeError("the final validation loss is missing: pass validation_data to fit")
