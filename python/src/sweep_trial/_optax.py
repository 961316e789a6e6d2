"""The schedule for optax: a function of the step count. The program itself reports its losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from ._checks import Number

if TYPE_CHECKING:
    from ._trial import Trial


def schedule(trial: Trial, of: str, group: Optional[str], ratio: Number) -> Callable[[Any], Any]:
    """A function from the step count to the lr or momentum (`of`). Counts beyond the end give the last value."""
    if of not in ("lr", "momentum"):
        raise ValueError(f"`of` must be 'lr' or 'momentum', not {of!r}")
    index = trial._groups.at(
        group, "give each its own trial.optax_schedule(group=...), with optax.multi_transform" if group is None else f"group={group!r}"
    )
    if trial.closed_loop:
        raise RuntimeError(
            "the lr of a closed-loop schedule is not known before the step: make the optimizer with"
            " optax.inject_hyperparams(optax.sgd)(learning_rate=0.0), and before each update set"
            " state.hyperparams['learning_rate'] = trial.lr(step)"
        )
    values = trial._all(of, index, ratio)
    if values is None:
        of_group = f" of the group {group}" if trial.groups else ""
        raise RuntimeError(f"the schedule {trial.schedule_name} does not set the momentum{of_group}")

    import jax.numpy as jnp

    table = jnp.asarray(values)

    def value(count: Any) -> Any:
        return jnp.take(table, count, mode="clip")

    return value
