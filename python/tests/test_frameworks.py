"""The adapters for optax, Keras, transformers and Accelerate. Tests of missing frameworks are skipped."""

from __future__ import annotations

import importlib.util
import math
import unittest

from parent import Outcome, Parent


def installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


@unittest.skipUnless(installed("jax", "optax"), "jax or optax is not installed")
class Optax(unittest.TestCase):
    def test_the_lr_of_each_count(self) -> None:
        with Parent(momenta=[0.9, 0.8, 0.7, 0.6, 0.5]) as parent:
            outcome = parent.run(
                """
                import jax, optax
                jax.config.update("jax_enable_x64", True)
                lr, momentum = trial.optax_schedule(), trial.optax_schedule(of="momentum")
                print([float(jax.jit(lr)(step)) for step in (0, 1, 4, 5)], float(momentum(2)))
                optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=lr, momentum=momentum)
                state = optimizer.init(1.0)
                update = jax.jit(optimizer.update)
                for step in range(3):
                    change, state = update(1.0, state)
                print(state.hyperparams["learning_rate"], state.hyperparams["momentum"])
                """
            )
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertEqual(outcome.out.splitlines(), ["[0.1, 0.2, 0.5, 0.5] 0.7", "0.3 0.7"])

    def test_errors(self) -> None:
        with Parent() as parent:
            self.assertIn("does not set the momentum", parent.run("trial.optax_schedule(of='momentum')").err)
        with Parent() as parent:
            self.assertIn("`of` must be 'lr' or 'momentum'", parent.run("trial.optax_schedule(of='beta')").err)


KERAS = """
    import keras, numpy
    x = numpy.arange(24.0).reshape(12, 2) / 24
    y = x.sum(1, keepdims=True) + 1
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(9.0), loss="mse", metrics=["accuracy"], steps_per_execution=EXECUTION)
    model.fit(x, y, batch_size=6, shuffle=False, epochs=EPOCHS, verbose=0, VALID
              callbacks=[trial.keras_callback()])
"""


@unittest.skipUnless(installed("keras", "numpy"), "keras is not installed")
class Keras(unittest.TestCase):
    def script(self, epochs: int, valid: str = "validation_data=(x, y + 1),", execution: int = 1) -> str:
        text = KERAS.replace("EPOCHS", str(epochs)).replace("VALID", valid).replace("EXECUTION", str(execution))
        return text.replace("\n    ", "\n")

    def backends(self) -> list[str]:
        return [name for name in ("jax", "torch", "tensorflow") if installed(name)]

    def test_a_trial_inside_fit(self) -> None:
        for backend in self.backends():
            with self.subTest(backend), Parent() as parent:
                parent.env["KERAS_BACKEND"] = backend
                outcome = parent.run(self.script(9))
                self.assertEqual(outcome.code, 0, outcome.err)
                keys = [(line["step"], "train_loss" in line, "valid_loss" in line) for line in outcome.lines]
                yes, no = (True, False), (False, True)
                self.assertEqual(
                    keys, [(0, *yes), (1, *yes), (1, *no), (2, *yes), (3, *yes), (3, *no), (4, *yes), (4, *no)]
                )
                losses = [line["train_loss"] for line in outcome.lines if "train_loss" in line]
                # Wrong lrs would change the losses. Reading the optimizer here would synchronize its state and hide an error.
                self.assertEqual(len(set(losses)), 5)
                for got, wanted in zip(losses, self.by_hand()):
                    self.assertAlmostEqual(got, wanted, places=5)

    def by_hand(self) -> list[float]:
        """The same five steps in plain numbers."""
        xs = [(2 * i / 24, (2 * i + 1) / 24) for i in range(12)]
        a, b, c = 1.0, 1.0, 0.0
        losses = []
        for step, lr in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
            batch = xs[6 * (step % 2) : 6 * (step % 2) + 6]
            errors = [a * u + b * v + c - (u + v + 1) for u, v in batch]
            losses.append(sum(e * e for e in errors) / 6)
            a -= lr * sum(2 * e * u for e, (u, _) in zip(errors, batch)) / 6
            b -= lr * sum(2 * e * v for e, (_, v) in zip(errors, batch)) / 6
            c -= lr * sum(2 * e for e in errors) / 6
        return losses

    def test_errors(self) -> None:
        backend = self.backends()[0]
        cases = [
            (self.script(2), "fit ended after 4 of 5 steps"),
            (self.script(9, valid=""), "the final validation loss is missing"),
        ]
        if backend != "torch":
            cases.append((self.script(9, execution=2), "steps_per_execution must be 1"))
        for script, words in cases:
            with self.subTest(words), Parent() as parent:
                parent.env["KERAS_BACKEND"] = backend
                self.assertIn(words, parent.run(script).err)
        with Parent(momenta=[0.9] * 5) as parent:
            parent.env["KERAS_BACKEND"] = backend
            self.assertIn("which Keras optimizers do not support", parent.run(self.script(9)).err)


