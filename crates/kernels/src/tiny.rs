//! Numbers that are too small to matter become 0. Arithmetic with subnormal numbers (below 1.2e-38) is up to a hundred times slower,
//! and numbers that only decay, such as moments without a gradient, end there. The rule is explicit, not the processor's mode, so all
//! instruction sets give the same bits.

/// Weights, gradients, moments and averages below this become 0. Added to any number that training notices, 1e-30 is lost in rounding,
/// and its product with an lr of 1e-8 or more is not subnormal.
pub const TINY: f32 = 1e-30;

/// Second moments below this become 0. The root of such a moment is below 1e-18: lost when added to an `eps` of 1e-11 or more.
pub const TINY_SQUARE: f32 = 1e-36;

/// Gradients below this count as 0 in second moments. The root of [`TINY_SQUARE`].
pub const TINY_ROOT: f32 = 1e-18;

/// `x`, or 0 if its magnitude is below `tiny`. NaN stays NaN.
#[inline(always)]
pub fn flushed(x: f32, tiny: f32) -> f32 {
    if x.abs() < tiny { 0.0 } else { x }
}
