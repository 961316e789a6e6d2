"""Random calls of the schedules of torch, transformers, timm, optax and Keras, as programs write them."""

import dataclasses
import random


@dataclasses.dataclass
class Call:
    """A program that creates one schedule, and the run for it."""

    library: str
    text: str
    base_lr: float | None  # None: the program creates its optimizer itself
    total: int
    per_epoch: int | None = None
    metrics: list | None = None


EDGES = ["0", "0.0", "-1", "-0.5", "1", "1.0", "2.0", "2.5", "None", "True", "False", "'x'", "[3]", "[]", "1000000", "1e-9"]
OPTIMIZERS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax", "Adadelta", "ASGD", "Rprop"]
LAMBDAS = [
    "0.95 ** {}",
    "1 / (1 + 0.1 * {})",
    "0.5 * (1 + math.cos(math.pi * min({}, 20) / 20))",
    "min(1.0, ({} + 1) / 8)",
    "max(0.0, 1 - {} / 30)",
    "0.5 ** ({} // 7)",
    "0.5 ** (({} / 10) // 0.1)",
    "({} % 5 + 1) / 5",
    "1.0 if {} < 9 else 0.1",
    "math.exp(-{} / 10)",
    "math.sqrt(1 / ({} + 1))",
    "np.exp(-0.1 * {})",
    "1 - {} / 20",
    "1 / {}",
]


