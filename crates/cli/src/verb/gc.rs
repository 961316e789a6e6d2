//! `sweep gc`: removes files that no run needs from the folder of a store.

use std::path::PathBuf;

use store::Store;
use sweep::stored::open;
use sweep::{wait_for, weights};

use crate::args::path;
use crate::exit::{Failure, Outcome, say};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also remove the checkpoints of unfinished trials, which then start over
    #[arg(long)]
    pub checkpoints: bool,
    /// Folder of the checkpoints, as given to `run --checkpoints`
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints_in: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    // An error if there is no store: `Store::open` would create it.
    wait_for(open(&global.context))?;
    let (files, bytes, dropped) = wait_for(async {
        let mut store = Store::open(&global.context.store).await?;
        let dropped = if args.checkpoints { store.drop_checkpoints().await? } else { 0 };
        let dir = global.context.store.checkpoints(args.checkpoints_in.as_deref());
        let (files, bytes) = orchestrator::remove_stale(&mut store, &dir, true).await?;
        let trials = global.context.store.trials(args.checkpoints_in.as_deref());
        let of_programs = orchestrator::remove_program_checkpoints(&mut store, &trials).await?;
        let unknown = orchestrator::remove_unknown_trials(&mut store, &trials).await?;
        let kept =
            if store.other_runners().await?.is_empty() { weights::remove_kept(&trials) } else { (0, 0) };
        let files = files + of_programs.0 + unknown.0 + kept.0;
        let bytes = bytes + of_programs.1 + unknown.1 + kept.1;
        let (database, freed) = store.compact().await?;
        store.close().await?;
        Ok::<_, Failure>((files + database, bytes + freed, dropped))
    })?;
    if !global.quiet {
        let size = bytesize::ByteSize::b(bytes).display().iec();
        say(format_args!("removed {files} files, {size} freed"));
        if dropped > 0 {
            say(format_args!("{dropped} unfinished trials will start over"));
        }
    }
    Ok(())
}
