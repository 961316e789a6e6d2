"""Finding and running the program `sweep`, with a fake one: errors, progress, Ctrl-C, the dashboard."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
import unittest
from pathlib import Path
from unittest import mock

from program import WithFolder

import sweep_trial as sweep
from sweep_trial import _html, _program, _run

SOURCE = Path(sweep.__file__).parents[1]

#: What `status` and `rank` of the fake program print.
RANKED = """
    if sys.argv[1] == "status":
        print(json.dumps([{"sweep": "small"}]))
    if sys.argv[1] == "rank":
        print("a warning", file=sys.stderr)
        row = {"rank": 1, "rank_low": 1, "rank_high": 2, "schedule": "<cosine>", "base_lr": 0.1, "edge": None, "mean": 0.5,
               "sd": None, "diff": None, "diff_low": None, "diff_high": None, "p": None, "n": 3, "diverged": 0, "steps": 20}
        print(json.dumps([row]))
"""


class Finding(WithFolder):
    def test_the_variable_comes_first(self) -> None:
        path = self.fake("")
        self.assertEqual(_program.find(), str(path))
        os.environ["SWEEP_PROGRAM"] = str(self.folder / "missing")
        with self.assertRaisesRegex(sweep.SweepError, "missing of the environment variable SWEEP_PROGRAM not found"):
            _program.find()

    def test_the_program_of_the_wheel_comes_before_the_path(self) -> None:
        on_path = self.fake("").rename(self.folder / "sweep")
        del os.environ["SWEEP_PROGRAM"]
        own = self.folder / "bin" / "sweep"
        own.parent.mkdir()
        own.write_text("")
        own.chmod(0o755)
        with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            with mock.patch.object(_program, "_of_wheel", lambda: iter([str(own)])):
                self.assertEqual(_program.find(), str(own))
            with mock.patch.object(_program, "_of_wheel", lambda: iter([])):
                self.assertEqual(_program.find(), str(on_path))
                on_path.unlink()
                with self.assertRaisesRegex(sweep.SweepError, "`sweep` not found.*pip install sweep-lr"):
                    _program.find()

    def test_options(self) -> None:
        options = {"workers": 4, "no_share": True, "memory": None, "deny_warnings": False, "store": Path("a b"), "rope": -0.5}
        self.assertEqual(_program.words(options), ["--workers=4", "--no-share", "--store=a b", "--rope=-0.5"])


class Errors(WithFolder):
    def test_the_message_of_the_program(self) -> None:
        self.fake("print('note: old\\nerror: unknown sweep `smal` (did you mean `small`?)', file=sys.stderr); sys.exit(2)")
        with self.assertRaises(sweep.SweepError) as caught:
            sweep.open(self.folder).ranking("smal")
        self.assertEqual(str(caught.exception), "unknown sweep `smal` (did you mean `small`?)")
        self.assertEqual(caught.exception.code, 2)

    def test_without_a_message(self) -> None:
        self.fake("sys.exit(3)")
        with self.assertRaisesRegex(sweep.SweepError, "`sweep status .*` ended with exit code 3"):
            sweep.open(self.folder).sweeps()

    def test_another_program_of_the_same_name(self) -> None:
        self.fake("print('sweeping the floor')")
        with self.assertRaisesRegex(sweep.SweepError, "printed no JSON: is it another program"):
            sweep.open(self.folder).sweeps()

    def test_arguments(self) -> None:
        self.fake(RANKED)
        with self.assertRaisesRegex(sweep.SweepError, "store not found: no/such"):
            sweep.open("no/such")
        with self.assertRaisesRegex(ValueError, "frame must be"):
            sweep.open(self.folder, frame="pands")
        with self.assertRaisesRegex(ValueError, "a trial or a schedule"):
            sweep.open(self.folder).metrics("best", schedule="cosine")
        with self.assertRaisesRegex(TypeError, "does not take the option 'shard'"):
            sweep.run("small.yaml", shard="1/2")
        # The address of a server is not a folder.
        self.assertEqual(repr(sweep.open("postgres://me@host/sweeps")), "open('postgres://me@host/sweeps')")


class Running(WithFolder):
    def test_progress_and_ranking(self) -> None:
        self.fake(
            """
            if sys.argv[1] == "run":
                print("1/2 finished\\n2/2 finished", file=sys.stderr)
                open("words", "w").write(" ".join(sys.argv[1:]))
                open("path", "w").write(os.environ["PATH"])
            """
            + textwrap.indent(textwrap.dedent(RANKED), "    " * 3)
        )
        shown = io.StringIO()
        with in_folder(self.folder), contextlib.redirect_stderr(shown), mock.patch.dict(os.environ, {"PATH": "/bin"}):
            ranking = sweep.run("small.yaml", store="runs", workers=2, no_share=True)
        self.assertEqual(shown.getvalue(), "1/2 finished\n2/2 finished\n")
        words = (self.folder / "words").read_text()
        self.assertEqual(words, "run --store=runs --format=json --workers=2 --no-share -- small.yaml")
        # `python3` of a sweep file is this Python.
        self.assertEqual((self.folder / "path").read_text(), f"{os.path.dirname(sys.executable)}:/bin")
        self.assertEqual((ranking.best, ranking.notes, len(ranking.rows)), ("<cosine>", ["a warning"], 1))
        self.assertIn("small: schedules by valid loss", repr(ranking))
        self.assertIn("<td style=\"text-align: left; white-space: nowrap\">&lt;cosine&gt;</td>", ranking._repr_html_())

    def test_without_progress(self) -> None:
        self.fake("if sys.argv[1] == 'run': print('1/2 finished', file=sys.stderr)\n" + textwrap.dedent(RANKED))
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            sweep.run("small.yaml", progress=False)
        self.assertEqual(shown.getvalue(), "")

    def test_failed_runs(self) -> None:
        self.fake("print('2/2 finished\\nerror: 1 trial failed', file=sys.stderr); sys.exit(1)")
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(sweep.SweepError, "^1 trial failed$") as caught:
            sweep.run("small.yaml")
        self.assertEqual(caught.exception.code, 1)

    #: Stops after the first signal, and ends at once after a SIGINT that follows, as `sweep` does.
    STOPS = """
        signals = []
        def stop(number, frame):
            signals.append(number)
            if len(signals) > 1:
                return os._exit(130) if number == signal.SIGINT else None
            open("stopped", "w").close()
            time.sleep(DELAY)
            print("stopping", file=sys.stderr, flush=True)
            os._exit(130)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        print("training", file=sys.stderr, flush=True)
        time.sleep(60)
    """

    def interrupted(self, delay: float, group: bool, times: int = 1) -> str:
        """The output of a program that is interrupted while it trains. `group`: the signal is sent to the fake program, too."""
        self.fake(textwrap.dedent(self.STOPS).replace("DELAY", str(delay)))
        script = "import sweep_trial\ntry:\n    sweep_trial.run('small.yaml')\nexcept KeyboardInterrupt:\n    print('interrupted')"
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stderr.readline(), "training\n")
        for _ in range(times):
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
            wait_for(lambda: (self.folder / "stopped").exists())
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, err)
        return out + err

    def test_ctrl_c_stops_once(self) -> None:
        for group in (False, True):
            with self.subTest(group=group):
                (self.folder / "stopped").unlink(missing_ok=True)
                self.assertEqual(self.interrupted(0.3, group), "interrupted\nstopping\n")

    def test_a_second_ctrl_c_ends_at_once(self) -> None:
        began = time.monotonic()
        self.assertEqual(self.interrupted(30, False, times=2), "interrupted\n")
        self.assertLess(time.monotonic() - began, 20)

    def test_the_display_of_a_notebook(self) -> None:
        pages = []
        notebook = _run._Notebook()
        notebook._handle = mock.Mock(update=lambda page, raw: pages.append(page))
        with mock.patch.dict(sys.modules, {"IPython": mock.Mock(), "IPython.display": mock.Mock()}):
            notebook(["small: 4 trials", "1/4 finished, 2 running", "a <note>", "3/4 finished"])
        self.assertEqual(pages[0]["text/plain"], "small: 4 trials\na <note>\n3/4 finished")
        self.assertIn('<progress value="3" max="4"', pages[0]["text/html"])
        self.assertIn("a &lt;note&gt;", pages[0]["text/html"])


class Pages(WithFolder):
    DASHBOARD = """
        print("a note", file=sys.stderr)
        print("dashboard: http://127.0.0.1:4321/", file=sys.stderr, flush=True)
        print("x" * 100000, file=sys.stderr, flush=True)
        open("served", "w").write(" ".join(sys.argv[1:]))
        time.sleep(60)
    """

    def test_the_dashboard_ends_with_its_object(self) -> None:
        self.fake(self.DASHBOARD)
        with in_folder(self.folder):
            page = sweep.open(self.folder).dashboard("small")
        self.assertEqual(page.url, "http://127.0.0.1:4321/")
        self.assertIn('<iframe src="http://127.0.0.1:4321/"', page._repr_html_())
        # It is not held up by what it prints.
        wait_for(lambda: (self.folder / "served").exists() and (self.folder / "served").read_text() != "")
        self.assertEqual((self.folder / "served").read_text(), f"dashboard --store={self.folder} --port=0 small")
        process = page._process
        self.assertTrue(page.is_running)
        del page
        gc.collect()
        self.assertIsNotNone(process.poll())

        with in_folder(self.folder), sweep.open(self.folder).dashboard() as page:
            self.assertTrue(page.is_running)
        self.assertFalse(page.is_running)
        page.close()
        self.assertEqual(page._repr_html_(), "&lt;dashboard, closed&gt;")

    def test_a_dashboard_that_does_not_start(self) -> None:
        self.fake("print('error: unknown sweep `x`', file=sys.stderr); sys.exit(2)")
        with self.assertRaisesRegex(sweep.SweepError, "^unknown sweep `x`$"):
            sweep.open(self.folder).dashboard("x")

    def test_the_report_is_in_a_frame(self) -> None:
        self.fake("print('<!doctype html><p class=\"a\">')")
        report = sweep.open(self.folder).report()
        self.assertIn('srcdoc="&lt;!doctype html&gt;&lt;p class=&quot;a&quot;&gt;', report._repr_html_())
        self.assertIn('sandbox="allow-scripts', report._repr_html_())
        self.assertEqual(report.save(self.folder / "r.html").read_text(), report.html)

    def test_no_interval_is_drawn_for_the_first_schedule(self) -> None:
        row = {"rank": 1, "diff": None, "diff_low": None, "diff_high": None}
        self.assertEqual(_html._interval(row, 0.0, 0.0).count("<line"), 1)


@contextlib.contextmanager
def in_folder(folder: Path):  # type: ignore[no-untyped-def]
    """Changes the working folder for a while."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def wait_for(condition) -> None:  # type: ignore[no-untyped-def]
    """Waits until the condition holds, at most 20 s."""
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited too long")
        time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
