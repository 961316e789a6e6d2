//! Lints: what each warns of, what it ignores, and how it is silenced.

use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::lint::LINTS;
use schedule::problem::Problem;
use spec::{plan, sweep_file};

use crate::Files;

const RUN: &str = "data: {dataset: digits, batch_size: 50}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\n";

/// A file with these schedules (1000 steps, 25 epochs) and its warnings.
fn warnings_of(schedules: &str) -> (String, Vec<Problem>) {
    let text = format!("{RUN}budget: {{steps: 1000}}\nlr: {{values: [0.1, 0.2]}}\nschedules:\n{schedules}\n");
    let found = all(&text);
    (text, found)
}

fn all(text: &str) -> Vec<Problem> {
    // All files that an experiment names exist.
    let world = Files(|_| true);
    let spec =
        sweep_file::read_with(text, "x", &world).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    plan(&spec).unwrap_or_else(|problems| panic!("{text}: {problems:?}")).warnings
}

/// The warnings of one schedule: lint, text at its position, hint.
fn warnings_for(node: &str) -> Vec<(&'static str, String, String)> {
    let (text, found) = warnings_of(&format!("  a: {node}"));
    found
        .iter()
        .map(|warning| {
            assert_eq!(warning.place.line, 7, "{node}: {warning}");
            let at = text[warning.place.start..warning.place.end].to_owned();
            (warning.lint.expect("a name"), at, warning.hint.clone().unwrap_or_default())
        })
        .collect()
}

/// Checks that only this lint warns, at this value, with this advice.
#[track_caller]
fn warns(node: &str, lint: &str, at: &str, advice: &str) {
    let found = warnings_for(node);
    let hit = found.iter().any(|(name, place, hint)| *name == lint && place == at && hint.contains(advice));
    assert!(hit, "{node}: {found:?}");
    // A schedule that is the same at both base lrs gives further warnings.
    let allowed = [lint, "never-changes", "idle-axis"];
    let others: Vec<_> = found.iter().filter(|(name, ..)| !allowed.contains(name)).collect();
    assert!(others.is_empty(), "{node}: {others:?}");
}

#[track_caller]
fn silent(node: &str) {
    let found = warnings_for(node);
    assert!(found.is_empty(), "{node}: {found:?}");
}

