"""Trials whose lr is known beforehand, run as real processes: their inputs and reports."""

from __future__ import annotations

import math
import os
import signal
import struct
import time
import unittest

from parent import Parent

#: Doubles that an inexact reader or writer changes.
ODD = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 0.1 + 0.2, -0.0, 1e23]


class OpenLoop(unittest.TestCase):
    def test_every_step_and_the_end_are_reported(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                for step in trial.steps():
                    trial.log(step, train_loss=1 / (step + 3), grad_norm=2)
                    if trial.evaluates(step):
                        trial.log(step, valid_loss=0.5, valid_accuracy=0.25)
                trial.finish(0.1, valid_accuracy=0.9, test_loss=0.2, test_accuracy=0.8, weights_hash="ab")
                """
            )
        self.assertEqual(outcome.code, 0, outcome.err)
        wanted: list[dict[str, object]] = []
        for step in range(5):
            wanted.append({"step": step, "train_loss": 1 / (step + 3), "grad_norm": 2.0})
            if step in (1, 3, 4):
                wanted.append({"step": step, "valid_loss": 0.5, "valid_accuracy": 0.25})
        wanted.append(
            {
                "step": 4,
                "valid_loss": 0.1,
                "valid_accuracy": 0.9,
                "test_loss": 0.2,
                "test_accuracy": 0.8,
                "weights_hash": "ab",
            }
        )
        self.assertEqual(outcome.lines, wanted)
        self.assertEqual(outcome.out + outcome.err, "")

    def test_lrs_and_losses_are_the_same_bits(self) -> None:
        for version in (1, 2):
            with self.subTest(version=version), Parent(ODD, version=version) as parent:
                outcome = parent.run(
                    """
                    for step in trial.steps():
                        print(trial.lr(step).hex())
                        trial.log(step, train_loss=trial.lr(step))
                    """
                )
                self.assertEqual(outcome.code, 0, outcome.err)
                self.assertEqual(outcome.out.split(), [value.hex() for value in ODD])
                got = [line["train_loss"] for line in outcome.lines]
                self.assertEqual(struct.pack("<8d", *got), struct.pack("<8d", *ODD))

    def test_a_long_run_is_mapped(self) -> None:
        lrs = [1 / (step + 1) for step in range(200_000)]
        with Parent(lrs) as parent:
            outcome = parent.run(
                """
                lrs = trial._rates._lrs[0]
                print(type(lrs._data).__name__, list(lrs) == [1 / (step + 1) for step in range(200_000)])
                """
            )
        self.assertEqual(outcome.out.split(), ["mmap", "True"], outcome.err)

    def test_losses_that_are_not_finite(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                trial.log(0, train_loss=float("nan"))
                trial.log(1, train_loss=float("inf"), valid_loss=float("-inf"))
                """
            )
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertTrue(math.isnan(outcome.lines[0]["train_loss"]))
        self.assertEqual((outcome.lines[1]["train_loss"], outcome.lines[1]["valid_loss"]), (math.inf, -math.inf))

    def test_the_attributes_of_a_trial(self) -> None:
        with Parent(
            params={"width": 8, "inner": {"a": 1}}, steps_per_epoch=3, momenta=[0.9, 0.8, 0.7, 0.6, 0.5]
        ) as parent:
            outcome = parent.run(
                """
                print(trial.id, trial.seed, trial.schedule_name, trial.base_lr, trial.total_steps)
                print(trial.steps_per_epoch, trial.evaluate_every, trial.closed_loop, trial.in_sweep)
                print(trial.resume, trial.checkpoints.is_dir())
                print(trial.params, [trial.momentum(step) for step in trial.steps()])
                """
            )
        self.assertEqual(
            outcome.out.splitlines(),
            [
                "t1 7 cosine 0.1 5",
                "3 2 False True",
                "None True",
                "{'width': 8, 'inner': {'a': 1}} [0.9, 0.8, 0.7, 0.6, 0.5]",
            ],
            outcome.err,
        )

    def test_defaults_of_the_program_only_fill_gaps(self) -> None:
        with Parent(params={"width": 8, "inner": {"a": 1}}) as parent:
            path = parent.root / "script.py"
            path.write_text(
                "import sweep_trial as sweep\n"
                "trial = sweep.current(steps=9, lr=3, seed=1, params={'width': 4, 'depth': 2, 'inner': {'b': 2}})\n"
                "print(trial.params, trial.total_steps, trial.seed, trial.lr(0), trial is sweep.current(steps=3))\n"
            )
            outcome = parent.run(path)
        self.assertEqual(outcome.out.strip(), "{'width': 8, 'depth': 2, 'inner': {'a': 1}} 5 7 0.1 True", outcome.err)

    def test_steps_per_epoch_must_agree_with_the_sweep_file(self) -> None:
        for ours, theirs, fits in [(3, 3, True), (3, None, True), (None, 3, True), (3, 4, False)]:
            with Parent(steps_per_epoch=theirs) as parent:
                path = parent.root / "script.py"
                path.write_text(f"import sweep_trial as sweep\nsweep.current(steps_per_epoch={ours})\n")
                outcome = parent.run(path)
            self.assertEqual("has 3 steps in the program, but 4 in the sweep file" in outcome.err, not fits, outcome.err)

    def test_a_line_that_is_longer_than_the_buffer_of_a_pipe(self) -> None:
        with Parent() as parent:
            outcome = parent.run(f"trial.log(4, valid_loss=1, weights_hash={'ab' * 100_000!r})")
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertEqual(outcome.lines, [{"step": 4, "valid_loss": 1.0, "weights_hash": "ab" * 100_000}])

    def test_a_signal_does_not_cut_a_line(self) -> None:
        with Parent() as parent:
            child = parent.start(
                """
                trial.stop_requested
                print("ready", flush=True)
                trial.log(4, valid_loss=1, weights_hash="ab" * 100_000)
                print(trial.stop_requested)
                """
            )
            parent.wait_for(child, "ready")
            # Nobody reads yet, so the pipe is full before the line ends.
            parent.wait_until_full()
            self.assertIsNone(child.poll())
            os.kill(child.pid, signal.SIGTERM)
            outcome = parent.wait(child)
        self.assertEqual((outcome.code, outcome.out.split()), (0, ["True"]), outcome.err)
        self.assertEqual(outcome.lines, [{"step": 4, "valid_loss": 1.0, "weights_hash": "ab" * 100_000}])

    def test_one_write_is_one_line(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os
                real, sizes = os.write, []
                def write(pipe, data):
                    sizes.append((bytes(data).count(b"\\n"), bytes(data).endswith(b"\\n")))
                    return real(pipe, data)
                os.write = write
                trial.log(0, train_loss=1)
                trial.log(1, train_loss=1, valid_loss=2)
                print(sizes)
                """
            )
        self.assertEqual(outcome.out.strip(), "[(1, True), (1, True)]", outcome.err)

    def test_a_program_that_ignores_the_momentum_is_warned(self) -> None:
        momenta = [0.9, 0.8, 0.7, 0.6, 0.5]
        with Parent(momenta=momenta) as parent:
            self.assertIn("sets the momentum", parent.run("trial.finish(1)").err)
        with Parent(momenta=momenta) as parent:
            self.assertEqual(parent.run("trial.momentum(0); trial.finish(1)").err, "")


class Checkpoints(unittest.TestCase):
    def test_a_checkpoint_is_reported_with_its_whole_path(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os
                os.chdir(trial.checkpoints)
                for step in trial.steps():
                    trial.log(step, train_loss=1)
                    open("last", "w").close()
                    trial.checkpoint(step, "last")
                trial.finish(1)
                """
            )
            path = os.path.realpath(parent.root / "checkpoints" / "last")
        self.assertEqual(outcome.code, 0, outcome.err)
        got = [(line["step"], os.path.realpath(line["checkpoint"])) for line in outcome.lines if "checkpoint" in line]
        # After the last step there is nothing to resume.
        self.assertEqual(got, [(0, path), (1, path), (2, path), (3, path)])
        self.assertEqual(outcome.lines[-1], {"step": 4, "valid_loss": 1.0})

    def test_a_resumed_trial_continues_at_its_step(self) -> None:
        with Parent(resume={"step": 3, "path": "/some/where"}) as parent:
            outcome = parent.run(
                """
                print(trial.resume.step, trial.resume.path, list(trial.steps()))
                for step in trial.steps():
                    trial.log(step, train_loss=trial.lr(step))
                trial.finish(1)
                """
            )
        self.assertEqual(outcome.out.strip(), "3 /some/where [3, 4]", outcome.err)
        self.assertEqual([line["step"] for line in outcome.lines], [3, 4, 4])
        self.assertEqual([line["train_loss"] for line in outcome.lines[:2]], [0.4, 0.5])


