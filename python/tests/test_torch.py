"""The PyTorch scheduler. All tests are skipped if torch is not installed."""

from __future__ import annotations

import importlib.util
import unittest

from parent import Parent

BEGIN = """
    import torch
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    def update(optimizer):
        for weight in weights:
            weight.grad = torch.ones(1)
        optimizer.step()
    def lrs(optimizer):
        return [group["lr"] for group in optimizer.param_groups]
"""


@unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed")
class Torch(unittest.TestCase):
    def prints(self, parent: Parent, script: str) -> list[str]:
        outcome = parent.run(BEGIN.replace("\n    ", "\n") + script.replace("\n            ", "\n"))
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        return outcome.out.splitlines()

    def test_each_update_has_its_lr(self) -> None:
        with Parent() as parent:
            out = self.prints(
                parent,
                """
            optimizer = torch.optim.SGD(weights, lr=123.0)
            scheduler = trial.schedule(optimizer)
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
            for step in trial.steps():
                print(lrs(optimizer), scheduler.get_last_lr())
                before = weights[0].item()
                update(optimizer)
                print(round(before - weights[0].item(), 5))
                scheduler.step()
            print(lrs(optimizer))
            try:
                update(optimizer)
            except RuntimeError as error:
                print(error)
            """,
            )
        wanted = []
        for lr in (0.1, 0.2, 0.3, 0.4, 0.5):
            wanted += [f"[{lr}] [{lr}]", str(lr)]
        self.assertEqual(out, [*wanted, "[0.5]", "all 5 steps of the trial are done: this optimizer.step() is one too many"])

    def test_a_scheduler_that_lags_behind_is_an_error(self) -> None:
        # A scheduler that is stepped once per epoch of two updates, as is usual; and a run that ends before its last step.
        for last, every in [(5, 2), (3, 1)]:
            with Parent() as parent:
                out = self.prints(
                    parent,
                    f"""
            optimizer = torch.optim.SGD(weights, lr=1.0)
            scheduler = trial.schedule(optimizer)
            try:
                for step in range({last}):
                    update(optimizer)
                    trial.log(step, train_loss=1)
                    if step % {every} == 0:
                        scheduler.step()
                trial.finish(1)
            except ValueError as error:
                print(error)
            """,
                )
            self.assertEqual(len(out), 1)
            step, at = (2, 1) if every == 2 else (4, 3)
            self.assertIn(f"step {step} is reported, but the scheduler is at step {at}", out[0])

    def test_groups_keep_their_ratios(self) -> None:
        with Parent() as parent:
            out = self.prints(
                parent,
                """
            optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.25}], lr=0.5)
            scheduler = trial.schedule(optimizer)
            print(lrs(optimizer))
            update(optimizer)
            scheduler.step()
            print(lrs(optimizer))
            """,
            )
        self.assertEqual(
            out,
            [
                "[0.1, 0.05]",
                "[0.2, 0.1]",
            ],
        )

    def test_an_lr_in_a_tensor(self) -> None:
        with Parent() as parent:
            out = self.prints(
                parent,
                """
            lr = torch.tensor(9.0, dtype=torch.float64)
            optimizer = torch.optim.Adam(weights, lr=lr, capturable=False, foreach=False)
            scheduler = trial.schedule(optimizer)
            update(optimizer)
            scheduler.step()
            print(optimizer.param_groups[0]["lr"] is lr, lr.item())
            """,
            )
        self.assertEqual(out, ["True 0.2"])

    def test_the_momentum_follows_the_schedule(self) -> None:
        with Parent(momenta=[0.9, 0.8, 0.7, 0.6, 0.5]) as parent:
            out = self.prints(
                parent,
                """
            sgd, adam = torch.optim.SGD(weights, lr=1, momentum=0.3), torch.optim.AdamW(weights, betas=(0.3, 0.95))
            schedulers = [trial.schedule(sgd), trial.schedule(adam)]
            print(sgd.param_groups[0]["momentum"], adam.param_groups[0]["betas"])
            for scheduler, optimizer in zip(schedulers, (sgd, adam)):
                update(optimizer)
                scheduler.step()
            print(sgd.param_groups[0]["momentum"], adam.param_groups[0]["betas"])
            try:
                trial.schedule(torch.optim.Adagrad(weights))
            except ValueError as error:
                print(error)
            """,
            )
        self.assertEqual(
            out,
            [
                "0.9 (0.9, 0.95)",
                "0.8 (0.8, 0.95)",
                "the schedule sets the momentum, but Adagrad has neither `betas` nor `momentum`",
            ],
        )

    def test_a_resumed_trial_starts_at_its_step(self) -> None:
        save = """
            optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 1.0}], lr=2.0)
            scheduler = trial.schedule(optimizer)
            for step in range(3):
                update(optimizer)
                if step == 2:
                    # After the update and before scheduler.step(): the states are one step behind.
                    torch.save({"o": optimizer.state_dict(), "s": scheduler.state_dict()}, trial.checkpoints / "x")
                scheduler.step()
            print(trial.checkpoints / "x", lrs(optimizer))
            """
        load = """
            saved = torch.load(trial.resume.path)
            for order in ("os", "so", "s", "o", "oS"):
                optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 1.0}], lr=2.0)
                scheduler = trial.schedule(optimizer) if order != "oS" else None
                if "o" in order:
                    optimizer.load_state_dict(saved["o"])
                if "s" in order:
                    scheduler.load_state_dict(saved["s"])
                if "S" in order:
                    scheduler = trial.schedule(optimizer)
                update(optimizer)
                print(order, lrs(optimizer), scheduler.last_epoch)
            """
        # An lr of 0 in the saved state gives no ratio.
        lrs_of_both = [0.1, 0.2, 0.0, 0.4, 0.5]
        with Parent(lrs_of_both) as first:
            path, lrs = self.prints(first, save)[0].split(" ", 1)
            self.assertEqual(lrs, "[0.4, 0.2]")
            with Parent(lrs_of_both, resume={"step": 3, "path": path}) as second:
                out = self.prints(second, load)
        self.assertEqual(out, [f"{order} [0.4, 0.2] 3" for order in ("os", "so", "s", "o", "oS")])

    def test_a_loaded_state_sets_the_step_unless_the_trial_is_resumed(self) -> None:
        with Parent() as parent:
            out = self.prints(
                parent,
                """
            optimizer = torch.optim.SGD(weights, lr=1.0)
            scheduler = trial.schedule(optimizer)
            update(optimizer)
            scheduler.step()
            state = scheduler.state_dict()
            update(optimizer)
            scheduler.step()
            scheduler.load_state_dict(state)
            print(lrs(optimizer), scheduler.last_epoch)
            """,
            )
        self.assertEqual(out, ["[0.2] 1"])

    def test_a_closed_loop_schedule_requests_the_lr_when_the_update_begins(self) -> None:
        with Parent(answer=lambda question: (0.1 * (question["ask"] + 1), 0.5)) as parent:
            outcome = parent.run(
                (
                    BEGIN
                    + """
    optimizer = torch.optim.SGD(weights, lr=1.0, momentum=0.9)
    scheduler = trial.schedule(optimizer)
    for step in trial.steps():
        if step == 1:
            scheduler.tell(train_loss=torch.tensor(0.25), grad_norm=2)
        update(optimizer)
        assert lrs(optimizer) == [0.1 * (step + 1)] and optimizer.param_groups[0]["momentum"] == 0.5
        # `step()` and `log` in both orders.
        if step % 2:
            scheduler.step()
        trial.log(step, train_loss=weights[0])
        if not step % 2:
            scheduler.step()
    """
                ).replace("\n    ", "\n")
            )
        self.assertEqual((outcome.code, outcome.err), (0, ""))
        self.assertEqual([line.get("ask") for line in outcome.all], [0, None, 1, None, 2, None, 3, None, 4, None])
        self.assertEqual(outcome.all[2], {"ask": 1, "train_loss": 0.25, "grad_norm": 2.0})
        self.assertEqual(outcome.all[4], {"ask": 2})

    def test_a_closed_loop_schedule_needs_the_report_of_the_previous_step(self) -> None:
        with Parent(answer=lambda question: (0.1, None)) as parent:
            outcome = parent.run(
                (
                    BEGIN
                    + """
    optimizer = torch.optim.SGD(weights, lr=1.0)
    scheduler = trial.schedule(optimizer)
    update(optimizer)
    scheduler.step()
    update(optimizer)
    """
                ).replace("\n    ", "\n")
            )
        self.assertIn("ValueError: the lr of step 1 depends on earlier reports, but step 0", outcome.err)

    def test_tensors_are_numbers(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import torch
                trial.log(0, train_loss=torch.tensor(0.5, requires_grad=True), grad_norm=torch.ones(1, 1))
                try:
                    trial.log(1, train_loss=torch.ones(2))
                except TypeError as error:
                    print(error)
                """
            )
        self.assertEqual(outcome.lines, [{"step": 0, "train_loss": 0.5, "grad_norm": 1.0}])
        self.assertIn("train_loss must be one number, not Tensor", outcome.out)


if __name__ == "__main__":
    unittest.main()
