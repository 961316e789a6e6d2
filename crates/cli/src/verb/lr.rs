//! `sweep lr`: the learning rates of one schedule, in full precision, as for a comparison with another library.

use std::path::{Path, PathBuf};

use interop::BaseLr;
use schedule::groups::{GroupInfo, name_hint};
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};
use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Feedback, Horizon, Node, Schedule};
use serde_json::{Value as Json, json};
use spec::axes::Variant;
use spec::group_lrs::{GroupLrs, names_groups};
use sweep::source::{Source, read as read_file};

use crate::args::{path, whole};
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::input;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A schedule, as in '{kind: cosine}' or {lr: ..., schedule: ...}, or a call copied from a Python program, as in
    /// 'torch.OneCycleLR(max_lr=0.1, total_steps=100)' (`-` reads standard input)
    #[arg(allow_hyphen_values = true)]
    pub schedule: String,
    /// Base lr (`1x`), instead of the one in the schedule or in the optimizer's call [default: 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Length of the run in steps [default: as stated by the schedule, for example by total_steps or T_max]
    #[arg(long, value_name = "T", value_parser = whole(1..=u64::MAX))]
    pub total: Option<u64>,
    /// Number of values to print, from step 0; may exceed the run [default: T]
    #[arg(long, value_name = "N", value_parser = whole(0..=u64::MAX))]
    pub steps: Option<u64>,
    /// Steps per epoch
    #[arg(long, value_name = "M", value_parser = whole(1..=u64::MAX))]
    pub steps_per_epoch: Option<u64>,
    /// Parameter group, for a schedule with `groups` [default: the first one]
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// JSON array with the metric after each step, for schedules that watch the loss
    #[arg(long, value_name = "FILE.json", value_parser = path())]
    pub metrics: Option<PathBuf>,
    /// JSON object with `grads`, `params` (one array per step), `losses` or `noise` (one number per step), for schedules that
    /// watch gradients and for `noise`
    #[arg(long, value_name = "FILE.json", value_parser = path())]
    pub inputs: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = LrFormat::Csv)]
    pub format: LrFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LrFormat {
    /// Columns step, lr and (if the schedule cycles it) momentum
    Csv,
    /// {"lr": [...], "momentum": [...] or null, "groups": the same for each parameter group, or null}
    Json,
}

/// Most values to print.
const MOST_STEPS: u64 = 100_000_000;

pub(crate) fn run(args: &Args, _: &Global) -> Outcome {
    let source = match args.schedule.as_str() {
        "-" => read_file(Path::new("-"), "schedule", spec::yaml::MAX_BYTES)?,
        text => Source { name: "<schedule>".to_owned(), text: text.to_owned() },
    };
    let Fitted { schedule, total, .. } = fit(&source, args.lr, args.total, args.steps_per_epoch)?;
    let schedule = match &args.group {
        Some(name) => of_group(&schedule, name)?,
        None => schedule,
    };
    let steps = args.steps.unwrap_or(total);
    if steps > MOST_STEPS {
        return Err(Failure::usage(format_args!("--steps {steps} is above the limit of {MOST_STEPS}")));
    }
    let seen = Seen::read(args)?;
    seen.check(&schedule, steps)?;
    let (lrs, momenta) = trajectory(&schedule, steps, &seen);
    match args.format {
        LrFormat::Json => {
            let of = |schedule: &Schedule| trajectory(schedule, steps, &seen);
            print(&format!("{}\n", by_group_json((lrs, momenta), &schedule, of)))
        }
        LrFormat::Csv => {
            if let Some(note) = groups_note(&schedule) {
                say(format_args!("note: {note}; select another with --group, or all with --format json"));
            }
            print(&csv(&lrs, momenta.as_deref()))
        }
    }
}

/// The lrs of a run, and the momenta if the schedule cycles them.
type Trajectory = (Vec<f64>, Option<Vec<f64>>);

/// The lrs of a schedule as JSON, also those of its parameter groups. `of` gives those of a schedule.
pub(super) fn by_group_json(
    (lrs, momenta): Trajectory,
    schedule: &Schedule,
    of: impl Fn(&Schedule) -> Trajectory,
) -> Json {
    let group = |(i, group): (usize, GroupInfo<'_>)| {
        let (lrs, momenta) = of(&schedule.of_group(i)?);
        Some((group.name.to_owned(), json!({ "lr": lrs, "momentum": momenta })))
    };
    let groups: serde_json::Map<String, Json> = schedule.groups().enumerate().filter_map(group).collect();
    let groups = (!groups.is_empty()).then_some(groups);
    json!({ "lr": lrs, "momentum": momenta, "groups": groups })
}

