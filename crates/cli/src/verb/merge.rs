//! `sweep merge SHARD...`: puts the results of other stores into this one. Merging twice, or in another order, gives the same.

use std::time::Duration;

use report::{Format, Rows};
use schedule::problem::counted;
use store::{Conflict, Joining, Location, Merged, Origin, Reader, Store};
use sweep::wait_for;

use crate::args::{FormatArg, location};
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stores to take results from: folders with a sweep.db, or servers
    #[arg(required = true, value_name = "SHARD", value_parser = location())]
    pub shards: Vec<store::Location>,
    #[command(flatten)]
    pub format: FormatArg,
}

/// So long it may take to look through one shard.
const LONGEST: Duration = Duration::from_secs(3600);

/// Conflicts that are told of one shard.
const MOST: usize = 20;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let merged = wait_for(async {
        let joining = Joining { lease: LONGEST, workers: 0, job: None };
        let mut store = Store::join(&global.context.store, &joining).await?;
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
    let (mut conflicts, mut unread, mut mistake) = (0, 0, true);
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
                tell(shard, merged, global.quiet);
            }
            Err(error) => {
                unread += 1;
                mistake &= error.is_users_mistake();
                say(format_args!("{shard}: {error}"));
            }
        }
    }
    print(&rows.render(Format::from(&args.format)))?;
    match (conflicts, unread) {
        (0, 0) => Ok(()),
        (0, n) => {
            let message = format!("{} could not be read; all others are merged", counted(n, "shard"));
            Err(if mistake { Failure::usage(message) } else { Failure::failed(message) })
        }
        (n, _) => Err(Failure::failed(format_args!(
            "{} differ{} from the one that is stored; those that were there stay, all others are merged",
            counted(n, "result"),
            if n == 1 { "s" } else { "" }
        ))),
    }
}

/// A shard that is named by its database file is the folder that this lies in.
fn folder(shard: &Location) -> Location {
    match shard.folder() {
        Some(path) if path.is_file() && path.file_name().is_some_and(|name| name == "sweep.db") => {
            Location::from(path.parent().unwrap_or(path))
        }
        _ => shard.clone(),
    }
}

/// What people should know of a shard.
fn tell(shard: &str, merged: &Merged, quiet: bool) {
    for conflict in merged.conflicts.iter().take(MOST) {
        say(format_args!("{shard}: {}", words(conflict)));
    }
    if merged.conflicts.len() > MOST {
        say(format_args!("{shard}: and {} more conflicts", merged.conflicts.len() - MOST));
    }
    if merged.in_training > 0 {
        say(format_args!(
            "{shard}: {} results are left to a process that trains these trials now, or had died a moment ago; merge again later",
            merged.in_training
        ));
    }
    if merged.respelled > 0 && !quiet {
        say(format_args!(
            "{shard}: the lrs of {} trials differ from those stored here only beyond single precision, as 0.9 from \
             0.8999999999999999: they are the same trials, and keep the results stored here",
            merged.respelled
        ));
    }
    for sweep in merged.other_files.iter().filter(|_| !quiet) {
        say(format_args!(
            "{shard}: its file of the sweep `{sweep}` differs from the one that is stored, which stays; its results are merged"
        ));
    }
}

fn words(conflict: &Conflict) -> String {
    format!("trial {}: {} here, {} there", conflict.trial_id, origin(&conflict.here), origin(&conflict.there))
}

/// A result in a few words, with where it comes from.
fn origin(origin: &Origin) -> String {
    let digest: String = origin.digest.as_deref().unwrap_or("no digest").chars().take(12).collect();
    let host = origin.host.as_deref().unwrap_or("a machine of unknown name");
    let with = origin.environment.as_ref().map_or(String::new(), |environment| {
        format!(", sweep {} on {} ({})", environment.version, environment.device, environment.cpu)
    });
    format!("{} with digest {digest} from {host}{with}", origin.status)
}
