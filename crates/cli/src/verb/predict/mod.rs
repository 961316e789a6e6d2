//! `sweep predict`: the losses of schedules that were not trained, by a law of loss curves.

mod args;
mod recorded;
mod targets;

use predict::{Checked, Law, Losses, Model, Run, check};
use report::{Cell, Format, Rows, short};
use schedule::problem::counted;
use serde_json::{Value, json};
use spec::trial::Task;
use sweep::curves::{Wanted, curves};
use sweep::lookup::sweep;
use sweep::stored::open;
use sweep::wait_for;

use self::recorded::Recorded;
use self::targets::{Known, Target, targets};
use crate::exit::{Failure, Outcome, after_output, print, say};
use crate::global::Global;

pub(crate) use args::Args;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let learned = if args.curves.is_empty() { stored(args, global)? } else { files(args)? };
    let known = Known { lr: learned.lr, steps: learned.steps, task: learned.task.as_ref() };
    // Mistakes in what to predict are reported before the fit, which takes longer.
    let targets = targets(args, &known, global)?;
    let law = args.law.law();
    let model = Model::learn(&learned.runs, learned.kind, law)
        .map_err(|error| Failure::usage(format_args!("{}: {error}", learned.source)))?;
    let format = Format::from(&args.format);
    if args.check {
        print(&checked(&check(&learned.runs, learned.kind, law)).render(format))?;
    } else if args.what.is_empty() {
        print(&held_out(&model).render(format))?;
    } else {
        let predicted = predictions(&targets, &model, learned.kind);
        show(&predicted, &model, args, format, global)?;
        if predicted.iter().all(|each| each.found.is_err()) {
            return Err(after_output(Failure::usage("no schedule could be predicted")));
        }
    }
    if format == Format::Table {
        print(&format!("\n{}", summary(&learned, &model)))?;
    }
    Ok(())
}

/// The runs to learn from.
struct Learned {
    /// Where they are from, for messages.
    source: String,
    runs: Vec<Run>,
    kind: Losses,
    /// The base lr of schedules that do not state one.
    lr: f64,
    /// The length of the longest.
    steps: u64,
    task: Option<Task>,
}

/// Runs of a stored sweep.
fn stored(args: &Args, global: &Global) -> Result<Learned, Failure> {
    let wanted = Wanted {
        schedules: args.fit.clone(),
        lrs: args.fit_lr.clone(),
        loss: args.loss.map(Into::into),
        last: args.last,
    };
    let (name, found) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let name = sweep(&mut reader, args.sweep.as_deref(), &global.context).await?;
        let found = curves(&mut reader, &name, &wanted).await?;
        Ok::<_, Failure>((name, found))
    })?;
    if !global.quiet && !found.left_out.is_empty() {
        say(format_args!("note: not learned from: {}", found.left_out.join(", ")));
    }
    let lrs: Vec<String> = found.lrs.iter().map(|lr| short(*lr)).collect();
    Ok(Learned {
        source: format!("sweep `{name}` at lr {}", lrs.join(", ")),
        runs: found.runs,
        kind: found.kind,
        lr: found.lrs.last().copied().unwrap_or(1.0),
        steps: found.steps,
        task: Some(found.task),
    })
}

/// Runs in CSV files.
fn files(args: &Args) -> Result<Learned, Failure> {
    let kind = Losses::Training { last: args.last };
    let (mut runs, mut lr, mut steps) = (Vec::new(), 0.0_f64, 0);
    for path in &args.curves {
        let text = path.to_string_lossy();
        if !path.exists() && text.contains(['{', '(']) {
            return Err(Failure::usage(format_args!(
                "`{text}` is not a file: write schedules before --curves"
            )));
        }
        let recorded = Recorded::read(path)?;
        lr = recorded.lrs.iter().copied().fold(lr, f64::max);
        steps = steps.max(recorded.lrs.len() as u64);
        let run = recorded.run(kind);
        runs.push(run.ok_or_else(|| Failure::usage(format_args!("{text}: too few losses to learn from")))?);
    }
    Ok(Learned { source: "the given files".to_owned(), runs, kind, lr, steps, task: None })
}

/// A target with its prediction, or the reason that there is none.
struct Predicted<'a> {
    target: &'a Target,
    observed: Option<f64>,
    found: Result<predict::Prediction, String>,
}

/// The predictions, the lowest loss first.
fn predictions<'a>(targets: &'a [Target], model: &Model, kind: Losses) -> Vec<Predicted<'a>> {
    let predicted = targets.iter().map(|target| Predicted {
        target,
        observed: target.observed(kind),
        found: target.predict(model),
    });
    let mut predicted: Vec<Predicted<'_>> = predicted.collect();
    let last = |each: &Predicted<'_>| each.found.as_ref().map_or(f64::INFINITY, |found| found.last);
    predicted.sort_by(|a, b| last(a).total_cmp(&last(b)));
    predicted
}

