"""Schedules with parameter groups, for programs without a framework and with torch's optimizers.

The tests of optimizers run with the small torch of `fake/`, and also with torch if it is installed.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import unittest
from typing import Any, Callable, Optional, Sequence

from parent import SOURCE, Answer, Outcome, Parent, npy
from test_outside import run
from test_ranks import TWO
from test_scheduler import BEGIN, FAKE, Scripts

STEPS = 6
#: Not exact in decimal digits.
MATRICES = [0.02 * (1 - step / 7) for step in range(STEPS)]
REST = [0.3 / (step + 3) for step in range(STEPS)]
MOMENTA = [0.9 - step / 30 for step in range(STEPS)]

Question = dict[str, Any]


class Grouped(Parent):
    """A trial under a schedule with the groups `matrices` and `rest`."""

    def __init__(self, *, closed: bool = False, keeps_ratio: bool = False, momenta: Optional[Sequence[float]] = None, **facts: Any) -> None:
        rest = MATRICES if keeps_ratio else REST

        def answer(question: Question) -> tuple[float, Optional[float]]:
            return MATRICES[question["ask"]], None

        given: Optional[Answer] = answer if closed else None
        super().__init__(MATRICES, answer=given, schedule="split", base_lr=0.02, **facts)
        groups = []
        for at, (name, lrs, cycled) in enumerate([("matrices", MATRICES, None), ("rest", rest, momenta)]):
            groups.append(
                {
                    "name": name,
                    "base_lr": 0.02 if name == "matrices" or keeps_ratio else 0.1,
                    "keeps_ratio": keeps_ratio and name == "rest",
                    "lr": None if closed else str(npy(self.root / f"lr-{at}.npy", lrs)),
                    "momentum": None if cycled is None or closed else str(npy(self.root / f"momentum-{at}.npy", cycled)),
                }
            )
        path = self.root / "trial.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "groups": groups}))
        self.more = lambda question: {
            "groups": {
                "matrices": {"lr": MATRICES[question["ask"]], "momentum": None},
                "rest": {"lr": rest[question["ask"]], "momentum": momenta[question["ask"]] if momenta else None},
            }
        }


class Programs(unittest.TestCase):
    """Programs that set the lr themselves."""

    LOOP = """
        for step in trial.steps():
            print([trial.lr(step, group="matrices"), trial.lr(step, group="rest", ratio=2), trial.momentum(step, group="rest")])
            trial.log(step, train_loss=1, lr={"rest": trial.lr(step, group="rest"), "matrices": trial.lr(step, group="matrices")})
        trial.finish(1)
        """

    def rows(self, outcome: Outcome) -> list[Any]:
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        return [ast.literal_eval(line) for line in outcome.out.splitlines()]

    def error(self, program: str, parent: Optional[Parent] = None) -> str:
        with parent or Grouped() as trial:
            return trial.run(program).err.splitlines()[-1]

    def test_each_group_has_its_lr_and_momentum(self) -> None:
        for closed in (False, True):
            with Grouped(closed=closed, momenta=MOMENTA) as parent:
                outcome = parent.run(self.LOOP)
            self.assertEqual(self.rows(outcome), [list(row) for row in zip(MATRICES, REST, MOMENTA)])
            used = [line["lr"] for line in outcome.lines if "lr" in line]
            self.assertEqual(used, [{"matrices": one, "rest": other} for one, other in zip(MATRICES, REST)])
            # One request for all groups.
            self.assertEqual([line["ask"] for line in outcome.all if "ask" in line], list(range(STEPS)) if closed else [])

    def test_the_ratio_of_the_program_counts_where_the_sweep_file_has_no_lr(self) -> None:
        with Grouped(keeps_ratio=True) as parent:
            self.assertEqual(self.rows(parent.run(self.LOOP)), [[lr, 2 * lr, None] for lr in MATRICES])

    def test_a_schedule_without_groups_has_one_lr_for_all_names(self) -> None:
        with Parent([0.1, 0.2]) as parent:
            outcome = parent.run("print([trial.lr(1, group='x'), trial.lr(1, group='y', ratio=3), trial.groups, trial.momentum(0, group='x')])")
        self.assertEqual(self.rows(outcome), [[0.2, 0.2 * 3, {}, None]])

    def test_the_groups_and_their_base_lrs(self) -> None:
        with Grouped() as parent:
            self.assertEqual(self.rows(parent.run("print([trial.groups, trial.base_lr])")), [[{"matrices": 0.02, "rest": 0.1}, 0.02]])

    def test_errors(self) -> None:
        known = "It has: matrices, rest"
        for program, words in {
            "trial.lr(0)": "the schedule split has an lr for each parameter group (matrices, rest): call trial.lr(step, group=...)",
            "trial.momentum(0)": "(matrices, rest): call trial.momentum(step, group=...)",
            "trial.lr(0, group='rset')": f"the schedule split has no parameter group 'rset'; did you mean 'rest'? {known}",
            "trial.lr(0, group='zzz')": f"no parameter group 'zzz'; {known}",
            "trial.lr(0, group=1)": f"no parameter group 1; {known}",
            "trial.log(0, lr={'rset': 1})": "did you mean 'rest'?",
            "trial.log(0, lr={'rest': '1'})": "lr of rest must be a number, not '1'",
            "trial.log(0, lr={'rest': 0.2})": "the update of step 0 used the lr 0.2 for the group rest, but the schedule has 0.09999999999999999",
            "trial.log(0, lr=0.3)": "used the lr 0.3 for the group matrices, but the schedule has 0.02",
            "for step in trial.steps(): trial.lr(step, group='matrices')\ntrial.finish(1)": "the program never used the lr of the parameter group rest",
        }.items():
            self.assertIn(words, self.error(program), program)
        self.assertIn("lr must be a number: the schedule cosine has no parameter groups", self.error("trial.log(0, lr={'rest': 1})", Parent()))

    def test_a_momentum_that_is_never_read(self) -> None:
        program = """
            for step in trial.steps():
                for name in trial.groups:
                    trial.lr(step, group=name)
                    READ
            trial.finish(1)
            """
        for read, words in [("pass", "sets the momentum of the group rest, but"), ("trial.momentum(step, group=name)", "")]:
            with Grouped(momenta=MOMENTA) as parent:
                err = parent.run(program.replace("READ", read)).err
            self.assertTrue(words in err if words else err == "", err)

    def test_an_invalid_answer(self) -> None:
        answers: list[dict[str, Any]] = [{}, {"groups": None}, {"groups": {"matrices": {"lr": 1}}}, {"groups": {"matrices": 1, "rest": 1}}]
        for more in answers:
            parent = Grouped(closed=True)
            parent.more = lambda question: more
            self.assertIn("sweep sent an invalid answer to the request for the lr of step 0", self.error("trial.lr(0, group='rest')", parent))

    def test_a_file_without_the_keys_of_a_group(self) -> None:
        for key, words in [("keeps_ratio", "lacks the key 'keeps_ratio'"), ("lr", "has no `lr` file")]:
            parent = Grouped()
            path = parent.root / "trial.json"
            trial = json.loads(path.read_text())
            if key == "lr":
                trial["groups"][1]["lr"] = None
            else:
                del trial["groups"][1][key]
            path.write_text(json.dumps(trial))
            self.assertIn(words, self.error("", parent))

    def test_outside_of_a_sweep_an_lr_for_each_group(self) -> None:
        done = run(
            """
            trial = sweep.current(steps=4, lr={"matrices": 0.5, "rest": lambda step: 1 / (step + 2)}, verbose=True)
            print(trial.groups, trial.base_lr, trial.schedule_name)
            for step in trial.steps():
                trial.log(step, train_loss=1, lr={name: trial.lr(step, group=name, ratio=3) for name in trial.groups})
            """
        )
        self.assertEqual(done.stderr, "")
        first, *rest = done.stdout.splitlines()
        self.assertEqual(first, "{'matrices': 0.5, 'rest': 0.5} 0.5 groups")
        self.assertEqual(rest[1], "step 1 of 3: train loss 1, lr matrices 0.5 rest 0.33333")
        self.assertIn("lr has no parameter group", run("sweep.current(lr={})").stderr)


class Optimizers(Scripts):
    """`trial.schedule` with groups."""

    #: Two optimizers, of which the second has two groups.
    MADE = """
        adam = torch.optim.Adam([weight()], lr=9.0)
        sgd = torch.optim.SGD([{"params": [weight()], "name": "a"}, {"params": [weight()], "lr": 2.0, "name": "b"}], lr=4.0, momentum=0.5)
        """
    LOOP = """
        for step in trial.steps():
            update(adam, sgd)
            print(lrs(adam, sgd) + [adam.param_groups[0]["betas"][0], sgd.param_groups[1]["momentum"]])
            trial.log(step, train_loss=1)
            scheduler.step()
        trial.finish(1)
        """
    NAMED = """trial.schedule([adam, sgd], groups=lambda at, group: "matrices" if at == 0 else "rest")"""

    def used(self, schedule: str, parent: Parent, made: str = MADE) -> tuple[list[Any], list[Any]]:
        """The printed lrs, and those that were reported."""
        outcome = self.outcome(made, f"scheduler = {schedule}", self.LOOP, parent=parent)
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        return [ast.literal_eval(line) for line in outcome.out.splitlines()], [line["lr"] for line in outcome.lines if "lr" in line]

    def test_optimizers_are_matched_to_groups(self) -> None:
        wanted = [[one, other, other / 2, 0.9, 0.5] for one, other in zip(MATRICES, REST)]
        reported = [{"matrices": one, "rest": other} for one, other in zip(MATRICES, REST)]
        for schedule in (
            self.NAMED,
            """trial.schedule({"matrices": adam, "rest": sgd})""",
            """trial.schedule({"rest": [sgd], "matrices": adam})""",
            """trial.schedule({"x": adam, "rest": sgd}, groups={"x": "matrices"})""",
            """[trial.schedule({"matrices": adam}), trial.schedule({"rest": sgd})]""",
            """[trial.schedule({"rest": sgd}), trial.schedule({"matrices": adam})]""",
        ):
            for closed in (False, True):
                loop = self.LOOP
                if schedule.startswith("["):
                    loop = loop.replace("scheduler.step()", "[one.step() for one in scheduler]")
                outcome = self.outcome(self.MADE, f"scheduler = {schedule}", loop, parent=Grouped(closed=closed))
                self.assertEqual((outcome.code, outcome.err), (0, ""), schedule)
                self.assertEqual([ast.literal_eval(line) for line in outcome.out.splitlines()], wanted, schedule)
                self.assertEqual([line["lr"] for line in outcome.lines if "lr" in line], reported)

    def test_groups_of_one_optimizer_are_matched_by_name(self) -> None:
        named = self.MADE.replace('"a"', '"rest"').replace('"b"', '"matrices"').replace("[weight()], lr=9.0", '[{"params": [weight()], "name": "rest"}], lr=9.0')
        rows, reported = self.used("trial.schedule([adam, sgd])", Grouped(), named)
        # The group `rest` of the second optimizer has 4/9 of the initial lr of the first one.
        self.assertEqual([row[:3] for row in rows], [[other, other * (4.0 / 9.0), one] for one, other in zip(MATRICES, REST)])
        self.assertEqual([sorted(row) for row in reported], [["matrices", "rest"]] * STEPS)
        mapped = """trial.schedule({"matrices": adam}), trial.schedule(sgd, groups={"a": "rest", "b": "rest"})"""
        outcome = self.outcome(self.MADE, mapped, "update(adam, sgd); print(lrs(adam, sgd))", parent=Grouped())
        self.assertEqual(outcome.out, f"{[MATRICES[0], REST[0], REST[0] / 2]}\n", outcome.err)

    def test_ratios_are_kept_where_the_sweep_file_has_no_lr(self) -> None:
        rows, reported = self.used(self.NAMED, Grouped(keeps_ratio=True))
        self.assertEqual([row[:3] for row in rows], [[lr, lr * (4.0 / 9.0), lr * (2.0 / 9.0)] for lr in MATRICES])
        for row, lr in zip(reported, MATRICES):
            self.assertAlmostEqual(row["rest"], lr, delta=1e-15)

    def test_a_schedule_without_groups_ignores_the_names(self) -> None:
        for schedule in (self.NAMED, """trial.schedule({"zz": adam, "rest": sgd})""", "trial.schedule([adam, sgd])"):
            rows, reported = self.used(schedule, Parent(MATRICES))
            self.assertEqual([row[:3] for row in rows], [[lr, lr * (4.0 / 9.0), lr * (2.0 / 9.0)] for lr in MATRICES])
            self.assertEqual(reported, MATRICES)

    def test_each_group_has_its_momentum(self) -> None:
        for closed in (False, True):
            rows, _ = self.used(self.NAMED, Grouped(momenta=MOMENTA, closed=closed))
            self.assertEqual([row[3:] for row in rows], [[0.9, momentum] for momentum in MOMENTA])

    def test_groups_that_share_a_tensor_get_their_own(self) -> None:
        out = self.prints(
            """
            lr, beta = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64)
            names = ("matrices", "rest", "rest")
            optimizer = torch.optim.Adam([{"params": [weight()], "name": name} for name in names], lr=lr, betas=(beta, torch.tensor(0.999)))
            scheduler = trial.schedule(optimizer)
            for step in range(2):
                update(optimizer)
                print(lrs(optimizer) + [float(group["betas"][0]) for group in optimizer.param_groups])
                scheduler.step()
            """,
            parent=Grouped(momenta=MOMENTA),
        )
        self.close(out, [[MATRICES[at], REST[at], REST[at], 0.9, MOMENTA[at], MOMENTA[at]] for at in (0, 1)])

    def test_a_group_that_is_added_keeps_its_ratio_within_its_name(self) -> None:
        out = self.prints(
            self.MADE,
            f"scheduler = {self.NAMED}",
            """
            for step in range(4):
                if step == 2:
                    sgd.add_param_group({"params": [weight()], "lr": 1.0})
                update(adam, sgd)
                if step >= 2:
                    print(lrs(sgd))
                scheduler.step()
            """,
            parent=Grouped(),
        )
        # In the scale of the program, `rest` starts with 4.0, which is 0.1 in the sweep file.
        added = 1.0 * 0.1 / 4.0 / REST[2]
        self.close(out, [[REST[at], REST[at] / 2, added * REST[at]] for at in (2, 3)])

    def test_states_are_restored(self) -> None:
        out = self.prints(
            self.MADE,
            f"scheduler = {self.NAMED}",
            """
            for step in range(3):
                update(adam, sgd)
                scheduler.step()
            states = [one.state_dict() for one in (adam, sgd, scheduler)]
            """,
            self.MADE.replace("9.0", "1.0").replace("4.0", "5.0"),
            f"scheduler = trial._schedulers.clear() or {self.NAMED}",
            """
            for one, state in zip((adam, sgd, scheduler), states):
                one.load_state_dict(state)
            for step in range(2):
                update(adam, sgd)
                print(lrs(adam, sgd))
                scheduler.step()
            """,
            parent=Grouped(),
        )
        self.close(out, [[MATRICES[at], REST[at], REST[at] / 2] for at in (3, 4)])

    def test_the_lr_that_was_used_is_checked_for_each_group(self) -> None:
        outcome = self.outcome(
            self.MADE,
            f"scheduler = {self.NAMED}",
            """
            sgd.register_step_pre_hook(lambda *_: sgd.param_groups[0].update(lr=0.5))
            update(adam, sgd)
            refused(ValueError, lambda: trial.log(0, train_loss=1))
            """,
            parent=Grouped(),
        )
        self.assertIn(f"the update of step 0 used the lr 0.5 for the group rest, but the schedule has {REST[0]!r} there", outcome.out, outcome.err)

    def test_errors(self) -> None:
        known = "It has: matrices, rest"
        for script, words in {
            "trial.schedule([adam, sgd])": "but a parameter group of optimizer 0 has no name: give it the key `name`, or pass",
            "trial.schedule([sgd, adam])": f"a parameter group of optimizer 0: the schedule split has no parameter group 'a'; {known}",
            "trial.schedule({'matrices': adam, 'rset': sgd})": f"optimizer 1: the schedule split has no parameter group 'rset'; did you mean 'rest'? {known}",
            "trial.schedule([adam], groups=lambda at, group: None)": "optimizer 0 has no name",
            "trial.schedule([adam], groups=3)": "groups must be a mapping or a function of an optimizer's position and a parameter group, not 3",
            "trial.schedule({})": "schedule() received an empty list of optimizers",
            "trial.schedule({'matrices': 3})": "expects a PyTorch optimizer or a list of them, not int",
            "trial.schedule({'rest': [adam, sgd]}); update(adam)": "no parameter group belongs to matrices of the schedule split; the optimizers have: rest",
        }.items():
            outcome = self.outcome(self.MADE, script, parent=Grouped())
            self.assertIn(words, outcome.err, script)
        outcome = self.outcome(self.MADE, "trial.schedule({'rest': sgd})", parent=Grouped(keeps_ratio=True))
        self.assertIn("keep their ratio to the group matrices, but no optimizer so far has parameters of matrices", outcome.err)

    def test_a_group_may_be_trained_without_an_optimizer(self) -> None:
        out = self.prints(
            self.MADE,
            """
            scheduler = trial.schedule({"matrices": adam})
            for step in trial.steps():
                print([trial.lr(step, group="rest")])
                update(adam)
                scheduler.step()
            trial.finish(1)
            """,
            parent=Grouped(),
        )
        self.close(out, [[lr] for lr in REST])

    def test_two_processes_use_the_same_lrs(self) -> None:
        script = (
            BEGIN
            + TWO.replace("scheduler = trial.schedule(optimizer)", "other = torch.optim.Adam([weight()], lr=3.0)")
            + """
