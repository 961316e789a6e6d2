"""Several processes that train one trial: rank 0 reports, and all use the same lrs and stop at the same step.

Each test runs with the small torch of `fake/`, and also with torch if it is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import unittest
from typing import Any, Optional

from parent import SOURCE, Outcome, Parent
from test_scheduler import BEGIN, FAKE, Scripts

TWO = """
import os, sys
import torch.distributed as dist
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
optimizer = torch.optim.SGD([weight()], lr=9.0, momentum=0.5)
scheduler = trial.schedule(optimizer)
"""

LOOP = """
for step in trial.steps():
    update(optimizer)
    print(float(optimizer.param_groups[0]["lr"]).hex(), optimizer.param_groups[0]["momentum"])
    trial.log(step, train_loss=step + 100 * rank)
    scheduler.step()
    if trial.evaluates(step):
        trial.log(step, valid_loss=1 + rank)
assert trial.is_main_process == (rank == 0)
dist.destroy_process_group()
trial.finish(1 + rank)
"""

#: Not exact in decimal digits.
LRS = [0.1 + 0.2, 1 / 3, 1e-17, 0.7, 0.3 - 0.1]


def answered(question: dict[str, Any]) -> tuple[float, Optional[float]]:
    return LRS[question["ask"]], 0.5 + question["ask"] / 16


class Ranks(Scripts):
    def started(self, parent: Parent, *parts: str) -> list[subprocess.Popen[str]]:
        """Both processes of a trial."""
        if self.fake:
            parent.env["PYTHONPATH"] = os.pathsep.join([str(FAKE), str(SOURCE)])
        text = BEGIN + TWO + "\n".join(map(textwrap.dedent, parts))
        return [parent.start(text, str(rank), str(parent.root / "group")) for rank in (0, 1)]

    def both(self, parent: Parent, *parts: str) -> tuple[Outcome, Outcome]:
        with parent:
            first, second = self.started(parent, *parts)
            outcome = parent.wait(first)
            out, err = second.communicate(timeout=60)
        return outcome, Outcome(second.returncode, out, err)

    def check(self, parent: Parent, *parts: str) -> Outcome:
        first, second = self.both(parent, *parts)
        self.assertEqual((first.code, second.code), (0, 0), first.err + second.err)
        self.assertEqual(first.out, second.out)
        self.assertEqual([float.fromhex(line.split()[0]) for line in first.out.splitlines()], LRS)
        self.assertEqual([(line["step"], line["train_loss"]) for line in first.lines if "train_loss" in line], [*zip(range(5), range(5))])
        self.assertEqual([(line["step"], line["valid_loss"]) for line in first.lines if "valid_loss" in line], [(1, 1), (3, 1), (4, 1), (4, 1)])
        self.assertEqual([line["lr"] for line in first.lines if "lr" in line], LRS)
        return first

    def test_rank_0_reports_and_all_use_the_lrs_of_the_file(self) -> None:
        self.check(Parent(LRS, momenta=[0.5] * 5), LOOP)

    def test_rank_0_requests_the_lr_and_sends_it_to_the_others(self) -> None:
        for loop in (LOOP, LOOP.replace("    trial.log(step, train", "    if rank == 0: trial.log(step, train")):
            outcome = self.check(Parent(LRS, answer=answered), loop)
            self.assertEqual([line["ask"] for line in outcome.all if "ask" in line], list(range(5)))
            self.assertEqual([float(line.split()[1]) for line in outcome.out.splitlines()], [0.5 + step / 16 for step in range(5)])

    def test_all_stop_at_the_step_at_which_rank_0_stops(self) -> None:
        stops = """
            for step in trial.steps():
                assert not trial.stop_requested
                update(optimizer)
                trial.log(step, train_loss=1)
                scheduler.step()
                if trial.stop_requested:
                    path = trial.checkpoints / "last"
                    if trial.is_main_process:
                        path.write_text("x")
                    trial.checkpoint(step, path)
                    print("stopped after", step)
                    raise SystemExit(143)
            """
        children: list[subprocess.Popen[str]] = []

        def answer(question: dict[str, Any]) -> tuple[float, Optional[float]]:
            # Rank 1 gets no signal.
            if question["ask"] == 2:
                children[0].send_signal(signal.SIGTERM)
            return answered(question)

        with Parent(LRS, answer=answer) as parent:
            children += self.started(parent, stops)
            first = parent.wait(children[0])
            out, err = children[1].communicate(timeout=60)
        self.assertEqual((first.code, children[1].returncode), (143, 143), first.err + err)
        self.assertEqual((first.out, out), ("stopped after 2\n", "stopped after 2\n"))
        self.assertEqual([line["step"] for line in first.lines if "checkpoint" in line], [2])

    def test_without_a_group_the_lr_of_rank_0_is_unknown(self) -> None:
        parent = Parent(LRS, answer=answered)
        parent.env.update(RANK="1", WORLD_SIZE="2", TORCHELASTIC_RUN_ID="x")
        outcome = self.outcome("print(trial.is_main_process); trial.lr(0)", parent=parent)
        self.assertEqual(outcome.out, "False\n")
        self.assertIn("there is no process group: call torch.distributed.init_process_group()", outcome.err)

    def test_ranks_of_another_launcher_are_not_ours(self) -> None:
        # A job of a cluster may have such variables, and start `sweep`.
        parent = Parent(LRS)
        parent.env.update(RANK="1", WORLD_SIZE="2")
        outcome = self.outcome("trial.log(0, train_loss=1)", parent=parent)
        self.assertEqual(outcome.lines, [{"step": 0, "train_loss": 1.0}])


class RanksInTorch(Ranks):
    fake = False


class Launcher(unittest.TestCase):
    @unittest.skipUnless(os.path.isdir("/proc/self"), "needs Linux")
    def test_a_process_ends_with_its_launcher(self) -> None:
        script = """
            import os, subprocess, sys
            if sys.argv[1:] == []:
                # A separate session, as torchrun makes it.
                environment = {**os.environ, "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}
                subprocess.Popen([sys.executable, __file__, "child"], env=environment, start_new_session=True).wait()
            print("ready", flush=True)
            import time
            time.sleep(600)
            """
        with Parent(LRS) as parent:
            launcher = parent.start(script)
            parent.wait_for(launcher, "ready")
            launcher.kill()
            # Ends only when the child has closed its end.
            out, err = launcher.communicate(timeout=60)
        self.assertEqual((out, err), ("", ""))


if __name__ == "__main__":
    unittest.main()
