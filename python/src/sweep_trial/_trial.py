"""`Trial`, the interface for programs: steps, lr, and reports, whose order it checks.

The adapters for frameworks are in `_torch`, `_optax`, `_keras` and `_transformers`. They are imported on use, because the
frameworks may be missing.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, SupportsIndex, Union

from ._checks import Number, is_same_lr, norm, number, positive, share, whole
from ._facts import Facts, Resume, read
from ._groups import Group, Groups
from . import _names
from ._modules import Modules
from ._order import Order
from ._random import restore, states
from ._ranks import Ranks
from ._rates import Asked, Computed, Listed, Lr, Rates
from ._reporters import Echo, Fields, Lines, Reporter
from ._stop import Stop

if TYPE_CHECKING:
    from ._keras import SweepCallback as KerasCallback
    from ._lightning import SweepCallback as LightningCallback
    from ._torch import Naming, SweepLR
    from ._transformers import SweepCallback as TransformersCallback

#: The check of each metric.
_METRICS = {
    "train_loss": number,
    "grad_norm": norm,
    "valid_loss": number,
    "valid_accuracy": share,
    "test_loss": number,
    "test_accuracy": share,
}

#: Metrics that exist only after training.
_FINAL = ("test_loss", "test_accuracy", "weights_hash")


class Trial:
    """One training run, as returned by `current()`.

    Attributes:
        id: the trial's id.
        seed: the seed for initial weights and the order of batches.
        schedule_name: the name of the schedule in the sweep file.
        base_lr: the base lr, `1x` in the schedule. With parameter groups that of the first group.
        groups: the base lr of each parameter group of the schedule, by name. Empty if one lr applies to all parameters.
        total_steps: T, the number of updates. Steps are 0 to T - 1.
        steps_per_epoch: the number of steps in an epoch, or None if the sweep file does not set it.
        evaluate_every: the number of steps between two validation losses.
        closed_loop: whether the lr depends on reported metrics.
        params: the mapping `params` of the sweep file.
        in_sweep: False if the program was not started by `sweep`.
        resume: the checkpoint to resume from (`.step`, `.path`), or None.
    """

    def __init__(self, facts: Facts, rates: Rates, reporter: Reporter, ranks: Optional[Ranks] = None) -> None:
        self.id: str = facts.id
        self.seed: int = facts.seed
        self.schedule_name: str = facts.schedule_name
        self.base_lr: float = facts.base_lr
        self.groups: dict[str, float] = {group.name: group.base_lr for group in facts.groups}
        self.total_steps: int = facts.total_steps
        self.steps_per_epoch: Optional[int] = facts.steps_per_epoch
        self.evaluate_every: int = facts.evaluate_every
        self.closed_loop: bool = facts.closed_loop
        self.params: dict[str, Any] = facts.params
        self.in_sweep: bool = facts.in_sweep
        self.resume: Optional[Resume] = facts.resume
        self._rates = rates
        self._reporter = reporter
        self._ranks = ranks or Ranks()
        self._stop = Stop()
        self._pid = os.getpid()
        self._checkpoints = facts.checkpoints
        self._outputs = facts.outputs
        self._checkpoint_after = facts.checkpoint_after
        self._temporary: Optional[tempfile.TemporaryDirectory[str]] = None
        self._groups = Groups(facts.groups, facts.schedule_name)
        # The groups whose lr, and whose momentum, the program has read; index 0 if the schedule has no groups.
        self._lrs_read: set[int] = set()
        self._momenta_read: set[int] = set()
        self._first = 0 if facts.resume is None else facts.resume.step
        # The last reported step, and the first step without a report.
        self._last = self._first - 1
        self._gap = self._first
        self._checkpointed = False
        self._finished = False
        self._order = Order(self.total_steps)
        # The last step that was reported with the lr that its update used.
        self._compared = self._first - 1
        # The progress of training: the last step whose lr was read, and the schedulers of PyTorch. It is unknown for a program
        # that reads the whole schedule in one call.
        self._asked = self._first - 1
        self._schedulers: list[SweepLR] = []
        self._took_all = False
        # Reentrant, because a signal handler may report during a report.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<Trial {self.id}: {self.schedule_name} at {self.base_lr}, seed {self.seed}, {self.total_steps} steps>"

    @property
    def is_main_process(self) -> bool:
        """Whether this process reports: the only one, or rank 0 of several. Only this one should write files.

        Every process calls the methods of the trial: `log`, `finish` and `checkpoint` of the others check their arguments
        and report nothing.
        """
        return self._ranks.is_first

    def steps(self) -> range:
        """The remaining steps: all steps, or those from `resume.step` on."""
        return range(self._first, self.total_steps)

    def evaluates(self, step: SupportsIndex) -> bool:
        """Whether a validation loss is due after `step`."""
        at = self._inside(step)
        return (at + 1) % self.evaluate_every == 0 or at == self.total_steps - 1

    def lr(
        self,
        step: SupportsIndex,
        *,
        group: Optional[str] = None,
        ratio: Number = 1.0,
        train_loss: Optional[Number] = None,
        grad_norm: Optional[Number] = None,
    ) -> float:
        """The lr of the update `step`.

        A schedule with parameter groups has an lr for each: name the group. A schedule without groups has one lr for all names.
        `ratio` is the program's own ratio of the group's initial lr to that of the first group. The lr is multiplied by it, unless the
        sweep file has a base lr for this group.

        Under a closed-loop schedule the lr is requested from `sweep`, once for each step. All earlier steps must be reported
        before. Rules that use the current batch need its loss and gradient norm here; other schedules ignore them.

        With several processes each of them must call it: rank 0 requests the lr and sends it to the others.
        """
        with self._lock:
            at = self._may_ask(step)
            batch: dict[str, float] = {}
            if train_loss is not None:
                batch["train_loss"] = number("train_loss", train_loss)
            if grad_norm is not None:
                batch["grad_norm"] = number("grad_norm", grad_norm)
            index = self._groups.at(group, "call trial.lr(step, group=...)" if group is None else f"group={group!r}")
            return self._scaled(self._group_lr(at, index, batch), index, ratio)

    def momentum(self, step: SupportsIndex, *, group: Optional[str] = None) -> Optional[float]:
        """The momentum (beta1 of Adam) of the update `step`, or None if the schedule does not set it. For `group` see `lr`.

        Under a closed-loop schedule it arrives with the lr: call `lr(step)` first.
        """
        with self._lock:
            index = self._groups.at(group, "call trial.momentum(step, group=...)" if group is None else f"group={group!r}")
            return self._group_momentum(self._may_ask(step), index)

    def log(
        self,
        step: SupportsIndex,
        *,
        train_loss: Optional[Number] = None,
        valid_loss: Optional[Number] = None,
        valid_accuracy: Optional[Number] = None,
        test_loss: Optional[Number] = None,
        test_accuracy: Optional[Number] = None,
        grad_norm: Optional[Number] = None,
        weights_hash: Optional[str] = None,
        lr: Union[Number, Mapping[str, Number], None] = None,
        **own: Optional[Number],
    ) -> None:
        """Reports metrics of `step`. Steps must come in order; a step may be reported in several calls.

        Any other name is a metric of the program's own, as in `trial.log(step, bleu=31.5)`. The sweep file may decide by it:
        `metric: {name: bleu, goal: maximize}`.

        `train_loss` and `grad_norm` belong to the step's batch, before the update. All other metrics belong to the weights
        after the update. Accuracies are from 0 to 1. `lr` is the lr that the update used, for programs that set it themselves;
        it must equal the schedule's. `trial.schedule` and `trial.keras_callback` report it. Under a schedule with parameter groups it is
        a mapping by group, or a number for the first group; ratios of the program are not part of it.

        With several processes (DDP) rank 0 reports its values, and those of the others are dropped.

        Raises:
            TypeError: a metric is not a number.
            ValueError: a name is close to one of those above, or a metric is out of range, belongs to another step, or comes before its update.
        """
        fields: Fields = {}
        metrics = {
            "train_loss": train_loss,
            "grad_norm": grad_norm,
            "valid_loss": valid_loss,
            "valid_accuracy": valid_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        for name, value in metrics.items():
            if value is not None:
                fields[name] = _METRICS[name](name, value)
        for name, value in own.items():
            _names.check(name)
            if value is not None:
                fields[name] = number(name, value)
        if weights_hash is not None:
            if not isinstance(weights_hash, str):
                raise TypeError(f"weights_hash must be a string, not {weights_hash!r}")
            fields["weights_hash"] = weights_hash
        if not fields and lr is None:
            raise ValueError(f"step {step} is reported without a metric")
        with self._lock:
            if not self.is_main_process:
                self._follow(step)
                return
            at = self._may_report(step)
            if at != self.total_steps - 1:
                early = [name for name in _FINAL if name in fields]
                if early:
                    raise ValueError(
                        f"{early[0]} belongs to the last step, {self.total_steps - 1}, not to step {at}: use finish()"
                    )
            if self.closed_loop:
                # If a loss scaler skipped the update, the lr of this step was not requested yet.
                self._has_updated(at)
            problem = self._order.problem(at, fields, self._has_updated, self.evaluates(at))
            if problem is not None:
                raise ValueError(problem)
            used = self._lr_used(at) if lr is None else self._lr_reported(lr)
            if used:
                fields["lr"] = self._compared_lr(at, used)
            self._reporter.report(at, fields)
            self._order.note(at, fields)
            self._reported(at)

    def finish(
        self,
        valid_loss: Number,
        *,
        valid_accuracy: Optional[Number] = None,
        test_loss: Optional[Number] = None,
        test_accuracy: Optional[Number] = None,
        train_loss: Optional[Number] = None,
        grad_norm: Optional[Number] = None,
        weights_hash: Optional[str] = None,
        **own: Optional[Number],
    ) -> None:
        """Reports the final metrics, as those of the last step. Nothing can be reported after it.

        Other names are metrics of the program's own, as in `log`.

        Raises ValueError if training has detectably not reached the last step.
        """
        if valid_loss is None:
            raise TypeError("finish() requires a valid_loss: the ranking compares it")
        self._must_be_done()
        self.log(
            self.total_steps - 1,
            train_loss=train_loss,
            valid_loss=valid_loss,
            valid_accuracy=valid_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            grad_norm=grad_norm,
            weights_hash=weights_hash,
            **own,
        )
        self._finished = True
        unread = [at for at in range(len(self.groups) or 1) if self._rates.cycles_momentum(at) and at not in self._momenta_read]
        if unread:
            of = f" of the group {self._groups[unread[0]].name}" if self._groups else ""
            warnings.warn(
                f"the schedule {self.schedule_name} sets the momentum{of}, but the program never read it:"
                " use trial.momentum(step" + (", group=...)" if self._groups else ")"),
                stacklevel=2,
            )

    def needs_checkpoint(self, step: SupportsIndex) -> bool:
        """Whether other trials continue from a checkpoint after `step`. The program must then report one and continue.

        With `trainer: {share: true}` in the sweep file, trials that are the same run for a while are trained once for that time.
        Everything that the results depend on belongs into the checkpoint, also the state of random generators: see `state()`.
        """
        return self._inside(step) in self._checkpoint_after

    def state(self, *sources: Any) -> dict[str, Any]:
        """The state of the random generators, to be saved in a checkpoint: of Python, and of NumPy, PyTorch and CUDA if the program
        uses them. `sources` are further generators: DataLoaders, `torch.Generator`, numpy's `Generator`, `random.Random`.

        The values are plain: `torch.save` and `torch.load`, pickle, and without PyTorch also JSON keep them.
        """
        return states(sources)

    def restore(self, state: dict[str, Any], *sources: Any) -> None:
        """Sets the random generators to a state from `state()`, which was called with sources of the same kind.

        Raises ValueError if the state is of other generators.
        """
        restore(state, sources)

    def checkpoint(self, step: SupportsIndex, path: Union[str, "os.PathLike[str]"]) -> None:
        """Reports a complete checkpoint at `path`, from which the program can resume at step + 1.

        Report all metrics of the step before its checkpoint. A checkpoint after the last step is not reported, because there
        is nothing to resume. If other trials need the checkpoint, returns when they have a copy.
        """
        if not self.is_main_process:
            self._inside(step)
            return
        place = Path(os.path.abspath(os.fspath(path)))
        if not place.exists():
            raise FileNotFoundError(f"checkpoint not found: {place}; write it before reporting it")
        with self._lock:
            at = self._may_report(step)
            if at == self.total_steps - 1:
                return
            if self.closed_loop and self._gap <= at:
                raise ValueError(f"step {self._gap} must be reported before the checkpoint after step {at}")
            if at in self._checkpoint_after:
                self._reporter.keep(at, str(place))
            else:
                self._reporter.report(at, {"checkpoint": str(place)})
            self._last = at
            self._checkpointed = True

    @property
    def checkpoints(self) -> Path:
        """The folder for the checkpoints of this trial.

        Outside of a sweep it is the folder from `current(checkpoints=...)`, or a temporary folder that is removed when the
        process ends.
        """
        if self._checkpoints is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sweep-trial-")
            self._checkpoints = Path(self._temporary.name)
        if not self.in_sweep:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
        return self._checkpoints

    @property
    def outputs(self) -> Path:
        """The folder for what this trial makes and keeps, such as final weights or samples; `sweep outputs TRIAL` prints its path.

        Each trial has its own, so that the files of parallel trials have the same names. It is removed with the trial only. Outside
        of a sweep it is the folder `outputs` where the program was started.
        """
        folder = self._outputs or Path("outputs")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def stop_requested(self) -> bool:
        """Whether `sweep` has sent SIGTERM. The program should then write a checkpoint, report it, and exit.

        The first access from the main thread installs a handler, so that SIGTERM no longer ends the program. A program that
        reads this must exit by itself.

        With several processes each of them must read it equally often: all get the answer of rank 0, so that they stop at the
        same step.
        """
        return self._ranks.flag_of_first(self._stop.requested())

    def schedule(self, optimizer: Any, *, groups: Optional[Naming] = None) -> SweepLR:
        """A PyTorch scheduler that sets the lr of `optimizer` (and momentum or beta1, if the schedule sets it).

        `optimizer` is one optimizer, or several in a list or a dict. All groups keep their ratio to the first group of the first
        scheduled optimizer, with a list as well as with several calls. A second call for the same optimizer returns the same
        scheduler.

        Under a schedule with parameter groups each group of an optimizer belongs to the group of the schedule that has its name: the
        key `name` of the group, or the key of its optimizer in a dict, as in `trial.schedule({"matrices": muon, "rest": adamw})`.
        `groups` is a mapping from these names to those of the schedule, or a function from the optimizer's position and the group to the
        name. A schedule without groups ignores the names.

        Use it like any other: `optimizer.step()`, then `scheduler.step()`. See `SweepLR` for the rest.
        """
        from ._torch import SweepLR, bare, naming

        optimizers, keys = bare(optimizer)
        made = [scheduler for scheduler in self._schedulers if scheduler.sets(optimizers)]
        return made[0] if made else SweepLR(optimizers, self, naming(keys, groups))

    def optax_schedule(self, of: str = "lr", *, group: Optional[str] = None, ratio: Number = 1.0) -> Callable[[Any], Any]:
        """A function from optax's step count to the lr, or with `of="momentum"` to the momentum. It can be jitted.

        `group` and `ratio` are those of `lr`. With `optax.multi_transform` each group of parameters has its own schedule.

        The count is part of optax's state: a program that resumes must restore it with the weights.
        """
        from ._optax import schedule

        return schedule(self, of, group, ratio)

    def keras_callback(self) -> KerasCallback:
        """A callback for `fit` that sets the lr, reports the losses, and stops after the last step.

        Raises ValueError under a schedule with parameter groups: an optimizer of Keras has one lr.
        """
        from ._keras import SweepCallback

        return SweepCallback(self)

    def transformers_callback(self) -> TransformersCallback:
        """A callback for `Trainer` that reports losses and checkpoints. The lr comes from `schedule(optimizer)`."""
        from ._transformers import SweepCallback

        return SweepCallback(self)

    def lightning_callback(
        self, *, valid_loss: str = "val_loss", valid_accuracy: Optional[str] = None, groups: Optional[Naming] = None
    ) -> LightningCallback:
        """A callback for Lightning's `Trainer` that sets the lr, reports losses and checkpoints, and stops after the last step.

        `valid_loss` and `valid_accuracy` are the names under which the module logs them in `validation_step`. `groups` is that of
        `schedule`; the optimizers are counted in the order of `configure_optimizers`.
        """
        from ._lightning import SweepCallback

        return SweepCallback(self, valid_loss, valid_accuracy, groups)

    def _group_lr(self, at: int, index: int, batch: Mapping[str, float]) -> float:
        """The schedule's lr of a group, by its index."""
        self._asked = max(self._asked, at)
        self._lrs_read.add(index)
        return self._rates.lr(at, dict(batch), index)

    def _group_momentum(self, at: int, index: int) -> Optional[float]:
        self._momenta_read.add(index)
        return self._rates.momentum(at, index)

    def _keeps_ratio(self, index: int) -> bool:
        """Whether the program's ratio counts for a group: the sweep file has no base lr for it."""
        return not self._groups or self._groups[index].keeps_ratio

    def _scaled(self, lr: float, index: int, ratio: Number) -> float:
        return lr * number("ratio", ratio) if self._keeps_ratio(index) else lr

    def _has_updated(self, at: int) -> Optional[bool]:
        """Whether the update of `at` was made, or None if that is unknown."""
        if self._schedulers:
            return any([scheduler.settle(at) for scheduler in self._schedulers])
        if self._first <= self._asked < at and not self._took_all:
            # The lr of this step was not read yet.
            return False
        return None

    def _lr_used(self, at: int) -> dict[int, float]:
        """The lrs that the schedulers saw in the update of `at`, by group. Empty if they are already reported or unknown."""
        used: dict[int, float] = {}
        if self._compared != at:
            for scheduler in self._schedulers:
                used = {**scheduler.lrs_used(at), **used}
        return used

    def _lr_reported(self, lr: Union[Number, Mapping[str, Number]]) -> dict[int, float]:
        """The lrs that the program reports, by group."""
        if not isinstance(lr, Mapping):
            return {0: number("lr", lr)}
        if not self._groups:
            raise ValueError(f"lr must be a number: the schedule {self.schedule_name} has no parameter groups")
        return {self._groups.at(name, "lr"): number(f"lr of {name}", one) for name, one in lr.items()}

    def _compared_lr(self, at: int, used: dict[int, float]) -> Union[float, Mapping[str, float]]:
        """Returns `used`, as it is reported, if these are the schedule's lrs of `at`; raises ValueError otherwise."""
        for index, lr in used.items():
            planned = self._rates.lr(at, {}, index) if self._rates.known(at) else lr
            if not is_same_lr(lr, planned):
                of = f" for the group {self._groups[index].name}" if self._groups else ""
                raise ValueError(
                    f"the update of step {at} used the lr {lr!r}{of}, but the schedule has {planned!r} there: do not set the lr elsewhere,"
                    " and use each step's lr for one update"
                )
        self._compared = at
        return {self._groups[index].name: used[index] for index in sorted(used)} if self._groups else used[0]

    def _must_be_done(self) -> None:
        """Refuses an incomplete run, because it would be ranked like a complete one."""
        self._own("report")
        last, at = self.total_steps - 1, max(self._asked, self._last)
        if self._first <= at < last and not (self._took_all or self._schedulers):
            raise ValueError(
                f"finish() after step {at}, but the last step is {last}: train all {self.total_steps} steps, and read the lr"
                " of each step or report the step"
            )
        unread = [self._groups[index].name for index in range(len(self.groups)) if index not in self._lrs_read]
        if unread and self.is_main_process:
            raise ValueError(
                f"the program never used the lr of the parameter group {unread[0]} of the schedule {self.schedule_name}:"
                f" pass the optimizer of its parameters to trial.schedule, or read trial.lr(step, group={unread[0]!r})"
            )

    def _all(self, of: str, index: int, ratio: Number) -> Any:
        """All values of an open-loop schedule for a group, or None for a momentum that the schedule does not set."""
        self._took_all = True
        if of == "momentum":
            self._momenta_read.add(index)
            if not self._rates.cycles_momentum(index):
                return None
            return [self._rates.momentum(step, index) for step in range(self.total_steps)]
        self._lrs_read.add(index)
        return [self._scaled(self._rates.lr(step, {}, index), index, ratio) for step in range(self.total_steps)]

    def _inside(self, step: SupportsIndex) -> int:
        at = whole("step", step)
        if not 0 <= at < self.total_steps:
            raise ValueError(f"step {at} is out of range: this trial has the steps 0 to {self.total_steps - 1}")
        return at

    def _may_ask(self, step: SupportsIndex) -> int:
        """Checks that the lr of `step` can be known."""
        at = self._inside(step)
        # The order of the reports is that of rank 0.
        if self._rates.known(at) or not self.is_main_process:
            return at
        self._own("request an lr")
        if self._gap < at:
            raise ValueError(
                f"the lr of step {at} depends on earlier reports, but step {self._gap} was not reported yet"
            )
        if self._gap > at:
            raise ValueError(f"step {at} was reported before its lr was read: call lr() first, then report the step")
        return at

    def _may_report(self, step: SupportsIndex) -> int:
        """Checks that `step` can be reported now."""
        self._own("report")
        if whole("step", step) == self.total_steps:
            raise ValueError(
                f"step {step} is out of range: this trial has the steps 0 to {self.total_steps - 1}; use finish(valid_loss=...) for"
                " the evaluation after the last update"
            )
        at = self._inside(step)
        if self._finished:
            raise ValueError("the trial is finished: nothing can be reported after finish()")
        if at < self._first:
            raise ValueError(f"step {at} was reported before the trial was stopped: it resumes at step {self._first}")
        if at < self._last:
            raise ValueError(f"steps must be reported in order: {at} came after {self._last}")
        if at == self._last and self._checkpointed:
            raise ValueError(f"step {at} can't be reported after its checkpoint")
        reached = max((scheduler.last_epoch for scheduler in self._schedulers), default=at)
        if reached < at:
            raise ValueError(
                f"step {at} is reported, but the scheduler is at step {reached}: its step() belongs after each"
                f" optimizer.step(), up to the last step, {self.total_steps - 1}"
            )
        return at

    def _follow(self, step: SupportsIndex) -> None:
        """Follows a report in a process that does not report: an update that a loss scaler skipped counts as made here, too."""
        at = self._inside(step)
        if self.closed_loop:
            self._has_updated(at)
        self._last = max(self._last, at)

    def _reported(self, at: int) -> None:
        if at != self._last:
            self._checkpointed = False
        self._last = at
        if at == self._gap:
            self._gap = at + 1

    def _own(self, what: str) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"process {os.getpid()} must not {what}: only process {self._pid}, which called current(), may"
            )


