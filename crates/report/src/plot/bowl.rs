//! A synthetic training run for schedules that watch training: gradient descent on a two-dimensional quadratic loss, with the
//! schedule's own lr. It shows what a rule reacts to; it is not a benchmark.

use std::collections::BTreeMap;

use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Schedule};

use super::{Curve, sample};

/// Description of the run.
pub const WORDS: &str = "gradient descent with this schedule on the synthetic loss 0.3 + 0.75 x^2 + 0.05 y^2 from (2, 4), \
                         evaluated after each step; its accuracy is exp(-loss)";

/// Curvatures along x and y.
const CURVATURE: [f64; 2] = [1.5, 0.1];
const START: [f64; 2] = [2.0, 4.0];
const FLOOR: f64 = 0.3;

fn loss(at: [f64; 2]) -> f64 {
    FLOOR + 0.5 * (CURVATURE[0] * at[0] * at[0] + CURVATURE[1] * at[1] * at[1])
}

/// The lr of each step and the loss before it, up to the first value that is not finite.
fn descend(schedule: &Schedule, total: u64) -> Vec<(f64, f64)> {
    let mut state = schedule.start();
    let mut vectors = Plain::default();
    let mut at = START;
    let mut steps = Vec::new();
    for t in 0..total {
        let train_loss = loss(at);
        let gradient = [CURVATURE[0] * at[0], CURVATURE[1] * at[1]];
        let grad_norm_squared = gradient[0] * gradient[0] + gradient[1] * gradient[1];
        (vectors.parameters, vectors.gradient) = (at.to_vec(), gradient.to_vec());
        let seen = BeforeUpdate { train_loss, grad_norm_squared };
        schedule.before_update(&mut state, t, &seen, &mut vectors);
        let lr = schedule.lr(t, &state);
        if !(train_loss.is_finite() && lr.is_finite()) {
            break;
        }
        steps.push((lr, train_loss));
        at = [at[0] - lr * gradient[0], at[1] - lr * gradient[1]];
        let valid_loss = loss(at);
        let valid_accuracy = Some((-valid_loss).exp());
        let own = &own_metrics(schedule, valid_loss);
        let after =
            AfterUpdate { train_loss, valid_loss: Some(valid_loss), valid_accuracy, own, evaluated: true };
        schedule.after_update(&mut state, t, &after);
    }
    steps
}

/// Values for the metrics that only a program could report, which improve as the loss falls.
fn own_metrics(schedule: &Schedule, valid_loss: f64) -> BTreeMap<String, f64> {
    let value = |higher| if higher { (-valid_loss).exp() } else { valid_loss };
    schedule.own_metrics().iter().map(|(name, higher)| (name.to_string(), value(*higher))).collect()
}

/// The lr over this run, and the loss, scaled to the height of the lr.
pub fn curves(schedule: &Schedule, total: u64) -> [Curve; 2] {
    let steps = descend(schedule, total);
    let known = steps.len() as u64;
    let get = |t: u64| usize::try_from(t).ok().and_then(|t| steps.get(t)).copied().unwrap_or_default();
    let max = |of: fn(&(f64, f64)) -> f64| steps.iter().map(of).fold(0.0, f64::max);
    let (max_lr, max_loss) = (max(|step| step.0), max(|step| step.1));
    let last = steps.last().map_or(0.0, |step| step.1);
    let name = format!("loss, on its own scale: {} to {}", crate::short(get(0).1), crate::short(last));
    [
        sample::of_values("lr", known, &|t| get(t).0),
        sample::of_values(&name, known, &|t| get(t).1 / max_loss * max_lr),
    ]
}
