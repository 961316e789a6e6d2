//! The metric that decides a sweep: its name, which values are better, and how a sweep file and the command line write it.
//! `sweep::results` finds its values in the store.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schedule::fields::{Field, Fields, choice, number};
use schedule::metric_name::{REPORT_KEYS, check_name};
use schedule::problem::{Problem, nearest};
use schedule::tree::Value;

use crate::yaml;

/// Whether lower or higher numbers are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// As for a loss.
    #[default]
    LowerIsBetter,
    /// As for an accuracy.
    HigherIsBetter,
}

impl Direction {
    /// The value of a diverged run: infinitely bad.
    pub fn worst(self) -> f64 {
        match self {
            Self::LowerIsBetter => f64::INFINITY,
            Self::HigherIsBetter => f64::NEG_INFINITY,
        }
    }

    /// How much better the first of two is, given their difference; negative if it is worse.
    pub fn gain(self, difference: f64) -> f64 {
        match self {
            Self::LowerIsBetter => -difference,
            Self::HigherIsBetter => difference,
        }
    }

    /// The number as a cost: lower is better.
    pub fn cost(self, value: f64) -> f64 {
        -self.gain(value)
    }

    /// Orders the better number first.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::LowerIsBetter => a.total_cmp(&b),
            Self::HigherIsBetter => b.total_cmp(&a),
        }
    }

    /// Its name on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::LowerIsBetter => "min",
            Self::HigherIsBetter => "max",
        }
    }
}

/// The metric by which runs are compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Metric {
    /// Validation loss after the last step.
    #[default]
    Final,
    /// The lowest validation loss of all evaluations.
    Best,
    /// Mean training loss over this many last steps.
    Tail(u32),
    /// Validation accuracy after the last step.
    ValidAccuracy,
    /// Test loss after the last step. It judges and never chooses configs.
    TestLoss,
    /// Test accuracy after the last step. It judges and never chooses configs.
    TestAccuracy,
    /// The last value of a metric that a custom program reports under its own name.
    Own {
        /// The name.
        name: String,
        /// Which values are better.
        direction: Direction,
    },
    /// The number of steps until the first evaluation that reaches a target.
    StepsTo(Target),
}

/// A value that a run is to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// `valid_loss`, `valid_accuracy`, or the name of a program's own metric.
    pub name: String,
    /// From which side the value is reached.
    pub direction: Direction,
    /// The value.
    pub value: f64,
}

impl Target {
    /// Whether this value reaches the target.
    pub fn is_reached_by(&self, value: f64) -> bool {
        self.direction.gain(value - self.value) >= 0.0
    }
}

impl Metric {
    /// Which values are better.
    pub fn direction(&self) -> Direction {
        match self {
            Self::TestAccuracy | Self::ValidAccuracy => Direction::HigherIsBetter,
            Self::Own { direction, .. } => *direction,
            Self::Final | Self::Best | Self::Tail(_) | Self::TestLoss | Self::StepsTo(_) => {
                Direction::LowerIsBetter
            }
        }
    }

    /// Its name in tables and sentences, as in `valid loss`.
    pub fn title(&self) -> String {
        match self {
            Self::Final => "valid loss".to_owned(),
            Self::Best => "best valid loss".to_owned(),
            Self::Tail(steps) => format!("train loss, last {steps}"),
            Self::ValidAccuracy => "valid accuracy".to_owned(),
            Self::TestLoss => "test loss".to_owned(),
            Self::TestAccuracy => "test accuracy".to_owned(),
            Self::Own { name, .. } => name.clone(),
            Self::StepsTo(target) => format!("steps to {} {}", plain(&target.name), target.value),
        }
    }

    /// Whether it is measured on the test data.
    pub fn is_of_test_data(&self) -> bool {
        matches!(self, Self::TestLoss | Self::TestAccuracy)
    }

    /// The name of the reported metric that it is made of; `None` for losses and accuracies that every task may have.
    pub fn own_name(&self) -> Option<&str> {
        match self {
            Self::Own { name, .. } => Some(name),
            Self::StepsTo(target) if fixed_direction(&target.name).is_none() => Some(&target.name),
            _ => None,
        }
    }

    /// The name under which its values are reported, other than losses.
    pub fn reported(&self) -> Option<&str> {
        if self.needs_accuracy() { Some(VALID_ACCURACY) } else { self.own_name() }
    }

