"""The files of the program's own that it has loaded: modules that lie in the folder of its script, or in the folder that `sweep`
was started in. What is installed, and the standard library, are not among them.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Iterator

#: How many files one report names at most: a line is at most 64 KiB long, and a path 4 KiB.
_MOST = 15

#: Folders of what is installed.
_INSTALLED = ("site-packages", "dist-packages")


class Modules:
    """Finds the files of modules that were loaded since it was last asked."""

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
        # Looking at all of them takes a while; as a rule none has come since.
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        found = sorted({path for module in list(sys.modules.values()) if (path := self._own(module))} - self._seen)
        self._seen.update(found)
        for first in range(0, len(found), _MOST):
            yield found[first : first + _MOST]

    def _own(self, module: object) -> str:
        """The file of a module of the program's own; else an empty text."""
        try:
            name = getattr(module, "__file__", None)
        except Exception:  # A module that loads its parts when they are asked for may fail here in any way.
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
    """What the path of every file in a folder begins with."""
    return os.path.join(os.path.abspath(folder), "")
