//! What follows a fully connected layer, element by element.

use candle_core::{Result, Tensor};

use super::math::{exp, normal_below, tanh};
use super::simd::leveled;

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// max(z, 0).
    Relu,
    /// z times the share of the standard normal distribution below z (Hendrycks and Gimpel, arXiv 1606.08415):
    /// PyTorch's default, not its approximation by tanh.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The same by candle's operations.
    ///
    /// # Errors
    /// The device fails.
    pub fn anywhere(self, z: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(z.clone()),
            Self::Relu => z.relu(),
            // candle's `gelu_erf` has a gradient that is right to seven digits only.
            Self::Gelu => z * (((z * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?,
            Self::Tanh => z.tanh(),
        }
    }

    /// Whether the gradient needs the value before the activation; else the value after it is enough.
    pub fn needs_input(self) -> bool {
        self == Self::Gelu
    }

    /// Applies it in place.
    pub fn apply(self, z: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu(z),
            Self::Gelu => gelu(z),
            Self::Tanh => hyperbolic(z),
        }
    }

    /// Turns the gradient after it into that before it. `at`: the values after it, or before it where
    /// [`Activation::needs_input`].
    pub fn back(self, at: &[f32], gradient: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu_back(at, gradient),
            Self::Gelu => gelu_back(at, gradient),
            Self::Tanh => tanh_back(at, gradient),
        }
    }
}

leveled! {
fn relu(z: &mut [f32]) {
    for z in z {
        *z = if 0.0 > *z { 0.0 } else { *z };
    }
}
}

leveled! {
fn relu_back(y: &[f32], gradient: &mut [f32]) {
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient = if *y <= 0.0 { 0.0 } else { *gradient };
    }
}
}

leveled! {
fn gelu(z: &mut [f32]) {
    for z in z {
        *z *= normal_below(*z);
    }
}
}

leveled! {
fn gelu_back(z: &[f32], gradient: &mut [f32]) {
    // 1 / sqrt(2 pi).
    const DENSITY: f32 = 0.398_942_3;
    for (gradient, z) in gradient.iter_mut().zip(z) {
        *gradient *= z.mul_add(DENSITY * exp(-0.5 * z * z), normal_below(*z));
    }
}
}

leveled! {
fn hyperbolic(z: &mut [f32]) {
    for z in z {
        *z = tanh(*z);
    }
}
}

leveled! {
fn tanh_back(y: &[f32], gradient: &mut [f32]) {
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient *= y.mul_add(-*y, 1.0);
    }
}
}
