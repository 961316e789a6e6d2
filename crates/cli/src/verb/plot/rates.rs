//! The lr curves of a sweep file or of one schedule, which are known before training.

use std::collections::HashSet;
use std::path::Path;

use report::plot::{Curve, Figure, Scale, curve};
use schedule::groups::GroupInfo;
use schedule::problem::{listed, nearest};
use schedule::tree::{Tree, Value};
use schedule::{Feedback, Horizon, Schedule};
use spec::Spec;
use spec::sweep_file::{NamedSchedule, Point};
use sweep::plan::Aim;
use sweep::source::{Source, read as read_file};

use super::args::{Args, AxisScale};
use crate::args::Warnings;
use crate::exit::{Failure, say};
use crate::global::Global;
use crate::input::{self, is_schedule, is_sweep};
use crate::verb::lr::Fitted;

/// The lr curves of a sweep file or a schedule.
pub(super) fn figure(args: &Args, what: &str, global: &Global) -> Result<Figure, Failure> {
    match read(what)? {
        (source, true) => of_file(args, what, &source, global),
        (source, false) => of_schedule(args, &source),
    }
}

/// Reads the text to draw. Also returns whether it is a sweep file.
fn read(what: &str) -> Result<(Source, bool), Failure> {
    let path = Path::new(what);
    if what != "-" && !path.exists() && is_schedule(what) {
        return Ok((Source { name: "<schedule>".to_owned(), text: what.to_owned() }, false));
    }
    let source = read_file(path, "sweep file or schedule such as '{kind: cosine}'", spec::yaml::MAX_BYTES)?;
    let sweep = is_sweep(&source);
    Ok((source, sweep))
}

fn scale(args: &Args) -> Scale {
    if args.log || args.scale == AxisScale::Log { Scale::Log } else { Scale::Linear }
}

/// One schedule, for a run that the command line describes.
fn of_schedule(args: &Args, source: &Source) -> Result<Figure, Failure> {
    if !args.select.is_empty() {
        return Err(Failure::usage(
            "--select needs a sweep file with several schedules; this is a single schedule",
        ));
    }
    let Fitted { schedule, base_lr, total } =
        crate::verb::lr::fit(source, args.lr, args.total, args.steps_per_epoch)?;
    if schedule.feedback() == Feedback::ClosedLoop {
        return Err(Failure::usage(
            "the lr of this schedule depends on losses or gradients, so it is not known before training; `sweep schedules NAME` \
             shows it in a simulated run, `sweep lr --metrics FILE.json` for your own losses",
        ));
    }
    let title = if source.name == "<schedule>" { source.text.trim() } else { source.name.as_str() };
    Ok(Figure {
        title: title.split_whitespace().collect::<Vec<_>>().join(" "),
        notes: Vec::new(),
        x_title: steps_title(args.steps_per_epoch),
        y_title: format!("learning rate (1x = {})", report::short(base_lr)),
        scale: scale(args),
        total,
        curves: curves("lr", &schedule, total),
    })
}

/// The curve of a schedule, or one for each of its parameter groups.
fn curves(name: &str, schedule: &Schedule, total: u64) -> Vec<Curve> {
    let groups = schedule.groups().enumerate();
    let of = |(i, group): (usize, GroupInfo<'_>)| {
        Some(curve(&format!("{name}: {}", group.name), &schedule.of_group(i)?, total))
    };
    match schedule.is_grouped() {
        true => groups.filter_map(of).collect(),
        false => vec![curve(name, schedule, total)],
    }
}

fn steps_title(steps_per_epoch: Option<u64>) -> String {
    match steps_per_epoch {
        Some(steps) => format!("step (an epoch is {steps})"),
        None => "step".to_owned(),
    }
}

/// The schedules of a sweep file, at one base lr: other base lrs would only scale the curves.
fn of_file(args: &Args, what: &str, source: &Source, global: &Global) -> Result<Figure, Failure> {
    let quiet = global.quiet;
    for (flag, given) in
        [("--total", args.total.is_some()), ("--steps-per-epoch", args.steps_per_epoch.is_some())]
    {
        if given {
            return Err(Failure::usage(format_args!(
                "{flag} is for a single schedule: a sweep file defines its own"
            )));
        }
    }
    let (spec, _) = input::sweep_text(Path::new(what), source, Aim::LookUp, Warnings::default(), global)?;
    let chosen = selected(&spec, &args.select)?;
    let drawn = of_sweep(&spec, &chosen, args.lr, scale(args), &source.name)?;
    if let Some(note) = &drawn.left_out {
        if drawn.figure.curves.is_empty() {
            return Err(Failure::usage(note));
        }
        if !quiet && args.output.is_some() {
            say(note);
        }
    }
    Ok(drawn.figure)
}

/// A sweep's curves, and a note on schedules without a curve.
pub(crate) struct Drawn {
    pub(crate) figure: Figure,
    left_out: Option<String>,
}

