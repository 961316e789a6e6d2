//! `sweep logs`: the output of a trial's program, all attempts in order.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::Status;
use sweep::logs;
use sweep::named_trial::trial;
use sweep::stored::open;
use sweep::wait_for;

use crate::args::{TrialArg, path, whole};
use crate::exit::{Failure, Outcome};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub which: TrialArg,
    /// Print only the last N lines
    #[arg(long, short = 'n', value_name = "N", value_parser = whole(0..=usize::MAX))]
    pub tail: Option<usize>,
    /// Keep printing new output until the trial ends
    #[arg(long, short)]
    pub follow: bool,
    /// Folder of the checkpoints, as given to `run --checkpoints`; logs are next to it
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints: Option<PathBuf>,
}

/// Pause between reads with --follow.
const READ_EVERY: Duration = Duration::from_millis(300);

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let row = wait_for(async {
        trial(&mut open(&global.context).await?, &args.which.named(), &global.context).await
    })?;
    let (mut log, path) = logs::open(&row, args.checkpoints.as_deref(), &global.context)?;
    if let Some(lines) = args.tail {
        skip(&mut log, lines).map_err(|error| unreadable(&path, &error))?;
    }
    loop {
        // Checked before the last read, so that all output is shown.
        let over = !args.follow || !is_running(&row.trial_id, global)?;
        match std::io::copy(&mut log, &mut std::io::stdout().lock()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(unreadable(&path, &error)),
            Ok(_) if over => return Ok(()),
            Ok(_) => {
                // The reader has closed stdout.
                if std::io::stdout().flush().is_err() {
                    return Ok(());
                }
                std::thread::sleep(READ_EVERY);
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format_args!("can't read {}: {error}", path.display()))
}

fn is_running(id: &str, global: &Global) -> Result<bool, Failure> {
    let row = wait_for(async { Ok::<_, Failure>(open(&global.context).await?.trial(id).await?) })?;
    Ok(row.is_some_and(|row| row.status == Status::Running))
}

/// Seeks to the start of the last lines.
fn skip(log: &mut File, lines: usize) -> std::io::Result<()> {
    const BLOCK: u64 = 64 << 10;
    let mut at = log.metadata()?.len();
    let mut wanted = lines.saturating_add(1);
    let mut last = true;
    while at > 0 {
        let size = at.min(BLOCK);
        at -= size;
        log.seek(SeekFrom::Start(at))?;
        let mut block = Vec::new();
        Read::by_ref(log).take(size).read_to_end(&mut block)?;
        // A last line without a line end counts.
        if last && block.last() != Some(&b'\n') {
            wanted -= 1;
        }
        last = false;
        for (i, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            wanted = wanted.saturating_sub(1);
            if wanted == 0 {
                return log.seek(SeekFrom::Start(at + i as u64 + 1)).map(|_| ());
            }
        }
    }
    log.seek(SeekFrom::Start(0)).map(|_| ())
}