/// Which parameter group the lrs of a schedule are those of; `None` if it has no groups.
fn groups_note(schedule: &Schedule) -> Option<String> {
    let mut names = schedule.groups().map(|group| group.name);
    let first = names.next()?;
    Some(format!("these are the lrs of the first parameter group, `{first}`"))
}

/// The schedule of a parameter group.
fn of_group(schedule: &Schedule, name: &str) -> Result<Schedule, Failure> {
    if !schedule.is_grouped() {
        return Err(Failure::usage("--group is for a schedule with `groups`, which this one has not"));
    }
    let names: Vec<&str> = schedule.groups().map(|group| group.name).collect();
    let found = names.iter().position(|known| *known == name).and_then(|i| schedule.of_group(i));
    found.ok_or_else(|| {
        let hint = name_hint(name, names);
        Failure::usage(format_args!("the schedule has no parameter group `{name}` ({hint})"))
    })
}

/// A schedule that was given as text, and the run that it is resolved for.
pub(super) struct Fitted {
    pub(super) schedule: Schedule,
    pub(super) base_lr: f64,
    pub(super) total: u64,
}

/// The values for a schedule that does not state them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unstated {
    /// The base lr.
    pub(super) lr: f64,
    /// The length of the run in steps. `None`: it has to be stated.
    pub(super) total: Option<u64>,
}

/// Parses a schedule, a `{lr, schedule}` document or a Python call, and resolves it for a run of `total` steps (default: the
/// length that the schedule states).
pub(super) fn fit(
    source: &Source,
    lr: Option<f64>,
    total: Option<u64>,
    steps_per_epoch: Option<u64>,
) -> Result<Fitted, Failure> {
    fit_or(source, lr, total, steps_per_epoch, Unstated { lr: 1.0, total: None })
}

/// The same, with other values for what is not stated.
pub(super) fn fit_or(
    source: &Source,
    lr: Option<f64>,
    total: Option<u64>,
    steps_per_epoch: Option<u64>,
    unstated: Unstated,
) -> Result<Fitted, Failure> {
    let wrong = |problems: Vec<Problem>| {
        let Source { name, text } = source.clone();
        Failure::Problems { name, text, problems }
    };
    let Read { node, stated } = read(&source.text).map_err(wrong)?;
    let Some(total) = total.or_else(|| node.stated_length(steps_per_epoch)).or(unstated.total) else {
        return Err(match node.stated_epochs() {
            Some(epochs) => Failure::usage(format_args!(
                "this schedule is {epochs} epochs long: give the steps per epoch with --steps-per-epoch M"
            )),
            None => Failure::usage(
                "this schedule does not state a length: give the length of the run in steps with --total T",
            ),
        });
    };
    let fitted = |base_lr: f64| {
        let schedule = node.resolve(&Horizon { base_lr, total, steps_per_epoch }).map_err(wrong)?;
        Ok(Fitted { schedule, base_lr, total })
    };
    if let Some(lr) = lr {
        return fitted(positive(lr).map_err(|problem| wrong(vec![problem]))?);
    }
    match stated {
        Stated::Lr(lr) => fitted(positive(lr).map_err(|problem| wrong(vec![problem]))?),
        Stated::Default => fitted(unstated.lr),
        Stated::Pasted(BaseLr::Known(lr, groups)) => {
            if groups.iter().any(|other| *other != lr) {
                let all: Vec<String> = groups.iter().map(f64::to_string).collect();
                say(format_args!(
                    "note: the parameter groups have the lrs {}; the first one is used",
                    all.join(", ")
                ));
            }
            fitted(positive(lr).map_err(|problem| wrong(vec![problem]))?)
        }
        Stated::Pasted(BaseLr::Unstated) => {
            let one = fitted(unstated.lr)?;
            if depends(&one.schedule, &fitted(2.0 * unstated.lr)?.schedule) {
                say(format_args!(
                    "note: no optimizer call with the base lr was found, so it is {}; set it with --lr",
                    unstated.lr
                ));
            }
            Ok(one)
        }
        Stated::Pasted(BaseLr::Unknown(problem)) => {
            let one = fitted(1.0)?;
            if depends(&one.schedule, &fitted(2.0)?.schedule) { Err(wrong(vec![problem])) } else { Ok(one) }
        }
    }
}

/// Most steps at which two schedules are compared.
const MOST_COMPARED: u64 = 1000;

/// Whether a schedule depends on its base lr: whether the lrs differ between two base lrs.
fn depends(one: &Schedule, other: &Schedule) -> bool {
    let (a, b) = (one.start(), other.start());
    let steps = if one.feedback() == Feedback::ClosedLoop { 1 } else { one.horizon().total };
    let every = steps.div_ceil(MOST_COMPARED).max(1);
    (0..steps).step_by(usize::try_from(every).unwrap_or(usize::MAX)).any(|t| one.lr(t, &a) != other.lr(t, &b))
}

