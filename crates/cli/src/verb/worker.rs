//! `sweep worker`: joins the sweeps of a store and trains for them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use orchestrator::{Options, Stop, Summary};
use spec::Plan;
use store::{Reader, Store, StoreError};

use crate::args::{Global, Worker};
use crate::exit::{Failure, Outcome, say};
use crate::input::planned;
use crate::stored::{sweep, wait_for};
use crate::training;
use crate::world::Here;

pub(crate) fn run(args: &Worker, global: &Global) -> Outcome {
    let workers = args.workers.map_or_else(training::cores, |workers| workers.get());
    let options = training::options(&args.training, workers, false, global)?;
    let mut name = args.sweep.clone();
    if args.wait.is_zero() {
        name = wait_for(check(name, global))?;
    }
    let summary = wait_for(training::joined(&options, global, async |store, stop| {
        work(args, name.as_deref(), store, &options, stop, global).await
    }))?;
    if summary == Summary::default() && !global.quiet {
        say("nothing to train");
    }
    training::ended(&summary, global)
}

/// There must be something to join; nothing is made where there is not. Gives the name of the sweep that is meant, if one is.
async fn check(name: Option<String>, global: &Global) -> Result<Option<String>, Failure> {
    let mut reader = match Reader::open(&global.store).await {
        Ok(reader) => reader,
        // What else is wrong is said by who wants to write.
        Err(error @ StoreError::Missing { .. }) => return Err(error.into()),
        Err(_) => return Ok(name),
    };
    let found = sweep(&mut reader, name.as_deref(), global).await?;
    Ok(name.map(|_| found))
}

/// Trains sweep after sweep, as long as there are any.
async fn work(
    args: &Worker,
    name: Option<&str>,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Result<Summary, Failure> {
    let wait = Duration::from(args.wait);
    let mut all = Summary::default();
    // Each sweep is looked into once at least: whoever trained the last trial of a round may have died before it saw what
    // follows. What this process could not train others may; it does not come back to it.
    let (mut known, mut left) = (BTreeSet::new(), BTreeSet::new());
    let mut since = Instant::now();
    while !stop.requested() {
        let sweeps = store.sweeps().await?;
        let wanted = |known: &str| name.is_none_or(|name| name == known) && !left.contains(known);
        let next =
            sweeps.into_iter().find(|(name, _, open)| wanted(name) && (*open || !known.contains(name)));
        let Some((name, text, _)) = next else {
            if since.elapsed() >= wait {
                break;
            }
            pause(options, stop).await;
            store.sign_of_life().await?;
            continue;
        };
        known.insert(name.clone());
        let (spec, plan) = match planned(&text, &name, &Here::new(global, false)) {
            Ok(read) => read,
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                tracing::warn!("the file of the sweep `{name}` can't be used here: {}", problems.join("; "));
                left.insert(name);
                continue;
            }
        };
        if !same_trials(&plan, store).await? {
            tracing::warn!(
                "what the sweep `{name}` is made of (the files of its program or data, tasks, weights) are other ones here than \
                 where it was started; this worker leaves it alone"
            );
            left.insert(name);
            continue;
        }
        let summary = training::rounds(&spec, plan, None, store, options, stop, global).await?;
        if summary.failed > 0 || summary.stopped > 0 {
            left.insert(name);
        }
        if summary != Summary::default() {
            since = Instant::now();
        }
        all += summary;
    }
    Ok(all)
}

/// Whether the trials of a plan are those that the store has: with other files they are others, and would take their place.
async fn same_trials(plan: &Plan, store: &mut Store) -> Result<bool, Failure> {
    let rows = store.results(&plan.name).await?;
    let stored: BTreeSet<&str> = rows.iter().map(|row| row.trial_id.as_str()).collect();
    Ok(plan.trials.iter().all(|trial| stored.contains(trial.id.as_str())))
}

/// A while, and less than a lease; a stop ends it.
async fn pause(options: &Options, stop: &Stop) {
    let until = Instant::now() + (options.lease / 10).min(Duration::from_secs(2));
    while Instant::now() < until && !stop.requested() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
