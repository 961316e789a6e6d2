//! The score of a run: a number, and whether lower or higher is better.

use std::cmp::Ordering;

/// Whether lower or higher numbers are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// As for a loss.
    #[default]
    LowerIsBetter,
    /// As for an accuracy.
    HigherIsBetter,
}

impl Direction {
    /// The value of a diverged run: infinitely bad.
    pub fn worst(self) -> f64 {
        match self {
            Self::LowerIsBetter => f64::INFINITY,
            Self::HigherIsBetter => f64::NEG_INFINITY,
        }
    }

    /// How much better the first of two is, given their difference; negative if it is worse.
    pub fn gain(self, difference: f64) -> f64 {
        match self {
            Self::LowerIsBetter => -difference,
            Self::HigherIsBetter => difference,
        }
    }

    /// Orders the better number first.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::LowerIsBetter => a.total_cmp(&b),
            Self::HigherIsBetter => b.total_cmp(&a),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_worse_than_a_run_that_diverged() {
        for direction in [Direction::LowerIsBetter, Direction::HigherIsBetter] {
            for value in [f64::MIN, -1.0, 0.0, 1.0, f64::MAX] {
                assert_eq!(direction.compare(value, direction.worst()), Ordering::Less);
                assert!(direction.gain(value - direction.worst()) > 0.0);
            }
        }
    }
}
