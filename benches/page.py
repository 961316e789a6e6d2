"""docs/explanation/benchmarks.md, written from benches/results.json."""

import dataclasses
import statistics

from measure import Failure
from parts import rows

BEGIN, END = "<!-- run: begin (written by benches/run) -->", "<!-- run: end -->"
TITLES = {row.name: row.title for row in rows()}
FLOP = {row.name: row.flop for row in rows()}
TORCH = ("PyTorch", "torch.compile")


class Results:
    """The figures of all parts."""

    def __init__(self, parts):
        self.parts = parts

    def values(self, part, name):
        """A figure in each round; None where it was noise or could not be taken."""
        return self.parts.get(part, {}).get("figures", {}).get(name, [])

    def has(self, part, name):
        return any(value is not None for value in self.values(part, name))

    def median(self, part, name):
        """None unless at least half of the rounds have a figure."""
        values = self.values(part, name)
        known = [value for value in values if value is not None]
        return statistics.median(known) if known and 2 * len(known) >= len(values) else None

    def ratios(self, part, name, over_part, over):
        """Ratios of two figures, each within its round. None unless at least half of the rounds have both figures."""
        pairs = list(zip(self.values(part, name), self.values(over_part, over)))
        known = [a / b for a, b in pairs if a is not None and b is not None]
        return known if 2 * len(known) >= len(pairs) else []

    def peers(self, part, start=""):
        known = ("PyTorch", "torch.compile", "JAX scan", "JAX vmap", "JAX step")
        return [name for name in known if name.startswith(start) and self.has(part, name)]

    def best(self, part, names):
        """The fastest of some contenders."""
        known = [name for name in names if self.median(part, name) is not None]
        return min(known, key=lambda name: self.median(part, name), default=None)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values, form=number):
    """Median, and the smallest and largest value."""
    known = [value for value in values if value is not None]
    if not values:
        return "not measured"
    if 2 * len(known) < len(values) or not known:
        return "noise"
    middle = form(statistics.median(known))
    return middle if len(known) == 1 else f"{middle} ({form(min(known))}–{form(max(known))})"


def ratio(values):
    return spread(values, "{:.2f}".format) if values else ""


def table(rows, head):
    if not rows:
        return "Not measured."
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def floor(results, name):
    """Microseconds that the dense arithmetic of a step takes at least on all cores, or None if the peak is not known."""
    peak = results.median("peak", "GFLOP/s")
    return FLOP[name] / (peak * 1e3) / results.parts["peak"]["cores"] if peak else None


def training(results):
    lines = []
    for name, title in TITLES.items():
        if not results.values(name, "sweep"):
            continue
        torch = results.best(name, TORCH)
        jax = results.best(name, results.peers(name, "JAX"))
        least, ours = floor(results, name), results.median(name, "sweep")
        lines.append([
            title,
            spread(results.values(name, "sweep")),
            spread(results.values(name, "PyTorch")),
            spread(results.values(name, "torch.compile")) if results.has(name, "torch.compile") else "",
            f"{spread(results.values(name, jax))}, {jax.removeprefix('JAX ')}" if jax else "not measured",
            ratio(results.ratios(name, "sweep", name, torch)) if torch else "",
            ratio(results.ratios(name, "sweep", name, jax)) if jax else "",
            f"{least / ours:.0%}" if least and ours else "",
        ])  # fmt: skip
    head = ["", "sweep", "PyTorch", "torch.compile", "JAX", "sweep : PyTorch's best", "sweep : JAX", "share of the dense floor"]
    return table(lines, head)


def workers(results):
    lines = []
    for name, title in TITLES.items():
        two = two_workers(results, name)
        if two and results.values(name, "1 worker"):
            lines.append([
                title, spread(results.values(name, "1 worker")), spread(results.values(name, two)),
                ratio(results.ratios(name, "1 worker", name, two)),
            ])  # fmt: skip
    return table(lines, ["µs a trial-step", "one worker", "two workers", "speed"])


def two_workers(results, name):
    """The figure of two workers: on a machine with two cores that of all cores."""
    if results.values(name, "2 workers"):
        return "2 workers"
    return "sweep" if results.parts.get(name, {}).get("cores") == 2 else None


