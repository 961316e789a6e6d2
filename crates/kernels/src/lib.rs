//! CPU kernels on slices of `f32`: products, convolutions, sums, and our own exp and log. Every kernel gives the same bits on every
//! instruction set. This crate knows no tensors, models or optimizers.

pub mod channels_last;
pub mod math;
pub mod reduce;
pub mod simd;

#[cfg(test)]
mod random;

pub use simd::{matmul, sparse, tiles, windows};
