//! Activations by candle's operations.

use candle_core::{Result, Tensor};

pub use kernels::activation::Activation;

/// Applies it with candle's operations, on any device.
///
/// # Errors
/// The device fails.
pub fn by_candle(activation: Activation, z: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(z.clone()),
        Activation::Relu => z.relu(),
        // The gradient of candle's `gelu_erf` has only seven correct digits.
        Activation::Gelu => z * (((z * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?,
        Activation::Tanh => z.tanh(),
    }
}
