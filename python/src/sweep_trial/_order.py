"""Whether what is reported of a step comes in the order in which it happens: the loss of the batch, the update, the
evaluation. A loop that evaluates at its top has the weights of the step before.
"""

from __future__ import annotations

from typing import Callable, Collection, Optional

#: What is known of a step only once its update is made.
_AFTER = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy")

_INSTEAD = "evaluate after the update, `if trial.evaluates(step)`"


class Order:
    """What was reported so far, by step."""

    def __init__(self, total_steps: int) -> None:
        self._last = total_steps - 1
        # The last steps with a train_loss, and with an evaluation that had none before it.
        self._trained = -1
        self._evaluated_first = -1

    def problem(
        self, at: int, names: Collection[str], has_updated: Callable[[int], Optional[bool]], due: bool
    ) -> Optional[str]:
        """What is wrong with a report of `names` for step `at`, or None.

        `has_updated` says whether the update of a step was made; None is unknown. `due` says whether a validation loss is
        due after `at`.
        """
        after = [name for name in _AFTER if name in names]
        if not after:
            if self._evaluated_first == at and "train_loss" in names:
                return (
                    f"the evaluation of step {at} was reported before its train_loss: report {_before(at)}, and one from after"
                    " the update together with the train_loss, or after it"
                )
            return None
        updated = has_updated(at)
        if updated is False:
            if at == self._last:
                return f"{after[0]} of step {at}, the last one, is reported before its update: train all {at + 1} steps"
            return (
                f"{after[0]} of step {at} is reported before the update of step {at}, but it is that of the weights after it:"
                f" report {_before(at)}, or {_INSTEAD}"
            )
        if updated is None and at == 0 and not due and self._trained != at:
            return (
                f"{after[0]} of step 0 is reported, but none is due there. If it is from before the first update, leave it out:"
                f" an evaluation at the top of the loop is that of the step before. If it is from after it, {_INSTEAD}, or report"
                " the train_loss of step 0 first"
            )
        return None

    def note(self, at: int, names: Collection[str]) -> None:
        """Remembers a report."""
        if "train_loss" in names:
            self._trained = at
        elif self._trained != at and any(name in names for name in _AFTER):
            self._evaluated_first = at


def _before(at: int) -> str:
    """What to do with an evaluation from before the update of `at`."""
    if at == 0:
        return "none from before the first update"
    return f"one from the top of the loop for step {at - 1}"