    /// Whether it needs the validation accuracy.
    pub(crate) fn needs_accuracy(&self) -> bool {
        match self {
            Self::StepsTo(target) => target.name == VALID_ACCURACY,
            _ => *self == Self::ValidAccuracy,
        }
    }
}

/// A reported name in a sentence, as in `valid loss`.
fn plain(name: &str) -> String {
    if fixed_direction(name).is_some() { name.replace('_', " ") } else { name.to_owned() }
}

/// The name of the validation loss.
pub const VALID_LOSS: &str = "valid_loss";

/// The name of the validation accuracy.
pub const VALID_ACCURACY: &str = "valid_accuracy";

/// The metrics with a fixed name.
const NAMED: [(&str, Metric); 7] = [
    ("final", Metric::Final),
    (VALID_LOSS, Metric::Final),
    ("best", Metric::Best),
    (VALID_ACCURACY, Metric::ValidAccuracy),
    ("test_loss", Metric::TestLoss),
    ("accuracy", Metric::TestAccuracy),
    ("test_accuracy", Metric::TestAccuracy),
];

/// The names of the metrics that need no name of a program's own, for messages.
pub const NAMES: &str = "final, best, tail:N (as in tail:50), valid_accuracy, test_loss or accuracy";

impl fmt::Display for Metric {
    /// The value of `--metric`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail(steps) => write!(f, "tail:{steps}"),
            Self::Own { name, direction } => write!(f, "{name}:{}", direction.word()),
            Self::StepsTo(Target { name, value, .. }) if fixed_direction(name).is_some() => {
                write!(f, "steps_to:{name}:{value}")
            }
            Self::StepsTo(Target { name, direction, value }) => {
                write!(f, "steps_to:{name}:{}:{value}", direction.word())
            }
            other => {
                f.write_str(NAMED.iter().find(|(_, metric)| metric == other).map_or("", |(name, _)| name))
            }
        }
    }
}

/// The value of `--metric`.
#[derive(Debug, Clone, PartialEq)]
pub enum Requested {
    /// A metric.
    Metric(Metric),
    /// The name of a program's own metric. The sweep file says which values are better.
    Name(String),
}

impl FromStr for Requested {
    type Err = String;

    /// Parses the value of `--metric`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(metric) = named(text) {
            return Ok(Self::Metric(metric));
        }
        if let Some(target) = text.strip_prefix("steps_to:") {
            return target_of(target)
                .map(Metric::StepsTo)
                .map(Self::Metric)
                .ok_or_else(|| TARGET_FORM.to_owned());
        }
        let (name, direction) = match text.rsplit_once(':') {
            Some((name, word)) => {
                (name, Some(direction(word).ok_or_else(|| format!("expected {NAMES}, {OWN_FORM}"))?))
            }
            None => (text, None),
        };
        check_name(name).map_err(|why| format!("{why}; expected {NAMES}, {OWN_FORM}"))?;
        Ok(match direction {
            Some(direction) => Self::Metric(Metric::Own { name: name.to_owned(), direction }),
            None => Self::Name(name.to_owned()),
        })
    }
}

const OWN_FORM: &str = "or the name of a metric that the program reports, as in bleu:max or perplexity:min";

const TARGET_FORM: &str = "expected steps_to:valid_loss:VALUE, steps_to:valid_accuracy:VALUE, or steps_to:NAME:max:VALUE (or min) for another metric";

/// A metric with a fixed name, or `tail:N`.
fn named(text: &str) -> Option<Metric> {
    if let Some((_, metric)) = NAMED.iter().find(|(name, _)| *name == text) {
        return Some(metric.clone());
    }
    let steps = text.strip_prefix("tail:")?;
    // Also as in 1e3.
    let exact = |x: &f64| x.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(x);
    let steps = steps.parse().ok().or_else(|| steps.parse().ok().filter(exact).map(|x| x as u32));
    steps.filter(|steps| *steps > 0).map(Metric::Tail)
}

fn direction(word: &str) -> Option<Direction> {
    [Direction::LowerIsBetter, Direction::HigherIsBetter]
        .into_iter()
        .find(|direction| direction.word() == word)
}

