//! Linear interpolation.

/// The number at fraction `q` of the way from `from` to `to`, exact at both ends.
pub(crate) fn blend(from: f64, to: f64, q: f64) -> f64 {
    // Without this case rounding could miss `to` by the last digit.
    if q == 1.0 { to } else { from + (to - from) * q }
}
