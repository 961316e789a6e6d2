"""A trial inside the `Trainer` of transformers: reports losses, evaluations and checkpoints. `_torch` sets the lr."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import transformers

if TYPE_CHECKING:
    from ._trial import Trial


class SweepCallback(transformers.TrainerCallback):
    """Reports each step, evaluates when an evaluation is due, and saves and stops when `sweep` requests it.

    `Trainer` must run the trial's number of steps (`max_steps`) and must not hide a diverged loss
    (`logging_nan_inf_filter=False`). transformers before version 5 rounds the losses to four digits.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._training = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trial = self._trial
        if state.max_steps != trial.total_steps:
            raise ValueError(
                f"Trainer would run {state.max_steps} steps, but the trial has {trial.total_steps}:"
                " pass max_steps=trial.total_steps to TrainingArguments"
            )
        if state.global_step != trial._first:
            raise ValueError(
                f"Trainer starts at step {state.global_step}, but the trial at step {trial._first}:"
                " call train(resume_from_checkpoint=trial.resume and str(trial.resume.path))"
            )
        if args.logging_nan_inf_filter:
            raise ValueError("Trainer hides losses that are NaN or infinite: pass logging_nan_inf_filter=False")
        # When the loss scaler skips an update, Trainer counts a step but does not step the scheduler.
        if args.fp16:
            raise ValueError("with fp16 the scheduler may fall behind the steps: use bf16 or full precision")
        self._training = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_log = True
        if self._trial.evaluates(state.global_step - 1):
            control.should_evaluate = True
        if self._trial.needs_checkpoint(state.global_step - 1):
            control.should_save = True
        if self._trial.stop_requested:
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        if self._reports(state) and "loss" in logs:
            self._trial.log(state.global_step - 1, train_loss=logs["loss"], grad_norm=logs.get("grad_norm"))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        metrics = kwargs.get("metrics") or {}
        if self._reports(state) and "eval_loss" in metrics:
            self._trial.log(
                state.global_step - 1,
                valid_loss=metrics["eval_loss"],
                valid_accuracy=metrics.get("eval_accuracy"),
            )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._reports(state):
            self._trial.checkpoint(
                state.global_step - 1, os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._training = False

    def _reports(self, state: Any) -> bool:
        return self._training and bool(state.is_world_process_zero)
