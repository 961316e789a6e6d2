//! A run that is stopped after every single step and goes on from its checkpoint ends with the same bits,
//! whatever its schedule remembers.

#![expect(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schedule::Feedback;
use spec::event::{Event, Final, Outcome};
use spec::trial::Trial;
use trainer::data::{self, Images};
use trainer::device::Device;
use trainer::{Checkpoint, Options, Stop, checkpoint, train};

const STEPS: u64 = 25;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The zoo on a few images, for a few steps: one trial of each schedule.
fn zoo(optimizer: &str) -> Vec<Trial> {
    let text = std::fs::read_to_string(root().join("experiments/zoo.yaml")).expect("the zoo");
    let text = [
        ("{dataset: mnist, batch_size: 64}", "{dataset: digits, batch_size: 20, limit: 120}"),
        ("hidden: [64]", "hidden: [8]"),
        ("{kind: sgd, momentum: 0.9}", optimizer),
        ("{epochs: 2}", &format!("{{steps: {STEPS}}}")),
        ("seeds: 2", "seeds: 1"),
        ("1562", "25"),
        ("\"2%\"", "\"4%\""),
    ]
    .iter()
    .fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the zoo has no `{from}` any more");
        text.replace(from, to)
    });
    let plan = spec::read(&text, "zoo").and_then(|spec| spec::plan(&spec));
    plan.unwrap_or_else(|problems| panic!("{problems:?}")).trials
}

fn images(trial: &Trial) -> Images {
    let data = &trial.config.task.data;
    let dirs = data::search_dirs(data.dataset, Some(&root().join("data")));
    data::load(data.dataset, data.limit, &dirs).expect("the digits")
}

/// Trains from a checkpoint, or the begin. What came of it, its lrs, and the checkpoint that was told.
fn go(
    trial: &Trial,
    images: &Images,
    from: Option<Checkpoint>,
    dir: &Path,
    stop: &Stop,
) -> (Outcome, Vec<f64>, Option<String>) {
    let options = Options { device: Device::Cpu, checkpoints: Some((dir.to_owned(), Duration::MAX)) };
    let (mut lrs, mut saved) = (Vec::new(), None);
    let mut emit = |event: Event| {
        match event {
            Event::Steps { rows, .. } => lrs.extend(rows.iter().map(|row| row.lr)),
            Event::Checkpoint { file, .. } => saved = Some(file),
            _ => {}
        }
        true
    };
    let outcome = train(trial, images, from, &options, stop, &mut emit).expect("it trains");
    (outcome, lrs, saved)
}

/// In one go.
fn whole(trial: &Trial, images: &Images, dir: &Path) -> (Final, Vec<f64>) {
    match go(trial, images, None, dir, &Stop::default()) {
        (Outcome::Done(last), lrs, _) => (last, lrs),
        (outcome, ..) => panic!("{}: {outcome:?}", trial.config.schedule_name),
    }
}

/// Stopped after each step.
fn in_pieces(trial: &Trial, images: &Images, dir: &Path) -> (Final, Vec<f64>) {
    let stop = Stop::default();
    stop.request();
    let (mut from, mut all) = (None, Vec::new());
    for _ in 0..STEPS {
        let (outcome, lrs, saved) = go(trial, images, from, dir, &stop);
        all.extend(lrs);
        match (outcome, saved) {
            (Outcome::Done(last), _) => return (last, all),
            (Outcome::Stopped { .. }, Some(file)) => {
                from = Some(checkpoint::load(dir, &file, trial).expect("a checkpoint"));
            }
            (outcome, _) => panic!("{}: {outcome:?}", trial.config.schedule_name),
        }
    }
    panic!("{}: no end", trial.config.schedule_name);
}

fn bits(lrs: &[f64]) -> Vec<u64> {
    lrs.iter().map(|lr| lr.to_bits()).collect()
}

#[test]
fn every_schedule_with_a_memory_resumes_with_the_same_bits_after_every_step() {
    let dir = tempfile::tempdir().expect("a folder");
    for optimizer in
        ["{kind: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.01}", "{kind: adamw, weight_decay: 0.1}"]
    {
        // A schedule without a memory can lose none: of those, one that cycles the momentum is enough.
        let remembers = |trial: &Trial| {
            trial.config.schedule.feedback() == Feedback::ClosedLoop
                || trial.config.schedule.momentum(0).is_some()
        };
        for trial in zoo(optimizer).into_iter().filter(remembers) {
            let images = images(&trial);
            let (wanted, lrs) = whole(&trial, &images, dir.path());
            let (found, pieces) = in_pieces(&trial, &images, dir.path());
            let name = format!("{} with {optimizer}", trial.config.schedule_name);
            assert_eq!(bits(&lrs), bits(&pieces), "{name}");
            assert_eq!(lrs.len() as u64, STEPS, "{name}");
            assert_eq!(
                (&wanted.digest, &wanted.weights_hash),
                (&found.digest, &found.weights_hash),
                "{name}"
            );
            assert_eq!(wanted.valid_loss.to_bits(), found.valid_loss.to_bits(), "{name}");
        }
    }
}

/// Averaging is no other name for a constant lr: the same lrs train to other weights, and what is evaluated
/// are those.
#[test]
fn schedule_free_evaluates_its_average() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "data: {dataset: digits, batch_size: 20, limit: 120}\nmodel: {kind: mlp, hidden: [8]}\n\
                optimizer: {kind: sgd}\nbudget: {steps: 12}\nlr: 0.1\n\
                schedules: {constant: {kind: constant}, average: {kind: schedule_free}, \
                near: {kind: schedule_free, momentum: 0}}\n";
    let plan = spec::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let images = images(&plan.trials[0]);
    let ends: Vec<(Final, Vec<f64>)> =
        plan.trials.iter().map(|trial| whole(trial, &images, dir.path())).collect();
    for (_, lrs) in &ends {
        assert_eq!(lrs, &[0.1; 12]);
    }
    // Without momentum gradients are taken at z, which plain SGD moves: the same training losses, by the
    // same digest; but x is evaluated.
    assert_eq!(ends[0].0.digest, ends[2].0.digest);
    let hashes: BTreeSet<&String> = ends.iter().map(|(last, _)| &last.weights_hash).collect();
    assert_eq!(hashes.len(), 3);
    assert!(ends[2].0.valid_loss > ends[0].0.valid_loss, "early weights weigh on the average");
}
