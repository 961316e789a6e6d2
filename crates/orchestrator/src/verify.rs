//! Trains a sample of the trials of other machines again and compares every bit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spec::Plan;
use spec::event::{Event, Outcome};
use store::Store;
use trainer::Stop;

use crate::{Loaded, Options, SweepError, environment, train_single};

/// How often this process renews its lease.
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Number of trials with the same bits on this machine.
    pub same: usize,
    /// All trials of the sweep with different bits, including those found earlier.
    pub different: Vec<String>,
}

/// Trains the unverified part of the sample of a finished sweep, one trial after the other, except trials of this
/// machine.
///
/// # Errors
/// See [`SweepError`].
pub async fn verify(
    plan: &Plan,
    loaded: &Arc<Loaded>,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
) -> Result<Verified, SweepError> {
    let trials: HashMap<&str, _> = plan.trials.iter().map(|trial| (trial.id.as_str(), trial)).collect();
    let environment = store.environment(&environment(options)).await?;
    let mut verified = Verified::default();
    while !stop.requested() {
        let share = options.verify_fraction;
        let wanted = store.claim_verification(&plan.name, share, environment, trainer::BITS).await?;
        let Some(wanted) = wanted else { break };
        let Some(trial) = trials.get(wanted.trial_id.as_str()) else { break };
        let (trial, device) = ((*trial).clone(), options.device);
        let (loaded, stopped) = (Arc::clone(loaded), stop.clone());
        let stopping = stop.clone();
        let (sender, mut ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().stack_size(crate::worker::STACK_BYTES);
        let started = thread.spawn(move || {
            let mut last = None;
            let mut emit = |event| {
                if let Event::Ended { outcome, .. } = event {
                    last = Some(outcome);
                }
                !stopped.requested()
            };
            let trained = train_single(&trial, &loaded, device, &stopping, &mut emit);
            // The receiver is gone only when this process ends.
            let _ = sender.send(trained.map(|()| last));
        });
        started.map_err(SweepError::Thread)?;
        let trained = loop {
            tokio::select! {
                trained = &mut ended => break trained,
                () = tokio::time::sleep(RENEW_EVERY) => store.renew_lease().await?,
            }
        };
        let found = match trained {
            Ok(Ok(Some(Outcome::Done(done)))) => (done.digest, done.weights_hash),
            Ok(Ok(Some(Outcome::Diverged { digest, .. }))) => (digest, None),
            Ok(Err(error)) => return Err(error),
            // The training was stopped or failed, so there is nothing to compare.
            _ => break,
        };
        let same = wanted.digest.as_ref() == Some(&found.0) && wanted.weights_hash == found.1;
        store.record_verification(&wanted.trial_id, same, &found.0, found.1.as_deref()).await?;
        verified.same += usize::from(same);
    }
    verified.different = store.differing_trials(&plan.name).await?;
    Ok(verified)
}
