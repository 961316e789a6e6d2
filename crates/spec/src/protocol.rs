//! The seeds of a sweep (which choose configs and which judge them), and the decisions of earlier rounds. Plain values: the
//! decisions are made from results, elsewhere.

use schedule::fields::{Field, Fields, boolean};
use schedule::problem::{Problem, all};
use schedule::tree::Value;

use crate::axes::is_axis;
use crate::halving::{self, Halving, Tuned};
use crate::looks::{Looks, looks};
use crate::trial::Config;
use crate::until::{is_until, until};
use crate::yaml;

/// The seeds of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Seeds {
    /// All choose each schedule's config, and all judge it.
    All(Vec<u64>),
    /// The first seeds choose configs, the second judge the chosen configs.
    Split {
        /// Seeds for the complete grid.
        tune: Vec<u64>,
        /// Seeds for the chosen configs only; disjoint from `tune`. With looks, those of the last look.
        decide: Vec<u64>,
        /// The planned looks; `None`: all deciding seeds are trained before the first look.
        looks: Option<Looks>,
        /// Whether lrs are dropped after the first tuning seeds.
        halving: bool,
    },
    /// Separate seeds for each schedule. With equal schedules, this shows how large differences by chance are.
    Each {
        /// Number of seeds of each schedule. With looks, those of the last look.
        seeds: u64,
        /// The planned looks. They need one config for each schedule.
        looks: Option<Looks>,
    },
}

/// The purpose of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Choosing a config and judging it.
    #[default]
    All,
    /// Choosing a config.
    Tune,
    /// Judging the chosen one.
    Decide,
    /// Nothing any more: its lr was dropped by successive halving.
    Dropped,
}

impl Purpose {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::All => "all",
            Purpose::Tune => "tune",
            Purpose::Decide => "decide",
            Purpose::Dropped => "dropped",
        }
    }

    /// The purpose with this name in the database.
    pub fn from_name(name: &str) -> Self {
        match name {
            "tune" => Purpose::Tune,
            "decide" => Purpose::Decide,
            "dropped" => Purpose::Dropped,
            _ => Purpose::All,
        }
    }
}

/// The decisions of a sweep so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decisions {
    /// Which lrs got how many tuning seeds, the first decision first.
    pub halvings: Vec<Halving>,
    /// Base lrs that the grids of the file do not have.
    pub added: Vec<AddedLr>,
    /// The configs that are trained on the deciding seeds.
    pub chosen: Vec<Chosen>,
    /// The looks so far, the first one first.
    pub looks: Vec<Look>,
    /// The schedules that predictions kept or left out. `None` before that decision, and in a sweep without `screen`.
    pub screened: Option<Screened>,
    /// The generations of a search so far, the first one first.
    pub generations: Vec<search::Generation>,
    /// The schedule that the search found.
    pub found: Option<search::Proposal>,
}

/// The decision of a screening.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Screened {
    /// The schedules that were learned from, each with one of its configs.
    pub learned: Vec<Chosen>,
    /// The other schedules: the lowest predicted loss first, and last those without a prediction.
    pub outcomes: Vec<AtScreen>,
}

/// One schedule at a screening.
#[derive(Debug, Clone, PartialEq)]
pub struct AtScreen {
    /// Its config with the lowest predicted loss. Without a prediction, its first one.
    pub chosen: Chosen,
    /// Whether it is trained.
    pub is_kept: bool,
    /// Its predicted loss; `None` if it could not be predicted, and is trained for that reason.
    pub predicted: Option<Predicted>,
}

/// A predicted final loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// The loss.
    pub loss: f64,
    /// A 95 % interval; `None` if no run could be left out.
    pub interval: Option<(f64, f64)>,
}

impl Screened {
    /// Whether a schedule is trained.
    pub fn keeps(&self, schedule: &str) -> bool {
        self.outcomes.iter().any(|at| at.is_kept && at.chosen.schedule == schedule)
    }

    /// The schedules that are not trained, the lowest predicted loss first.
    pub fn left_out(&self) -> impl Iterator<Item = &AtScreen> {
        self.outcomes.iter().filter(|at| !at.is_kept)
    }
}

/// The decisions of a planned look.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Number of deciding seeds of the schedules that took part.
    pub seeds: u64,
    /// The schedules that took part, the best first.
    pub outcomes: Vec<AtLook>,
}

