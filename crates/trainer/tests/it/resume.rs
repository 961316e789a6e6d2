//! A run that is stopped after every single step and goes on from its checkpoint ends with the same bits,
//! whatever its schedule remembers.

use std::collections::BTreeSet;
use std::path::Path;

use schedule::Feedback;
use spec::event::{Final, Outcome};
use spec::trial::Trial;
use trainer::data::Examples;
use trainer::{Branch, Stack};

use crate::support::{STEPS, Told, folder, images, shared, whole, zoo};

/// Stopped after each step.
fn in_pieces(trial: &Trial, images: &Examples, dir: &Path) -> (Final, Vec<f64>) {
    let shared = shared(dir);
    let mut told = Told::default();
    for step in 0..STEPS {
        let branches = match told.saved.take() {
            None => Branch::starts(vec![trial.clone()], true),
            Some((at, file)) => {
                assert_eq!(at, step);
                Branch::resumed(vec![trial.clone()], true, at, dir.to_owned(), file)
            }
        };
        let branch = branches.into_iter().next().expect("a branch");
        let mut stack =
            Stack::new(branch, images, &shared, &mut |event| told.hear(event)).expect("it begins");
        stack.advance(&mut |event| told.hear(event));
        if !stack.is_empty() {
            stack.checkpoint(&folder(dir), &mut |event| told.hear(event));
            stack.stop(&mut |event| told.hear(event));
        }
        match told.outcome.take() {
            Some(Outcome::Done(last)) => return (last, told.lrs),
            Some(Outcome::Stopped { steps }) => assert_eq!(steps, step + 1),
            outcome => panic!("{}: {outcome:?}", trial.config.schedule_name),
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
            let (wanted, lrs) = whole(&trial, &images);
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
    let text = "data: {dataset: digits, batch_size: 20, limit: 120}\nmodel: {kind: mlp, hidden: [8]}\n\
                optimizer: {kind: sgd}\nbudget: {steps: 12}\nlr: 0.1\n\
                schedules: {constant: {kind: constant}, average: {kind: schedule_free}, \
                near: {kind: schedule_free, momentum: 0}}\n";
    let plan = trainer::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let images = images(&plan.trials[0]);
    let ends: Vec<(Final, Vec<f64>)> = plan.trials.iter().map(|trial| whole(trial, &images)).collect();
    for (_, lrs) in &ends {
        assert_eq!(lrs, &[0.1; 12]);
    }
    // Without momentum gradients are taken at z, which plain SGD moves: the same training losses, by the
    // same digest; but x is evaluated.
    assert_eq!(ends[0].0.digest, ends[2].0.digest);
    let hashes: BTreeSet<&Option<String>> = ends.iter().map(|(last, _)| &last.weights_hash).collect();
    assert_eq!(hashes.len(), 3);
    assert!(ends[2].0.valid_loss > ends[0].0.valid_loss, "early weights weigh on the average");
}
