//! Options of training. No result depends on them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sweep::{Context, Options};

use super::{DeviceArg, fraction, path, whole};
use crate::exit::Failure;

/// Options of training. No result depends on them.
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    /// Largest number of lanes (trials in lock-step) in a worker; results do not depend on it
    #[arg(long, value_name = "N", default_value = "8")]
    pub lanes: NonZeroUsize,
    /// Train each trial separately from its first step, even where trials have the same lrs
    #[arg(long)]
    pub no_share: bool,
    /// Memory limit, as in 4GiB; trials that do not fit wait on disk [default: half of the free memory]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// Device to train on
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
    /// Seconds between checkpoints of a trial
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(0..=u64::MAX))]
    pub checkpoint_every: u64,
    /// Folder of the checkpoints; on a shared file system any worker can resume any trial [default: next to the database;
    /// with a server runs/checkpoints-HASH]
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints: Option<PathBuf>,
    /// Seconds without a heartbeat after which other processes take over the trials of this one
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(2..=2_592_000_u64))]
    pub lease: u64,
    /// Longest training time of a trial, as in 90s, 10m or 2h; a trial that takes longer fails
    #[arg(long, value_name = "DURATION")]
    pub time_limit: Option<humantime::Duration>,
    /// Retries of a trial that fails (by a crash or an I/O error; a divergence is a result and is not retried)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(0..=u32::MAX))]
    pub retries: u32,
    /// Fraction (0 to 1) of the finished trials to train again on another machine, to compare every bit
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction)]
    pub verify_fraction: f64,
}

impl TrainingArgs {
    /// The options as plain values. `with_failed`: also train trials again that failed in earlier runs.
    ///
    /// # Errors
    /// The device can't be used.
    pub(crate) fn options(
        &self,
        workers: usize,
        with_failed: bool,
        context: &Context,
    ) -> Result<Options, Failure> {
        let device = trainer::device::Device::from(self.device);
        if workers > 0 {
            device.open()?;
        }
        Ok(Options {
            workers,
            lanes: self.lanes,
            share: !self.no_share,
            memory: self.memory.map(|size| size.as_u64()),
            device,
            checkpoint_every: Duration::from_secs(self.checkpoint_every),
            checkpoints: context.store.checkpoints(self.checkpoints.as_deref()),
            trials: context.store.trials(self.checkpoints.as_deref()),
            lease: Duration::from_secs(self.lease),
            retries: self.retries,
            time_limit: self.time_limit.map(Into::into),
            with_failed,
            verify_fraction: self.verify_fraction,
        })
    }
}
