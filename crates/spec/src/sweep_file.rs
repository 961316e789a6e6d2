//! Reads the sweep file: text to [`Spec`], with all problems. `task` reads the values that describe a run; `plan` decides what
//! to train.

use std::collections::HashSet;

use schedule::Node;
use schedule::fields::{Field, Fields, join, number_where};
use schedule::problem::{Problem, sort_problems};
use schedule::tree::{Key, Place, Tree, Value};

use crate::allow::{self, Allow};
use crate::axes::{self, Axis, Variant};
use crate::group_lrs::{GroupLrs, has_groups, names_groups};
use crate::metric::{self, Metric};
use crate::name::{check_name, name};
use crate::protocol::{self, Seeds};
use crate::screen::{self, Screen};
use crate::search::{self, Search};
use crate::trial::Task;
use crate::world::{EmptyWorld, World};
use crate::{ambiguous, plan, task, yaml};

/// The most trials of one sweep.
pub const MAX_TRIALS: u64 = 1_000_000;

/// A sweep file, read and checked as far as possible without resolving schedules for their runs.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The sweep's name.
    pub name: String,
    /// The text it was read from.
    pub text: String,
    /// The seeds that choose configs and the seeds that judge them.
    pub seeds: Seeds,
    /// The metric that chooses configs and ranks schedules.
    pub metric: Metric,
    /// How often the grid of a schedule whose best lr is at the edge may be extended.
    pub extend: u64,
    /// How many lrs between those of its grid a schedule may get.
    pub refine: u64,
    /// Which schedules predictions may leave out; `None`: all are trained.
    pub screen: Option<Screen>,
    /// The search for a shape, if the file has one.
    pub search: Option<Search>,
    /// The grid outside `schedules`: base lr and task of each point.
    pub points: Vec<Point>,
    /// Position of the file's `lr`, if no schedule uses it.
    pub(crate) idle_lr: Option<Place>,
    /// The schedules, in the order of the file.
    pub schedules: Vec<NamedSchedule>,
    /// The lints that the file silences.
    pub(crate) allows: Vec<Allow>,
    /// Warnings about the text itself.
    pub(crate) warnings: Vec<Problem>,
}

/// One point of the grid outside `schedules`.
#[derive(Debug, Clone)]
pub struct Point {
    /// The base lr, `1x`; `None` if the file has no `lr` and every schedule has its own.
    pub base_lr: Option<f64>,
    /// Everything else.
    pub task: Task,
    /// Path and value of each axis except `lr`.
    pub chosen: Vec<(String, Tree)>,
    /// Whether evaluations have an accuracy, as far as this is known before training.
    pub(crate) has_accuracy: bool,
}

/// One entry of `schedules`.
#[derive(Debug, Clone)]
pub struct NamedSchedule {
    /// Its name and the position of the name.
    pub key: Key,
    /// Its variants: one, or one for each combination of values of its axes (`lr` excepted).
    pub variants: Vec<NamedVariant>,
}

/// A schedule in which each axis is replaced by one of its values.
#[derive(Debug, Clone)]
pub struct NamedVariant {
    /// The schedule.
    pub node: Node,
    /// The schedule as written, without its `lr`, and the value of each axis.
    pub variant: Variant,
    /// The base lrs of the `lr` of this schedule, in the order of the file; `None`: the file's `lr` applies.
    pub lrs: Option<Vec<f64>>,
}

impl Spec {
    /// The points of the grid without their base lr, each once.
    pub fn runs(&self) -> Vec<&Point> {
        let mut seen = HashSet::new();
        let described = |point: &Point| {
            let chosen = point.chosen.iter().map(|(path, value)| format!("{path}: {value}"));
            chosen.collect::<Vec<_>>().join(", ")
        };
        self.points.iter().filter(|point| seen.insert(described(point))).collect()
    }

