//! How trials are trained.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sweep::{Context, Options};

use super::{DeviceArg, path, share, whole};
use crate::exit::Failure;

/// How trials are trained. No result depends on it.
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    /// Trials that a thread trains in lock-step, at most; no result depends on it
    #[arg(long, value_name = "N", default_value = "8")]
    pub lanes: NonZeroUsize,
    /// Train each trial from its first step: share no steps between trials whose lrs agree so far
    #[arg(long)]
    pub no_share: bool,
    /// Memory that training may take, as in 4GiB; what it does not hold waits on disk [default: half of
    /// what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// Where to train
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
    /// Seconds between the checkpoints of a trial
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(0..=u64::MAX))]
    pub checkpoint_every: u64,
    /// Folder of the checkpoints; on a file system that all workers see, one goes on where another stopped [default:
    /// beside the database; with a server runs/checkpoints-HASH]
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints: Option<PathBuf>,
    /// Seconds without a sign of life after which other processes take this one for dead, and take its trials over
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(2..=2_592_000_u64))]
    pub lease: u64,
    /// A trial that takes longer than this for its own training fails, as in 90s, 10m or 2h
    #[arg(long, value_name = "DURATION")]
    pub time_limit: Option<humantime::Duration>,
    /// How often a trial that failed (a crash, an I/O error; never a divergence) is tried again
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(0..=u32::MAX))]
    pub retries: u32,
    /// Train this share of the finished trials, 0 to 1, once more on another machine than the one that trained them, and
    /// compare every bit
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub verify_fraction: f64,
}

impl TrainingArgs {
    /// The same as plain values. `with_failed`: trials that failed before are tried again, since a person has just asked for the
    /// sweep.
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