/// One schedule at a look.
#[derive(Debug, Clone, PartialEq)]
pub struct AtLook {
    /// Its chosen config.
    pub chosen: Chosen,
    /// The look's decision about it.
    pub outcome: Outcome,
}

/// The decision of a look about a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gets the seeds up to the next look.
    Continued,
    /// It is the best, and all others got their last seed.
    First,
    /// It is significantly worse than the best, and gets no more seeds.
    Worse,
    /// It is equivalent to the best, and gets no more seeds.
    Equivalent,
    /// The remaining seeds will hardly show a difference to the best, and it gets none of them.
    Futile,
}

impl Outcome {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Continued => "continued",
            Outcome::First => "first",
            Outcome::Worse => "worse",
            Outcome::Equivalent => "equivalent",
            Outcome::Futile => "futile",
        }
    }
}

/// The key of the sweep file that added a base lr to a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedBy {
    /// `extend`: the best lr was at the edge.
    Extend,
    /// `refine`: the best lr was estimated to be between those of the grid.
    Refine,
}

impl AddedBy {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            AddedBy::Extend => "extended",
            AddedBy::Refine => "refined",
        }
    }
}

/// A base lr that was added to the grid of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct AddedLr {
    /// The key that added it.
    pub by: AddedBy,
    /// The schedule.
    pub schedule: String,
    /// Length of its runs, in steps.
    pub steps: u64,
    /// The base lr.
    pub base_lr: f64,
}

/// The config that was chosen for a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The schedule.
    pub schedule: String,
    /// Length of its runs in steps.
    pub steps: u64,
    /// The config.
    pub config_id: String,
    /// Its base lr.
    pub base_lr: f64,
}

impl Chosen {
    /// A config as the choice for its schedule.
    pub fn of(config: &Config) -> Self {
        Self {
            schedule: config.schedule_name.clone(),
            steps: config.task.steps,
            config_id: config.id.clone(),
            base_lr: config.base_lr,
        }
    }
}

impl Decisions {
    /// Number of decisions, which is the number of rows in the database.
    pub fn count(&self) -> usize {
        let outcomes = self.looks.iter().map(|look| look.outcomes.len());
        let screened = self.screened.as_ref().map_or(0, |at| at.learned.len() + at.outcomes.len());
        let halved: usize = self.halvings.iter().map(|halving| halving.outcomes.len()).sum();
        screened + halved + self.added.len() + self.chosen.len() + outcomes.sum::<usize>()
    }

    /// The tuning seeds of a config so far, of all that the sweep has for it.
    pub(crate) fn tuned(&self, config: &Config, seeds: &Seeds) -> Tuned {
        match seeds {
            Seeds::Split { tune, halving: true, .. } => {
                let of = (config.schedule_name.as_str(), config.task.steps, config.base_lr);
                halving::tuned(&self.halvings, of, tune.len())
            }
            _ => Tuned { seeds: usize::MAX, is_dropped: false },
        }
    }

    /// Number of judging seeds that a schedule has so far at one length of the runs, in steps.
    pub fn judging(&self, schedule: &str, steps: u64, seeds: &Seeds) -> u64 {
        let Some(looks) = seeds.looks() else { return seeds.deciding() };
        let is_own = |at: &&AtLook| at.chosen.schedule == schedule && at.chosen.steps == steps;
        let outcome = |look: &Look| look.outcomes.iter().find(is_own).map(|at| at.outcome);
        let continued =
            self.looks.iter().take_while(|look| outcome(look) == Some(Outcome::Continued)).count();
        looks.seeds.get(continued).copied().unwrap_or(looks.most())
    }
}

impl Seeds {
    /// The planned looks.
    pub fn looks(&self) -> Option<&Looks> {
        match self {
            Seeds::Split { looks, .. } | Seeds::Each { looks, .. } => looks.as_ref(),
            Seeds::All(_) => None,
        }
    }

    /// Whether these seeds and others are judged by e-values, and differ only in their number: that may change at any time.
    pub fn may_become(&self, other: &Seeds) -> bool {
        let is_any_time = |seeds: &Seeds| seeds.looks().is_some_and(Looks::is_any_time);
        let same = match (self, other) {
            (Seeds::Split { tune, halving, .. }, Seeds::Split { tune: others, halving: other, .. }) => {
                tune == others && halving == other
            }
            _ => false,
        };
        same && is_any_time(self) && is_any_time(other)
    }

