//! `sweep reproduce`: trains a stored trial again and compares every bit.

use std::collections::BTreeMap;
use std::fmt::Write;

use orchestrator::Stop;
use spec::event::{Event, Measured as MetricValue, Outcome as Ended, StepRow};
use spec::trial::Trial;
use store::{MetricRow, Status, TrialRecord};
use sweep::named_trial::trial;
use sweep::stored::{open, retrained};
use sweep::weights::provide;
use sweep::{Context, wait_for};
use trainer::device::Device;

use crate::args::{DeviceArg, TrialArg};
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::observer::retraining;
use crate::signals::blocking;
use crate::words::title;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub which: TrialArg,
    /// Device to train on
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
}

/// Different kinds of devices give different bits: their final validation losses may differ by this fraction.
const TOLERANCE: f64 = 0.02;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (row, steps, metrics) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let row = trial(&mut reader, &args.which.named(), &global.context).await?;
        let steps = reader.steps(&row.trial_id).await?;
        let metrics = reader.measured(&row.trial_id).await?;
        Ok::<_, Failure>((row, steps, metrics))
    })?;
    let again = comparable(&row, &global.context)?;
    let device = Device::from(args.device);
    let title = title(&row);
    if !global.quiet {
        say(format_args!("training again: {title}"));
    }
    provide([&again], &global.context, &Stop::default(), &mut retraining(global.quiet))?;
    let stored_device = row.environment.as_ref().map(|environment| environment.device.as_str());
    if stored_device.is_some_and(|stored| stored != device.to_string()) {
        return compare_devices(&row, &title, &again, device, global);
    }
    if let Some(problem) = again.config.task.network().and_then(trainer::transfer::weights_problem) {
        return Err(Failure::usage(format_args!("the initial weights of the trial have changed: {problem}")));
    }
    let program = again.config.task.program();
    program.iter().for_each(|program| changed_files(&program.files));
    row.loaded.iter().for_each(changed_files);
    let mut comparison = Comparison {
        stored: &steps,
        compared: 0,
        difference: None,
        measured: program.map(|_| Measured::default()),
    };
    let (ended, values) = train(&again, device, global, &mut |row, valid| comparison.step(row, valid))?;
    let measured = comparison.measured.take();
    let difference = comparison.finish(&row, ended.as_ref());
    match difference {
        None => print(&same(&title, &row, differing_metrics(&metrics, &values))),
        Some(difference) => {
            let measured = measured.map_or(String::new(), |measured| measured.words(&row, ended.as_ref()));
            print(&format!("{title}\n  NOT reproduced: {difference}\n{measured}"))?;
            Err(Failure::Reported)
        }
    }
}

/// The stored trial, if it has a result that this version of sweep can reproduce.
fn comparable(row: &TrialRecord, context: &Context) -> Result<Trial, Failure> {
    if !matches!(row.status, Status::Done | Status::Diverged) {
        let status = match (row.status, &row.error) {
            (Status::Failed, Some(error)) => format!("it failed: {error}"),
            (status, _) => format!("it is {status}"),
        };
        return Err(Failure::usage(format_args!(
            "trial {} has no result to compare: {status}",
            row.trial_id
        )));
    }
    let again = retrained(row, context)?;
    if again.id != row.trial_id {
        say(format_args!(
            "warning: the stored configuration has the id {}, not {}: it was changed, or written by another version of sweep",
            again.id, row.trial_id
        ));
    }
    if let Some(bits) = row.bits.filter(|bits| *bits != i64::from(trainer::BITS)) {
        let by = row.environment.as_ref().map_or(String::new(), |environment| {
            format!(" (sweep {}, commit {})", environment.version, environment.git_commit)
        });
        return Err(Failure::usage(format_args!(
            "trial {} was trained with version {bits} of the arithmetic{by}, this program has version {}: only a program with the same \
             version gives the same bits",
            row.trial_id,
            trainer::BITS
        )));
    }
    Ok(again)
}

/// Warns of a program's files that have changed.
fn changed_files(files: &BTreeMap<String, String>) {
    for (name, hash) in files {
        let what = match program::hash(name) {
            Some(now) if now == *hash => continue,
            Some(_) => "has changed since the trial was trained",
            None => "is missing",
        };
        say(format_args!("warning: the file {name} {what}"));
    }
}

