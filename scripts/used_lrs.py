"""Are the lrs that PyTorch's optimizers use those that `sweep lr` prints? For scripts/check-python.

    python3 scripts/used_lrs.py run PROGRAM [WORD...]       runs a program of a trial; its lrs are written into the trial's outputs
    python3 scripts/used_lrs.py compare SWEEP STORE FILE    compares those of all trials of a sweep file

`run` notes the lr of every parameter group after every update, in each process of the trial. `compare` expects in each process, at each
step, for the first group of the first optimizer the number that `sweep lr` prints, to the bit; for a schedule that watches training the
lr in the store. All other groups must keep their ratio to it.
"""

import atexit
import json
import os
import pathlib
import runpy
import subprocess
import sys

#: Rounding of a product and a quotient.
CLOSE = 1e-15


def run(program, words):
    import sweep_trial
    from torch.optim.optimizer import register_optimizer_step_post_hook

    optimizers, used = [], []

    def note(optimizer, args, kwargs):
        if not any(optimizer is known for known in optimizers):
            optimizers.append(optimizer)
            used.append([])
        at = next(i for i, known in enumerate(optimizers) if known is optimizer)
        used[at].append([float(group["lr"]) for group in optimizer.param_groups])

    def write():
        path = sweep_trial.current().outputs / f"lrs-{os.environ.get('RANK', '0')}.json"
        path.write_text(json.dumps(used))

    register_optimizer_step_post_hook(note)
    atexit.register(write)
    sys.argv = [program, *words]
    sys.path[0] = str(pathlib.Path(program).resolve().parent)
    runpy.run_path(program, run_name="__main__")


class Store:
    def __init__(self, sweep, store):
        self.command = [sweep, "--quiet", "--store", store]

    def printed(self, *words):
        return subprocess.run([*self.command, *words], check=True, capture_output=True, text=True).stdout

    def rows(self, sql):
        return json.loads(self.printed("query", sql, "--format", "json"))


def compare(sweep, folder, file):
    import yaml

    store, spec = Store(sweep, folder), yaml.safe_load(pathlib.Path(file).read_text())
    values, processes, trials = 0, set(), 0
    for trial in store.rows("select trial_id, schedule, base_lr, steps from runs"):
        schedule = spec["schedules"][trial["schedule"]]
        if schedule["kind"] == "plateau":
            rows = store.rows(f"select lr from metrics where trial_id = '{trial['trial_id']}' order by step")
            wanted = [row["lr"] for row in rows]
        else:
            words = ["--lr", repr(trial["base_lr"]), "--total", str(trial["steps"]), "--format", "json"]
            wanted = json.loads(store.printed("lr", json.dumps(schedule), *words))["lr"]
        outputs = pathlib.Path(store.printed("outputs", trial["trial_id"]).strip())
        files = sorted(outputs.glob("lrs-*.json"))
        assert files and len(wanted) == trial["steps"], (trial, files)
        for path in files:
            check(path, wanted)
            values += len(wanted)
        processes.add(len(files))
        trials += 1
    (count,) = processes
    print(f"{trials} trials, {count} process{'es'[:2 * (count > 1)]} each: all {values} lrs that the optimizers used are those of `sweep lr`")


def check(path, wanted):
    optimizers = json.loads(path.read_text())
    first = [groups[0] for groups in optimizers[0]]
    assert first == wanted, f"{path}: {first[:5]} and not {wanted[:5]}"
    for updates in optimizers:
        assert len(updates) == len(wanted), f"{path}: {len(updates)} updates and not {len(wanted)}"
        for group in zip(*updates):
            ratio = group[0] / wanted[0]
            for lr, base in zip(group, wanted):
                assert abs(lr - ratio * base) <= CLOSE * abs(lr), f"{path}: {lr} and not {ratio} times {base}"


if __name__ == "__main__":
    {"run": lambda: run(sys.argv[2], sys.argv[3:]), "compare": lambda: compare(*sys.argv[2:])}[sys.argv[1]]()
