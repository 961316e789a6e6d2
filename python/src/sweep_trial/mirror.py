"""Copies the runs of a sweep to MLflow or trackio: `python3 -m sweep_trial.mirror --to mlflow [SWEEP]`.

`Store.mirror` does the same from Python.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Optional, Sequence

from ._mirror import TRACKERS
from ._program import SweepError
from ._store import open

#: Seconds between two looks at a sweep that is followed.
_PAUSE = 10.0


def main(words: Optional[Sequence[str]] = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m sweep_trial.mirror", description="Copies the runs of a sweep to another tracker.")
    parser.add_argument("sweep", nargs="?", help="the name of the sweep (default: the one that was run last)")
    parser.add_argument("--to", required=True, choices=list(TRACKERS), help="the tracker")
    parser.add_argument("--at", help="its address or folder (default: the tracker's own)")
    parser.add_argument("--store", help="the store of the results (default: $SWEEP_STORE, else runs)")
    parser.add_argument("--follow", action="store_true", help="repeat until all runs have ended")
    given = parser.parse_args(words)
    try:
        store = open(given.store)
        while True:
            done = store.mirror(given.sweep, to=given.to, at=given.at)
            print(done, flush=True)
            if not given.follow or done.left == 0:
                return 0
            time.sleep(_PAUSE)
    except (ImportError, SweepError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code or 1 if isinstance(error, SweepError) else 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