fn show(predicted: &[Predicted<'_>], model: &Model, args: &Args, format: Format, global: &Global) -> Outcome {
    if format != Format::Json && !global.quiet {
        for each in predicted {
            if let Err(why) = &each.found {
                say(format_args!("note: {}{}: not predicted: {why}", each.target.name, at_lr(each.target)));
            }
        }
    }
    let known = || predicted.iter().filter_map(|each| Some((each, each.found.as_ref().ok()?)));
    if args.by_step {
        let mut rows = Rows::new(["schedule", "base_lr", "step", "predicted"]);
        for (each, found) in known() {
            let name = &each.target.name;
            rows.rows.extend(found.curve.iter().map(|(step, loss)| {
                vec![
                    name.as_str().into(),
                    each.target.base_lr.into(),
                    (step.round() as u64).into(),
                    (*loss).into(),
                ]
            }));
        }
        return print(&rows.render(format));
    }
    if format == Format::Json {
        let all: Vec<Value> = predicted.iter().map(|each| json(each, model)).collect();
        return print(&format!("{:#}\n", Value::Array(all)));
    }
    let recorded = predicted.iter().any(|each| each.observed.is_some());
    let mut columns = vec!["schedule", "base_lr", "steps", "predicted", "low", "high"];
    columns.extend(recorded.then_some("observed"));
    let mut rows = Rows::new(columns);
    for (each, found) in known() {
        let (low, high) = ends(found.interval);
        let mut row: Vec<Cell> = vec![
            each.target.name.as_str().into(),
            each.target.base_lr.into(),
            each.target.steps.into(),
            found.last.into(),
            low.into(),
            high.into(),
        ];
        row.extend(recorded.then(|| each.observed.into()));
        rows.rows.push(row);
    }
    print(&rows.render(format))
}

fn at_lr(target: &Target) -> String {
    target.base_lr.map(|lr| format!(" at lr {}", short(lr))).unwrap_or_default()
}

fn ends(interval: Option<(f64, f64)>) -> (Option<f64>, Option<f64>) {
    (interval.map(|(low, _)| low), interval.map(|(_, high)| high))
}

fn json(each: &Predicted<'_>, model: &Model) -> Value {
    let found = each.found.as_ref();
    let (low, high) = ends(found.ok().and_then(|found| found.interval));
    let curve = found.map(|found| found.curve.as_slice()).unwrap_or_default();
    let curve: Vec<Value> =
        curve.iter().map(|(step, loss)| json!({"step": step.round() as u64, "predicted": loss})).collect();
    json!({
        "schedule": each.target.name,
        "base_lr": each.target.base_lr,
        "steps": each.target.steps,
        "predicted": found.ok().map(|found| found.last),
        "low": low,
        "high": high,
        "law": model.law().name(),
        "held_out_error": model.held_out_error(),
        "observed": each.observed,
        "refused": found.err(),
        "curve": curve,
    })
}

/// Each run, predicted from the others by the law of all of them.
fn held_out(model: &Model) -> Rows {
    let mut rows = Rows::new(["run", "observed", "predicted", "error", "law"]);
    let law = model.law().name();
    let each = model.held_out().iter().map(|run| {
        vec![
            run.name.as_str().into(),
            run.observed.into(),
            run.predicted.into(),
            run.error().into(),
            law.into(),
        ]
    });
    rows.rows = each.collect();
    rows
}

/// Each run, predicted with an interval by a model of the others.
fn checked(all: &[Checked]) -> Rows {
    let mut rows = Rows::new(["run", "observed", "predicted", "low", "high", "law"]);
    rows.rows = all
        .iter()
        .map(|run| {
            let (low, high) = ends(run.prediction.interval);
            let predicted = run.prediction.last;
            let name = run.name.as_str();
            vec![
                name.into(),
                run.observed.into(),
                predicted.into(),
                low.into(),
                high.into(),
                run.law.name().into(),
            ]
        })
        .collect();
    rows
}

/// The law, its runs, and how well it held.
fn summary(learned: &Learned, model: &Model) -> String {
    let law = match model.law() {
        Law::Tissue => "the law of Tissue et al.",
        Law::MultiPower => "the multi-power law",
    };
    let loss = match learned.kind {
        Losses::Validation => "validation loss".to_owned(),
        Losses::Training { last } => {
            format!("training loss, the final one averaged over the last {} %", short(last * 100.0))
        }
    };
    let runs = counted(learned.runs.len(), "run");
    let held = model.held_out();
    let largest = held.iter().map(|run| run.error().abs()).fold(0.0, f64::max);
    let held = match model.held_out_error() {
        Some(error) => format!(
            "{} left out and predicted from the others: off by {} on average, by {} at most",
            counted(held.len(), "run"),
            short(error),
            short(largest)
        ),
        None => "no run could be left out, so there is no interval".to_owned(),
    };
    format!(
        "{law}, fitted to {runs} of {}: {loss}\n{held}\nlow and high: 95 % interval; a prediction is not a verdict: train the best ones\n",
        learned.source
    )
}
