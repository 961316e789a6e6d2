"""Runs the examples as trials of a sweep and standalone. Examples of missing frameworks are skipped."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, TypeVar

from parent import SOURCE, Parent

EXAMPLES = SOURCE.parent / "examples"
DATA = SOURCE.parent.parent / "data" / "mnist"
STEPS = 20
Test = TypeVar("Test", bound=Callable[..., None])
#: Two processes on one machine.
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
LRS = [0.05 * (1 - step / STEPS) for step in range(STEPS)]


def needs(*names: str) -> Callable[[Test], Test]:
    missing = [name for name in names if not importlib.util.find_spec(name)]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


def trial(lrs: list[float] = LRS, **more: Any) -> Parent:
    params = {"data": str(DATA), **more.pop("params", {})}
    return Parent(lrs, evaluate_every=8, params=params, **more)


def slower(question: dict[str, Any]) -> tuple[float, Optional[float]]:
    return LRS[question["ask"]], None


@unittest.skipUnless(DATA.is_dir(), "data/mnist does not exist")
class Examples(unittest.TestCase):
    def check(self, lines: list[dict[str, Any]]) -> None:
        """Checks the reports that every example must send."""
        self.assertEqual([line["step"] for line in lines if "train_loss" in line], list(range(STEPS)))
        valid = [line["step"] for line in lines if "valid_loss" in line]
        self.assertEqual(sorted(set(valid)), [7, 15, 19])
        self.assertEqual(lines[-1]["step"], STEPS - 1)
        self.assertIn("test_loss", lines[-1])
        losses = [line["train_loss"] for line in lines if "train_loss" in line]
        self.assertLess(sum(losses[-5:]), sum(losses[:5]))

    def trains(self, name: str, launcher: Sequence[str] = (), params: Optional[dict[str, Any]] = None, **env: str) -> None:
        """Runs an example twice open-loop and once closed-loop with the same lrs, and expects the same reports."""
        reports = []
        for answer in (None, None, slower):
            with trial(answer=answer, params=params or {}) as parent:
                parent.env.update(env)
                parent.launcher = launcher
                outcome = parent.run(EXAMPLES / name)
            self.assertEqual(outcome.code, 0, outcome.err)
            self.check(outcome.lines)
            reports.append(outcome.lines)
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(reports[0], reports[2])

    def stops(self, name: str, launcher: Sequence[str] = (), code: Optional[int] = 143) -> None:
        """Stops an example, resumes from its checkpoint, and expects the reports of an uninterrupted run."""
        with trial() as parent:
            parent.launcher = launcher
            wanted = parent.run(EXAMPLES / name).lines
        # The signal is sent before the answer for step 9, so the example still runs at that time.
        with trial(answer=slower) as first:
            child: subprocess.Popen[str]

            def answer(question: dict[str, Any]) -> tuple[float, Optional[float]]:
                if question["ask"] == 9:
                    os.kill(child.pid, signal.SIGTERM)
                return slower(question)

            first.answer = answer
            first.launcher = launcher
            child = first.start(EXAMPLES / name)
            outcome = first.wait(child)
            if code is not None:
                self.assertEqual(outcome.code, code, outcome.err)
            last = outcome.lines[-1]
            self.assertEqual((last["step"], sorted(last)), (9, ["checkpoint", "step"]))
            with trial(resume={"step": 10, "path": last["checkpoint"]}) as second:
                second.launcher = launcher
                rest = second.run(EXAMPLES / name)
        self.assertEqual(rest.code, 0, rest.err)
        self.assertEqual(outcome.lines[:-1] + rest.lines, wanted)

    def by_hand(self, name: str) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("SWEEP_")}
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name)],
            cwd=DATA.parent.parent,
            env={**env, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertIn("step 299 of 299: valid loss 0.", done.stderr)

    @needs("numpy")
    def test_numpy(self) -> None:
        self.trains("numpy_logistic.py")
        self.stops("numpy_logistic.py")
        self.by_hand("numpy_logistic.py")

    @needs("numpy")
    def test_numpy_writes_checkpoints_during_training(self) -> None:
        with trial(params={"checkpoint_every": 5}) as parent:
            outcome = parent.run(EXAMPLES / "numpy_logistic.py")
        self.assertEqual([line["step"] for line in outcome.lines if "checkpoint" in line], [4, 9, 14], outcome.err)

    @needs("numpy", "torch")
    def test_pytorch(self) -> None:
        self.trains("pytorch_cnn.py")
        self.stops("pytorch_cnn.py")

    @needs("numpy", "torch")
    def test_ddp(self) -> None:
        self.trains("ddp_mlp.py", launcher=TWO)
        # torchrun passes the signal to both processes, and has its own exit code.
        self.stops("ddp_mlp.py", launcher=TWO, code=None)

    @needs("numpy", "torch", "accelerate")
    def test_accelerate(self) -> None:
        self.trains("accelerate_mlp.py", params={"scale": 127})
        self.trains("accelerate_mlp.py", params={"scale": 127}, launcher=TWO)
        self.trains("accelerate_mlp.py", params={"scale": 127, "prepared": False}, launcher=TWO)

    @needs("numpy", "torch", "lightning")
    def test_lightning(self) -> None:
        self.trains("lightning_mlp.py")
        self.trains("lightning_mlp.py", params={"manual": True})
        self.trains("lightning_mlp.py", params={"devices": 2}, launcher=TWO)

    @needs("torch")
    def test_nanogpt(self) -> None:
        if not hasattr(importlib.import_module("torch.optim"), "Muon"):
            self.skipTest("PyTorch has no Muon")
        text = DATA.parent / "emma" / "emma.txt.gz"
        lrs = [0.003] * STEPS
        for params in ({}, {"bfloat16": False}):
            with Parent(lrs, evaluate_every=8, params={"text": str(text), **params}) as parent:
                outcome = parent.run(EXAMPLES / "nanogpt.py")
                self.assertTrue((parent.root / "outputs/model.pt").is_file())
            self.assertEqual(outcome.code, 0, outcome.err)
            losses = [line["train_loss"] for line in outcome.lines if "train_loss" in line]
            self.assertLess(sum(losses[-5:]), sum(losses[:5]))
            self.assertEqual([line["lr"] for line in outcome.lines if "lr" in line], lrs)

    @needs("numpy", "jax", "optax")
    def test_jax(self) -> None:
        self.trains("jax_mlp.py")

    @needs("numpy", "jax", "keras")
    def test_keras(self) -> None:
        self.trains("keras_mlp.py", KERAS_BACKEND="jax")

    @needs("torch", "transformers", "accelerate")
    def test_transformers(self) -> None:
        self.trains("transformers_trainer.py")


class Pages(unittest.TestCase):
    DIFF = re.compile(r"^<!-- diff: (\S+) -->\n```diff\n(.*?)^```$", re.DOTALL | re.MULTILINE)

    def test_the_diffs_of_the_pages_are_those_of_the_examples(self) -> None:
        root, shown = SOURCE.parent.parent, set()
        for page in sorted((root / "docs/how-to").glob("*.md")):
            for name, diff in self.DIFF.findall(page.read_text()):
                shown.add(Path(name).name)
                rest = iter((root / name).read_text().splitlines())
                for line in diff.splitlines():
                    if line.startswith(("+", " ")):
                        self.assertIn(line[1:], rest, f"{page.name}: not in {name}, or in another order")
        self.assertGreaterEqual(shown, {path.name for path in EXAMPLES.glob("*.py")} - self.NO_DIFF)

    #: Numbers without a framework are on docs/how-to/other-frameworks.md, PyTorch's five lines on pytorch-script.md.
    NO_DIFF = {"mnist.py", "numpy_logistic.py", "pytorch_cnn.py"}


if __name__ == "__main__":
    unittest.main()
