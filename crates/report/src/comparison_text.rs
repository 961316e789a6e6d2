//! Renders a comparison of two schedules: a sentence, its details, tables.

use schedule::problem::counted;
use verdict::comparison::{AtLr, AtSeed, Comparison};
use verdict::cost::Expected;
use verdict::family::Verdict;
use verdict::numbers::{Rounding, rounded, short};
use verdict::pair::ALPHA;
use verdict::ranking::Line;

use crate::looks::with;
use crate::ranking_rows::{e_value, p_value, wins};
use crate::rows::Rows;

/// The verdict and its numbers in one sentence.
pub fn sentence(comparison: &Comparison) -> String {
    let [a, b] = &comparison.names;
    let at = |line: Option<&Line>| line.map(|line| short(line.base_lr)).unwrap_or_default();
    let n = comparison.versus.n;
    let lrs = format!("(lr {} vs {})", at(comparison.line_a()), at(comparison.line_b()));
    let word = match comparison.verdict {
        Verdict::Better => format!("{a} is better than {b}"),
        Verdict::Worse => format!("{a} is worse than {b}"),
        Verdict::Equivalent => format!("{a} and {b} are equivalent"),
        Verdict::Same => {
            let title = &comparison.ranking.metric.title;
            return format!("{a} and {b} have the same {title} on all {n} seeds {lrs}");
        }
        _ if n == 0 => return format!("{a} and {b} can't be compared: no seed has ended runs of both"),
        _ => format!("{a} and {b} are not significantly different"),
    };
    let (diff, interval) = (comparison.versus.diff, comparison.versus.interval);
    let shown = diff.into_iter().chain(interval.into_iter().flat_map(|(low, high)| [low, high]));
    let rounding = Rounding::of(shown.map(f64::abs).reduce(f64::max), comparison.versus.sd);
    let signed = |x: f64| rounding.signed(x);
    let interval =
        interval.map(|(low, high)| format!(" [{}, {}]", signed(low), signed(high))).unwrap_or_default();
    let title = &comparison.ranking.metric.title;
    let difference = diff.map(|diff| format!(", {title} {}{interval}", signed(diff)));
    format!(
        "{word}{}{}; {a} wins on {} seeds{} {lrs}",
        difference.unwrap_or_default(),
        evidence(comparison),
        wins(comparison.versus.wins, n),
        if comparison.versus.wins.fract() == 0.0 { "" } else { ", equal values counting half" },
    )
}

/// The adjusted p-value, and the unadjusted one if they differ in meaning.
fn evidence(comparison: &Comparison) -> String {
    let n = comparison.versus.n;
    match (comparison.versus.p, comparison.versus.p_raw, comparison.versus.p_floor) {
        (Some(_), _, Some(floor)) if floor >= ALPHA => {
            format!(", no difference can be significant with {}", counted(n, "seed"))
        }
        (Some(p), ..) if comparison.versus.e.is_some() => format!(
            ", e = {}{}, p = {} at any number of seeds",
            e_value(comparison.versus.e),
            match comparison.pairs_tested {
                0 | 1 => String::new(),
                pairs => format!(" adjusted for the {pairs} pairs of this sweep"),
            },
            p_value(Some(p))
        ),
        (Some(p), Some(raw), _) if comparison.pairs_tested > 1 => format!(
            ", p = {} adjusted for the {} pairs of this sweep (unadjusted p = {})",
            p_value(Some(p)),
            comparison.pairs_tested,
            p_value(Some(raw))
        ),
        (Some(p), ..) => format!(", p = {}", p_value(Some(p))),
        _ => String::new(),
    }
}

/// The values of both, seed by seed.
pub fn by_seed(comparison: &Comparison) -> Rows {
    let [a, b] = &comparison.names;
    let mut rows = Rows::new(["seed", a, b, "difference"]);
    let row = |at: &AtSeed| {
        let both = at.a.zip(at.b).filter(|(a, b)| a.is_finite() && b.is_finite());
        vec![at.seed.into(), at.a.into(), at.b.into(), both.map(|(a, b)| a - b).into()]
    };
    rows.rows = comparison.by_seed.iter().map(row).collect();
    rows
}

/// The means of both at each lr that both have.
pub fn lrs(comparison: &Comparison) -> Rows {
    let [a, b] = &comparison.names;
    let mut rows = Rows::new(["base_lr", a, b, "difference", "seeds"]);
    let row =
        |at: &AtLr| vec![at.base_lr.into(), at.a.into(), at.b.into(), (at.a - at.b).into(), at.seeds.into()];
    rows.rows = comparison.by_lr.iter().map(row).collect();
    rows
}

/// The details as sentences.
pub fn details(comparison: &Comparison) -> Vec<String> {
    let [a, b] = &comparison.names;
    let mut details = Vec::new();
    if let (Some(correlation), Some(ratio)) = (comparison.correlation, comparison.variance_ratio) {
        details.push(format!(
            "pairing by seed: correlation {correlation:.2}, the difference has {ratio:.2} times the variance of unpaired runs"
        ));
    }
    if let Some((low, high)) = comparison.win_share {
        details.push(format!(
            "{a} wins on {:.0} % to {:.0} % of seeds (95 % interval, Wilson)",
            100.0 * low,
            100.0 * high
        ));
    }
    if let Some(detectable) = comparison.detectable {
        details.push(format!(
            "a sweep like this one finds a true difference of {} with a probability of 80 %",
            rounded(detectable, 2)
        ));
    }
    if let Some(seeds) = comparison.seeds_needed {
        details.push(format!(
            "about {seeds} seeds are needed to find a difference of this size with a probability of 80 %"
        ));
    }
    if let Some(retuned) = comparison.retuned {
        details.push(format!(
            "if the lrs are chosen again on resampled seeds, {a} is ahead in {:.0} % of draws ({a} keeps its lr in {:.0} %, {b} in \
             {:.0} %)",
            100.0 * retuned.ahead,
            100.0 * retuned.keeps_a,
            100.0 * retuned.keeps_b
        ));
    }
    details.extend(cost(comparison));
    let direction = comparison.ranking.metric.direction;
    let ahead =
        |gain: f64| comparison.by_lr.iter().filter(|at| direction.gain(at.a - at.b) * gain > 0.0).count();
    let (better, worse) = (ahead(1.0), ahead(-1.0));
    if comparison.by_lr.len() > 1 {
        details.push(match (better, worse) {
            (0, 0) => format!("{a} and {b} have the same mean at every shared lr"),
            (n, 0) if n < comparison.by_lr.len() => format!("{b} has the better mean at no shared lr"),
            (0, n) if n < comparison.by_lr.len() => format!("{a} has the better mean at no shared lr"),
            (_, 0) => format!("{a} has the better mean at every shared lr"),
            (0, _) => format!("{b} has the better mean at every shared lr"),
            _ => format!(
                "the order depends on the lr: {a} has the better mean at {better} of the shared lrs, {b} at {worse}"
            ),
        });
    }
    details
}

/// The expected number of runs with looks, for several true differences.
fn cost(comparison: &Comparison) -> Option<String> {
    let looks = comparison.ranking.looks.as_ref()?;
    let each = |number: fn(&Expected) -> String| -> String {
        comparison.expected.iter().map(number).collect::<Vec<_>>().join(", ")
    };
    Some(format!(
        "a sweep of these two {} takes {} deciding runs on average if the true difference is {} standard deviations",
        with(looks),
        each(|at| format!("{:.0}", at.runs)),
        each(|at| short(at.difference))
    ))
}
