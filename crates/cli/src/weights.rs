//! The final weights of a stored trial. They are not stored: the trial is trained again, and its fingerprints must be the
//! stored ones. Those that others begin with are kept in a file beside the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use orchestrator::Stop;
use spec::event::{Event, Final, Outcome as Ended};
use spec::trial::{InitFrom, Network, Trial};
use store::{Status, TrialRecord};
use trainer::Trained;
use trainer::data::Examples;
use trainer::device::Device;

use crate::args::{Global, Which};
use crate::exit::{Failure, Outcome, say};
use crate::output::Output;
use crate::stored::{open, retrained, title, trial, wait_for};

/// File name within the folder of a trial.
const KEPT: &str = "weights.safetensors";

/// Weights, and what they were trained on.
pub(crate) struct Weights {
    pub trained: Trained,
    pub network: Network,
    pub examples: Examples,
}

/// Whether a trial has weights that can be had.
pub(crate) fn check_done(row: &TrialRecord) -> Outcome {
    match row.status {
        Status::Done => Ok(()),
        status => {
            let (id, status) = (&row.trial_id, status.name());
            Err(Failure::usage(format_args!("the trial {id} has no final weights: it is {status}")))
        }
    }
}

fn its_programs(id: &str) -> Failure {
    Failure::usage(format_args!(
        "the weights of the trial {id} are its program's: only that can write them down"
    ))
}

/// Trains a trial again, until a stop, and gives its weights, if they are those that were stored.
pub(crate) fn trained_again(
    row: &TrialRecord,
    device: Device,
    global: &Global,
    stop: &Stop,
) -> Result<Weights, Failure> {
    let again = retrained(row, global)?;
    let Some(network) = again.config.task.network().cloned() else {
        return Err(its_programs(&row.trial_id));
    };
    provide([&again], global, stop)?;
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
        !stop.requested()
    };
    let weights = trainer::train_to_weights(again, &examples, device, &mut emit)?;
    if stop.requested() {
        return Err(Failure::Interrupted);
    }
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
fn check(row: &TrialRecord, now: &Final) -> Outcome {
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

fn differs(row: &TrialRecord, how: &str) -> Failure {
    let id = &row.trial_id;
    Failure::failed(format_args!(
        "trained again the trial {id} gives other weights than those that were stored, and nothing is written: {how}; \
         `sweep reproduce {id}` names the first step that differs"
    ))
}

/// The weights of a trial for others to begin with, and the trial. What they are is known before their file is there. Why there
/// are none is said in words.
pub(crate) fn of_trial(id: &str, global: &Global) -> Result<(InitFrom, Trial), String> {
    // On a thread of its own: the caller may be in the middle of what another runtime waits for.
    let found = std::thread::scope(|scope| {
        scope.spawn(|| known(id, global)).join().unwrap_or_else(|_| Err(Failure::failed("a panic")))
    });
    found.map_err(|failure| match failure {
        Failure::Usage(words) | Failure::Failed(words) => words,
        _ => format!("the weights of the trial {id} can't be had"),
    })
}

fn known(id: &str, global: &Global) -> Result<(InitFrom, Trial), Failure> {
    let row = stored_trial(id, global)?;
    check_done(&row)?;
    let device = row.environment.as_ref().map_or("cpu", |environment| environment.device.as_str());
    if device != Device::Cpu.to_string() {
        return Err(Failure::usage(format_args!(
            "the trial {} was trained on {device}, and here it would get other weights: write them there by `sweep export \
             weights --device {device}`, and name the file",
            row.trial_id
        )));
    }
    let again = retrained(&row, global)?;
    let (Some(_), Some(hash)) = (again.config.task.network(), row.weights_hash) else {
        return Err(its_programs(&row.trial_id));
    };
    let file = kept_file(&row.trial_id, global).display().to_string();
    Ok((InitFrom { trial: Some(row.trial_id), ..InitFrom::plain(file, hash) }, again))
}

fn stored_trial(id: &str, global: &Global) -> Result<TrialRecord, Failure> {
    let which = Which { trial: id.to_owned(), sweep: None };
    wait_for(async { trial(&mut open(global).await?, &which, global).await })
}

/// Where the weights of a trial are kept for others.
pub(crate) fn kept_file(id: &str, global: &Global) -> PathBuf {
    global.store.trials(None).join(id).join(KEPT)
}

/// Makes the files of weights that trials begin with, where they are not there: the trials that are named are trained again, on
/// this thread. A stop ends it.
pub(crate) fn provide<'a>(
    trials: impl IntoIterator<Item = &'a Trial>,
    global: &Global,
    stop: &Stop,
) -> Outcome {
    let mut needed = BTreeMap::new();
    for init in trials.into_iter().filter_map(|trial| trial.config.task.init_from()) {
        if let Some(id) = &init.trial {
            needed.insert(id, init);
        }
    }
    for (id, init) in needed {
        if std::fs::read(&init.file).is_ok_and(|bytes| trainer::weights::is_kept(&bytes, &init.blake3)) {
            continue;
        }
        let weights = trained_again(&stored_trial(id, global)?, Device::Cpu, global, stop)?;
        let bytes = trainer::weights::kept(&weights.trained, &init.blake3).map_err(Failure::failed)?;
        write(Path::new(&init.file), &bytes)?;
    }
    Ok(())
}

/// Whether some of these trials begin with the weights of another one.
pub(crate) fn are_needed<'a>(mut trials: impl Iterator<Item = &'a Trial>) -> bool {
    trials.any(|trial| trial.config.task.init_from().is_some_and(|init| init.trial.is_some()))
}

/// Removes the weights that are kept for others in a folder of trials; they can be made again. Gives how many files and bytes
/// went.
pub(crate) fn remove_kept(trials: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(trials).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path().join(KEPT));
    files.fold((0, 0), |(files, bytes), file| {
        let size = std::fs::metadata(&file).map_or(0, |about| about.len());
        match std::fs::remove_file(&file) {
            // The folder goes too, where nothing else is in it.
            Ok(()) => {
                let _ = file.parent().map(std::fs::remove_dir);
                (files + 1, bytes + size)
            }
            Err(_) => (files, bytes),
        }
    })
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| {
            Failure::failed(format_args!("can't make the folder {}: {error}", dir.display()))
        })?;
    }
    Output::file(path)?.write_whole(bytes)
}
