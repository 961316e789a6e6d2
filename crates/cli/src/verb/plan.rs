//! `sweep plan`: what `sweep run` would train, and how long that would take.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use report::looks::{expected, with};
use report::plot::Scale;
use report::{Cell, Format, Rows, short};
use schedule::problem::counted;
use search::{Method, RISE, Settings};
use serde_json::json;
use spec::protocol::Seeds;
use spec::screen::{Candidate, Screening};
use spec::trial::{Program, Trial};
use sweep::halving::tuning_left;
use sweep::origins::{self, Stored};
use sweep::rounds::{added_runs, budgets, deciding_runs};
use sweep::{programs, wait_for};
use verdict::cost::{Expected, expected_runs};
use verdict::looks::Looks;

use crate::args::{FormatArg, Warnings, path};
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::input::{sweep_file, warn_of_stored};
use crate::observer::fewer;
use crate::screen;
use crate::words::about;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep file (`-` reads standard input)
    #[arg(value_parser = path())]
    pub file: PathBuf,
    /// Workers (threads) to estimate the time for [default: one per core]
    #[arg(long, short, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Count the steps without sharing, as in `run --no-share`
    #[arg(long)]
    pub no_share: bool,
    /// Skip the time estimate, which trains a few steps
    #[arg(long)]
    pub no_probe: bool,
    /// Order the schedules that were not trained by their predicted losses, as learned from stored runs
    #[arg(long)]
    pub screen: bool,
    /// Learn from this stored sweep: its name or file [default: the sweep of the file, or the most recent one with the same task]
    #[arg(long, value_name = "SWEEP", requires = "screen")]
    pub sweep: Option<String>,
    #[command(flatten)]
    pub warnings: Warnings,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let format = Format::from(&args.format);
    if args.screen {
        return super::untried::run(&args.file, args.sweep.as_deref(), args.warnings, format, global);
    }
    let (spec, plan) = sweep_file(&args.file, args.warnings, global)?;
    if format == Format::Csv {
        return print(&trials(&plan).render(format));
    }
    let stored = wait_for(origins::stored(&spec, &plan, &global.context))?;
    warn_of_stored(&stored, &args.file, args.warnings, global)?;
    let workers = args.workers.map_or_else(|| programs::workers(&plan), |workers| workers.get());
    let left = Left::of(&stored);
    let time = if args.no_probe { None } else { left.time(&stored, args, workers, global) };
    let steps = if args.no_share { plan.steps_of_trials() } else { plan.steps_trained() };
    if format == Format::Json {
        return print(&format!("{:#}\n", summary(&spec, &plan, steps, &left, time)));
    }
    if screen::is_terminal() {
        print(&curves(&spec, args)?)?;
    }
    print(&schedules(&spec, &plan).render(Format::Table))?;
    print(&format!("\n{}{}", text(&plan, steps, &left, time, workers), later(&spec, &plan)))
}

/// The later rounds, which depend on the results.
fn later(spec: &spec::Spec, plan: &spec::Plan) -> String {
    let mut text = plan.screening.as_ref().map(screened).unwrap_or_default();
    if let (runs @ 1.., steps) = tuning_left(spec, plan) {
        text.push_str(&format!(
            "then at most {runs} runs ({steps} steps) with more tuning seeds: after {} of {} seeds only the better half of each schedule's lrs gets \
             more, with the neighbours of the best one (`halving`)\n",
            listed_and(&spec.seeds.rungs()),
            spec.seeds.choosing()
        ));
    }
    if spec.extend > 0 {
        text.push_str(&format!(
            "if the best lr of a schedule is at the edge of its grid, the grid is extended, at most {} times (`extend: false` disables this)\n",
            spec.extend
        ));
    }
    if spec.refine > 0 {
        text.push_str(&format!(
            "where a parabola puts the best lr of a schedule between those of its grid, that lr is trained, at most {} for each schedule \
             (`refine: false` disables this)\n",
            spec.refine
        ));
    }
    text.push_str(&spec.search.as_ref().map_or(String::new(), searching));
    let deciding = match spec.seeds {
        Seeds::Each { .. } => "runs on the seeds after the first look",
        _ if spec.search.is_some() => {
            "deciding runs: the found schedule and the best named one on fresh seeds"
        }
        _ => "deciding runs: the chosen configs on fresh seeds",
    };
    match (deciding_runs(spec, plan), spec.seeds.looks()) {
        (0, _) => {}
        (runs, None) => text.push_str(&format!("then {runs} {deciding}\n")),
        (runs, Some(looks)) => {
            text.push_str(&format!("then at most {runs} {deciding}, {}\n", with(looks)));
            text.push_str(&expectation(spec, looks));
        }
    }
    text
}

