"""Minimizes a parabola. The parameter `mode` selects a failure."""
import array
import json
import os
import random
import signal
import sys
import time

trial = json.load(open(os.environ["SWEEP_TRIAL"]))
report = open(os.environ["SWEEP_REPORT"], "w", buffering=1)
mode, steps = trial["params"]["mode"], trial["steps"]
draw = random.Random(None if mode == "random" else trial["seed"])


def tell(**numbers):
    report.write(json.dumps(numbers) + "\n")


def numbers(path):
    """Reads a .npy file of version 1."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    begin = 10 + int.from_bytes(data[8:10], "little")
    assert begin % 64 == 0 and "'shape': (%d,)" % steps in data[10:begin].decode()
    return array.array("d", data[begin:])


def checkpoint(step):
    path = os.path.join(trial["checkpoints"], "after-%d" % step)
    with open(path, "w") as file:
        file.write(repr(x))
    tell(step=step, checkpoint=path)


x, first = 3.0, 0
if trial["resume"]:
    first = trial["resume"]["step"]
    x = float(open(trial["resume"]["path"]).read())
    for _ in range(first):
        draw.gauss(0, 1)
    print("resumes at step", first)
if trial["closed_loop"]:
    answers = open(os.environ["SWEEP_ANSWERS"])
else:
    lrs = numbers(trial["lr"])
    assert list(lrs) == [float(line) for line in open(trial["lr_text"])]
    print("sum of lrs", repr(sum(lrs)))
    if trial["momentum"]:
        print("sum of momenta", repr(sum(numbers(trial["momentum"]))))
assert "SWEEP_STORE" not in os.environ
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
print("threads", *(os.environ[name] for name in THREADS))
print("slot", os.environ["SLOT"], "worker", os.environ["SWEEP_WORKER"], flush=True)

stopped = []
if mode == "polite":
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
if mode == "silent":
    sys.exit(0)
slow = 0.1 if mode in ("polite", "rude") else 0
for step in range(first, steps):
    loss, slope = x * x, 2 * x + draw.gauss(0, 1)
    if trial["closed_loop"]:
        tell(ask=step, train_loss=loss, grad_norm=abs(slope))
        lr = json.loads(answers.readline())["lr"]
    else:
        lr = lrs[step]
    x -= lr * slope
    line = {"step": step, "train_loss": loss}
    if (step + 1) % trial["evaluate_every"] == 0 or step == steps - 1:
        line["valid_loss"] = x * x
    if step == steps - 1:
        line.update(test_loss=x * x, weights_hash="toy")
        if mode == "well" and trial["schedule"] != "greedy":
            with open(os.path.join(trial["outputs"], "x.txt"), "w") as file:
                file.write(repr(x))
        if mode == "nofinal":
            del line["valid_loss"]
    if step == 5:
        if mode == "nan":
            line["train_loss"] = float("nan")
        if mode == "beyond":
            line["train_loss"] = 1e6
        if mode == "garbage":
            report.write("Epoch 1: loss 3.2\n")
        if mode == "unknown":
            line = {"step": step, "train_los": 1}
        if mode == "order":
            line["step"] = 2
        if mode == "late":
            line["step"] = steps
        if mode == "ahead":
            line["lr"] = lr / 2
        if mode == "top":
            tell(step=step, valid_loss=x * x)
        if mode == "percent":
            line["valid_accuracy"] = 78.2
        if mode == "endless":
            report.write("x" * 1000000)
        if mode == "exit":
            print("out of memory")
            sys.exit(3)
        if mode == "signal":
            os.abort()
        if mode == "hang":
            time.sleep(1000)
    if mode == "deaf" and step == 5:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf now", flush=True)
        time.sleep(1000)
    if mode == "torn" and step == 5 and not os.path.exists("torn"):
        open("torn", "w").close()
        report.write('{"step": 5, "train_l')
        report.flush()
        print("torn now", flush=True)
        time.sleep(1000)
    if mode == "short" and step == 8:
        sys.exit(0)
    if mode != "gaps" or step % 10 == 9:
        tell(**line)
    if mode == "last" and step == steps - 1:
        checkpoint(step)
        tell(step=step, valid_accuracy=0.5)
    if mode in ("over", "always") and step in (10, 20) and not trial["resume"]:
        checkpoint(step)
        if step == 20 and (mode == "always" or not os.path.exists("over")):
            open("over", "w").close()
            time.sleep(0.3)
            with open(os.path.join(trial["checkpoints"], "after-20"), "w") as file:
                file.write("-7")
            sys.exit(1)
    if mode == "killed" and step == 15 and not trial["resume"]:
        checkpoint(step)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    if stopped:
        checkpoint(step)
        sys.exit(0)
    time.sleep(slow)