/// A line for each metric other than losses that differs. A program may report times, which always do.
fn differing_metrics(stored: &[(String, i64, f64)], now: &[MetricValue]) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeMap<u64, [Option<f64>; 2]>> = BTreeMap::new();
    for (name, step, value) in stored {
        values.entry(name).or_default().entry(step.unsigned_abs()).or_default()[0] = Some(*value);
    }
    for MetricValue { name, step, value, .. } in now {
        values.entry(name).or_default().entry(*step).or_default()[1] = Some(*value);
    }
    let text = |value: Option<f64>| value.map_or("none".to_owned(), |value| value.to_string());
    let line = |(name, steps): (&str, BTreeMap<u64, [Option<f64>; 2]>)| {
        let different = || {
            steps
                .iter()
                .filter(|(_, [stored, now])| !is_same(stored.unwrap_or(f64::NAN), now.unwrap_or(f64::NAN)))
        };
        let (step, [stored, now]) = different().next()?;
        Some(format!(
            "`{name}` at {} of {} steps, first at step {step}: {} instead of {}",
            different().count(),
            steps.len(),
            text(*now),
            text(*stored)
        ))
    };
    values.into_iter().filter_map(line).collect()
}

fn same(title: &str, row: &TrialRecord, differing: Vec<String>) -> String {
    let mut text = match differing.as_slice() {
        [] => format!("{title}\n  reproduced: every bit is equal\n"),
        _ => format!("{title}\n  reproduced: every bit of the losses is equal, but other metrics differ\n"),
    };
    for line in differing {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  differs  {line}");
    }
    for (name, value) in [("digest", &row.digest), ("weights", &row.weights_hash)] {
        if let Some(value) = value {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {name:<8} {value}");
        }
    }
    text
}

/// Trains, and returns the end and the metrics other than losses. `each` receives each step with the validation loss after it, and returns
/// whether to continue. The end is `None` if it stopped training.
fn train(
    trial: &Trial,
    device: Device,
    global: &Global,
    each: &mut dyn FnMut(&StepRow, Option<f64>) -> bool,
) -> Result<(Option<Ended>, Vec<MetricValue>), Failure> {
    let loaded = orchestrator::load(std::iter::once(trial), global.context.data_sources())?;
    let (mut ended, mut measured) = (None, Vec::new());
    let mut emit = |event| match event {
        Event::Steps { rows, evaluated, .. } => rows.iter().all(|row| {
            let valid = evaluated.iter().find(|evaluated| evaluated.step == row.step);
            each(row, valid.map(|evaluated| evaluated.valid_loss))
        }),
        Event::Measured { values, .. } => {
            measured.extend(values);
            true
        }
        Event::Ended { outcome, .. } => {
            ended = Some(outcome);
            true
        }
        _ => true,
    };
    blocking(|stop| orchestrator::train_single(trial, &loaded, device, stop, &mut emit))?;
    Ok((ended, measured))
}

/// Compares new steps with the stored ones.
struct Comparison<'a> {
    stored: &'a [MetricRow],
    compared: usize,
    difference: Option<String>,
    /// How much steps differ. Only for programs, whose bits may differ.
    measured: Option<Measured>,
}

/// How much a second run differs from the first one.
#[derive(Default)]
struct Measured {
    steps: usize,
    different: usize,
    /// Largest relative difference of a loss.
    largest: f64,
}

impl Measured {
    fn step(&mut self, stored: &MetricRow, now: &StepRow, valid_loss: Option<f64>) {
        self.steps += 1;
        self.different += usize::from(first_difference(stored, now, valid_loss).is_some());
        let valid = stored.valid_loss.zip(valid_loss);
        for (a, b) in [Some((stored.train_loss, now.train_loss)), valid].into_iter().flatten() {
            let difference = ((a - b) / a).abs();
            if difference.is_finite() {
                self.largest = self.largest.max(difference);
            }
        }
    }

    /// The differences as text, for a program that ran to its end again.
    fn words(&self, row: &TrialRecord, ended: Option<&Ended>) -> String {
        let percent = 100.0 * self.largest;
        let mut text = format!(
            "  {} of {} steps differ, a loss by {percent:.2} % at most\n",
            self.different, self.steps
        );
        if let (Some(Ended::Done(now)), Some(stored)) = (ended, row.final_valid_loss) {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  final validation loss {} now, {stored} stored", now.valid_loss);
        }
        text.push_str("  whether two runs of a program are equal depends on its seeds, deterministic operations and threads\n");
        text
    }
}

