//! The expected loss after each step, over all seeds, of tasks that have a closed form. It follows from the moments of the weights,
//! which are computed step by step without random numbers. It exists for plain SGD, with or without momentum, and open-loop schedules.

use schedule::Feedback;
use spec::catalogue::Reads;
use spec::trial::{Task, Trial};

use crate::model::{Arch, TABLE};
use crate::optimizer::algorithm;

/// Why there is no closed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoClosedForm {
    /// The task has none.
    #[error("only the tasks {} have one", tasks())]
    Task,
    /// The optimizer or a related setting is not supported: the key.
    #[error("it needs plain sgd, with or without momentum; remove or change `{0}`")]
    Optimizer(&'static str),
    /// The schedule is closed-loop or averages the weights.
    #[error("it needs an open-loop schedule that does not average weights")]
    Schedule,
}

/// The names of the tasks that have a closed form.
fn tasks() -> String {
    let tasks = TABLE.iter().filter(|entry| entry.kind.reads == Reads::Nothing);
    tasks.map(|entry| entry.kind.name).collect::<Vec<_>>().join(" and ")
}

/// Second moments of one weight's distance from the minimum and of its velocity.
#[derive(Debug, Clone, Copy)]
struct Moments {
    /// E[e²].
    distance: f64,
    /// E[e v].
    cross: f64,
    /// E[v²].
    velocity: f64,
}

/// The expected validation loss of a trial after each evaluation: pairs of steps done and excess over the minimum loss. Infinite
/// where the run diverges.
///
/// Sources: for the quadratic Zhang et al. 2019 (arXiv 1907.04164); for the regression the fourth moments of normal numbers,
/// E[x xᵀ M x xᵀ] = 2 Λ M Λ + Λ tr(Λ M).
///
/// # Errors
/// The trial has no closed form.
pub fn losses(trial: &Trial) -> Result<Vec<(u64, f64)>, NoClosedForm> {
    let config = &trial.config;
    let task: &Task = &config.task;
    let network = task.network().ok_or(NoClosedForm::Task)?;
    let unsupported = [
        ("clip_norm", network.clip_norm.is_some()),
        ("init_from", network.init_from.is_some()),
        ("freeze", !network.freeze.is_empty()),
        ("lr_multipliers", !network.lr_multipliers.is_empty()),
    ];
    if let Some((key, _)) = unsupported.into_iter().find(|(_, given)| *given) {
        return Err(NoClosedForm::Optimizer(key));
    }
    let optimizer = algorithm(&network.optimizer).map_err(|_| NoClosedForm::Optimizer("optimizer.kind"))?;
    let momentum = optimizer.plain_momentum().map_err(NoClosedForm::Optimizer)?;
    let schedule = &config.schedule;
    if schedule.feedback() != Feedback::OpenLoop || schedule.averages() || schedule.is_grouped() {
        return Err(NoClosedForm::Schedule);
    }
    let arch = Arch::of(network).map_err(|_| NoClosedForm::Task)?;
    let mut problem = arch.architecture.expected().ok_or(NoClosedForm::Task)?;
    let state = config.start();
    let mut losses = Vec::new();
    for t in 0..task.steps {
        // Updates use the lr as f32.
        let lr = f64::from(config.schedule.lr(t, &state) as f32);
        problem.step(lr, config.schedule.momentum(t).unwrap_or(momentum));
        if task.evaluates_after(t) {
            losses.push((t + 1, problem.loss()));
        }
    }
    Ok(losses)
}

/// A task with the moments of its weights.
pub(crate) struct Problem {
    /// Curvature of each weight.
    scales: Vec<f64>,
    moments: Vec<Moments>,
    gradient: Gradient,
}

/// The noise of a gradient.
pub(crate) enum Gradient {
    /// A variance for each weight: this number times its curvature.
    Fixed(f64),
    /// From a batch of fresh examples: the batch size, and the variance of their errors.
    Sampled(f64, f64),
}

impl Problem {
    /// The state before the first step. `scales`: the curvature of each weight; `distance`: the expected square of its distance
    /// from the minimum.
    pub(crate) fn new(scales: Vec<f64>, distance: impl Iterator<Item = f64>, gradient: Gradient) -> Self {
        let moments = distance.map(|distance| Moments { distance, cross: 0.0, velocity: 0.0 }).collect();
        Self { scales, moments, gradient }
    }