    /// The numbers of tuning seeds after which lrs are dropped; empty without `halving`.
    pub fn rungs(&self) -> Vec<usize> {
        match self {
            Seeds::Split { tune, halving: true, .. } => halving::rungs(tune.len()),
            _ => Vec::new(),
        }
    }

    /// Number of runs of each config that choose.
    pub fn choosing(&self) -> u64 {
        match self {
            Seeds::All(seeds) | Seeds::Split { tune: seeds, .. } => seeds.len() as u64,
            Seeds::Each { seeds, .. } => *seeds,
        }
    }

    /// Number of additional runs of each chosen config that judge it. With looks: if no look stops it.
    pub fn deciding(&self) -> u64 {
        match self {
            Seeds::Split { decide, .. } => decide.len() as u64,
            Seeds::All(_) | Seeds::Each { .. } => 0,
        }
    }

    /// The seeds of the grid for the schedule with this index in the file, and their purpose.
    pub(crate) fn of_grid(&self, schedule: usize) -> (Vec<u64>, Purpose) {
        match self {
            Seeds::All(seeds) => (seeds.clone(), Purpose::All),
            Seeds::Split { tune, .. } => (tune.clone(), Purpose::Tune),
            Seeds::Each { seeds: n, .. } => {
                let first = schedule as u64 * n;
                ((first..first + n).collect(), Purpose::All)
            }
        }
    }
}

/// The seeds in the text of a sweep file; `None` if it has none or they have mistakes. Reads nothing else of the text.
pub fn seeds_of(text: &str) -> Option<Seeds> {
    let (tree, _) = yaml::parse(text);
    let tree = tree?;
    let field = Field { tree: tree.get("seeds")?, path: "seeds".to_owned() };
    seeds(&field, &mut Vec::new())
}

const FORM: &str =
    "the number of seeds (1 to 100000), a list of seeds as in [1, 2, 3], or {tune: 2, decide: 8}";

