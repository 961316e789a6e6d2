//! A run from its first step, or a checkpoint, to its end, told as events.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use spec::event::{Event, Final, Outcome, StepRow};
use spec::trial::Trial;

use crate::checkpoint::{self, Checkpoint};
use crate::data::Images;
use crate::device::{Device, DeviceError};
use crate::lane::Lane;
use crate::stop::Stop;

/// Steps are told at least this often.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// And at most so many at once.
const TELL_ROWS: usize = 512;

/// How to train.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub device: Device,
    /// Folder of the checkpoints and the wall time between two; without it none is written.
    pub checkpoints: Option<(PathBuf, Duration)>,
}

/// Why a run could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An operation failed.
    #[error(transparent)]
    Operation(#[from] candle_core::Error),
    /// The backward pass reached no gradient for a parameter.
    #[error("the parameter {0} got no gradient")]
    NoGradient(String),
}

/// Trains one trial. `emit` gets every event but `Started` and `Ended`, which are the caller's, and says
/// whether anyone still listens. On a stop a checkpoint is written and told, and the outcome is `Stopped`.
///
/// # Errors
/// See [`TrainError`]. Divergence is no error but an outcome.
pub fn train(
    trial: &Trial,
    images: &Images,
    from: Option<Checkpoint>,
    options: &Options,
    stop: &Stop,
    emit: &mut dyn FnMut(Event) -> bool,
) -> Result<Outcome, TrainError> {
    let mut lane = Lane::new(trial, images, options.device.open()?, from.as_ref())?;
    drop(from);
    let mut teller = Teller { trial, rows: Vec::new(), told: Instant::now(), emit };
    let mut saved = Instant::now();
    let mut last_loss = f64::NAN;
    while lane.position() < trial.config.task.steps {
        let stepped = lane.advance()?;
        last_loss = stepped.row.train_loss;
        let heard = teller.row(stepped.row);
        if let Some(loss) = stepped.diverged {
            teller.flush();
            return Ok(Outcome::Diverged { at: stepped.row.step, loss, digest: lane.digest() });
        }
        if lane.position() == trial.config.task.steps {
            break;
        }
        let stopping = !heard || stop.requested();
        if let Some((dir, every)) = &options.checkpoints
            && (stopping || saved.elapsed() >= *every)
        {
            match checkpoint::save(dir, &lane.content()) {
                Ok(file) => teller.checkpoint(lane.position(), file),
                // The run itself is well: without it a kill would only cost more steps.
                Err(error) => tracing::warn!("trial {} goes on without a checkpoint: {error}", trial.id),
            }
            saved = Instant::now();
        }
        if stopping {
            teller.flush();
            return Ok(Outcome::Stopped { steps: lane.position() });
        }
    }
    teller.flush();
    let (valid, test) = (lane.valid()?, lane.test()?);
    Ok(Outcome::Done(Final {
        train_loss: last_loss,
        valid_loss: valid.loss,
        valid_accuracy: valid.accuracy,
        test_loss: test.loss,
        test_accuracy: test.accuracy,
        digest: lane.digest(),
        weights_hash: lane.weights_hash()?,
    }))
}

/// Gathers steps and tells them in bundles.
struct Teller<'a> {
    trial: &'a Trial,
    rows: Vec<StepRow>,
    told: Instant,
    emit: &'a mut dyn FnMut(Event) -> bool,
}

impl Teller<'_> {
    /// Takes in a step; whether anyone still listens.
    fn row(&mut self, row: StepRow) -> bool {
        self.rows.push(row);
        let due = self.rows.len() >= TELL_ROWS || self.told.elapsed() >= TELL_EVERY;
        !due || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.told = Instant::now();
        if self.rows.is_empty() {
            return true;
        }
        let rows = std::mem::take(&mut self.rows);
        (self.emit)(Event::Steps { trial_id: self.trial.id.clone(), rows })
    }

    fn checkpoint(&mut self, step: u64, file: String) {
        // The rows first: a checkpoint counts only with every step before it.
        if self.flush() {
            (self.emit)(Event::Checkpoint { trial_id: self.trial.id.clone(), step, file, at: now() });
        }
    }
}

/// UTC, milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