_current: Optional[Trial] = None


def current(
    *,
    steps: int = 1000,
    lr: Union[Lr, Mapping[str, Lr]] = 0.1,
    seed: int = 0,
    params: Optional[Mapping[str, Any]] = None,
    steps_per_epoch: Optional[int] = None,
    evaluate_every: Optional[int] = None,
    checkpoints: Union[str, "os.PathLike[str]", None] = None,
    verbose: bool = False,
) -> Trial:
    """The trial that this process trains. A second call returns the same object and ignores its arguments.

    `lr` is a number, a function of the step, or a mapping with one of them for each parameter group.

    The arguments apply outside of a sweep. Inside a sweep they are ignored, with two exceptions: `params` are defaults for
    parameters that the sweep file omits, and `steps_per_epoch` must equal that of the sweep file if both are given.
    """
    global _current
    if _current is None:
        path = os.environ.get("SWEEP_TRIAL")
        if path:
            _current = _in_sweep(Path(path), params or {}, steps_per_epoch)
        else:
            _current = _standalone(steps, lr, seed, params or {}, steps_per_epoch, evaluate_every, checkpoints, verbose)
    return _current


def _in_sweep(path: Path, params: Mapping[str, Any], steps_per_epoch: Optional[int]) -> Trial:
    # Imported here because some systems have no named pipes; running outside of a sweep must work there too.
    from ._pipes import Pipes

    ranks = Ranks()
    ranks.end_with_launcher()
    facts = read(path, params)
    if None not in (steps_per_epoch, facts.steps_per_epoch) and steps_per_epoch != facts.steps_per_epoch:
        raise ValueError(
            f"an epoch has {steps_per_epoch} steps in the program, but {facts.steps_per_epoch} in the sweep file: write"
            f" `budget: {{epochs: ..., steps_per_epoch: {steps_per_epoch}}}` there"
        )
    for name in ("SWEEP_REPORT", "SWEEP_ANSWERS"):
        if not os.environ.get(name):
            raise RuntimeError(f"SWEEP_TRIAL is set, but {name} is not; sweep sets both")
    pipes = Pipes(os.environ["SWEEP_REPORT"], os.environ["SWEEP_ANSWERS"])
    rates: Rates = Asked(facts, pipes, ranks) if facts.closed_loop else Listed(facts)
    return Trial(facts, rates, Lines(pipes, Modules() if facts.loaded else None), ranks)


def _standalone(
    steps: int,
    lr: Union[Lr, Mapping[str, Lr]],
    seed: int,
    params: Mapping[str, Any],
    steps_per_epoch: Optional[int],
    evaluate_every: Optional[int],
    checkpoints: Union[str, "os.PathLike[str]", None],
    verbose: bool,
) -> Trial:
    total = positive("steps", steps)
    rates = Computed(lr)
    names = list(lr) if isinstance(lr, Mapping) else []
    facts = Facts(
        id="alone",
        seed=whole("seed", seed),
        schedule_name="groups" if isinstance(lr, Mapping) else "function" if callable(lr) else "constant",
        base_lr=rates.lr(0, {}),
        total_steps=total,
        steps_per_epoch=None if steps_per_epoch is None else positive("steps_per_epoch", steps_per_epoch),
        evaluate_every=max(1, total // 10) if evaluate_every is None else positive("evaluate_every", evaluate_every),
        closed_loop=False,
        params=dict(params),
        checkpoints=None if checkpoints is None else Path(checkpoints),
        in_sweep=False,
        resume=None,
        groups=tuple(Group(name, rates.lr(0, {}, at)) for at, name in enumerate(names)),
    )
    return Trial(facts, rates, Echo(total, verbose))
