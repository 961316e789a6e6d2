//! Trials that share steps end with the bits of single runs, and no step is trained twice.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use spec::event::{Evaluated, Event, Final, Outcome, StepRow};
use spec::trial::Trial;
use trainer::data::Examples;
use trainer::{Branch, Shared, Stack};

use crate::support::{Recorder, folder, images, shared, train_whole, zoo};

/// All events of a sweep.
#[derive(Default)]
struct Sweep {
    steps: BTreeMap<u64, Vec<StepRow>>,
    /// For each trial: the first step and number of each of its stages.
    stages: BTreeMap<String, Vec<(u64, u64)>>,
    evaluated: Vec<Evaluated>,
    outcomes: BTreeMap<String, Outcome>,
}

impl Sweep {
    fn record(&mut self, event: Event) -> bool {
        match event {
            Event::Stage { stage, first, trial_ids } => {
                for id in trial_ids {
                    self.stages.entry(id).or_default().push((first, stage));
                }
            }
            Event::Steps { stage, rows, evaluated } => {
                self.steps.entry(stage).or_default().extend(rows);
                self.evaluated.extend(evaluated);
            }
            Event::Ended { trial_id, outcome, .. } => {
                assert_eq!(self.outcomes.insert(trial_id, outcome), None);
            }
            Event::Started { .. }
            | Event::Checkpoint { .. }
            | Event::Loaded { .. }
            | Event::Measured { .. } => {}
        }
        true
    }

    /// The lrs of one trial: those of each of its stages up to the start of the next.
    fn lrs(&self, trial: &Trial) -> Vec<f64> {
        let mut lrs = Vec::new();
        for (first, stage) in &self.stages[&trial.id] {
            lrs.truncate(*first as usize);
            let rows = self.steps.get(stage).into_iter().flatten();
            lrs.extend(rows.filter(|row| row.step >= *first).map(|row| row.lr));
        }
        // Other trials may continue in its last stage.
        lrs.truncate(trial.config.task.steps as usize);
        lrs
    }

    fn rows(&self) -> u64 {
        self.steps.values().map(|rows| rows.len() as u64).sum()
    }

    fn done(&self, id: &str) -> &Final {
        match &self.outcomes[id] {
            Outcome::Done(last) => last,
            outcome => panic!("{id}: {outcome:?}"),
        }
    }
}

/// Trains all trials; with `interrupt`, everything that waits is saved to disk after each step.
fn sweep(trials: &[Trial], images: &Examples, shared: &Shared, dir: &Path, interrupt: bool) -> Sweep {
    let mut recorder = Sweep::default();
    let mut queue: VecDeque<Branch> = Branch::initial(trials.to_vec(), true).into();
    while let Some(branch) = queue.pop_front() {
        let Some(mut stack) = Stack::new(branch, images, shared, &mut |event| recorder.record(event)) else {
            continue;
        };
        while !stack.is_empty() {
            while let Some(fits) = queue.iter().position(|branch| stack.accepts(branch)) {
                let branch = queue.remove(fits).expect("a branch at this index");
                queue.extend(stack.add(branch, &mut |event| recorder.record(event)));
            }
            queue.extend(stack.advance(&mut |event| recorder.record(event)));
            assert!(stack.len() <= shared.width);
            if interrupt {
                queue.extend(stack.shrink(stack.len().div_ceil(2), &mut |event| recorder.record(event)));
                for branch in &mut queue {
                    branch.save(&folder(dir)).expect("it can be written");
                }
            }
        }
    }
    assert_eq!(shared.state_counter.count(), 0);
    recorder
}

