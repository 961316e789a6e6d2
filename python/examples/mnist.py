"""Reads MNIST for the examples: four gzipped IDX files, split as `sweep` splits them. Trains nothing."""

import gzip
from pathlib import Path

import numpy as np


def load(folder):
    """Images (n, 784) as bytes and labels (n,) of each split: 50,000, 10,000 and 10,000."""
    folder = Path(folder)
    images, labels = _read(folder / "train-images-idx3-ubyte.gz"), _read(folder / "train-labels-idx1-ubyte.gz")
    return {
        "train": (images[:50_000], labels[:50_000]),
        "valid": (images[50_000:], labels[50_000:]),
        "test": (_read(folder / "t10k-images-idx3-ubyte.gz"), _read(folder / "t10k-labels-idx1-ubyte.gz")),
    }


def scaled(images):
    """Bytes as floats with mean 0 and standard deviation 1."""
    return (images.astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081)


class Batches:
    """The indices of the images of each step's batch. The order of each epoch follows from the seed and the epoch."""

    def __init__(self, count, size, seed):
        self.count, self.size, self.seed = count, size, seed
        self.per_epoch = count // size
        self.epoch = None

    def __getitem__(self, step):
        epoch, at = divmod(step, self.per_epoch)
        # No generator with a state, so that a resumed run gets the same batches.
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(self.count)
        return self.order[at * self.size : (at + 1) * self.size]


def _read(path):
    with gzip.open(path, "rb") as file:
        data = file.read()
    dimensions = [int.from_bytes(data[4 * i : 4 * i + 4], "big") for i in range(1, 1 + data[3])]
    array = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dimensions)
    return array.reshape(len(array), -1) if array.ndim == 3 else array.astype(np.int64)
