//! The straight way from one number to another.

/// The number at share `q` of the way from `from` to `to`, exact at both ends.
pub(crate) fn blend(from: f64, to: f64, q: f64) -> f64 {
    // The sum alone can miss `to` by a last digit.
    if q == 1.0 { to } else { from + (to - from) * q }
}
