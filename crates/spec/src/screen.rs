//! Screening: which schedules a sweep trains first, so that a law of their loss curves can predict the others, and how many of the others it
//! trains. The reader of `screen: {keep: 8}` and plain values; `sweep` makes the predictions.

use std::sync::Arc;

use schedule::fields::{Field, Fields, text};
use schedule::problem::{Problem, listed, nearest};
use schedule::tree::Tree;
use schedule::{Feedback, Schedule};

use crate::metric::Metric;
use crate::protocol::{AtScreen, Chosen, Screened};
use crate::trial::Config;

/// The `screen` of a sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Number of predicted schedules to train: those with the lowest predicted losses.
    pub keep: u64,
    /// Number of schedules to learn from, with the baseline.
    pub learn: u64,
    /// The schedule that is always trained, if the file names it.
    pub baseline: Option<String>,
}

/// Default of `learn`.
pub const LEARN: u64 = 4;
/// The fewest schedules to learn from: with fewer, a law has almost no runs to be checked on.
const FEWEST: u64 = 3;
/// The most schedules in `keep` and `learn`.
const MOST: u64 = 100_000;
/// The baseline if the file names none and has a schedule of this name.
const BASELINE: &str = "constant";

/// Reads `{keep: 8, baseline: constant, learn: 4}`.
pub(crate) fn screen(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Screen> {
    let before = problems.len();
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let keep = fields.read("keep", problems, |field| {
        whole(field, 1, "the number of predicted schedules to train (1 to 100000)")
    });
    let baseline = fields.read_or("baseline", None, problems, |field| text(field).map(Some));
    let learn = fields.read_or("learn", LEARN, problems, |field| {
        whole(field, FEWEST, "the number of schedules to learn from (3 to 100000)")
    });
    fields.finish(problems);
    let screen = Screen { keep: keep?, learn: learn?, baseline: baseline? };
    (problems.len() == before).then_some(screen)
}

fn whole(field: &Field<'_>, least: u64, what: &str) -> Result<u64, Problem> {
    let number = field.tree.integer().and_then(|n| u64::try_from(n).ok());
    number.filter(|n| (least..=MOST).contains(n)).ok_or_else(|| field.expected(what))
}

/// Checks a `screen` against the rest of the file: its baseline, and that the sweep is decided by a loss.
pub(crate) fn check<'a>(
    screen: &Screen,
    tree: &Tree,
    schedules: impl Iterator<Item = &'a str> + Clone,
    metric: &Metric,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let (Some(name), Some(tree)) = (&screen.baseline, tree.get("baseline"))
        && !schedules.clone().any(|known| known == name)
    {
        let field = Field { tree, path: "screen.baseline".to_owned() };
        let problem = field.problem(format!("unknown schedule `{name}`"));
        problems.push(match nearest(name, schedules.clone()) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint(format!("the schedules of this file: {}", listed(schedules))),
        });
    }
    if !matches!(metric, Metric::Final | Metric::Best | Metric::Tail(_)) {
        let field = Field { tree, path: "screen".to_owned() };
        let message = format!("predictions are of losses, but `{metric}` decides this sweep");
        problems.push(field.problem(message).with_hint("remove `screen`, or use `metric: final`"));
    }
    problems
}

/// Why the laws of loss curves do not describe a schedule. `None` if they do.
pub fn unusable(schedule: &Schedule) -> Option<&'static str> {
    match schedule {
        schedule if schedule.is_grouped() => Some("has parameter groups"),
        schedule if schedule.averages() => Some("averages the weights"),
        schedule if schedule.feedback() == Feedback::ClosedLoop => Some("closed-loop"),
        schedule if schedule.momentum(0).is_some() => Some("changes the momentum"),
        _ => None,
    }
}

/// A schedule with its configs for the longest runs: one for each base lr and value of the other axes.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name.
    pub schedule: String,
    /// Its configs.
    pub configs: Vec<Arc<Config>>,
}

impl Candidate {
    fn has(&self, config_id: &str) -> bool {
        self.configs.iter().any(|config| config.id == config_id)
    }
}

/// How the schedules of a sweep are divided.
#[derive(Debug, Clone)]
pub struct Screening {
    /// Number of candidates to train.
    pub keep: u64,
    /// The schedule that is always trained.
    pub baseline: String,
    /// Trained first and learned from.
    pub learned: Vec<Candidate>,
    /// Trained first, because the laws do not describe them: their names and the reason.
    pub always: Vec<(String, &'static str)>,
    /// The others, which are predicted.
    pub candidates: Vec<Candidate>,
}

/// Schedules with their configs, in the order of their first config. A config counts once for each schedule.
pub fn candidates(configs: impl IntoIterator<Item = (String, Arc<Config>)>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for (schedule, config) in configs {
        match all.iter_mut().find(|each| each.schedule == schedule) {
            None => all.push(Candidate { schedule, configs: vec![config] }),
            Some(known) if known.configs.iter().any(|known| known.id == config.id) => {}
            Some(known) => known.configs.push(config),
        }
    }
    all
}

impl Screening {
    /// Divides schedules, given in the order of the file. Learned from are the baseline and, one after the other, the schedule whose lr curve
    /// differs most from those that were chosen before: the mean absolute difference of lr / peak over the run. Schedules whose lr rises again
    /// after a fall are chosen last, because the laws describe them worst.
    pub fn of(all: Vec<Candidate>, screen: &Screen) -> Self {
        let named = |name: &str| all.iter().find(|each| each.schedule == name);
        let baseline = screen.baseline.as_deref().or(Some(BASELINE)).and_then(named).or(all.first());
        let baseline = baseline.map(|each| each.schedule.clone()).unwrap_or_default();
        let (mut always, mut usable) = (Vec::new(), Vec::new());
        for each in all {
            match each.configs.iter().find_map(|config| unusable(&config.schedule)) {
                Some(why) => always.push((each.schedule, why)),
                None => usable.push(each),
            }
        }
        let shapes: Vec<Vec<f64>> = usable.iter().map(shape).collect();
        let first = usable.iter().position(|each| each.schedule == baseline).unwrap_or(0);
        let count = usize::try_from(screen.learn).unwrap_or(usize::MAX).min(usable.len());
        let chosen = spread(&shapes, first, count);
        let (mut learned, mut candidates) = (Vec::new(), Vec::new());
        for (i, each) in usable.into_iter().enumerate() {
            if chosen.contains(&i) { learned.push(each) } else { candidates.push(each) }
        }
        Self { keep: screen.keep, baseline, learned, always, candidates }
    }

