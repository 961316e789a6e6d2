//! The final weights of a stored trial. They are not stored: the trial is trained again, and its fingerprints must be the
//! stored ones.

use std::path::Path;

use spec::event::{Event, Final, Outcome as Ended};
use spec::trial::{InitFrom, Network};
use store::{Status, TrialRow};
use trainer::Trained;
use trainer::data::Examples;
use trainer::device::Device;

use crate::args::{Global, Which};
use crate::exit::{Failure, Outcome, say};
use crate::output::Output;
use crate::stored::{open, retrained, title, trial, wait_for};

/// Weights, and what they were trained on.
pub(crate) struct Weights {
    pub trained: Trained,
    pub network: Network,
    pub examples: Examples,
}

/// Whether a trial has weights that can be had.
pub(crate) fn check_done(row: &TrialRow) -> Outcome {
    match row.status {
        Status::Done => Ok(()),
        status => {
            let (id, status) = (&row.trial_id, status.name());
            Err(Failure::usage(format_args!("the trial {id} has no final weights: it is {status}")))
        }
    }
}

/// Trains a trial again and gives its weights, if they are those that were stored.
pub(crate) fn trained_again(row: &TrialRow, device: Device, global: &Global) -> Result<Weights, Failure> {
    let again = retrained(row)?;
    let Some(network) = again.config.task.network().cloned() else {
        return Err(Failure::usage(format_args!(
            "the weights of the trial {} are its program's: only that can write them down",
            row.trial_id
        )));
    };
    let examples =
        trainer::data::load(&network, global.data_dir.as_deref(), &global.tasks).map_err(Failure::usage)?;
    if !global.quiet {
        say(format_args!("training again: {}", title(row)));
    }
    let mut ended = None;
    let mut emit = |event| {
        if let Event::Ended { outcome, .. } = event {
            ended = Some(outcome);
        }
        true
    };
    let weights = trainer::train_to_weights(again, &examples, device, &mut emit)?;
    if let Some(Ended::Failed { reason }) = &ended {
        return Err(Failure::failed(format_args!(
            "the trial {} can't be trained again: {reason}",
            row.trial_id
        )));
    }
    let (Some(trained), Some(Ended::Done(now))) = (weights, ended) else {
        return Err(differs(row, "it did not come to its end"));
    };
    check(row, &now)?;
    Ok(Weights { trained, network, examples })
}

/// Every lr, every loss and every weight must be as stored.
fn check(row: &TrialRow, now: &Final) -> Outcome {
    let pairs = [
        ("digest", &row.digest, &Some(now.digest.clone())),
        ("hash of the final weights", &row.weights_hash, &now.weights_hash),
    ];
    for (what, stored, now) in pairs {
        if stored != now {
            let text = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "missing".to_owned());
            let (now, stored) = (text(now), text(stored));
            return Err(differs(row, &format!("its {what} is {now}, the stored one is {stored}")));
        }
    }
    Ok(())
}

fn differs(row: &TrialRow, how: &str) -> Failure {
    let id = &row.trial_id;
    Failure::failed(format_args!(
        "trained again the trial {id} gives other weights than those that were stored, and nothing is written: {how}; \
         `sweep reproduce {id}` names the first step that differs"
    ))
}

/// The weights of a trial for others to begin with: a file beside the store, which is made if it is not there. Why there is
/// none is said in words.
pub(crate) fn of_trial(id: &str, global: &Global) -> Result<InitFrom, String> {
    // On a thread of its own: the caller may be in the middle of what another runtime waits for.
    let found = std::thread::scope(|scope| {
        scope.spawn(|| file_of(id, global)).join().unwrap_or_else(|_| Err(Failure::failed("a panic")))
    });
    found.map_err(|failure| match failure {
        Failure::Usage(words) | Failure::Failed(words) => words,
        _ => format!("the weights of the trial {id} can't be had"),
    })
}

fn file_of(id: &str, global: &Global) -> Result<InitFrom, Failure> {
    let which = Which { trial: id.to_owned(), sweep: None };
    let row = wait_for(async { trial(&mut open(global).await?, &which, global).await })?;
    check_done(&row)?;
    let device = row.environment.as_ref().map_or("cpu", |environment| environment.device.as_str());
    if device != Device::Cpu.to_string() {
        return Err(Failure::usage(format_args!(
            "the trial {} was trained on {device}, and here it would get other weights: write them there by `sweep export \
             weights --device {device}`, and name the file",
            row.trial_id
        )));
    }
    let path = global.store.trials(None).join(&row.trial_id).join("weights.safetensors");
    let kept = std::fs::read(&path).ok().filter(|bytes| is_of(bytes, &row));
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            let weights = trained_again(&row, Device::Cpu, global)?;
            let bytes = trainer::weights::safetensors(&weights.trained, true, []).map_err(Failure::failed)?;
            write(&path, &bytes)?;
            bytes
        }
    };
    let (file, blake3) = (path.display().to_string(), blake3::hash(&bytes).to_hex().to_string());
    Ok(InitFrom::plain(file, blake3))
}

/// Whether a file holds the weights of this trial.
fn is_of(bytes: &[u8], row: &TrialRow) -> bool {
    let Ok(again) = retrained(row) else { return false };
    let hash = again.config.task.network().and_then(|network| trainer::weights::hash(bytes, network).ok());
    hash.is_some() && hash == row.weights_hash
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| {
            Failure::failed(format_args!("can't make the folder {}: {error}", dir.display()))
        })?;
    }
    Output::file(path)?.write_whole(bytes)
}
