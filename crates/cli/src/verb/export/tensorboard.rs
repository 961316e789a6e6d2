//! Writes a folder for TensorBoard: one event file per run, with its curves, results and hyperparameters, and one at the top that
//! defines the HPARAMS tab.

use std::io::{BufWriter, Write};
use std::path::Path;

use report::Cell;
use report::tensorboard::{self as format, Hparam, Value};
use store::{Reader, Status, TrialRecord};
use sweep::atomic_file::folder;

use super::pages::each_page;
use crate::exit::{Failure, Outcome};
use crate::measured::Measured;
use crate::output::failure;
use dashboard::exported::Kind;
use dashboard::exported::axes::{self, Axis};

/// The metrics of the HPARAMS tab.
const METRICS: [&str; 2] = ["final_valid_loss", "test_accuracy"];

/// Creates the folder `dir`, which appears when it is complete.
pub(crate) async fn write(reader: &mut Reader, sweep: &str, runs: &[TrialRecord], dir: &Path) -> Outcome {
    let failed = |error| failure(dir, error);
    let refused = |why: &str| Err(Failure::usage(format_args!("can't write {}: {why}", dir.display())));
    match dir.read_dir().map(|mut entries| entries.next().is_some()) {
        Ok(true) => return refused("the folder is not empty; use a new one"),
        Err(_) if dir.exists() => return refused("it is not a folder"),
        Ok(false) | Err(_) => {}
    }
    // The temporary folder is removed if anything fails. The inner folder has the usual permissions.
    let temporary = tempfile::Builder::new().prefix(".writing-").tempdir_in(folder(dir)).map_err(failed)?;
    let made = temporary.path().join("logs");
    let axes = axes::of(runs);
    let began = runs.iter().filter_map(|run| run.started_at).min();
    let top = experiment(seconds(began), sweep, &axes);
    File::create(&made, seconds(began), dir)?.with(&top)?.finish()?;
    let names = format::names(runs.iter().map(|run| words(run, &axes)));
    for (run, name) in runs.iter().zip(names) {
        let inside = name.iter().fold(made.clone(), |path, word| path.join(word));
        one_run(reader, run, &axes, &inside, dir).await?;
    }
    if dir.exists() {
        std::fs::remove_dir(dir).map_err(failed)?;
    }
    std::fs::rename(&made, dir).map_err(failed)
}

fn experiment(time: f64, sweep: &str, axes: &[Axis]) -> Vec<u8> {
    let hparam = |name: &str, numbers| Hparam { name: name.to_owned(), numbers };
    let mut hparams = vec![hparam("schedule", false), hparam("base_lr", true), hparam("seed", true)];
    hparams.extend(axes.iter().map(|axis| hparam(&axis.path, axis.kind != Kind::Text)));
    format::experiment(time, sweep, &hparams, &METRICS)
}

/// The path of a run within the folder, as in `cosine/lr=0.1,to=0,seed=1`.
fn words(run: &TrialRecord, axes: &[Axis]) -> Vec<String> {
    let mut last = format!("lr={}", report::exact_lr(run.base_lr));
    for axis in axes {
        let value = axis.cell(run).plain();
        if !value.is_empty() {
            let short = axis.path.rsplit('.').next().unwrap_or_default();
            last.push_str(&format!(",{short}={value}"));
        }
    }
    last.push_str(&format!(",seed={}", run.seed));
    vec![run.schedule.clone(), last]
}

async fn one_run(
    reader: &mut Reader,
    run: &TrialRecord,
    axes: &[Axis],
    inside: &Path,
    dir: &Path,
) -> Outcome {
    let (start, end) = (seconds(run.started_at), seconds(run.finished_at.or(run.started_at)));
    let mut file = File::create(inside, start, dir)?;
    file.append(&format::session_start(start, &hparams(run, axes)))?;
    let measured = Measured::read(reader, &run.trial_id).await?;
    each_page(reader, &run.trial_id, |page| {
        for step in page {
            let (train_loss, grad_norm) = step.reported(run.diverged_at);
            let mut values = vec![("lr", step.lr)];
            values.extend(train_loss.map(|loss| ("train_loss", loss)));
            values.extend(step.valid_loss.map(|loss| ("valid_loss", loss)));
            values.extend(grad_norm.map(|norm| ("grad_norm", norm)));
            values.extend(measured.of(step.step).filter(|(_, value)| !value.is_nan()));
            file.append(&format::scalars(start, step.step, &values))?;
        }
        Ok(())
    })
    .await?;
    let results = [
        ("final_train_loss", run.final_train_loss),
        ("final_valid_loss", run.final_valid_loss),
        ("valid_accuracy", run.valid_accuracy),
        ("test_loss", run.test_loss),
        ("test_accuracy", run.test_accuracy),
    ];
    let results: Vec<(&str, f64)> =
        results.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if !results.is_empty() {
        let last = u64::try_from(run.steps_done).unwrap_or(0).saturating_sub(1);
        file.append(&format::scalars(end, last, &results))?;
    }
    if let Some(status) = ended(run.status) {
        file.append(&format::session_end(end, status))?;
    }
    file.finish()
}

fn hparams<'a>(run: &TrialRecord, axes: &'a [Axis]) -> Vec<(&'a str, Value)> {
    let own = [
        ("schedule", Value::Text(run.schedule.clone())),
        ("base_lr", Value::Number(run.base_lr)),
        ("seed", Value::Number(run.seed as f64)),
    ];
    let of_axis = |axis: &'a Axis| {
        let value = match axis.cell(run) {
            Cell::Integer(i) => Value::Number(i as f64),
            Cell::Real(x) => Value::Number(x),
            Cell::Text(text) => Value::Text(text),
            Cell::Null | Cell::Bool(_) => return None,
        };
        Some((axis.path.as_str(), value))
    };
    own.into_iter().chain(axes.iter().filter_map(of_axis)).collect()
}

/// A run that has not ended has no final status.
fn ended(status: Status) -> Option<format::Status> {
    match status {
        Status::Done => Some(format::Status::Success),
        Status::Diverged | Status::Failed => Some(format::Status::Failure),
        Status::Queued | Status::Running | Status::Stopped => None,
    }
}

fn seconds(milliseconds: Option<i64>) -> f64 {
    milliseconds.unwrap_or(0) as f64 / 1000.0
}

/// An event file being written. Errors name the folder that the user gave.
struct File<'a> {
    file: BufWriter<std::fs::File>,
    named: &'a Path,
}

impl<'a> File<'a> {
    fn create(inside: &Path, time: f64, named: &'a Path) -> Result<Self, Failure> {
        let created =
            std::fs::create_dir_all(inside).and_then(|()| std::fs::File::create(inside.join(format::FILE)));
        let file = created.map_err(|error| failure(named, error))?;
        Self { file: BufWriter::new(file), named }.with(&format::version(time))
    }

    fn with(mut self, record: &[u8]) -> Result<Self, Failure> {
        self.append(record)?;
        Ok(self)
    }

    fn append(&mut self, record: &[u8]) -> Outcome {
        self.file.write_all(record).map_err(|error| failure(self.named, error))
    }

    fn finish(mut self) -> Outcome {
        self.file.flush().map_err(|error| failure(self.named, error))
    }
}
