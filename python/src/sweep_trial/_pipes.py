"""The two named pipes to `sweep`: whole lines out, answers in, and what happens when nobody is at the other end.

What the lines mean is not known here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from typing import Optional

from ._gone import ParentGone

#: How long to wait for `sweep` to open its end, in seconds. It has it open before the program starts, as a rule.
PATIENCE = 30.0


class Pipes:
    """Opens each pipe when it is first needed, and keeps it open until the process ends."""

    def __init__(self, report: str, answers: str) -> None:
        self._report_path = report
        self._answers_path = answers
        self._report: Optional[int] = None
        self._answers: Optional[int] = None
        self._pending = b""

    def write(self, line: str) -> None:
        """Writes one line, given without its end."""
        if self._report is None:
            self._report = _open_report(self._report_path)
        rest = line.encode("utf-8") + b"\n"
        try:
            # One write is enough for any line below the size of the pipe. A signal may cut a longer one in two,
            # which does no harm: this process alone writes here.
            while rest:
                rest = rest[os.write(self._report, rest) :]
        except BrokenPipeError:
            raise ParentGone("sweep no longer reads the reports") from None

    def ask(self, question: str) -> bytes:
        """Writes one line and waits for the one that answers it."""
        # Opened before the question is out: whoever answers finds a reader.
        if self._answers is None:
            self._answers = os.open(self._answers_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.write(question)
        assert self._report is not None
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        # No event of its own: an error there says that the reader of the reports is gone.
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
    """Opens the pipe for reports, and makes sure that no other process of this trial writes there."""
    until = time.monotonic() + PATIENCE
    while True:
        # A plain open would wait for ever for a `sweep` that has died.
        try:
            pipe = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
            break
        except FileNotFoundError:
            raise ParentGone(f"{path} is gone, and sweep with it") from None
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        if time.monotonic() > until:
            raise ParentGone(f"nobody reads {path}")
        time.sleep(0.01)
    os.set_blocking(pipe, True)
    # This kind of lock belongs to the process: it is not inherited, and gone with the process however that ends.
    try:
        fcntl.lockf(pipe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(pipe)
            raise RuntimeError(
                "another process of this trial reports already: of several, let only one do so (rank 0)"
            ) from None
        # A file system without such locks: then nobody watches over this.
    return pipe