scheduler = trial.schedule({"matrices": optimizer, "rest": other})
for step in trial.steps():
    update(optimizer, other)
    print(lrs(optimizer, other) + [other.param_groups[0]["betas"][0]])
    trial.log(step, train_loss=1)
    scheduler.step()
dist.destroy_process_group()
trial.finish(1)
"""
        )
        for closed in (False, True):
            with Grouped(closed=closed, momenta=MOMENTA) as parent:
                if self.fake:
                    parent.env["PYTHONPATH"] = os.pathsep.join([str(FAKE), str(SOURCE)])
                children: list[subprocess.Popen[str]] = [parent.start(script, str(rank), str(parent.root / "group")) for rank in (0, 1)]
                first = parent.wait(children[0])
                out, err = children[1].communicate(timeout=60)
            self.assertEqual((first.code, children[1].returncode, first.err, err), (0, 0, "", ""))
            self.assertEqual(first.out, out)
            self.assertEqual([ast.literal_eval(line) for line in out.splitlines()], [list(row) for row in zip(MATRICES, REST, MOMENTA)])


class OptimizersInTorch(Optimizers):
    fake = False


def installed(*names: str) -> Callable[[Any], Any]:
    missing = [name for name in names if not importlib.util.find_spec(name)]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


#: Two optimizers and the schedulers of PyTorch for them: cosine annealing to 0 for SGD, warmup and linear decay for AdamW.
BY_HAND = """
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))

