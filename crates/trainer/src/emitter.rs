//! Collects the steps of a stage and emits them in bundles.

use std::time::{Duration, Instant};

use spec::event::{Evaluated, Event, Outcome, StepRow};

use crate::run::now;

/// Steps are emitted at least this often.
const EVERY: Duration = Duration::from_millis(250);
/// Most steps of one event.
const ROWS: usize = 512;

/// Receives events, and returns whether anyone still receives them.
pub type Emit<'a> = dyn FnMut(Event) -> bool + 'a;

/// The steps of a stage that are not emitted yet.
#[derive(Debug)]
pub struct Emitter {
    stage: u64,
    rows: Vec<StepRow>,
    evaluated: Vec<Evaluated>,
    emitted_at: Instant,
}

impl Emitter {
    /// For a stage whose own event is emitted.
    pub fn new(stage: u64) -> Self {
        Self { stage, rows: Vec::with_capacity(ROWS), evaluated: Vec::new(), emitted_at: Instant::now() }
    }

    /// Number of the stage.
    pub fn stage(&self) -> u64 {
        self.stage
    }

    /// Adds a step, and the validation losses of trials after it.
    pub fn add(&mut self, row: StepRow, losses: Vec<(String, f64)>) {
        self.rows.push(row);
        let step = row.step;
        let losses = losses.into_iter();
        self.evaluated.extend(losses.map(|(trial_id, valid_loss)| Evaluated { trial_id, step, valid_loss }));
    }

    /// Emits the steps, if it is time to.
    pub fn flush_if_due(&mut self, emit: &mut Emit<'_>) {
        if self.rows.len() >= ROWS || self.emitted_at.elapsed() >= EVERY {
            self.flush(emit);
        }
    }

    /// As [`Emitter::flush_if_due`], for short steps: reads the clock at every 16th.
    pub fn flush_if_due_sampled(&mut self, emit: &mut Emit<'_>) {
        if self.rows.len() >= ROWS || self.rows.len() % 16 == 1 {
            self.flush_if_due(emit);
        }
    }

    /// Emits the steps.
    pub fn flush(&mut self, emit: &mut Emit<'_>) {
        self.emitted_at = Instant::now();
        if !self.rows.is_empty() {
            let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS));
            emit(Event::Steps { stage: self.stage, rows, evaluated: std::mem::take(&mut self.evaluated) });
        }
    }
}

/// Emits the same outcome of some trials.
pub(crate) fn emit_ended(trial_ids: Vec<String>, outcome: &Outcome, emit: &mut Emit<'_>) {
    for trial_id in trial_ids {
        emit(Event::Ended { trial_id, outcome: outcome.clone(), at: now() });
    }
}
