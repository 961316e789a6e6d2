//! The final weights of a stored trial. The store does not contain them: the trial is trained again, and its
//! fingerprints must equal the stored ones. Weights from which other trials start are kept in a file next to the
//! store.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use orchestrator::Stop;
use spec::event::{Event, Final, Outcome as Ended};
use spec::trial::{InitFrom, Network, Trial};
use store::{Status, TrialRecord};
use trainer::Trained;
use trainer::data::Examples;
use trainer::device::Device;

use crate::context::WEIGHTS;
use crate::stored::{by_id, open, retrained};
use crate::{Context, Error, atomic_file, wait_for};

/// A callback for each trial that is about to be trained again.
pub type Retraining<'a> = dyn FnMut(&TrialRecord) + 'a;

/// Weights and how they were trained.
pub struct Weights {
    /// The weights, and the optimizer's state.
    pub trained: Trained,
    /// The network that was trained.
    pub network: Network,
    /// The data on which it was trained.
    pub examples: Examples,
}

/// Checks that a trial has final weights.
///
/// # Errors
/// The trial is not done.
pub fn check_done(row: &TrialRecord) -> Result<(), Error> {
    match row.status {
        Status::Done => Ok(()),
        status => {
            let (id, status) = (&row.trial_id, status.name());
            Err(Error::usage(format_args!("trial {id} has no final weights: its status is {status}")))
        }
    }
}

fn held_by_program(id: &str) -> Error {
    Error::usage(format_args!(
        "trial {id} was trained by a custom program, and only that program can export its weights"
    ))
}

/// Trains a trial again and returns its weights.
///
/// # Errors
/// The weights differ from the stored fingerprint, the trial can't be trained again, or a stop was requested.
pub fn trained_again(
    row: &TrialRecord,
    device: Device,
    context: &Context,
    stop: &Stop,
    retraining: &mut Retraining<'_>,
) -> Result<Weights, Error> {
    let again = retrained(row, context)?;
    let Some(network) = again.config.task.network().cloned() else {
        return Err(held_by_program(&row.trial_id));
    };
    provide([&again], context, stop, retraining)?;
    let examples =
        trainer::data::load(&network, context.data_dir.as_deref(), &context.tasks).map_err(Error::usage)?;
    retraining(row);
    let mut ended = None;
    let mut emit = |event| {
        if let Event::Ended { outcome, .. } = event {
            ended = Some(outcome);
        }
        !stop.requested()
    };
    let weights = trainer::train_to_weights(again, &examples, device, &mut emit)?;
    if stop.requested() {
        return Err(Error::Interrupted);
    }
    if let Some(Ended::Failed { reason }) = &ended {
        return Err(Error::failed(format_args!("can't train trial {} again: {reason}", row.trial_id)));
    }
    let (Some(trained), Some(Ended::Done(now))) = (weights, ended) else {
        return Err(differs(row, "it did not finish"));
    };
    check(row, &now)?;
    Ok(Weights { trained, network, examples })
}

/// Checks that every lr, loss and weight equals the stored one, by their fingerprints.
fn check(row: &TrialRecord, now: &Final) -> Result<(), Error> {
    let pairs = [
        ("digest", &row.digest, &Some(now.digest.clone())),
        ("hash of the final weights", &row.weights_hash, &now.weights_hash),
    ];
    for (what, stored, now) in pairs {
        if stored != now {
            let text = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "missing".to_owned());
            let (now, stored) = (text(now), text(stored));
            return Err(differs(row, &format!("its {what} is {now}, expected {stored}")));
        }
    }
    Ok(())
}

fn differs(row: &TrialRecord, how: &str) -> Error {
    let id = &row.trial_id;
    Error::failed(format_args!(
        "trial {id} gave different weights when it was trained again, so nothing was written: {how}; \
         `sweep reproduce {id}` shows the first step that differs"
    ))
}