/// As in `1, 2 and 4`.
fn listed_and(numbers: &[usize]) -> String {
    let texts: Vec<String> = numbers.iter().map(usize::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}

/// How predictions choose schedules.
fn screened(screening: &Screening) -> String {
    let names =
        |each: &[Candidate]| each.iter().map(|each| each.schedule.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "trained first, to learn a law of their loss curves: {}; then {} of these with the lowest predicted losses: {}\n",
        names(&screening.learned),
        screening.keep,
        names(&screening.candidates)
    );
    if !screening.always.is_empty() {
        let each: Vec<String> =
            screening.always.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        text.push_str(&format!("trained first, because they can't be predicted: {}\n", each.join(", ")));
    }
    text
}

/// The trials of a search, as text.
fn searching(search: &spec::search::Search) -> String {
    let Settings { knots, method, trials, population, seeds, .. } = &search.settings;
    let method = match method {
        Method::CmaEs => "CMA-ES",
        Method::Random => "random search",
    };
    let free = match knots.free.len() {
        0 => String::new(),
        n => format!(", {n} of them free in time"),
    };
    format!(
        "then a search for the schedule `{}` by {method}: at most {trials} trials of shapes with {} knots{free}, {population} in a generation, \
         on {seeds} to {} seeds\n",
        search.name,
        knots.count,
        seeds * RISE
    )
}

/// The expected number of judging runs with looks, as a table.
fn expectation(spec: &spec::Spec, looks: &Looks) -> String {
    let most = looks.most() * compared(spec) as u64 * budgets(spec).len() as u64;
    let table = expected(most, &costs(spec, looks)).render(Format::Table);
    format!(
        "\nexpected judging runs of {most}, if all other schedules are worse than the best by this many standard deviations of the paired \
         difference:\n{table}"
    )
}

/// The expected number of deciding runs of all budgets.
fn costs(spec: &spec::Spec, looks: &Looks) -> Vec<Expected> {
    let each = expected_runs(compared(spec), looks).into_iter();
    each.map(|at| Expected { runs: at.runs * budgets(spec).len() as f64, ..at }).collect()
}

/// Number of schedules that the deciding seeds compare.
fn compared(spec: &spec::Spec) -> usize {
    if spec.search.is_some() { 2 } else { spec.schedules.len() }
}

/// The trials that are not stored yet.
struct Left {
    /// Number of trials with stored results.
    stored: usize,
    trials: Vec<Trial>,
}

/// The estimated training time, and where the estimate is from.
struct Time {
    span: Duration,
    source: &'static str,
}

impl Left {
    fn of(stored: &Stored) -> Self {
        let is_left = |trial: &&Trial| !stored.ended.contains(&trial.id);
        Self {
            stored: stored.ended.len(),
            trials: stored.plan.trials.iter().filter(is_left).cloned().collect(),
        }
    }

    /// Estimates the training time; `None` without data.
    fn time(&self, stored: &Stored, args: &Args, workers: usize, global: &Global) -> Option<Time> {
        if self.trials.iter().any(|trial| trial.config.task.program().is_some()) {
            let separate = of_programs(&self.trials, &stored.times)?;
            let trained = if args.no_share { 1.0 } else { trained_share(&self.trials) };
            let span = separate.mul_f64(trained) / u32::try_from(workers).unwrap_or(1).max(1);
            return Some(Time { span, source: "from the times of stored runs" });
        }
        match orchestrator::estimate(
            &self.trials,
            !args.no_share,
            workers,
            trainer::device::Device::Cpu,
            global.context.data_sources(),
        ) {
            Ok(time) => time.map(|span| Time { span, source: "measured by a short probe" }),
            Err(error) => {
                if !global.quiet {
                    say(format_args!("no time estimate: {error}"));
                }
                None
            }
        }
    }
}

/// The share of the steps of trials that is trained when they share steps, from 0 to 1.
fn trained_share(trials: &[Trial]) -> f64 {
    let all: u64 = trials.iter().map(|trial| trial.config.task.steps).sum();
    spec::share::trained_steps(&trials.iter().collect::<Vec<_>>()) as f64 / all.max(1) as f64
}

/// Total time of trials that a program trains, each separately, from the median time per step of stored runs: those with the same command and
/// parameters, or else those with the same command.
fn of_programs(trials: &[Trial], times: &[(String, i64, i64)]) -> Option<Duration> {
    let known: Vec<(Program, f64)> = times
        .iter()
        .filter_map(|(config, steps, milliseconds)| {
            let config: serde_json::Value = serde_json::from_str(config).ok()?;
            let program = serde_json::from_value(config.pointer("/task/trainer")?.clone()).ok()?;
            Some((program, *milliseconds as f64 / 1000.0 / (*steps).max(1) as f64))
        })
        .collect();
    let median = |same: &dyn Fn(&Program) -> bool| {
        let mut found: Vec<f64> =
            known.iter().filter(|(program, _)| same(program)).map(|(_, seconds)| *seconds).collect();
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    };
    let mut by_program: Vec<(&Program, f64)> = Vec::new();
    let mut seconds = 0.0;
    for trial in trials {
        let program = trial.config.task.program()?;
        let known = by_program.iter().find(|(other, _)| *other == program).map(|(_, step)| *step);
        let step = match known {
            Some(step) => step,
            None => {
                let alike =
                    |other: &Program| other.command == program.command && other.params == program.params;
                let step = median(&alike).or_else(|| median(&|other| other.command == program.command))?;
                by_program.push((program, step));
                step
            }
        };
        seconds += step * trial.config.task.steps as f64;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// The plan as text.
fn text(plan: &spec::Plan, steps: u64, left: &Left, time: Option<Time>, workers: usize) -> String {
    let (requested, all) = (plan.steps_requested(), plan.trials.len());
    let mut text = format!("{} runs, {all} trials", plan.cells.len());
    if plan.merged() > 0 {
        text.push_str(&format!(" ({} runs are the same as another)", plan.merged()));
    }
    text.push_str(&format!("\n{requested} steps, {steps} to train"));
    if steps < requested {
        let times = fewer(requested, steps);
        text.push_str(&format!(": {times}, because trials share steps while they are the same run"));
    }
    text.push('\n');
    let programs = plan.trials.iter().any(|trial| trial.config.task.program().is_some());
    if programs && steps < requested {
        text.push_str("one trial that shares steps is also trained separately, to check that this does not change its losses\n");
    }
    // Closed-loop trials of programs share no steps.
    let closed =
        plan.trials.iter().filter(|trial| !programs && !spec::share::is_open_loop(&trial.config)).count();
    if closed > 0 {
        text.push_str(&format!(
            "{closed} trials watch losses or gradients, so their shared steps are known only during training\n"
        ));
    }
    if left.stored > 0 {
        text.push_str(&match left.trials.len() {
            0 => format!("all {} trials are stored, nothing to train\n", left.stored),
            n => format!("{} trials are stored, {n} are left to train\n", left.stored),
        });
    }
    if programs && time.is_none() && !left.trials.is_empty() {
        text.push_str("no time estimate: the program has not been run yet\n");
    }
    if let Some(Time { span: time, source }) = time.filter(|_| !left.trials.is_empty()) {
        text.push_str(&format!("{} on {}, {source}\n", about(time), counted(workers, "worker")));
    }
    text
}

/// Most curves to draw with the plan.
const MOST_CURVES: usize = 16;

/// The lr curves as text, for a terminal.
fn curves(spec: &spec::Spec, args: &Args) -> Result<String, Failure> {
    let schedules: Vec<_> = spec.schedules.iter().collect();
    let file = args.file.display().to_string();
    let figure = super::plot::rates::of_sweep(spec, &schedules, None, Scale::Linear, &file)?.figure;
    Ok(match figure.curves.len() {
        0 => String::new(),
        1..=MOST_CURVES => format!("{}\n", figure.text(screen::width())),
        many => format!("`sweep plot {file}` draws the {many} lr curves\n\n"),
    })
}

/// The plan as JSON.
fn summary(
    spec: &spec::Spec,
    plan: &spec::Plan,
    steps: u64,
    left: &Left,
    time: Option<Time>,
) -> serde_json::Value {
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
        "seeds": spec.seeds.choosing(),
        "tuning_trials": tuning_left(spec, plan).0,
        "added_trials": added_runs(spec),
        "search_trials": spec.search.as_ref().map_or(0, |search| search.settings.trials),
        "deciding_trials": deciding_runs(spec, plan),
        "expected_deciding_trials": expected_trials(spec),
        "runs_asked": plan.cells.len(),
        "trials": plan.trials.len(),
        "merged": plan.merged(),
        "steps_asked": plan.steps_requested(),
        "steps_trained": steps,
        "trials_stored": left.stored,
        "trials_left": left.trials.len(),
        "estimate_seconds": time.map(|time| time.span.as_secs_f64()),
        "warnings": plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "runs": trials,
    })
}

/// The expected numbers of deciding runs with looks; null without.
fn expected_trials(spec: &spec::Spec) -> serde_json::Value {
    let looks = spec.seeds.looks();
    looks.map_or(serde_json::Value::Null, |looks| {
        costs(spec, looks).iter().map(super::compare::expected).collect()
    })
}

/// One row per schedule.
fn schedules(spec: &spec::Spec, plan: &spec::Plan) -> Rows {
    let mut rows = Rows::new(["schedule", "variants", "base lrs", "seeds", "trials", "steps"]);
    for schedule in &spec.schedules {
        let lrs: Vec<String> = schedule.lrs(spec).into_iter().map(short).collect();
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
            spec.seeds.choosing().into(),
            trials.into(),
            steps.into(),
        ]);
    }
    rows
}

/// One row per trial.
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

/// Path and value of each axis except the base lr, as in the database.
fn axes(trial: &spec::trial::Trial) -> serde_json::Value {
    let axes = trial.config.axes.iter();
    axes.map(|(path, value)| (path.clone(), serde_json::Value::from(value.as_str()))).collect()
}
