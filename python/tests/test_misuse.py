"""Mistakes of programs and their errors, in this process with a reporter that only records."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

import parent as fake
from sweep_trial import _facts, _trial
from sweep_trial._npy import Values
from sweep_trial._rates import Computed, Listed
from sweep_trial._reporters import Fields


class Memory:
    def __init__(self) -> None:
        self.lines: list[tuple[int, Fields]] = []

    def report(self, step: int, fields: Fields) -> None:
        self.lines.append((step, fields))

    def keep(self, step: int, checkpoint: str) -> None:
        self.report(step, {"checkpoint": checkpoint})


class OneElement:
    """Like a tensor: `float()` accepts it if it holds one number, and otherwise raises the error of frameworks."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def __float__(self) -> float:
        if len(self.values) != 1:
            raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")
        return self.values[0]


class Index:
    """Like a numpy integer."""

    def __index__(self) -> int:
        return 1


class Misuse(unittest.TestCase):
    def setUp(self) -> None:
        self.memory = Memory()
        self.trial = self.make()

    def make(self, **changes: Any) -> _trial.Trial:
        facts: dict[str, Any] = {
            "id": "t1",
            "seed": 0,
            "schedule_name": "x",
            "base_lr": 0.1,
            "total_steps": 10,
            "steps_per_epoch": None,
            "evaluate_every": 4,
            "closed_loop": False,
            "params": {},
            "checkpoints": None,
            "in_sweep": False,
            "resume": None,
            **changes,
        }
        return _trial.Trial(_facts.Facts(**facts), Computed(0.1), self.memory)

    def refused(self, kind: type[Exception], words: str, action: Callable[..., Any], *args: Any, **more: Any) -> None:
        before = list(self.memory.lines)
        with self.assertRaisesRegex(kind, words):
            action(*args, **more)
        self.assertEqual(self.memory.lines, before)

    def test_numbers(self) -> None:
        log = self.trial.log
        self.refused(ValueError, "step 0 is reported without a metric", log, 0)
        self.refused(TypeError, "train_loss must be a number, not '0.5'", log, 0, train_loss="0.5")
        self.refused(TypeError, "valid_accuracy must be a number, not True", log, 0, valid_accuracy=True)
        self.refused(TypeError, "grad_norm must be one number, not list", log, 0, grad_norm=[1.0])
        self.refused(TypeError, "grad_norm must be one number, not complex", log, 0, grad_norm=1j)
        self.refused(TypeError, "valid_loss must be one number, not OneElement", log, 0, valid_loss=OneElement(1, 2))
        self.refused(TypeError, "weights_hash must be a string, not b'ab'", log, 9, weights_hash=b"ab")
        self.refused(ValueError, "the metric 'loss' is ambiguous: write train_loss or valid_loss", log, 0, loss=1.0)
        for name in ("valid_accuracy", "test_accuracy"):
            self.refused(ValueError, "between 0 and 1, not 78.2: 78.2 percent is 0.782", log, 9, **{name: 78.2})
            self.refused(ValueError, "between 0 and 1, not -0.5$", log, 9, **{name: -0.5})
            self.refused(ValueError, "between 0 and 1, not 300$", self.trial.finish, 1, **{name: OneElement(300.0)})
        self.refused(ValueError, "grad_norm must be at least 0, not -1", log, 0, grad_norm=-1)
        log(0, train_loss=OneElement(0.25), grad_norm=3)
        self.assertEqual(self.memory.lines, [(0, {"train_loss": 0.25, "grad_norm": 3.0})])

    def test_steps(self) -> None:
        log = self.trial.log
        self.refused(TypeError, "step must be a whole number, not 1.0", log, 1.0, train_loss=1)
        self.refused(TypeError, "step must be a whole number, not True", log, True, train_loss=1)
        self.refused(ValueError, "step 10 is out of range: this trial has the steps 0 to 9", log, 10, train_loss=1)
        self.refused(ValueError, "step -1 is out of range", log, -1, train_loss=1)
        self.refused(ValueError, "step 10 is out of range", self.trial.lr, 10)
        self.refused(ValueError, "step -1 is out of range", self.trial.momentum, -1)
        self.refused(ValueError, "step 10 is out of range", self.trial.evaluates, 10)
        log(Index(), train_loss=1)
        log(5, train_loss=1)
        log(5, valid_loss=1)
        self.refused(ValueError, "steps must be reported in order: 4 came after 5", log, 4, train_loss=1)
        self.assertEqual([step for step, _ in self.memory.lines], [1, 5, 5])

    def test_the_lr_that_was_used(self) -> None:
        log = self.trial.log
        self.refused(ValueError, "used the lr 0.2, but the schedule has 0.1 there", log, 0, train_loss=1, lr=0.2)
        self.refused(ValueError, "used the lr nan", log, 0, lr=float("nan"))
        self.refused(TypeError, "lr must be a number", log, 0, lr="0.1")
        log(0, train_loss=1, lr=OneElement(struct.unpack("f", struct.pack("f", 0.1))[0]))
        log(1, lr=0.1)
        self.assertEqual([fields["lr"] for _, fields in self.memory.lines], [0.10000000149011612, 0.1])

    def test_an_evaluation_at_the_top_of_the_loop(self) -> None:
        trial = self.trial
        # At the first step it is unknown whether its update was made.
        self.refused(ValueError, "of step 0 is reported, but none is due there", trial.log, 0, valid_loss=1)
        self.refused(ValueError, "of step 0 is reported", trial.log, 0, valid_accuracy=0.5, train_loss=1)
        trial.log(0, train_loss=1)
        trial.log(0, valid_loss=1)
        # Before the loss of the step's batch.
        trial.log(5, valid_loss=1)
        self.refused(
            ValueError, "of step 5 was reported before its train_loss: .* as step 4; report one", trial.log, 5, train_loss=1
        )
        trial.log(5, train_loss=1, valid_loss=1)
        # Before the lr of the step was read.
        trial.lr(6)
        trial.log(6, valid_loss=1)
        early = "valid_loss of step 7 is reported before the update of step 7.* as step 6, or evaluate after"
        self.refused(ValueError, early, trial.log, 7, valid_loss=1)
        trial.lr(9)
        trial.log(8, valid_loss=1, train_loss=1)
        self.refused(ValueError, "step 10 is out of range: .*; use finish\\(", trial.log, 10, valid_loss=1)
        trial.finish(1)
        # If an evaluation is due after each step, an evaluation of the first step is correct.
        self.make(evaluate_every=1).log(0, valid_loss=1)
        self.make(total_steps=1).finish(1)

    def test_final_metrics_belong_to_the_last_step(self) -> None:
        for name in ("test_loss", "test_accuracy"):
            self.refused(ValueError, f"{name} belongs to the last step, 9, not to step 8", self.trial.log, 8, **{name: 1.0})
        self.refused(ValueError, "weights_hash belongs", self.trial.log, 8, train_loss=1, weights_hash="ab")
        self.refused(TypeError, "requires a valid_loss", self.trial.finish, None)
        self.refused(TypeError, "valid_loss must be a number", self.trial.finish, "1")
        self.trial.finish(1, test_loss=2)
        self.refused(ValueError, "the trial is finished", self.trial.log, 9, test_loss=1)
        self.refused(ValueError, "the trial is finished", self.trial.finish, 1)

    def test_checkpoints(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.refused(FileNotFoundError, "checkpoint not found", self.trial.checkpoint, 3, f"{folder}/x")
            self.trial.log(3, train_loss=1)
            self.trial.checkpoint(3, folder)
            self.refused(ValueError, "step 3 can't be reported after its checkpoint", self.trial.log, 3, valid_loss=1)
            self.refused(ValueError, "step 3 can't be reported after its checkpoint", self.trial.checkpoint, 3, folder)
            self.refused(ValueError, "steps must be reported in order: 2 came after 3", self.trial.checkpoint, 2, folder)
            self.trial.log(4, train_loss=1)
            self.trial.log(4, valid_loss=1)

    def test_steps_before_a_stop_are_refused(self) -> None:
        trial = self.make(resume=_facts.Resume(5, Path("x")))
        self.refused(ValueError, "step 4 was reported before the trial was stopped", trial.log, 4, train_loss=1)
        trial.log(5, train_loss=1)

    def test_when_a_validation_loss_is_due(self) -> None:
        self.assertEqual([step for step in self.trial.steps() if self.trial.evaluates(step)], [3, 7, 9])

    def test_the_arguments_of_current(self) -> None:
        wrong: list[tuple[type[Exception], str, dict[str, Any]]] = [
            (ValueError, "steps must be at least 1, not 0", {"steps": 0}),
            (TypeError, "steps must be a whole number", {"steps": 1.5}),
            (TypeError, "seed must be a whole number", {"seed": "0"}),
            (TypeError, "lr must be a number", {"lr": "0.1"}),
            (ValueError, "evaluate_every must be at least 1", {"evaluate_every": 0}),
            (ValueError, "steps_per_epoch must be at least 1", {"steps_per_epoch": 0}),
        ]
        with mock.patch.dict(os.environ):
            os.environ.pop("SWEEP_TRIAL", None)
            for kind, words, arguments in wrong:
                with self.subTest(words), self.assertRaisesRegex(kind, words):
                    _trial.current(**arguments)


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def refused(self, words: str, content: bytes) -> None:
        path = self.root / "x.npy"
        path.write_bytes(content)
        with self.subTest(words), self.assertRaisesRegex(ValueError, words):
            Values(path)

    def test_npy_files_that_are_refused(self) -> None:
        good = fake.npy(self.root / "good.npy", [1.0, 2.0]).read_bytes()
        self.assertEqual(list(Values(self.root / "good.npy")), [1.0, 2.0])
        self.refused("is not a .npy file", b"")
        self.refused("is not a .npy file", b"0.1\n0.2\n" * 4)
        self.refused("is truncated", good[:9])
        self.refused("declares 2 numbers, but holds 8 bytes", good[:-8])
        self.refused("declares 2 numbers, but holds 17 bytes", good + b"\0")
        self.refused("version 4", good[:6] + b"\4" + good[7:])
        self.refused("one-dimensional array of '<f8', not '<f4'", good.replace(b"<f8", b"<f4"))
        self.refused("of shape \\(1, 2\\)", good.replace(b"(2,), }  ", b"(1, 2), }"))
        self.refused("header that can't be read", good.replace(b"{", b"["))
        self.refused("header that can't be read", good.replace(b"'descr'", b"'other'"))

    def test_npy_files_as_numpy_writes_them(self) -> None:
        # The bytes that numpy 1.26 and 2 write for np.array([0.1, 2.0]).
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"
        path = self.root / "x.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n" + struct.pack("<2d", 0.1, 2.0))
        values = Values(path)
        self.assertEqual((len(values), values[0], values[1]), (2, 0.1, 2.0))
        for at in (2, -1):
            with self.assertRaises(IndexError):
                values[at]

    def test_the_file_of_the_trial(self) -> None:
        with fake.Parent() as parent:
            path = parent.root / "trial.json"
            given = json.loads(path.read_text())

            def changed(**changes: Any) -> Path:
                path.write_text(json.dumps({**given, **changes}))
                return path

            with self.assertRaisesRegex(RuntimeError, "protocol version 2, but this sweep_trial supports version 1"):
                _facts.read(changed(protocol=2), {})
            with self.assertRaisesRegex(RuntimeError, "has no `lr` file"):
                _facts.read(changed(lr=None), {})
            with self.assertRaisesRegex(ValueError, "lr.npy holds 5 numbers, expected 6"):
                Listed(_facts.read(changed(steps=6), {}))
            # Unknown keys of later versions are ignored.
            _facts.read(changed(news=1), {})
            del given["seed"]
            with self.assertRaisesRegex(RuntimeError, "lacks the key 'seed'"):
                _facts.read(changed(), {})

    def test_an_incomplete_environment(self) -> None:
        with fake.Parent() as parent:
            parent.env["SWEEP_ANSWERS"] = ""
            outcome = parent.run("")
        self.assertIn("SWEEP_TRIAL is set, but SWEEP_ANSWERS is not", outcome.err)


if __name__ == "__main__":
    unittest.main()
