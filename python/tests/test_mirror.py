"""The mirror of a sweep in MLflow and trackio. Each test runs with a small fake of MLflow, and with the real packages if they are
installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import math
import re
import sys
import unittest
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional
from unittest import mock

from program import WithFolder

import sweep_trial as sweep
from sweep_trial import _mirror
from sweep_trial import mirror as command

FAKE = Path(__file__).resolve().parent / "fake_trackers"
BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Sweep:
    """A sweep that is trained while it is read."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.steps: dict[str, list[dict[str, Any]]] = {}

    def run(self, trial: str, status: str, losses: list[float], **more: Any) -> None:
        """A run of 4 steps that has these losses. The last of four steps has a validation loss."""
        self.rows[trial] = {
            "schedule": "cosine",
            "config_id": "c1",
            "base_lr": 0.1,
            "seed": 3,
            "purpose": "all",
            "status": status,
            "steps": 4,
            "steps_done": len(losses),
            "test_loss": 0.25 if status == "done" else None,
            "test_accuracy": None,
            "started_at": BEGUN,
            "finished_at": None,
            "trial_id": trial,
            "digest": "d" if status == "done" else None,
            "axis:optimizer.momentum": 0.9,
            **more,
        }
        self.steps[trial] = [
            {
                "schedule": "cosine", "config_id": "c1", "base_lr": 0.1, "seed": 3, "trial_id": trial, "step": step, "lr": 0.1 / (1 + step),
                "train_loss": loss, "valid_loss": 0.5 if step == 3 else None, "grad_norm": None, "bleu": None,
            }
            for step, loss in enumerate(losses)
        ]  # fmt: skip

    def trials(self, name: str) -> list[dict[str, Any]]:
        return list(self.rows.values())

    def metrics(self, trial: str) -> list[dict[str, Any]]:
        return self.steps[trial]


class Tracker(WithFolder):
    """The tests of every tracker. A subclass reads what is in its tracker."""

    name = ""
    is_real = False

    @classmethod
    def setUpClass(cls) -> None:
        if not cls.name:
            raise unittest.SkipTest("the tests are those of the subclasses")
        if cls.is_real and importlib.util.find_spec(cls.name) is None:
            raise unittest.SkipTest(f"{cls.name} is not installed")

    def setUp(self) -> None:
        super().setUp()
        self.sweep = Sweep()
        # Until the test ends, an import finds the fake. trackio reads its folder when it is imported.
        if self.name == "trackio" or not self.is_real:
            rest = {name: module for name, module in sys.modules.items() if self.name not in re.split(r"[._]", name)}
            self.patch(mock.patch.dict(sys.modules, rest, clear=True))
        if not self.is_real:
            self.patch(mock.patch.object(sys, "path", [str(FAKE), *sys.path]))

    def patch(self, patch: Any) -> None:
        patch.start()
        self.addCleanup(patch.stop)

    def there(self) -> dict[str, dict[str, Any]]:
        """By trial: `curves`, `params` and `status` as the tracker has them."""
        raise NotImplementedError

    def at(self) -> str:
        return str(self.folder / "tracked")

    def mirror(self) -> _mirror.Mirrored:
        return _mirror.mirror(self.sweep, "small", _mirror.tracker(self.name, "small", self.at()))

    def test_a_run_with_its_curves(self) -> None:
        self.sweep.run("aa", "done", [4.0, 3.0, 2.0, 1 / 3])
        self.sweep.run("bb", "queued", [])
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=1, values=10, left=1))
        (run,) = self.there().values()
        self.assertEqual(
            run["curves"],
            {
                "lr": {step: 0.1 / (1 + step) for step in range(4)},
                "train_loss": {0: 4.0, 1: 3.0, 2: 2.0, 3: 1 / 3},
                "valid_loss": {3: 0.5},
                "test_loss": {3: 0.25},
            },
        )
        wanted = {"schedule": "cosine", "base_lr": 0.1, "seed": 3, "steps": 4, "config_id": "c1", "optimizer.momentum": 0.9}
        self.assertEqual({name: str(value) for name, value in run["params"].items()}, {name: str(value) for name, value in wanted.items()})
        self.assertEqual((list(self.there()), run["status"]), (["aa"], "done"))

    def test_a_repetition_adds_only_what_is_new(self) -> None:
        self.sweep.run("aa", "running", [4.0, 3.0, 2.0])
        # The last step of a run that trains may still get metrics.
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=1, values=4, left=1))
        self.assertEqual((self.mirror().values, self.there()["aa"]["status"]), (0, "running"))
        self.sweep.run("aa", "done", [4.0, 3.0, 2.0, 1.0])
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=0, values=6, left=0))
        whole = self.there()
        self.assertEqual(whole["aa"]["curves"]["train_loss"], {0: 4.0, 1: 3.0, 2: 2.0, 3: 1.0})
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=0, values=0, left=0))
        self.assertEqual(self.there(), whole)

    def test_a_mirror_that_was_interrupted_is_completed(self) -> None:
        self.sweep.run("aa", "done", [4.0, 3.0, 2.0, 1.0])
        target = _mirror.tracker(self.name, "small", self.at())
        (run, once), = _mirror.runs("small", self.sweep.trials("small"))
        curves = _mirror.curves(self.sweep.metrics("aa"), once, True)
        before = _mirror.Run(**{**run.__dict__, "state": "", "status": "running", "is_over": False})
        target.add(before, {"lr": curves["lr"], "train_loss": {0: 4.0, 1: 3.0}})
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=0, values=4, left=0))
        self.assertEqual(self.there()["aa"]["curves"], curves)

    def test_a_run_that_was_trained_again_with_other_values_is_written_again(self) -> None:
        self.sweep.run("aa", "running", [4.0, 3.0, 2.0])
        self.sweep.run("bb", "running", [4.0, 3.0, 2.0])
        self.mirror()
        self.sweep.run("aa", "done", [4.0, 3.5, 2.5, 1.5])
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=2, new=1, values=10, left=1))
        self.assertEqual(self.there()["aa"]["curves"]["train_loss"], {0: 4.0, 1: 3.5, 2: 2.5, 3: 1.5})
        self.assertEqual(sorted(self.there()), ["aa", "bb"])

    def test_losses_that_are_not_finite(self) -> None:
        self.sweep.run("aa", "diverged", [4.0, math.inf, math.nan])
        self.assertEqual(self.mirror().values, 6)
        losses = self.there()["aa"]["curves"]["train_loss"]
        self.assertTrue(losses[1] > 1e308 and math.isnan(losses[2]), losses)
        # The values agree, so the run is not written again.
        self.sweep.run("aa", "diverged", [4.0, math.inf, math.nan], digest="e")
        self.assertEqual(self.mirror(), _mirror.Mirrored(runs=1, new=0, values=0, left=0))
        self.assertEqual(self.there()["aa"]["status"], "diverged")

    def test_a_long_run(self) -> None:
        self.sweep.run("aa", "done", [1 / (1 + step) for step in range(2500)])
        self.assertEqual(self.mirror().values, 2500 * 2 + 2)
        self.assertEqual(len(self.there()["aa"]["curves"]["train_loss"]), 2500)


