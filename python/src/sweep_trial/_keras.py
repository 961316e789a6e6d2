"""A trial inside Keras' `fit`: the lr of each batch, its loss, the validation at the end of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import keras

if TYPE_CHECKING:
    from ._trial import Trial


class SweepCallback(keras.callbacks.Callback):
    """Give it to `fit` along with `validation_data` and more epochs than the trial needs: it stops after the last step.

    The loss that Keras shows is then that of the last batch, and no longer the mean of the epoch: the mean does not
    tell what single batches were like. A step is a batch, so `steps_per_execution` must be 1.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._trial = trial
        self._step = trial._first

    def on_train_begin(self, logs: Optional[dict[str, Any]] = None) -> None:
        if getattr(self.model, "steps_per_execution", 1) != 1:
            raise ValueError("steps_per_execution must be 1: the lr is set and the loss reported for each step")
        if self._trial._rates.cycles_momentum():
            raise ValueError("Keras can't change the momentum of an optimizer while it trains, as this schedule does")

    def on_train_batch_begin(self, batch: int, logs: Optional[dict[str, Any]] = None) -> None:
        # The property puts the variables of Keras on JAX in order each time, so that what is set here counts.
        model = self.model
        model.optimizer.learning_rate = self._trial.lr(self._step)
        for metric in model.metrics:
            if metric.name == "loss":
                metric.reset_state()

    def on_train_batch_end(self, batch: int, logs: Optional[dict[str, Any]] = None) -> None:
        if logs is None or "loss" not in logs:
            raise RuntimeError("the model reports no loss: a train_step of its own must return one")
        # Another callback may have set an lr of its own.
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
            raise RuntimeError(f"fit ended after {self._step} of {total} steps: give it more epochs")
        if self._step == total and "val_loss" not in (logs or {}):
            raise RuntimeError("there is no final validation loss: give validation_data to fit")
