"""Finds the files that a program has imported from its own folder or from the folder in which `sweep` was started. Leaves out
installed packages and the standard library.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Iterator

#: The most files in one report: a line has at most 64 KiB, and a path 4 KiB.
_MOST = 15

#: Folders of installed packages.
_INSTALLED = ("site-packages", "dist-packages")


class Modules:
    """Finds the files of modules that were loaded since the last call."""

    def __init__(self) -> None:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        folders = [os.getcwd()]
        if isinstance(script, str):
            folders.append(os.path.dirname(os.path.abspath(script)))
        self._folders = [_within(folder) for folder in folders]
        paths = sysconfig.get_paths()
        standard = {paths.get("stdlib"), paths.get("platstdlib")}
        self._foreign = [_within(folder) for folder in standard if folder] + [_within(os.path.dirname(__file__))]
        self._seen: set[str] = set()
        self._modules = 0

    def new(self) -> Iterator[list[str]]:
        """Absolute paths, in a fixed order, a few at a time."""
        # Scanning all modules takes a while, and most steps load none.
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        found = sorted({path for module in list(sys.modules.values()) if (path := self._own(module))} - self._seen)
        self._seen.update(found)
        for first in range(0, len(found), _MOST):
            yield found[first : first + _MOST]

    def _own(self, module: object) -> str:
        """The file of a module if it belongs to the program, else an empty string."""
        try:
            name = getattr(module, "__file__", None)
        except Exception:  # A lazy module may raise anything here.
            return ""
        if not isinstance(name, str) or not name:
            return ""
        path = os.path.abspath(name)
        if not path.startswith(tuple(self._folders)) or path.startswith(tuple(self._foreign)):
            return ""
        if any(f"{os.sep}{folder}{os.sep}" in path for folder in _INSTALLED) or not os.path.isfile(path):
            return ""
        return path


def _within(folder: str) -> str:
    """The prefix of the paths of all files in a folder."""
    return os.path.join(os.path.abspath(folder), "")
