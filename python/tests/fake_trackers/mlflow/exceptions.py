"""The error of all calls."""

from __future__ import annotations


class MlflowException(Exception):
    pass
