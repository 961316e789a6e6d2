//! Schedules of other libraries in sweep files: where they may be, and that problems name the library's keys.

use interop::entries;
use schedule::problem::Problem;
use spec::{plan, yaml};

const RUN: &str = "data: {dataset: digits}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\nbudget: {steps: 100}\nlr: 0.5\nschedules:\n";

fn problems(schedules: &str) -> (String, Vec<Problem>) {
    let text = format!("{RUN}{schedules}\n");
    let problems = match trainer::read(&text, "x") {
        Ok(spec) => plan(&spec).err().unwrap_or_default(),
        Err(problems) => problems,
    };
    (text, problems)
}

#[test]
fn names_and_calls_can_be_used_wherever_a_schedule_can() {
    for schedule in [
        "{kind: torch.CosineAnnealingLR, T_max: 100}",
        "{kind: torch.CosineAnnealingLR, T_max: \"100%\", eta_min: 0.1x, last_epoch: -1}",
        "{kind: torch.CosineAnnealingLR, T_max: 2, clock: epoch}",
        "{kind: optax.cosine_decay_schedule, decay_steps: 100, alpha: 0.1}",
        "{kind: keras.PiecewiseConstantDecay, boundaries: [30, 60], values: [1x, 0.1x, 0.01]}",
        "{kind: transformers.get_scheduler, name: cosine, num_warmup_steps: \"5%\", num_training_steps: \"100%\"}",
        "{kind: transformers.cosine, num_warmup_steps: 5, num_training_steps: 100, num_cycles: {values: [0.5, 1]}}",
        "{kind: timm.CosineLRScheduler, t_initial: 100, t_in_epochs: false}",
        "{kind: torch.OneCycleLR, max_lr: {values: [0.1, 1x]}, total_steps: 100}",
        "{kind: torch.OneCycleLR, total_steps: 100, epochs: null}",
        "{kind: torch.SequentialLR, milestones: [10], schedulers: [{kind: torch.LinearLR}, \"StepLR(opt, 30)\"]}",
        "{kind: optax.piecewise_constant_schedule, boundaries_and_scales: {30: 0.1, 60: 0.1}}",
        "{kind: optax.sgdr_schedule, cosine_kwargs: [{init_value: 0, warmup_steps: 0, decay_steps: 50}]}",
        "{kind: torch.LambdaLR, lr_lambda: \"lambda epoch: 0.95 ** epoch\"}",
        "{kind: keras.ReduceLROnPlateau, monitor: loss, every: 10}",
        "\"torch.OneCycleLR(max_lr=1x, total_steps=100)\"",
        "torch.StepLR(opt, step_size=30)",
        "{values: [\"torch.StepLR(opt, 30)\", \"torch.StepLR(opt, 40)\", 1x]}",
        "{phases: [{for: 10, kind: torch.LinearLR, total_iters: 10}, {kind: keras.CosineDecay, decay_steps: 90}]}",
        "{chain: [\"StepLR(opt, 30)\", {kind: torch.ExponentialLR, gamma: 0.99}]}",
        "{restart: \"optax.cosine_decay_schedule(0.1, 20)\", every: 20}",
        "{clamp: {min: 0.1x}, of: \"ExponentialLR(opt, 0.9)\"}",
        "{warmup: {over: 5}, body: \"CosineAnnealingLR(opt, 95)\"}",
        "{base: 0.1, of: {kind: torch.StepLR, step_size: 3}}",
    ] {
        let (text, problems) = problems(&format!("  a: {schedule}"));
        assert!(problems.is_empty(), "{schedule}: {problems:?}");
        let tree = yaml::read(&text).expect("YAML");
        assert!(crate::schema::takes_file(&tree), "{schedule}");
    }
}

