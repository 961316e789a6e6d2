"""Data and requests that the peers share: MNIST and Emma as sweep reads them, batches, timed rows."""

import gzip
import json
import os
import pathlib
import struct
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAIN = 50_000
EMMA_TRAIN = 705_844


def idx(name):
    raw = gzip.open(ROOT / "data" / "mnist" / f"{name}.gz").read()
    dims = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def mnist():
    """Images (n, 784) and labels of the training, validation and test part, normalized by the first."""
    images = idx("train-images-idx3-ubyte").reshape(-1, 784).astype(np.float32)
    labels = idx("train-labels-idx1-ubyte").astype(np.int64)
    test = idx("t10k-images-idx3-ubyte").reshape(-1, 784).astype(np.float32)
    mean, deviation = images[:TRAIN].mean(), images[:TRAIN].std()
    images, test = (images - mean) / deviation, (test - mean) / deviation
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:]), (
        test,
        idx("t10k-labels-idx1-ubyte").astype(np.int64),
    )


def order(seed, epoch, n=TRAIN, batch=64):
    """Indices of an epoch's batches, (batches, batch)."""
    shuffled = np.random.default_rng((seed, epoch)).permutation(n)
    return shuffled[: n // batch * batch].reshape(-1, batch)


def batches(model, batch, most=10_000):
    """Inputs and labels of an epoch's batches, gathered ahead, (batches, batch, ...); `most` limits the number of batches."""
    if model == "char-gpt":
        return windows(batch, most)
    images = idx("train-images-idx3-ubyte").reshape(-1, 784)[:TRAIN]
    labels = idx("train-labels-idx1-ubyte").astype(np.int64)[:TRAIN]
    chosen = order(0, 0, TRAIN, batch)[:most]
    if model == "vae":
        return images[chosen].astype(np.float32) / np.float32(255), labels[chosen]
    mean, deviation = np.float32(images.mean()), np.float32(images.std())
    return (images[chosen].astype(np.float32) - mean) / deviation, labels[chosen]


def windows(batch, most, context=64):
    """Characters and next characters of Emma, (batches, batch, context)."""
    text = gzip.open(ROOT / "data" / "emma" / "emma.txt.gz").read()
    _, tokens = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    tokens = tokens[:EMMA_TRAIN].astype(np.int64)
    count = (len(tokens) - 1) // context
    starts = order(0, 0, count, batch)[:most, :, None] * context + np.arange(context)
    return tokens[starts], tokens[starts + 1]


def answer(request, trainer, prepared):
    row, steps = request["row"], request["steps"]
    name = json.dumps([row, steps])
    if request["do"] == "prepare":
        prepared[name] = prepared.get(name) or trainer(row, steps)
        train, _ = prepared[name]
        train(request["warmup"])
        return {}
    train, trials = prepared[name]
    began = time.perf_counter()
    train(steps)
    return {"us": (time.perf_counter() - began) / steps / trials * 1e6}


def serve(trainer):
    """Answers one request after another. `prepare` compiles and warms up a row, `time` reports microseconds of a trial-step.

    `trainer(row, steps)` returns a function that trains N steps, and the number of trials that it trains at once.
    """
    # Only replies may reach the pipe: some compilers print.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepared = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), trainer, prepared)
        except Exception as error:  # noqa: BLE001: the caller decides
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


def report(**numbers):
    print(json.dumps(numbers), flush=True)