/// The weights of a trial, for other trials to start from, and the trial. Their hash is known before their file
/// exists. An error is returned as its message.
pub(crate) fn of_trial(id: &str, context: &Context) -> Result<(InitFrom, Trial), String> {
    // On a separate thread, because the caller may already run in another async runtime.
    let found = std::thread::scope(|scope| {
        scope
            .spawn(|| weights_of(id, context))
            .join()
            .unwrap_or_else(|_| Err(Error::failed("looking up the trial panicked")))
    });
    found.map_err(|error| match error {
        Error::Usage(message) | Error::Failed(message) => message,
        _ => format!("the weights of trial {id} are not available"),
    })
}

fn weights_of(id: &str, context: &Context) -> Result<(InitFrom, Trial), Error> {
    let row = stored_trial(id, context)?;
    check_done(&row)?;
    let device = row.environment.as_ref().map_or("cpu", |environment| environment.device.as_str());
    if device != Device::Cpu.to_string() {
        return Err(Error::usage(format_args!(
            "trial {} was trained on {device} and would get different weights on this machine; export them there with `sweep export \
             weights --device {device}`, and use the file",
            row.trial_id
        )));
    }
    let again = retrained(&row, context)?;
    let (Some(_), Some(hash)) = (again.config.task.network(), row.weights_hash) else {
        return Err(held_by_program(&row.trial_id));
    };
    let file = context.kept_weights(&row.trial_id).display().to_string();
    Ok((InitFrom { trial: Some(row.trial_id), ..InitFrom::plain(file, hash) }, again))
}

fn stored_trial(id: &str, context: &Context) -> Result<TrialRecord, Error> {
    wait_for(async { by_id(&mut open(context).await?, id).await })
}

/// Makes the missing weight files from which these trials start, by training the source trials again on this thread.
///
/// # Errors
/// The errors of [`trained_again`], or a file can't be written.
pub fn provide<'a>(
    trials: impl IntoIterator<Item = &'a Trial>,
    context: &Context,
    stop: &Stop,
    retraining: &mut Retraining<'_>,
) -> Result<(), Error> {
    let mut needed = BTreeMap::new();
    for init in trials.into_iter().filter_map(|trial| trial.config.task.init_from()) {
        if let Some(id) = &init.trial {
            needed.insert(id, init);
        }
    }
    for (id, init) in needed {
        if std::fs::read(&init.file).is_ok_and(|bytes| trainer::weights::is_kept_file(&bytes, &init.blake3)) {
            continue;
        }
        let weights = trained_again(&stored_trial(id, context)?, Device::Cpu, context, stop, retraining)?;
        let bytes = trainer::weights::kept_file(&weights.trained, &init.blake3).map_err(Error::failed)?;
        write(Path::new(&init.file), &bytes)?;
    }
    Ok(())
}

/// Whether some of these trials start from the weights of a stored trial.
pub(crate) fn are_needed<'a>(mut trials: impl Iterator<Item = &'a Trial>) -> bool {
    trials.any(|trial| trial.config.task.init_from().is_some_and(|init| init.trial.is_some()))
}

/// Removes the weights that are kept for other trials in a folder of trials. They can be made again. Returns the
/// number of removed files and of freed bytes.
pub fn remove_kept(trials: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(trials).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path().join(WEIGHTS));
    files.fold((0, 0), |(files, bytes), file| {
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        match std::fs::remove_file(&file) {
            // Removes the folder too, if it is empty.
            Ok(()) => {
                let _ = file.parent().map(std::fs::remove_dir);
                (files + 1, bytes + size)
            }
            Err(_) => (files, bytes),
        }
    })
}

/// Writes a file that appears under its name only when it is complete.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| {
            Error::failed(format_args!("can't create the folder {}: {error}", dir.display()))
        })?;
    }
    let written = || {
        let mut file = atomic_file::begin(path)?;
        file.write_all(bytes)?;
        atomic_file::finish(file, path)
    };
    written().map_err(|error| Error::failed(format_args!("can't write {}: {error}", path.display())))
}