/// The zoo, and open-loop schedules with common prefixes and different lengths.
fn trials() -> Vec<Trial> {
    let mut trials = zoo("{kind: adamw, weight_decay: 0.1}");
    let text = "data: {dataset: digits, batch_size: 20, limit: 120}\nmodel: {kind: mlp, hidden: [8]}\n\
                optimizer: {kind: adamw, weight_decay: 0.1}\nbudget: {steps: {values: [9, 17, 25]}}\nlr: 0.1\n\
                schedules:\n  constant: {kind: constant}\n  \
                wsd: {body: 1x, cooldown: {over: {values: [3, 5, \"50%\"]}, to: 0}}\n  \
                step: {kind: step, every: 7, gamma: 0.5}\n  \
                plateau: {kind: plateau, watch: train_loss, every: 3, factor: 0.5, patience: 0}\n";
    let plan = trainer::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    trials.extend(plan.trials);
    trials.sort_by(|a, b| a.id.cmp(&b.id));
    trials.dedup_by(|a, b| a.id == b.id);
    trials
}

#[test]
fn shared_steps_change_no_bit_and_none_is_trained_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let trials = trials();
    let images = images(&trials[0]);
    let single: Vec<(Final, Vec<f64>)> = trials.iter().map(|trial| train_whole(trial, &images)).collect();
    let mut counts = Vec::new();
    for (width, block, most_states, interrupt) in
        [(1, 1, 100, false), (16, 8, 100, false), (3, 4, 2, false), (4, 1, 100, true), (2, 5, 100, true)]
    {
        let shared = Shared { width, block, most_states, ..shared(dir.path()) };
        let recorder = sweep(&trials, &images, &shared, dir.path(), interrupt);
        for (trial, (wanted, lrs)) in trials.iter().zip(&single) {
            let name = format!("{}, {width} lanes, blocks of {block}", trial.config.schedule_name);
            let bits = |lrs: &[f64]| lrs.iter().map(|lr| (*lr as f32).to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&recorder.lrs(trial)), bits(lrs), "{name}");
            assert_eq!(recorder.done(&trial.id), wanted, "{name}");
            let of_trial = |evaluated: &&Evaluated| evaluated.trial_id == trial.id;
            let last = recorder.evaluated.iter().rfind(of_trial).expect("it was evaluated");
            assert_eq!(last.valid_loss, wanted.valid_loss);
        }
        counts.push(recorder.rows());
    }
    let requested: u64 = trials.iter().map(|trial| trial.config.task.steps).sum();
    assert!(counts[0] < requested, "{counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    // The steps that closed-loop trials share are not known before training.
    assert!(counts[0] <= spec::share::trained_steps(&trials.iter().collect::<Vec<_>>()), "{counts:?}");
}

#[test]
fn open_loop_trials_train_the_planned_number_of_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let trials: Vec<Trial> =
        trials().into_iter().filter(|trial| spec::share::is_open_loop(&trial.config)).collect();
    let images = images(&trials[0]);
    let recorder = sweep(&trials, &images, &shared(dir.path()), dir.path(), false);
    assert_eq!(recorder.rows(), spec::share::trained_steps(&trials.iter().collect::<Vec<_>>()));
}

/// A loss that diverges ends all trials that share the step, with the outcome of a single run.
#[test]
fn a_divergence_is_reported_for_every_trial_that_shares_the_step() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "data: {dataset: digits, batch_size: 20, limit: 120}\nmodel: {kind: mlp, hidden: [8]}\n\
                optimizer: {kind: sgd}\nbudget: {steps: {values: [20, 30]}}\nlr: 300\ndiverge_above: 2\n\
                schedules: {constant: {kind: constant}, plateau: {kind: plateau}, step: {kind: step, every: 9, gamma: 0.5}}\n";
    let plan = trainer::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let images = images(&plan.trials[0]);
    let recorder = sweep(&plan.trials, &images, &shared(dir.path()), dir.path(), false);
    for trial in &plan.trials {
        let mut single = Recorder::default();
        let emit = &mut |event| single.record(event);
        trainer::train(trial.clone(), &images, trainer::device::Device::Cpu, emit).expect("it trains");
        assert!(matches!(single.outcome, Some(Outcome::Diverged { .. })), "{:?}", single.outcome);
        assert_eq!(recorder.outcomes.get(&trial.id), single.outcome.as_ref());
    }
}
