"""Reads `.npy` files that hold a one-dimensional array of little-endian float64. Other arrays are refused."""

from __future__ import annotations

import ast
import mmap
import struct
from pathlib import Path
from typing import Iterator, Union

_MAGIC = b"\x93NUMPY"
_NUMBER = struct.Struct("<d")
#: Files of at least this many bytes are mapped instead of read. A million steps take 8 MB.
_MAPPED = 1 << 20


class Values:
    """The numbers of one file, each read on access."""

    def __init__(self, path: Path) -> None:
        self._data: Union[bytes, mmap.mmap]
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size >= _MAPPED:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                self._data = file.read()
        self._start, self._length = _header(path, self._data)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: int) -> float:
        if not 0 <= at < self._length:
            raise IndexError(at)
        value: float = _NUMBER.unpack_from(self._data, self._start + _NUMBER.size * at)[0]
        return value

    def __iter__(self) -> Iterator[float]:
        return (self[at] for at in range(self._length))


def _header(path: Path, data: Union[bytes, mmap.mmap]) -> tuple[int, int]:
    """The offset of the first number, and the count of numbers."""
    if data[:6] != _MAGIC:
        raise ValueError(f"{path} is not a .npy file")
    if len(data) < 12:
        raise ValueError(f"{path} is truncated")
    version = data[6]
    if version == 1:
        start, size = 10, int.from_bytes(data[8:10], "little")
    elif version in (2, 3):
        start, size = 12, int.from_bytes(data[8:12], "little")
    else:
        raise ValueError(f"{path} has .npy version {version}, which is not supported")
    text = data[start : start + size].decode("utf-8" if version == 3 else "latin-1")
    try:
        header = ast.literal_eval(text.strip())
        kind, shape = header["descr"], header["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError):
        raise ValueError(f"{path} has a header that can't be read: {text!r}") from None
    if kind != "<f8" or not isinstance(shape, tuple) or len(shape) != 1:
        raise ValueError(f"{path} must hold a one-dimensional array of '<f8', not {kind!r} of shape {shape!r}")
    length: int = shape[0]
    if len(data) != start + size + _NUMBER.size * length:
        size_found = len(data) - start - size
        raise ValueError(f"{path} declares {length} numbers, but holds {size_found} bytes of them")
    return start + size, length
