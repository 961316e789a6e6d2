"""PyTorch, as fast as it gets on one thread: eager, fused optimizers.

    torch_train.py steps MODEL OPTIMIZER STEPS     microseconds of a step, after a warm-up; its
                                                   batches are gathered before the clock starts
    torch_train.py optuna RUNS.json STORAGE        trains the runs of a file under Optuna, with other processes
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn

import data

torch.set_num_threads(1)


def model(kind):
    if kind == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def optimizer(kind, parameters):
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=1e-3, fused=True)
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, fused=True)


class Trainer:
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

    def gathered(self):
        """Some batches gathered ahead, for as many steps again and again."""
        batches = [self.batch(0, t) for t in range(100)]
        return lambda seed, t: batches[t % 100]

    def train(self, kind, rule, lrs, seed, batch=None):
        batch = batch or self.batch
        torch.manual_seed(seed)
        net, loss_of = model(kind), nn.CrossEntropyLoss()
        steps = optimizer(rule, net.parameters())
        group = steps.param_groups[0]
        for t, lr in enumerate(lrs):
            images, labels = batch(seed, t)
            group["lr"] = lr
            steps.zero_grad(set_to_none=True)
            loss_of(net(images), labels).backward()
            steps.step()
        return net

    def evaluate(self, net):
        with torch.no_grad():
            return [
                nn.functional.cross_entropy(torch.cat([net(part) for part in images.split(500)]), labels).item()
                for images, labels in self.parts[1:]
            ]


def main():
    trainer = Trainer()
    if sys.argv[1] == "steps":
        kind, rule, steps = sys.argv[2], sys.argv[3], int(sys.argv[4])
        batch = trainer.gathered()
        trainer.train(kind, rule, [1e-3] * max(20, steps // 10), 0, batch)
        began = time.perf_counter()
        trainer.train(kind, rule, [1e-3] * steps, 0, batch)
        return data.tell(us=(time.perf_counter() - began) / steps * 1e6)

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = json.load(open(sys.argv[2]))
    lrs = np.load(sys.argv[2].replace(".json", ".npz"))
    if not runs:
        return
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(sys.argv[3]))
    grid = optuna.samplers.GridSampler({"run": list(range(len(runs)))}, seed=0)
    study = optuna.create_study(study_name="runs", storage=storage, sampler=grid, load_if_exists=True)

    def objective(trial):
        run = runs[trial.suggest_int("run", 0, len(runs) - 1)]
        return trainer.evaluate(trainer.train("mlp", "sgd", lrs[run["trial_id"]].tolist(), run["seed"]))[0]

    # Each process takes grid points until none is left.
    study.optimize(objective, n_trials=len(runs))


main()
