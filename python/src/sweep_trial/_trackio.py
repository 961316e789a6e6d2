"""The runs of a sweep in trackio's local database: a project with the name of the sweep, a run for each trial."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ._mirror import Curve, Run
