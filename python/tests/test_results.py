"""Results of a small sweep, read through the real program `sweep`. Skipped where it is not built."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest import mock

from program import ROOT, real

import sweep_trial as sweep
from sweep_trial import _frames

PROGRAM = real()

#: All runs with the second lr diverge.
SMALL = """
name: small
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd, momentum: {values: [0, 0.9]}}
budget: {steps: 20}
evaluate: {every: 10}
seeds: 2
extend: false
lr: {values: [0.1, 1e6]}
schedules:
  constant: {kind: constant}
  "a, b": {kind: cosine, to: 0}
"""


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@unittest.skipUnless(PROGRAM, "sweep is not built: cargo build --release")
class Results(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]
    runs: Path
    ranking: sweep.Ranking

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.runs = Path(cls.folder.name) / "runs"
        patch = mock.patch.dict(os.environ, {"SWEEP_PROGRAM": str(PROGRAM)})
        patch.start()
        cls.addClassCleanup(patch.stop)
        file = Path(cls.folder.name) / "small.yaml"
        file.write_text(SMALL)
        with contextlib.redirect_stderr(io.StringIO()):
            cls.ranking = sweep.run(file, store=cls.runs, data_dir=ROOT / "data", frame="records")

    def printed(self, *words: str) -> Any:
        """The JSON that the program prints."""
        command = [str(PROGRAM), *words, "--store", str(self.runs)]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    def test_the_numbers_are_those_of_the_program(self) -> None:
        self.assertEqual(self.ranking.frame, self.printed("rank", "--format", "json"))
        store = sweep.open(self.runs, frame="records")
        test_loss = store.ranking("small", metric="test_loss")
        self.assertEqual(test_loss.rows, self.printed("rank", "--metric", "test_loss", "--format", "json"))
        self.assertIn("schedules by test loss", repr(test_loss))
        compared = test_loss.compare("constant", "a, b")
        self.assertEqual(compared.data, self.printed("compare", "constant", "a, b", "--metric", "test_loss", "--format", "json"))
        self.assertEqual(compared.seeds, compared.data["seeds"])
        self.assertIn(compared.sentence, repr(compared))
        self.assertIn("2 seeds", compared._repr_html_())
        self.assertEqual(store.query("select step from curves limit 1"), [{"step": 0}])

    def test_runs(self) -> None:
        store = sweep.open(self.runs, frame="records")
        (row,) = store.sweeps()
        self.assertEqual((row["sweep"], row["trials"], row["left"]), ("small", 16, 0))
        self.assertEqual(row["updated_at"].tzinfo, timezone.utc)
        runs = store.trials("small")
        self.assertEqual(len(runs), 16)
        self.assertEqual({run["axis:optimizer.momentum"] for run in runs}, {0.0, 0.9})
        self.assertIsInstance(runs[0]["started_at"], datetime)
        self.assertEqual({type(run["seed"]) for run in runs}, {int})
        self.assertEqual({run["status"] for run in runs if run["base_lr"] == 1e6}, {"diverged"})
        with self.assertRaisesRegex(sweep.SweepError, "unknown sweep `smal` .did you mean `small`"):
            store.trials("smal")

    def test_steps(self) -> None:
        store = sweep.open(self.runs, frame="records")
        every = store.metrics()
        one = store.metrics(schedule="constant")
        # As text, because a NaN does not equal itself.
        self.assertEqual(repr(one), repr([row for row in every if row["schedule"] == "constant"]))
        self.assertEqual(store.trials(schedule="constant"), [run for run in store.trials() if run["schedule"] == "constant"])
        with self.assertRaisesRegex(sweep.SweepError, "no schedule `constnat` .did you mean `constant`"):
            store.metrics(schedule="constnat")
        best = store.metrics("best", sweep="small")
        self.assertEqual([row["step"] for row in best], list(range(20)))
        self.assertIsNone(best[0]["valid_loss"])
        self.assertIsNotNone(best[9]["valid_loss"])
        # JSON has no infinity; the diverging loss is there all the same.
        last = [row["train_loss"] for row in every if row["base_lr"] == 1e6]
        self.assertTrue(any(loss is not None and not loss < 100 for loss in last), last)

    def check_frame(self, library: str, types: dict[str, str], values: Any) -> None:
        """The frames of a library have the types, and the values of the records."""
        store, records = sweep.open(self.runs, frame=library), sweep.open(self.runs, frame="records")
        for frame, rows in [
            (store.sweeps(), records.sweeps()),
            (store.trials(), records.trials()),
            (store.metrics(), records.metrics()),
            (store.ranking().frame, records.ranking().rows),
            (store.compare("constant", "a, b").seeds, records.compare("constant", "a, b").seeds),
        ]:
            self.assertEqual(list(frame.columns), list(rows[0]))
            self.assertEqual(len(frame), len(rows))
            for name in rows[0]:
                kind = _frames.KINDS.get(name, "real")
                self.assertEqual(str(frame[name].dtype).lower(), types[kind], name)
                for found, wanted in zip(values(frame[name]), (row[name] for row in rows)):
                    nothing = found is None or found != found
                    if wanted is None or wanted != wanted:
                        self.assertTrue(nothing, (name, found))
                    else:
                        self.assertEqual(found, wanted, name)

    @unittest.skipUnless(installed("pandas"), "pandas is not installed")
    def test_pandas(self) -> None:
        types = {"integer": "int64", "real": "float64", "text": "string", "time": "datetime64[ms, utc]"}
        self.check_frame("pandas", types, lambda column: column.astype("object").where(column.notna(), None))
        trials = sweep.open(self.runs, frame="pandas").trials()
        self.assertEqual(str(trials["diverged_at"].dtype), "Int64")
        self.assertEqual(trials.groupby("schedule").final_valid_loss.count().to_dict(), {"constant": 4, "a, b": 4})

    @unittest.skipUnless(installed("polars"), "polars is not installed")
    def test_polars(self) -> None:
        time = "datetime(time_unit='ms', time_zone='utc')"
        self.check_frame("polars", {"integer": "int64", "real": "float64", "text": "string", "time": time}, list)

    def test_the_default_library(self) -> None:
        first = next((name for name in ("pandas", "polars") if installed(name)), "list")
        frame = sweep.open(self.runs).sweeps()
        self.assertTrue(type(frame).__module__.startswith(first) or type(frame).__name__ == first)

    def test_report(self) -> None:
        self.assertIn("<h1", self.ranking.report().html)

    def test_reading_changes_nothing(self) -> None:
        database = self.runs / "sweep.db"
        before = database.read_bytes()
        store = sweep.open(self.runs, frame="records")
        store.trials(), store.metrics(), store.ranking(), store.report()
        self.assertEqual(database.read_bytes(), before)
        with self.assertRaises(sweep.SweepError):
            store.query("delete from trials")

    def test_reading_while_a_sweep_runs(self) -> None:
        folder = Path(self.folder.name)
        file = folder / "long.yaml"
        file.write_text(SMALL.replace("small", "long").replace("steps: 20", "steps: 4000").replace("[0.1, 1e6]", "[0.1]"))
        # A separate store, with a finished sweep.
        shutil.copytree(self.runs, folder / "busy")
        options = ["--store", str(folder / "busy"), "--data-dir", str(ROOT / "data"), "--format", "json", "-q"]
        process = subprocess.Popen([str(PROGRAM), str(file), *options], stdout=subprocess.PIPE)
        store, looks = sweep.open(folder / "busy", frame="records"), 0
        while process.poll() is None:
            if [row for row in store.sweeps() if row["sweep"] == "long"]:
                self.assertEqual(len(store.trials("long")), 8)
                self.assertEqual(len(store.ranking("long").rows), 2)
                looks += 1
        assert process.stdout is not None
        rows = json.loads(process.stdout.read())
        process.stdout.close()
        self.assertEqual((process.returncode, len(rows)), (0, 2))
        self.assertGreater(looks, 0)


class Columns(unittest.TestCase):
    def test_the_types_are_those_of_the_docs(self) -> None:
        kinds = {"integer": "integer", "real": "real", "text": "text", "number or text": "axis"}
        checked = set()
        for page, name_and_type in [
            ("exports.md", re.compile(r"^\| `([\w:]+)` \| (integer|real|text) \|", re.MULTILINE)),
            ("database.md", re.compile(r"^\| `(\w+)` \| (integer|real|text) \|", re.MULTILINE)),
        ]:
            for name, kind in name_and_type.findall((ROOT / "docs/reference" / page).read_text()):
                known = _frames.KINDS.get(name)
                # The program prints times as text.
                if known is not None and known != "time":
                    self.assertEqual(known, kinds[kind], name)
                    checked.add(name)
        self.assertGreater(len(checked), 20)

    def test_values_that_only_csv_has(self) -> None:
        text = b"schedule,step,train_loss,valid_loss\nNA,0,inf,\n\"a, \"\"b\"\"\",1,NaN,0.1\n"
        records = _frames.from_csv(text, "records")
        self.assertEqual(records[0], {"schedule": "NA", "step": 0, "train_loss": math.inf, "valid_loss": None})
        self.assertEqual((records[1]["schedule"], records[1]["valid_loss"]), ('a, "b"', 0.1))
        for library in filter(installed, ("pandas", "polars")):
            frame = _frames.from_csv(text, library)
            self.assertEqual(list(frame["schedule"]), ["NA", 'a, "b"'], library)
            self.assertEqual(frame["train_loss"][0], math.inf)
            self.assertTrue(math.isnan(frame["train_loss"][1]))

    def test_a_table_without_rows_and_a_column_without_values(self) -> None:
        for library in ["records", *filter(installed, ("pandas", "polars"))]:
            self.assertEqual(len(_frames.Table([]).frame(library)), 0)
            rows: list[dict[str, Any]] = [{"edge": None, "axis:x": [1, 2], "same": True}, {"edge": None, "axis:x": "y", "same": None}]
            frame = _frames.Table(rows).frame(library)
            self.assertEqual(len(frame), 2)
            values = frame[0]["axis:x"] if library == "records" else frame["axis:x"][0]
            self.assertEqual(values, "[1, 2]")


if __name__ == "__main__":
    unittest.main()