#[test]
fn a_schedule_that_does_not_end_with_the_run_gets_a_warning_with_a_fix() {
    let lint = "horizon-mismatch";
    for (node, at, advice) in [
        ("{kind: cosine, to: 0, over: 900}", "900", "remove `over`, or write `over: 1000`"),
        ("{kind: cosine, to: 0, over: 1001}", "1001", "`over: 1000`"),
        ("{kind: linear, to: 0.1x, over: 50%}", "50%", "`over: 1000`"),
        ("{clock: epoch, kind: cosine, to: 0, over: 20}", "20", "`over: 25`"),
        ("{clock: epoch_fraction, kind: cosine, to: 0, over: 20}", "20", "`over: \"1000 steps\"`"),
        ("{warmup: {over: 100, from: 0.1x}, body: {kind: cosine, to: 0, over: 1000}}", "1000", "`over: 900`"),
        ("{body: {kind: cosine, to: 0.5x, over: 1000}, cooldown: {over: 200, to: 0}}", "1000", "`over: 800`"),
        ("{phases: [{for: 300, kind: linear, to: 0.5x, over: 200}, {value: 0.5x}]}", "200", "`over: 300`"),
        ("{restart: {kind: cosine, to: 0, over: 100}, every: 250}", "100", "`over: 250`"),
        ("{shift: 100, of: {kind: linear, to: 0.1x, over: 1000}}", "1000", "`over: 1100`"),
        ("{kind: cosine, to: 0.1x, over: 300, after: continue}", "300", "over: 1000"),
        ("{kind: linear, to: 0.1x, over: 500, after: continue}", "500", "over: 1000"),
        ("{kind: polynomial, to: 0.1x, over: 300, after: stretch}", "300", "over: 1000"),
        ("{kind: cosine, cycles: 1}", "{kind: cosine, cycles: 1}", "`cycles: 0.5`"),
        ("{kind: tanh, ub: 1}", "{kind: tanh, ub: 1}", "`ub: 3`"),
        ("{kind: one_cycle, over: 900}", "900", "`over: 1000`"),
        ("{kind: one_cycle, over: 1100}", "1100", "`over: 1000`"),
        ("{kind: multistep, at: [500, 1000]}", "1000", "at most 999"),
        ("{kind: multistep, at: [500, 999], offset: -1}", "999", "at most 998"),
        ("{kind: piecewise, points: [[0, 1x], [1200, 0.1x]]}", "1200", "at most 1000"),
        ("{kind: step, every: 1000}", "1000", "`every: 333`"),
        ("{kind: exponential, gamma: 0.5, every: 2000, staircase: true}", "2000", "`every: 200`"),
        ("{kind: inverse_time, every: 2000, staircase: true}", "2000", "`every: 200`"),
        ("{kind: noam, model_dim: 8, warmup: 4000}", "4000", "`warmup: 100`"),
        ("{kind: cyclic, min: 0.1x}", "{kind: cyclic, min: 0.1x}", "`up: 500`"),
        ("{kind: cyclic, min: 0.1x, up: 600}", "600", "`up: 500`"),
        ("{kind: cyclic, min: 0.1x, up: 100, down: 1000}", "100", "`up: 91` and `down: 909`"),
        ("{restart: {kind: cosine, to: 0}, every: 1500}", "1500", "`every: 1000`"),
        ("{restart: {kind: cosine, to: 0}, every: 250, limit: 2}", "250", "`limit`"),
        ("{phases: [{for: 800, value: 1x}, {for: 400, kind: linear, to: 0}]}", "400", "`for: 200`"),
        (
            "{phases: [{for: 500, value: 1x}, {for: 400, kind: linear, to: 0.1x}]}",
            "400",
            "`for` of the last phase",
        ),
        ("{phases: [{for: 1000, kind: linear, to: 0.1x}, {for: 5, value: 0.1x}]}", "5", "remove it"),
        (
            "{phases: [{for: 100%, kind: linear, to: 0.1x}, {kind: cosine}]}",
            "{phases: [{for: 100%, kind: linear, to: 0.1x}, {kind: cosine}]}",
            "shorten",
        ),
        ("{warmup: {over: 1000, from: 0.1x}, body: {kind: cosine}}", "1000", "`over: 50`"),
        ("{kind: plateau, patience: 0, every: 1000}", "1000", "`every: 333`"),
        ("{kind: plateau, patience: 1, every: 30 epochs}", "30 epochs", "`every: 250`"),
    ] {
        warns(node, lint, at, advice);
    }
}

#[test]
fn an_incomplete_cycle_gets_a_warning_with_a_fix() {
    warns("{kind: cyclic, min: 0.1x, up: 300}", "mid-cycle", "300", "`up: 250`");
    warns("{kind: cyclic, min: 0.1x, up: 100, down: 200}", "mid-cycle", "100", "`up: 111` and `down: 222`");
    warns("{clock: epoch, kind: cyclic, min: 0.1x, up: 5}", "mid-cycle", "5", "`up: 6`");
    warns("{restart: {kind: cosine, to: 0}, every: 300}", "mid-cycle", "300", "`every: 334`");
    warns("{restart: {kind: cosine, to: 0}, every: 100, mult: 2}", "mid-cycle", "100", "`every: 143`");
    let warm = "{warmup: {over: 10, from: 0.1x}, body: {kind: cosine, to: 0.2x}}";
    warns(&format!("{{restart: {warm}, every: 300}}"), "mid-cycle", "300", "`every: 334`");
    warns("{restart: {kind: cosine, to: 0}, every: 333}", "restart-at-peak", "333", "`every: 334`");
    warns("{restart: {kind: cosine, to: 0}, every: 111}", "restart-at-peak", "111", "`every: 100`");
}

