"""A small convolutional network on MNIST in PyTorch, with the sweep's scheduler."""

import sys

import mnist
import numpy as np
import sweep_trial as sweep
import torch
from torch import nn

trial = sweep.current(steps=300, lr=0.05, params={"data": "data/mnist", "batch_size": 64, "channels": 8})
torch.manual_seed(trial.seed)
torch.use_deterministic_algorithms(True)
device = "cuda" if torch.cuda.is_available() else "cpu"

parts = {
    name: (torch.from_numpy(mnist.scaled(images)).view(-1, 1, 28, 28).to(device), torch.from_numpy(labels).to(device))
    for name, (images, labels) in mnist.load(trial.params["data"]).items()
}
images, labels = parts["train"]
batches = mnist.Batches(len(images), trial.params["batch_size"], trial.seed)

width = trial.params["channels"]
model = nn.Sequential(
    nn.Conv2d(1, width, 5, stride=2),
    nn.ReLU(),
    nn.Conv2d(width, 2 * width, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(2 * width * 25, 10),
).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=trial.base_lr, momentum=0.9)
scheduler = trial.schedule(optimizer)

if trial.resume:
    saved = torch.load(trial.resume.path, map_location=device)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])


@torch.no_grad()
def evaluate(part):
    x, y = parts[part]
    scores = torch.cat([model(chunk) for chunk in x.split(2000)])
    return nn.functional.cross_entropy(scores, y), (scores.argmax(1) == y).double().mean()


for step in trial.steps():
    chosen = torch.from_numpy(np.ascontiguousarray(batches[step])).to(device)
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    # Without a limit this clips nothing and returns the norm.
    norm = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
    scheduler.tell(train_loss=loss, grad_norm=norm)
    optimizer.step()
    trial.log(step, train_loss=loss, grad_norm=norm)
    scheduler.step()
    if trial.evaluates(step):
        valid_loss, valid_accuracy = evaluate("valid")
        trial.log(step, valid_loss=valid_loss, valid_accuracy=valid_accuracy)
    if trial.stop_requested:
        path = trial.checkpoints / f"step-{step}.pt"
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        trial.checkpoint(step, path)
        sys.exit(143)  # the exit code that shells use after SIGTERM

# The last step is always evaluated.
test_loss, test_accuracy = evaluate("test")
trial.finish(valid_loss, valid_accuracy=valid_accuracy, test_loss=test_loss, test_accuracy=test_accuracy)
