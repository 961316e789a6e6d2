//! Activations, applied element by element.

use crate::math::{normal, normal_below, tanh};
use crate::multiversioned;

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

/// Φ(z) and the slope of gelu at z, Φ(z) + z φ(z).
#[inline(always)]
fn gelu_parts(z: f32) -> (f32, f32) {
    // 1 / sqrt(2 pi).
    const DENSITY: f32 = 0.398_942_3;
    let (below, density) = normal(z);
    (below, z.mul_add(DENSITY * density, below))
}

multiversioned! {
/// Gelu of `z` into `y`; replaces `z` by the slope there, so that the backward pass is one product ([`multiply`]).
pub fn gelu_and_slope(z: &mut [f32], y: &mut [f32]) {
    for (z, y) in z.iter_mut().zip(y) {
        let (below, slope) = gelu_parts(*z);
        *y = *z * below;
        *z = slope;
    }
}
}

multiversioned! {
fn gelu_backward(z: &[f32], gradient: &mut [f32]) {
    for (gradient, z) in gradient.iter_mut().zip(z) {
        *gradient *= gelu_parts(*z).1;
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

multiversioned! {
/// Multiplies the gradient by slopes, in place.
pub fn multiply(slope: &[f32], gradient: &mut [f32]) {
    for (gradient, slope) in gradient.iter_mut().zip(slope) {
        *gradient *= slope;
    }
}
}
