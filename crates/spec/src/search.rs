//! The section `search` of the sweep file: the reader and what the rest of the file must have. `searched` makes trials of the shapes;
//! which shapes to try is decided from results, elsewhere.

use schedule::fields::{Field, Fields, choice, whole};
use schedule::problem::{Problem, all};
use schedule::tree::{Place, Value};
use search::{Free, Knots, Method, Settings};

use crate::fitted::Fitted;
use crate::name::name;
use crate::protocol::{Purpose, Seeds};
use crate::yaml;

/// The first seed of the trials of a search, so that more tuning or deciding seeds never change which seeds a search uses.
pub const FIRST_SEED: u64 = 1_000_000;

/// The most trials of a search.
const MOST_TRIALS: u64 = 1_000_000;

/// The most knots of a shape.
const MOST_KNOTS: u64 = 20;

/// A search for the shape of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The name of the found schedule.
    pub name: String,
    /// The space that is searched, and the number of trials.
    pub settings: Settings,
    /// Position of the section.
    pub(crate) place: Place,
    /// The configs of shapes that were fitted before.
    pub(crate) fitted: Fitted,
}

impl Search {
    /// The name of the shapes that are tried, as one schedule with many configs.
    pub fn tried(&self) -> String {
        format!("{}-tried", self.name)
    }

    /// Whether a run chose a shape: one of a shape that was tried, or a tuning run of the one that was found.
    pub fn chooses(&self, schedule: &str, purpose: Purpose) -> bool {
        schedule == self.tried() || (schedule == self.name && purpose != Purpose::Decide)
    }
}

/// The search that the text of a sweep file describes. Reads nothing else of the text.
pub fn in_text(text: &str) -> Option<Search> {
    let (tree, _) = yaml::parse(text);
    let tree = tree?;
    read(&Field { tree: tree.get("search")?, path: "search".to_owned() }, &mut Vec::new())
}

/// Reads the section.
pub(crate) fn read(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Search> {
    let before = problems.len();
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let count = fields.read("knots", problems, knots);
    let trials = fields.read("trials", problems, trials);
    let free = fields.read_or("free", Vec::new(), problems, free);
    let population =
        fields.read_or("population", None, problems, |field| at_least(field, 4, 10_000).map(Some));
    let seeds = fields.read_or("seeds", 8, problems, |field| at_least(field, 1, 100_000));
    let method = fields.read_or(
        "method",
        Method::CmaEs,
        problems,
        choice(&[("cma_es", Method::CmaEs), ("random", Method::Random)]),
    );
    let seed = fields.read_or("seed", 0, problems, whole(0));
    let name = fields.read_or("name", "found".to_owned(), problems, name);
    fields.finish(problems);
    if problems.len() > before {
        return None;
    }
    let knots = Knots { count: usize::try_from(count?).ok()?, free: free? };
    let population = match population? {
        Some(population) => usize::try_from(population).ok()?,
        None => Settings::default_population(&knots),
    };
    let (trials, seeds, method, seed) = (trials?, seeds?, method?, seed?);
    let needed = 2 + knots.free.len();
    if knots.count < needed {
        let message =
            format!("{} knots are too few for these free knots: they need at least {needed}", knots.count);
        problems.push(field.problem(message));
        return None;
    }
    let settings = Settings { knots, method, trials, population, seeds, first_seed: FIRST_SEED, seed };
    let least = settings.least_trials();
    if trials < least {
        let message = format!(
            "{trials} trials are too few for a search: with {population} shapes in a generation and {seeds} seeds for each, it needs at \
             least {least}"
        );
        problems.push(
            field.problem(message).with_hint("raise `trials`, or write smaller `population` and `seeds`"),
        );
        return None;
    }
    Some(Search { name: name?, settings, place: field.tree.place, fitted: Fitted::default() })
}

fn at_least(field: &Field<'_>, least: u64, most: u64) -> Result<u64, Problem> {
    let number = field.tree.integer().and_then(|number| u64::try_from(number).ok());
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| field.expected(&format!("a whole number from {least} to {most}")))
}

fn knots(field: &Field<'_>) -> Result<u64, Problem> {
    at_least(field, 2, MOST_KNOTS)
}

fn trials(field: &Field<'_>) -> Result<u64, Problem> {
    at_least(field, 1, MOST_TRIALS)
}

/// The free knots, each once, in their order in time.
fn free(field: &Field<'_>) -> Result<Vec<Free>, Vec<Problem>> {
    const FORM: &str = "a list of `warmup` and `cooldown`";
    let Value::List(items) = &field.tree.value else { return Err(field.expected(FORM).into()) };
    let one = choice(&[("warmup", Free::Warmup), ("cooldown", Free::Cooldown)]);
    let mut found = all(items.iter().map(|item| one(&Field { tree: item, path: field.path.clone() })))?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The parts of the rest of the file that a search depends on.
pub(crate) struct Rest<'a> {
    pub(crate) seeds: &'a Seeds,
    pub(crate) schedules: Vec<&'a str>,
    /// Number of runs without their lr and seed, and the path of an axis among them.
    pub(crate) runs: usize,
    pub(crate) axis: Option<&'a str>,
    /// Steps of the shortest run.
    pub(crate) steps: u64,
}

/// The reasons why a file can't have this search.
pub(crate) fn problems(search: &Search, rest: &Rest<'_>) -> Vec<Problem> {
    let problem = |message: String| Problem::new(search.place, "search", message);
    let mut found = Vec::new();
    found.extend(seed_problem(search, rest.seeds));
    if rest.runs > 1 {
        let axis = rest.axis.unwrap_or("budget");
        let message =
            format!("a search is for one run, but this file has {}: `{axis}` is an axis", rest.runs);
        let hint = "write one value, and a separate file for each of the others";
        found.push(problem(message).with_hint(hint));
    }
    for name in [search.name.clone(), search.tried()] {
        if rest.schedules.contains(&name.as_str()) {
            let message = format!("the search uses the name `{name}`, which is also a schedule of this file");
            found.push(problem(message).with_hint("give it another `name`"));
        }
    }
    let knots = &search.settings.knots;
    if knots.smallest_gap() * (rest.steps as f64) < 2.0 {
        let message = format!("{} knots are too many for a run of {} steps", knots.count, rest.steps);
        found.push(problem(message));
    }
    found
}

fn seed_problem(search: &Search, seeds: &Seeds) -> Option<Problem> {
    let Seeds::Split { tune, decide, .. } = seeds else {
        let message = "a search needs tuning and deciding seeds: the found schedule is judged on seeds that the search has not used";
        let problem = Problem::new(search.place, "search", message);
        return Some(problem.with_hint("write `seeds: {tune: 8, decide: 32}`"));
    };
    let own = |seed: &&u64| (FIRST_SEED..FIRST_SEED.saturating_add(MOST_TRIALS)).contains(*seed);
    let seed = tune.iter().chain(decide).find(own)?;
    let message = format!("seed {seed} is one of the seeds of the search, which are {FIRST_SEED} and above");
    Some(Problem::new(search.place, "search", message).with_hint("use other seeds"))
}
