"""Checks that the reports of a step come in order: the loss of the batch, the update, the evaluation. A loop that evaluates
before the update evaluates the weights of the previous step.
"""

from __future__ import annotations

from typing import Callable, Collection, Optional

#: Metrics of a step that exist only after its update.
_AFTER = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy")

_INSTEAD = "evaluate after the update, `if trial.evaluates(step)`"


class Order:
    """Tracks which metrics were reported, by step."""

    def __init__(self, total_steps: int) -> None:
        self._last = total_steps - 1
        # The last step with a train_loss, and the last step whose evaluation came before its train_loss.
        self._trained = -1
        self._evaluated_first = -1

    def problem(
        self, at: int, names: Collection[str], has_updated: Callable[[int], Optional[bool]], due: bool
    ) -> Optional[str]:
        """The problem of a report of `names` for step `at`, or None.

        `has_updated` returns whether the update of a step was made, or None if that is unknown. `due` is true if a validation
        loss is due after `at`.
        """
        after = [name for name in _AFTER if name in names]
        if not after:
            if self._evaluated_first == at and "train_loss" in names:
                return (
                    f"the evaluation of step {at} was reported before its train_loss: report {_before(at)}; report one made after the"
                    " update with the train_loss or later"
                )
            return None
        updated = has_updated(at)
        if updated is False:
            if at == self._last:
                return f"{after[0]} of the last step, {at}, is reported before its update: train all {at + 1} steps"
            return (
                f"{after[0]} of step {at} is reported before the update of step {at}, but it must be measured after that update:"
                f" report {_before(at)}, or {_INSTEAD}"
            )
        if updated is None and at == 0 and not due and self._trained != at:
            return (
                f"{after[0]} of step 0 is reported, but none is due there. If it was measured before the first update, do not report it:"
                f" an evaluation at the top of the loop belongs to the previous step. If it was measured after the update, {_INSTEAD},"
                " or report the train_loss of step 0 first"
            )
        return None

    def note(self, at: int, names: Collection[str]) -> None:
        """Records a report."""
        if "train_loss" in names:
            self._trained = at
        elif self._trained != at and any(name in names for name in _AFTER):
            self._evaluated_first = at


def _before(at: int) -> str:
    """The advice for an evaluation that was made before the update of `at`."""
    if at == 0:
        return "no evaluation before the first update"
    return f"an evaluation at the top of the loop as step {at - 1}"