def whole(results):
    lines = []
    for name in ("mnist", "wsd-budgets"):
        if not results.has(name, "sweep"):
            continue
        cells = [f"`experiments/{name}.yaml`", spread(results.values(name, "sweep"))]
        cells.append(spread(results.values(name, "sweep --no-share")) if results.values(name, "sweep --no-share") else "")
        for peer in ("Optuna + PyTorch", "JAX"):
            times = ratio(results.ratios(name, peer, name, "sweep"))
            cells.append(f"{spread(results.values(name, peer))}; {times} times")
        lines.append(cells)
    return table(lines, ["seconds", "sweep", "`--no-share`", "Optuna + PyTorch", "JAX by hand"])


def by_itself(results):
    lines = [
        ["orchestrator and store, share of the CPU time of `mnist`", spread(results.values("overheads", "share")) + "%"],
        ["start to end of a sweep of one step (reads and checks MNIST, evaluates 20,000 images)",
         spread(results.values("overheads", "one step")) + " s"],
        ["2,000 trials of 50 steps, MLP 784-16-10 on 2,000 images", spread(results.values("overheads", "2,000 trials")) + " s"],
    ]  # fmt: skip
    if results.parts.get("overheads"):
        sizes = [results.median("overheads", f"MiB, {lanes} lanes") for lanes in (1, 2, 4, 8, 16)]
        lines.append(["peak memory at 1, 2, 4, 8, 16 lanes a worker, MLP, MiB", ", ".join(f"{size:.0f}" for size in sizes)])
    else:
        lines = []
    for trials in (3, 4):
        if results.values("balance", f"{trials} trials"):
            lines.append([f"{trials} char-gpt trials of 40 steps on 2 workers, wall time × 2 ÷ CPU time",
                          ratio(results.values("balance", f"{trials} trials"))])  # fmt: skip
    for part, batch in (("memory", 1), ("memory-batch-16", 16)):
        if results.values(part, "tenth 2"):
            tenths = ", ".join(number(results.median(part, f"tenth {i}")) for i in (2, 4, 6, 8, 10))
            steps = f"memory of a worker with 8 lanes of char-gpt, batch {batch}, in each second tenth of 2,000 steps; while a checkpoint is written, MiB"
            lines.append([steps, f"{tenths}; {number(results.median(part, 'most'))}"])
    return table(lines, ["sweep by itself", ""])


@dataclasses.dataclass
class Target:
    """A ratio that is to be at most or at least a number."""

    text: str
    values: list
    most: float | None = None
    least: float | None = None

    def cells(self):
        limit = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"
        if not self.values:
            return [self.text, limit, "not measured", ""]
        reached = statistics.median(self.values)
        met = reached <= self.most if self.most is not None else reached >= self.least
        return [self.text, limit, ratio(self.values), "yes" if met else "no"]


def targets(results):
    def peers(part, names):
        best = results.best(part, names)
        return results.ratios(part, "sweep", part, best) if best else []

    def speedup(part):
        two = two_workers(results, part)
        return results.ratios(part, "1 worker", part, two) if two else []

    def times(part, peer):
        return results.ratios(part, peer, part, "sweep")

    def growth(part):
        return results.ratios(part, "tenth 10", part, "tenth 2")

    jax = ("JAX scan", "JAX vmap", "JAX step")
    return [
        Target("MLP-SGD : PyTorch", peers("mlp-sgd", TORCH), most=0.30),
        Target("MLP-SGD : JAX's best", peers("mlp-sgd", jax), most=0.75),
        Target("MLP-AdamW : PyTorch", peers("mlp-adamw", TORCH), most=0.30),
        Target("MLP-AdamW : JAX's best", peers("mlp-adamw", jax), most=0.75),
        Target("MLP-AdamW : MLP-SGD", results.ratios("mlp-adamw", "sweep", "mlp-sgd", "sweep"), most=1.25),
        Target("LeNet : PyTorch", peers("lenet", TORCH), most=0.40),
        Target("VAE : better of PyTorch and JAX", peers("vae", TORCH + jax), most=0.55),
        Target("char-gpt : better of PyTorch and JAX", peers("char-gpt", TORCH + jax), most=0.65),
        Target("VAE, speed of 2 workers : 1", speedup("vae"), least=1.85),
        Target("char-gpt, speed of 2 workers : 1", speedup("char-gpt"), least=1.85),
        Target("MLP-SGD, speed of 2 workers : 1", speedup("mlp-sgd"), least=1.7),
        Target("MLP-AdamW, speed of 2 workers : 1", speedup("mlp-adamw"), least=1.7),
        Target("`mnist`: Optuna + PyTorch : sweep", times("mnist", "Optuna + PyTorch"), least=5),
        Target("`mnist`: JAX : sweep", times("mnist", "JAX"), least=2.5),
        Target("`wsd-budgets`: Optuna + PyTorch : sweep", times("wsd-budgets", "Optuna + PyTorch"), least=36),
        Target("`wsd-budgets`: JAX : sweep", times("wsd-budgets", "JAX"), least=22),
        Target("memory of 8 lanes of char-gpt, last tenth : second tenth", growth("memory"), most=1.02),
    ]