#[test]
fn updates_with_lr_0_get_a_warning() {
    let rise = "{kind: linear, from: 0, to: 1x}";
    for (node, at) in [
        ("{warmup: {over: 50}, body: 1x}", "{over: 50}"),
        ("{warmup: {over: 50, from: 0x, shape: cosine}, body: {kind: cosine}}", "0x"),
        ("{warmup: {over: 50, from: 0, shape: log}, body: {kind: cosine}}", "0"),
        ("{warmup: {over: 50, mode: multiply}, body: {kind: cosine}}", "{over: 50, mode: multiply}"),
        ("{warmup: {over: 50}, body: {kind: plateau, patience: 1}}", "{over: 50}"),
        ("{restart: {warmup: {over: 5}, body: {kind: cosine}}, every: 250}", "{over: 5}"),
        (rise, rise),
        ("{kind: cyclic, min: 0, up: 250}", "{kind: cyclic, min: 0, up: 250}"),
    ] {
        warns(node, "zero-warmup", at, "0.01x");
    }
    let tail = "{kind: piecewise, points: [[0, 1x], [\"90%\", 0]]}";
    warns(tail, "zero-tail", tail, "end of the run");
    warns("{kind: constant, value: 0}", "zero-tail", "{kind: constant, value: 0}", "");
    warns("0", "zero-tail", "0", "");
}

#[test]
fn an_lr_that_never_changes_gets_a_warning() {
    for node in [
        "{kind: cosine, to: 1x}",
        "{kind: step, every: 100, gamma: 1}",
        "{kind: exponential, gamma: 1}",
        "{kind: multistep, at: [100, 500], gamma: 1}",
        "{kind: inverse_time, rate: 0}",
        "{kind: cyclic, min: 1x}",
        "{kind: lambda, expr: 0.5}",
        "{kind: plateau}",
        "{kind: adaptive, patience: 8}",
        "{kind: greedy, patience: 9, min: 0.01x, max: 2x}",
        "{phases: [{for: 200, value: 1x}, {value: 1x}]}",
        "{restart: 1x, every: 250}",
    ] {
        warns(node, "never-changes", node, "");
    }
    warns("{warmup: {over: 50, from: 1x}, body: 1x}", "never-changes", "1x", "0.01x");
    for (kind, enough) in [("plateau", 7), ("adaptive", 7), ("greedy", 8)] {
        let bounds = if kind == "greedy" { ", min: 0.01x, max: 2x" } else { "" };
        silent(&format!("{{kind: {kind}, patience: {enough}{bounds}}}"));
        let too_few = warnings_for(&format!("{{kind: {kind}, patience: {}{bounds}}}", enough + 1));
        assert_eq!(too_few.len(), 1, "{kind}: {too_few:?}");
    }
}

#[test]
fn a_rule_that_waits_for_the_wrong_direction_gets_a_warning() {
    let loss = "watch: valid_accuracy";
    for node in [
        "{kind: plateau, mode: max, patience: 2}",
        "{kind: plateau, mode: max, watch: train_loss, patience: 2}",
        "{kind: greedy, mode: max, patience: 2, min: 0.01x, max: 2x}",
        "{kind: torch.ReduceLROnPlateau, mode: max, patience: 2}",
        "{kind: transformers.GreedyLR, mode: max, patience: 2, min_lr: 0.01x, max_lr: 2x}",
        // timm's own default.
        "{kind: timm.PlateauLRScheduler, patience_t: 2}",
        "{kind: keras.ReduceLROnPlateau, mode: max, patience: 2}",
    ] {
        warns(node, "wrong-mode", node, loss);
    }
    for node in [
        "{kind: plateau, mode: min, watch: valid_accuracy, patience: 2}",
        "{kind: torch.ReduceLROnPlateau, watch: valid_accuracy, patience: 2}",
    ] {
        warns(node, "wrong-mode", node, "`mode: max`");
    }
    for node in [
        "{kind: plateau, watch: valid_accuracy, patience: 2}",
        "{kind: plateau, watch: valid_accuracy, mode: max, patience: 2}",
        "{kind: timm.PlateauLRScheduler, watch: valid_accuracy, patience_t: 2}",
        "{kind: timm.PlateauLRScheduler, mode: min, patience_t: 2}",
        "{kind: keras.ReduceLROnPlateau, monitor: val_accuracy, patience: 2}",
        "{kind: keras.ReduceLROnPlateau, monitor: val_acc, mode: max, patience: 2}",
    ] {
        silent(node);
    }
}

