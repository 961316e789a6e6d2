"""The schedule for optax: a function of the step count. The program itself reports its losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ._trial import Trial


def schedule(trial: Trial, of: str) -> Callable[[Any], Any]:
    """A function from the step count to the lr or momentum (`of`). Counts beyond the end give the last value."""
    if of not in ("lr", "momentum"):
        raise ValueError(f"`of` must be 'lr' or 'momentum', not {of!r}")
    if trial.closed_loop:
        raise RuntimeError(
            "the lr of a closed-loop schedule is not known before the step: make the optimizer with"
            " optax.inject_hyperparams(optax.sgd)(learning_rate=0.0), and before each update set"
            " state.hyperparams['learning_rate'] = trial.lr(step)"
        )
    values = trial._all(of)
    if values is None:
        raise RuntimeError(f"the schedule {trial.schedule_name} does not set the momentum")

    import jax.numpy as jnp

    table = jnp.asarray(values)

    def value(count: Any) -> Any:
        return jnp.take(table, count, mode="clip")

    return value