def optimizers(model):
    matrices, rest = ([p for p in model.parameters() if (p.ndim == 2) is wanted] for wanted in (True, False))
    return [torch.optim.SGD(matrices, lr=LRS[0], momentum=0.9), torch.optim.AdamW([{"params": rest[:1]}, {"params": rest[1:], "lr": LRS[1] / 4}], lr=LRS[1])]

def by_hand(steps):
    both = optimizers(model())
    cosine = CosineAnnealingLR(both[0], steps)
    linear = LambdaLR(both[1], lambda step: min((step + 1) / 5, 1 - step / steps))
    rows = []
    for _ in range(steps):
        rows.append([float(group["lr"]) for optimizer in both for group in optimizer.param_groups])
        for one in (*both, cosine, linear):
            one.step()
    return rows
"""


@installed("torch")
class ByHand(unittest.TestCase):
    """The lrs of two optimizers with two schedules equal those of PyTorch's schedulers at every step."""

    STEPS = 40
    LRS = (0.1, 0.003)
    PROGRAM = """
        both = optimizers(model())
        expected = by_hand(trial.total_steps)
        scheduler = trial.schedule({"matrices": both[0], "rest": both[1]})
        MORE
        for step in trial.steps():
            x = torch.randn(16, 4)
            for one in prepared:
                one.zero_grad()
            loss = net(x).square().mean()
            backward(loss)
            for one in prepared:
                one.step()
            lrs = [float(group["lr"]) for optimizer in both for group in optimizer.param_groups]
            # The rounding of a product and a quotient.
            assert all(abs(a - b) <= 1e-14 * b for a, b in zip(lrs, expected[step])), (step, lrs, expected[step])
            trial.log(step, train_loss=loss)
            last.step()
        trial.finish(1)
        print("checked", step + 1)
        """

    def parent(self, closed: bool) -> Grouped:
        import math

        total = self.STEPS
        cosine = [self.LRS[0] * (1 + math.cos(math.pi * step / total)) / 2 for step in range(total)]
        linear = [self.LRS[1] * min((step + 1) / 5, 1 - step / total) for step in range(total)]
        parent = Grouped(closed=closed, steps=total)
        path = parent.root / "trial.json"
        trial = json.loads(path.read_text())
        trial["base_lr"] = self.LRS[0]
        for at, (group, lrs) in enumerate(zip(trial["groups"], (cosine, linear))):
            group["base_lr"] = self.LRS[at]
            if not closed:
                npy(parent.root / f"lr-{at}.npy", lrs)
        if not closed:
            npy(parent.root / "lr.npy", cosine)
        path.write_text(json.dumps(trial))
        parent.answer = (lambda question: (cosine[question["ask"]], None)) if closed else None
        parent.more = lambda question: {"groups": {"matrices": {"lr": cosine[question["ask"]]}, "rest": {"lr": linear[question["ask"]]}}}
        return parent

    def script(self, more: str) -> str:
        import textwrap

        text = textwrap.dedent(self.PROGRAM).replace("MORE", textwrap.dedent(more).strip())
        return f"LRS = {self.LRS}\n" + BY_HAND + text

    def test_in_one_process(self) -> None:
        more = """
            net, prepared, last = model(), both, scheduler
            def backward(loss):
                for optimizer in both:
                    for group in optimizer.param_groups:
                        for p in group["params"]:
                            p.grad = torch.ones_like(p)
            """
        for closed in (False, True):
            with self.parent(closed) as parent:
                outcome = parent.run(self.script(more))
            self.assertEqual((outcome.code, outcome.out), (0, f"checked {self.STEPS}\n"), outcome.err)

    @installed("accelerate")
    def test_with_accelerate_in_two_processes(self) -> None:
        for prepare in (True, False):
            more = """
                from accelerate import Accelerator
                accelerator = Accelerator(cpu=True)
                assert accelerator.num_processes == 2
                net = model()
                both = optimizers(net)
                scheduler = trial.schedule({"matrices": both[0], "rest": both[1]})
                net, *prepared = accelerator.prepare(net, *both)
                last = PREPARED
                backward = accelerator.backward
                import builtins
                def print(*words):
                    builtins.print(accelerator.process_index, *words)
                """
            more = more.replace("PREPARED", "accelerator.prepare(scheduler)" if prepare else "scheduler")
            program = self.script(more).replace('scheduler = trial.schedule({"matrices": both[0], "rest": both[1]})\n', "", 1)
            for closed in (False, True):
                with self.parent(closed) as parent:
                    parent.launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
                    outcome = parent.run(program)
                self.assertEqual(outcome.code, 0, outcome.err)
                self.assertEqual(sorted(outcome.out.split("\n")[:-1]), [f"{rank} checked {self.STEPS}" for rank in (0, 1)])
                self.assertEqual([line["step"] for line in outcome.lines if "lr" in line], list(range(self.STEPS)))


