"""A `sweep` for tests: sets up a trial as described in docs/reference/protocol.md, runs a program, reads its reports and answers
its requests. It contains no checks.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

SOURCE = Path(__file__).resolve().parent.parent / "src"

#: Computes lr and momentum for a request.
Answer = Callable[[dict[str, Any]], tuple[float, Optional[float]]]


def npy(path: Path, values: Sequence[float], version: int = 1) -> Path:
    """Writes a `.npy` file without numpy."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(values)},), }}".encode()
    fixed = 10 if version == 1 else 12
    header += b" " * (-(fixed + len(header) + 1) % 64) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    numbers = struct.pack(f"<{len(values)}d", *values)
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + header + numbers)
    return path


@dataclass
class Outcome:
    """The result of a program."""

    code: int
    out: str
    err: str
    #: The reports, without the requests.
    lines: list[dict[str, Any]] = field(default_factory=list)
    #: Reports and requests, in order.
    all: list[dict[str, Any]] = field(default_factory=list)


class Parent:
    """One trial. It is closed-loop if `answer` is given."""

    def __init__(
        self,
        lrs: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
        *,
        answer: Optional[Answer] = None,
        momenta: Optional[Sequence[float]] = None,
        version: int = 1,
        **facts: Any,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name)
        self.answer = answer
        self.lines: list[dict[str, Any]] = []
        self.env: dict[str, str] = {}
        #: Words between Python and the script, such as those of a launcher.
        self.launcher: Sequence[str] = ()
        #: The answer to each checkpoint that is needed, after its step.
        self.kept: Callable[[int], str] = lambda step: json.dumps({"step": step, "kept": True})
        #: Further keys of the answer to a request.
        self.more: Callable[[dict[str, Any]], dict[str, Any]] = lambda question: {}
        self._checkpoint_after = facts.get("checkpoint_after", [])
        checkpoints = self.root / "checkpoints"
        checkpoints.mkdir()
        trial = {
            "protocol": 1,
            "id": "t1",
            "seed": 7,
            "schedule": "cosine",
            "base_lr": 0.1,
            "steps": len(lrs),
            "steps_per_epoch": None,
            "evaluate_every": 2,
            "closed_loop": answer is not None,
            "lr": None if answer else str(npy(self.root / "lr.npy", lrs, version)),
            "lr_text": None if answer else str(self.root / "lr.txt"),
            "momentum": None if momenta is None else str(npy(self.root / "momentum.npy", momenta)),
            "params": {},
            "checkpoints": str(checkpoints),
            "outputs": str(self.root / "outputs"),
            "resume": None,
            **facts,
        }
        (self.root / "trial.json").write_text(json.dumps(trial))
        for name in ("report", "answers"):
            os.mkfifo(self.root / name)
        # Opens both ends of both pipes, so that no open blocks and no pipe ends while the program is not running.
        self._report = os.open(self.root / "report", os.O_RDWR | os.O_NONBLOCK)
        self._answers = os.open(self.root / "answers", os.O_RDWR)

    def __enter__(self) -> Parent:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        self._folder.cleanup()

    def die(self) -> None:
        """Closes the pipes, as if the process had ended."""
        for pipe in (self._report, self._answers):
            if pipe >= 0:
                os.close(pipe)
        self._report = self._answers = -1

    def start(self, program: str | Path, *args: str, python: str = sys.executable) -> subprocess.Popen[str]:
        """Starts a script, given as a file or as text. Text can use `sweep` and `trial`."""
        if isinstance(program, Path):
            path = program
        else:
            path = self.root / "program.py"
            path.write_text("import sweep_trial as sweep\ntrial = sweep.current()\n" + textwrap.dedent(program))
        return subprocess.Popen(
            [python, *self.launcher, str(path), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": str(SOURCE),
                "SWEEP_TRIAL": str(self.root / "trial.json"),
                "SWEEP_REPORT": str(self.root / "report"),
                "SWEEP_ANSWERS": str(self.root / "answers"),
                "SWEEP_WORKER": "0",
                **self.env,
            },
        )

    def wait(self, child: subprocess.Popen[str], timeout: float = 120.0) -> Outcome:
        """Reads the reports of `child` and answers its requests until it ends."""
        ended = threading.Event()
        reader = threading.Thread(target=self._read, args=(ended,))
        reader.start()
        try:
            out, err = child.communicate(timeout=timeout)
        finally:
            child.kill()
            ended.set()
            reader.join()
        return Outcome(child.returncode, out, err, [line for line in self.lines if "ask" not in line], self.lines)

    def run(self, program: str | Path, *args: str) -> Outcome:
        """Runs a script to its end."""
        return self.wait(self.start(program, *args))

    def wait_for(self, child: subprocess.Popen[str], text: str) -> None:
        """Waits until the program prints `text` as a line."""
        assert child.stdout is not None
        until = time.monotonic() + 30
        while time.monotonic() < until:
            line = child.stdout.readline()
            if line.strip() == text or not line:
                break
        if line.strip() != text:
            raise AssertionError(f"the program never said {text!r}: {child.stderr and child.stderr.read()}")

    def wait_until_full(self) -> None:
        """Waits until the pipe of the reports is full."""
        until = time.monotonic() + 30
        while select.select([], [self._report], [], 0)[1]:
            assert time.monotonic() < until, "the program never filled the pipe"
            time.sleep(0.01)

    def _read(self, ended: threading.Event) -> None:
        pending = b""
        while self._report >= 0:
            last = ended.is_set()
            if select.select([self._report], [], [], 0.02)[0]:
                pending += os.read(self._report, 65536)
            elif last:
                break
            *whole, pending = pending.split(b"\n")
            for text in whole:
                line = json.loads(text)
                self.lines.append(line)
                if "ask" in line and self.answer is not None:
                    lr, momentum = self.answer(line)
                    answer = json.dumps({"step": line["ask"], "lr": lr, "momentum": momentum, **self.more(line)})
                    os.write(self._answers, answer.encode() + b"\n")
                if "checkpoint" in line and line["step"] in self._checkpoint_after:
                    os.write(self._answers, self.kept(line["step"]).encode() + b"\n")
        assert pending == b"", f"a line without an end: {pending!r}"


if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))
