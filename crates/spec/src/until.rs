//! Reads `decide: {until: decided, at_most: 40}`: seeds are added until everything is decided. Only the reader and its limits: `stats`
//! has the e-process that judges at any number of seeds, and `verdict` decides.

use schedule::fields::{Field, Fields, number_where};
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};

use crate::looks::{ALPHA, Looks, Rule, lowest_p};

/// Most numbers of seeds at which a sweep judges: each is a round.
const MOST_ROUNDS: u64 = 200;

/// Whether this mapping is of this form.
pub(crate) fn is_until(tree: &Tree) -> bool {
    tree.get("until").is_some() || (tree.get("at_most").is_some() && tree.get("looks").is_none())
}

/// Reads `{until: decided, at_most: 40, every: 1, rope: 0.002}`. The first look is at the smallest number of seeds that can decide.
pub(crate) fn until(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Looks> {
    let before = problems.len();
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    if let Some(looks) = fields.optional("looks") {
        let message = "`looks` can't be combined with `until`: p-values of planned looks hold only at these looks, e-values hold at \
                       any number of seeds, and to choose between the two after seeing results would make both wrong";
        problems.push(looks.problem(message).with_hint("remove `looks`, or `until` and `at_most`"));
    }
    fields.read("until", problems, decided);
    let at_most = fields.read("at_most", problems, at_most);
    let every = fields.read_or("every", 1, problems, every);
    let above_0 = number_where("a number above 0, the smallest difference that matters", |x| x > 0.0);
    let rope = fields.read_or("rope", None, problems, |field| above_0(field).map(Some));
    fields.finish(problems);
    let (at_most, every, rope) = (at_most?, every?, rope?);
    let first = least_seeds();
    let rounds = at_most.saturating_sub(first).div_ceil(every) + 1;
    if rounds > MOST_ROUNDS {
        let enough = at_most.saturating_sub(first).div_ceil(MOST_ROUNDS - 1);
        let message = format!(
            "{rounds} numbers of seeds at which the sweep judges are too many: at most {MOST_ROUNDS}"
        );
        problems.push(
            field.problem(message).with_hint(format!("add several seeds at a time: `every: {enough}`")),
        );
    }
    let step = usize::try_from(every).unwrap_or(usize::MAX);
    let last = Some(at_most).filter(|last| !(last - first).is_multiple_of(every));
    (problems.len() == before).then(|| Looks {
        seeds: (first..=at_most).step_by(step).chain(last).collect(),
        rope,
        rule: Rule::AnyTime,
    })
}

/// The smallest number of seeds with which an e-value can be high enough.
fn least_seeds() -> u64 {
    (1..64).find(|n| lowest_p(*n) < ALPHA).unwrap_or(64)
}

fn decided(field: &Field<'_>) -> Result<(), Problem> {
    match &field.tree.value {
        Value::Text(text) if text == "decided" => Ok(()),
        _ => Err(field.expected("`decided`: seeds are added until all schedules are decided")),
    }
}

fn at_most(field: &Field<'_>) -> Result<u64, Problem> {
    let least = least_seeds();
    match field.tree.integer() {
        Some(n @ 1..=100_000) if n.unsigned_abs() >= least => Ok(n.unsigned_abs()),
        Some(n @ 1..=100_000) => {
            let highest = 1.0 / lowest_p(n.unsigned_abs());
            let message = format!(
                "{n} seeds can't decide anything: with {n} seeds no e-value is above {highest}, and a difference is significant above {}",
                1.0 / ALPHA
            );
            Err(field.problem(message).with_hint(format!("write at least `at_most: {least}`")))
        }
        _ => Err(field.expected("the largest number of deciding seeds (1 to 100000)")),
    }
}

fn every(field: &Field<'_>) -> Result<u64, Problem> {
    match field.tree.integer() {
        Some(n @ 1..=100_000) => Ok(n.unsigned_abs()),
        _ => Err(field.expected("how many seeds are added at a time (1 to 100000)")),
    }
}