class Calls:
    """Generates calls from one seed. A table lists the parameters of a function in their order, each with a generator of its
    values; names that end in `=` have a default."""

    def __init__(self, seed):
        self.dice = random.Random(seed)

    def pick(self, *items):
        return self.dice.choice(items)

    def chance(self, share):
        return self.dice.random() < share

    # Values in Python syntax.

    def length(self, least=1, most=30):
        n = self.dice.randint(least, most)
        return self.pick(*[str(n)] * 30, f"{n}.0", f"{n // 2} * 2 + 1", f"int({n}.7)" if n else "0")

    def lr(self):
        return self.pick("0.1", "0.05", "1e-3", "3e-4", "0.5", "1.0", "0.0", "1e-6", f"{self.dice.uniform(0, 0.2):.5g}")

    def high(self):
        return self.pick("0.1", "0.3", "1e-2", "1.0", f"{self.dice.uniform(0.01, 0.5):.5g}")

    def factor(self):
        return self.pick("0.1", "0.5", "0.9", "0.99", "1.0", "1.05", f"{self.dice.uniform(0.05, 1):.4g}")

    def share(self):
        return self.pick("0.1", "0.25", "0.3", "0.5", "0.85", "0.0", "1.0", f"{self.dice.random():.3g}")

    def above_0(self):
        return self.pick("0.5", "1.0", "2.0", "0.9", "3", "1", f"{self.dice.uniform(0.1, 4):.3g}")

    def flag(self):
        return self.pick("True", "False")

    def word(self, *words):
        return lambda: repr(self.pick(*words))

    def places(self, most=4):
        found = sorted(self.dice.randint(1, 40) for _ in range(self.dice.randint(1, most)))
        if self.chance(0.1):
            self.dice.shuffle(found)
        if self.chance(0.05):
            found.append(found[-1])
        return self.pick(*[str(found)] * 9, str(tuple(found)), str([float(m) for m in found]))

    def scales(self):
        keys = sorted({self.dice.randint(0 if self.chance(0.1) else 1, 50) for _ in range(self.dice.randint(1, 3))})
        return "{" + ", ".join(f"{key}: {self.pick('0.1', '0.5', '2.0', '0.0', self.factor())}" for key in keys) + "}"

    def function(self):
        name = self.pick("t", "epoch", "step", "e", "_")
        return f"lambda {name}: " + self.pick(*LAMBDAS).format(name)

    # Calls.

    def arguments(self, table, first=(), edges=True):
        """The arguments of a call: some positional, the others by name in any order."""
        given, spoilt = [], self.chance(0.2) and edges
        spoil = self.pick(*[name for name, _ in table]) if table and spoilt else None
        for name, make in table:
            required = not name.endswith("=")
            if self.chance(0.985 if required else 0.35) or name == spoil:
                given.append((name.rstrip("="), self.pick(*EDGES) if name == spoil else make()))
            else:
                given.append(None)
        leading = next((i for i, argument in enumerate(given) if argument is None), len(given))
        placed = self.dice.randint(0, leading)
        named = [f"{name}={value}" for name, value in filter(None, given[placed:])]
        self.dice.shuffle(named)
        if edges and self.chance(0.01):
            named.append(self.pick("gama=0.5", "last_epoch=3", "foo=1"))
        return ", ".join([*first, *[value for _, value in given[:placed]], *named])

    def torch_leaf(self, edges=True):
        kinds = {
            "LambdaLR": [("lr_lambda", self.function)],
            "MultiplicativeLR": [("lr_lambda", lambda: f"lambda t: {self.pick('0.95', '0.9 if t % 3 else 1.0', '1 - 0.5 / (t + 1)')}")],
            "StepLR": [("step_size", self.length), ("gamma=", self.factor)],
            "MultiStepLR": [("milestones", self.places), ("gamma=", self.factor)],
            "ConstantLR": [("factor=", self.factor), ("total_iters=", lambda: self.length(0))],
            "LinearLR": [("start_factor=", self.factor), ("end_factor=", self.share), ("total_iters=", lambda: self.length(0))],
            "ExponentialLR": [("gamma", self.factor)],
            "PolynomialLR": [("total_iters=", lambda: self.length(0)), ("power=", self.above_0)],
            "CosineAnnealingLR": [("T_max", self.length), ("eta_min=", self.lr)],
            "CosineAnnealingWarmRestarts": [
                ("T_0", self.length),
                ("T_mult=", lambda: self.pick("1", "2", "3")),
                ("eta_min=", self.lr),
            ],
        }
        name = self.pick(*kinds)
        return self.torch_name(name) + f"({self.arguments(kinds[name], ['optimizer'], edges)})"

    def torch_name(self, name):
        return self.pick("torch.optim.lr_scheduler.", "lr_scheduler.", "") + name

    def torch_cycle(self):
        if self.chance(0.5):
            return self.torch_name("CyclicLR") + "(" + self.arguments(
                [
                    ("base_lr", self.lr),
                    ("max_lr", self.high),
                    ("step_size_up=", self.length),
                    ("step_size_down=", self.length),
                    ("mode=", self.word("triangular", "triangular2", "exp_range")),
                    ("gamma=", lambda: self.pick("0.99", "0.9", "1.0", "1.01", "1.1")),
                    ("cycle_momentum=", self.flag),
                    ("base_momentum=", lambda: self.pick("0.8", "0.85", "0.5")),
                    ("max_momentum=", lambda: self.pick("0.9", "0.95", "0.7")),
                ][: self.pick(5, 7, 9, 9)],
                ["optimizer"],
            ) + ")"
        total = self.dice.randint(2, 60)
        length = [("total_steps", lambda: self.pick(*[str(total)] * 12, f"{total}.0"))]
        if self.chance(0.2):
            length = [("total_steps", lambda: "None"), ("epochs", lambda: str(self.dice.randint(1, 6))), ("steps_per_epoch", lambda: str(self.dice.randint(1, 9)))]
        rest = [
            ("pct_start=", self.share),
            ("anneal_strategy=", self.word("cos", "linear")),
            ("cycle_momentum=", self.flag),
            ("base_momentum=", lambda: self.pick("0.85", "0.8")),
            ("max_momentum=", lambda: self.pick("0.95", "0.9")),
            ("div_factor=", lambda: self.pick("25.0", "10", "1.0", "100.0")),
            ("final_div_factor=", lambda: self.pick("1e4", "100", "1.0")),
            ("three_phase=", self.flag),
        ]
        table = [("max_lr", self.high), *length]
        if len(length) == 2 + 1:
            return self.torch_name("OneCycleLR") + "(" + self.arguments(table + rest, ["optimizer"]) + ")"
        # A positional argument after total_steps would be epochs.
        head = self.arguments(table, ["optimizer"])
        tail = [f"{name.rstrip('=')}={make()}" for name, make in rest if self.chance(0.3)]
        return self.torch_name("OneCycleLR") + "(" + ", ".join([head, *tail]) + ")"

    def torch_nest(self, depth=2):
        """A single schedule, or one made of others."""
        if depth == 0 or self.chance(0.45):
            return self.torch_leaf(edges=False) if self.chance(0.93) else self.torch_cycle()
        parts = [self.torch_nest(depth - 1) for _ in range(self.pick(1, 2, 2, 2, 3))]
        if self.chance(0.45):
            return self.torch_name("ChainedScheduler") + f"([{', '.join(parts)}]" + self.pick(")", ", optimizer)", ", optimizer=optimizer)")
        milestones = sorted(self.dice.randint(1, 25) for _ in parts[1:])
        if self.chance(0.05):
            self.dice.shuffle(milestones)
        listed = self.pick(f"schedulers=[{', '.join(parts)}], milestones={milestones}", f"[{', '.join(parts)}], {milestones}")
        return self.torch_name("SequentialLR") + f"(optimizer, {listed})"

    def transformers_call(self):
        warm, total, cycles = ("num_warmup_steps", lambda: self.length(0, 12)), ("num_training_steps", lambda: self.length(5, 50)), ("num_cycles=", self.above_0)
        kinds = {
            "get_constant_schedule": [],
            "get_constant_schedule_with_warmup": [warm],
            "get_linear_schedule_with_warmup": [warm, total],
            "get_cosine_schedule_with_warmup": [warm, total, cycles],
            "get_cosine_with_hard_restarts_schedule_with_warmup": [warm, total, ("num_cycles=", lambda: self.pick("1", "2", "3", "5", "1.5"))],
            "get_polynomial_decay_schedule_with_warmup": [warm, total, ("lr_end=", lambda: self.pick("1e-7", "0.0", "1e-3", "0.1", "0.05")), ("power=", self.above_0)],
            "get_inverse_sqrt_schedule": [warm, ("timescale=", lambda: self.pick("None", self.length(1, 100)))],
            "get_cosine_with_min_lr_schedule_with_warmup": [warm, total, cycles, ("last_epoch=", lambda: "-1"), ("min_lr=", self.lr), ("min_lr_rate=", self.share)],
            "get_cosine_with_min_lr_schedule_with_warmup_lr_rate": [
                warm, total, cycles, ("last_epoch=", lambda: "-1"), ("min_lr=", self.lr), ("min_lr_rate=", self.share), ("warmup_lr_rate=", self.share),
            ],
            "get_wsd_schedule": [
                warm,
                ("num_decay_steps", lambda: self.length(0, 20)),
                ("num_training_steps=", lambda: self.pick("None", self.length(10, 50), self.length(10, 50), self.length(10, 50))),
                ("num_stable_steps=", lambda: self.pick("None", self.length(0, 20))),
                ("warmup_type=", self.word("linear", "cosine", "1-sqrt")),
                ("decay_type=", self.word("linear", "cosine", "1-sqrt")),
                ("min_lr_ratio=", self.share),
                cycles,
            ],
        }
        name = self.pick(*kinds)
        if self.chance(0.25):
            return self.get_scheduler()
        return self.pick("transformers.", "") + f"{name}({self.arguments(kinds[name], ['optimizer'])})"

    def get_scheduler(self):
        name, extra = self.pick(
            ("linear", ""), ("cosine", ""), ("cosine", "{'num_cycles': 1.5}"), ("cosine_with_restarts", "{'num_cycles': 3}"),
            ("polynomial", "{'power': 2.0}"), ("polynomial", "{'lr_end': 1e-4, 'power': 0.5}"), ("constant", ""), ("constant_with_warmup", ""),
            ("inverse_sqrt", ""), ("inverse_sqrt", "{'timescale': 20}"), ("cosine_with_min_lr", "{'min_lr': 1e-4}"),
            ("cosine_with_min_lr", "{'min_lr_rate': 0.1}"), ("cosine_warmup_with_min_lr", "{'min_lr_rate': 0.2, 'warmup_lr_rate': 0.05}"),
            ("warmup_stable_decay", "{'num_decay_steps': 7}"), ("warmup_stable_decay", "{'num_decay_steps': 7, 'min_lr_ratio': 0.1, 'decay_type': '1-sqrt'}"),
            ("cosine", "{'num_cycle': 2}"), ("linear", "{}"),
        )  # fmt: skip
        table = [("num_warmup_steps=", lambda: self.length(0, 9)), ("num_training_steps=", lambda: self.length(10, 40))]
        text = f"transformers.get_scheduler({self.pick(repr(name), repr(name), 'name=' + repr(name))}, optimizer=optimizer"
        named = [f"{key.rstrip('=')}={make()}" for key, make in table if self.chance(0.95)]
        return ", ".join([text, *named, *([f"scheduler_specific_kwargs={extra}"] if extra else [])]) + ")"

    def timm_warmup(self, prefix=True):
        rows = [("warmup_t=", lambda: self.length(0, 9)), ("warmup_lr_init=", lambda: self.pick("1e-5", "0.0", "0.01"))]
        return rows + ([("warmup_prefix=", self.flag)] if prefix else [])

    def timm_noise(self):
        return [
            ("noise_range_t=", lambda: self.pick("None", str(self.dice.randint(0, 12)), f"[{self.dice.randint(0, 5)}, {self.dice.randint(6, 20)}]", "(2, 9)", "2.5")),
            ("noise_pct=", lambda: self.pick("0.67", "0.3", "1.0")),
            ("noise_std=", lambda: self.pick("1.0", "0.5", "0.1")),
            ("noise_seed=", lambda: self.pick("42", "0", "7", "123456")),
        ]

    def timm_cycles(self):
        return [
            ("cycle_mul=", lambda: self.pick("1.0", "1", "2.0", "1.5", "3.0")),
            ("cycle_decay=", lambda: self.pick("1.0", "0.5", "0.9", "0.1")),
            ("cycle_limit=", lambda: self.pick("1", "2", "3", "5")),
        ]

    def timm_call(self):
        start, low, epochs = ("t_initial", lambda: self.length(3, 30)), ("lr_min=", self.lr), ("t_in_epochs=", self.flag)
        decay = lambda: self.pick(self.length(1, 10), self.length(1, 10), "2.4", "3.5", "0.7")
        kinds = {
            "CosineLRScheduler": [start, low, *self.timm_cycles(), *self.timm_warmup(), epochs, *self.timm_noise(), ("k_decay=", self.above_0)],
            "TanhLRScheduler": [start, ("lb=", lambda: self.pick("-7.0", "-3")), ("ub=", lambda: self.pick("3.0", "2")), low, *self.timm_cycles(), *self.timm_warmup(), epochs, *self.timm_noise()],
            "PolyLRScheduler": [start, ("power=", self.above_0), low, *self.timm_cycles(), *self.timm_warmup(), epochs, *self.timm_noise(), ("k_decay=", self.above_0)],
            "StepLRScheduler": [("decay_t", decay), ("decay_rate=", self.factor), *self.timm_warmup(), epochs, *self.timm_noise()],
            "MultiStepLRScheduler": [("decay_t", self.places), ("decay_rate=", self.factor), *self.timm_warmup(), epochs, *self.timm_noise()],
            "WSDLRScheduler": [
                ("t_initial", lambda: self.length(8, 30)),
                ("decay_t", lambda: self.pick(self.length(1, 8), self.length(1, 8), "2.5")),
                low,
                ("stable_fn=", self.word("constant", "rsqrt", "power")),
                ("stable_timescale=", lambda: self.pick("None", "5.0", "12")),
                ("stable_power=", self.above_0),
                ("decay_fn=", self.word("linear", "1-sqrt", "cosine", "power", "exp")),
                ("decay_power=", self.above_0),
                ("decay_ratio=", lambda: self.pick("0.1", "0.5")),
                *self.timm_warmup(prefix=False), epochs, *self.timm_noise(),
            ],
        }  # fmt: skip
        if self.chance(0.3):
            return self.create_scheduler()
        name = self.pick(*kinds)
        return self.pick("timm.scheduler.", "") + f"{name}({self.arguments(kinds[name], ['optimizer'])})"

    def create_scheduler(self):
        table = [
            ("sched=", self.word("cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant", "none", "cosin")),
            ("num_epochs=", lambda: self.length(5, 30)),
            ("decay_epochs=", lambda: self.pick("None", "2.4", "3", "0.5", "10", "40")),
            ("decay_milestones=", self.places),
            ("cooldown_epochs=", lambda: self.pick("0", "3")),
            ("patience_epochs=", lambda: "10"),
            ("decay_rate=", self.factor),
            ("min_lr=", self.lr),
            ("warmup_lr=", lambda: self.pick("1e-5", "0.01", "0.0")),
            ("warmup_epochs=", lambda: self.length(0, 8)),
            ("warmup_prefix=", self.flag),
            ("noise=", lambda: self.pick("None", "0.4", "[0.4]", "[0.2, 0.8]", "(0.1, 0.5)")),
            ("noise_pct=", lambda: self.pick("0.67", "0.3")),
            ("noise_std=", lambda: self.pick("1.0", "0.5")),
            ("noise_seed=", lambda: self.pick("42", "7")),
            *self.timm_cycles(),
            ("k_decay=", self.above_0),
            ("decay_fn=", self.word("linear", "1-sqrt", "cosine")),
            ("stable_timescale=", lambda: self.pick("None", "4", "2.5")),
            ("plateau_mode=", lambda: "'min'"),
            ("step_on_epochs=", self.flag),
            ("updates_per_epoch=", lambda: self.pick("3", "3", "3", "0")),
        ]
        return f"timm.scheduler.create_scheduler_v2({self.arguments(table, ['optimizer'])})[0]"

    def optax_call(self, depth=1):
        warm = ("warmup_steps", lambda: self.length(0, 10))
        begin, stairs, end = ("transition_begin=", lambda: self.length(0, 8)), ("staircase=", self.flag), ("end_value=", self.lr)
        rate, steps = ("decay_rate", lambda: self.pick("0.5", "0.9", "1.1", "0.0", "1.0")), ("transition_steps", lambda: self.length(0, 20))
        init, peak, over = ("init_value", self.lr), ("peak_value", self.high), ("decay_steps", lambda: self.length(5, 40))
        kinds = {
            "constant_schedule": [("value", self.lr)],
            "linear_schedule": [init, ("end_value", self.lr), steps, begin],
            "polynomial_schedule": [init, ("end_value", self.lr), ("power", self.above_0), steps, begin],
            "exponential_decay": [init, steps, rate, begin, stairs, end],
            "cosine_decay_schedule": [init, over, ("alpha=", self.share), ("exponent=", self.above_0)],
            "warmup_constant_schedule": [init, peak, warm],
            "warmup_cosine_decay_schedule": [init, peak, warm, over, end, ("exponent=", self.above_0)],
            "warmup_exponential_decay_schedule": [init, peak, warm, steps, rate, begin, stairs, end],
            "piecewise_constant_schedule": [init, ("boundaries_and_scales=", self.scales)],
            "piecewise_interpolate_schedule": [("interpolate_type", self.word("linear", "cosine")), init, ("boundaries_and_scales=", self.scales)],
            "linear_onecycle_schedule": [("transition_steps", self.length), peak, ("pct_start=", self.share), ("pct_final=", self.share), ("div_factor=", self.above_0), ("final_div_factor=", self.above_0)],
            "cosine_onecycle_schedule": [("transition_steps", self.length), peak, ("pct_start=", self.share), ("div_factor=", self.above_0), ("final_div_factor=", self.above_0)],
        }  # fmt: skip
        if depth and self.chance(0.15):
            parts = [self.optax_call(depth - 1) for _ in range(self.pick(1, 2, 3))]
            places = sorted(self.dice.randint(1, 30) for _ in parts[1:])
            if self.chance(0.1):
                self.dice.shuffle(places)
            return f"optax.join_schedules([{', '.join(parts)}], {places})"
        if depth and self.chance(0.06):
            cycle = lambda: "{'init_value': 0.0, 'peak_value': %s, 'warmup_steps': %s, 'decay_steps': %s}" % (self.high(), self.length(0, 4), self.length(6, 15))
            return f"optax.sgdr_schedule([{', '.join(cycle() for _ in range(self.pick(1, 2, 3)))}])"
        name = self.pick(*kinds)
        return self.pick("optax.", "optax.", "optax.schedules.") + f"{name}({self.arguments(kinds[name], edges=depth > 0)})"

    def keras_call(self):
        first = ("initial_learning_rate", lambda: self.pick(self.high(), self.high(), self.high(), self.high(), "1", "0", "0.0"))
        over, stairs, rate = ("decay_steps", lambda: self.length(4, 40)), ("staircase=", self.flag), ("decay_rate", self.factor)
        values = lambda n: "[" + ", ".join(self.high() for _ in range(n)) + "]"
        name = self.pick("ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "PolynomialDecay", "CosineDecay", "CosineDecayRestarts")
        if name == "PiecewiseConstantDecay":
            places = self.places()
            count = len(eval(places)) + (1 if self.chance(0.95) else 0)
            given = self.arguments([("boundaries", lambda: places), ("values", lambda: values(count))])
        else:
            given = self.arguments(
                {
                    "ExponentialDecay": [first, over, rate, stairs, ("name=", lambda: "'lr'")],
                    "InverseTimeDecay": [first, over, rate, stairs],
                    "PolynomialDecay": [first, over, ("end_learning_rate=", self.lr), ("power=", self.above_0), ("cycle=", self.flag)],
                    "CosineDecay": [first, over, ("alpha=", self.share), ("name=", lambda: "'lr'"), ("warmup_target=", lambda: self.pick("None", self.high(), self.high())), ("warmup_steps=", lambda: self.length(0, 10))],
                    "CosineDecayRestarts": [first, ("first_decay_steps", self.length), ("t_mul=", lambda: self.pick("1.0", "2.0", "1.5", "2")), ("m_mul=", lambda: self.pick("1.0", "0.9", "0.5")), ("alpha=", self.share)],
                }[name]
            )  # fmt: skip
        return self.pick("keras.optimizers.schedules.", "tf.keras.optimizers.schedules.", "keras.optimizers.schedules.") + f"{name}({given})"

    # Programs.

    def optimizer(self):
        """Typical lines that create the optimizer; the scheduler's optimizer is `optimizer`."""
        kind, lr = self.pick(*OPTIMIZERS), self.pick("0.1", "0.02", "3e-4", "1e-3", "0.5", "1e-1 / 4", "2 * 0.05")
        parameters = self.pick("model.parameters()", "params", "model.parameters()")
        plain = f"optimizer = torch.optim.{kind}({parameters}, lr={lr})"
        placed = f"optimizer = torch.optim.{kind}({parameters}, {lr})"
        return self.pick(
            plain,
            plain,
            placed,
            f"optimizer = torch.optim.{kind}({parameters})",
            f"LR = {lr}\noptimizer = torch.optim.{kind}({parameters}, lr=LR)",
            f"lr, steps = {lr}, 100\noptimizer = torch.optim.{kind}({parameters}, lr=lr)",
            f"other = torch.optim.Adam(params, lr=7e-3)\n{plain}",
            f"{plain}\nother = torch.optim.Adam(params, lr=7e-3)",
            f"optimizer = torch.optim.{kind}([{{'params': params, 'lr': {lr}}}], lr=0.7)",
            f"optimizer = torch.optim.{kind}([{{'params': params, 'lr': {lr}}}])",
            f"optimizer = torch.optim.{kind}([{{'params': params}}], lr={lr})",
            f"optimizer = torch.optim.{kind}(params=params, lr=torch.tensor({lr}))",
            f"config = {{'lr': {lr}}}\noptimizer = torch.optim.{kind}(params, lr=config['lr'])",
            f"optimizer = timm.optim.create_optimizer_v2(model, {self.pick('sgd', 'adamw')!r}, lr={lr})",
        )  # fmt: skip

    def metric(self, total):
        level, values = self.dice.uniform(0.5, 3), []
        for _ in range(total):
            level *= self.pick(0.9, 0.97, 1.0, 1.0, 1.02)
            values.append(round(level * self.dice.uniform(0.98, 1.02), 6))
        return values

    def rule(self):
        """A schedule that watches a metric."""
        torch_rows = [
            ("mode=", self.word("min", "max")),
            ("factor=", lambda: self.pick("0.1", "0.5", "0.9")),
            ("patience=", lambda: self.pick("0", "1", "2", "5")),
            ("threshold=", lambda: self.pick("1e-4", "0.01", "0.0")),
            ("threshold_mode=", self.word("rel", "abs")),
            ("cooldown=", lambda: self.pick("0", "1", "3")),
            ("min_lr=", lambda: self.pick("0", "1e-4", "0.01")),
            ("eps=", lambda: self.pick("1e-8", "0.0", "1e-3")),
        ]
        rows = {
            "torch.optim.lr_scheduler.ReduceLROnPlateau": torch_rows,
            "transformers.get_reduce_on_plateau_schedule": torch_rows,
            "transformers.get_greedy_schedule": [
                *[(name, make) for name, make in torch_rows if name not in ("min_lr=", "mode=")],
                ("warmup=", lambda: self.pick("0", "2")),
                ("min_lr=", lambda: self.pick("1e-3", "0.05")),
                ("max_lr=", lambda: self.pick("1.0", "0.2")),
                ("smooth=", self.flag),
                ("window_size=", lambda: self.pick("50", "3")),
                ("reset_start=", lambda: self.pick("500", "1", "2", "0")),
            ],
            "keras.callbacks.ReduceLROnPlateau": [
                # For other metrics Keras asks the compiled model for their direction; there is no model here.
                ("monitor=", self.word("val_loss", "loss")),
                ("factor=", lambda: self.pick("0.1", "0.5")),
                ("patience=", lambda: self.pick("0", "1", "2", "5")),
                ("verbose=", lambda: "0"),
                ("mode=", self.word("auto", "min", "max")),
                ("min_delta=", lambda: self.pick("1e-4", "0.01", "0.0")),
                ("cooldown=", lambda: self.pick("0", "1", "3")),
                ("min_lr=", lambda: self.pick("0.0", "1e-3")),
            ],
            "optax.contrib.reduce_on_plateau": [
                ("factor=", lambda: self.pick("0.1", "0.5")),
                ("patience=", lambda: self.pick("1", "2", "5")),
                ("rtol=", lambda: self.pick("1e-4", "0.01")),
                ("atol=", lambda: self.pick("0.0", "0.01")),
                ("cooldown=", lambda: self.pick("0", "2")),
                ("accumulation_size=", lambda: self.pick("1", "1", "3")),
                ("min_scale=", lambda: self.pick("0.0", "0.1")),
            ],
            "timm.scheduler.PlateauLRScheduler": [
                ("decay_rate=", lambda: self.pick("0.1", "0.5")),
                ("patience_t=", lambda: self.pick("0", "1", "3")),
                ("threshold=", lambda: self.pick("1e-4", "0.01")),
                ("cooldown_t=", lambda: self.pick("0", "2")),
                ("warmup_t=", lambda: self.length(0, 6)),
                ("warmup_lr_init=", lambda: self.pick("0.0", "1e-3")),
                ("lr_min=", lambda: self.pick("0.0", "1e-3")),
                ("mode=", self.word("min", "max")),
            ],
        }
        name = self.pick(*rows)
        first = [] if name.startswith(("keras", "optax")) else ["optimizer"]
        text = self.arguments(rows[name], first)
        if "greedy" in name or name == "transformers.get_reduce_on_plateau_schedule":
            # The function takes its other parameters only by name.
            named = [f"{key.rstrip('=')}={make()}" for key, make in rows[name] if self.chance(0.4)]
            self.dice.shuffle(named)
            text = ", ".join([*first, *named])
        return name.split(".")[0], f"{name}({text})"

    def call(self):
        """One program."""
        total = self.pick(12, 25, 40, 60, 60, 90)
        base = self.pick(0.1, 0.1, 0.5, 1.0, 3e-4, 0.03)
        if self.chance(0.08):
            library, text = self.rule()
            return Call(library, f"scheduler = {text}\n", base, total, metrics=self.metric(total))
        library = self.pick("torch", "torch", "torch", "transformers", "timm", "timm", "optax", "optax", "keras")
        if library == "torch":
            text = self.pick(self.torch_leaf, self.torch_leaf, self.torch_cycle, self.torch_nest)()
        else:
            text = getattr(self, f"{library}_call")()
        if library in ("optax", "keras"):
            lines = [f"scheduler = {text}"]
            if self.chance(0.15):
                make = "optax.{}(scheduler)" if library == "optax" else "keras.optimizers.{}(learning_rate=scheduler)"
                name = self.pick("adam", "sgd", "adamw")
                lines.append("optimizer = " + make.format(name if library == "optax" else {"adam": "Adam", "sgd": "SGD", "adamw": "AdamW"}[name]))
            return Call(library, "\n".join(lines) + "\n", base, total)
        lines = [self.optimizer()] if self.chance(0.3) else []
        lines.append(f"scheduler = {text}")
        return Call(library, "\n".join(lines) + "\n", None if len(lines) > 1 else base, total, self.pick(1, 2, 3) if library == "timm" else None)
