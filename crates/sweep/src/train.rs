//! Trains the rounds of a sweep: trains the missing trials, decides what follows from the results, and continues with
//! the next round.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use orchestrator::{Missing, Observation, Options, Stop, Summary, Work};
use schedule::problem::counted;
use spec::plan::Cell;
use spec::trial::Trial;
use spec::{Plan, Spec};
use store::{JoinOptions, Store, TrialRecord};

use crate::event::{Event, Observer, Round};
use crate::results::Values;
use crate::{Context, Error, Shard, looks, programs, rounds, screening, weights};

/// How this process trains.
#[derive(Debug)]
pub struct Training<'a> {
    /// Where results and data are.
    pub context: &'a Context,
    /// The options of training.
    pub options: &'a Options,
    /// Ends training early. The next run resumes trials from their checkpoints.
    pub stop: &'a Stop,
}

/// Trains the trials of a sweep that the store lacks, round after round until the results lead to no new decision.
/// For a `shard`, trains only its part of one round.
///
/// # Errors
/// The store can't be read or written, data or programs are missing, or verified trials have different bits.
pub async fn run(
    training: &Training<'_>,
    sweep: (&Spec, Plan),
    shard: Option<Shard>,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    with_store(training, async |store| train_rounds(training, sweep, shard, store, observe).await).await
}

/// Joins the store as a process that trains, runs `work`, and leaves the store.
pub(crate) async fn with_store<T>(
    training: &Training<'_>,
    work: impl AsyncFnOnce(&mut Store) -> Result<T, Error>,
) -> Result<T, Error> {
    let Training { context, options, stop } = training;
    let options = JoinOptions { lease: options.lease, workers: options.workers, job: context.job.clone() };
    let mut store = Store::join(&context.store, &options).await?;
    store.set_stop_flag(stop.flag());
    let worked = work(&mut store).await;
    // Also after an error, or other processes would wait until the lease of this process ends.
    let closed = store.close().await;
    let worked = worked?;
    closed?;
    Ok(worked)
}

/// Trains all rounds of a sweep, and verifies trials of other machines.
pub(crate) async fn train_rounds(
    training: &Training<'_>,
    (spec, mut plan): (&Spec, Plan),
    shard: Option<Shard>,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    let Training { options, stop, .. } = *training;
    if shard.is_some() && (store.is_remote() || !store.other_runners().await?.is_empty()) {
        return Err(Error::usage(
            "a shard needs its own store, in a folder that no other process uses; `sweep merge` combines the shards",
        ));
    }
    // Also if nothing is left to train: a process may have been killed after its last result but before it removed
    // its files.
    orchestrator::remove_stale(store, &options.checkpoints, false).await?;
    let mut all = Summary::default();
    let mut is_checked = false;
    let mut rows = store.results(&plan.name).await?;
    looks::check_unchanged(spec, &rows, store).await?;
    loop {
        let values = values(spec, store).await?;
        plan = screened(training, (spec, plan), &rows, store, observe).await?;
        // The decisions of earlier runs of this sweep are made again from the stored results.
        plan =
            rounds::decide(spec, plan, (&rows, &values), &mut |decision| observe(Event::Decided(decision)))?;
        let (missing, ended) = register(training, &plan, shard, store).await?;
        let continues = shard.is_none();
        let later = rounds::later(spec, &plan);
        let round = Round {
            plan: &plan,
            missing: &missing,
            ended,
            later,
            deciding_steps: if continues { later.steps } else { 0 },
            may_extend: continues && rounds::may_extend_now(spec, &plan.decisions),
            shard,
            options,
        };
        // Once: a check whose run fails has no result, and must not be tried forever.
        let check = trial_to_check(&round).filter(|_| !is_checked);
        is_checked |= check.is_some();
        if missing.is_empty() && check.is_none() && rounds::is_complete(&plan, &rows) {
            if all == Summary::default() {
                observe(Event::RoundStarted(&round));
                observe(Event::RoundEnded);
            }
            break;
        }
        let trained = train(training, &round, check, store, observe).await?;
        if shard.is_some() && accounted_for(&trained) < missing.len() {
            return Err(Error::failed(
                "another process is training trials of this shard; run the same command again after it has ended",
            ));
        }
        all += trained;
        rows.truncate(final_rows(&plan, &rows));
        let new = store.results_from(&plan.name, rows.len()).await?;
        rows.extend(new);
        // The next round is known only when all trials have ended, whoever trained them.
        if shard.is_some() || stop.requested() || !rounds::is_complete(&plan, &rows) {
            break;
        }
    }
    if options.verify_fraction > 0.0 && shard.is_none() && !stop.requested() {
        verify(training, &plan, store, observe).await?;
    }
    Ok(all)
}

/// Number of rows at the start of `rows` that are those of the plan and can't change any more: the runs of a search are many, and each of its
/// rounds adds few.
fn final_rows(plan: &Plan, rows: &[TrialRecord]) -> usize {
    let is_final = |(row, cell): &(&TrialRecord, &Cell)| {
        row.is_over()
            && row.schedule == cell.schedule
            && row.purpose == cell.purpose
            && plan.trials.get(cell.trial).is_some_and(|trial| trial.id == row.trial_id)
    };
    rows.iter().zip(&plan.cells).take_while(is_final).count()
}

