"""`run`: trains a sweep from Python, with its progress in a notebook or a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import Any, Callable, Optional

from . import _html, _program
from ._results import Ranking
from ._store import PathOrUrl, Store

#: A line of progress: runs that have ended, and all runs of the round.
_PROGRESS = re.compile(r"(\d+)/(\d+) finished")

#: Options that would change what `run` reads.
_FIXED = {"format", "quiet", "shard", "help"}


def run(
    file: PathOrUrl,
    *,
    store: Optional[PathOrUrl] = None,
    frame: Optional[str] = None,
    data_dir: Optional[PathOrUrl] = None,
    progress: bool = True,
    **options: Any,
) -> Ranking:
    """Trains the missing runs of a sweep file, as `sweep run` does, and returns the ranking.

    Ctrl-C (in a notebook: the stop button) stops as in a terminal: checkpoints are written, and `KeyboardInterrupt` is raised.
    The same call continues. Runs that failed raise `SweepError` after all others have ended.

    Args:
        file: the sweep file.
        store: the folder of the store, or the address of a PostgreSQL database. By default `$SWEEP_STORE`, else "runs".
        frame: the library of the frames, as in `open`.
        data_dir: the folder of the data sets.
        progress: whether to show the progress.
        **options: the options of `sweep run`: `workers=4`, `no_share=True`, `time_limit="10m"`.
    """
    fixed = _FIXED.intersection(options)
    if fixed:
        raise TypeError(f"run() does not take the option {fixed.pop()!r}; use `sweep run` in a terminal")
    results = Store(store, frame=frame, data_dir=data_dir)
    command = [_program.find(), "run", *results.context, "--format=json", *_program.words(options), "--", os.fspath(file)]
    printed: list[str] = []
    screen = _screen() if progress else None
    code = _train(command, printed, screen)
    if code != 0:
        raise _program.failure(command, code, printed)
    ranking = results.ranking(results.name_of(file))
    if isinstance(screen, _Notebook):
        # The ranking shows its warnings itself.
        screen([line for line in printed if line not in ranking.notes])
    return ranking


def _screen() -> Callable[[list[str]], None]:
    """Shows lines: updates a display in a notebook, prints the last line elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if hasattr(shell, "kernel"):
        return _Notebook()
    return lambda lines: print(lines[-1], file=sys.stderr, flush=True)


class _Notebook:
    """One output of a cell, which is updated."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, lines: list[str]) -> None:
        from IPython.display import display

        last = next((found for found in map(_PROGRESS.match, reversed(lines)) if found), None)
        # Only the last line of progress is shown, where it was printed.
        shown = [line for line in lines if not _PROGRESS.match(line) or line is (last and last.string)]
        finished, all_ = (int(last[1]), int(last[2])) if last else (None, None)
        page = {"text/html": _html.progress(finished, all_, shown), "text/plain": "\n".join(shown)}
        if self._handle is None:
            self._handle = display(page, raw=True, display_id=True)
        else:
            self._handle.update(page, raw=True)


def _train(command: list[str], printed: list[str], screen: Optional[Callable[[list[str]], None]]) -> int:
    """Runs the command to its end. Returns its exit code; `printed` receives the lines of its stderr.

    In a terminal the command draws its own progress bar, and `printed` stays empty.
    """
    is_terminal = screen is not None and not isinstance(screen, _Notebook) and _stderr_is_terminal()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if is_terminal else subprocess.PIPE,
        env=_environment(),
    )

    def follow() -> int:
        if process.stderr is not None:
            _read(process.stderr.fileno(), printed, screen)
        return process.wait()

    try:
        return follow()
    except KeyboardInterrupt:
        # A terminal, and Jupyter, have sent SIGINT to the command, too. SIGTERM stops it where they have not, and is ignored
        # where they have; a second SIGINT would end it at once.
        process.terminate()
        try:
            follow()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
        raise
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        if process.stderr is not None:
            process.stderr.close()


def _stderr_is_terminal() -> bool:
    """Whether what the command prints on its stderr appears where Python's stderr appears, in a terminal."""
    try:
        return sys.stderr.isatty() and sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False


def _read(descriptor: int, printed: list[str], screen: Optional[Callable[[list[str]], None]]) -> None:
    """Reads lines until the end. An interrupted call loses no whole line."""
    rest = b""
    while True:
        chunk = os.read(descriptor, 1 << 16)
        *lines, rest = (rest + chunk).split(b"\n")
        if not chunk and rest:
            lines.append(rest)
        for line in lines:
            printed.append(line.decode("utf-8", "replace"))
            if screen is not None:
                screen(printed)
        if not chunk:
            return


def _environment() -> dict[str, str]:
    """The environment of the command. The Python of a notebook may be missing on the PATH; `python3` in a sweep file means it."""
    environment = dict(os.environ)
    folder = os.path.dirname(sys.executable)
    path = environment.get("PATH", "")
    if folder and folder not in path.split(os.pathsep):
        environment["PATH"] = os.pathsep.join(filter(None, [folder, path]))
    return environment
