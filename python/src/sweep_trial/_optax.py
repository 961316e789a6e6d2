"""The schedule as optax wants it: a function of the step count. Reports are up to the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ._trial import Trial


def schedule(trial: Trial, of: str) -> Callable[[Any], Any]:
    """The values of `of` by step count, the last one for any count beyond the end."""
    if of not in ("lr", "momentum"):
        raise ValueError(f"of must be 'lr' or 'momentum', not {of!r}")
    if trial.closed_loop:
        raise RuntimeError(
            "the lr of a closed-loop schedule is not known before the step: make the optimizer with"
            " optax.inject_hyperparams(optax.sgd)(learning_rate=0.0), and before each update set"
            " state.hyperparams['learning_rate'] = trial.lr(step)"
        )
    values = trial._all(of)
    if values is None:
        raise RuntimeError(f"the schedule {trial.schedule_name} does not cycle the momentum")

    import jax.numpy as jnp

    table = jnp.asarray(values)

    def value(count: Any) -> Any:
        return jnp.take(table, count, mode="clip")

    return value
