//! `sweep export weights`: the final weights of a stored trial as a safetensors file.

use std::path::PathBuf;

use orchestrator::Stop;
use store::TrialRecord;
use sweep::named_trial::trial;
use sweep::stored::{open, retrained};
use sweep::wait_for;
use sweep::weights::{Weights, check_done, trained_again};
use trainer::data::Examples;
use trainer::device::Device;

use crate::args::{DeviceArg, TrialArg, path};
use crate::exit::{Failure, Outcome};
use crate::global::Global;
use crate::observer::retraining;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub which: TrialArg,
    /// File to write
    #[arg(long, short, value_name = "FILE.safetensors", value_parser = path())]
    pub output: PathBuf,
    /// Also write the optimizer's state, for `init_from: {file: FILE, optimizer: keep}`
    #[arg(long)]
    pub optimizer: bool,
    /// Device to train on
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let row = wait_for(async {
        trial(&mut open(&global.context).await?, &args.which.named(), &global.context).await
    })?;
    check_done(&row)?;
    // Errors of the output file are reported before training.
    drop(Output::file(&args.output)?);
    if args.optimizer && retrained(&row, &global.context)?.config.schedule.averages() {
        return Err(Failure::usage(format_args!(
            "trial {} has averaged weights, which its optimizer's state does not belong to: leave out --optimizer",
            row.trial_id
        )));
    }
    let weights = trained_again(
        &row,
        Device::from(args.device),
        &global.context,
        &Stop::default(),
        &mut retraining(global.quiet),
    )?;
    let file = trainer::weights::safetensors(&weights.trained, args.optimizer, metadata(&row, &weights));
    Output::file(&args.output)?.write_whole(&file.map_err(Failure::failed)?)
}

/// The file's metadata: the trial, and how the model's inputs are scaled.
fn metadata(row: &TrialRecord, weights: &Weights) -> Vec<(String, String)> {
    let json = |value: Result<serde_json::Value, serde_json::Error>| value.unwrap_or_default().to_string();
    let fields = [
        ("format", "pt".to_owned()),
        ("trial_id", row.trial_id.clone()),
        ("schedule", row.schedule.clone()),
        ("base_lr", row.base_lr.to_string()),
        ("seed", row.seed.to_string()),
        ("steps", row.steps.to_string()),
        ("digest", row.digest.clone().unwrap_or_default()),
        ("weights_hash", row.weights_hash.clone().unwrap_or_default()),
        ("model", json(serde_json::to_value(&weights.network.model))),
        ("data", json(serde_json::to_value(&weights.network.data))),
    ];
    let mut fields = fields.to_vec();
    match &weights.examples {
        Examples::Labelled(labelled) => {
            if let Some((mean, deviation)) = labelled.moments() {
                fields.extend([("pixel_mean", mean.to_string()), ("pixel_deviation", deviation.to_string())]);
            }
            if let Some(columns) = labelled.columns() {
                let (means, deviations): (Vec<f64>, Vec<f64>) = columns.iter().copied().unzip();
                fields.push(("input_means", json(serde_json::to_value(means))));
                fields.push(("input_deviations", json(serde_json::to_value(deviations))));
            }
            if !labelled.labels().is_empty() {
                fields.push(("labels", json(serde_json::to_value(labelled.labels()))));
            }
        }
        Examples::Text(text) => fields.push(("alphabet", json(serde_json::to_value(text.alphabet())))),
        Examples::Synthetic(_) | Examples::Custom(_) => {}
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
