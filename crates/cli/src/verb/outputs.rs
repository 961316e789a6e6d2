//! `sweep outputs`: the folder of a trial with what its program has written to keep.

use std::path::PathBuf;

use sweep::named_trial::trial;
use sweep::stored::open;
use sweep::{outputs, wait_for};

use crate::args::{TrialArg, path};
use crate::exit::{Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub which: TrialArg,
    /// Folder of the checkpoints, as given to `run --checkpoints`; outputs are next to it
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let row = wait_for(async {
        trial(&mut open(&global.context).await?, &args.which.named(), &global.context).await
    })?;
    let folder = outputs::folder(&row, args.checkpoints.as_deref(), &global.context)?;
    print(&format!("{}\n", folder.display()))
}