def machines(parts):
    """One line for each machine and state of the program that parts were measured with."""
    groups = {}
    for name, part in parts.items():
        key = (part["processor"], part["python"], part["versions"], part["sweep"])
        groups.setdefault(key, []).append((name, part["rounds"]))
    lines = []
    for (processor, python, versions, sweep), names in groups.items():
        which = "" if len(groups) == 1 else f" ({', '.join(name for name, _ in names)})"
        rounds = sorted({rounds for _, rounds in names if rounds > 1} or {1})
        counts = " or ".join(map(str, rounds))
        plural = "round" if rounds == [1] else "rounds"
        lines.append(f"Measured{which} on {processor}, in {counts} {plural}; sweep {sweep}, Python {python}, {versions}.")
    return "\n".join(lines)


def notes(parts):
    found = [(TITLES.get(name, name), part.get("notes", {})) for name, part in parts.items()]
    return "\n".join(f"{title}: {peer} was not measured ({note})." for title, own in found for peer, note in own.items())


def write(parts):
    """The text between the marks of the page."""
    if not parts:
        raise Failure("benches/results.json has no figures of this version: run benches/run")
    results = Results(parts)
    peak = results.median("peak", "GFLOP/s")
    core = f"A core does {peak:.0f} GFLOP/s of fused multiply-adds at most while all are busy. " if peak else ""
    mlp = ""
    if peak:
        mlp = f"The dense arithmetic of an MLP step, {FLOP['mlp-sgd'] / 1e6:.1f} MFLOP, takes {floor(results, 'mlp-sgd'):.0f} µs at least"
        mlp += " on all cores;\nsweep leaves out the pixels that are zero and may be faster than that."
    text = f"""{machines(parts)}

Each round measures every contender in turn. A cell has the median of the rounds, and in parentheses the smallest and the largest. Ratios are taken
within each round. "noise" means that a difference was not well above the differences between equal runs, even with longer runs.

Microseconds of wall time a trial-step with all cores busy. All trials have different lrs and share no steps (MLP: 16 trials, batch 64; LeNet: 8, batch 64;
VAE and char-gpt: 4):

{training(results)}

sweep is the real binary with its store: what a longer run takes more than the shorter ones before and after it, with a small validation part except for
the MLPs. PyTorch (fused optimizers, batches
gathered ahead; `torch.compile` compiles forward and backward) and JAX (the best of jitted scans, jitted scans vmapped over 8 trials, and a jitted step)
run in one process with one thread for each core. Their steps are timed inside, without start, compiling and warm-up.
The dense floor counts the operations of the model's products: forward, weight gradients, and input gradients of all layers except the first.
{core}{mlp}

{table([target.cells() for target in targets(results)], ["target", "", "measured", "reached"])}

{workers(results)}

Whole sweeps, from nothing to the ranking:

{whole(results)}

Optuna (GridSampler, one process for each core, a shared journal) and JAX train the lrs that sweep stored, evaluate as it does, and share no steps. They
are timed on 4% of the runs of `mnist` and 1.5% of those of `wsd-budgets`, chosen by length. Their training and evaluation are scaled by the number
of steps. Their start, and JAX's compiling, once for each length of a run, count once.

{by_itself(results)}
"""
    extra = notes(parts)
    return text + (f"\n{extra}\n" if extra else "")


def replace(page, text):
    """The page with a new text between its marks."""
    head, rest = page.split(BEGIN, 1)
    return head + BEGIN + "\n\n" + text + "\n" + END + rest.split(END, 1)[1]