/// The warnings of one schedule in a run of 30 epochs of 62 steps: lint and hint.
fn in_epochs(node: &str, epochs: bool) -> Vec<(&'static str, String)> {
    let budget = if epochs { "epochs: 30, steps_per_epoch: 62" } else { "steps: 1860" };
    let text = format!(
        "task: {{kind: quadratic}}\noptimizer: {{kind: sgd}}\nbudget: {{{budget}}}\nlr: 0.1\nschedules:\n  a: {node}\n"
    );
    all(&text)
        .into_iter()
        .map(|warning| (warning.lint.expect("a name"), warning.hint.unwrap_or_default()))
        .collect()
}

/// A schedule whose numbers are epochs, the lint that warns, and the beginning of the line that its hint suggests.
const IN_EPOCHS: &[(&str, &str, &str)] = &[
    (
        "{kind: torch.StepLR, step_size: 30}",
        "vanishing-lr",
        "{clock: epoch, kind: torch.StepLR, step_size: 30}",
    ),
    (
        "torch.optim.lr_scheduler.StepLR(optimizer, step_size=30)",
        "vanishing-lr",
        "{clock: epoch, kind: torch.StepLR, step_size: 30}",
    ),
    ("{kind: step, every: 30}", "vanishing-lr", "{clock: epoch, kind: step, every: 30}"),
    ("{kind: torch.ExponentialLR, gamma: 0.95}", "vanishing-lr", "{clock: epoch, kind: torch.ExponentialLR"),
    ("{kind: lambda, expr: \"0.95 ** t\"}", "vanishing-lr", "{clock: epoch, kind: lambda"),
    (
        "'torch.optim.lr_scheduler.MultiplicativeLR(o, lambda e: 0.95)'",
        "vanishing-lr",
        "{clock: epoch, kind: torch.Mult",
    ),
    (
        "{kind: torch.MultiStepLR, milestones: [30, 80]}",
        "epochs-as-steps",
        "{clock: epoch, kind: torch.MultiStepLR",
    ),
    ("{kind: multistep, at: [10, 20]}", "epochs-as-steps", "{clock: epoch, kind: multistep, at: [10, 20]}"),
    ("{kind: torch.LinearLR, total_iters: 5}", "epochs-as-steps", "{clock: epoch, kind: torch.LinearLR"),
    ("{kind: torch.ConstantLR, total_iters: 5}", "epochs-as-steps", "{clock: epoch, kind: torch.ConstantLR"),
    (
        "{kind: torch.CosineAnnealingWarmRestarts, T_0: 10}",
        "epochs-as-steps",
        "{clock: epoch, kind: torch.Cos",
    ),
    (
        "{kind: torch.CosineAnnealingWarmRestarts, T_0: 10, T_mult: 2}",
        "mid-cycle",
        "{clock: epoch, kind: torch.Cos",
    ),
    (
        "{kind: torch.CosineAnnealingLR, T_max: 30}",
        "horizon-mismatch",
        "{clock: epoch, kind: torch.CosineAnnealingLR",
    ),
    (
        "{kind: torch.PolynomialLR, total_iters: 30}",
        "horizon-mismatch",
        "{clock: epoch, kind: torch.PolynomialLR",
    ),
    ("{kind: one_cycle, over: 30}", "horizon-mismatch", "{clock: epoch, kind: one_cycle, over: 30}"),
    (
        "'torch.optim.lr_scheduler.LambdaLR(o, lambda e: max(0, 1 - e / 30))'",
        "zero-tail",
        "{clock: epoch, kind: torch.L",
    ),
];

