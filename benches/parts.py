"""What is measured: rows of training, whole sweeps, and sweep by itself. A part returns figures by name, once a round."""

import dataclasses
import gzip
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable

from measure import CORES, ROOT, Difference, Failure, Unavailable, peak, resident, share_of_others, thread_ticks, together

# Floating-point operations of a step: forward, weight gradients, and input gradients of all but the first layer.
BATCH, VAE_BATCH, GPT_BATCH = 64, 100, 16
MLP_FLOP = 2 * BATCH * (2 * 784 * 128 + 3 * 128 * 10)
LENET_FLOP = 2 * BATCH * (2 * 24 * 24 * 16 * 25 + 3 * (8 * 8 * 32 * 16 * 25 + 512 * 128 + 128 * 10))
VAE_FLOP = 2 * VAE_BATCH * (2 * 784 * 512 + 3 * (512 * 256 + 2 * 256 * 2 + 2 * 256 + 256 * 512 + 512 * 784))
# For each character: four linear layers a block, scores and sums of attention over the whole context, the head.
GPT_FLOP = 2 * GPT_BATCH * 64 * 3 * (4 * (12 * 128 * 128 + 2 * 64 * 128) + 128 * 75)

SGD, ADAMW = "{kind: sgd, momentum: 0.9}", "{kind: adamw}"


