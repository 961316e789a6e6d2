//! The kernel of the multi-power law, Luo et al. 2025 (arXiv 2503.12811): 1 - (1 + C η^-γ S)^-β, with η the lr after the change and S the sum
//! of the lrs since.

use super::{Arrived, Bounds};

/// ln C, β, γ. C is in other units than in the paper: a run's whole sum counts as 1.
pub(super) const BOUNDS: [Bounds; 3] = [(-1.0, 11.0), (0.1, 1.5), (0.0, 1.2)];

pub(super) fn starts() -> Vec<Vec<f64>> {
    let mut starts = Vec::new();
    for speed in [1.5, 4.0, 7.0] {
        for beta in [0.3, 0.8] {
            starts.extend([0.2, 0.6].map(|gamma| vec![speed, beta, gamma]));
        }
    }
    starts
}

/// `since`: the sum of the lrs since the change, in sums of a whole run. `lr`: the lr after it, in peak lrs, above 0.
pub(super) fn arrived(own: &[f64], since: f64, lr: f64) -> Arrived {
    let [speed, beta, gamma] = own else { return Arrived { part: 0.0, slopes: [0.0; 3] } };
    let log_lr = lr.ln();
    let x = (speed - gamma * log_lr).exp() * since.max(0.0);
    let log = x.ln_1p();
    let left = (-beta * log).exp();
    let by_x = beta * left / (1.0 + x) * x;
    Arrived { part: 1.0 - left, slopes: [by_x, left * log, -by_x * log_lr] }
}