#[test]
fn schedules_with_epochs_as_steps_get_the_line_to_write() {
    for &(node, lint, line) in IN_EPOCHS {
        let found = in_epochs(node, true);
        let hit = found.iter().find(|(name, _)| *name == lint);
        assert!(hit.is_some_and(|(_, hint)| hint.contains(line)), "{node}: {found:?}");
        if ["vanishing-lr", "epochs-as-steps"].contains(&lint) {
            let found = in_epochs(node, false);
            let hit = found.iter().find(|(name, _)| *name == lint);
            assert!(hit.is_some_and(|(_, hint)| hint.contains("`steps_per_epoch`")), "{node}: {found:?}");
        }
    }
    // The suggested lines give no warning if the schedule fits the run.
    for node in [
        "{clock: epoch, kind: torch.StepLR, step_size: 10}",
        "{clock: epoch, kind: torch.ExponentialLR, gamma: 0.95}",
        "{clock: epoch, kind: torch.LinearLR, total_iters: 5}",
        "{clock: epoch, kind: torch.CosineAnnealingWarmRestarts, T_0: 10, T_mult: 2}",
        "{clock: epoch, kind: torch.MultiStepLR, milestones: [10, 20]}",
        // The clock says that steps are meant.
        "{clock: step, kind: torch.LinearLR, total_iters: 5}",
    ] {
        assert_eq!(in_epochs(node, true), [], "{node}");
    }
}

#[test]
fn intended_short_parts_give_no_warning() {
    for node in [
        "{kind: cosine, to: 0}",
        "{kind: polynomial, to: 0, power: 4}",
        "{kind: geometric, to: 1e-6x}",
        "{kind: exponential, gamma: 0.5, every: \"5%\"}",
        "{kind: exponential, gamma: 0.995}",
        "{warmup: {over: 20, from: 0.01x}, body: 1x}",
        "{warmup: {over: 20, from: 0.01x}, body: {kind: cosine, to: 0}}",
        "{kind: linear, from: 0.01x, to: 1x, over: 50}",
        "{kind: multistep, at: [\"1%\", \"2%\"]}",
        "{kind: multistep, at: [20 steps, 40 steps]}",
        "{kind: multistep, at: [930, 1395]}",
        "{kind: inverse_sqrt, timescale: 50}",
        "{kind: torch.LinearLR, total_iters: 500}",
        "{kind: torch.StepLR, step_size: 620}",
        "{body: 1x, cooldown: {over: 10, to: 0}}",
        "{kind: cyclic, min: 0.1x, up: 31}",
        "{restart: {kind: cosine, to: 0.01x}, every: 62}",
        "{clock: epoch, kind: step, every: 10}",
        "{noise: {std: 0.1}, of: {kind: cosine, to: 0}}",
        "{phases: [{for: 20, value: 2x}, {value: 1x}], allow: [epochs-as-steps]}",
    ] {
        assert_eq!(in_epochs(node, true), [], "{node}");
        assert_eq!(
            in_epochs(&node.replace("{clock: epoch, kind: step, every: 10}", "1x"), false),
            [],
            "{node}"
        );
    }
}

#[test]
fn lengths_that_round_to_no_step_get_a_warning() {
    for (node, at) in [
        ("{warmup: {over: 0.01%, from: 0.1x}, body: {kind: cosine, to: 0}}", "0.01%"),
        ("{warmup: {over: 0.01 epochs, from: 0.1x}, body: {kind: cosine, to: 0}}", "0.01 epochs"),
        ("{body: {kind: cosine, to: 0.1x}, cooldown: {over: 0.04%, to: 0}}", "0.04%"),
        ("{phases: [{for: 0.01%, value: 2x}, {kind: cosine, to: 0}]}", "0.01%"),
        ("{kind: multistep, at: [0.04%, 50%]}", "0.04%"),
        ("{clock: epoch, warmup: {over: 1%, from: 0.1x}, body: {kind: cosine, to: 0}}", "1%"),
    ] {
        warns(node, "no-steps", at, "for one step");
    }
    for node in [
        "{warmup: {over: 0.05%, from: 0.1x}, body: {kind: cosine, to: 0}}",
        "{warmup: {over: 0%, from: 0.1x}, body: {kind: cosine, to: 0}}",
        "{warmup: {over: 0, from: 0.1x}, body: {kind: cosine, to: 0}}",
        "{kind: piecewise, points: [[0%, 1x], [100%, 0]]}",
    ] {
        silent(node);
    }
}

