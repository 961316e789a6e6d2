//! Where a law is not used: far from the runs that it was fitted to.

use crate::lrs::Lrs;
use crate::run::Run;

/// How far the peak lr may be from those of the fitted runs: a factor.
pub(crate) const PEAK: f64 = 2.0;
/// How far the length may be from those of the fitted runs: a factor.
pub(crate) const LENGTH: f64 = 4.0;

/// Why a schedule is not predicted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Its peak lr is too far from those of the fitted runs.
    #[error(
        "its peak lr {peak} is more than {PEAK} times above or below those of the fitted runs, {low} to {high}"
    )]
    Peak {
        /// Its peak lr.
        peak: f64,
        /// The lowest peak lr of a fitted run.
        low: f64,
        /// The highest.
        high: f64,
    },
    /// Its length is too far from those of the fitted runs.
    #[error(
        "its {steps} steps are more than {LENGTH} times above or below those of the fitted runs, {low} to {high}"
    )]
    Length {
        /// Its length.
        steps: u64,
        /// The length of the shortest fitted run.
        low: u64,
        /// The length of the longest.
        high: u64,
    },
}

/// The range that was fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    peaks: (f64, f64),
    steps: (u64, u64),
}

impl Seen {
    pub(crate) fn of(runs: &[Run]) -> Self {
        let mut seen = Self { peaks: (f64::INFINITY, 0.0), steps: (u64::MAX, 0) };
        for lrs in runs.iter().map(|run| &run.lrs) {
            seen.peaks = (seen.peaks.0.min(lrs.peak), seen.peaks.1.max(lrs.peak));
            seen.steps = (seen.steps.0.min(lrs.steps), seen.steps.1.max(lrs.steps));
        }
        seen
    }

    /// Refuses lrs outside of the range.
    pub(crate) fn check(&self, lrs: &Lrs) -> Result<(), Refusal> {
        // A peak that is twice another may differ from it in the last digits.
        let factor = PEAK * (1.0 + 1e-9);
        let (low, high) = self.peaks;
        if lrs.peak * factor < low || lrs.peak > high * factor {
            return Err(Refusal::Peak { peak: lrs.peak, low, high });
        }
        let (low, high) = self.steps;
        let steps = lrs.steps as f64;
        if steps * LENGTH < low as f64 || steps > high as f64 * LENGTH {
            return Err(Refusal::Length { steps: lrs.steps, low, high });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_peaks_and_lengths_are_refused() {
        let seen = Seen { peaks: (0.1, 0.3), steps: (100, 200) };
        let check = |peak: f64, steps: usize| seen.check(&Lrs::new(std::iter::repeat_n(peak, steps), &[]));
        for (peak, steps) in [(0.05, 100), (0.6, 800), (0.1, 25)] {
            assert_eq!(check(peak, steps), Ok(()));
        }
        for (peak, steps) in [(0.049, 100), (0.61, 100)] {
            assert!(matches!(check(peak, steps), Err(Refusal::Peak { .. })), "{peak}");
        }
        for (peak, steps) in [(0.1, 24), (0.1, 801)] {
            assert!(matches!(check(peak, steps), Err(Refusal::Length { .. })), "{steps}");
        }
    }
}
