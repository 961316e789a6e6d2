//! Collects the steps of a stage and emits them in batches.

use std::time::{Duration, Instant};

use spec::event::{Evaluated, Event, Measured, Outcome, StepRow};

use crate::run::now;

/// Steps are emitted at least this often.
const MAX_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of steps in one event.
const MAX_ROWS: usize = 512;

/// Receives events. Returns false when the receiver is gone and training should end.
pub type Emit<'a> = dyn FnMut(Event) -> bool + 'a;

/// Holds the steps of a stage that are not emitted yet.
#[derive(Debug)]
pub struct Emitter {
    stage: u64,
    rows: Vec<StepRow>,
    evaluated: Vec<Evaluated>,
    measured: Vec<Measured>,
    emitted_at: Instant,
}

impl Emitter {
    /// An emitter for a stage whose start was already emitted.
    pub fn new(stage: u64) -> Self {
        Self {
            stage,
            rows: Vec::with_capacity(MAX_ROWS),
            evaluated: Vec::new(),
            measured: Vec::new(),
            emitted_at: Instant::now(),
        }
    }

    /// Number of the stage.
    pub fn stage(&self) -> u64 {
        self.stage
    }

    /// Adds a step, and the validation loss of each trial that evaluated after it.
    pub fn add(&mut self, row: StepRow, losses: Vec<(String, f64)>) {
        self.rows.push(row);
        let step = row.step;
        let losses = losses.into_iter();
        self.evaluated.extend(losses.map(|(trial_id, valid_loss)| Evaluated { trial_id, step, valid_loss }));
    }

    /// Adds the value of another metric after a step that is added before the next flush.
    pub fn measure(&mut self, value: Measured) {
        self.measured.push(value);
    }

    /// Emits the steps if there are enough of them or enough time has passed.
    pub fn flush_if_due(&mut self, emit: &mut Emit<'_>) {
        if self.rows.len() >= MAX_ROWS || self.emitted_at.elapsed() >= MAX_INTERVAL {
            self.flush(emit);
        }
    }

    /// Like [`Emitter::flush_if_due`], but reads the clock only at every 16th step: for short steps.
    pub fn flush_if_due_sampled(&mut self, emit: &mut Emit<'_>) {
        if self.rows.len() >= MAX_ROWS || self.rows.len() % 16 == 1 {
            self.flush_if_due(emit);
        }
    }

    /// Emits the steps.
    pub fn flush(&mut self, emit: &mut Emit<'_>) {
        self.emitted_at = Instant::now();
        if !self.rows.is_empty() {
            let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(MAX_ROWS));
            emit(Event::Steps { stage: self.stage, rows, evaluated: std::mem::take(&mut self.evaluated) });
            if !self.measured.is_empty() {
                emit(Event::Measured { stage: self.stage, values: std::mem::take(&mut self.measured) });
            }
        }
    }
}

/// Emits the same outcome for several trials.
pub(crate) fn emit_ended(trial_ids: Vec<String>, outcome: &Outcome, emit: &mut Emit<'_>) {
    for trial_id in trial_ids {
        emit(Event::Ended { trial_id, outcome: outcome.clone(), at: now() });
    }
}
