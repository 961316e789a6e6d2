//! The figure of a schedule in the tables: its example over a short run.

use schedule::{Feedback, Horizon, Schedule};

use super::{Figure, Scale, bowl, sample};

/// The run of the examples.
pub const RUN: Horizon = Horizon { base_lr: 1.0, total: 100, steps_per_epoch: Some(10) };

/// Description of [`RUN`].
pub const RUN_WORDS: &str = "100 steps, 10 per epoch, at base lr 1";

/// The figure of an example that is resolved for [`RUN`]. A schedule that watches training runs on [`bowl`].
pub fn example(schedule: &Schedule) -> Figure {
    let curves = match schedule.feedback() {
        Feedback::OpenLoop => vec![sample::curve("lr", schedule, RUN.total)],
        Feedback::ClosedLoop => bowl::curves(schedule, RUN.total).to_vec(),
    };
    Figure {
        title: String::new(),
        notes: Vec::new(),
        x_title: "step".to_owned(),
        y_title: "lr / base lr".to_owned(),
        scale: Scale::Linear,
        total: RUN.total,
        curves,
    }
}
