//! The worker threads: each takes the next trial from the queue, trains it, and tells what happens. A
//! trial that panics is recorded as failed and harms no other.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use spec::event::{Event, Outcome};
use tokio::sync::mpsc::Sender;
use trainer::{Checkpoint, Stop, checkpoint, now};

use crate::{Loaded, Missing, Options, SweepError};

/// Stack of a worker: candle walks the graph of a step by recursion.
const STACK_BYTES: usize = 64 << 20;

type Queue = Arc<Mutex<VecDeque<Missing>>>;

/// Starts the workers. They end when the queue is empty, when a stop is requested, or when nobody
/// listens any more.
pub(crate) fn start(
    missing: Vec<Missing>,
    images: Loaded,
    options: &Options,
    stop: &Stop,
    sender: Sender<Event>,
) -> Result<Vec<JoinHandle<()>>, SweepError> {
    let count = options.workers.get().min(missing.len());
    let queue: Queue = Arc::new(Mutex::new(missing.into()));
    let images = Arc::new(images);
    (0..count)
        .map(|i| {
            let (queue, images) = (Arc::clone(&queue), Arc::clone(&images));
            let (options, stop, sender) = (options.clone(), stop.clone(), sender.clone());
            std::thread::Builder::new()
                .name(format!("worker-{i}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&queue, &images, &options, &stop, &sender))
                .map_err(SweepError::Thread)
        })
        .collect()
}

fn work(queue: &Queue, images: &Loaded, options: &Options, stop: &Stop, sender: &Sender<Event>) {
    while !stop.requested() {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(missing) = next else { return };
        let trial_id = missing.trial.id.clone();
        let trained = catch_unwind(AssertUnwindSafe(|| train(&missing, images, options, stop, sender)));
        let outcome = match trained {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(reason)) => Outcome::Failed { reason },
            Err(panic) => Outcome::Failed { reason: format!("panic: {}", message(&*panic)) },
        };
        if sender.blocking_send(Event::Ended { trial_id, outcome, at: now() }).is_err() {
            return;
        }
    }
}

/// Trains one trial from its checkpoint, if it has one that can be used.
fn train(
    missing: &Missing,
    images: &Loaded,
    options: &Options,
    stop: &Stop,
    sender: &Sender<Event>,
) -> Result<Outcome, String> {
    let trial = &missing.trial;
    let data = &trial.config.task.data;
    let images = images.0.get(&(data.dataset, data.limit)).ok_or("its data set was not loaded")?;
    let from = missing.checkpoint.as_ref().and_then(|(file, _)| resume(missing, file, options));
    let step = from.as_ref().map_or(0, Checkpoint::step);
    let mut emit = |event| sender.blocking_send(event).is_ok();
    if !emit(Event::Started { trial_id: trial.id.clone(), step, at: now() }) {
        return Ok(Outcome::Stopped { steps: step });
    }
    let trainer_options = trainer::Options {
        device: options.device,
        checkpoints: Some((options.checkpoints.clone(), options.checkpoint_every)),
    };
    trainer::train(trial, images, from, &trainer_options, stop, &mut emit).map_err(|error| error.to_string())
}

/// A checkpoint that is torn or foreign is not used: the trial starts over.
fn resume(missing: &Missing, file: &str, options: &Options) -> Option<Checkpoint> {
    match checkpoint::load(&options.checkpoints, file, &missing.trial) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            tracing::warn!("{error}; trial {} starts over", missing.trial.id);
            None
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