    /// v <- momentum v + g, e <- e - lr v.
    fn step(&mut self, lr: f64, momentum: f64) {
        let total: f64 = self.scales.iter().zip(&self.moments).map(|(h, m)| h * m.distance).sum();
        for (h, m) in self.scales.iter().zip(&mut self.moments) {
            // E[g²]; with E[g e] = h E[e²] and E[g v] = h E[e v].
            let squared = match self.gradient {
                Gradient::Fixed(noise) => h * h * m.distance + noise * h,
                Gradient::Sampled(batch, noise) => {
                    h * h * m.distance * (1.0 + 1.0 / batch) + h * (total + noise) / batch
                }
            };
            let velocity = momentum * momentum * m.velocity + 2.0 * momentum * h * m.cross + squared;
            let cross = momentum * m.cross + h * m.distance;
            *m = Moments {
                distance: m.distance - 2.0 * lr * cross + lr * lr * velocity,
                cross: cross - lr * velocity,
                velocity,
            };
        }
    }

    fn loss(&self) -> f64 {
        let sum: f64 = self.scales.iter().zip(&self.moments).map(|(h, m)| h * m.distance).sum();
        let loss = 0.5 * sum;
        if loss.is_finite() { loss } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(file: &str) -> f64 {
        let text = format!("{file}\nbudget: {{steps: 500}}\n");
        let plan = crate::read(&text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        losses(&plan.trials[0]).expect("a closed form").last().expect("a loss").1
    }

    /// The expected numbers were computed by the same recursion in NumPy.
    #[test]
    fn expected_losses_agree_with_numpy() {
        let quadratic = "task: {kind: quadratic}\noptimizer: {kind: sgd}";
        let regression = "task: {kind: power-law-regression}\noptimizer: {kind: sgd}";
        let linear = "schedules: {a: {kind: linear, to: 0}}";
        let constant = "schedules: {a: {kind: constant}}";
        for (task, lr, schedule, expected) in [
            (quadratic, "0.25", linear, 0.239_137_223_318),
            (quadratic, "0.0625", constant, 0.331_252_079_874),
            (regression, "0.5", linear, 0.016_662_579_397),
            (regression, "0.125", constant, 0.028_677_758_277),
        ] {
            let found = last(&format!("{task}\nlr: {lr}\n{schedule}"));
            // The lrs of a linear schedule are rounded to f32 here.
            assert!((found / expected - 1.0).abs() < 1e-7, "{task} {lr}: {found}, {expected}");
        }
    }

    fn one_weight() -> Problem {
        let moments = vec![Moments { distance: 1.0, cross: 0.0, velocity: 0.0 }];
        Problem { scales: vec![1.0], moments, gradient: Gradient::Fixed(2.0) }
    }

    /// By hand: one weight, one step. E[(w - lr (w + √2 ξ))²] = (1 - lr)² + 2 lr².
    #[test]
    fn one_step_by_hand() {
        let mut problem = one_weight();
        problem.step(0.25, 0.0);
        assert!((problem.loss() - 0.5 * (0.75 * 0.75 + 2.0 * 0.0625)).abs() < 1e-15);
    }

    /// By hand: e₁ = (1 - lr) e₀ - lr ξ₀, v₂ = m (e₀ + ξ₀) + e₁ + ξ₁, e₂ = e₁ - lr v₂, with E[e₀²] = 1 and E[ξ²] = 2.
    #[test]
    fn two_steps_with_momentum_by_hand() {
        let mut problem = one_weight();
        let (lr, m) = (0.25, 0.5);
        problem.step(lr, m);
        problem.step(lr, m);
        let e0_factor = (1.0 - lr) - lr * (m + 1.0 - lr);
        let noise_factor = -lr - lr * (m - lr);
        let expected = 0.5 * (e0_factor * e0_factor + 2.0 * noise_factor * noise_factor + 2.0 * lr * lr);
        assert!((problem.loss() - expected).abs() < 1e-15, "{} {expected}", problem.loss());
    }
}
