//! `sweep merge SHARD...`: merges the results of other stores into this one. Merging twice, or in another order, gives the same
//! store.

use std::time::Duration;

use report::{Format, Rows};
use schedule::problem::counted;
use store::{Conflict, JoinOptions, Location, Merged, Origin, Reader, Store};
use sweep::wait_for;

use crate::args::{FormatArg, location};
use crate::exit::{Failure, Outcome, after_output, print, say};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stores to merge from: folders with a sweep.db, or servers
    #[arg(required = true, value_name = "SHARD", value_parser = location())]
    pub shards: Vec<store::Location>,
    #[command(flatten)]
    pub format: FormatArg,
}

/// Lease while merging: the longest time to read one shard.
const LEASE: Duration = Duration::from_secs(3600);

/// Most conflicts to list per shard.
const MOST_LISTED: usize = 20;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let merged = wait_for(async {
        let options = JoinOptions { lease: LEASE, workers: 0, job: None };
        let mut store = Store::join(&global.context.store, &options).await?;
        let mut all = Vec::new();
        for shard in &args.shards {
            let shard = folder(shard);
            let one = async {
                let mut reader = Reader::open(&shard).await?;
                store.merge(&mut reader).await
            };
            all.push((shard.to_string(), one.await));
        }
        store.close().await?;
        Ok::<_, Failure>(all)
    })?;
    let mut rows = Rows::new(["shard", "new", "known", "unfinished", "in_training", "conflicts"]);
    let (mut conflicts, mut unread, mut wrong_input) = (0, 0, true);
    for (shard, outcome) in &merged {
        match outcome {
            Ok(merged) => {
                conflicts += merged.conflicts.len();
                rows.rows.push(vec![
                    shard.as_str().into(),
                    merged.new.into(),
                    merged.known.into(),
                    merged.unfinished.into(),
                    merged.in_training.into(),
                    merged.conflicts.len().into(),
                ]);
                notes(shard, merged, global.quiet);
            }
            Err(error) => {
                unread += 1;
                wrong_input &= error.is_users_mistake();
                say(format_args!("{shard}: {error}"));
            }
        }
    }
    print(&rows.render(Format::from(&args.format)))?;
    match (conflicts, unread) {
        (0, 0) => Ok(()),
        (0, n) => {
            let message = format!("{} could not be read; merged the rest", counted(n, "shard"));
            Err(after_output(if wrong_input { Failure::usage(message) } else { Failure::failed(message) }))
        }
        (n, _) => Err(after_output(Failure::failed(format_args!(
            "{} differ{} from the stored one; kept the existing results; merged the rest",
            counted(n, "result"),
            if n == 1 { "s" } else { "" }
        )))),
    }
}

/// The folder of a shard, which may also be named by its database file.
fn folder(shard: &Location) -> Location {
    match shard.folder() {
        Some(path) if path.is_file() && path.file_name().is_some_and(|name| name == "sweep.db") => {
            Location::from(path.parent().unwrap_or(path))
        }
        _ => shard.clone(),
    }
}

/// Prints conflicts, and what else users should know about a shard.
fn notes(shard: &str, merged: &Merged, quiet: bool) {
    for conflict in merged.conflicts.iter().take(MOST_LISTED) {
        say(format_args!("{shard}: {}", describe(conflict)));
    }
    if merged.conflicts.len() > MOST_LISTED {
        say(format_args!("{shard}: and {} more conflicts", merged.conflicts.len() - MOST_LISTED));
    }
    if merged.in_training > 0 {
        say(format_args!(
            "{shard}: skipped {} results, because a process is training these trials (or has just died); merge again later",
            merged.in_training
        ));
    }
    if merged.respelled > 0 && !quiet {
        say(format_args!(
            "{shard}: the lrs of {} trials differ from the stored ones only beyond single precision (as 0.9 and \
             0.8999999999999999), so these are the same trials; kept the stored results",
            merged.respelled
        ));
    }
    for sweep in merged.other_files.iter().filter(|_| !quiet) {
        say(format_args!(
            "{shard}: its sweep file of `{sweep}` differs from the stored one; kept the stored file and merged the results"
        ));
    }
}

fn describe(conflict: &Conflict) -> String {
    format!(
        "trial {}: {} here, {} there",
        conflict.trial_id,
        origin(&conflict.kept),
        origin(&conflict.rejected)
    )
}

/// Describes a result and its origin in a few words.
fn origin(origin: &Origin) -> String {
    let digest: String = origin.digest.as_deref().unwrap_or("no digest").chars().take(12).collect();
    let host = origin.host.as_deref().unwrap_or("an unknown machine");
    let with = origin.environment.as_ref().map_or(String::new(), |environment| {
        format!(", sweep {} on {} ({})", environment.version, environment.device, environment.cpu)
    });
    format!("{} with digest {digest} from {host}{with}", origin.status)
}
