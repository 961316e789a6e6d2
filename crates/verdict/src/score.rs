//! What schedules are judged by: a number, and which way is better.

use std::cmp::Ordering;

/// Which numbers are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// As of a loss.
    #[default]
    LowerIsBetter,
    /// As of an accuracy.
    HigherIsBetter,
}

impl Direction {
    /// What a run that diverged has: infinitely bad.
    pub fn worst(self) -> f64 {
        match self {
            Self::LowerIsBetter => f64::INFINITY,
            Self::HigherIsBetter => f64::NEG_INFINITY,
        }
    }

    /// By how much a difference makes the first of two better; below 0 where it is worse.
    pub fn gain(self, difference: f64) -> f64 {
        match self {
            Self::LowerIsBetter => -difference,
            Self::HigherIsBetter => difference,
        }
    }

    /// The better number first.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::LowerIsBetter => a.total_cmp(&b),
            Self::HigherIsBetter => b.total_cmp(&a),
        }
    }
}

/// What a run is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The number; infinite where the run diverged.
    pub value: f64,
    /// Which numbers are better.
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
