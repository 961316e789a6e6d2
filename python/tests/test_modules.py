"""Which files of a program are reported as loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from parent import SOURCE

#: Calls `new()` twice and prints the files of the working folder.
ASK = "print(json.dumps([[os.path.relpath(path) for files in modules.new() for path in files] for _ in range(2)]))"


class TestModules(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def write(self, name: str, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def printed(self, script: str) -> Any:
        """The output of a script that can use `modules`."""
        start = "import json, os\nfrom sweep_trial._modules import Modules\nmodules = Modules()\n"
        self.write("train.py", f"{start}{script}\n")
        env = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, "train.py"]
        ran = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        return json.loads(ran.stdout)

    def test_modules_next_to_the_script_are_reported_once(self) -> None:
        self.write("model.py", "import parts.extra\n")
        self.write("parts/__init__.py")
        self.write("parts/extra.py")
        self.write("unused.py")
        first, second = self.printed(f"import model\n{ASK}")
        self.assertEqual(first, ["model.py", "parts/__init__.py", "parts/extra.py", "train.py"])
        self.assertEqual(second, [])

    def test_modules_that_are_loaded_later_are_reported_later(self) -> None:
        self.write("late.py")
        self.assertEqual(self.printed(f"list(modules.new())\nimport late\n{ASK}"), [["late.py"], []])

    def test_installed_packages_are_left_out(self) -> None:
        self.write("venv/lib/site-packages/foreign.py")
        script = f"import sys; sys.path.append('venv/lib/site-packages')\nimport foreign, json.tool\n{ASK}"
        self.assertEqual(self.printed(script)[0], ["train.py"])

    def test_many_files_are_named_in_several_reports(self) -> None:
        for number in range(40):
            self.write(f"m{number:02}.py")
        load = "import importlib\n[importlib.import_module(f'm{n:02}') for n in range(40)]\n"
        lines = self.printed(f"{load}print(json.dumps([len(files) for files in modules.new()]))")
        self.assertEqual(lines, [15, 15, 11])


if __name__ == "__main__":
    unittest.main()
