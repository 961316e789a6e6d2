//! The operations that dominate training time, as candle operations with their own backward pass. On the CPU they run our kernels, on
//! other devices candle's operations. Models call one function per operation, which selects the implementation.

pub mod activation;
pub(crate) mod add;
pub mod attention;
pub mod binary_cross_entropy;
mod by_candle;
pub mod conv;
pub mod cross_entropy;
pub mod embedding;
pub mod latent;
pub mod layer_norm;
pub mod linear;
pub(crate) mod operation;
pub mod pool;
pub(crate) mod record;
pub mod rms_norm;
pub mod softmax;

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor};

/// Whether our kernels support this tensor: f32 on the CPU. Other devices, and f64 in tests of gradients, use candle's operations.
pub(crate) fn is_cpu_f32(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// The numbers of a contiguous f32 tensor on the CPU, from its storage.
pub(crate) fn slice_of_storage<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => Err(Error::Msg("expected a tensor on the CPU".to_owned())),
    }
}

/// The numbers of a contiguous f32 tensor, from the arguments of a CPU operation.
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
    f(slice_of_storage(&storage, layout)?)
}

#[cfg(test)]
mod tests;