/// Draws schedules of a sweep, each at one base lr: the given one, or the middle one of the schedule's own or the file's grid.
pub(crate) fn of_sweep(
    spec: &Spec,
    schedules: &[&NamedSchedule],
    lr: Option<f64>,
    scale: Scale,
    file: &str,
) -> Result<Drawn, Failure> {
    let (point, common, at) = point(spec, lr)?;
    let total = point.task.steps;
    let steps_per_epoch = point.task.steps_per_epoch;
    let (mut drawn, mut rules) = (Vec::new(), Vec::new());
    let mut own = false;
    for each in schedules {
        for (variant, mut name) in each.variants.iter().zip(labels(each)) {
            let mut base_lr = common;
            if let (None, Some(lrs)) = (lr, &variant.lrs) {
                base_lr = middle(&sorted(lrs));
                name.push_str(&format!(" at lr {}", report::short(base_lr)));
                own = true;
            }
            let horizon = Horizon { base_lr, total, steps_per_epoch };
            let wrong = |problems| {
                let (name, text) = (file.to_owned(), spec.text.clone());
                Failure::Problems { name, text, problems }
            };
            let schedule = variant.node.resolve(&horizon).map_err(wrong)?;
            match schedule.feedback() {
                Feedback::OpenLoop => drawn.extend(curves(&name, &schedule, total)),
                Feedback::ClosedLoop => rules.push(name),
            }
        }
    }
    let left_out = (!rules.is_empty()).then(|| {
        let names = rules.join(", ");
        format!(
            "not drawn: {names} (the lr depends on losses or gradients, so it is not known before training)"
        )
    });
    let y_title = match own {
        true => "learning rate".to_owned(),
        false => format!("learning rate (1x = {})", report::short(common)),
    };
    let figure = Figure {
        title: format!("{}: learning rates", spec.name),
        notes: std::iter::once(at).chain(left_out.clone()).collect(),
        x_title: steps_title(steps_per_epoch),
        y_title,
        scale,
        total,
        curves: drawn,
    };
    Ok(Drawn { figure, left_out })
}

fn sorted(lrs: &[f64]) -> Vec<f64> {
    let mut lrs = lrs.to_vec();
    lrs.sort_by(f64::total_cmp);
    lrs
}

/// The middle one of sorted lrs.
fn middle(lrs: &[f64]) -> f64 {
    lrs.get(lrs.len().saturating_sub(1) / 2).copied().unwrap_or(1.0)
}

/// The schedules that `--select` names; all by default.
fn selected<'a>(spec: &'a Spec, names: &[String]) -> Result<Vec<&'a NamedSchedule>, Failure> {
    let known = || spec.schedules.iter().map(|each| each.key.name.as_str());
    for name in names {
        if !known().any(|known| known == name) {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its schedules: {}", listed(known())),
            };
            return Err(Failure::usage(format_args!("--select: the sweep has no schedule `{name}`; {hint}")));
        }
    }
    let wanted = |each: &&NamedSchedule| names.is_empty() || names.contains(&each.key.name);
    Ok(spec.schedules.iter().filter(wanted).collect())
}

/// The point of the grid to draw, its base lr, and a note that describes both.
fn point(spec: &Spec, lr: Option<f64>) -> Result<(&Point, f64, String), Failure> {
    let lrs = spec.lrs();
    if let Some(lr) = lr
        && !(lr.is_finite() && lr > 0.0)
    {
        return Err(Failure::usage(format_args!("--lr: expected a number above 0, found {lr}")));
    }
    let base_lr = lr.unwrap_or_else(|| middle(&lrs));
    let point = spec.points.iter().find(|point| point.base_lr == Some(base_lr)).or(spec.points.first());
    let point = point.ok_or_else(|| Failure::failed("the sweep has no runs"))?;
    let words: Vec<String> = lrs.iter().map(|lr| report::short(*lr)).collect();
    let others = match lrs.as_slice() {
        [] => String::new(),
        [only] if *only == base_lr => String::new(),
        lrs if lrs.contains(&base_lr) => format!(", one of {}", words.join(", ")),
        _ => format!("; the sweep file has {}", words.join(", ")),
    };
    let axes: Vec<String> = point.chosen.iter().map(|(path, value)| format!(", {path}: {value}")).collect();
    let at = match (lrs.as_slice(), lr) {
        ([], None) => "each at its own base lr".to_owned(),
        _ => format!("at base lr {}{others}", report::short(base_lr)),
    };
    let note = format!("{at}; {} steps{}", point.task.steps, axes.concat());
    Ok((point, base_lr, note))
}

/// A name for each variant of a schedule, with short numbers if the names remain different.
fn labels(schedule: &NamedSchedule) -> Vec<String> {
    let all = |number: &dyn Fn(f64) -> String| -> Vec<String> {
        let chosen = schedule.variants.iter().map(|variant| variant.variant.chosen.as_slice());
        chosen.map(|chosen| label(&schedule.key.name, chosen, number)).collect()
    };
    let short = all(&report::short);
    let different = short.iter().collect::<HashSet<_>>().len();
    if different == short.len() { short } else { all(&|x| x.to_string()) }
}

/// A schedule's name and the values of its axes, each named by the last word of its path if that is unique.
fn label(name: &str, chosen: &[(String, Tree)], number: &dyn Fn(f64) -> String) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let mut name = name.to_owned();
    for (i, (path, value)) in chosen.iter().enumerate() {
        let short = last(path);
        let twice = chosen.iter().filter(|(other, _)| last(other) == short).count() > 1;
        let axis = if twice || short.parse::<usize>().is_ok() { path.clone() } else { short };
        let value = match &value.value {
            Value::Text(text) => text.clone(),
            Value::Float(x) => number(*x),
            _ => value.to_string(),
        };
        name.push_str(if i == 0 { ", " } else { " " });
        name.push_str(&if axis.is_empty() { value } else { format!("{axis} {value}") });
    }
    name
}
