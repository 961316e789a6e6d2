"""Minimizes a parabola with a weight in each of two parameter groups, `matrices` and `rest`, which have their own lrs. Group `rest` starts
with an lr half as large as that of `matrices`: under a schedule without an lr for it the ratio is kept. Each trained step is a line of the
file `steps`. The parameter `mode` selects a failure."""
import array
import json
import os
import random
import signal
import sys
import time

trial = json.load(open(os.environ["SWEEP_TRIAL"]))
report = open(os.environ["SWEEP_REPORT"], "w", buffering=1)
answers = open(os.environ["SWEEP_ANSWERS"])
mode, steps, groups = trial["params"]["mode"], trial["steps"], trial["groups"]
assert trial["protocol"] == 1
draw = random.Random(trial["seed"])
RATIOS = {"matrices": 1.0, "rest": 0.5}


def numbers(path):
    data = open(path, "rb").read()
    return array.array("d", data[10 + int.from_bytes(data[8:10], "little"):])


def tell(**values):
    report.write(json.dumps(values) + "\n")


if groups is None:
    lrs = {name: numbers(trial["lr"]) for name in RATIOS} if trial["lr"] else None
    ratios = RATIOS
else:
    assert [group["name"] for group in groups] == list(RATIOS)
    assert groups[0]["base_lr"] == trial["base_lr"]
    assert all((group["lr"] is None) == trial["closed_loop"] for group in groups)
    ratios = {group["name"]: RATIOS[group["name"]] if group["keeps_ratio"] else 1.0 for group in groups}
    lrs = None if trial["closed_loop"] else {group["name"]: numbers(group["lr"]) for group in groups}
    if lrs:
        assert lrs["matrices"] == numbers(trial["lr"])
        assert list(lrs["matrices"]) == [float(line) for line in open(trial["lr_text"])]
        for group in groups:
            assert (group["momentum"] is None) == (group["name"] == "matrices" or "cycle" not in trial["schedule"])
            if group["momentum"]:
                assert len(numbers(group["momentum"])) == steps

weights, first = {"matrices": 3.0, "rest": -2.0}, 0
if trial["resume"]:
    first = trial["resume"]["step"]
    saved = json.load(open(trial["resume"]["path"]))
    weights = saved["weights"]
    version, internal, gauss = saved["draw"]
    draw.setstate((version, tuple(internal), gauss))
    print("resumes at step", first, flush=True)

used = {name: [] for name in RATIOS}
for step in range(first, steps):
    loss = sum(x * x for x in weights.values())
    slopes = {name: 2 * x + draw.gauss(0, 1) for name, x in weights.items()}
    norm = sum(slope * slope for slope in slopes.values()) ** 0.5
    if trial["closed_loop"]:
        tell(ask=step, train_loss=loss, grad_norm=norm)
        answer = json.loads(answers.readline())
        now = {name: (answer if groups is None else answer["groups"][name])["lr"] for name in RATIOS}
        assert answer["lr"] == now["matrices"] and answer["step"] == step
    else:
        now = {name: lrs[name][step] for name in RATIOS}
    for name, slope in slopes.items():
        weights[name] -= now[name] * ratios[name] * slope
        used[name].append(now[name])
    line = {"step": step, "train_loss": loss}
    if groups is not None:
        line["lr"] = dict(now)
        if mode == "other" and step == 5:
            line["lr"]["rest"] *= 2
        if mode == "unknown" and step == 5:
            line["lr"]["rset"] = line["lr"].pop("rest")
    if (step + 1) % trial["evaluate_every"] == 0 or step == steps - 1:
        line["valid_loss"] = sum(x * x for x in weights.values())
    with open("steps", "a") as trained:
        trained.write("%d\n" % step)
    tell(**line)
    due = step in trial["checkpoint_after"]
    if due or (mode == "killed" and step == 15 and not trial["resume"]):
        path = os.path.join(trial["checkpoints"], "after-%d" % step)
        with open(path, "w") as file:
            json.dump({"weights": weights, "draw": draw.getstate()}, file)
        tell(step=step, checkpoint=path)
        if due:
            assert json.loads(answers.readline()) == {"step": step, "kept": True}
        if mode == "killed" and not due:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
for name, values in used.items():
    print("lrs", name, json.dumps(values))