class Stopping(unittest.TestCase):
    def test_a_program_that_checks_for_stops_exits_by_itself(self) -> None:
        with Parent() as parent:
            child = parent.start(
                """
                import time
                for step in trial.steps():
                    trial.log(step, train_loss=1)
                    if trial.stop_requested:
                        path = trial.checkpoints / "last"
                        path.touch()
                        trial.checkpoint(step, path)
                        raise SystemExit(143)
                    print("ready", flush=True)
                    while not trial.stop_requested:
                        time.sleep(0.01)
                """
            )
            parent.wait_for(child, "ready")
            os.kill(child.pid, signal.SIGTERM)
            outcome = parent.wait(child)
        self.assertEqual(outcome.code, 143, outcome.err)
        self.assertEqual([sorted(line) for line in outcome.lines][-1], ["checkpoint", "step"])
        self.assertEqual(outcome.lines[-1]["step"], 1)

    def test_a_program_that_does_not_check_for_stops_is_ended_by_sigterm(self) -> None:
        with Parent() as parent:
            child = parent.start("import time\nprint('ready', flush=True)\ntime.sleep(60)")
            parent.wait_for(child, "ready")
            os.kill(child.pid, signal.SIGTERM)
            self.assertEqual(parent.wait(child).code, -signal.SIGTERM)

    def test_sigterm_ends_forked_workers(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os, signal, time
                assert not trial.stop_requested
                there, here = os.pipe()
                child = os.fork()
                if child == 0:
                    os.write(here, b"!")
                    time.sleep(20)
                    os._exit(0)
                os.read(there, 1)
                os.kill(child, signal.SIGTERM)
                print(os.WTERMSIG(os.waitpid(child, 0)[1]), trial.stop_requested)
                """
            )
        self.assertEqual(outcome.out.strip(), f"{int(signal.SIGTERM)} False", outcome.err)

    def test_an_earlier_handler_is_still_called(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os, signal
                signal.signal(signal.SIGTERM, lambda *_: print("mine"))
                before = trial.stop_requested
                os.kill(os.getpid(), signal.SIGTERM)
                print(before, trial.stop_requested)
                """
            )
        self.assertEqual(outcome.out.split(), ["mine", "False", "True"], outcome.err)

    def test_a_check_in_another_thread_installs_no_handler(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os, signal, threading
                thread = threading.Thread(target=lambda: print(trial.stop_requested))
                thread.start()
                thread.join()
                print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
                """
            )
        self.assertEqual(outcome.out.split(), ["False", "True"], outcome.err)


class Gone(unittest.TestCase):
    def test_the_program_ends_with_one_line_when_sweep_dies(self) -> None:
        with Parent() as parent:
            child = parent.start(
                """
                import signal
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
                trial.log(0, train_loss=1)
                print("ready", flush=True)
                signal.sigwait({signal.SIGUSR1})
                trial.log(1, train_loss=1)
                print("still here")
                """
            )
            parent.wait_for(child, "ready")
            parent.die()
            os.kill(child.pid, signal.SIGUSR1)
            outcome = parent.wait(child)
        self.assertEqual(outcome.code, 1)
        self.assertEqual(outcome.err, "sweep_trial: sweep no longer reads the reports; this program ends\n")
        self.assertEqual(outcome.out, "")

    def test_sweep_has_ended_before_the_first_report(self) -> None:
        with Parent() as parent:
            parent.die()
            outcome = parent.run(
                """
                import sweep_trial._pipes
                sweep_trial._pipes.PATIENCE = 0.2
                trial.log(0, train_loss=1)
                """
            )
        self.assertEqual(outcome.code, 1)
        self.assertRegex(outcome.err, r"\Asweep_trial: nobody reads .*report; this program ends\n\Z")

    def test_the_pipe_does_not_exist(self) -> None:
        with Parent() as parent:
            (parent.root / "report").unlink()
            outcome = parent.run("trial.log(0, train_loss=1)")
        self.assertEqual(outcome.code, 1)
        self.assertRegex(outcome.err, r"\Asweep_trial: .*report no longer exists: sweep has ended; this program ends\n\Z")

    def test_sweep_may_open_its_end_late(self) -> None:
        with Parent() as parent:
            parent.die()
            child = parent.start("print('ready', flush=True)\ntrial.log(0, train_loss=1)")
            parent.wait_for(child, "ready")
            parent._report = os.open(parent.root / "report", os.O_RDWR | os.O_NONBLOCK)
            outcome = parent.wait(child)
        self.assertEqual((outcome.code, len(outcome.lines)), (0, 1), outcome.err)


class Processes(unittest.TestCase):
    def test_a_forked_child_must_not_report(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import os
                trial.log(0, train_loss=1)
                if os.fork() == 0:
                    for report in (lambda: trial.log(0, train_loss=1), lambda: sweep.current().finish(1)):
                        try:
                            report()
                        except RuntimeError as error:
                            print(error, flush=True)
                    print(trial.lr(3), flush=True)
                    os._exit(0)
                os.wait()
                trial.log(1, train_loss=1)
                """
            )
        self.assertEqual([line["step"] for line in outcome.lines], [0, 1], outcome.err)
        self.assertRegex(outcome.out, r"\A(process \d+ must not report: .* which called current\(\), may\n){2}0.4\n\Z")

    def test_only_one_of_two_ranks_may_report(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import subprocess, sys
                trial.log(0, train_loss=1)
                code = "import sweep_trial as sweep; sweep.current().log(0, train_loss=2)"
                other = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
                print(other.returncode, other.stderr.splitlines()[-1])
                """
            )
        self.assertEqual(len(outcome.lines), 1)
        self.assertRegex(outcome.out, r"\A1 RuntimeError: another process of this trial already reports")

    def test_one_process_may_report_after_another(self) -> None:
        with Parent() as parent:
            outcome = parent.run(
                """
                import subprocess, sys
                for step in (0, 1):
                    code = f"import sweep_trial as sweep; sweep.current().log({step}, train_loss=2)"
                    subprocess.run([sys.executable, "-c", code], check=True)
                """
            )
        self.assertEqual([line["step"] for line in outcome.lines], [0, 1], outcome.err)


if __name__ == "__main__":
    unittest.main()
