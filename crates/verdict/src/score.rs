//! The score of a run: a number, and whether lower or higher is better.

pub use spec::metric::Direction;

/// The score of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The number; infinite if the run diverged.
    pub value: f64,
    /// Whether lower or higher numbers are better.
    pub direction: Direction,
}

impl Score {
    /// The score of a run that diverged.
    pub fn worst(direction: Direction) -> Self {
        Self { value: direction.worst(), direction }
    }
}
