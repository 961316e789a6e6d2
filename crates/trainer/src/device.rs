//! Where to train.

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

/// Why a device can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error("this sweep was built without CUDA (build it with `cargo build --release --features cuda`)")]
    NotBuilt,
    /// The system has none that works.
    #[error("the GPU can't be used: {0}")]
    Unusable(candle_core::Error),
    /// `SWEEP_CPU` names an instruction set that is not there.
    #[error("{0}")]
    Level(String),
}

impl DeviceError {
    /// Whether the user asked for what can't be had, rather than something having failed.
    pub fn is_users_mistake(&self) -> bool {
        matches!(self, DeviceError::NotBuilt | DeviceError::Level(_))
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        })
    }
}

impl Device {
    /// Candle's handle of the device.
    ///
    /// # Errors
    /// It can't be used.
    pub fn open(self) -> Result<candle_core::Device, DeviceError> {
        match self {
            Device::Cpu => {
                crate::kernels::simd::chosen().map_err(DeviceError::Level)?;
                Ok(candle_core::Device::Cpu)
            }
            Device::Cuda if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt),
            Device::Cuda => candle_core::Device::new_cuda(0).map_err(DeviceError::Unusable),
        }
    }
}
