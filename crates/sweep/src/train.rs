//! A sweep's rounds on an open store: train what is missing, see what follows from the results, go on.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use orchestrator::{Missing, Options, Seen, Stop, Summary};
use spec::trial::Trial;
use spec::{Plan, Spec};
use store::{Joining, Store, TrialRecord};

use crate::event::{Event, Observer, Round};
use crate::{Context, Error, Shard, programs, rounds, weights};

/// How a process takes part in a sweep.
#[derive(Debug)]
pub struct Training<'a> {
    /// Where results and data are.
    pub context: &'a Context,
    /// How trials are trained.
    pub options: &'a Options,
    /// Ends training early; what has begun goes on from its checkpoint next time.
    pub stop: &'a Stop,
}

/// Trains what the store lacks of a sweep, round after round until nothing more follows from the results. Of a `shard` only its
/// part of one round.
///
/// # Errors
/// The store can't be read or written, data or programs are missing, or bits differ from those of another machine.
pub async fn run(
    training: &Training<'_>,
    sweep: (&Spec, Plan),
    shard: Option<Shard>,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    joined(training, async |store| train_rounds(training, sweep, shard, store, observe).await).await
}

/// Joins the store as a process that trains, for some work, and leaves it.
pub(crate) async fn joined<T>(
    training: &Training<'_>,
    work: impl AsyncFnOnce(&mut Store) -> Result<T, Error>,
) -> Result<T, Error> {
    let Training { context, options, stop } = training;
    let joining = Joining { lease: options.lease, workers: options.workers, job: context.job.clone() };
    let mut store = Store::join(&context.store, &joining).await?;
    store.give_up_on(stop.flag());
    let worked = work(&mut store).await;
    // Also after an error: else others would wait for this process until its lease is over.
    let closed = store.close().await;
    let worked = worked?;
    closed?;
    Ok(worked)
}

/// All rounds of a sweep, and the check of what other machines have trained.
pub(crate) async fn train_rounds(
    training: &Training<'_>,
    (spec, mut plan): (&Spec, Plan),
    shard: Option<Shard>,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    let Training { options, stop, .. } = *training;
    if shard.is_some() && (store.is_remote() || !store.others().await?.is_empty()) {
        return Err(Error::usage(
            "a shard needs a store of its own, in a folder that no other process has; `sweep merge` puts them together",
        ));
    }
    // Also where nothing is left to train: a kill may have come between the last result and the end of its files.
    orchestrator::remove_stale(store, &options.checkpoints, false).await?;
    let mut all = Summary::default();
    let mut rows = store.results(&plan.name).await?;
    loop {
        // What earlier runs of the sweep have decided is decided again from what they stored.
        plan = rounds::decide(spec, plan, &rows, &mut |decision| observe(Event::Decided(decision)))?;
        let (missing, over) = register(training, &plan, shard, store).await?;
        let is_open = plan.decisions.chosen.is_empty();
        let continues = is_open && shard.is_none();
        let round = Round {
            plan: &plan,
            missing: &missing,
            over,
            deciding: if is_open { rounds::deciding_runs(spec) } else { 0 },
            deciding_steps: if continues { rounds::deciding_steps(spec) } else { 0 },
            may_extend: continues && rounds::may_extend(spec),
            shard,
            options,
        };
        if missing.is_empty() && rounds::is_complete(&plan, &rows) {
            if all == Summary::default() {
                observe(Event::RoundStarted(&round));
                observe(Event::RoundEnded);
            }
            break;
        }
        let trained = train(training, &round, store, observe).await?;
        if shard.is_some() && ended(&trained) < missing.len() {
            return Err(Error::failed(
                "another process has trials of this shard: the same command goes on when it has ended",
            ));
        }
        all += trained;
        rows = store.results(&plan.name).await?;
        // What follows is known only when all trials have ended, whoever trained them.
        if shard.is_some() || stop.requested() || !rounds::is_complete(&plan, &rows) {
            break;
        }
    }
    if options.verify_fraction > 0.0 && shard.is_none() && !stop.requested() {
        verify(training, &plan, store, observe).await?;
    }
    Ok(all)
}