TRAINER = """
    import torch, transformers
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(1))
        def forward(self, x, labels):
            return {"loss": ((self.w * x - labels) ** 2).mean()}
    data = [{"x": float(i % 3 + 1), "labels": 2.0} for i in range(8)]
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    class Look(transformers.TrainerCallback):
        def on_optimizer_step(self, *_, **__):
            print(optimizer.param_groups[0]["lr"])
        def on_step_end(self, args, state, control, **__):
            STOP
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            output_dir=str(trial.checkpoints), max_steps=STEPS, per_device_train_batch_size=2, save_strategy="no",
            logging_nan_inf_filter=FILTER, report_to=[], disable_tqdm=True, use_cpu=True, max_grad_norm=0.5),
        train_dataset=data, eval_dataset=data,
        optimizers=(optimizer, trial.schedule(optimizer)),
        callbacks=[trial.transformers_callback(), Look()],
    )
    trainer.train(resume_from_checkpoint=RESUME)
    print("left", trial.stop_requested)
"""


@unittest.skipUnless(installed("transformers", "torch", "accelerate"), "transformers is not installed")
class Transformers(unittest.TestCase):
    def script(self, steps: str = "trial.total_steps", hide: bool = False, stop: str = "pass", resume: str = "") -> str:
        text = TRAINER.replace("STEPS", steps).replace("FILTER", str(hide)).replace("STOP", stop)
        resume = resume or "trial.resume and str(trial.resume.path)"
        return text.replace("RESUME", resume).replace("\n    ", "\n")

    def check(self, parent: Parent) -> None:
        outcome = parent.run(self.script())
        self.assertEqual(outcome.code, 0, outcome.err)
        lrs = [line for line in outcome.out.splitlines() if line in ("0.1", "0.2", "0.3", "0.4", "0.5")]
        self.assertEqual(lrs, ["0.1", "0.2", "0.3", "0.4", "0.5"], outcome.out)
        train = [line["step"] for line in outcome.lines if "train_loss" in line and "grad_norm" in line]
        valid = [line["step"] for line in outcome.lines if "valid_loss" in line]
        self.assertEqual((train, valid), ([0, 1, 2, 3, 4], [1, 3, 4]))
        self.assertEqual(outcome.lines[0]["train_loss"], 4.0)

    def test_a_trial_inside_trainer(self) -> None:
        with Parent() as parent:
            self.check(parent)

    def test_a_closed_loop_schedule_receives_all_reports_in_time(self) -> None:
        known: list[int] = []
        with Parent(answer=lambda question: (round(0.1 * (question["ask"] + 1), 5), None)) as parent:
            self.check(parent)
            for line in parent.lines:
                if "ask" in line:
                    self.assertEqual(known.count(line["ask"] - 1), {0: 0, 1: 1, 2: 2, 3: 1, 4: 2}[line["ask"]])
                else:
                    known.append(line["step"])

    def test_it_stops_and_resumes(self) -> None:
        stop = "import os, signal; state.global_step == 3 and os.kill(os.getpid(), signal.SIGTERM)"
        # The callback checks before the signal is sent, so it sees the signal one step later.
        with Parent() as parent, Parent() as whole:
            outcome = parent.run(self.script(stop=stop))
            self.assertEqual(outcome.code, 0, outcome.err)
            self.assertIn("left True", outcome.out)
            last = outcome.lines[-1]
            self.assertEqual((last["step"], "checkpoint" in last), (3, True))
            with Parent(resume={"step": 4, "path": last["checkpoint"]}) as second:
                rest = second.run(self.script())
            self.assertEqual(rest.code, 0, rest.err)
            wanted = whole.run(self.script()).lines
        got = [line for line in outcome.lines if "checkpoint" not in line] + rest.lines
        self.assertEqual(got, wanted)

    def test_errors(self) -> None:
        for script, words in (
            (self.script(steps="4"), "Trainer would run 4 steps, but the trial has 5"),
            (self.script(hide=True), "Trainer hides losses that are NaN or infinite"),
        ):
            with self.subTest(words), Parent() as parent:
                self.assertIn(words, parent.run(script).err)
        with Parent(resume={"step": 3, "path": "/some/where"}) as parent:
            outcome = parent.run(self.script(resume="None"))
            self.assertIn("Trainer starts at step 0, but the trial at step 3", outcome.err)

    def test_a_diverged_loss_shows(self) -> None:
        with Parent([1e30, 1e30, 1e30]) as parent:
            outcome = parent.run(self.script())
        losses = [line["train_loss"] for line in outcome.lines if "train_loss" in line]
        self.assertFalse(math.isfinite(losses[-1]), outcome.err)


