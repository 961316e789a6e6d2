//! Decides which schedules of a sweep are trained, by predictions from the runs of its first round. A decision that the store
//! already has is used again, so that several machines can't decide differently.

use std::collections::HashSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use spec::protocol::{AtScreen, Chosen, Screened};
use spec::screen::Screening;
use spec::{Plan, Spec};
use store::{Store, TrialRecord};

use crate::curves::{Curves, all_curves};
use crate::laws::Laws;
use crate::rounds::{Decision, is_complete, with_screened};
use crate::stored::open;
use crate::{Context, Error};

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The decision.
    pub screened: Screened,
    /// The laws in words.
    pub laws: Vec<String>,
    /// Schedules without a prediction, and the reasons.
    pub refused: Vec<(String, String)>,
}

/// The plan after the decision of its `screen`, and the decision. `None` if it was made before, or not all runs of the first round have ended.
/// Renews the lease of this process in between, which lasts for `lease`.
///
/// # Errors
/// The store can't be read, or the decision can't be trained.
pub(crate) async fn decide(
    (context, lease): (&Context, Duration),
    (spec, plan): (&Spec, &Plan),
    rows: &[TrialRecord],
    store: &mut Store,
) -> Result<Option<(Plan, Decision)>, Error> {
    let open = plan.screening.as_ref().filter(|_| plan.decisions.screened.is_none());
    let Some(screening) = open else { return Ok(None) };
    let outcome = match recorded(&plan.name, screening, store).await? {
        Some(outcome) => outcome,
        None if !is_complete(plan, rows) => return Ok(None),
        None => {
            let made = predicted((context, lease), plan, screening, rows, store).await?;
            fault::point("promotion.before").map_err(Error::failed)?;
            // Another process may have decided in the meantime.
            recorded(&plan.name, screening, store).await?.unwrap_or(made)
        }
    };
    let Outcome { screened, laws, refused } = outcome;
    let next = with_screened(spec, plan, screened.clone())?;
    Ok(Some((next, Decision::Screened { screened, laws, refused })))
}

/// The decision in the store, if it is about this file.
async fn recorded(sweep: &str, screening: &Screening, store: &mut Store) -> Result<Option<Outcome>, Error> {
    let stored = store.screened(sweep).await?.filter(|screened| screening.agrees_with(screened));
    Ok(stored.map(|screened| Outcome { screened, laws: Vec::new(), refused: Vec::new() }))
}

/// Makes the decision from the runs of the plan, on a separate thread while this one renews the lease.
async fn predicted(
    (context, lease): (&Context, Duration),
    plan: &Plan,
    screening: &Screening,
    rows: &[TrialRecord],
    store: &mut Store,
) -> Result<Outcome, Error> {
    let ids: HashSet<&str> = plan.trials.iter().map(|trial| trial.id.as_str()).collect();
    let learned: HashSet<&str> = screening.learned.iter().map(|each| each.schedule.as_str()).collect();
    let own = rows
        .iter()
        .filter(|row| learned.contains(row.schedule.as_str()) && ids.contains(row.trial_id.as_str()));
    let own: Vec<TrialRecord> = own.cloned().collect();
    let curves = all_curves(&mut open(context).await?, &own).await?;
    let screening = screening.clone();
    let thread = std::thread::Builder::new().name("laws".to_owned());
    let thread = thread.spawn(move || outcome(&screening, curves));
    let thread = thread.map_err(|error| Error::failed(format_args!("can't start a thread: {error}")))?;
    joined(thread, lease, store).await
}

/// Waits for the thread.
async fn joined(thread: JoinHandle<Outcome>, lease: Duration, store: &mut Store) -> Result<Outcome, Error> {
    let every = lease / 10;
    let mut due = Instant::now() + every;
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if Instant::now() >= due {
            store.renew_lease().await?;
            due = Instant::now() + every;
        }
    }
    thread.join().map_err(|_| Error::failed("fitting the laws of loss curves panicked"))
}

/// The decision that follows from the curves of the schedules that were learned from: the candidates with the lowest predicted losses are kept,
/// and all without a prediction.
pub fn outcome(screening: &Screening, curves: Vec<Curves>) -> Outcome {
    let laws = Laws::learn(curves);
    let (mut outcomes, mut unknown, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in &screening.candidates {
        // A stored config may have the name of another schedule with the same lrs.
        let at = |chosen: Chosen| Chosen { schedule: candidate.schedule.clone(), ..chosen };
        match laws.best(&candidate.configs) {
            Ok((config, found)) => {
                let predicted = Some(found.predicted);
                outcomes.push(AtScreen { chosen: at(Chosen::of(config)), is_kept: false, predicted });
            }
            Err(why) => {
                refused.push((candidate.schedule.clone(), why));
                let first = candidate.configs.first().map(|config| at(Chosen::of(config)));
                unknown.extend(first.map(|chosen| AtScreen { chosen, is_kept: true, predicted: None }));
            }
        }
    }
    let loss = |at: &AtScreen| at.predicted.map_or(f64::INFINITY, |predicted| predicted.loss);
    // The sort is stable: of equal losses the first one in the file is kept.
    outcomes.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let keep = usize::try_from(screening.keep).unwrap_or(usize::MAX);
    outcomes.iter_mut().take(keep).for_each(|at| at.is_kept = true);
    outcomes.append(&mut unknown);
    let learned = screening.learned.iter().filter_map(|each| Some(Chosen::of(each.configs.first()?)));
    Outcome { screened: Screened { learned: learned.collect(), outcomes }, laws: laws.described(), refused }
}