/// A parsed schedule, and the base lr in its text.
struct Read {
    node: Node,
    stated: Stated,
}

enum Stated {
    /// A document's own `lr`.
    Lr(f64),
    /// A document without one.
    Default,
    Pasted(BaseLr),
}

/// Parses a text.
fn read(text: &str) -> Result<Read, Vec<Problem>> {
    let (stated, node, path) = if interop::is_program(text) {
        let pasted = interop::parse_program(text).map_err(|problem| vec![problem])?;
        (Stated::Pasted(pasted.lr), pasted.schedule, "")
    } else {
        let tree = spec::yaml::read(text)?;
        match (tree.get("schedule"), tree.get("lr").filter(|lr| names_groups(lr))) {
            (Some(node), Some(lr)) if is_grouped(node) => {
                let (lr, node) = lrs_of_groups(lr, node)?;
                (lr, node, "schedule")
            }
            (Some(node), _) => {
                (document_lr(&tree)?.map_or(Stated::Default, Stated::Lr), node.clone(), "schedule")
            }
            // A schedule with its own `lr`, as in a sweep file.
            (None, by_group) => match spec::sweep_file::without_lr(&tree) {
                (node, Some(lr)) if by_group.is_some() && is_grouped(&node) => {
                    let (lr, node) = lrs_of_groups(lr, &node)?;
                    (lr, node, "")
                }
                (node, Some(lr)) => (own_lr(lr)?, node, ""),
                (node, None) => (Stated::Default, node, ""),
            },
        }
    };
    let mut problems = Vec::new();
    let parsed = interop::parse(&node, path, &mut problems);
    schedule::problem::sort_problems(&mut problems);
    parsed.filter(|_| problems.is_empty()).ok_or(problems).map(|node| Read { node, stated })
}

/// Checks a base lr.
fn positive(lr: f64) -> Result<f64, Problem> {
    match lr.is_finite() && lr > 0.0 {
        true => Ok(lr),
        false => {
            Err(Problem::new(Default::default(), "--lr", format!("expected a number above 0, found {lr}")))
        }
    }
}

/// The `lr` in a schedule.
fn own_lr(lr: &Tree) -> Result<Stated, Vec<Problem>> {
    let field = schedule::fields::Field { tree: lr, path: "lr".to_owned() };
    let read = schedule::fields::number_where("a number above 0", |x| x > 0.0)(&field);
    read.map(Stated::Lr).map_err(|problem| vec![problem])
}

fn is_grouped(node: &Tree) -> bool {
    schedule::groups::entries(node).is_some()
}

/// The base lr of the first parameter group, and the schedule with those of the others.
fn lrs_of_groups(lr: &Tree, node: &Tree) -> Result<(Stated, Tree), Vec<Problem>> {
    let mut problems = Vec::new();
    let lrs = GroupLrs::read(lr, "lr", &mut problems);
    let with = lrs.as_ref().and_then(|lrs| lrs.applied(node, &mut problems));
    let (Some(lrs), Some(with)) = (lrs, with) else { return Err(problems) };
    match <[Variant; 1]>::try_from(with) {
        Ok([one]) => Ok((own_lr(lrs.of_first())?, one.tree)),
        Err(_) => {
            let problem =
                Problem::new(lr.place, "lr", "expected one number for each parameter group, found an axis");
            Err(vec![problem])
        }
    }
}

/// The `lr` of a document. Any key other than `lr` and `schedule` is an error.
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

/// The losses, gradients and parameters that a schedule sees, from --metrics and --inputs.
#[derive(Debug, Default)]
struct Seen {
    metrics: Option<Vec<f64>>,
    losses: Vec<f64>,
    /// One row per step.
    gradients: Vec<Vec<f64>>,
    parameters: Vec<Vec<f64>>,
    /// One number per step, for `noise`.
    noise: Vec<f64>,
}

