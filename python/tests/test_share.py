"""Checkpoints from which other trials continue, and the state of random generators."""

from __future__ import annotations

import importlib
import io
import json
import pickle
import random
import subprocess
import sys
import types
import unittest
from typing import Any
from unittest import mock

from parent import SOURCE, Parent

from sweep_trial._random import restore, states

TRAIN = """
for step in trial.steps():
    trial.log(step, train_loss=1)
    if trial.needs_checkpoint(step):
        path = trial.checkpoints / "latest"
        path.write_text(str(step))
        trial.checkpoint(step, path)
        path.unlink()
trial.finish(0.1)
"""


class Checkpoints(unittest.TestCase):
    def test_the_program_continues_when_the_checkpoint_is_copied(self) -> None:
        with Parent(checkpoint_after=[1, 3]) as parent:
            path = parent.root / "checkpoints" / "latest"
            found: list[str] = []
            plain = parent.kept

            def kept(step: int) -> str:
                found.append(path.read_text())
                return plain(step)

            parent.kept = kept
            outcome = parent.run(TRAIN)
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertEqual(found, ["1", "3"])
        reported = [line["step"] for line in outcome.lines if "checkpoint" in line]
        self.assertEqual(reported, [1, 3])

    def test_no_checkpoint_is_needed_otherwise(self) -> None:
        with Parent() as parent:
            outcome = parent.run(TRAIN)
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertFalse([line for line in outcome.lines if "checkpoint" in line])

    def test_an_invalid_answer_is_an_error(self) -> None:
        with Parent(checkpoint_after=[1]) as parent:
            parent.kept = lambda step: json.dumps({"step": step, "lr": 0.1})
            outcome = parent.run(TRAIN)
        self.assertIn("sweep sent an invalid answer to the checkpoint after step 1", outcome.err)


class Generators(unittest.TestCase):
    def test_python_and_own_generators_continue_where_they_were(self) -> None:
        own = random.Random(3)
        random.seed(7)
        random.random()
        saved = pickle.loads(pickle.dumps(states((own,))))
        self.assertEqual(json.loads(json.dumps(saved)), saved)
        wanted = [random.gauss(0, 1), random.random(), own.random()]
        random.seed(1)
        restore(saved, (random.Random(5), ))
        again = random.Random(5)
        restore(saved, (again,))
        self.assertEqual([random.gauss(0, 1), random.random(), again.random()], wanted)

    def test_a_gaussian_of_a_pair_is_kept(self) -> None:
        random.seed(7)
        random.gauss(0, 1)
        saved = json.loads(json.dumps(states(())))
        wanted = random.gauss(0, 1)
        random.seed(8)
        restore(saved, ())
        self.assertEqual(random.gauss(0, 1), wanted)

    def test_libraries_that_are_not_imported_are_left_out(self) -> None:
        script = "import sweep_trial, sys; t = sweep_trial.current(); s = t.state(); print(sorted(s), 'numpy' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout.strip(), "['generators', 'python'] False")

    def test_other_generators_are_refused(self) -> None:
        saved = states((random.Random(1),))
        with self.assertRaisesRegex(ValueError, "the state has 1 generators besides the global ones"):
            restore(saved, ())
        with self.assertRaisesRegex(TypeError, "int has no random generator"):
            states((3,))
        with mock.patch.dict(sys.modules), self.assertRaisesRegex(ValueError, "import it before restore"):
            sys.modules.pop("numpy", None)
            restore({**states(()), "numpy": []}, ())

    def test_a_loader_has_the_generator_of_its_sampler(self) -> None:
        class Generator:
            def __init__(self) -> None:
                self.now: Any = ["a"]

            def get_state(self) -> Any:
                return tuple(self.now)

            def set_state(self, state: Any) -> None:
                self.now = list(state)

        generator = Generator()
        sampler = types.SimpleNamespace(generator=generator)
        loader = types.SimpleNamespace(
            generator=generator, sampler=sampler, batch_sampler=types.SimpleNamespace(sampler=sampler)
        )
        saved = states((loader,))
        self.assertEqual(saved["generators"], [["a"]])
        generator.now = ["b"]
        restore(saved, (loader,))
        self.assertEqual(generator.now, ["a"])

    def test_numpy_continues_where_it_was(self) -> None:
        try:
            numpy: Any = importlib.import_module("numpy")
        except ImportError:
            self.skipTest("needs numpy")
        for own in (numpy.random.default_rng(3), numpy.random.Generator(numpy.random.MT19937(3)), numpy.random.RandomState(3)):
            own.normal()
            numpy.random.seed(4)
            numpy.random.normal()
            saved = json.loads(json.dumps(states((own,))))
            wanted = [numpy.random.normal(), numpy.random.normal(), own.normal(), own.integers(9) if hasattr(own, "integers") else 0]
            restore(saved, (own,))
            found = [numpy.random.normal(), numpy.random.normal(), own.normal(), own.integers(9) if hasattr(own, "integers") else 0]
            self.assertEqual(found, wanted)

    def test_torch_continues_where_it_was(self) -> None:
        try:
            torch: Any = importlib.import_module("torch")
        except ImportError:
            self.skipTest("needs torch")

        loader = torch.utils.data.DataLoader(
            list(range(20)), batch_size=5, shuffle=True, generator=torch.Generator().manual_seed(3)
        )
        torch.manual_seed(4)
        next(iter(loader))
        file = io.BytesIO()
        torch.save(states((loader,)), file)
        file.seek(0)
        wanted = [torch.rand(3).tolist(), [batch.tolist() for batch in loader]]
        restore(torch.load(file, weights_only=True), (loader,))
        self.assertEqual([torch.rand(3).tolist(), [batch.tolist() for batch in loader]], wanted)


if __name__ == "__main__":
    unittest.main()
