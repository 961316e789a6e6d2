"""What all peers share: MNIST as sweep reads it, its batches, and the command line of a timed run."""

import gzip
import json
import pathlib
import struct

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def idx(name):
    raw = gzip.open(ROOT / "data" / "mnist" / f"{name}.gz").read()
    dims = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def mnist():
    """Images (n, 784) and labels of the training, validation and test part, normalised by the first."""
    images = idx("train-images-idx3-ubyte").reshape(-1, 784).astype(np.float32)
    labels = idx("train-labels-idx1-ubyte").astype(np.int64)
    test = idx("t10k-images-idx3-ubyte").reshape(-1, 784).astype(np.float32)
    mean, deviation = images[:50_000].mean(), images[:50_000].std()
    images, test = (images - mean) / deviation, (test - mean) / deviation
    return (images[:50_000], labels[:50_000]), (images[50_000:], labels[50_000:]), (
        test,
        idx("t10k-labels-idx1-ubyte").astype(np.int64),
    )


def order(seed, epoch, n=50_000, batch=64):
    """Indices of an epoch's batches, (batches, batch)."""
    shuffled = np.random.default_rng((seed, epoch)).permutation(n)
    return shuffled[: n // batch * batch].reshape(-1, batch)


def tell(**numbers):
    print(json.dumps(numbers), flush=True)