/// The plan with the schedules that predictions have chosen, if it is time for that.
async fn screened(
    training: &Training<'_>,
    (spec, plan): (&Spec, Plan),
    rows: &[TrialRecord],
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<Plan, Error> {
    let of = (training.context, training.options.lease);
    let Some((next, decision)) = screening::decide(of, (spec, &plan), rows, store).await? else {
        return Ok(plan);
    };
    observe(Event::Decided(&decision));
    Ok(next)
}

/// The values of the sweep's metric.
async fn values(spec: &Spec, store: &mut Store) -> Result<Values, Error> {
    Ok(Values::read(spec.metric.clone(), async |wanted| store.values(&spec.name, wanted).await).await?)
}

/// The trial with which this process checks that sharing steps does not change the results of a program, and the first step that
/// it does not share.
fn trial_to_check(round: &Round<'_>) -> Option<(Trial, u64)> {
    let Round { plan, missing, shard, options, .. } = *round;
    if options.workers == 0 || !options.share {
        return None;
    }
    let trials: Vec<&Trial> = match shard {
        None => plan.trials.iter().collect(),
        Some(_) => missing.iter().map(|missing| &missing.trial).collect(),
    };
    let (trial, first) = orchestrator::trial_to_check(&trials, &options.trials)?;
    Some((trial.clone(), first))
}

/// Writes the plan into the store. Returns the trials for this process, and the number of trials of the plan that
/// have ended.
async fn register(
    training: &Training<'_>,
    plan: &Plan,
    shard: Option<Shard>,
    store: &mut Store,
) -> Result<(Vec<Missing>, usize), Error> {
    let options = training.options;
    let mut missing = orchestrator::register(plan, store, !options.with_failed).await?;
    let ended = plan.trials.len() - missing.len();
    if let Some(shard) = shard {
        shard.keep(plan, options.verify_fraction, &mut missing);
    }
    fault::point("promotion.after").map_err(Error::failed)?;
    Ok((missing, ended))
}

/// Number of trials that are accounted for, including stopped ones.
fn accounted_for(summary: &Summary) -> usize {
    let Summary { done, diverged, failed, stopped, elsewhere, not_started } = summary;
    done + diverged + failed + stopped + elsewhere + not_started
}

/// Trains one round.
async fn train(
    training: &Training<'_>,
    round: &Round<'_>,
    check: Option<(Trial, u64)>,
    store: &mut Store,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    let Training { context, options, stop } = *training;
    let needed = round.missing.iter().map(|missing| &missing.trial).filter(|_| options.workers > 0);
    programs::check(needed.clone())?;
    provide_weights(training, needed.clone(), store, observe).await?;
    let loaded = orchestrator::load(needed, context.data_sources())?;
    observe(Event::RoundStarted(round));
    let seen = |seen: Observation<'_>| match seen {
        Observation::Event(event) => observe(Event::Trial(event)),
        Observation::EndedElsewhere(ended) => observe(Event::EndedElsewhere(ended)),
        Observation::SharingChecked(checked) => observe(Event::SharingChecked(checked)),
    };
    let work = Work { missing: round.missing.to_vec(), loaded, check };
    let trained = orchestrator::train(&round.plan.name, work, store, options, stop, seen).await;
    observe(Event::RoundEnded);
    Ok(trained?)
}

/// Trains a sample of the trials of other machines again and compares the bits.
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
    let loaded = Arc::new(orchestrator::load(plan.trials.iter(), context.data_sources())?);
    let verified = orchestrator::verify(plan, &loaded, store, options, stop).await?;
    observe(Event::Verified(&verified));
    match verified.different.as_slice() {
        [] => Ok(()),
        different => Err(Error::failed(format_args!(
            "{} of other machines gave different bits when trained again on this machine: {}; do not compare results of these \
             machines before you know why (`sweep query \"select * from verifications where same = 0\"`)",
            counted(different.len(), "trial"),
            different.join(", ")
        ))),
    }
}

/// Makes the weights that these trials start from, on a separate thread while this one renews the lease.
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
        // The receiver is gone if this process gives up.
        weights::provide(&trials, &context, &stop, &mut |row| drop(sender.send(row.clone())))
    });
    let thread = thread.map_err(|error| Error::failed(format_args!("can't start a thread: {error}")))?;
    let every = training.options.lease / 10;
    let mut due = Instant::now() + every;
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        retraining.try_iter().for_each(|row| observe(Event::Retraining(&row)));
        if Instant::now() >= due {
            store.renew_lease().await?;
            due = Instant::now() + every;
        }
    }
    retraining.try_iter().for_each(|row| observe(Event::Retraining(&row)));
    thread.join().unwrap_or_else(|_| Err(Error::failed("training the initial weights panicked")))
}
