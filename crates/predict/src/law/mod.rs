//! The laws: the loss of a run as a function of its lrs. Both have one form, with another kernel:
//!
//! ```text
//! L(t) = L0 + A · (S(t) / S)^-α - B · Σ (drop / peak) · G
//! ```
//!
//! S(t) is the sum of the lrs so far. The sum is over the changes of the lr, and G says how much of a change's effect has arrived. The
//! lrs are measured in the highest lr (`peak`), sums in the largest sum (S) and times in the shortest run of the fitted runs, so that the
//! bounds of the parameters do not depend on the task. The bounds were tuned on the published curves in `data/loss-curves`.

mod multi_power;
mod tissue;

use crate::lrs::{Change, Lrs, Point};

/// A law of loss curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Tissue et al. 2024 (arXiv 2408.11029): the effect of a change arrives exponentially in time.
    Tissue,
    /// The multi-power law, Luo et al. 2025 (arXiv 2503.12811): it arrives as a power of the sum of the lrs.
    MultiPower,
}

/// The largest number of parameters of a law.
pub(crate) const MOST: usize = 7;
/// The parameters that both laws have: L0, ln A, α, ln B.
pub(crate) const SHARED: usize = 4;

/// Units of the lrs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Units {
    pub(crate) peak: f64,
    pub(crate) sum: f64,
    pub(crate) steps: f64,
}

/// The lowest and the highest value of a parameter.
pub(crate) type Bounds = (f64, f64);

/// α: wider than the 0.2 to 0.8 that the published curves need.
const ALPHA: Bounds = (0.05, 1.5);
/// α of the starts.
const ALPHAS: [f64; 3] = [0.2, 0.5, 1.0];

/// How much of a change's effect has arrived, and the derivatives of that by the law's own parameters.
pub(crate) struct Arrived {
    pub(crate) part: f64,
    pub(crate) slopes: [f64; MOST - SHARED],
}

impl Law {
    /// Both laws.
    pub const ALL: [Self; 2] = [Self::Tissue, Self::MultiPower];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tissue => "tissue",
            Self::MultiPower => "multi-power",
        }
    }

    /// The bounds of the parameters that the other law lacks.
    fn own_bounds(self) -> &'static [Bounds] {
        match self {
            Self::Tissue => &tissue::BOUNDS,
            Self::MultiPower => &multi_power::BOUNDS,
        }
    }

    /// Where a fit starts: α and the law's own parameters.
    pub(crate) fn starts(self) -> Vec<(f64, Vec<f64>)> {
        let own: Vec<Vec<f64>> = match self {
            Self::Tissue => tissue::starts(),
            Self::MultiPower => multi_power::starts(),
        };
        ALPHAS.iter().flat_map(|alpha| own.iter().map(|own| (*alpha, own.clone()))).collect()
    }

    /// The bounds of all parameters, for losses between `low` and `high`.
    pub(crate) fn bounds(self, low: f64, high: f64) -> Vec<Bounds> {
        let range = (high - low).max(1e-9 * high.abs()).max(f64::MIN_POSITIVE);
        let floor = low - 4.0 * range;
        // A loss that was always positive has no negative limit.
        let floor = if low > 0.0 { floor.max(0.0) } else { floor };
        let size = ((1e-4 * range).ln(), (20.0 * range).ln());
        let shared: [Bounds; SHARED] = [(floor, low), size, ALPHA, size];
        shared.into_iter().chain(self.own_bounds().iter().copied()).collect()
    }

    fn arrived(self, own: &[f64], units: &Units, change: &Change, now: &Point) -> Arrived {
        match self {
            Self::Tissue => tissue::arrived(own, (now.step - change.at.step) / units.steps),
            Self::MultiPower => {
                let since = (now.sum - change.at.sum) / units.sum;
                multi_power::arrived(own, since, change.lr / units.peak)
            }
        }
    }

    /// The loss at a moment of a run. `slopes`, as long as the parameters, receives its derivatives by the parameters.
    pub(crate) fn loss(self, p: &[f64], units: &Units, lrs: &Lrs, now: &Point, slopes: &mut [f64]) -> f64 {
        let [limit, size, alpha, effect, own @ ..] = p else { return f64::NAN };
        let progress = (now.sum / units.sum).max(1e-9);
        let power = size.exp() * progress.powf(-alpha);
        let effect = effect.exp();
        let mut total = 0.0;
        let mut by_own = [0.0; MOST - SHARED];
        for change in lrs.changes.iter().take_while(|change| change.at.step < now.step) {
            let arrived = self.arrived(own, units, change, now);
            let drop = change.drop / units.peak;
            total += drop * arrived.part;
            by_own.iter_mut().zip(arrived.slopes).for_each(|(sum, slope)| *sum += drop * slope);
        }
        let shared = [1.0, power, -power * progress.ln(), -effect * total];
        let own_slopes = by_own.into_iter().map(|slope| -effect * slope);
        slopes.iter_mut().zip(shared.into_iter().chain(own_slopes)).for_each(|(to, slope)| *to = slope);
        limit + power - effect * total
    }
}

#[cfg(test)]
mod tests;