#[test]
fn good_schedules_give_no_warning() {
    for node in [
        "1x",
        "{scale: 0.5, of: 1x}",
        "{kind: cosine, to: 0}",
        "{kind: cosine, to: 0, over: 1000}",
        // Ends exactly on the last step.
        "{kind: cosine, to: 0.1x, over: 999}",
        "{kind: linear, to: 0, sample: right}",
        "{kind: linear, to: 0, sample: closed}",
        // A warmup as in torch's LinearLR.
        "{kind: linear, from: 0.1x, to: 1x, over: 100}",
        "{kind: cosine, to: 0.1x, over: 200, after: continue}",
        "{kind: polynomial, to: 0, over: 250, after: stretch}",
        "{kind: cyclic, min: 0.1x, up: 250}",
        "{kind: cyclic, min: 0.1x, up: 249}",
        "{restart: {kind: cosine, to: 0}, every: \"33.4%\"}",
        "{restart: {kind: cosine, to: 0}, every: 250}",
        "{restart: {kind: cosine, to: 0}, every: 300, limit: 3, then: 0.1x}",
        "{restart: {body: 1x, cooldown: {over: 50}}, every: 500}",
        "{phases: [{for: \"33%\", value: 1x}, {for: \"33%\", value: 0.1x}, {for: \"34%\", value: 0.01x}]}",
        "{phases: [{for: 200, value: 1x}, {for: 200, value: 0.1x}]}",
        "{warmup: {over: 1000, from: 0.1x}, body: 1x}",
        "{shift: 1, of: {kind: linear, to: 0}}",
        "{kind: one_cycle}",
        "{clock: epoch, kind: cosine, to: 0}",
        "{kind: plateau, patience: 2}",
        "{kind: plateau, apply: same}",
        "{kind: bold_driver}",
    ] {
        silent(node);
    }
    let examples = ENTRIES.iter().map(|entry| entry.example);
    for example in examples.chain(COMBINATORS.iter().map(|each| each.example)) {
        silent(example);
    }
}

#[test]
fn the_example_of_each_lint_gives_its_warning() {
    for lint in LINTS.iter().filter(|lint| !lint.example.is_empty()) {
        let found = warnings_for(lint.example);
        assert!(found.iter().any(|(name, ..)| *name == lint.name), "{}: {found:?}", lint.name);
    }
}

#[test]
fn experiments_give_no_warning() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the experiments") {
        let path = entry.expect("a file").path();
        // tests/it/replications.rs checks the files of the studies, some of which read a text.
        if path.is_dir() {
            continue;
        }
        assert_eq!(all(&std::fs::read_to_string(&path).expect("a text")), [], "{}", path.display());
        files += 1;
    }
    assert!(files > 2);
}

/// Name and message of each warning.
fn messages(schedules: &str) -> Vec<(&'static str, String)> {
    let (_, found) = warnings_of(schedules);
    found
        .into_iter()
        .map(|warning| (warning.lint.expect("a name"), format!("{}: {}", warning.path, warning.message)))
        .collect()
}

#[test]
fn equal_schedules_and_runs_are_reported_by_name() {
    let found = messages(
        "  a: {kind: linear, to: 0}\n  b: {kind: polynomial, power: 1, to: 0x}\n  c: {kind: linear, to: 0.1x}",
    );
    assert_eq!(found, [("same-schedule", "schedules.b: this is the same as `a` in every run".to_owned())]);
    let found = messages("  a: 1x\n  b: {kind: cosine, to: {values: [0, 1x]}}");
    let words = "schedules.b: with `to: \"1x\"` this is the same as `a` in every run";
    assert!(found.contains(&("same-schedule", words.to_owned())), "{found:?}");
    let found = messages("  a: {kind: cosine, to: {values: [0, 0x]}}");
    let words = "schedules.a: `to: \"0x\"` and `to: 0` are the same schedule in every run";
    assert_eq!(found, [("idle-axis", words.to_owned())]);
    let found = messages("  a: {kind: cosine, from: 0.3, to: 0}");
    assert_eq!(
        found,
        [("idle-axis", "schedules.a: `lr: 0.1` and `lr: 0.2` are the same run, trained once".to_owned())]
    );
    let found = messages("  a: {kind: linear, to: 0}\n  b: {kind: linear, from: 0.1, to: 0}");
    let words = "schedules.b: `lr: 0.1` is the same run as `a` with `lr: 0.1` (1 more pair)";
    assert_eq!(found, [("shared-runs", words.to_owned())]);
    // The lrs of a closed-loop schedule are not known in advance: only equal parameters make equal schedules.
    let found = messages(
        "  a: {kind: plateau, patience: 2}\n  b: {patience: 2, kind: plateau, allow: []}\n  c: {kind: plateau, patience: 3}",
    );
    assert_eq!(found, [("same-schedule", "schedules.b: this is the same as `a` in every run".to_owned())]);
}