/// A schedule, and for its only problem: text at its position, path of keys, and words.
const PROBLEMS: &[(&str, &str, &str, &str)] = &[
    ("{kind: torch.CosineAnnealingLR, T_max: 0}", "0", "schedules.a.T_max", "at least 1, found 0"),
    ("{kind: torch.CosineAnnealingLR, T_max: 9, eta_min: -1}", "-1", "schedules.a.eta_min", "at least 0"),
    (
        "{kind: torch.CosineAnealingLR, T_max: 9}",
        "torch.CosineAnealingLR",
        "schedules.a.kind",
        "did you mean",
    ),
    (
        "{kind: torch.CosineAnnealingLR, T_max: 9, Tmax: 8}",
        "Tmax",
        "schedules.a.Tmax",
        "did you mean `T_max`?",
    ),
    ("{kind: torch.CyclicLR, base_lr: 2x, max_lr: 0.4}", "0.4", "schedules.a.max_lr", "is below"),
    (
        "{kind: torch.OneCycleLR, total_steps: \"100%\", pct_start: 0.01}",
        "0.01",
        "schedules.a.pct_start",
        "0 steps long",
    ),
    (
        "{kind: timm.CosineLRScheduler, t_initial: 9, clock: step}",
        "step",
        "schedules.a.clock",
        "`t_in_epochs`",
    ),
    (
        "{kind: transformers.get_scheduler, name: cosine, num_warmup_steps: 2, num_training_steps: 9, \
             scheduler_specific_kwargs: {num_cycles: 0}}",
        "0",
        "schedules.a.scheduler_specific_kwargs.num_cycles",
        "a number above 0",
    ),
    (
        "{chain: [1x, {kind: torch.SequentialLR, milestones: [3], schedulers: [1x, {kind: torch.StepLR, step_size: 0}]}]}",
        "0",
        "schedules.a.chain[1].schedulers[1].step_size",
        "at least 1",
    ),
    (
        "{kind: transformers.polynomial, num_warmup_steps: 1, num_training_steps: 9, lr_end: 0.7}",
        "0.7",
        "schedules.a.lr_end",
        "must be below the base lr",
    ),
    ("\"torch.StepLR(opt, 3, gama=0.1)\"", "gama", "schedules.a", "did you mean `gamma`?"),
    ("torch.StepLR(opt, 0)", "0", "schedules.a.step_size", "at least 1"),
    ("\"torch.StepLR(opt, step_size=n)\"", "n", "schedules.a", "the variable `n` is unknown"),
    ("torch.StepLR", "torch.StepLR", "schedules.a", "found the text"),
    (
        "\"torch.\\x53tepLR(opt, n)\"",
        "\"torch.\\x53tepLR(opt, n)\"",
        "schedules.a",
        "(at character 19 of the call)",
    ),
];

#[test]
fn problems_name_the_keys_and_positions_in_the_file() {
    for &(schedule, at, path, words) in PROBLEMS {
        let (text, problems) = problems(&format!("  a: {schedule}"));
        let [problem] = problems.as_slice() else { panic!("{schedule}: {problems:?}") };
        let place = &text[problem.place.start..problem.place.end];
        assert_eq!((place, problem.path.as_str()), (at, path), "{schedule}: {problem}");
        assert!(problem.to_string().contains(words), "{schedule}: {problem}");
    }
}

#[test]
fn every_entry_is_in_the_schema() {
    for entry in entries() {
        let pasted = interop::parse_program(entry.example)
            .unwrap_or_else(|problem| panic!("{}: {problem}", entry.name));
        for name in entry.names() {
            let written = pasted.schedule.to_string().replacen(
                &format!("\"{}\"", entry.name),
                &format!("\"{name}\""),
                1,
            );
            let tree = yaml::read(&format!("{RUN}  a: {written}")).expect("YAML");
            assert!(crate::schema::takes_file(&tree), "{written}");
            let odd = written.replacen("{", "{odd: 1, ", 1);
            let tree = yaml::read(&format!("{RUN}  a: {odd}")).expect("YAML");
            assert!(!crate::schema::takes_file(&tree), "{odd}");
        }
    }
}
