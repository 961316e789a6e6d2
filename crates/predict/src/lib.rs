//! Laws of loss curves: from the lrs and losses of some runs to the loss of a run with other lrs. Numbers in, numbers out: no schedules,
//! databases or text.
//!
//! [`Run`] is a curve to learn from. [`Model::learn`] fits the laws, chooses one by the runs that it leaves out, and keeps what an
//! interval needs. [`Model::predict`] computes the loss of an [`Lrs`], or refuses it.

mod bootstrap;
mod fit;
mod held_out;
mod law;
mod limits;
mod lrs;
mod model;
mod parallel;
mod run;

pub use held_out::HeldOut;
pub use law::Law;
pub use limits::Refusal;
pub use lrs::Lrs;
pub use model::{Checked, Model, Prediction, TooLittle, check};
pub use run::{Losses, Run};