LIGHTNING = """
    import logging, warnings
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    import lightning, torch
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.a, self.b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
            self.automatic_optimization = not MANUAL
            self.updates = 0
        def loss(self, batch):
            x, y = batch
            return ((self.a * x + self.b - y) ** 2).mean()
        def training_step(self, batch, at):
            loss = self.loss(batch)
            if MANUAL:
                self.manual_backward(loss / 2)
                if at % 2:
                    for optimizer in self.optimizers():
                        optimizer.step()
                    for optimizer in self.optimizers():
                        optimizer.zero_grad()
            return loss
        def validation_step(self, batch, at):
            self.log("val_loss", self.loss(batch))
            self.log("val_acc", torch.tensor(0.5))
        def configure_optimizers(self):
            if MANUAL:
                return torch.optim.SGD([self.a], lr=1.0), torch.optim.SGD([self.b], lr=0.5)
            return torch.optim.SGD([{"params": [self.a]}, {"params": [self.b], "lr": 0.5}], lr=1.0)
        def on_before_zero_grad(self, optimizer):
            STOP
    def scheduled(groups, lr):
        optimizer = torch.optim.SGD(groups, lr)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
    x = torch.arange(40.0).reshape(40, 1) / 40
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 3 * x - 1), batch_size=5)
    module = Module()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS, accumulate_grad_batches=1 if MANUAL else 2, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[trial.lightning_callback(NAMES)],
    )
    trainer.fit(module, loader, loader, ckpt_path=trial.resume and str(trial.resume.path))
    print(module.a.item(), module.b.item())
"""


@unittest.skipUnless(installed("lightning", "torch"), "lightning is not installed")
class Lightning(unittest.TestCase):
    #: 8 batches an epoch and two batches an update: the five updates end in the second epoch.
    LRS = (0.1, 0.2, 0.3, 0.4, 0.5)

    def script(self, manual: bool = False, epochs: int = -1, names: str = "", stop: str = "pass") -> str:
        text = LIGHTNING.replace("MANUAL", str(manual)).replace("EPOCHS", str(epochs)).replace("NAMES", names)
        return text.replace("STOP", stop).replace("\n    ", "\n")

    def by_hand(self) -> tuple[list[float], float, float]:
        """The losses of the five updates, and the weights after them, in plain numbers."""
        xs = [i / 40 for i in range(40)]
        a = b = 0.0
        losses = []
        for step, lr in enumerate(self.LRS):
            at = step % 4 * 10
            errors = [(a * x + b - (3 * x - 1), x) for x in xs[at : at + 10]]
            losses.append(sum(error**2 for error, _ in errors) / 10)
            a -= lr * sum(2 * error * x for error, x in errors) / 10
            b -= 0.5 * lr * sum(2 * error for error, _ in errors) / 10
        return losses, a, b

    def check(self, outcome: Outcome) -> None:
        self.assertEqual(outcome.code, 0, outcome.err)
        losses, a, b = self.by_hand()
        train = [(line["step"], line["lr"]) for line in outcome.lines if "train_loss" in line]
        self.assertEqual(train, [(step, lr) for step, lr in enumerate(self.LRS)])
        for got, wanted in zip([line["train_loss"] for line in outcome.lines if "train_loss" in line], losses):
            self.assertAlmostEqual(got, wanted, places=5)
        self.assertEqual([line["step"] for line in outcome.lines if "valid_loss" in line], [1, 3, 4])
        got_a, got_b = map(float, outcome.out.split())
        self.assertAlmostEqual(got_a, a, places=5)
        self.assertAlmostEqual(got_b, b, places=5)
        final = sum((a * i / 40 + b - (3 * i / 40 - 1)) ** 2 for i in range(40)) / 40
        self.assertAlmostEqual([line["valid_loss"] for line in outcome.lines if "valid_loss" in line][-1], final, places=5)

    def test_accumulated_batches(self) -> None:
        with Parent(self.LRS) as parent:
            self.check(parent.run(self.script(names="valid_accuracy='val_acc'")))
            self.assertEqual([line["valid_accuracy"] for line in parent.lines if "valid_loss" in line], [0.5] * 3)

    def test_manual_optimization_of_two_optimizers(self) -> None:
        with Parent(self.LRS) as parent:
            self.check(parent.run(self.script(manual=True)))

    def test_a_closed_loop_schedule(self) -> None:
        with Parent(self.LRS, answer=lambda question: (self.LRS[question["ask"]], None)) as parent:
            self.check(parent.run(self.script()))

    def test_it_stops_and_resumes(self) -> None:
        stop = "import os, signal; self.updates += 1; self.updates == 3 and os.kill(os.getpid(), signal.SIGTERM)"
        with Parent(self.LRS) as parent:
            outcome = parent.run(self.script(stop=stop))
            last = outcome.lines[-1]
            self.assertEqual(outcome.code, 0, outcome.err)
            self.assertIn("checkpoint", last, outcome.err)
            with Parent(self.LRS, resume={"step": last["step"] + 1, "path": last["checkpoint"]}) as second:
                rest = second.run(self.script())
            self.assertEqual(rest.code, 0, rest.err)
        # The loader begins its epoch again: Lightning restores its position only if it has a state. So the losses differ.
        reported = [(line["step"], line["lr"]) for line in outcome.lines + rest.lines if "train_loss" in line]
        self.assertEqual(reported, list(enumerate(self.LRS)))
        self.assertIn("valid_loss", rest.lines[-1])

    def test_errors(self) -> None:
        for script, words in (
            (self.script(epochs=1), "Trainer ended after 4 of 5 steps"),
            (self.script(names="valid_loss='valid'"), "logged no 'valid' in validation (it logged val_acc, val_loss)"),
            (self.script().replace("loader, loader", "loader"), "give Trainer.fit validation data"),
            (self.script().replace("return torch.optim.SGD([{", "return scheduled([{"), "must return no lr scheduler"),
        ):
            with self.subTest(words), Parent(self.LRS) as parent:
                self.assertIn(words, parent.run(script).err)

