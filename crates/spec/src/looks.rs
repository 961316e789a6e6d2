//! Planned looks: the numbers of deciding seeds after which a sweep judges, and the part of the significance level that each look
//! spends. Only numbers and the reader of `decide: {looks: [...]}`: `verdict` judges. `until` reads the form without planned looks.

use schedule::fields::{Field, Fields, number_where};
use schedule::problem::{Problem, all};
use schedule::tree::Value;

/// Significance level of all looks together, for all pairs of schedules.
pub const ALPHA: f64 = 0.05;

/// Exponent of the spending function: after a fraction t of the seeds, `ALPHA` times t to this power is spent (the power family of
/// Kim and DeMets 1987). 3 is close to O'Brien and Fleming (1979), 1 to Pocock (1977).
const POWER: f64 = 1.5;

/// A look spends slightly more than its highest attainable p-value, so that this p-value is below what it spends.
const MARGIN: f64 = 0.02;

/// How the results at a look are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// By exact tests, each at its part of the significance level: valid at the planned looks only.
    Planned,
    /// By e-values, which are valid at any number of seeds: further looks may be added at any time.
    AnyTime,
}

/// The looks of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    /// Number of deciding seeds at each look, in ascending order; at least two if they are planned.
    pub seeds: Vec<u64>,
    /// The smallest difference that matters, above 0. A schedule that is equivalent to the leader within it, or that will hardly
    /// become different, gets no more seeds.
    pub rope: Option<f64>,
    /// How the results are judged.
    pub rule: Rule,
}

impl Looks {
    /// Whether the results are judged by e-values.
    pub fn is_any_time(&self) -> bool {
        self.rule == Rule::AnyTime
    }

    /// Number of deciding seeds at the last look.
    pub fn most(&self) -> u64 {
        self.seeds.last().copied().unwrap_or(0)
    }

    /// The share of [`ALPHA`] that each look spends. Together they are 1. A p-value of the exact test is a multiple of 2 / 2^n: a look
    /// spends no part of a multiple, and the next look gets the rest.
    pub fn shares(&self) -> Vec<f64> {
        let most = self.most() as f64;
        let mut spent = 0.0;
        let share = |n: &u64| {
            let available = (*n as f64 / most).powf(POWER) - spent;
            let step = lowest_p(*n) / ALPHA;
            let usable = ((available / step).floor() + MARGIN) * step;
            let share = if *n < self.most() { available.min(usable) } else { available };
            spent += share;
            share
        };
        self.seeds.iter().map(share).collect()
    }

    /// The first look that can't decide anything, with the level that is left for it: that is below the test's lowest p-value.
    fn powerless(&self) -> Option<(u64, f64)> {
        let mut spent = 0.0;
        for (n, share) in self.seeds.iter().zip(self.shares()) {
            if share * ALPHA <= lowest_p(*n) {
                let available = (*n as f64 / self.most() as f64).powf(POWER) - spent;
                return Some((*n, available * ALPHA));
            }
            spent += share;
        }
        None
    }
}

/// The lowest p-value of the exact sign-flip test with n seeds, for any number of schedules.
pub(crate) fn lowest_p(n: u64) -> f64 {
    2.0_f64.powf(1.0 - n as f64)
}

const FORM: &str = "the numbers of deciding seeds at which to look, as in [8, 12, 20]";

/// Reads `{looks: [8, 12, 20], rope: 0.002}`.
pub(crate) fn looks(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Looks> {
    let before = problems.len();
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let seeds = fields.read("looks", problems, numbers);
    let above_0 = number_where("a number above 0, the smallest difference that matters", |x| x > 0.0);
    let rope = fields.read_or("rope", None, problems, |field| above_0(field).map(Some));
    fields.finish(problems);
    (problems.len() == before).then_some(Looks { seeds: seeds?, rope: rope?, rule: Rule::Planned })
}

fn numbers(field: &Field<'_>) -> Result<Vec<u64>, Vec<Problem>> {
    let Value::List(items) = &field.tree.value else { return Err(field.expected(FORM).into()) };
    let seeds = all(items.iter().map(|item| match item.integer() {
        Some(n @ 1..=100_000) => Ok(n.unsigned_abs()),
        _ => Err(Field { tree: item, path: field.path.clone() }.expected("a number of seeds (1 to 100000)")),
    }))?;
    if seeds.len() < 2 {
        let one = seeds.first().map_or_else(|| "8".to_owned(), u64::to_string);
        let problem = field.problem("planned looks are at least two");
        return Err(problem.with_hint(format!("for a fixed number of seeds, write `decide: {one}`")).into());
    }
    if let Some([n, next]) =
        seeds.windows(2).find_map(|pair| <[u64; 2]>::try_from(pair).ok().filter(|[n, next]| n >= next))
    {
        let message = format!("a look at {next} seeds can't follow a look at {n}: the numbers must rise");
        return Err(field.problem(message).into());
    }
    let looks = Looks { seeds, rope: None, rule: Rule::Planned };
    match looks.powerless() {
        Some((n, level)) => Err(powerless(field, n, level).into()),
        None => Ok(looks.seeds),
    }
}

/// A look at which no p-value can be low enough is refused: it would only take from the others.
fn powerless(field: &Field<'_>, n: u64, level: f64) -> Problem {
    let lowest = lowest_p(n);
    let message = format!(
        "the look at {n} seeds can't decide anything: with {n} seeds no p-value of the exact test is below {lowest}, and this look \
         may spend {level} of the level {ALPHA}",
        lowest = Short(lowest),
        level = Short(level.max(0.0)),
    );
    field.problem(message).with_hint("leave this look out, or make it later")
}

/// A small number with two significant digits.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decimals = if self.0 > 0.0 { (1.0 - self.0.log10().floor()).clamp(0.0, 12.0) } else { 0.0 };
        write!(f, "{:.*}", decimals as usize, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seeds: &[u64]) -> Looks {
        Looks { seeds: seeds.to_vec(), rope: None, rule: Rule::Planned }
    }

    #[test]
    fn the_looks_spend_the_level_once() {
        for seeds in [&[8, 12, 20][..], &[7, 10], &[10, 20, 30, 40], &[8, 9, 10, 11, 12]] {
            let shares = of(seeds).shares();
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{seeds:?}: {shares:?}");
            let mut spent = 0.0;
            for (n, share) in seeds.iter().zip(&shares) {
                spent += share;
                let allowed = (*n as f64 / of(seeds).most() as f64).powf(POWER);
                assert!(spent <= allowed + 1e-12, "{seeds:?} at {n}: {spent} of {allowed}");
            }
        }
    }

    #[test]
    fn a_look_spends_whole_p_values() {
        // 0.05 (8/20)^1.5 = 0.0126: one multiple of 2 / 2^8. 0.05 (12/20)^1.5 less that is 0.0153: 31 multiples of 2 / 2^12.
        let levels: Vec<f64> = of(&[8, 12, 20]).shares().iter().map(|share| share * ALPHA).collect();
        assert!((levels[0] - 1.02 / 128.0).abs() < 1e-12, "{levels:?}");
        assert!((levels[1] - 31.02 / 2048.0).abs() < 1e-12, "{levels:?}");
        assert_eq!(of(&[8, 12, 20]).powerless(), None);
        assert_eq!(of(&[6, 12, 20]).powerless().map(|(n, _)| n), Some(6));
    }
}
