"""A fake of the program `sweep`, and the real one, for tests of the package's results."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Optional
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

ROOT = Path(__file__).parents[2]


def real() -> Optional[str]:
    """The real program: `$SWEEP_PROGRAM`, or the one that was built last in this folder."""
    return shutil.which(os.environ.get("SWEEP_PROGRAM") or str(ROOT / "target/release/sweep"))


class WithFolder(unittest.TestCase):
    """A test with an empty folder, and an environment without the variables of `sweep`."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SWEEP_")}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def fake(self, script: str) -> Path:
        """A program with this script. Until the test ends, it is the one that the package runs."""
        path = self.folder / "fake-sweep"
        path.write_text(f"#!{sys.executable}\nimport json, os, signal, sys, time\n" + textwrap.dedent(script))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        os.environ["SWEEP_PROGRAM"] = str(path)
        return path