#[test]
fn an_axis_over_data_sets_gets_a_warning() {
    let lints = |data: &str, rest: &str| -> Vec<String> {
        let text = format!(
            "data: {data}\nmodel: {{kind: mlp}}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 9}}\nlr: 0.1\n{rest}\n\
             schedules: {{a: {{kind: constant}}}}\n"
        );
        let plan = trainer::read(&text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        plan.warnings.iter().map(|problem| format!("{:?} {}", problem.lint, problem.path)).collect()
    };
    let warning = ["Some(\"mixed-losses\") data.dataset"];
    assert_eq!(lints("{dataset: {values: [mnist, digits]}}", ""), warning);
    assert_eq!(lints("{dataset: mnist, batch_size: {values: [8, 64]}}", ""), [""; 0]);
    assert_eq!(lints("{dataset: {values: [mnist, digits]}}", "allow: [mixed-losses]"), [""; 0]);
}

const BAD: &str = "{kind: cosine, to: 0.1x, over: 900}";

#[test]
fn a_comment_or_a_key_silences_a_lint_where_it_is() {
    let block = "    kind: cosine\n    to: 0.1x\n    over: 900\n";
    for quiet in [
        format!("  a: {BAD}  # sweep: allow(horizon-mismatch)\n"),
        format!("  a: {BAD}  #sweep:allow( horizon-mismatch ) because it is so\n"),
        format!("  # sweep: allow(horizon-mismatch)\n\n  # a comment between\n  a: {BAD}\n"),
        format!("  a:  # sweep: allow(horizon-mismatch)\n{block}"),
        format!("  # sweep: allow(horizon-mismatch)\n  a:\n{block}"),
        block.replace("900", "900  # sweep: allow(horizon-mismatch)").replacen(
            "    kind",
            "  a:\n    kind",
            1,
        ),
        format!("  a: {}\n", BAD.replace("over", "allow: [horizon-mismatch], over")),
        format!("  a: {}\n", BAD.replace("over", "allow: horizon-mismatch, over")),
        format!("  a:\n    allow:\n      - horizon-mismatch\n{block}"),
        format!("  a: {{phases: [{{for: 950, allow: [horizon-mismatch], {}, {{value: 0.1x}}]}}\n", &BAD[1..]),
        format!("  a: {{values: [{{allow: [horizon-mismatch], {}, 1x]}}\n", &BAD[1..]),
    ] {
        let found = messages(&quiet);
        assert!(found.is_empty(), "{quiet}: {found:?}");
    }
    for loud in [
        // Elsewhere, another lint, not a comment.
        format!("  b: {{kind: cosine, to: 0, over: 900}}  # sweep: allow(horizon-mismatch)\n  a: {BAD}\n"),
        format!("  a: {BAD}  # sweep: allow(mid-cycle)\n"),
        format!("  a: {BAD}\n  '# sweep: allow(horizon-mismatch)': 1x\n"),
        format!("  a: {BAD}  # allow(horizon-mismatch)\n"),
        format!("  b: {{allow: [horizon-mismatch], kind: cosine, to: 0, over: 900}}\n  a: {BAD}\n"),
    ] {
        let found = messages(&loud);
        let hit =
            found.iter().filter(|(lint, at)| *lint == "horizon-mismatch" && at.starts_with("schedules.a"));
        assert_eq!(hit.count(), 1, "{loud}: {found:?}");
    }
}

#[test]
fn a_comment_at_the_top_and_a_top_level_key_silence_lints_in_the_file() {
    let body = format!(
        "{RUN}budget: {{steps: 1000}}\nlr: 0.1\nschedules:\n  a: {BAD}\n  b: {{kind: cyclic, min: 0.1x, up: 300}}\n"
    );
    assert_eq!(all(&body).len(), 2);
    assert_eq!(all(&format!("# A question?\n# sweep: allow(horizon-mismatch, mid-cycle)\n{body}")), []);
    assert_eq!(all(&format!("allow: [horizon-mismatch, mid-cycle]\n{body}")), []);
    assert_eq!(all(&format!("{body}allow: [horizon-mismatch, mid-cycle]\n")), []);
    // In the middle of a file it applies to one key only.
    assert_eq!(all(&body.replace("lr: 0.1", "lr: 0.1  # sweep: allow(mid-cycle)")).len(), 3);
    assert_eq!(
        all(&body.replace("schedules:", "schedules:  # sweep: allow(mid-cycle, horizon-mismatch)")),
        []
    );
}

#[test]
fn an_unknown_or_unused_allow_gets_a_warning() {
    let found = messages("  a: 1x  # sweep: allow(mid-cicle)");
    assert_eq!(found, [("unknown-lint", ": unknown lint `mid-cicle`".to_owned())]);
    let found = messages("  a: {kind: cosine, to: 0, allow: [mid-cycle]}");
    let words = ": unused: `mid-cycle` has no warning here";
    assert_eq!(found, [("unused-allow", words.to_owned())]);
    let found = messages("  a: 1x  # sweep: allow(mid-cycle, unused-allow)");
    assert_eq!(found, []);
    for comment in ["allow mid-cycle", "alow(mid-cycle)", "allow(mid-cycle", "allow()", "allow"] {
        let found = messages(&format!("  a: 1x  # sweep: {comment}"));
        let words = ": expected `# sweep: allow(NAME)` with the name of a lint";
        assert_eq!(found, [("unknown-lint", words.to_owned())], "{comment}");
    }
    assert_eq!(messages("  a: 1x  # sweep: a question of taste"), []);
    // An `allow` is used if it silences a warning of any variant.
    let found =
        messages("  a: {kind: cosine, to: 0, over: {values: [900, 1000]}, allow: [horizon-mismatch]}");
    assert_eq!(found, []);
}

#[test]
fn an_allow_does_not_change_ids() {
    for node in ["{kind: plateau, patience: 2}", "{kind: cosine, to: 0}"] {
        let ids = |node: &str| {
            let text = format!("{RUN}budget: {{steps: 100}}\nlr: 0.1\nschedules: {{a: {node}}}\n");
            let plan = plan(&trainer::read(&text, "x").expect("a file")).expect("a plan");
            plan.trials.iter().map(|trial| trial.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(node), ids(&node.replacen('{', "{allow: [mid-cycle], ", 1)));
    }
}

#[test]
fn following_the_advice_removes_the_warning() {
    let mut fixed = 0;
    // Consequences of another warning, which disappear with it.
    let others = ["never-changes", "no-rise", "zero-tail", "vanishing-lr", "epochs-as-steps"];
    for n in (3..1500).step_by(31) {
        for node in [
            format!("{{kind: cyclic, min: 0.1x, up: {n}}}"),
            format!("{{kind: cyclic, min: 0.1x, up: {n}, down: {}}}", 2 * n),
            format!("{{restart: {{kind: cosine, to: 0}}, every: {n}}}"),
            format!("{{restart: {{kind: cosine, to: 0}}, every: {n}, mult: 1.5}}"),
            format!("{{kind: linear, to: 0.1x, over: {n}}}"),
            format!("{{kind: one_cycle, over: {n}}}"),
            format!("{{kind: step, every: {n}}}"),
            format!("{{kind: plateau, patience: 1, every: {n}}}"),
        ] {
            for (lint, _, hint) in warnings_for(&node).into_iter().filter(|(lint, ..)| !others.contains(lint))
            {
                assert!(hint.contains("write `"), "{node}: {lint}: {hint}");
                let mut better = node.clone();
                for written in hint.split('`').skip(1).step_by(2).filter(|written| written.contains(": ")) {
                    let (key, value) = written.split_once(": ").expect("a key and a value");
                    let (before, after) = better.split_once(&format!("{key}: ")).expect("the key");
                    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
                    better = format!("{before}{key}: {value}{rest}");
                }
                let left = warnings_for(&better);
                assert!(left.is_empty(), "{node} -> {better}: {left:?}");
                fixed += 1;
            }
        }
    }
    assert!(fixed > 100, "{fixed}");
}
