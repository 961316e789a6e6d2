//! A run that stops after every step and resumes from its checkpoint ends with the same bits, for all schedules with state.

use std::collections::BTreeSet;
use std::path::Path;

use schedule::Feedback;
use serde_json::{Value, json};
use spec::event::{Final, Outcome};
use spec::trial::Trial;
use trainer::data::Examples;
use trainer::{Branch, Stack};

use crate::support::{Recorder, STEPS, folder, images, shared, train_whole, zoo};

/// Trains a trial, and stops and resumes it after each step.
fn train_step_by_step(trial: &Trial, images: &Examples, dir: &Path) -> (Final, Vec<f64>) {
    let shared = shared(dir);
    let mut recorder = Recorder::default();
    for step in 0..STEPS {
        let branches = match recorder.saved.take() {
            None => Branch::initial(vec![trial.clone()], true),
            Some((at, file)) => {
                assert_eq!(at, step);
                Branch::resumed(vec![trial.clone()], true, at, dir.to_owned(), file)
            }
        };
        let branch = branches.into_iter().next().expect("a branch");
        let mut stack =
            Stack::new(branch, images, &shared, &mut |event| recorder.record(event)).expect("it begins");
        stack.advance(&mut |event| recorder.record(event));
        if !stack.is_empty() {
            stack.checkpoint(&folder(dir), &mut |event| recorder.record(event));
            stack.stop(&mut |event| recorder.record(event));
        }
        match recorder.outcome.take() {
            Some(Outcome::Done(last)) => return (last, recorder.lrs),
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
fn every_schedule_with_state_resumes_with_the_same_bits_after_every_step() {
    let dir = tempfile::tempdir().expect("a folder");
    for optimizer in
        ["{kind: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.01}", "{kind: adamw, weight_decay: 0.1}"]
    {
        // A schedule without state can't lose any, so test only one of these: the one that cycles the momentum.
        let has_state = |trial: &Trial| {
            trial.config.schedule.feedback() == Feedback::ClosedLoop
                || trial.config.schedule.momentum(0).is_some()
        };
        for trial in zoo(optimizer).into_iter().filter(has_state) {
            let images = images(&trial);
            let (wanted, lrs) = train_whole(&trial, &images);
            let (found, pieces) = train_step_by_step(&trial, &images, dir.path());
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

/// Rewrites a side-car in format 2, in which all rules had the same fields of state.
fn as_format_2(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a side-car");
    let mut body = serde_json::from_str::<Value>(&text).expect("JSON")["body"].take();
    body["version"] = json!(2);
    for slot in body["riders"][0]["schedule"]["slots"].as_array_mut().expect("slots") {
        let lr = slot["memory"]["lr"].take();
        slot["memory"] = json!({
            "lr": lr, "best": 0, "sum": 0, "count": 1, "bad": 0, "good": 0, "cooldown": 0, "warmup": 0,
            "at_min": 0, "window": [], "distance": 0, "first": 0, "share": 0,
        });
    }
    let body = body.to_string();
    let blake3 = blake3::hash(body.as_bytes()).to_hex();
    std::fs::write(path, format!("{{\"blake3\":\"{blake3}\",\"body\":{body}}}")).expect("it can be written");
}

/// A trial with a checkpoint in an earlier format starts over, and ends with the same bits.
#[test]
fn a_checkpoint_in_an_earlier_format_is_set_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let closed = |trial: &Trial| trial.config.schedule.feedback() == Feedback::ClosedLoop;
    let trial = zoo("{kind: sgd}").into_iter().find(closed).expect("a rule");
    let (images, shared) = (images(&trial), shared(dir.path()));
    let (wanted, _) = train_whole(&trial, &images);
    let mut recorder = Recorder::default();
    let start = Branch::initial(vec![trial.clone()], true).pop().expect("a branch");
    let mut stack =
        Stack::new(start, &images, &shared, &mut |event| recorder.record(event)).expect("it begins");
    stack.advance(&mut |event| recorder.record(event));
    stack.checkpoint(&folder(dir.path()), &mut |event| recorder.record(event));
    let (step, file) = recorder.saved.take().expect("a checkpoint");
    as_format_2(&dir.path().join(&file));

    let resumed = Branch::resumed(vec![trial], true, step, dir.path().to_owned(), file.clone());
    let resumed = resumed.into_iter().next().expect("a branch");
    let mut stack =
        Stack::new(resumed, &images, &shared, &mut |event| recorder.record(event)).expect("it begins");
    assert_eq!(stack.step(), 0);
    while !stack.is_empty() {
        stack.advance(&mut |event| recorder.record(event));
    }
    let Some(Outcome::Done(found)) = recorder.outcome else { panic!("{:?}", recorder.outcome) };
    assert_eq!((found.digest, found.weights_hash), (wanted.digest, wanted.weights_hash));
    assert!(dir.path().join(format!("{file}.unusable")).exists());
}

/// With the same constant lr, averaging evaluates other weights than plain training.
#[test]
fn schedule_free_evaluates_its_average() {
    let text = "data: {dataset: digits, batch_size: 20, limit: 120}\nmodel: {kind: mlp, hidden: [8]}\n\
                optimizer: {kind: sgd}\nbudget: {steps: 12}\nlr: 0.1\n\
                schedules: {constant: {kind: constant}, average: {kind: schedule_free}, \
                near: {kind: schedule_free, momentum: 0}}\n";
    let plan = trainer::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let images = images(&plan.trials[0]);
    let ends: Vec<(Final, Vec<f64>)> = plan.trials.iter().map(|trial| train_whole(trial, &images)).collect();
    for (_, lrs) in &ends {
        assert_eq!(lrs, &[0.1; 12]);
    }
    // Without momentum, gradients are computed at z, which plain SGD updates: the training losses, and so the digests, are equal. But
    // x is evaluated.
    assert_eq!(ends[0].0.digest, ends[2].0.digest);
    let hashes: BTreeSet<&Option<String>> = ends.iter().map(|(last, _)| &last.weights_hash).collect();
    assert_eq!(hashes.len(), 3);
    assert!(ends[2].0.valid_loss > ends[0].0.valid_loss, "the average includes early weights");
}
