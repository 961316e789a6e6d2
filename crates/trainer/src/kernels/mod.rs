//! The operations that training spends its time in, as candle operations with their own backward: the
//! forward on the CPU is ours, on other devices it is made of candle's operations. Each has one function
//! that models call; which device it runs on is decided there.

pub mod activation;
pub mod attention;
pub mod binary_cross_entropy;
pub mod channels_last;
pub mod conv;
pub mod cross_entropy;
pub mod embedding;
pub mod latent;
pub mod layer_norm;
pub mod linear;
pub mod math;
pub mod pool;
pub mod reduce;
pub mod rms_norm;
pub mod simd;
pub mod softmax;

pub use simd::{matmul, sparse, tiles, windows};

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor};

/// Whether our own kernels take this tensor: f32 on the CPU. Other devices, and f64 in the tests that check
/// gradients, go through candle's operations.
pub(crate) fn is_ours(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// The numbers of a contiguous f32 tensor on the CPU, as an operation gets them.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(Error::RequiresContiguous { op: "sweep kernel" });
    };
    match storage.as_slice::<f32>()?.get(start..end) {
        Some(slice) => Ok(slice),
        None => Err(Error::Msg("a tensor's layout exceeds its storage".to_owned())),
    }
}

/// Calls `f` with the numbers of a contiguous f32 tensor on the CPU.
pub(crate) fn with_slice<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => Err(Error::Msg("a tensor on the CPU was expected".to_owned())),
    }
}

#[cfg(test)]
mod tests;