    /// The base lrs of a variant at each point of the grid.
    pub fn grid(&self, variant: &NamedVariant) -> Vec<(f64, &Point)> {
        match &variant.lrs {
            None => self.points.iter().filter_map(|point| Some((point.base_lr?, point))).collect(),
            Some(lrs) => {
                let runs = self.runs().into_iter();
                runs.flat_map(|point| lrs.iter().map(move |lr| (*lr, point))).collect()
            }
        }
    }

    /// The base lrs of the file's `lr`, in rising order.
    pub fn lrs(&self) -> Vec<f64> {
        rising(self.points.iter().filter_map(|point| point.base_lr))
    }
}

impl NamedSchedule {
    /// The base lrs of its grid, in rising order. `spec` is the sweep that it belongs to.
    pub fn lrs(&self, spec: &Spec) -> Vec<f64> {
        rising(self.variants.iter().flat_map(|variant| variant.lrs.clone().unwrap_or_else(|| spec.lrs())))
    }
}

fn rising(lrs: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut lrs: Vec<f64> = lrs.collect();
    lrs.sort_by(f64::total_cmp);
    lrs.dedup();
    lrs
}

/// Reads a sweep file that refers to nothing outside its text. `default_name` is the sweep's name if the file has none.
///
/// # Errors
/// Every problem of the text.
pub fn read(text: &str, default_name: &str) -> Result<Spec, Vec<Problem>> {
    read_with(text, default_name, &EmptyWorld)
}

/// Reads a sweep file, and looks up in `world` what it refers to.
///
/// # Errors
/// Every problem of the text.
pub fn read_with(text: &str, default_name: &str, world: &dyn World) -> Result<Spec, Vec<Problem>> {
    let (tree, unreadable) = yaml::parse(text);
    let Some(tree) = tree else { return Err(unreadable) };
    let mut problems = Vec::new();
    let spec = spec(&tree, text, default_name, world, &mut problems);
    // A value that is not valid YAML is reported once.
    problems.retain(|problem| unreadable.iter().all(|value| value.place != problem.place));
    problems.extend(unreadable);
    sort_problems(&mut problems);
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(problems),
    }
}