class Mlflow(Tracker):
    """With the fake."""

    name = "mlflow"

    def at(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    def there(self) -> dict[str, dict[str, Any]]:
        client = importlib.import_module("mlflow").MlflowClient(tracking_uri=self.at())
        experiment = client.get_experiment_by_name("small").experiment_id
        found: dict[str, dict[str, Any]] = {}
        for run in client.search_runs([experiment]):
            curves = {}
            for name in run.data.metrics:
                history = client.get_metric_history(run.info.run_id, name)
                curves[name] = {value.step: value.value for value in history}
                self.assertEqual(len(history), len(curves[name]), "a step has two values")
            tags = run.data.tags
            self.assertNotIn(tags["sweep.trial"], found, "a trial has two runs")
            statuses = {"done": "FINISHED", "diverged": "FINISHED", "running": "RUNNING"}
            self.assertEqual(run.info.status, statuses[tags["sweep.status"]])
            self.assertEqual(run.info.start_time, int(BEGUN.timestamp() * 1000))
            found[tags["sweep.trial"]] = {"curves": curves, "params": dict(run.data.params), "status": tags["sweep.status"]}
        return found

    def test_a_deleted_experiment_is_an_error(self) -> None:
        self.sweep.run("aa", "done", [1.0])
        self.mirror()
        client = importlib.import_module("mlflow").MlflowClient(tracking_uri=self.at())
        client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
        with self.assertRaisesRegex(ValueError, "experiment 'small' is deleted"):
            self.mirror()


    def test_an_address_that_mlflow_does_not_know_is_an_error(self) -> None:
        with self.assertRaisesRegex(ValueError, "^MLflow: "):
            _mirror.tracker("mlflow", "small", "nothing://here")


class MlflowInMlflow(Mlflow):
    is_real = True


class Trackio(Tracker):
    """With the fake."""

    name = "trackio"

    def there(self) -> dict[str, dict[str, Any]]:
        storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
        found: dict[str, dict[str, Any]] = {}
        for name in storage.get_runs("small"):
            curves: dict[str, _mirror.Curve] = {}
            for row in storage.get_logs("small", name):
                self.assertEqual(row["timestamp"], BEGUN.isoformat())
                for metric in set(row) - {"step", "timestamp"}:
                    self.assertNotIn(row["step"], curves.get(metric, {}), "a step has two values")
                    curves.setdefault(metric, {})[row["step"]] = row[metric]
            config = storage.get_run_config("small", name)
            added = {"trial", "purpose", "status", "state"}
            params = {key: value for key, value in config.items() if key not in added and not key.startswith("_")}
            self.assertNotIn(config["trial"], found, "a trial has two runs")
            found[config["trial"]] = {"curves": curves, "params": params, "status": config["status"]}
        return found

    def test_a_new_state_without_new_values(self) -> None:
        self.sweep.run("aa", "running", [4.0, 3.0])
        self.mirror()
        self.sweep.run("aa", "stopped", [4.0])
        self.assertEqual((self.mirror().values, self.there()["aa"]["status"]), (0, "stopped"))

    def test_another_folder_after_the_import_is_an_error(self) -> None:
        _mirror.tracker("trackio", "small", self.at())
        with self.assertRaisesRegex(ValueError, "trackio is imported and writes to .*: set TRACKIO_DIR"):
            _mirror.tracker("trackio", "small", str(self.folder / "other"))


class TrackioInTrackio(Trackio):
    is_real = True


class Command(WithFolder):
    SCRIPT = """
        words = sys.argv[1:]
        if words[0] == "status":
            print(json.dumps([{"sweep": "small"}]))
        elif words[0] == "export":
            assert "small" in words, words
            row = dict(schedule="cosine", config_id="c", base_lr=0.1, seed=0, purpose="all", status="done", steps=2, steps_done=2)
            row.update(test_loss=0.5, started_at="2026-01-02T03:04:05Z", finished_at="2026-01-02T03:04:06Z", trial_id="aa", digest="d")
            print(json.dumps(row))
        else:
            assert words[0] == "show" and words[-1] == "aa", words
            print("schedule,config_id,base_lr,seed,trial_id,step,lr,train_loss,valid_loss,grad_norm,bleu")
            print("cosine,c,0.1,0,aa,0,0.1,inf,,,\\ncosine,c,0.1,0,aa,1,0.05,2,3,,31.5")
        """

    def called(self, *words: str) -> tuple[int, str, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = command.main(words)
        return code, out.getvalue(), err.getvalue()

    def test_a_sweep_of_the_program(self) -> None:
        self.fake(self.SCRIPT)
        seen: dict[str, Any] = {}

        class Target:
            def state(self, run: _mirror.Run) -> Optional[str]:
                return None

            def add(self, run: _mirror.Run, curves: Any) -> None:
                seen[run.name] = curves

        with mock.patch("sweep_trial._store.tracker", return_value=Target()) as made:
            self.assertEqual(
                self.called("--to", "mlflow", "--at", "x", "--store", str(self.folder), "--follow"),
                (0, "1 runs (1 new), 7 values added, 0 runs not ended\n", ""),
            )
        made.assert_called_once_with("mlflow", "small", "x")
        curves = {"lr": {0: 0.1, 1: 0.05}, "train_loss": {0: math.inf, 1: 2.0}, "valid_loss": {1: 3.0}, "bleu": {1: 31.5}, "test_loss": {1: 0.5}}
        self.assertEqual(seen, {"cosine, lr 0.1, seed 0, aa": curves})

    def test_mistakes(self) -> None:
        self.fake(self.SCRIPT)
        self.assertEqual(self.called("--to", "mlflow", "--store", str(self.folder / "no"))[0], 2)
        missing = mock.patch("importlib.import_module", side_effect=ModuleNotFoundError("no", name="mlflow"))
        with missing:
            code, _, err = self.called("--to", "mlflow", "--store", str(self.folder))
        self.assertEqual((code, err), (2, "error: this needs the package mlflow, which is not installed: pip install mlflow\n"))
        with self.assertRaisesRegex(ValueError, "unknown tracker 'wandb': one of mlflow, trackio"):
            sweep.open(self.folder).mirror(to="wandb")

    def test_a_run_of_two_schedules_is_one_run(self) -> None:
        rows = Sweep()
        rows.run("aa", "done", [1.0])
        row = rows.rows["aa"]
        ((run, _),) = _mirror.runs("small", [row, {**row, "schedule": "same"}])
        self.assertEqual(run.params["schedule"], "cosine, same")


if __name__ == "__main__":
    unittest.main()
