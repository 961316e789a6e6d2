"""Programs that run outside of a sweep."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import unittest

from parent import SOURCE


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Runs `script` outside of a sweep."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWEEP_")}
    return subprocess.run(
        [sys.executable, "-c", "import sweep_trial as sweep\n" + textwrap.dedent(script)],
        env={**env, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
    )


class Standalone(unittest.TestCase):
    def test_defaults(self) -> None:
        done = run(
            """
            trial = sweep.current()
            print(trial.total_steps, trial.lr(0), trial.lr(999), trial.momentum(0), trial.seed, trial.params)
            print(trial.evaluate_every, trial.steps_per_epoch, trial.in_sweep, trial.resume, trial.closed_loop)
            print(trial is sweep.current(steps=3), trial.steps(), trial.stop_requested)
            """
        )
        self.assertEqual(
            done.stdout.splitlines(),
            ["1000 0.1 0.1 None 0 {}", "100 None False None False", "True range(0, 1000) False"],
            done.stderr,
        )

    def test_defaults_of_the_program(self) -> None:
        done = run(
            """
            trial = sweep.current(steps=20, lr=lambda step: 1 / (step + 1), seed=3, params={"width": 64},
                                  steps_per_epoch=5, evaluate_every=7)
            print(trial.total_steps, trial.lr(3), trial.base_lr, trial.seed, trial.params, trial.steps_per_epoch)
            print([step for step in trial.steps() if trial.evaluates(step)])
            """
        )
        self.assertEqual(
            done.stdout.splitlines(), ["20 0.25 1.0 3 {'width': 64} 5", "[6, 13, 19]"], done.stderr
        )

    def test_progress_and_verbose_output(self) -> None:
        script = """
            trial = sweep.current(steps=100, verbose=VERBOSE)
            for step in trial.steps():
                trial.log(step, train_loss=1 / 3)
            trial.finish(0.25, test_accuracy=0.5)
            """
        quiet = run(script.replace("VERBOSE", "False"))
        self.assertEqual(quiet.stdout, "")
        self.assertEqual(
            quiet.stderr.splitlines(),
            [
                "step 0 of 99: train loss 0.33333",
                "step 99 of 99: train loss 0.33333",
                "step 99 of 99: valid loss 0.25, test accuracy 0.5",
            ],
        )
        twice = run(
            """
            trial = sweep.current(steps=1)
            trial.log(0, valid_loss=1)
            trial.finish(1)
            """
        )
        self.assertEqual(twice.stderr.splitlines(), ["step 0 of 0: valid loss 1"])
        verbose = run(script.replace("VERBOSE", "True"))
        self.assertEqual((len(verbose.stdout.splitlines()), verbose.stderr), (101, ""))

    def test_an_incomplete_run_cannot_be_finished(self) -> None:
        for body, words in [
            ("for step in range(9): trial.log(step, train_loss=1)", "finish() after step 8, but the last step is 9"),
            ("for step in range(9): trial.lr(step)", "finish() after step 8, but the last step is 9"),
            ("trial.log(9, train_loss=1)", ""),
            ("for step in range(10): trial.lr(step)", ""),
            ("pass", ""),
        ]:
            done = run(f"trial = sweep.current(steps=10)\n{body}\ntrial.finish(1)\n")
            self.assertEqual(words in done.stderr, True, done.stderr)
            self.assertEqual(done.returncode, 1 if words else 0, done.stderr)

    def test_checkpoints_have_a_temporary_folder(self) -> None:
        done = run(
            """
            trial = sweep.current(steps=3)
            trial.log(0, train_loss=1)
            (trial.checkpoints / "x").touch()
            trial.checkpoint(1, trial.checkpoints / "x")
            print(trial.checkpoints)
            """
        )
        folder = done.stdout.strip()
        self.assertEqual(done.stderr.splitlines(), ["step 0 of 2: train loss 1", f"step 1 of 2: checkpoint {folder}/x"])
        self.assertFalse(os.path.exists(folder))

    def test_checkpoints_may_be_kept(self) -> None:
        done = run(
            """
            import tempfile
            with tempfile.TemporaryDirectory() as folder:
                trial = sweep.current(checkpoints=folder + "/a/b")
                print(trial.checkpoints.is_dir(), str(trial.checkpoints) == folder + "/a/b")
            """
        )
        self.assertEqual(done.stdout.strip(), "True True", done.stderr)

    def test_outputs_are_where_the_program_was_started(self) -> None:
        done = run(
            """
            import os, tempfile
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                (sweep.current().outputs / "model.pt").touch()
                print(os.listdir(os.path.join(folder, "outputs")))
                os.chdir("/")
            """
        )
        self.assertEqual(done.stdout.strip(), "['model.pt']", done.stderr)

    def test_mistakes_show_outside_of_a_sweep_too(self) -> None:
        done = run("sweep.current(steps=3).log(3, train_loss=1)")
        self.assertIn("ValueError: step 3 is out of range", done.stderr)

    def test_only_the_standard_library_is_imported(self) -> None:
        done = run(
            """
            import sys
            sweep.current(steps=1).finish(1)
            print([name for name in ("numpy", "torch", "jax", "keras", "transformers") if name in sys.modules])
            """
        )
        self.assertEqual(done.stdout.strip(), "[]", done.stderr)


if __name__ == "__main__":
    unittest.main()
