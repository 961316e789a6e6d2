//! `sweep lr`: the learning rates of one schedule, in full precision. This is how outsiders check
//! schedules against their own library.

use std::path::Path;

use schedule::problem::Problem;
use schedule::tree::{Tree, Value};
use schedule::{AfterUpdate, BeforeUpdate, Feedback, Horizon, Schedule};
use serde_json::{Value as Json, json};

use crate::args::{Lr, LrFormat};
use crate::diagnostics::{Severity, show};
use crate::exit::{Failure, Outcome, print};
use crate::input::{self, Source};

/// The most values that are printed.
const MOST_STEPS: u64 = 100_000_000;

pub(crate) fn run(args: &Lr) -> Outcome {
    let source = match args.schedule.as_str() {
        "-" => input::read(Path::new("-"), "a schedule", spec::yaml::MOST_BYTES)?,
        text => Source { name: "<schedule>".to_owned(), text: text.to_owned() },
    };
    let schedule = fit(args, &source.text).map_err(|problems| {
        show(Severity::Error, &problems, &source.name, &source.text);
        Failure::Shown
    })?;
    let steps = args.steps.unwrap_or(args.total);
    if steps > MOST_STEPS {
        return Err(Failure::usage(format_args!("--steps {steps} is more than {MOST_STEPS}")));
    }
    let seen = Seen::read(args)?;
    if schedule.feedback() == Feedback::ClosedLoop {
        seen.check(steps)?;
    }
    let (lrs, momenta) = trajectory(&schedule, steps, &seen);
    match args.format {
        LrFormat::Json => print(&format!("{}\n", json!({ "lr": lrs, "momentum": momenta }))),
        LrFormat::Csv => print(&csv(&lrs, momenta.as_deref())),
    }
}

/// Reads a node or a `{lr, schedule}` document and fits it to the run.
pub(super) fn fit(args: &Lr, text: &str) -> Result<Schedule, Vec<Problem>> {
    let tree = spec::yaml::read(text)?;
    let (document_lr, node, path) = match tree.get("schedule") {
        Some(node) => (document_lr(&tree)?, node, "schedule"),
        None => (None, &tree, ""),
    };
    let base_lr = args.lr.or(document_lr).unwrap_or(1.0);
    if !(base_lr.is_finite() && base_lr > 0.0) {
        return Err(vec![Problem::new(
            Default::default(),
            "--lr",
            format!("expected a number above 0, found {base_lr}"),
        )]);
    }
    let mut problems = Vec::new();
    let parsed = schedule::parse(node, path, &mut problems);
    let parsed = parsed.filter(|_| problems.is_empty()).ok_or(problems)?;
    parsed.resolve(&Horizon { base_lr, total: args.total, steps_per_epoch: args.steps_per_epoch })
}

/// The `lr` of a document; anything but `lr` and `schedule` in it is a problem.
fn document_lr(tree: &Tree) -> Result<Option<f64>, Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(mut fields) = schedule::fields::Fields::new(tree, "", &mut problems) else {
        return Err(problems);
    };
    fields.optional("schedule");
    let positive = schedule::fields::number_where("a number above 0", |x| x > 0.0);
    let lr = fields.read_or("lr", None, &mut problems, |field| match field.tree.value {
        Value::Null => Ok(None),
        _ => positive(field).map(Some),
    });
    fields.finish(&mut problems);
    lr.filter(|_| problems.is_empty()).ok_or(problems)
}

/// What training would have shown: from golden files or the user's own logs.
#[derive(Debug, Default)]
struct Seen {
    metrics: Option<Vec<f64>>,
    losses: Vec<f64>,
    squared_norms: Vec<f64>,
}

impl Seen {
    fn read(args: &Lr) -> Result<Self, Failure> {
        let mut seen = Seen::default();
        if let Some(path) = &args.metrics {
            let what = "a JSON array of numbers";
            let json = input::json(path, what)?;
            let numbers = numbers(&json).ok_or_else(|| expected(path, what))?;
            seen.metrics = Some(numbers);
        }
        if let Some(path) = &args.inputs {
            let what = "a JSON object with `grads`, an array of arrays of numbers,";
            let json = input::json(path, what)?;
            let object = json.as_object().ok_or_else(|| expected(path, what))?;
            if let Some(losses) = object.get("losses").filter(|losses| !losses.is_null()) {
                seen.losses =
                    numbers(losses).ok_or_else(|| expected(path, "`losses` as an array of numbers"))?;
            }
            if let Some(grads) = object.get("grads").filter(|grads| !grads.is_null()) {
                let rows = grads.as_array().map(|rows| rows.iter().map(numbers).collect::<Option<Vec<_>>>());
                let rows = rows.flatten().ok_or_else(|| expected(path, what))?;
                seen.squared_norms = rows.iter().map(|row| row.iter().map(|g| g * g).sum()).collect();
            }
        }
        Ok(seen)
    }

    /// A closed-loop schedule without its inputs would look constant: refuse instead.
    fn check(&self, steps: u64) -> Outcome {
        let have = match &self.metrics {
            Some(metrics) => metrics.len() + 1,
            None if !self.squared_norms.is_empty() => self.squared_norms.len(),
            None => {
                return Err(Failure::usage(
                    "this schedule watches training: give what it sees by --metrics FILE.json (losses) or --inputs \
                     FILE.json (gradients)",
                ));
            }
        };
        if (have as u64) < steps {
            return Err(Failure::usage(format_args!(
                "{steps} steps were asked for, the inputs reach {have}"
            )));
        }
        Ok(())
    }
}

fn expected(path: &Path, what: &str) -> Failure {
    Failure::usage(format_args!("{}: {what} was expected", path.display()))
}

/// An array of numbers; null stands for a NaN.
fn numbers(json: &Json) -> Option<Vec<f64>> {
    json.as_array()?.iter().map(|x| if x.is_null() { Some(f64::NAN) } else { x.as_f64() }).collect()
}

/// The lr and momentum of each step, the schedule being shown what `seen` holds.
fn trajectory(schedule: &Schedule, steps: u64, seen: &Seen) -> (Vec<f64>, Option<Vec<f64>>) {
    let mut state = schedule.start();
    let mut lrs = Vec::new();
    let mut momenta = Vec::new();
    for t in 0..steps {
        let at = |values: &[f64]| usize::try_from(t).ok().and_then(|t| values.get(t).copied());
        let metric = seen.metrics.as_deref().and_then(at);
        let train_loss = metric.or_else(|| at(&seen.losses)).unwrap_or(f64::NAN);
        let grad_norm_squared = at(&seen.squared_norms).unwrap_or(0.0);
        schedule.before_update(&mut state, t, &BeforeUpdate { train_loss, grad_norm_squared });
        lrs.push(schedule.lr(t, &state));
        momenta.extend(schedule.momentum(t));
        let after = AfterUpdate { train_loss, valid_loss: metric, look: metric.is_some() };
        schedule.after_update(&mut state, t, &after);
    }
    let cycled = !momenta.is_empty() && momenta.len() == lrs.len();
    (lrs, cycled.then_some(momenta))
}

pub(super) fn csv(lrs: &[f64], momenta: Option<&[f64]>) -> String {
    let mut text = String::from(if momenta.is_some() { "step,lr,momentum\n" } else { "step,lr\n" });
    for (t, lr) in lrs.iter().enumerate() {
        match momenta.and_then(|momenta| momenta.get(t)) {
            Some(momentum) => text.push_str(&format!("{t},{lr},{momentum}\n")),
            None => text.push_str(&format!("{t},{lr}\n")),
        }
    }
    text
}
