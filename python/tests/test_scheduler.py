"""`trial.schedule` for groups, for several optimizers, and for loops that call things in another order.

Each test runs with the small torch of `fake/`, and also with torch if it is installed.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import os
import textwrap
import unittest
from pathlib import Path
from typing import Any, Optional

from parent import SOURCE, Outcome, Parent

FAKE = Path(__file__).resolve().parent / "fake"

BEGIN = """
import torch
def weight():
    return torch.nn.Parameter(torch.tensor(1.0))
def update(*optimizers):
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.tensor(1.0)
        optimizer.step()
def lrs(*optimizers):
    return [float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
def refused(kind, action, *args):
    try:
        action(*args)
    except kind as error:
        print(error)
    else:
        print("no error")
"""

STEPS = 8
#: The sweep's cosine schedule to 0 over 8 steps: it reaches 0 at T.
COSINE = [0.1 * (1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(STEPS)]


class Scripts(unittest.TestCase):
    """Runs scripts with the real torch or the fake one."""

    fake = True

    @classmethod
    def setUpClass(cls) -> None:
        if not cls.fake and not importlib.util.find_spec("torch"):
            raise unittest.SkipTest("torch is not installed")

    def outcome(self, *parts: str, parent: Optional[Parent] = None) -> Outcome:
        parent = Parent(COSINE) if parent is None else parent
        with parent:
            if self.fake:
                parent.env["PYTHONPATH"] = os.pathsep.join([str(FAKE), str(SOURCE)])
            return parent.run(BEGIN + "\n".join(map(textwrap.dedent, parts)))

    def prints(self, *parts: str, parent: Optional[Parent] = None) -> list[str]:
        outcome = self.outcome(*parts, parent=parent)
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        return outcome.out.splitlines()

    def close(self, got: list[str], wanted: list[list[float]]) -> None:
        rows: list[Any] = [ast.literal_eval(line) for line in got]
        self.assertEqual([len(row) for row in rows], [len(row) for row in wanted])
        for row, expected in zip(rows, wanted):
            for value, number in zip(row, expected):
                self.assertAlmostEqual(value, number, delta=1e-12 * abs(number) + 1e-15)


class Groups(Scripts):
    ADDED = """
        optimizer = torch.optim.SGD([weight()], lr=BEGINS)
        scheduler = trial.schedule(optimizer)
        for step in trial.steps():
            if step == BEFORE:
                optimizer.add_param_group({"params": [weight()], "lr": LR})
            update(optimizer)
            print(lrs(optimizer))
            if step == AFTER:
                optimizer.add_param_group({"params": [weight()], "lr": LR})
            scheduler.step()
        """

    def added(self, before: int, after: int, lr: float = 0.03, begins: float = 0.1) -> list[str]:
        script = self.ADDED.replace("BEFORE", str(before)).replace("AFTER", str(after))
        return self.prints(script.replace("LR", str(lr)).replace("BEGINS", str(begins)))

    def test_a_group_that_is_added_follows_as_under_cosine_annealing(self) -> None:
        # Printed by torch 2.15: CosineAnnealingLR(SGD([w], lr=0.1), 8), with a group of lr 0.03 added before update 3.
        table = [0.03, 0.02169694038257534, 0.013393880765150686, 0.006354886707056074, 0.0016515812449963763]
        self.close(self.added(3, -1), [[lr] + table[step - 3 :][:1] * (step >= 3) for step, lr in enumerate(COSINE)])
        # Added after update 2, the lr is 0.03 at that step.
        follows = [[lr] + [0.03 * lr / COSINE[2]] * (step > 2) for step, lr in enumerate(COSINE)]
        self.close(self.added(-1, 2), follows)
        self.close(self.added(0, -1), [[lr, 0.3 * lr] for lr in COSINE])

    def test_lrs_of_the_program_count_in_its_own_scale(self) -> None:
        # The optimizer is created with lr 0.5 and the sweep has 0.1, so lrs of the program are divided by 5.
        follows = [[lr] + [0.03 * lr / COSINE[3] / 5] * (step >= 3) for step, lr in enumerate(COSINE)]
        self.close(self.added(3, -1, begins=0.5), follows)

    def test_an_added_group_may_have_an_initial_lr(self) -> None:
        out = self.prints(
            """
            optimizer = torch.optim.SGD([weight()], lr=0.1)
            scheduler = trial.schedule(optimizer)
            for step in trial.steps():
                update(optimizer)
                scheduler.step()
                if step == 2:
                    optimizer.add_param_group({"params": [weight()], "initial_lr": 0.05})
            print(lrs(optimizer))
            """
        )
        self.close(out, [[COSINE[7], COSINE[7] / 2]])

    def test_a_schedule_at_0_gives_no_ratio(self) -> None:
        out = self.prints(
            """
            optimizer = torch.optim.SGD([weight()], lr=0.1)
            scheduler = trial.schedule(optimizer)
            update(optimizer)
            scheduler.step()
            optimizer.add_param_group({"params": [weight()], "lr": 0.05})
            refused(ValueError, update, optimizer)
            """,
            parent=Parent([0.1, 0.0, 0.1]),
        )
        self.assertRegex(out[0], "added before step 1, while the schedule's lr is 0, .*: add the key `initial_lr`")

    def test_the_momentum_of_an_added_group_is_cycled(self) -> None:
        out = self.prints(
            """
            sgd, adam = torch.optim.SGD([weight()], lr=0.1, momentum=0.3), torch.optim.Adam([weight()], lr=0.1)
            scheduler = trial.schedule([sgd, adam])
            for step in range(2):
                update(sgd, adam)
                scheduler.step()
                if step == 0:
                    sgd.add_param_group({"params": [weight()], "lr": 0.05, "momentum": 0.1})
                    adam.add_param_group({"params": [weight()], "lr": 0.05, "betas": (0.1, 0.9)})
            print([group["momentum"] for group in sgd.param_groups], [group["betas"] for group in adam.param_groups])
            """,
            parent=Parent([0.1, 0.2, 0.3], momenta=[0.9, 0.8, 0.7]),
        )
        self.assertEqual(out, ["[0.7, 0.7] [(0.7, 0.999), (0.7, 0.9)]"])

    def test_lrs_and_betas_in_tensors(self) -> None:
        out = self.prints(
            """
            lr, beta = torch.tensor(0.1, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64)
            optimizer = torch.optim.Adam([weight()], lr=lr)
            scheduler = trial.schedule(optimizer)
            for step in range(3):
                update(optimizer)
                scheduler.step()
                if step == 0:
                    # The first group shares the default's tensor, the second has a number.
                    optimizer.add_param_group({"params": [weight()]})
                    optimizer.add_param_group({"params": [weight()], "lr": 0.05, "betas": (beta, beta)})
            print(lrs(optimizer))
            print([float(group["betas"][0]) for group in optimizer.param_groups])
            print([float(beta)], optimizer.param_groups[0]["lr"] is lr is optimizer.param_groups[1]["lr"])
            """,
            parent=Parent([0.1, 0.2, 0.3, 0.4], momenta=[0.9, 0.8, 0.7, 0.6]),
        )
        self.close(out[:2], [[0.4, 0.4, 0.1], [0.6, 0.6, 0.6]])
        self.assertEqual(out[2], "[0.6] True")

    def test_states_keep_the_ratio_of_an_added_group(self) -> None:
        out = self.prints(
            """
            def make(added):
                optimizer = torch.optim.SGD([weight()], lr=0.1)
                if added:
                    optimizer.add_param_group({"params": [weight()], "lr": 0.03})
                return optimizer, trial.schedule(optimizer)
            optimizer, scheduler = make(False)
            for step in range(4):
                if step == 3:
                    optimizer.add_param_group({"params": [weight()], "lr": 0.03})
                update(optimizer)
                states = optimizer.state_dict(), scheduler.state_dict()
                scheduler.step()
            for order in ("os", "so"):
                optimizer, scheduler = make(True)
                for state in order:
                    (optimizer if state == "o" else scheduler).load_state_dict(states["os".index(state)])
                scheduler.step()
                update(optimizer)
                print(lrs(optimizer), scheduler.last_epoch)
            # A state without `initial_lr` keeps the ratios of the program.
            optimizer, scheduler = make(True)
            state = optimizer.state_dict()
            for group in state["param_groups"]:
                del group["initial_lr"]
                group["lr"] = 7.0
            optimizer.load_state_dict(state)
            update(optimizer)
            print(lrs(optimizer), [float(group["initial_lr"]) for group in optimizer.param_groups])
            refused(ValueError, make(False)[1].load_state_dict, states[1])
            """
        )
        after = [COSINE[4], 0.03 * COSINE[4] / COSINE[3]]
        self.assertEqual([line.split("] ")[1] for line in out[:2]], ["4", "4"])
        self.close([line.split("] ")[0] + "]" for line in out[:2]], [after, after])
        self.assertTrue(out[2].endswith(" [0.1, 0.03]"), out[2])
        self.assertEqual(
            out[3], "the state has 2 parameter groups, but the optimizer 1: add the groups before loading the state"
        )

    def test_a_first_group_with_an_initial_lr_of_0(self) -> None:
        for rest, wanted in [("0.0", "[0.1, 0.1]"), ("0.5", "the initial lr of the first group is 0, so the other groups have no")]:
            out = self.prints(
                f"""
                def make():
                    optimizer = torch.optim.SGD([{{"params": [weight()]}}, {{"params": [weight()], "lr": {rest}}}], lr=0.0)
                    trial.schedule(optimizer)
                    print(lrs(optimizer))
                refused(ValueError, make)
                """
            )
            self.assertTrue(out[0].startswith(wanted), out)


class GroupsInTorch(Groups):
    fake = False

    def test_groups_behave_as_in_torch(self) -> None:
        """Compares with CosineAnnealingLR of the installed torch, for groups that are added at any step."""
        out = self.prints(
            """
            def groups(step, optimizer):
                if step in (0, 2, 5):
                    optimizer.add_param_group({"params": [weight()], "lr": 0.01 * (step + 1)})
            mine, theirs = torch.optim.SGD([weight()], lr=0.1), torch.optim.SGD([weight()], lr=0.1)
            schedulers = [trial.schedule(mine), torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 8)]
            for step in trial.steps():
                for optimizer, scheduler in zip((mine, theirs), schedulers):
                    groups(step, optimizer)
                    update(optimizer)
                    groups(step - 1, optimizer)
                    scheduler.step()
                print(lrs(mine))
                print(lrs(theirs))
            """
        )
        self.assertEqual(len(out), 16)
        self.close(out[::2][:-1], [ast.literal_eval(line) for line in out[1::2]][:-1])


class Optimizers(Scripts):
    def test_several_optimizers_keep_their_ratios(self) -> None:
        # Typical lrs of Muon and AdamW in one program.
        make = """
            adamw, muon = torch.optim.Adam([weight()], lr=0.7), torch.optim.SGD([weight()], lr=0.025)
            muon.add_param_group({"params": [weight()], "lr": 0.05})
            """
        train = """
            for at in range(2):
                update(adamw, muon)
                print(lrs(adamw, muon))
                trial.log(at, train_loss=1)
                for scheduler in schedulers:
                    scheduler.step()
            """
        at_once = """
            print(schedulers[0].get_last_lr() == lrs(adamw, muon), trial.schedule([muon, adamw]) is schedulers[0])
            refused(ValueError, trial.schedule, adamw)
            """
        one_by_one = "print(trial.schedule(adamw) is schedulers[0], trial.schedule(muon) is schedulers[1])"
        for given, end in [("trial.schedule([adamw, muon])", at_once), ("*map(trial.schedule, (adamw, muon))", one_by_one)]:
            with self.subTest(given):
                out = self.prints(make, f"schedulers = [{given}]", train, end)
                self.close(out[:2], [[lr, lr * 0.025 / 0.7, lr * 0.05 / 0.7] for lr in COSINE[:2]])
                self.assertEqual(out[2], "True True")
                self.assertEqual(["already has a scheduler" in line for line in out[3:]], [True] * (end == at_once))

    def test_a_scheduler_that_is_never_stepped_is_an_error(self) -> None:
        out = self.prints(
            """
            first, second = torch.optim.SGD([weight()], lr=0.1), torch.optim.Adam([weight()], lr=0.1)
            mine, forgotten = trial.schedule(first), trial.schedule(second)
            for step in range(2):
                update(first, second)
                mine.step()
            update(first)
            refused(RuntimeError, update, second)
            """
        )
        self.assertRegex(out[0], "of Adam is at step 0, but the scheduler of another optimizer is at step 2: .*schedule\\(\\[first")

    def test_an_optimizer_that_is_updated_less_often_does_not_lag(self) -> None:
        # As in a GAN: the critic is updated three times for each update of the generator.
        out = self.prints(
            """
            critic, generator = torch.optim.SGD([weight()], lr=0.4), torch.optim.SGD([weight()], lr=0.1)
            schedulers = [trial.schedule(critic), trial.schedule(generator)]
            for step in trial.steps():
                update(critic, critic, critic, generator)
                for scheduler in schedulers:
                    scheduler.step()
            print(lrs(critic, generator))
            """
        )
        self.close(out, [[COSINE[7], COSINE[7] / 4]])

    def test_a_second_optimizer_for_the_second_half(self) -> None:
        out = self.prints(
            """
            first = torch.optim.SGD([weight()], lr=0.1)
            scheduler = trial.schedule(first)
            for step in trial.steps():
                if step == 4:
                    first = torch.optim.Adam([weight()], lr=0.05)
                    scheduler = trial.schedule(first)
                update(first)
                trial.log(step, train_loss=1)
                scheduler.step()
            print(lrs(first))
            """
        )
        self.close(out, [[COSINE[7] / 2]])

    def test_arguments_that_are_not_optimizers(self) -> None:
        out = self.prints(
            """
            refused(TypeError, trial.schedule, weight())
            refused(ValueError, trial.schedule, [])
            optimizer = torch.optim.SGD([weight()], lr=0.1)
            refused(ValueError, trial.schedule, [optimizer, optimizer])
            class Wrapper:
                def __init__(self):
                    self.base_optimizer = optimizer
            scheduler = trial.schedule(Wrapper())
            print(scheduler is trial.schedule(optimizer), lrs(optimizer))
            """
        )
        self.assertRegex(out[0], r"expects a PyTorch optimizer or a list of them, not (Tensor|Parameter)")
        self.assertEqual(
            out[1:],
            [
                "schedule() received an empty list of optimizers",
                "schedule() received the same optimizer twice",
                "True [0.1]",
            ],
        )


class OptimizersInTorch(Optimizers):
    fake = False


class Order(Scripts):
    LOOP = """
        optimizer = torch.optim.SGD([weight()], lr=0.1)
        scheduler = trial.schedule(optimizer)
        """

    def test_a_scheduler_ahead_of_the_updates_is_an_error_at_the_first_update(self) -> None:
        cases = {
            # Before the first update; twice after it; once for each of two accumulated batches.
            0: "scheduler.step()",
            1: "update(optimizer); scheduler.step(); scheduler.step()",
            2: "[(batch % 2 and update(optimizer), scheduler.step()) for batch in range(1, 9)]",
        }
        for step, body in cases.items():
            with self.subTest(body):
                outcome = self.outcome(self.LOOP, body)
                self.assertEqual(outcome.code, 1)
                at = min(step, 1)
                self.assertIn(f"is ahead of the updates: the update of step {at} has not been made", outcome.err)
                self.assertIn("once after each optimizer.step()", outcome.err)

    PREPARED = """
        import types
        accelerate = types.ModuleType("accelerate.scheduler")
        exec("def step(scheduler, processes):\\n    for _ in range(processes): scheduler.step()", accelerate.__dict__)
        """

    def test_accelerate_may_step_a_prepared_scheduler_once_for_each_process(self) -> None:
        body = "for step in trial.steps(): update(optimizer); print(lrs(optimizer)); accelerate.step(scheduler, 3)"
        self.close(self.prints(self.LOOP, self.PREPARED, body), [[lr] for lr in COSINE])
        # Before the first update there is nothing to repeat.
        outcome = self.outcome(self.LOOP, self.PREPARED, "accelerate.step(scheduler, 1)")
        self.assertIn("is ahead of the updates: the update of step 0", outcome.err)

    def test_one_step_too_many_at_the_end(self) -> None:
        outcome = self.outcome(
            self.LOOP,
            """
        for step in trial.steps():
            update(optimizer)
            scheduler.step()
        scheduler.step()
        """
        )
        self.assertIn("all 8 steps of the trial are done: this scheduler.step() is one too many", outcome.err)

    SKIPS = """
        parameter = optimizer.param_groups[0]["params"][0]
        for step in trial.steps():
            if step in (0, 3):
                parameter.grad = torch.tensor(float("inf"))
            else:
                update(optimizer)
            REPORT
        print(lrs(optimizer))
        """
    BEFORE = "trial.log(step, train_loss=1); trial.log(step, valid_loss=1); scheduler.step()"
    AFTER = "scheduler.step(); trial.log(step, train_loss=1, valid_loss=1)"

    def test_an_update_that_a_loss_scaler_skips_counts_as_a_step(self) -> None:
        for report in (self.BEFORE, self.AFTER):
            outcome = self.outcome(self.LOOP, self.SKIPS.replace("REPORT", report))
            self.assertEqual((outcome.code, outcome.err), (0, ""))
            lrs = {line["step"]: line["lr"] for line in outcome.lines if "lr" in line}
            self.assertEqual(lrs, {step: lr for step, lr in enumerate(COSINE) if step not in (0, 3)})

    def test_a_loop_may_repeat_an_update_that_a_loss_scaler_skips(self) -> None:
        repeats = """
        parameter, step, at = optimizer.param_groups[0]["params"][0], 0, 0
        while step < trial.total_steps:
            if at in (0, 3, 4):
                parameter.grad = torch.tensor(float("inf"))
            else:
                update(optimizer)
            at += 1
            if scheduler.skipped:
                continue
            trial.log(step, train_loss=1)
            scheduler.step()
            step += 1
        print(at)
        """
        for answer in (None, lambda question: (COSINE[question["ask"]], None)):
            outcome = self.outcome(self.LOOP, repeats, parent=Parent(COSINE, answer=answer))
            self.assertEqual((outcome.code, outcome.err, outcome.out), (0, "", f"{STEPS + 3}\n"))
            self.assertEqual([line["lr"] for line in outcome.lines], COSINE)
            asked = [line["ask"] for line in outcome.all if "ask" in line]
            self.assertEqual(asked, [] if answer is None else list(range(STEPS)))

    def test_the_closed_loop_lr_of_a_skipped_update_is_requested(self) -> None:
        for report in (self.BEFORE, self.AFTER):
            parent = Parent(COSINE, answer=lambda question: (0.5, None))
            outcome = self.outcome(self.LOOP, self.SKIPS.replace("REPORT", report), parent=parent)
            self.assertEqual((outcome.code, outcome.err), (0, ""))
            asked = [line["ask"] for line in outcome.all if "ask" in line]
            self.assertEqual(asked, list(range(8)))

    def test_the_lr_that_the_optimizer_used_is_reported_once_per_step(self) -> None:
        outcome = self.outcome(
            self.LOOP,
            """
        for step in trial.steps():
            if step % 2:
                trial.log(step, train_loss=1)
            update(optimizer)
            trial.log(step, train_loss=1)
            scheduler.step()
            trial.log(step, grad_norm=1)
        """
        )
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        self.assertEqual([line["lr"] for line in outcome.lines if "lr" in line], COSINE)

    def test_an_lr_that_differs_from_the_schedule_is_refused(self) -> None:
        # Other code changes the lr between the scheduler and the update.
        outcome = self.outcome(
            self.LOOP,
            """
        def other(optimizer, *_):
            optimizer.param_groups[0]["lr"] = 0.5
        optimizer.register_step_pre_hook(other)
        update(optimizer)
        trial.log(0, train_loss=1)
        """
        )
        self.assertIn("the update of step 0 used the lr 0.5, but the schedule has 0.1 there", outcome.err)
        self.assertEqual(outcome.lines, [])

    def test_an_evaluation_at_the_top_of_the_loop(self) -> None:
        # The order of nanoGPT, with and without an evaluation at the first step.
        for when, words in [("True", "no evaluation before the first update"), ("step > 0", "as step 3")]:
            outcome = self.outcome(
                self.LOOP,
                f"""
        for step in trial.steps():
            if step % 4 == 0 and {when}:
                trial.log(step, train_loss=1, valid_loss=1)
            update(optimizer)
            scheduler.step()
        """
            )
            self.assertIn("is reported before the update of step", outcome.err)
            self.assertIn(words, outcome.err)
            self.assertEqual(outcome.lines, [])

    def test_finish_before_the_last_update(self) -> None:
        outcome = self.outcome(
            self.LOOP,
            """
        for step in range(7):
            update(optimizer)
            scheduler.step()
        trial.finish(1)
        """
        )
        self.assertIn("valid_loss of the last step, 7, is reported before its update: train all 8 steps", outcome.err)


class OrderInTorch(Order):
    fake = False

    def test_a_real_loss_scaler(self) -> None:
        outcome = self.outcome(
            self.LOOP,
            """
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
        parameter = optimizer.param_groups[0]["params"][0]
        used = []
        for step in trial.steps():
            optimizer.zero_grad()
            loss = (parameter * 16) ** 2
            scaler.scale(loss).backward()
            used.append(lrs(optimizer)[0])
            scaler.step(optimizer)
            scaler.update()
            trial.log(step, train_loss=loss)
            scheduler.step()
        print(used)
        """
        )
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        self.close(outcome.out.splitlines(), [COSINE])
        self.assertLess(len([line for line in outcome.lines if "lr" in line]), 8)


if __name__ == "__main__":
    unittest.main()
