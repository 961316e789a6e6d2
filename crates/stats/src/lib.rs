//! Statistics for comparing runs. Functions take and return numbers and cite their source; this crate does
//! not depend on schedules, databases or text.

mod choose;
mod curtail;
mod e_process;
mod joint;
mod paired;
mod parabola;
pub mod random;
mod retune;
mod several;
mod sign_flip;
mod summary;
mod wilson;

pub use choose::{Choice, Losses, choice_error, cross_fit};
pub use curtail::conditional_power;
pub use e_process::{confidence_sequence, e_process, highest_e};
pub use joint::{bonferroni, joint_flips, simultaneous};
pub use paired::{Paired, detectable, paired, pairs_needed, power};
pub use parabola::{Trend, Vertex, trend, vertex};
pub use random::Normal;
pub use retune::{Retuned, retune};
pub use several::{Friedman, friedman, kendall_tau, ranks};
pub use sign_flip::{SignFlip, differences, sign_flip};
pub use summary::{Summary, summary};
pub use wilson::wilson;
