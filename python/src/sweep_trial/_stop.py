"""Detects that `sweep` asks the program to stop (SIGTERM). The program decides how to react."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Optional


class Stop:
    """Catches SIGTERM after the first call of `requested()`. Without such a call, SIGTERM ends the program."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.asked = False
        self._before: object = None
        self._watching = False

    def requested(self) -> bool:
        # Only the main thread can set handlers, and SIGTERM must still end worker processes.
        if (
            not self._watching
            and os.getpid() == self._pid
            and threading.current_thread() is threading.main_thread()
        ):
            self._before = signal.signal(signal.SIGTERM, self._catch)
            self._watching = True
        return self.asked

    def take_over(self) -> None:
        """Catches SIGTERM in place of a framework's handler, which would end training before a checkpoint is written."""
        if os.getpid() == self._pid and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._catch)
            self._before, self._watching = None, True

    def _catch(self, number: int, frame: Optional[FrameType]) -> None:
        if os.getpid() != self._pid:
            # A forked worker inherits this handler but never checks `asked`, so SIGTERM must end it.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.asked = True
        if callable(self._before):
            self._before(number, frame)
