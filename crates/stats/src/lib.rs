//! Statistics for comparing runs: numbers in, numbers out. Each function cites its source; nothing here
//! knows of schedules, databases or text.

mod holm;
mod sign_flip;
mod summary;

pub use holm::holm;
pub use sign_flip::{SignFlip, sign_flip};
pub use summary::{Summary, summary};
