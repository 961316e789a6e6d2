//! `sweep plan`: what would be trained, and nothing is.

use report::plot::Scale;
use report::{Cell, Format, Rows, lr};
use serde_json::json;

use crate::args::{Global, Plan};
use crate::exit::{Failure, Outcome, print};
use crate::input::sweep_file;
use crate::screen;

pub(crate) fn run(args: &Plan, global: &Global) -> Outcome {
    let (spec, plan) = sweep_file(&args.file, args.warnings, global.quiet)?;
    match Format::from(&args.format) {
        Format::Json => print(&format!("{:#}\n", summary(&spec, &plan))),
        Format::Csv => print(&trials(&plan).render(Format::Csv)),
        Format::Table => {
            if screen::is_terminal() {
                print(&curves(&spec, args)?)?;
            }
            print(&schedules(&spec, &plan).render(Format::Table))?;
            print(&format!(
                "\n{} trials, {} steps to train; {} of the {} runs asked for are the same as another\n",
                plan.trials.len(),
                plan.steps_trained(),
                plan.merged(),
                plan.cells.len(),
            ))
        }
    }
}

/// The most curves that are drawn besides the plan.
const MOST_CURVES: usize = 16;

/// What the schedules look like, for a person at a terminal.
fn curves(spec: &spec::Spec, args: &Plan) -> Result<String, Failure> {
    let schedules: Vec<_> = spec.schedules.iter().collect();
    let file = args.file.display().to_string();
    let figure = super::plot::of_sweep(spec, &schedules, None, Scale::Linear, &file)?.figure;
    Ok(match figure.curves.len() {
        0 => String::new(),
        1..=MOST_CURVES => format!("{}\n", figure.text(screen::width())),
        many => format!("`sweep plot {file}` draws the {many} curves of its schedules\n\n"),
    })
}

/// The plan in numbers, for programs.
fn summary(spec: &spec::Spec, plan: &spec::Plan) -> serde_json::Value {
    let trials: Vec<_> = plan
        .trials
        .iter()
        .map(|trial| {
            json!({
                "trial_id": trial.id,
                "schedule": trial.config.schedule_name,
                "config_id": trial.config.id,
                "base_lr": trial.config.base_lr,
                "seed": trial.seed,
                "steps": trial.config.task.steps,
                "axes": axes(trial),
            })
        })
        .collect();
    json!({
        "sweep": plan.name,
        "schedules": spec.schedules.len(),
        "seeds": spec.seeds.len(),
        "runs_asked": plan.cells.len(),
        "trials": plan.trials.len(),
        "duplicates_removed": plan.merged(),
        "steps_asked": plan.steps_asked(),
        "total_steps": plan.steps_trained(),
        "warnings": plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "runs": trials,
    })
}

/// One row for each schedule.
fn schedules(spec: &spec::Spec, plan: &spec::Plan) -> Rows {
    let mut rows = Rows::new(["schedule", "variants", "base lrs", "seeds", "trials", "steps"]);
    let mut lrs: Vec<f64> = spec.points.iter().map(|point| point.base_lr).collect();
    lrs.sort_by(f64::total_cmp);
    lrs.dedup();
    let lrs: Vec<String> = lrs.into_iter().map(lr).collect();
    for schedule in &spec.schedules {
        let own = plan.trials.iter().filter(|trial| trial.config.schedule_name == schedule.key.name);
        let (mut trials, mut steps) = (0_usize, 0_u64);
        for trial in own {
            trials += 1;
            steps += trial.config.task.steps;
        }
        rows.rows.push(vec![
            Cell::from(schedule.key.name.as_str()),
            schedule.variants.len().into(),
            lrs.join(" ").into(),
            spec.seeds.len().into(),
            trials.into(),
            steps.into(),
        ]);
    }
    rows
}

/// One row for each trial.
fn trials(plan: &spec::Plan) -> Rows {
    let mut rows = Rows::new(["trial_id", "schedule", "config_id", "base_lr", "seed", "steps", "axes"]);
    for trial in &plan.trials {
        rows.rows.push(vec![
            Cell::from(trial.id.as_str()),
            trial.config.schedule_name.as_str().into(),
            trial.config.id.as_str().into(),
            trial.config.base_lr.into(),
            trial.seed.into(),
            trial.config.task.steps.into(),
            axes(trial).to_string().as_str().into(),
        ]);
    }
    rows
}

/// Path and value of each axis but the base lr, as the database has them.
fn axes(trial: &spec::trial::Trial) -> serde_json::Value {
    let axes = trial.config.axes.iter();
    axes.map(|(path, value)| (path.clone(), serde_json::Value::from(value.as_str()))).collect()
}
