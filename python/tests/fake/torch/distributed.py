"""A process group whose processes exchange numbers through the files of a folder."""

from __future__ import annotations

import json
import os
import time
from typing import Any

_group: dict[str, Any] = {}


def init_process_group(backend: str, init_method: str, rank: int, world_size: int) -> None:
    _group.update(backend=backend, folder=init_method[len("file://") :], rank=rank, size=world_size, sent=0)
    os.makedirs(_group["folder"], exist_ok=True)


def destroy_process_group() -> None:
    _group.clear()


def is_available() -> bool:
    return True


def is_initialized() -> bool:
    return bool(_group)


def get_rank() -> int:
    return int(_group["rank"])


def get_world_size() -> int:
    return int(_group["size"])


def get_backend() -> str:
    return str(_group["backend"])


def broadcast(tensor: Any, src: int) -> None:
    path = os.path.join(_group["folder"], str(_group["sent"]))
    _group["sent"] += 1
    if get_rank() == src:
        with open(f"{path}.new", "w") as file:
            json.dump(tensor.values, file)
        os.rename(f"{path}.new", path)
        return
    while not os.path.exists(path):
        time.sleep(0.005)
    with open(path) as file:
        tensor.values = json.load(file)