ACCELERATE = """
    import sys
    import torch
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    if SCALED:
        # Accelerate makes one for fp16 on a GPU. The first scale overflows, so the first update is skipped.
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = trial.schedule(optimizer)
    model, optimizer = accelerator.prepare(model, optimizer)
    if PREPARED:
        scheduler = accelerator.prepare(scheduler)
    step = skipped = 0
    while step < trial.total_steps:
        with accelerator.accumulate(model):
            # The mean over two processes and two batches is 4.
            loss = model(torch.ones(1)).sum() * (3 + 2 * accelerator.process_index + (accelerator.num_processes == 1))
            accelerator.backward(loss)
            optimizer.step()
            if PREPARED or accelerator.sync_gradients and not accelerator.optimizer_step_was_skipped:
                scheduler.step()
            optimizer.zero_grad()
        if not accelerator.sync_gradients:
            continue
        if accelerator.optimizer_step_was_skipped:
            skipped += 1
            continue
        trial.log(step, train_loss=accelerator.reduce(loss.detach(), reduction="mean"))
        step += 1
    trial.finish(1)
    sys.stdout.write(f"{accelerator.unwrap_model(model).weight.item()} {skipped}\\n")
    accelerator.end_training()
"""


@unittest.skipUnless(installed("accelerate", "torch"), "accelerate is not installed")
class Accelerate(unittest.TestCase):
    """One process and two on the CPU, started by torchrun."""

    def test_every_update_uses_its_lr(self) -> None:
        lrs = [0.1, 0.2, 0.3, 0.4, 0.5]
        no, yes = False, True
        for two, prepared, scaled, closed in ((no, no, yes, no), (no, yes, yes, yes), (yes, no, yes, yes), (yes, yes, yes, no), (yes, yes, no, yes)):
            with self.subTest(two=two, prepared=prepared, scaled=scaled, closed=closed):
                answer = (lambda question: (lrs[question["ask"]], None)) if closed else None
                self.check(Parent(lrs, answer=answer), two, prepared, scaled)

    def check(self, parent: Parent, two: bool, prepared: bool, scaled: bool) -> None:
        script = ACCELERATE.replace("PREPARED", str(prepared)).replace("SCALED", str(scaled)).replace("\n    ", "\n")
        with parent:
            parent.env["CUDA_VISIBLE_DEVICES"] = ""
            if two:
                parent.launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
            outcome = parent.run(script)
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertEqual([line["lr"] for line in outcome.lines if "lr" in line], [0.1, 0.2, 0.3, 0.4, 0.5])
        self.assertEqual([line["step"] for line in outcome.lines if "train_loss" in line], [0, 1, 2, 3, 4])
        # Both processes made the same five updates.
        results = [line.split() for line in outcome.out.splitlines()]
        self.assertEqual(len(results), 1 + two)
        for weight, skipped in results:
            self.assertAlmostEqual(float(weight), 1 - 4 * (0.1 + 0.2 + 0.3 + 0.4 + 0.5), places=5)
            self.assertEqual(int(skipped) > 0, scaled)


if __name__ == "__main__":
    unittest.main()
