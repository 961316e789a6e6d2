"""The folder of the data, read when trackio is imported."""

from __future__ import annotations

import os
from pathlib import Path

TRACKIO_DIR = Path(os.environ["TRACKIO_DIR"])
