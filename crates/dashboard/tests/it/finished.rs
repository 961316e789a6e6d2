//! The events of a trial that was trained to its end, with losses that follow a formula instead of training.

use spec::event::{Evaluated, Event, Final, Outcome, StepRow};
use spec::trial::Trial;

/// A trial from its start at `at` (milliseconds since 1970) to its end, a second later. Its losses fall to `loss`; it is
/// evaluated after every 10 updates.
pub(crate) fn finished(trial: &Trial, stage: u64, loss: f64, at: i64) -> [Event; 4] {
    let (id, lr, steps) = (&trial.id, trial.config.base_lr, trial.config.task.steps);
    let above = |step: u64| loss + (steps - 1 - step) as f64 / steps as f64;
    let rows = (0..steps).map(|step| StepRow { step, lr, train_loss: above(step), grad_norm: 1.0 });
    let evaluated =
        (9..steps).step_by(10).map(|step| Evaluated { trial_id: id.clone(), step, valid_loss: above(step) });
    let done = Final {
        train_loss: loss,
        valid_loss: loss,
        valid_accuracy: Some(0.9),
        test_loss: Some(loss),
        test_accuracy: Some(0.9),
        metrics: Default::default(),
        digest: "d".repeat(64),
        weights_hash: None,
    };
    [
        Event::Started { trial_ids: vec![id.clone()], step: 0, bits: Some(2), at },
        Event::Stage { stage, first: 0, trial_ids: vec![id.clone()] },
        Event::Steps { stage, rows: rows.collect(), evaluated: evaluated.collect() },
        Event::Ended { trial_id: id.clone(), outcome: Outcome::Done(done), at: at + 1000 },
    ]
}
