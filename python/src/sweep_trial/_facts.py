"""The plain data of a trial: read from the file that `SWEEP_TRIAL` names, or made from arguments outside of a sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

from ._groups import Group

PROTOCOL = 1


@dataclass(frozen=True)
class Resume:
    """Where a stopped trial resumes: at step `step`, from the checkpoint at `path`."""

    step: int
    path: Path


@dataclass(frozen=True)
class Facts:
    """The configuration of a trial, known before it runs."""

    id: str
    seed: int
    schedule_name: str
    base_lr: float
    total_steps: int
    steps_per_epoch: Optional[int]
    evaluate_every: int
    closed_loop: bool
    params: dict[str, Any]
    checkpoints: Optional[Path]
    in_sweep: bool
    resume: Optional[Resume]
    lr: Optional[Path] = None
    momentum: Optional[Path] = None
    #: The folder for files that are kept; None outside of a sweep.
    outputs: Optional[Path] = None
    #: The steps after which other trials need a checkpoint of this one.
    checkpoint_after: frozenset[int] = frozenset()
    #: Whether to report the files that the program has loaded.
    loaded: bool = False
    #: The parameter groups of the schedule; empty if one lr applies to all parameters.
    groups: tuple[Group, ...] = ()


def read(path: Path, params: Mapping[str, Any]) -> Facts:
    """Reads the trial from the file at `path`. `params` are defaults for parameters that the sweep file omits."""
    given = json.loads(path.read_text(encoding="utf-8"))
    protocol = given.get("protocol")
    if protocol != PROTOCOL:
        raise RuntimeError(
            f"{path} has protocol version {protocol}, but this sweep_trial supports version {PROTOCOL}:"
            " install the version that came with sweep"
        )
    try:
        resume = given["resume"]
        facts = Facts(
            id=given["id"],
            seed=given["seed"],
            schedule_name=given["schedule"],
            base_lr=given["base_lr"],
            total_steps=given["steps"],
            steps_per_epoch=given["steps_per_epoch"],
            evaluate_every=given["evaluate_every"],
            closed_loop=given["closed_loop"],
            params={**params, **given["params"]},
            checkpoints=Path(given["checkpoints"]),
            outputs=_path(given.get("outputs")),
            in_sweep=True,
            resume=Resume(resume["step"], Path(resume["path"])) if resume else None,
            lr=_path(given["lr"]),
            momentum=_path(given["momentum"]),
            checkpoint_after=frozenset(given.get("checkpoint_after", ())),
            loaded=bool(given.get("loaded", False)),
            groups=tuple(_group(group) for group in given.get("groups") or ()),
        )
    except KeyError as missing:
        raise RuntimeError(f"{path} lacks the key {missing}, which protocol version {PROTOCOL} requires") from None
    if not facts.closed_loop and None in (facts.lr, *(group.lr for group in facts.groups)):
        raise RuntimeError(f"{path} has no `lr` file, which an open-loop schedule requires")
    return facts


def _group(given: Mapping[str, Any]) -> Group:
    return Group(given["name"], given["base_lr"], given["keeps_ratio"], _path(given["lr"]), _path(given["momentum"]))


def _path(text: Optional[str]) -> Optional[Path]:
    return None if text is None else Path(text)
