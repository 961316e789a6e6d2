"""Logistic regression on MNIST in plain numpy. Can be stopped and resumed with bit-identical results."""

import hashlib
import sys

import mnist
import numpy as np
import sweep_trial as sweep

trial = sweep.current(steps=300, lr=0.1, params={"data": "data/mnist", "batch_size": 128, "checkpoint_every": 0})

parts = mnist.load(trial.params["data"])
images, labels = parts["train"]
batches = mnist.Batches(len(images), trial.params["batch_size"], trial.seed)
weights = np.random.default_rng([trial.seed, 0]).normal(0, 0.01, (784, 10)).astype(np.float32)
bias = np.zeros(10, np.float32)


def forward(x, y):
    """Mean loss, accuracy, and the gradient of the loss by the scores."""
    scores = x @ weights + bias
    scores -= scores.max(1, keepdims=True)
    chances = np.exp(scores)
    total = chances.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = (np.log(total[:, 0]) - scores[rows, y]).mean()
    chances /= total
    right = (chances.argmax(1) == y).mean()
    chances[rows, y] -= 1
    return loss, right, chances / len(y)


def evaluate(part):
    return forward(mnist.scaled(parts[part][0]), parts[part][1])[:2]


def checkpoint(step):
    path = trial.checkpoints / f"step-{step}.npz"
    np.savez(path, weights=weights, bias=bias)
    trial.checkpoint(step, path)


if trial.resume:
    with np.load(trial.resume.path) as saved:
        weights, bias = saved["weights"], saved["bias"]

for step in trial.steps():
    chosen = batches[step]
    x = mnist.scaled(images[chosen])
    loss, _, slope = forward(x, labels[chosen])
    by_weights, by_bias = x.T @ slope, slope.sum(0)
    norm = np.sqrt((by_weights**2).sum() + (by_bias**2).sum())
    # Loss and norm are for schedules that use the current batch; other schedules need only the step.
    lr = np.float32(trial.lr(step, train_loss=loss, grad_norm=norm))
    weights -= lr * by_weights
    bias -= lr * by_bias
    trial.log(step, train_loss=loss, grad_norm=norm)
    if trial.evaluates(step):
        valid_loss, valid_accuracy = evaluate("valid")
        trial.log(step, valid_loss=valid_loss, valid_accuracy=valid_accuracy)
    if trial.stop_requested:
        checkpoint(step)
        sys.exit(143)  # the exit code that shells use after SIGTERM
    every = trial.params["checkpoint_every"]
    if every and (step + 1) % every == 0:
        checkpoint(step)

# The last step is always evaluated.
test_loss, test_accuracy = evaluate("test")
trial.finish(
    valid_loss,
    valid_accuracy=valid_accuracy,
    test_loss=test_loss,
    test_accuracy=test_accuracy,
    weights_hash=hashlib.sha256(weights.tobytes() + bias.tobytes()).hexdigest(),
)
