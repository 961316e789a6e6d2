"""A program that learns nothing: its loss follows from the lrs and the seed alone."""

import json
import os

trial = json.load(open(os.environ["SWEEP_TRIAL"]))
lrs = [float(line) for line in open(trial["lr_text"])]
loss = 1.0 + 0.01 * trial["seed"]
with open(os.environ["SWEEP_REPORT"], "w") as report:
    for step, lr in enumerate(lrs):
        line = {"step": step, "train_loss": loss}
        loss *= 1.0 - 0.5 * lr
        if step + 1 == len(lrs):
            line["valid_loss"] = loss
        print(json.dumps(line), file=report, flush=True)