class Context:
    """What the parts need to measure."""

    def __init__(self, python, peers, sandbox, quick):
        self.python, self.peers, self.sandbox, self.quick = python, peers, sandbox, quick

    def fewer(self, steps, least=2):
        return max(least, steps // 20) if self.quick else steps

    def unpacked(self, folder, name):
        """A data set as a file of its own, for sweeps whose evaluation is to be short."""
        path = self.sandbox.path / name
        if not path.exists():
            path.write_bytes(gzip.open(ROOT / "data" / folder / f"{name}.gz").read())
        return path

    def emma(self, batch):
        """Emma; the last 1,344 characters are for validation."""
        file = self.unpacked("emma", "emma.txt")
        return f"{{dataset: {{text: {file}, validation: 1344, test: 0}}, batch_size: {batch}}}"

    def images(self, batch):
        """The training images of MNIST; 500 are for validation."""
        files = [self.unpacked("mnist", f"train-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
        return f"{{dataset: {{idx: {files[0]}, labels: {files[1]}, validation: 500, test: 0}}, batch_size: {batch}}}"

    def mnist(self, batch):
        """MNIST, whose evaluation is short for an MLP."""
        return f"{{dataset: mnist, batch_size: {batch}}}"

    def constant(self, model, optimizer, steps, trials, data, lr=(0.0001, 0.001), seeds=1, every=None):
        """A sweep of trials that differ in lr and share no steps."""
        values = f"values: [{lr[1]}]" if trials == 1 else f"logspace: [{lr[0]}, {lr[1]}, {trials}]"
        return self.sandbox.file(
            f"data: {data}\nmodel: {model}\noptimizer: {optimizer}\nbudget: {{steps: {steps}}}\n"
            f"evaluate: {{every: {every or steps}}}\nseeds: {seeds}\nlr: {{{values}}}\nextend: false\n"
            "schedules: {constant: {kind: constant}}\n"
        )


@dataclasses.dataclass
class Peer:
    program: str
    form: str
    steps: int


TORCH, JAX = "torch_train.py", "jax_train.py"


@dataclasses.dataclass
class Row:
    """Microseconds of a trial-step of one model and optimizer, by sweep with all cores and with one, and by its peers."""

    name: str
    title: str
    model: str
    optimizer: str
    data: Callable
    batch: int
    trials: int
    short: int
    long: int
    flop: float
    peers: dict
    speedup: bool = True
    once: bool = False
    only_named: bool = False
    spaced: bool = False

    def __post_init__(self):
        self.differences, self.notes = {}, {}

    def workers(self):
        """Contenders of sweep, with their number of workers."""
        found = {"sweep": CORES}
        if self.speedup and CORES > 1:
            found |= {"1 worker": 1}
        if self.speedup and CORES > 2:
            found |= {"2 workers": 2}
        return found

    def difference(self, name, workers, context):
        if name not in self.differences:
            # About the same wall time with every number of workers.
            short = context.fewer(self.short)
            more = context.fewer(round((self.long - self.short) * workers / CORES), 4)
            self.differences[name] = Difference(short, short + more, 2 if context.quick else 8)
        return self.differences[name]

    def sweep(self, name, workers, context):
        data = self.data(context, self.batch)

        def run(steps):
            file = context.constant(self.model, self.optimizer, steps, self.trials, data)
            return context.sandbox.sweep(file, "--workers", workers, all_done=True)

        seconds, _ = self.difference(name, workers, context).measure(run)
        return None if seconds is None else seconds / self.trials * 1e6

    def peer(self, name, context):
        if name in self.notes:
            return None
        peer = self.peers[name]
        kind = self.model.removeprefix("{kind: ").partition(",")[0].rstrip("}")
        optimizer = "adamw" if self.optimizer == ADAMW else "sgd"
        row = {"model": kind, "optimizer": optimizer, "batch": self.batch, "form": peer.form}
        try:
            return context.peers.us(peer.program, row, context.fewer(peer.steps, 4))
        except Unavailable as reason:
            self.notes[name] = str(reason)
            return None

    def round(self, context, index):
        contenders = {name: lambda n=name, w=workers: self.sweep(n, w, context) for name, workers in self.workers().items()}
        contenders |= {name: lambda n=name: self.peer(n, context) for name in self.peers}
        # Every second round is taken backward, so that a machine that becomes slower or faster favours nobody.
        names = list(contenders) if index % 2 == 0 else list(contenders)[::-1]
        found = {}
        for name in names:
            found[name] = contenders[name]()
            show(f"{self.name}, {name}", found[name], "µs")
        return found


def show(name, value, unit):
    print(f"  {name}: {'noise' if value is None else f'{value:.4g} {unit}'}", file=sys.stderr, flush=True)


MLP = "{kind: mlp, hidden: [128]}"
GPT = "{kind: char-gpt, layers: 4, heads: 4, width: 128, context: 64}"
MLP_PEERS = {
    "PyTorch": Peer(TORCH, "eager", 1500), "JAX scan": Peer(JAX, "scan", 1500), "JAX vmap": Peer(JAX, "vmap", 400),
}  # fmt: skip


def step_peers(torch, jax):
    return {
        "PyTorch": Peer(TORCH, "eager", torch), "torch.compile": Peer(TORCH, "compiled", torch),
        "JAX step": Peer(JAX, "step", jax),
    }  # fmt: skip


def rows():
    vae, lenet = "{kind: vae, hidden: [512, 256], latent: 2}", "{kind: lenet}"
    lenet_peers = {
        "PyTorch": Peer(TORCH, "eager", 150), "JAX scan": Peer(JAX, "scan", 8), "JAX step": Peer(JAX, "step", 50),
    }  # fmt: skip
    return [
        Row("mlp-sgd", "MLP 784-128-10, SGD with momentum", MLP, SGD, Context.mnist, BATCH, 16, 50, 1550, MLP_FLOP, MLP_PEERS),
        Row("mlp-adamw", "MLP 784-128-10, AdamW", MLP, ADAMW, Context.mnist, BATCH, 16, 50, 1550, MLP_FLOP, MLP_PEERS),
        Row("lenet", "LeNet, SGD with momentum", lenet, SGD, Context.images, BATCH, 8, 2, 102, LENET_FLOP, lenet_peers,
            speedup=False),
        Row("vae", "VAE 784-512-256-2, batch 100, AdamW", vae, ADAMW, Context.images, VAE_BATCH, 4, 2, 202, VAE_FLOP,
            step_peers(100, 100)),
        Row("char-gpt", "char-gpt, 4 layers, width 128, context 64, batch 16, AdamW", GPT, ADAMW, Context.emma, GPT_BATCH,
            4, 2, 42, GPT_FLOP, step_peers(20, 10)),
    ]  # fmt: skip


class Part:
    """A part that is measured once a round, or only in the first (`once`), or in every second one unless it is named (`spaced`)."""

    once = False
    only_named = False
    spaced = False

    def __init__(self):
        self.notes = {}


class Peak(Part):
    """GFLOP/s of fused multiply-adds of a core."""

    name = "peak"

    def round(self, context, index):
        found = peak()
        show("peak of a core", found, "GFLOP/s")
        return {"GFLOP/s": found}


class Balance(Part):
    """How busy two workers are with few heavy trials: cores times wall time, divided by CPU time."""

    name = "balance"

    def round(self, context, index):
        found = {}
        for trials in (3, 4):
            file = context.constant(GPT, ADAMW, context.fewer(40, 6), trials, context.emma(GPT_BATCH))
            found[f"{trials} trials"] = context.sandbox.sweep(file, "--workers", 2).busy(2)
            show(f"balance, {trials} trials", found[f"{trials} trials"], "")
        return found


class Whole(Part):
    """Seconds of a sweep from nothing to the ranking, against Optuna with PyTorch and JAX, which train the lrs that sweep stored."""

    spaced = True

    def __init__(self, name, sample, quick, no_share=False):
        super().__init__()
        self.name, self.sample, self.replaced, self.no_share = name, sample, quick, no_share
        self.scale = None

    def file(self, context):
        text = (ROOT / "experiments" / f"{self.name}.yaml").read_text()
        for old, new in self.replaced if context.quick else []:
            if old not in text:
                raise Failure(f"{self.name}.yaml has no {old}")
            text = text.replace(old, new)
        return context.sandbox.file(text)

    def sweep(self, context, *options):
        first = self.scale is None and not options
        run = context.sandbox.sweep(self.file(context), *options, keep=first)
        if first:
            self.prepare(context, run.store / "sweep.db")
        return run.seconds

    def runs(self, context):
        return context.sandbox.path / f"{self.name}.json"

    def prepare(self, context, database):
        """Chooses the runs that the peers train: every n-th by length. Their lrs go into a file."""
        import numpy

        db = sqlite3.connect(database)
        seeds = dict(db.execute("select trial_id, seed from trials"))
        query = "select lr from metrics where trial_id = ? order by step"
        lrs = {trial: numpy.array([lr for (lr,) in db.execute(query, [trial])]) for trial in seeds}
        db.close()
        order = sorted(seeds, key=lambda trial: (len(lrs[trial]), trial))
        every = max(1, round(1 / self.sample))
        chosen = order[every // 2 :: every]
        self.scale = sum(map(len, lrs.values())) / sum(len(lrs[trial]) for trial in chosen)
        numpy.savez(self.runs(context).with_suffix(".npz"), **lrs)
        self.runs(context).write_text(json.dumps([{"trial_id": trial, "seed": seeds[trial]} for trial in chosen]))

    def whole(self, commands):
        """Seconds that all runs would take: start and compiling once, training as often as there are steps."""
        began = time.time()
        replies = [[json.loads(line) for line in text.splitlines() if line.startswith("{")] for text in together(commands)]
        started = statistics.mean(reply[0]["ready"] for reply in replies) - began
        compiling = statistics.mean(reply[-1]["compiling"] for reply in replies)
        return started + compiling + statistics.mean(reply[-1]["training"] for reply in replies) * self.scale

    def optuna(self, context, index):
        runs = self.runs(context)
        return self.whole([[context.python, TORCH, "optuna", runs, runs.with_suffix(f".journal-{index}")]] * CORES)

    def jax(self, context):
        return self.whole([[context.python, JAX, "runs", self.runs(context), str(i), str(CORES)] for i in range(CORES)])

    def round(self, context, index):
        contenders = {
            "sweep": lambda: self.sweep(context),
            "Optuna + PyTorch": lambda: self.optuna(context, index),
            "JAX": lambda: self.jax(context),
        }
        if self.no_share and index == 0:
            contenders["sweep --no-share"] = lambda: self.sweep(context, "--no-share")
        names = list(contenders) if index % 2 == 0 else list(contenders)[::-1]
        found = {}
        for name in names:
            found[name] = contenders[name]()
            show(f"{self.name}, {name}", found[name], "s")
        return found


class Overheads(Part):
    """What sweep takes besides training."""

    name = "overheads"
    once = True

    def round(self, context, index):
        sandbox = context.sandbox
        data = "{dataset: mnist}"
        # With fewer seeds than the file has, since the share does not depend on them.
        text = (ROOT / "experiments" / "mnist.yaml").read_text().replace("decide: 10", "decide: 2")
        mnist = context.constant(MLP, SGD, 400, 4, data) if context.quick else sandbox.file(text)
        one_step = context.constant(MLP, SGD, 1, 1, data)
        tiny = context.constant("{kind: mlp, hidden: [16]}", SGD, 50, 100, "{dataset: digits}", (0.001, 0.1), 20)
        found = {
            "share": share_of_others(sandbox.sweep(mnist, sample=thread_ticks, every=0.02).samples) * 100,
            "one step": sandbox.sweep(one_step).seconds,
            "2,000 trials": sandbox.sweep(tiny).seconds,
        }
        for lanes in (1, 2, 4, 8, 16):
            file = context.constant(MLP, SGD, context.fewer(400), 32, data)
            found[f"MiB, {lanes} lanes"] = sandbox.sweep(file, "--lanes", lanes).peak
        for name, value in found.items():
            show(name, value, "")
        return found


class Memory(Part):
    """Memory of a worker with 8 lanes of char-gpt over 2,000 steps, in MiB: the median of each tenth of the time, and the most."""

    once = True

    def __init__(self, name, batch, only_named=False):
        super().__init__()
        self.name, self.batch, self.only_named = name, batch, only_named

    def round(self, context, index):
        steps = context.fewer(2000, 40)
        file = context.constant(GPT, ADAMW, steps, 8, context.emma(self.batch), every=steps // 10)
        options = ["--workers", 1, "--lanes", 8]
        run = context.sandbox.sweep(file, *options, sample=resident, every=0.1, all_done=True)
        seen = [(at, mib) for at, mib in run.samples if mib > 0]
        # From the second tenth on: by then each buffer was used, those of the evaluation too. A median, because a checkpoint needs
        # memory for as long as it is written, at moments that have nothing to do with the tenths.
        moments = [statistics.median(mib for at, mib in seen if i <= at / run.seconds * 10 < i + 1) for i in range(10)]
        for i, mib in enumerate(moments):
            show(f"{self.name}, tenth {i + 1}", mib, "MiB")
        most = max(mib for _, mib in seen)
        show(f"{self.name}, while a checkpoint is written", most, "MiB")
        return {f"tenth {i + 1}": mib for i, mib in enumerate(moments)} | {"most": most, "seconds": run.seconds}


def all_parts():
    """Every part in the order of measuring."""
    return [
        Peak(),
        *rows(),
        Balance(),
        Whole("mnist", 0.04, [("{epochs: 2}", "{steps: 40}"), ('"2 epochs"', "40"), ("decide: 10", "decide: 3")], no_share=True),
        Whole("wsd-budgets", 0.015, [("[500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]", "[20, 40]")]),
        Overheads(),
        Memory("memory", 1),
        Memory("memory-batch-16", GPT_BATCH, only_named=True),
    ]