fn spec(
    tree: &Tree,
    source: &str,
    default_name: &str,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<Spec> {
    let mut fields = Fields::new(tree, "", problems)?;
    let name = fields.read_or("name", default_name.to_owned(), problems, name);
    let seeds = match fields.optional("seeds") {
        Some(field) => protocol::seeds(&field, problems),
        None => Some(Seeds::All(vec![0])),
    };
    let extend = fields.read_or("extend", protocol::default_extend(), problems, protocol::extend);
    let refine = fields.read_or("refine", 0, problems, protocol::refine);
    let metric = fields.read_or("metric", Metric::default(), problems, metric::read);
    let screen = fields.optional("screen").and_then(|field| screen::screen(&field, problems));
    fields.read_or("allow", Vec::new(), problems, schedule::lint::allow_list);
    let search = fields.optional("search").and_then(|field| search::read(&field, problems));
    let by_group = group_lrs(tree, problems);
    let schedules = fields
        .required("schedules", problems)
        .and_then(|field| schedules(&field, by_group.as_ref(), problems));

    // The rest of the file is one run with axes. Its keys are checked for each point of the grid.
    let run = run_of(tree, by_group.as_ref());
    let before = problems.len();
    let axes = axes::find(&run, "", problems);
    let bad = problems.split_off(before);
    let all_own = all_have_lrs(tree);
    let needs_lr = !all_own || tree.get("lr").is_some();
    let points = match axes::size(&axes) {
        Some(size) if size <= MAX_TRIALS => points(&run, &axes, needs_lr, world, problems),
        size => {
            problems.push(too_many(tree, size));
            None
        }
    };
    add_bad_axes(problems, before, bad);
    if let (Some(by_group), Some(found)) = (&by_group, problems.get_mut(before..)) {
        by_group.relabel(found);
    }

    // Problems of unreadable parts are reported above; the checks below need both.
    let (points, schedules) = (points?, schedules?);
    let spec = Spec {
        name: name.unwrap_or_default(),
        text: source.to_owned(),
        seeds: seeds.unwrap_or(Seeds::All(vec![0])),
        metric: metric.unwrap_or_default(),
        extend: extend.unwrap_or_default(),
        refine: refine.unwrap_or_default(),
        screen,
        search,
        points,
        idle_lr: tree.get("lr").filter(|_| all_own).map(|lr| lr.place),
        schedules,
        allows: allow::find(tree, source),
        warnings: ambiguous::warnings(tree, source, world),
    };
    problems.extend(contradictions(&spec, tree));
    let size = size(&spec);
    if size.is_none_or(|size| size > MAX_TRIALS) {
        problems.push(too_many(tree, size));
        return None;
    }
    if !problems.is_empty() {
        problems.extend(plan::fit_problems(&spec));
    }
    Some(spec)
}

/// Whether all schedules have their own `lr`. Then the file needs none.
fn all_have_lrs(tree: &Tree) -> bool {
    match tree.get("schedules").map(|schedules| &schedules.value) {
        Some(Value::Map(entries)) => !entries.is_empty() && entries.iter().all(|(_, tree)| has_lr(tree)),
        _ => false,
    }
}

/// The file's `lr` if it names parameter groups. In a file without groups it is read as any other `lr`.
fn group_lrs(tree: &Tree, problems: &mut Vec<Problem>) -> Option<GroupLrs> {
    let lr = tree.get("lr").filter(|lr| names_groups(lr))?;
    any_has_groups(tree).then(|| GroupLrs::read(lr, "lr", problems))?
}

fn any_has_groups(tree: &Tree) -> bool {
    match tree.get("schedules").map(|schedules| &schedules.value) {
        Some(Value::Map(schedules)) => schedules.iter().any(|(_, schedule)| has_groups(schedule)),
        _ => false,
    }
}

/// Keys of a file that do not fit each other.
fn contradictions(spec: &Spec, tree: &Tree) -> Vec<Problem> {
    let mut problems = search_problems(spec);
    if let Some(tree) = tree.get("metric") {
        let field = Field { tree, path: "metric".to_owned() };
        problems.extend(measured(&spec.metric, &spec.points).map(|message| field.problem(message)));
    }
    if let (Some(screen), Some(tree)) = (&spec.screen, tree.get("screen")) {
        let names = spec.schedules.iter().map(|schedule| schedule.key.name.as_str());
        problems.extend(screen::check(screen, tree, names, &spec.metric));
        problems.extend(screened_search(spec, tree));
    }
    if let Some(seeds) = tree.get("seeds") {
        problems.extend(halving_with_others(spec, seeds));
        problems.extend(looks_with_choice(spec, seeds).into_iter().chain(too_many_for_rope(spec, seeds)));
    }
    problems.extend(tree.get("refine").and_then(|refine| refined_on_judging_seeds(spec, refine)));
    problems.extend(unused_groups(tree));
    problems
}

/// Groups of parameters that no schedule distinguishes.
fn unused_groups(tree: &Tree) -> Option<Problem> {
    let groups = tree.get("param_groups")?;
    (!any_has_groups(tree)).then(|| {
        let problem = Problem::new(groups.place, "param_groups", "no schedule has `groups`");
        problem.with_hint("remove it, or write a schedule as {groups: {NAME: {kind: cosine}, ...}}")
    })
}

/// The reasons why the file can't have its search.
fn search_problems(spec: &Spec) -> Vec<Problem> {
    let Some(search) = &spec.search else { return Vec::new() };
    let runs = spec.runs();
    let rest = search::Rest {
        seeds: &spec.seeds,
        schedules: spec.schedules.iter().map(|schedule| schedule.key.name.as_str()).collect(),
        runs: runs.len(),
        axis: runs.iter().flat_map(|run| &run.chosen).map(|(path, _)| path.as_str()).next(),
        steps: runs.iter().map(|run| run.task.steps).min().unwrap_or(u64::MAX),
    };
    let mut problems = search::problems(search, &rest);
    let is_grouped = |schedule: &&NamedSchedule| schedule.variants.iter().any(|each| each.node.is_grouped());
    problems.extend(spec.schedules.iter().find(is_grouped).map(|schedule| {
        let message = format!(
            "a search is for one schedule for all parameters, but `{}` has parameter groups",
            schedule.key.name
        );
        Problem::new(search.place, "search", message).with_hint("remove one of them")
    }));
    problems
}

/// A search starts from the best of all named schedules, so none of them can be left out.
fn screened_search(spec: &Spec, screen: &Tree) -> Option<Problem> {
    let message = "can't be combined with `search`, which starts from the best of all named schedules";
    spec.search
        .as_ref()
        .map(|_| Problem::new(screen.place, "screen", message).with_hint("remove one of them"))
}

/// Among more schedules than this, looks with `rope` call equal ones different in more than 5 % of simulated sweeps.
const MOST_WITH_ROPE: usize = 8;

fn too_many_for_rope(spec: &Spec, seeds: &Tree) -> Option<Problem> {
    let looks = spec.seeds.looks().filter(|looks| !looks.is_any_time())?;
    let schedules = spec.schedules.len();
    (looks.rope.is_some() && schedules > MOST_WITH_ROPE).then(|| {
        let message = format!(
            "planned looks with `rope` need at most {MOST_WITH_ROPE} schedules, but there are {schedules}: with more, equal schedules \
             are called different too often"
        );
        Problem::new(seeds.place, "seeds", message).with_hint("remove `rope`")
    })
}

/// An lr between those of a grid is placed where the losses of the seeds are lowest. Judged on the same seeds, it would look better than
/// it is, and unlike a choice among the lrs of a grid, cross-fitting does not correct that: both halves have chosen it.
fn refined_on_judging_seeds(spec: &Spec, refine: &Tree) -> Option<Problem> {
    let is_split = matches!(spec.seeds, Seeds::Split { .. });
    (spec.refine > 0 && !is_split).then(|| {
        let message = "needs separate tuning seeds: an lr that is placed by the seeds that judge it looks better than it is";
        Problem::new(refine.place, "refine", message).with_hint("write `seeds: {tune: 2, decide: 8}`")
    })
}

/// A search and a screening begin with all tuning seeds of the named schedules.
fn halving_with_others(spec: &Spec, seeds: &Tree) -> Option<Problem> {
    if spec.seeds.rungs().is_empty() {
        return None;
    }
    let other = match (&spec.search, &spec.screen) {
        (Some(_), _) => "search",
        (None, Some(_)) => "screen",
        (None, None) => return None,
    };
    let message =
        format!("`halving` can't be combined with `{other}`, which needs all tuning seeds of every lr");
    let place = seeds.get("halving").map_or(seeds.place, |halving| halving.place);
    Some(Problem::new(place, "seeds.halving", message).with_hint("remove one of them"))
}

/// Planned looks at seeds that also choose: the choice would change from look to look.
fn looks_with_choice(spec: &Spec, seeds: &Tree) -> Option<Problem> {
    let Seeds::Each { looks: Some(_), .. } = &spec.seeds else { return None };
    let budgets = spec.points.iter().map(|point| point.task.steps).collect::<HashSet<_>>().len();
    let configs = |schedule: &NamedSchedule| -> usize {
        schedule.variants.iter().map(|variant| spec.grid(variant).len()).sum()
    };
    let name = &spec.schedules.iter().find(|schedule| configs(schedule) > budgets)?.key.name;
    let message =
        format!("planned looks with `each` need one config for each schedule, but {name} has several");
    let problem = Problem::new(seeds.place, "seeds", message);
    Some(problem.with_hint("use {tune: 2, decide: {looks: [8, 12, 20]}}, or write one lr and no axis"))
}

/// Why the runs of these points can't have the metric that decides. The metrics of a program are not known before it runs.
fn measured(metric: &Metric, points: &[Point]) -> Option<String> {
    let built_in = || points.iter().filter(|point| point.task.program().is_none());
    if let Some(name) = metric.own_name().filter(|_| built_in().next().is_some()) {
        return Some(format!(
            "unknown metric `{name}`: a built-in model has {}; other metrics are those that a custom program reports",
            metric::NAMES
        ));
    }
    if metric.needs_accuracy() && points.iter().any(|point| !point.has_accuracy) {
        return Some("this model has no accuracy".to_owned());
    }
    let once =
        |point: &Point| point.task.program().is_none() && point.task.evaluate_every >= point.task.steps;
    (matches!(metric, Metric::StepsTo(_)) && !points.is_empty() && points.iter().all(once)).then(|| {
        "the runs are evaluated only after their last step, so no run can reach a target earlier: set `evaluate: {every: ...}` to a \
         shorter interval"
            .to_owned()
    })
}

/// The largest number of trials of a sweep; `None` if it exceeds `u64`.
fn size(spec: &Spec) -> Option<u64> {
    let runs = spec.runs().len() as u64;
    let configs =
        spec.schedules.iter().flat_map(|schedule| &schedule.variants).try_fold(0_u64, |sum, variant| {
            let points = match &variant.lrs {
                None => spec.points.len() as u64,
                Some(lrs) => runs.checked_mul(lrs.len() as u64)?,
            };
            sum.checked_add(points)
        })?;
    let decided = spec.seeds.deciding().saturating_mul(spec.schedules.len() as u64);
    let decided = decided.saturating_add(spec.search.as_ref().map_or(0, |search| search.settings.trials));
    configs.checked_mul(spec.seeds.choosing())?.checked_add(decided)
}

/// Adds the problems of axes, and drops the problems from index `start` on that readers found at these axes: they only saw an
/// axis instead of a value.
fn add_bad_axes(problems: &mut Vec<Problem>, start: usize, bad: Vec<Problem>) {
    // The path `a.0.b` of an axis is `a[0].b` in the readers' problems.
    let plain = |path: &str| path.replace('[', ".").replace(']', "");
    let is_at = |axis: &Problem, path: &str| {
        axis.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut found = problems.split_off(start);
    found.retain(|problem| !bad.iter().any(|axis| is_at(axis, &plain(&problem.path))));
    problems.append(&mut found);
    problems.extend(bad);
}

fn too_many(tree: &Tree, size: Option<u64>) -> Problem {
    let size = size.map_or("more than 2^64".to_owned(), |size| size.to_string());
    Problem::new(
        tree.place,
        "",
        format!("this grid has {size} trials, a sweep can have at most {MAX_TRIALS}"),
    )
    .with_hint("shorten an axis, or split the sweep into several")
}

/// The sweep file without the keys that do not belong to the run. Its `lr` is that of the first parameter group.
fn run_of(tree: &Tree, by_group: Option<&GroupLrs>) -> Tree {
    let lr_of_first = |(key, value): &(Key, Tree)| {
        let first = match (by_group, &value.value) {
            (Some(by_group), _) => Some(by_group.of_first()),
            // It could not be read, which is reported.
            (None, Value::Map(lrs)) if names_groups(value) && any_has_groups(tree) => {
                lrs.first().map(|(_, lr)| lr)
            }
            _ => None,
        };
        (key.clone(), first.filter(|_| key.name == "lr").unwrap_or(value).clone())
    };
    let value = match &tree.value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .filter(|(key, _)| {
                    !matches!(
                        key.name.as_str(),
                        "name"
                            | "seeds"
                            | "metric"
                            | "extend"
                            | "refine"
                            | "screen"
                            | "search"
                            | "schedules"
                            | "allow"
                    )
                })
                .map(lr_of_first)
                .collect(),
        ),
        other => other.clone(),
    };
    Tree { place: tree.place, value }
}

