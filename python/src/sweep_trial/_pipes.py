"""The two named pipes to `sweep`: writes lines, reads answers, and raises `ParentGone` when `sweep` has ended.

The content of the lines is defined elsewhere.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from typing import Optional

from ._gone import ParentGone

#: How long to wait for `sweep` to open its end, in seconds. Usually it opens it before the program starts.
PATIENCE = 30.0


class Pipes:
    """Opens each pipe on first use, and keeps it open until the process ends."""

    def __init__(self, report: str, answers: str) -> None:
        self._report_path = report
        self._answers_path = answers
        self._report: Optional[int] = None
        self._answers: Optional[int] = None
        self._pending = b""

    def write(self, line: str) -> None:
        """Writes one line, given without its line break."""
        if self._report is None:
            self._report = _open_report(self._report_path)
        rest = line.encode("utf-8") + b"\n"
        try:
            # A line up to the size of the pipe needs one write. A signal may split a longer one, which is harmless
            # because no other process writes to this pipe.
            while rest:
                rest = rest[os.write(self._report, rest) :]
        except BrokenPipeError:
            raise ParentGone("sweep no longer reads the reports") from None

    def ask(self, question: str) -> bytes:
        """Writes one line and waits for the one that answers it."""
        # Opened before the question is sent, so that the answer finds a reader.
        if self._answers is None:
            self._answers = os.open(self._answers_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.write(question)
        assert self._report is not None
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        # No events are requested: poll reports an error when the reader of the reports is gone.
        poll.register(self._report, 0)
        while b"\n" not in self._pending:
            events = dict(poll.poll())
            got = b""
            if events.get(self._answers, 0) & select.POLLIN:
                got = os.read(self._answers, 65536)
            if not got:
                raise ParentGone("sweep no longer answers")
            self._pending += got
        line, _, self._pending = self._pending.partition(b"\n")
        return line


def _open_report(path: str) -> int:
    """Opens the pipe for reports, and ensures that no other process of this trial writes to it."""
    until = time.monotonic() + PATIENCE
    while True:
        # A blocking open would wait forever if `sweep` has died.
        try:
            pipe = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
            break
        except FileNotFoundError:
            raise ParentGone(f"{path} no longer exists: sweep has ended") from None
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        if time.monotonic() > until:
            raise ParentGone(f"nobody reads {path}")
        time.sleep(0.01)
    os.set_blocking(pipe, True)
    # A lock of this kind belongs to the process: children do not inherit it, and it is released when the process ends.
    try:
        fcntl.lockf(pipe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(pipe)
            raise RuntimeError(
                "another process of this trial already reports: only one process may report (rank 0)"
            ) from None
        # The file system has no such locks, so this is not checked.
    return pipe
