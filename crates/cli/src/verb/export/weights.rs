//! `sweep export weights`: the final weights of a stored trial. They are not stored: the trial is trained again,
//! and its fingerprints must be the stored ones.

use spec::event::{Event, Final, Outcome as Ended};
use spec::trial::Network;
use store::{Status, TrialRow};
use trainer::data::Images;
use trainer::device::Device;

use crate::args::{ExportWeights, Global};
use crate::exit::{Failure, Outcome, say};
use crate::output::Output;
use crate::stored::{open, retrained, trial, wait_for};
use crate::verb::reproduce::{images, title};

pub(crate) fn run(args: &ExportWeights, global: &Global) -> Outcome {
    let row = wait_for(async { trial(&mut open(global).await?, &args.which).await })?;
    if row.status != Status::Done {
        let (id, status) = (&row.trial_id, row.status.name());
        return Err(Failure::usage(format_args!("the trial {id} has no final weights: it is {status}")));
    }
    // A wrong place is told of before anything is trained.
    drop(Output::file(&args.output)?);
    let again = retrained(&row)?;
    let Some(network) = again.config.task.network() else {
        return Err(Failure::usage(format_args!(
            "the weights of the trial {} are its program's: only that can write them down",
            row.trial_id
        )));
    };
    let images = images(&network.data, global)?;
    if !global.quiet {
        say(format_args!("training again: {}", title(&row)));
    }
    let mut ended = None;
    let mut emit = |event| {
        if let Event::Ended { outcome, .. } = event {
            ended = Some(outcome);
        }
        true
    };
    let device = Device::from(args.device);
    let weights = trainer::train_to_weights(again.clone(), &images, device, &mut emit)?;
    let (Some(weights), Some(Ended::Done(now))) = (weights, ended) else {
        return Err(differs(&row, "it did not come to its end"));
    };
    check(&row, &now)?;
    let file =
        trainer::weights::safetensors(&weights, metadata(&row, network, &images)).map_err(Failure::failed)?;
    Output::file(&args.output)?.write_whole(&file)
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

/// What to know of the weights: whose they are, and what the model's inputs must be.
fn metadata(row: &TrialRow, network: &Network, images: &Images) -> Vec<(String, String)> {
    let json = |value: Result<serde_json::Value, serde_json::Error>| value.unwrap_or_default().to_string();
    let (mean, deviation) = images.moments();
    let fields = [
        ("format", "pt".to_owned()),
        ("trial_id", row.trial_id.clone()),
        ("schedule", row.schedule.clone()),
        ("base_lr", row.base_lr.to_string()),
        ("seed", row.seed.to_string()),
        ("steps", row.steps.to_string()),
        ("digest", row.digest.clone().unwrap_or_default()),
        ("weights_hash", row.weights_hash.clone().unwrap_or_default()),
        ("model", json(serde_json::to_value(&network.model))),
        ("data", json(serde_json::to_value(&network.data))),
        ("pixel_mean", mean.to_string()),
        ("pixel_deviation", deviation.to_string()),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
