"""A multi-layer perceptron on MNIST with DistributedDataParallel: `torchrun --standalone --nproc-per-node=2 ddp_mlp.py`.

Each process trains on its part of every batch, so the losses are those of one process up to rounding.
"""

import os
import sys

import mnist
import numpy as np
import sweep_trial as sweep
import torch
import torch.distributed as dist
from torch import nn

use_cuda = torch.cuda.is_available()
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if use_cuda else torch.device("cpu")
if use_cuda:
    torch.cuda.set_device(device)
dist.init_process_group("nccl" if use_cuda else "gloo")
rank, processes = dist.get_rank(), dist.get_world_size()

trial = sweep.current(steps=300, lr=0.05, params={"data": "data/mnist", "batch_size": 64, "width": 64})
torch.manual_seed(trial.seed)
torch.use_deterministic_algorithms(True)

parts = {
    name: (torch.from_numpy(mnist.scaled(images)).to(device), torch.from_numpy(labels).to(device))
    for name, (images, labels) in mnist.load(trial.params["data"]).items()
}
images, labels = parts["train"]
batches = mnist.Batches(len(images), trial.params["batch_size"], trial.seed)

width = trial.params["width"]
model = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10)).to(device)
model = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=trial.base_lr, momentum=0.9)
scheduler = trial.schedule(optimizer)

if trial.resume:
    saved = torch.load(trial.resume.path, map_location=device)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])


@torch.no_grad()
def evaluate(part):
    x, y = parts[part]
    scores = model.module(x)
    return nn.functional.cross_entropy(scores, y), (scores.argmax(1) == y).double().mean()


for step in trial.steps():
    chosen = torch.from_numpy(np.ascontiguousarray(batches[step][rank::processes])).to(device)
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss = loss.detach()
    dist.all_reduce(loss)  # the loss of the whole batch
    trial.log(step, train_loss=loss / processes)
    scheduler.step()
    if trial.evaluates(step):
        valid_loss, valid_accuracy = evaluate("valid")
        trial.log(step, valid_loss=valid_loss, valid_accuracy=valid_accuracy)
    if trial.stop_requested:  # the same step in every process
        path = trial.checkpoints / f"step-{step}.pt"
        if trial.is_main_process:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        trial.checkpoint(step, path)
        sys.exit(143)  # the exit code that shells use after SIGTERM

# The last step is always evaluated.
test_loss, test_accuracy = evaluate("test")
trial.finish(valid_loss, valid_accuracy=valid_accuracy, test_loss=test_loss, test_accuracy=test_accuracy)
dist.destroy_process_group()
