"""Optimizers with parameter groups, hooks and states."""

from __future__ import annotations

import copy
from typing import Any, Callable


class Optimizer:
    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._before: list[Callable[..., None]] = []
        self._after: list[Callable[..., None]] = []
        params = list(params)
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        self.param_groups.append({**self.defaults, **group})

    def register_step_pre_hook(self, hook: Callable[..., None]) -> None:
        self._before.append(hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> None:
        self._after.append(hook)

    def step(self) -> None:
        for hook in self._before:
            hook(self, (), {})
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.value -= float(group["lr"]) * float(parameter.grad)
        for hook in self._after:
            hook(self, (), {})

    def state_dict(self) -> dict[str, Any]:
        return {"param_groups": [{**group, "params": None} for group in copy.copy(self.param_groups)]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pairs = zip(state["param_groups"], self.param_groups)
        self.param_groups = [{**saved, "params": group["params"]} for saved, group in pairs]


class SGD(Optimizer):
    def __init__(self, params: Any, lr: Any = 1e-3, momentum: float = 0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})


class Adam(Optimizer):
    def __init__(self, params: Any, lr: Any = 1e-3, betas: Any = (0.9, 0.999)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})


class Adagrad(Optimizer):
    def __init__(self, params: Any, lr: Any = 1e-2) -> None:
        super().__init__(params, {"lr": lr})


from . import lr_scheduler as lr_scheduler  # noqa: E402