/// The target of `steps_to:NAME:VALUE` or `steps_to:NAME:max:VALUE`.
fn target_of(text: &str) -> Option<Target> {
    let (name, value) = text.rsplit_once(':')?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let (name, direction) = match (name.rsplit_once(':'), fixed_direction(name)) {
        (None, Some(direction)) => (name, direction),
        (Some((name, word)), None) if fixed_direction(name).is_none() => (name, direction(word)?),
        _ => return None,
    };
    let is_known = fixed_direction(name).is_some() || check_name(name).is_ok();
    is_known.then(|| Target { name: name.to_owned(), direction, value })
}

/// Which values are better of a metric of every task that can have a target; `None` for other metrics.
fn fixed_direction(name: &str) -> Option<Direction> {
    match name {
        VALID_LOSS => Some(Direction::LowerIsBetter),
        VALID_ACCURACY => Some(Direction::HigherIsBetter),
        _ => None,
    }
}

/// The metric of a sweep file's text; the default if it has none. The text was checked when the sweep was run.
pub fn in_text(text: &str) -> Metric {
    let (tree, _) = yaml::parse(text);
    let Some(tree) = tree.as_ref().and_then(|tree| tree.get("metric")) else { return Metric::default() };
    read(&Field { tree, path: "metric".to_owned() }).unwrap_or_default()
}

const FORM: &str = "the name of a metric, {name: NAME, goal: maximize} or {steps_to: {valid_loss: 3.28}}";

/// Reads the value of `metric`.
pub(crate) fn read(field: &Field<'_>) -> Result<Metric, Vec<Problem>> {
    match &field.tree.value {
        Value::Text(name) => by_name(name, None, field).map_err(Into::into),
        Value::Map(_) => {
            let mut problems = Vec::new();
            let found = of_map(field, &mut problems);
            found.filter(|_| problems.is_empty()).ok_or(problems)
        }
        _ => Err(field.expected(FORM).into()),
    }
}

fn of_map(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Metric> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let goals = [("minimize", Direction::LowerIsBetter), ("maximize", Direction::HigherIsBetter)];
    let goal = fields.read_or("goal", None, problems, |field| choice(&goals)(field).map(Some));
    let target = fields.optional("steps_to");
    let name = match &target {
        Some(_) => fields.optional("name"),
        None => fields.required("name", problems),
    };
    fields.finish(problems);
    let metric = match (target, name) {
        (Some(target), name) => {
            problems.extend(name.map(|name| name.problem("can't be combined with `steps_to`")));
            steps_to(&target, goal?)
        }
        (None, Some(name)) => match &name.tree.value {
            Value::Text(text) => by_name(text, goal?, &name),
            _ => Err(name.expected("the name of a metric")),
        },
        (None, None) => return None,
    };
    metric.map_err(|problem| problems.push(problem)).ok()
}

fn by_name(name: &str, goal: Option<Direction>, field: &Field<'_>) -> Result<Metric, Problem> {
    if let Some(metric) = named(name) {
        if metric.is_of_test_data() {
            let message = format!("`{name}` can't decide a sweep: test data never choose a config");
            let hint = format!(
                "decide by a validation metric, and look at this one with `sweep rank --metric {name}`"
            );
            return Err(field.problem(message).with_hint(hint));
        }
        check_goal(name, metric.direction(), goal, field)?;
        return Ok(metric);
    }
    check_name(name).map_err(|why| field.problem(why))?;
    let Some(direction) = goal else {
        let message = format!("whether a lower or a higher `{name}` is better is missing");
        let hint = match nearest(name, NAMED.iter().map(|(name, _)| *name)) {
            Some(near) => {
                format!("did you mean `{near}`? For your own metric write {{name: {name}, goal: maximize}}")
            }
            None => format!("write {{name: {name}, goal: maximize}} or {{name: {name}, goal: minimize}}"),
        };
        return Err(field.problem(message).with_hint(hint));
    };
    Ok(Metric::Own { name: name.to_owned(), direction })
}

fn check_goal(
    name: &str,
    direction: Direction,
    goal: Option<Direction>,
    field: &Field<'_>,
) -> Result<(), Problem> {
    let better = match direction {
        Direction::LowerIsBetter => "lower",
        Direction::HigherIsBetter => "higher",
    };
    match goal {
        Some(goal) if goal != direction => Err(field
            .problem(format!("a {better} `{name}` is better: this goal contradicts it"))
            .with_hint("leave out `goal`")),
        _ => Ok(()),
    }
}

