"""Minimizes a noisy parabola, and writes a checkpoint where other trials part from this one. The parameter `mode` selects a mistake.
Each trained step is a line of the file `steps`, and each start one of `starts`."""
import json
import os
import random
import sys

trial = json.load(open(os.environ["SWEEP_TRIAL"]))
report = open(os.environ["SWEEP_REPORT"], "w", buffering=1)
answers = open(os.environ["SWEEP_ANSWERS"])
mode, steps = trial["params"]["mode"], trial["steps"]
lrs = [float(line) for line in open(trial["lr_text"])] if trial["lr_text"] else None
draw, noise = random.Random(trial["seed"]), random.Random()
x, first, average = 3.0, 0, 3.0
if trial["resume"]:
    first = trial["resume"]["step"]
    saved = json.load(open(trial["resume"]["path"]))
    x = saved["x"]
    if mode != "forgets":
        version, internal, gauss = saved["draw"]
        draw.setstate((version, tuple(internal), gauss))
    # The copy is its own.
    os.unlink(trial["resume"]["path"])
    print("resumes at step", first, flush=True)
with open("starts", "a") as starts:
    starts.write("%s %d\n" % (trial["id"], first))


def tell(**numbers):
    report.write(json.dumps(numbers) + "\n")


for step in range(first, steps):
    loss, slope = x * x, 2 * x + draw.gauss(0, 1)
    if mode == "noisy":
        slope += 1e-6 * noise.gauss(0, 1)
    if lrs is None:
        tell(ask=step, train_loss=loss, grad_norm=abs(slope))
        lr = json.loads(answers.readline())["lr"]
    else:
        lr = lrs[step]
    x -= lr * slope
    # It is not in the checkpoint.
    average += 0.02 * (x - average)
    line = {"step": step, "train_loss": loss}
    if (step + 1) % trial["evaluate_every"] == 0 or step == steps - 1:
        line["valid_loss"] = x * x
        if mode == "average":
            line["gap"] = abs(average)
        if mode == "clock":
            line["clock"] = noise.random()
    if mode == "nan" and step == 25:
        line["train_loss"] = float("nan")
    if mode == "dies" and step == 25:
        with open("died", "a") as deaths:
            if deaths.tell() < 2:
                deaths.write("x")
                print("out of memory")
                sys.exit(3)
    with open("steps", "a") as trained:
        trained.write("%d\n" % step)
    tell(**line)
    if step in trial["checkpoint_after"] and mode != "never":
        latest = os.path.join(trial["checkpoints"], "latest")
        with open(latest, "w") as file:
            json.dump({"x": x, "draw": draw.getstate()}, file)
        tell(step=step, checkpoint=latest)
        assert json.loads(answers.readline()) == {"step": step, "kept": True}
        os.unlink(latest)
