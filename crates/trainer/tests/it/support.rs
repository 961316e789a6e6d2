//! Trials to train, and a recorder of their events.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spec::event::{Event, Final, Outcome};
use spec::trial::Trial;
use trainer::checkpoint::Folder;
use trainer::custom::Tasks;
use trainer::data::{self, Examples};
use trainer::device::Device;
use trainer::{Shared, StateCounter, train};

pub(crate) const STEPS: u64 = 25;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The zoo on a few images, for a few steps: one trial of each schedule.
pub(crate) fn zoo(optimizer: &str) -> Vec<Trial> {
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
        assert!(text.contains(from), "experiments/zoo.yaml no longer contains `{from}`");
        text.replace(from, to)
    });
    let plan = trainer::read(&text, "zoo").and_then(|spec| spec::plan(&spec));
    plan.unwrap_or_else(|problems| panic!("{problems:?}")).trials
}

pub(crate) fn images(trial: &Trial) -> Examples {
    let network = trial.config.task.network().expect("a network");
    data::load(network, Some(&root().join("data")), &Tasks::new()).expect("the digits")
}

pub(crate) fn folder(dir: &Path) -> Folder {
    Folder { dir: dir.to_owned(), writer: 1 }
}

pub(crate) fn shared(dir: &Path) -> Shared {
    Shared {
        device: Device::Cpu,
        width: 4,
        block: 1,
        state_counter: StateCounter::default(),
        most_states: 100,
        parking: Some(folder(dir)),
        time_limit: None,
        next_stage: Arc::default(),
    }
}

/// The events of one trial.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) lrs: Vec<f64>,
    pub(crate) outcome: Option<Outcome>,
    /// Step and file of the newest checkpoint.
    pub(crate) saved: Option<(u64, String)>,
}

impl Recorder {
    pub(crate) fn record(&mut self, event: Event) -> bool {
        match event {
            Event::Steps { rows, .. } => self.lrs.extend(rows.iter().map(|row| row.lr)),
            Event::Checkpoint { step, file, .. } => self.saved = Some((step, file)),
            Event::Ended { outcome, .. } => self.outcome = Some(outcome),
            _ => {}
        }
        true
    }
}

/// Trains a trial without interruption.
pub(crate) fn train_whole(trial: &Trial, images: &Examples) -> (Final, Vec<f64>) {
    let mut recorder = Recorder::default();
    train(trial.clone(), images, Device::Cpu, &mut |event| recorder.record(event)).expect("it trains");
    match recorder.outcome {
        Some(Outcome::Done(last)) => (last, recorder.lrs),
        outcome => panic!("{}: {outcome:?}", trial.config.schedule_name),
    }
}
