//! The device to train on.

use clap::ValueEnum;
use trainer::device::Device;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// CPU, one thread per worker
    Cpu,
    /// First NVIDIA GPU; needs a build with `--features cuda`
    Cuda,
}

impl From<DeviceArg> for Device {
    fn from(device: DeviceArg) -> Self {
        match device {
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Cuda => Self::Cuda,
        }
    }
}
