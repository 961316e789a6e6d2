"""`Dashboard`: the process `sweep dashboard`, and its page in a notebook."""

from __future__ import annotations

import subprocess
import threading
import weakref
from html import escape
from typing import IO, Any, Optional, Sequence

from . import _program

#: How the line with the address begins.
_ADDRESS = "dashboard: "


class Dashboard:
    """A live page, served on this machine. A notebook shows it. It stops with `close()`, with this object, or with Python.

    Attributes:
        url: the address of the page.
    """

    def __init__(self, words: Sequence[str], height: int) -> None:
        command = [_program.find(), *words]
        # A separate session: stopping a cell of the notebook must not stop the page.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._height = height
        self._process = process
        # Does not refer to `self`, and runs at the end of Python at the latest.
        self._stop = weakref.finalize(self, _stop, process)
        self.url: str = self._address(command)
        threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()

    def _address(self, command: Sequence[str]) -> str:
        """Waits for the line with the address."""
        printed = []
        for line in self._process.stderr or ():
            if line.startswith(_ADDRESS):
                return line[len(_ADDRESS) :].strip()
            printed.append(line.rstrip("\n"))
        raise _program.failure(command, self._process.wait(), printed)

    def close(self) -> None:
        """Stops the page. A second call does nothing."""
        self._stop()

    @property
    def is_running(self) -> bool:
        """Whether the page is served."""
        return self._process.poll() is None

    def __enter__(self) -> Dashboard:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<dashboard at {self.url}>" if self.is_running else "<dashboard, closed>"

    def _repr_html_(self) -> str:
        if not self.is_running:
            return escape(repr(self))
        url = escape(self.url, quote=True)
        style = f"width: 100%; height: {self._height}px; box-sizing: border-box; border: 1px solid rgba(128, 128, 128, 0.4)"
        return f'<div><a href="{url}" target="_blank">{url}</a></div><iframe src="{url}" style="{style}"></iframe>'


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _drain(stderr: Optional[IO[str]]) -> None:
    """Reads what the process prints, so that it never waits for a full pipe."""
    if stderr is not None:
        with stderr:
            for _ in stderr:
                pass