/// Writes the plan into the store. Gives the trials that are left to this process, and how many of the plan are over already.
async fn register(
    training: &Training<'_>,
    plan: &Plan,
    shard: Option<Shard>,
    store: &mut Store,
) -> Result<(Vec<Missing>, usize), Error> {
    let options = training.options;
    let mut missing = orchestrator::register(plan, store, !options.with_failed).await?;
    let over = plan.trials.len() - missing.len();
    if let Some(shard) = shard {
        shard.keep(plan, options.verify_fraction, &mut missing);
    }
    fault::point("promotion.after").map_err(Error::failed)?;
    Ok((missing, over))
}

/// The number of trials that ended, in whichever way.
fn ended(summary: &Summary) -> usize {
    let Summary { done, diverged, failed, stopped, elsewhere, .. } = summary;
    done + diverged + failed + stopped + elsewhere
}

/// One round.
async fn train(
    training: &Training<'_>,
    round: &Round<'_>,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    let Training { context, options, stop } = *training;
    let needed = round.missing.iter().map(|missing| &missing.trial).filter(|_| options.workers > 0);
    programs::check(needed.clone())?;
    provide_weights(training, needed.clone(), store, observe).await?;
    let loaded = orchestrator::load(needed, context.places())?;
    observe(Event::RoundStarted(round));
    let seen = |seen: Seen<'_>| match seen {
        Seen::Event(event) => observe(Event::Trial(event)),
        Seen::Elsewhere(ended) => observe(Event::Elsewhere(ended)),
    };
    let missing = round.missing.to_vec();
    let trained = orchestrator::train(&round.plan.name, missing, loaded, store, options, stop, seen).await;
    observe(Event::RoundEnded);
    Ok(trained?)
}

/// Trains a sample of what other machines have trained once more.
async fn verify(
    training: &Training<'_>,
    plan: &Plan,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<(), Error> {
    let Training { context, options, stop } = *training;
    if options.workers == 0 {
        return Ok(());
    }
    provide_weights(training, plan.trials.iter(), store, observe).await?;
    let loaded = Arc::new(orchestrator::load(plan.trials.iter(), context.places())?);
    let verified = orchestrator::verify(plan, &loaded, store, options, stop).await?;
    observe(Event::Verified(&verified));
    match verified.different.as_slice() {
        [] => Ok(()),
        different => Err(Error::failed(format_args!(
            "trained once more here, {} of another machine's trials have other bits: {}; don't compare what these machines \
             trained before you know why (`sweep query \"select * from verifications where same = 0\"`)",
            different.len(),
            different.join(", ")
        ))),
    }
}

/// Makes the weights that these trials begin with on a thread of its own, while this process renews its lease.
async fn provide_weights(
    training: &Training<'_>,
    trials: impl Iterator<Item = &Trial> + Clone,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<(), Error> {
    if !weights::are_needed(trials.clone()) {
        return Ok(());
    }
    let trials: Vec<Trial> = trials.cloned().collect();
    let (context, stop) = (training.context.clone(), training.stop.clone());
    let (sender, retraining) = mpsc::channel::<TrialRecord>();
    let thread = std::thread::Builder::new().name("weights".to_owned()).stack_size(orchestrator::STACK_BYTES);
    let thread = thread.spawn(move || {
        // Nobody listens any more where this process gives up.
        weights::provide(&trials, &context, &stop, &mut |row| drop(sender.send(row.clone())))
    });
    let thread = thread.map_err(|error| Error::failed(format_args!("can't start a thread: {error}")))?;
    let every = training.options.lease / 10;
    let mut due = Instant::now() + every;
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        retraining.try_iter().for_each(|row| observe(Event::Retraining(&row)));
        if Instant::now() >= due {
            store.sign_of_life().await?;
            due = Instant::now() + every;
        }
    }
    retraining.try_iter().for_each(|row| observe(Event::Retraining(&row)));
    thread
        .join()
        .unwrap_or_else(|_| Err(Error::failed("the weights to begin with could not be trained: a panic")))
}