/// The points of the grid. After a problem: the points without a problem, so that later checks can run.
fn points(
    run: &Tree,
    axes: &[Axis],
    needs_lr: bool,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Point>> {
    // First each value with the first values of the other axes, so that a mistake is reported once or a few
    // times and not for each of a million points.
    let before = problems.len();
    let first =
        |axis: &Axis| Axis { values: axis.values.first().cloned().into_iter().collect(), ..axis.clone() };
    let firsts: Vec<Axis> = axes.iter().map(first).collect();
    let mut good = Vec::new();
    for (i, axis) in axes.iter().enumerate() {
        for value in &axis.values {
            let mut one = firsts.clone();
            if let Some(this) = one.get_mut(i) {
                this.values = vec![value.clone()];
            }
            for variant in axes::variants(run, &one) {
                good.extend(point(variant, needs_lr, world, problems));
            }
        }
    }
    if problems.len() > before {
        return Some(good);
    }
    // Then all combinations: the first point with a problem ends the search.
    axes::variants(run, axes).into_iter().map(|variant| point(variant, needs_lr, world, problems)).collect()
}

fn point(variant: Variant, needs_lr: bool, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Point> {
    let mut fields = Fields::new(&variant.tree, "", problems)?;
    // So that these names are suggested for a misspelt key.
    for known in ["name", "seeds", "metric", "extend", "refine", "screen", "search", "schedules", "allow"] {
        fields.optional(known);
    }
    let base_lr = if needs_lr { fields.read("lr", problems, base_lr()).map(Some) } else { Some(None) };
    let task = task::read(&mut fields, world, problems);
    fields.finish(problems);
    let chosen = variant.chosen.into_iter().filter(|(path, _)| path != "lr").collect();
    let (base_lr, task) = (base_lr?, task?);
    let has_accuracy = world.catalogue().has_accuracy(&task);
    Some(Point { base_lr, task, chosen, has_accuracy })
}

/// The reader of a base lr.
fn base_lr() -> impl Fn(&Field<'_>) -> Result<f64, Problem> {
    number_where("a number above 0", |x| x > 0.0)
}

fn schedules(
    field: &Field<'_>,
    by_group: Option<&GroupLrs>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<NamedSchedule>> {
    let entries = match &field.tree.value {
        Value::Map(entries) if !entries.is_empty() => entries,
        Value::Map(_) => {
            problems.push(field.problem("a sweep needs at least one schedule"));
            return None;
        }
        _ => {
            let problem = field.expected("a mapping from names to schedules");
            problems.push(problem.with_hint("as in `cosine: {kind: cosine, to: 0}`"));
            return None;
        }
    };
    let mut schedules = Vec::with_capacity(entries.len());
    for (key, tree) in entries {
        let path = format!("{}.{}", field.path, key.name);
        if let Err(message) = check_name(&key.name) {
            problems.push(Problem::new(key.place, field.path.clone(), message));
        }
        let start = problems.len();
        let (bare, lr) = without_lr(tree);
        let own = axes::find(&bare, &path, problems);
        let bad = problems.split_off(start);
        match axes::size(&own) {
            Some(size) if size <= MAX_TRIALS => {
                let lrs = lr.and_then(|lr| own_lrs(lr, has_groups(&bare), &path, problems));
                let lrs = Lrs { own: lrs, of_file: by_group };
                let mut variants = Vec::new();
                for variant in axes::variants(&bare, &own) {
                    variants.extend(named_variants(variant, &lrs, &path, problems).into_iter().flatten());
                }
                schedules.push(NamedSchedule { key: key.clone(), variants });
            }
            size => problems.push(too_many(tree, size)),
        }
        add_bad_axes(problems, start, bad);
    }
    // The schedules that could be read; problems of the others are reported above.
    Some(schedules)
}

/// Whether a schedule has its own `lr` for all values of its axes.
fn has_lr(tree: &Tree) -> bool {
    match &tree.value {
        Value::Map(entries) if axes::is_axis(tree) => entries.iter().all(|(_, values)| match &values.value {
            Value::List(items) => items.iter().all(has_lr),
            _ => false,
        }),
        _ => tree.get("lr").is_some(),
    }
}

/// A schedule without its own `lr`, and that `lr`.
pub fn without_lr(tree: &Tree) -> (Tree, Option<&Tree>) {
    let Value::Map(entries) = &tree.value else { return (tree.clone(), None) };
    let rest = entries.iter().filter(|(key, _)| key.name != "lr").cloned().collect();
    (Tree { place: tree.place, value: Value::Map(rest) }, tree.get("lr"))
}

/// The values of a schedule's own `lr`.
#[derive(Debug, Clone)]
struct OwnLrs {
    /// The base lrs, of the first parameter group if it names groups.
    base: Vec<f64>,
    by_group: Option<GroupLrs>,
}

/// The base lrs that apply to a schedule.
struct Lrs<'a> {
    own: Option<OwnLrs>,
    of_file: Option<&'a GroupLrs>,
}

/// Reads a schedule's own `lr`: a number above 0, an axis of such numbers, or a mapping from parameter groups to them.
fn own_lrs(lr: &Tree, is_grouped: bool, schedule: &str, problems: &mut Vec<Problem>) -> Option<OwnLrs> {
    let path = join(schedule, "lr");
    if is_grouped && names_groups(lr) {
        let by_group = GroupLrs::read(lr, &path, problems)?;
        let base = base_lrs(by_group.of_first(), &join(&path, by_group.first_name()), problems)?;
        return Some(OwnLrs { base, by_group: Some(by_group) });
    }
    let base = base_lrs(lr, &path, problems)?;
    Some(OwnLrs { base, by_group: None })
}

fn base_lrs(lr: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Vec<f64>> {
    let before = problems.len();
    let axes = axes::find(lr, path, problems);
    if problems.len() > before {
        return None;
    }
    let mut lrs = Vec::new();
    for Variant { tree, .. } in axes::variants(lr, &axes) {
        match base_lr()(&Field { tree: &tree, path: path.to_owned() }) {
            Ok(lr) => lrs.push(lr),
            Err(problem) => problems.push(problem),
        }
    }
    (problems.len() == before).then_some(lrs)
}

/// Reads one variant, which becomes several if the lrs of its parameter groups are axes. A value of an axis of complete schedules may
/// have its own `lr`.
fn named_variants(
    variant: Variant,
    lrs: &Lrs<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<NamedVariant>> {
    let (bare, lr) = without_lr(&variant.tree);
    let is_grouped = has_groups(&bare);
    let own = match lr {
        Some(lr) => Some(own_lrs(lr, is_grouped, path, problems)?),
        None => lrs.own.clone(),
    };
    let by_group = match &own {
        Some(own) => own.by_group.as_ref(),
        None => lrs.of_file,
    };
    let with_lrs = match by_group.filter(|_| is_grouped) {
        Some(by_group) => by_group.applied(&bare, problems)?,
        None => vec![Variant { tree: bare, chosen: Vec::new() }],
    };
    let mut named = Vec::new();
    for with in with_lrs {
        let node = interop::parse(&with.tree, path, problems)?;
        let chosen = variant.chosen.iter().cloned().chain(with.chosen).collect();
        let lrs = own.as_ref().map(|own| own.base.clone());
        named.push(NamedVariant { node, variant: Variant { tree: with.tree, chosen }, lrs });
    }
    Some(named)
}