impl Comparison<'_> {
    /// Compares a step. Returns whether to continue.
    fn step(&mut self, row: &StepRow, valid_loss: Option<f64>) -> bool {
        let stored = self.stored.get(self.compared);
        self.compared += 1;
        if let (Some(measured), Some(stored)) = (&mut self.measured, stored) {
            measured.step(stored, row, valid_loss);
            if self.difference.is_some() {
                return true;
            }
        }
        self.difference = match stored {
            Some(stored) if stored.step == row.step => first_difference(stored, row, valid_loss),
            _ => Some(format!("step {} is not stored", row.step)),
        };
        self.measured.is_some() || self.difference.is_none()
    }

    /// The first difference, after all steps were compared.
    fn finish(self, row: &TrialRecord, ended: Option<&Ended>) -> Option<String> {
        if self.difference.is_some() {
            return self.difference;
        }
        if let Some(more) = self.stored.get(self.compared) {
            let why = ended.and_then(Ended::error).map_or(String::new(), |why| format!(": {why}"));
            return Some(format!("step {} is stored, but the new run ended before it{why}", more.step));
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (stored_digest, stored_weights) = (text(&row.digest), text(&row.weights_hash));
        let differ = |what: &str, stored: &str, now: &str| {
            (stored != now)
                .then(|| format!("every step is equal, but the {what} is {now} instead of {stored}"))
        };
        match ended {
            Some(Ended::Done(now)) if row.status == Status::Done => {
                let losses = [
                    ("final validation loss", row.final_valid_loss, Some(now.valid_loss)),
                    ("test loss", row.test_loss, now.test_loss),
                    ("test accuracy", row.test_accuracy, now.test_accuracy),
                ];
                let number =
                    |x: Option<f64>| x.filter(|x| !x.is_nan()).map_or("none".to_owned(), |x| x.to_string());
                differ("digest", &stored_digest, &now.digest)
                    .or_else(|| {
                        differ("hash of the final weights", &stored_weights, &text(&now.weights_hash))
                    })
                    .or_else(|| {
                        losses
                            .into_iter()
                            .find_map(|(what, stored, now)| differ(what, &number(stored), &number(now)))
                    })
            }
            Some(Ended::Diverged { at, digest, .. }) if row.status == Status::Diverged => {
                differ("digest", &stored_digest, digest).or_else(|| {
                    (row.diverged_at.map(i64::unsigned_abs) != Some(*at))
                        .then(|| format!("it diverged at step {at} now"))
                })
            }
            Some(Ended::Done(_)) => Some("it diverged when it was stored, and does not now".to_owned()),
            Some(Ended::Diverged { at, .. }) => Some(format!("it diverges now, at step {at}")),
            Some(Ended::Failed { reason } | Ended::GivenUp { reason }) => Some(reason.clone()),
            Some(Ended::Stopped { .. }) | None => Some("it was stopped".to_owned()),
        }
    }
}

/// Whether the bits are equal. All NaNs are, and stand for no value too.
fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Compares the bits of the lr (as f32, like updates use it) and of the losses. All NaNs are equal.
fn first_difference(stored: &MetricRow, now: &StepRow, valid_loss: Option<f64>) -> Option<String> {
    let step = now.step;
    if (stored.lr as f32).to_bits() != (now.lr as f32).to_bits() {
        return Some(format!(
            "step {step} is the first that differs: lr {} instead of {}",
            now.lr, stored.lr
        ));
    }
    let nan = f64::NAN;
    let losses = [
        ("train_loss", stored.train_loss, now.train_loss),
        ("valid_loss", stored.valid_loss.unwrap_or(nan), valid_loss.unwrap_or(nan)),
    ];
    let different = losses.into_iter().find(|(_, stored, now)| !is_same(*stored, *now));
    different.map(|(name, stored, now)| {
        format!("step {step} is the first that differs: {name} {now} instead of {stored}")
    })
}

/// Compares results within a tolerance, because another kind of device gives other bits.
fn compare_devices(
    row: &TrialRecord,
    title: &str,
    again: &Trial,
    device: Device,
    global: &Global,
) -> Outcome {
    let percent = TOLERANCE * 100.0;
    if !global.quiet {
        say(format_args!(
            "the stored run is from another kind of device than {device}, whose bits are not comparable: the final validation losses \
             may differ by {percent} %"
        ));
    }
    let (ended, _) = train(again, device, global, &mut |_, _| true)?;
    let close = match (&ended, row.final_valid_loss) {
        (Some(Ended::Done(now)), Some(stored)) => (now.valid_loss - stored).abs() <= TOLERANCE * stored.abs(),
        (Some(Ended::Diverged { .. }), None) => true,
        _ => false,
    };
    let now = match &ended {
        Some(Ended::Done(now)) => format!("validation loss {} now", now.valid_loss),
        _ => "it diverged now".to_owned(),
    };
    let stored = row.final_valid_loss.map_or("diverged".to_owned(), |loss| format!("{loss}"));
    if close {
        return print(&format!("{title}\n  reproduced within {percent} %: {now}, {stored} stored\n"));
    }
    print(&format!("{title}\n  NOT reproduced within {percent} %: {now}, {stored} stored\n"))?;
    Err(Failure::Reported)
}
