//! CPU kernels on slices of `f32`: the operations of our models with their backward passes, and our own exp and log. Callers own all
//! buffers. Every kernel gives the same bits on every instruction set. This crate knows no tensors, models or optimizers.

pub mod activation;
pub mod attention;
pub mod binary_cross_entropy;
pub mod channels_last;
pub mod cross_entropy;
pub mod embedding;
pub mod latent;
pub mod layer_norm;
pub mod math;
pub mod reduce;
pub mod rms_norm;
mod rows;
pub mod simd;
pub mod softmax;
pub mod tiny;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

pub use simd::{matmul, sparse, tiles, windows};