impl Seen {
    fn read(args: &Args) -> Result<Self, Failure> {
        let mut seen = Seen::default();
        if let Some(path) = &args.metrics {
            let what = "a JSON array of numbers";
            let json = input::json(path, what)?;
            let numbers = numbers(&json).ok_or_else(|| expected(path, what))?;
            seen.metrics = Some(numbers);
        }
        if let Some(path) = &args.inputs {
            let what = "a JSON object with arrays `losses`, `grads`, `params` or `noise`";
            let json = input::json(path, what)?;
            let object = json.as_object().ok_or_else(|| expected(path, what))?;
            let given = |key: &str| object.get(key).filter(|json| !json.is_null());
            let list = |key: &str| match given(key) {
                Some(json) => numbers(json)
                    .ok_or_else(|| expected(path, &format!("`{key}` as an array of numbers, one per step"))),
                None => Ok(Vec::new()),
            };
            let rows = |key: &str| match given(key) {
                Some(json) => rows(json).ok_or_else(|| {
                    expected(path, &format!("`{key}` as an array of arrays of numbers, one per step"))
                }),
                None => Ok(Vec::new()),
            };
            (seen.losses, seen.noise) = (list("losses")?, list("noise")?);
            (seen.gradients, seen.parameters) = (rows("grads")?, rows("params")?);
            let lengths = || seen.gradients.iter().chain(&seen.parameters).map(Vec::len);
            if lengths().min() != lengths().max() {
                return Err(expected(path, "all rows of `grads` and `params` to have the same length"));
            }
            if [&seen.losses, &seen.noise].iter().all(|list| list.is_empty())
                && seen.gradients.is_empty()
                && seen.parameters.is_empty()
            {
                return Err(expected(path, what));
            }
        }
        Ok(seen)
    }

    /// Refuses a closed-loop schedule without its inputs, which would look constant.
    fn check(&self, schedule: &Schedule, steps: u64) -> Outcome {
        let needs = schedule.needs();
        // A metric is seen after its step.
        let metrics = self.metrics.as_ref().map_or(0, |metrics| metrics.len() + 1);
        let losses = if self.metrics.is_some() { metrics } else { self.losses.len() };
        for (needed, have, what) in [
            (needs.loss, losses, "--metrics FILE.json, or --inputs FILE.json with `losses`"),
            (needs.accuracy, metrics, "--metrics FILE.json with an accuracy for each step"),
            (!schedule.own_metrics().is_empty(), metrics, "--metrics FILE.json with a value for each step"),
            (needs.gradient, self.gradients.len(), "--inputs FILE.json with `grads`"),
            (needs.parameters, self.parameters.len(), "--inputs FILE.json with `params`"),
        ] {
            if needed && have == 0 {
                return Err(Failure::usage(format_args!("this schedule depends on training: pass {what}")));
            }
            if needed && (have as u64) < steps {
                return Err(Failure::usage(format_args!("the inputs have {have} steps, {steps} are needed")));
            }
        }
        Ok(())
    }
}

fn expected(path: &Path, what: &str) -> Failure {
    Failure::usage(format_args!("{}: expected {what}", path.display()))
}

/// Reads an array of numbers; null is NaN, and the texts "Infinity" and "-Infinity" are infinities.
fn numbers(json: &Json) -> Option<Vec<f64>> {
    let number = |x: &Json| match x {
        Json::Null => Some(f64::NAN),
        Json::String(word) if word == "Infinity" => Some(f64::INFINITY),
        Json::String(word) if word == "-Infinity" => Some(f64::NEG_INFINITY),
        x => x.as_f64(),
    };
    json.as_array()?.iter().map(number).collect()
}

/// Reads an array of arrays of numbers.
fn rows(json: &Json) -> Option<Vec<Vec<f64>>> {
    json.as_array()?.iter().map(numbers).collect()
}

/// The lr and momentum of each step, for a schedule that sees `seen`.
fn trajectory(schedule: &Schedule, steps: u64, seen: &Seen) -> (Vec<f64>, Option<Vec<f64>>) {
    let mut state = schedule.start().with_noise(seen.noise.clone());
    let mut vectors = Plain::default();
    let own = schedule.own_metrics();
    let (mut lrs, mut momenta) = (Vec::new(), Vec::new());
    for t in 0..steps {
        let at = |values: &[f64]| usize::try_from(t).ok().and_then(|t| values.get(t).copied());
        let metric = seen.metrics.as_deref().and_then(at);
        let train_loss = metric.or_else(|| at(&seen.losses)).unwrap_or(f64::NAN);
        let row = |rows: &[Vec<f64>]| {
            usize::try_from(t).ok().and_then(|t| rows.get(t).cloned()).unwrap_or_default()
        };
        (vectors.gradient, vectors.parameters) = (row(&seen.gradients), row(&seen.parameters));
        let grad_norm_squared = vectors.gradient.iter().map(|g| g * g).sum();
        let before = BeforeUpdate { train_loss, grad_norm_squared };
        schedule.before_update(&mut state, t, &before, &mut vectors);
        lrs.push(schedule.lr(t, &state));
        momenta.extend(schedule.momentum(t));
        let after = AfterUpdate {
            train_loss,
            valid_loss: metric,
            valid_accuracy: metric,
            own: &own.iter().filter_map(|(name, _)| Some((name.to_string(), metric?))).collect(),
            evaluated: metric.is_some(),
        };
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
