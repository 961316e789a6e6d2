"""Trials whose lr depends on reported metrics: requests, answers, and their order."""

from __future__ import annotations

import os
import select
import signal
import unittest
from typing import Any, Optional

from parent import Parent


def halves(question: dict[str, Any]) -> tuple[float, Optional[float]]:
    """An lr with many digits, and no momentum."""
    return 1 / 3 / 2 ** question["ask"], None


class ClosedLoop(unittest.TestCase):
    def test_the_lr_of_each_step_is_requested_once_and_in_order(self) -> None:
        with Parent(answer=halves) as parent:
            outcome = parent.run(
                """
                for step in trial.steps():
                    lr = trial.lr(step)
                    assert lr == trial.lr(step) == 1 / 3 / 2 ** step
                    assert trial.momentum(step) is None
                    trial.log(step, train_loss=lr)
                    assert lr == trial.lr(step)
                trial.finish(1)
                """
            )
        self.assertEqual(outcome.code, 0, outcome.err)
        wanted: list[dict[str, object]] = []
        for step in range(5):
            wanted += [{"ask": step}, {"step": step, "train_loss": 1 / 3 / 2**step}]
        self.assertEqual(outcome.all, [*wanted, {"step": 4, "valid_loss": 1.0}])

    def test_a_request_may_hold_metrics_of_the_batch(self) -> None:
        with Parent(answer=lambda question: (question["train_loss"] / question["grad_norm"], 0.85)) as parent:
            outcome = parent.run("print(trial.lr(0, train_loss=3, grad_norm=2.0), trial.momentum(0))")
        self.assertEqual(outcome.out.split(), ["1.5", "0.85"], outcome.err)
        self.assertEqual(outcome.all, [{"ask": 0, "train_loss": 3.0, "grad_norm": 2.0}])

    def test_requests_and_reports_out_of_order_are_refused(self) -> None:
        with Parent(answer=halves) as parent:
            outcome = parent.run(
                """
                def refused(action):
                    try:
                        action()
                    except ValueError as error:
                        print(error)
                    else:
                        print("no error")
                trial.lr(0)
                refused(lambda: trial.lr(1))
                trial.log(0, train_loss=1)
                trial.lr(1)
                refused(lambda: trial.lr(0))
                refused(lambda: trial.lr(3))
                trial.log(1, train_loss=1)
                trial.log(2, train_loss=1)
                refused(lambda: trial.lr(2))
                trial.log(4, train_loss=1)
                refused(lambda: trial.lr(4))
                (trial.checkpoints / "x").touch()
                """
            )
        self.assertEqual(
            outcome.out.splitlines(),
            [
                "the lr of step 1 depends on earlier reports, but step 0 was not reported yet",
                "step 0 was reported before its lr was read: call lr() first, then report the step",
                "the lr of step 3 depends on earlier reports, but step 1 was not reported yet",
                "step 2 was reported before its lr was read: call lr() first, then report the step",
                "the lr of step 4 depends on earlier reports, but step 3 was not reported yet",
            ],
            outcome.err,
        )

    def test_a_checkpoint_needs_the_report_of_its_step(self) -> None:
        with Parent(answer=halves) as parent:
            outcome = parent.run(
                """
                path = trial.checkpoints / "x"
                path.touch()
                trial.log(0, train_loss=1)
                trial.checkpoint(1, path)
                """
            )
        self.assertIn("step 1 must be reported before the checkpoint after step 1", outcome.err)

    def test_a_resumed_trial_requests_its_first_step(self) -> None:
        with Parent(answer=halves, resume={"step": 3, "path": "/some/where"}) as parent:
            outcome = parent.run(
                """
                for step in trial.steps():
                    trial.lr(step)
                    trial.log(step, train_loss=1)
                """
            )
        self.assertEqual([line.get("ask") for line in outcome.all], [3, None, 4, None], outcome.err)

    def test_an_invalid_answer_is_an_error(self) -> None:
        def other(question: dict[str, Any]) -> tuple[float, Optional[float]]:
            question["ask"] += 1
            return 0.1, None

        with Parent(answer=other) as parent:
            outcome = parent.run("trial.lr(0)")
        self.assertIn("RuntimeError: sweep sent an invalid answer to the request for the lr of step 0", outcome.err)

    def test_no_answer_comes_because_sweep_died(self) -> None:
        with Parent(answer=halves) as parent:
            child = parent.start("print('ready', flush=True)\ntrial.lr(0)")
            parent.wait_for(child, "ready")
            # The program can open the pipes, and then `sweep` ends.
            while not select.select([parent._report], [], [], 0.1)[0]:
                pass
            parent.die()
            outcome = parent.wait(child)
        self.assertEqual(outcome.code, 1)
        self.assertEqual(outcome.err, "sweep_trial: sweep no longer answers; this program ends\n")

    def test_no_answer_comes_because_sweep_died_before_it_opened_the_pipe(self) -> None:
        with Parent(answer=halves) as parent:
            os.close(parent._answers)
            parent._answers = -1
            child = parent.start("trial.lr(0)")
            while not select.select([parent._report], [], [], 0.1)[0]:
                pass
            os.read(parent._report, 100)
            parent.die()
            outcome = parent.wait(child, timeout=20)
        self.assertEqual((outcome.code, outcome.err), (1, "sweep_trial: sweep no longer answers; this program ends\n"))

    def test_sigterm_does_not_interrupt_a_request(self) -> None:
        with Parent(answer=halves) as parent:
            child = parent.start(
                """
                trial.stop_requested
                print("ready", flush=True)
                print(trial.lr(0), trial.stop_requested)
                """
            )
            parent.wait_for(child, "ready")
            os.kill(child.pid, signal.SIGTERM)
            outcome = parent.wait(child)
        self.assertEqual(outcome.out.split()[-2:], [repr(1 / 3), "True"], outcome.err)

    def test_optax_refuses_closed_loop_schedules(self) -> None:
        with Parent(answer=halves) as parent:
            outcome = parent.run("trial.optax_schedule()")
        self.assertIn("RuntimeError: the lr of a closed-loop schedule is not known", outcome.err)
        self.assertIn("inject_hyperparams", outcome.err)


if __name__ == "__main__":
    unittest.main()
