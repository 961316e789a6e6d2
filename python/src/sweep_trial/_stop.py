"""Whether `sweep` has asked the program to stop (SIGTERM). What the program does about it is its own business."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Optional


class Stop:
    """Catches SIGTERM from the first look on; before it, and in programs that never look, SIGTERM ends the program."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.asked = False
        self._before: object = None
        self._watching = False

    def requested(self) -> bool:
        # Handlers can be set in the main thread alone, and a worker process is to die of SIGTERM as ever.
        if (
            not self._watching
            and os.getpid() == self._pid
            and threading.current_thread() is threading.main_thread()
        ):
            self._before = signal.signal(signal.SIGTERM, self._catch)
            self._watching = True
        return self.asked

    def _catch(self, number: int, frame: Optional[FrameType]) -> None:
        if os.getpid() != self._pid:
            # A forked worker has this handler from its parent; nobody looks there, so it ends as it would have.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.asked = True
        if callable(self._before):
            self._before(number, frame)