/// `8` means the seeds 0 to 7; a list names the seeds; `{tune: 2, decide: 8}` chooses on 2 seeds and judges on 8 others;
/// `decide: {looks: [8, 12, 20]}` judges after 8, 12 and 20 of them; `decide: {until: decided, at_most: 40}` after each further seed.
pub(crate) fn seeds(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Seeds> {
    if !matches!(field.tree.value, Value::Map(_)) {
        return list(field, 0).map(Seeds::All).map_err(|found| problems.extend(found)).ok();
    }
    if is_axis(field.tree) {
        problems.push(field.expected(FORM).with_hint("seeds can't be an axis: write only the list"));
        return None;
    }
    let before = problems.len();
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    if let Some(field) = fields.optional("each") {
        let found = each(&field, problems);
        for other in ["tune", "decide", "halving"].into_iter().filter_map(|other| fields.optional(other)) {
            let message = "can't be combined with `each`";
            problems.push(other.problem(message).with_hint("write {each: 8} or {tune: 2, decide: 8}"));
        }
        fields.finish(problems);
        return found.filter(|_| problems.len() == before);
    }
    let tune = fields.required("tune", problems).map(|field| (list(&field, 0), field.tree.place));
    let decide = fields.required("decide", problems);
    let halving = fields.optional("halving");
    fields.finish(problems);
    let (tune, decide) = match (tune, decide) {
        (Some(tune), Some(decide)) => (tune, decide),
        (tune, decide) => {
            let given = tune.map(|(seeds, _)| seeds).or(decide.map(|field| list(&field, 0)));
            problems.extend(given.and_then(Result::err).unwrap_or_default());
            return None;
        }
    };
    let tune = tune.0.map_err(|found| problems.extend(found)).ok();
    // A number of deciding seeds starts after the last tuning seed: no seed both chooses and judges.
    let first = tune.iter().flatten().max().map_or(0, |last| last + 1);
    let (seeds, looks) = match &decide.tree.value {
        Value::Map(_) if !is_axis(decide.tree) => {
            let looks =
                if is_until(decide.tree) { until(&decide, problems)? } else { looks(&decide, problems)? };
            (Some((first..first.saturating_add(looks.most())).collect()), Some(looks))
        }
        _ => (list(&decide, first).map_err(|found| problems.extend(found)).ok(), None),
    };
    let (tune, seeds): (Vec<u64>, Vec<u64>) = (tune?, seeds?);
    if let Some(seed) = seeds.iter().find(|seed| tune.contains(seed)) {
        problems.push(
            decide
                .problem(format!("seed {seed} is also a tuning seed"))
                .with_hint("a seed can't both choose and judge: use other seeds, or give only their number"),
        );
        return None;
    }
    let halving = halving.is_some_and(|field| halves(&field, tune.len(), problems));
    (problems.len() == before).then_some(Seeds::Split { tune, decide: seeds, looks, halving })
}

/// Reads `halving`: whether lrs are dropped after the first of this number of tuning seeds.
fn halves(field: &Field<'_>, tune: usize, problems: &mut Vec<Problem>) -> bool {
    match boolean(field) {
        Ok(true) if tune < 2 => {
            let message = "lrs are dropped after the first tuning seed, but there is only one";
            problems.push(field.problem(message).with_hint("write at least `tune: 2`, or remove `halving`"));
            false
        }
        Ok(halving) => halving,
        Err(problem) => {
            problems.push(problem);
            false
        }
    }
}

/// The number of seeds of each schedule, or planned looks at them.
fn each(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Seeds> {
    let count = match (&field.tree.value, field.tree.integer()) {
        (_, Some(_)) => list(field, 0).map(|seeds| Seeds::Each { seeds: seeds.len() as u64, looks: None }),
        (Value::Map(_), _) if is_until(field.tree) => {
            let message = "`until` can't be combined with `each`: another `at_most` would change the seeds of every schedule";
            let hint = "use {tune: 2, decide: {until: decided, at_most: 40}}";
            Err(field.problem(message).with_hint(hint).into())
        }
        (Value::Map(_), _) if !is_axis(field.tree) => {
            let looks = looks(field, problems)?;
            Ok(Seeds::Each { seeds: looks.most(), looks: Some(looks) })
        }
        _ => Err(field.expected("the number of seeds for each schedule").into()),
    };
    count.map_err(|found| problems.extend(found)).ok()
}

/// A number of seeds from `first` on, or a list of them.
fn list(field: &Field<'_>, first: u64) -> Result<Vec<u64>, Vec<Problem>> {
    match (&field.tree.value, field.tree.integer()) {
        (_, Some(n @ 1..=100_000)) => Ok((first..first.saturating_add(n.unsigned_abs())).collect()),
        (Value::List(items), _) if !items.is_empty() => {
            let mut seen = std::collections::HashSet::new();
            all(items.iter().map(|item| {
                let entry = Field { tree: item, path: field.path.clone() };
                match item.integer() {
                    Some(seed @ 0..) if seen.insert(seed) => Ok(seed.unsigned_abs()),
                    Some(seed @ 0..) => Err(entry.problem(format!("duplicate seed {seed}"))),
                    _ => Err(entry.expected("a seed, a whole number of at least 0")),
                }
            }))
        }
        (Value::List(_), _) => {
            Err(field.problem(format!("this list of seeds is empty: expected {FORM}")).into())
        }
        _ => Err(field.expected(FORM).into()),
    }
}

/// Default of `extend`: how often a grid whose best lr is at the edge is extended.
const EXTENSIONS: u64 = 2;

/// `false` means never, `true` the default, a number at most that often.
pub(crate) fn extend(field: &Field<'_>) -> Result<u64, Problem> {
    match (&field.tree.value, field.tree.integer()) {
        (Value::Bool(false), _) => Ok(0),
        (Value::Bool(true), _) => Ok(EXTENSIONS),
        (_, Some(n @ 0..=20)) => Ok(n.unsigned_abs()),
        _ => Err(field.expected("`false`, or how often a grid may be extended (0 to 20)")),
    }
}

/// `refine: true`: how many lrs between those of its grid a schedule gets at most.
const REFINEMENTS: u64 = 2;

/// `false` means none, `true` the default, a number at most that many.
pub(crate) fn refine(field: &Field<'_>) -> Result<u64, Problem> {
    match (&field.tree.value, field.tree.integer()) {
        (Value::Bool(false), _) => Ok(0),
        (Value::Bool(true), _) => Ok(REFINEMENTS),
        (_, Some(n @ 0..=20)) => Ok(n.unsigned_abs()),
        _ => Err(field.expected(
            "`true`, `false`, or how many lrs between those of its grid a schedule may get (0 to 20)",
        )),
    }
}

/// The value if the file has no `extend`.
pub(crate) fn default_extend() -> u64 {
    EXTENSIONS
}