@installed("jax", "optax")
class Optax(unittest.TestCase):
    def test_multi_transform(self) -> None:
        program = """
            import jax, jax.numpy as jnp, optax
            jax.config.update("jax_enable_x64", True)
            weights = {"matrices": jnp.zeros((2, 2)), "rest": jnp.zeros(2)}
            optimizer = optax.multi_transform(
                {name: optax.sgd(trial.optax_schedule(group=name, ratio=2 if name == "rest" else 1)) for name in weights},
                {name: name for name in weights},
            )
            state = optimizer.init(weights)
            update = jax.jit(optimizer.update)
            for step in trial.steps():
                change, state = update(jax.tree.map(jnp.ones_like, weights), state)
                print([-float(change[name].ravel()[0]) for name in weights])
                trial.log(step, train_loss=1)
            trial.finish(1)
            """
        wanted = {
            "own": list(zip(MATRICES, REST)),
            "ratio": [(lr, 2 * lr) for lr in MATRICES],
        }
        for kind, rows in wanted.items():
            with Grouped(keeps_ratio=kind == "ratio") as parent:
                outcome = parent.run(program)
            self.assertEqual(outcome.code, 0, outcome.err)
            self.assertEqual([ast.literal_eval(line) for line in outcome.out.splitlines()], [list(row) for row in rows])
        with Parent(MATRICES) as parent:
            outcome = parent.run(program)
        self.assertEqual([ast.literal_eval(line) for line in outcome.out.splitlines()], [[lr, 2 * lr] for lr in MATRICES])

    def test_errors(self) -> None:
        for program, words in {
            "trial.optax_schedule()": "(matrices, rest): give each its own trial.optax_schedule(group=...), with optax.multi_transform",
            "trial.optax_schedule(group='rset')": "no parameter group 'rset'; did you mean 'rest'?",
            "trial.optax_schedule('momentum', group='matrices')": "the schedule split does not set the momentum of the group matrices",
        }.items():
            with Grouped(momenta=MOMENTA) as parent:
                self.assertIn(words, parent.run(program).err)


@installed("keras")
class Keras(unittest.TestCase):
    def test_groups_are_refused(self) -> None:
        with Grouped() as parent:
            parent.env["KERAS_BACKEND"] = next(name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name))
            err = parent.run("trial.keras_callback()").err
        self.assertIn("an lr for each parameter group (matrices, rest), but an optimizer of Keras has one lr for all parameters", err)


if __name__ == "__main__":
    unittest.main()
