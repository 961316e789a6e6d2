//! The kernel of Tissue et al. 2024 (arXiv 2408.11029). Its annealing area S2 sums a momentum m(t) = λ m(t-1) + drop(t) over the steps.
//! A drop at step k adds drop · (1 - λ^(t-k+1)) / (1 - λ) to S2, so with λ = exp(-1/τ) the effect of a drop arrives as 1 - exp(-e/τ)
//! after e steps. The factor 1 / (1 - λ) is part of B.

use super::{Arrived, Bounds};

/// ln τ; τ in lengths of the shortest run: from 7.5 % of its length to twice its length. With shorter times a fit follows the fast part of
/// a drop's effect and misses the slow one, which the final loss depends on.
pub(super) const BOUNDS: [Bounds; 1] = [(-2.6, 0.7)];

pub(super) fn starts() -> Vec<Vec<f64>> {
    [-2.6, -1.8, -0.7].iter().map(|time| vec![*time]).collect()
}

/// `elapsed`: the time since the change, in lengths of the shortest run.
pub(super) fn arrived(own: &[f64], elapsed: f64) -> Arrived {
    let x = elapsed.max(0.0) * (-own.first().copied().unwrap_or_default()).exp();
    let left = (-x).exp();
    Arrived { part: -(-x).exp_m1(), slopes: [-x * left, 0.0, 0.0] }
}
