//! Activations, applied element by element.

use candle_core::{Result, Tensor};

use kernels::math::{exp, normal_below, tanh};
use kernels::multiversioned;

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// No activation.
    Identity,
    /// max(z, 0).
    Relu,
    /// z Φ(z), with the standard normal distribution function Φ (Hendrycks and Gimpel, arXiv 1606.08415): PyTorch's default, not
    /// its tanh approximation.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Applies it with candle's operations, on any device.
    ///
    /// # Errors
    /// The device fails.
    pub fn by_candle(self, z: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(z.clone()),
            Self::Relu => z.relu(),
            // The gradient of candle's `gelu_erf` has only seven correct digits.
            Self::Gelu => z * (((z * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?,
            Self::Tanh => z.tanh(),
        }
    }

    /// Whether the gradient needs the values before the activation. Otherwise it needs the values after it.
    pub fn needs_input(self) -> bool {
        self == Self::Gelu
    }

    /// Applies it in place.
    pub fn apply(self, z: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu(z),
            Self::Gelu => gelu(z),
            Self::Tanh => tanh_all(z),
        }
    }

    /// Turns the gradient after the activation into the gradient before it, in place. `at`: the values before the activation if
    /// [`Activation::needs_input`], otherwise those after it.
    pub fn backward(self, at: &[f32], gradient: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu_backward(at, gradient),
            Self::Gelu => gelu_backward(at, gradient),
            Self::Tanh => tanh_backward(at, gradient),
        }
    }
}

multiversioned! {
fn relu(z: &mut [f32]) {
    for z in z {
        *z = if 0.0 > *z { 0.0 } else { *z };
    }
}
}

multiversioned! {
fn relu_backward(y: &[f32], gradient: &mut [f32]) {
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient = if *y <= 0.0 { 0.0 } else { *gradient };
    }
}
}

multiversioned! {
fn gelu(z: &mut [f32]) {
    for z in z {
        *z *= normal_below(*z);
    }
}
}

multiversioned! {
fn gelu_backward(z: &[f32], gradient: &mut [f32]) {
    // 1 / sqrt(2 pi).
    const DENSITY: f32 = 0.398_942_3;
    for (gradient, z) in gradient.iter_mut().zip(z) {
        *gradient *= z.mul_add(DENSITY * exp(-0.5 * z * z), normal_below(*z));
    }
}
}

multiversioned! {
fn tanh_all(z: &mut [f32]) {
    for z in z {
        *z = tanh(*z);
    }
}
}

multiversioned! {
fn tanh_backward(y: &[f32], gradient: &mut [f32]) {
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient *= y.mul_add(-*y, 1.0);
    }
}
}
