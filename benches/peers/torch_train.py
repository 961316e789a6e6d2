"""PyTorch, as fast as it gets on one thread: eager or compiled, fused optimizers.

    torch_train.py serve                      answers requests to time a row (data.serve); its batches are gathered ahead
    torch_train.py optuna RUNS.json STORAGE   trains the runs of a file under Optuna, together with other processes
"""

import copy
import json
import sys
import time

import numpy as np
import torch

import data
from torch_models import model, optimizer

torch.set_num_threads(1)


def row_trainer(row, steps):
    """See data.serve. Each call trains a new model, from the same initial weights."""
    kind = row["model"]
    inputs, labels = (torch.from_numpy(x) for x in data.batches(kind, row["batch"], steps))
    net = model(kind)
    initial = copy.deepcopy(net.state_dict())
    loss_of = torch.compile(net, fullgraph=True) if row["form"] == "compiled" else net

    def train(count):
        net.load_state_dict(initial)
        update = optimizer(row["optimizer"], net.parameters())
        for t in range(count):
            update.zero_grad(set_to_none=True)
            loss_of(inputs[t % len(inputs)], labels[t % len(inputs)]).backward()
            update.step()

    return train, 1


class Trainer:
    """Trains and evaluates whole runs of the MLP."""

    def __init__(self):
        self.parts = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data.mnist()]
        self.orders = {}

    def batch(self, seed, t):
        """The images of a step, gathered when they are needed."""
        epoch = t // 781
        if (seed, epoch) not in self.orders:
            self.orders[seed, epoch] = torch.from_numpy(data.order(seed, epoch))
        images, labels = self.parts[0]
        indices = self.orders[seed, epoch][t % 781]
        return images[indices], labels[indices]

    def train(self, lrs, seed):
        torch.manual_seed(seed)
        net = model("mlp")
        update = optimizer("sgd", net.parameters())
        group = update.param_groups[0]
        for t, lr in enumerate(lrs):
            images, labels = self.batch(seed, t)
            group["lr"] = lr
            update.zero_grad(set_to_none=True)
            net(images, labels).backward()
            update.step()
        return net

    def evaluate(self, net):
        with torch.no_grad():
            return [
                torch.nn.functional.cross_entropy(torch.cat([net.net(part) for part in images.split(500)]), labels).item()
                for images, labels in self.parts[1:]
            ]


def optuna_runs(runs_file, storage_file):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trainer, runs = Trainer(), json.load(open(runs_file))
    lrs = np.load(runs_file.replace(".json", ".npz"))
    data.report(ready=time.time())
    began = time.perf_counter()
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(storage_file))
    grid = optuna.samplers.GridSampler({"run": list(range(len(runs)))}, seed=0)
    study = optuna.create_study(study_name="runs", storage=storage, sampler=grid, load_if_exists=True)

    def objective(trial):
        run = runs[trial.suggest_int("run", 0, len(runs) - 1)]
        return trainer.evaluate(trainer.train(lrs[run["trial_id"]].tolist(), run["seed"]))[0]

    # Each process takes grid points until none is left.
    study.optimize(objective, n_trials=len(runs))
    data.report(compiling=0.0, training=time.perf_counter() - began)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        data.serve(row_trainer)
    else:
        optuna_runs(*sys.argv[2:4])
