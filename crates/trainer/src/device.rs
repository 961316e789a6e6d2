//! The device to train on.

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

/// Why a device can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without CUDA.
    #[error("this build of sweep has no CUDA support; build it with `cargo build --release --features cuda`")]
    NotBuilt,
    /// The system has no working GPU.
    #[error("can't use the GPU: {0}")]
    Unusable(candle_core::Error),
    /// `SWEEP_CPU` names an instruction set that this processor does not have.
    #[error("{0}")]
    InstructionSet(String),
}

impl DeviceError {
    /// Whether the cause is the user's input, not a failure.
    pub fn is_users_mistake(&self) -> bool {
        matches!(self, DeviceError::NotBuilt | DeviceError::InstructionSet(_))
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
    /// The device can't be used.
    pub fn open(self) -> Result<candle_core::Device, DeviceError> {
        match self {
            Device::Cpu => {
                kernels::simd::selected_level().map_err(DeviceError::InstructionSet)?;
                Ok(candle_core::Device::Cpu)
            }
            Device::Cuda if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt),
            Device::Cuda => candle_core::Device::new_cuda(0).map_err(DeviceError::Unusable),
        }
    }
}