/// `{valid_loss: 3.28}`.
fn steps_to(field: &Field<'_>, goal: Option<Direction>) -> Result<Metric, Problem> {
    let Value::Map(entries) = &field.tree.value else {
        return Err(field.expected("a metric and its target, as in {valid_loss: 3.28}"));
    };
    let [(key, tree)] = entries.as_slice() else {
        return Err(field.problem("expected one metric with its target, as in {valid_loss: 3.28}"));
    };
    let value = Field { tree, path: format!("{}.{}", field.path, key.name) };
    let at_key = |message: String| Problem::new(key.place, value.path.clone(), message);
    let direction = match (fixed_direction(&key.name), goal) {
        (Some(direction), goal) => {
            check_goal(&key.name, direction, goal, field)?;
            direction
        }
        (None, _) if named(&key.name).is_some() || REPORT_KEYS.contains(&key.name.as_str()) => {
            let message = format!("`{}` can't have a target", key.name);
            return Err(at_key(message)
                .with_hint("write `valid_loss`, `valid_accuracy` or a metric that the program reports"));
        }
        (None, goal) => {
            check_name(&key.name).map_err(at_key)?;
            goal.ok_or_else(|| {
                at_key(format!("whether a lower or a higher `{}` is better is missing", key.name))
                    .with_hint("add `goal: maximize` or `goal: minimize` next to `steps_to`")
            })?
        }
    };
    let target = number(&value)?;
    Ok(Metric::StepsTo(Target { name: key.name.clone(), direction, value: target }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_reads_the_name_that_it_shows() {
        let own = |direction| Metric::Own { name: "bleu".to_owned(), direction };
        let target =
            |name: &str, direction| Metric::StepsTo(Target { name: name.to_owned(), direction, value: 3.5 });
        let (low, high) = (Direction::LowerIsBetter, Direction::HigherIsBetter);
        let others = [
            Metric::Tail(50),
            own(low),
            own(high),
            target(VALID_LOSS, low),
            target(VALID_ACCURACY, high),
            target("eval/bleu", high),
        ];
        for metric in NAMED.iter().map(|(_, metric)| metric.clone()).chain(others) {
            assert_eq!(metric.to_string().parse(), Ok(Requested::Metric(metric)));
        }
        for name in ["bleu", "f1", "em", "wer", "mrr", "r2"] {
            assert_eq!(name.parse(), Ok(Requested::Name(name.to_owned())));
        }
        assert_eq!("tail:1e3".parse(), Ok(Requested::Metric(Metric::Tail(1000))));
    }

    #[test]
    fn other_texts_are_explained() {
        for (text, expected) in [
            ("tail:0", "expected final, best"),
            ("tail:x", "expected final, best"),
            ("valid_los", "did you mean `valid_loss`?"),
            ("loss", "ambiguous"),
            ("1st", "begin with a letter"),
            ("bleu:up", "bleu:max"),
            ("steps_to:valid_loss", "steps_to:valid_loss:VALUE"),
            ("steps_to:valid_loss:max:3", "steps_to:valid_loss:VALUE"),
            ("steps_to:bleu:3", "steps_to:NAME:max:VALUE"),
            ("steps_to:valid_loss:inf", "steps_to:valid_loss:VALUE"),
        ] {
            let error = text.parse::<Requested>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_at_the_target_reaches_it() {
        let target = |direction| Target { name: "x".to_owned(), direction, value: 2.0 };
        let (low, high) = (target(Direction::LowerIsBetter), target(Direction::HigherIsBetter));
        assert!(low.is_reached_by(2.0) && low.is_reached_by(1.0) && !low.is_reached_by(2.1));
        assert!(high.is_reached_by(2.0) && high.is_reached_by(3.0) && !high.is_reached_by(1.9));
        assert!(!low.is_reached_by(f64::NAN));
    }

    #[test]
    fn nothing_is_worse_than_a_run_that_diverged() {
        for direction in [Direction::LowerIsBetter, Direction::HigherIsBetter] {
            for value in [f64::MIN, -1.0, 0.0, 1.0, f64::MAX] {
                assert_eq!(direction.compare(value, direction.worst()), Ordering::Less);
                assert!(direction.gain(value - direction.worst()) > 0.0);
            }
        }
    }
}