    /// Whether there are more candidates than are kept. Otherwise all schedules are trained at once.
    pub fn is_needed(&self) -> bool {
        self.candidates.len() as u64 > self.keep
    }

    /// Whether a schedule is trained after these decisions.
    pub(crate) fn trains(&self, schedule: &str, screened: Option<&Screened>) -> bool {
        let is_candidate = self.candidates.iter().any(|each| each.schedule == schedule);
        !is_candidate || screened.is_some_and(|screened| screened.keeps(schedule))
    }

    /// The decision that these trained schedules show; `None` if no candidate is among them. It has no predictions: the store has them.
    pub fn as_trained<'a>(&self, trained: impl Iterator<Item = &'a str> + Clone) -> Option<Screened> {
        let outcome = |candidate: &Candidate| {
            let config = candidate.configs.first()?;
            let is_kept = trained.clone().any(|name| name == candidate.schedule);
            Some(AtScreen { chosen: Chosen::of(config), is_kept, predicted: None })
        };
        let outcomes: Vec<AtScreen> = self.candidates.iter().filter_map(outcome).collect();
        let any = outcomes.iter().any(|at| at.is_kept);
        any.then_some(Screened { learned: Vec::new(), outcomes })
    }

    /// Whether a decision is about these schedules and this `keep`. A decision of another file is not used.
    pub fn agrees_with(&self, screened: &Screened) -> bool {
        let learned = |at: &Chosen| {
            self.learned.iter().any(|each| each.schedule == at.schedule && each.has(&at.config_id))
        };
        let candidate = |at: &AtScreen| {
            let Chosen { schedule, config_id, .. } = &at.chosen;
            self.candidates.iter().any(|each| each.schedule == *schedule && each.has(config_id))
        };
        let predicted = screened.outcomes.iter().filter(|at| at.predicted.is_some());
        let kept = predicted.clone().filter(|at| at.is_kept).count();
        screened.learned.len() == self.learned.len()
            && screened.learned.iter().all(learned)
            && screened.outcomes.len() == self.candidates.len()
            && screened.outcomes.iter().all(candidate)
            && kept as u64 == self.keep.min(predicted.count() as u64)
    }

    /// Number of candidates that the decision trains; if it is not made yet, how many that are at least.
    pub fn kept(&self, screened: Option<&Screened>) -> u64 {
        match screened {
            Some(screened) => screened.outcomes.iter().filter(|at| at.is_kept).count() as u64,
            None => self.keep.min(self.candidates.len() as u64),
        }
    }
}

/// Number of points of a shape.
const POINTS: u64 = 64;
/// Two parts of the peak lr that differ by less are equal.
const SAME: f64 = 1e-9;

/// The lrs of a schedule at the middle of each 64th part of the run, as parts of the highest of them.
fn shape(candidate: &Candidate) -> Vec<f64> {
    let Some(config) = candidate.configs.first() else { return Vec::new() };
    let (steps, start) = (config.task.steps, config.start());
    let at = |i: u64| (2 * i + 1).saturating_mul(steps) / (2 * POINTS);
    let lrs: Vec<f64> = (0..POINTS).map(|i| config.schedule.lr(at(i), &start)).collect();
    let peak = lrs.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    lrs.into_iter().map(|lr| lr / peak).collect()
}

/// Whether the lr rises after it has fallen.
fn rises_again(shape: &[f64]) -> bool {
    let mut has_fallen = false;
    shape.windows(2).any(|pair| {
        let [before, after] = pair else { return false };
        has_fallen |= *after < before - SAME;
        has_fallen && *after > before + SAME
    })
}

/// Indices of at most `count` shapes: `first`, and then always the one that is farthest from the nearest of those chosen before.
fn spread(shapes: &[Vec<f64>], first: usize, count: usize) -> Vec<usize> {
    let distance = |a: usize, b: usize| -> f64 {
        let (Some(a), Some(b)) = (shapes.get(a), shapes.get(b)) else { return 0.0 };
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / POINTS as f64
    };
    let mut chosen = Vec::new();
    if count > 0 {
        chosen.push(first);
    }
    for with_rises in [false, true] {
        while chosen.len() < count {
            let free = shapes
                .iter()
                .enumerate()
                .filter(|(i, shape)| !chosen.contains(i) && (with_rises || !rises_again(shape)));
            let nearest = |i: usize| chosen.iter().map(|j| distance(i, *j)).fold(f64::INFINITY, f64::min);
            // If distances are equal, the first one in the file.
            let farthest =
                free.map(|(i, _)| (nearest(i), i)).fold(None, |best: Option<(f64, usize)>, each| {
                    if best.is_none_or(|best| each.0 > best.0) { Some(each) } else { best }
                });
            match farthest {
                Some((far, i)) if far > SAME => chosen.push(i),
                _ => break,
            }
        }
    }
    chosen
}
