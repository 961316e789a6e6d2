//! Gathers what happens to one lane and tells it in bundles.

use std::time::{Duration, Instant};

use spec::event::{Evaluated, Event, StepRow};

/// Steps are told at least this often.
const EVERY: Duration = Duration::from_millis(250);
/// And at most so many at once.
const ROWS: usize = 512;

/// Gets events, and says whether anyone still listens.
pub type Emit<'a> = dyn FnMut(Event) -> bool + 'a;

/// What is still to be told of a stage.
#[derive(Debug)]
pub struct Teller {
    stage: u64,
    rows: Vec<StepRow>,
    evaluated: Vec<Evaluated>,
    told: Instant,
}

impl Teller {
    /// For the stage with this number, which was told.
    pub fn new(stage: u64) -> Self {
        Self { stage, rows: Vec::with_capacity(ROWS), evaluated: Vec::new(), told: Instant::now() }
    }

    /// Number of the stage.
    pub fn stage(&self) -> u64 {
        self.stage
    }

    /// Takes in a step, and what trials saw after it.
    pub fn step(&mut self, row: StepRow, seen: Vec<(String, f64)>) {
        self.rows.push(row);
        let step = row.step;
        let seen = seen.into_iter();
        self.evaluated.extend(seen.map(|(trial_id, valid_loss)| Evaluated { trial_id, step, valid_loss }));
    }

    /// Tells, if it is time to; whether anyone still listens.
    pub fn tell(&mut self, emit: &mut Emit<'_>) -> bool {
        // The clock is asked now and then only.
        let many = self.rows.len() >= ROWS;
        let due = many || (self.rows.len() % 16 == 1 && self.told.elapsed() >= EVERY);
        !due || self.flush(emit)
    }

    /// The same where steps take long: the clock is asked each time.
    pub fn tell_soon(&mut self, emit: &mut Emit<'_>) -> bool {
        (self.rows.len() < ROWS && self.told.elapsed() < EVERY) || self.flush(emit)
    }

    /// Tells what there is.
    pub fn flush(&mut self, emit: &mut Emit<'_>) -> bool {
        self.told = Instant::now();
        if self.rows.is_empty() {
            return true;
        }
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS));
        emit(Event::Steps { stage: self.stage, rows, evaluated: std::mem::take(&mut self.evaluated) })
    }
}
