//! How a comparison of two schedules looks: a sentence, its details, tables.

use schedule::problem::counted;
use verdict::compare::ALPHA;
use verdict::duel::{AtLr, AtSeed, Duel};
use verdict::family::Verdict;
use verdict::numbers::{decimals, lr};
use verdict::ranking::Line;

use crate::ranking_rows::{p_value, wins};
use crate::rows::Rows;

/// The verdict in words and numbers, one sentence.
pub fn sentence(duel: &Duel) -> String {
    let [a, b] = &duel.names;
    let at = |line: Option<&Line>| line.map(|line| lr(line.base_lr)).unwrap_or_default();
    let n = duel.versus.n;
    let lrs = format!("(lr {} against {})", at(duel.line_a()), at(duel.line_b()));
    let word = match duel.verdict {
        Verdict::Better => format!("{a} is better than {b}"),
        Verdict::Worse => format!("{a} is worse than {b}"),
        Verdict::Equivalent => format!("{a} and {b} are equivalent"),
        Verdict::Same => {
            return format!("{a} and {b}: no difference, all {n} seeds gave both the same {lrs}");
        }
        _ if n == 0 => return format!("{a} and {b}: undecided, no seed has an ended run of both"),
        _ => format!("{a} and {b}: undecided"),
    };
    let digits = decimals(duel.versus.sd);
    let interval = duel
        .versus
        .interval
        .map(|(low, high)| format!(" [{low:+.digits$}, {high:+.digits$}]"))
        .unwrap_or_default();
    let title = &duel.ranking.metric.title;
    let difference = duel.versus.diff.map(|diff| format!(", {title} {diff:+.digits$}{interval}"));
    format!(
        "{word}{}{}; {a} wins {} seeds{} {lrs}",
        difference.unwrap_or_default(),
        evidence(duel),
        wins(duel.versus.wins, n),
        if duel.versus.wins.fract() == 0.0 { "" } else { ", one that is equal counting half" },
    )
}

/// The p-value of the family, and that of this pair alone.
fn evidence(duel: &Duel) -> String {
    let n = duel.versus.n;
    match (duel.versus.p, duel.versus.p_raw, duel.versus.p_floor) {
        (Some(_), _, Some(floor)) if floor >= ALPHA => {
            format!(", which cannot be significant with {}", counted(n, "seed"))
        }
        (Some(p), Some(raw), _) if duel.comparisons > 1 => format!(
            ", p = {} among the {} pairs of this sweep (alone, had this been the only comparison: p = {})",
            p_value(Some(p)),
            duel.comparisons,
            p_value(Some(raw))
        ),
        (Some(p), ..) => format!(", p = {}", p_value(Some(p))),
        _ => String::new(),
    }
}

/// Seed by seed.
pub fn by_seed(duel: &Duel) -> Rows {
    let [a, b] = &duel.names;
    let mut rows = Rows::new(["seed", a, b, "difference"]);
    let row = |at: &AtSeed| {
        let both = at.a.zip(at.b).filter(|(a, b)| a.is_finite() && b.is_finite());
        vec![at.seed.into(), at.a.into(), at.b.into(), both.map(|(a, b)| a - b).into()]
    };
    rows.rows = duel.by_seed.iter().map(row).collect();
    rows
}

/// Whether another lr would change it: lr by lr, as far as both have it.
pub fn lrs(duel: &Duel) -> Rows {
    let [a, b] = &duel.names;
    let mut rows = Rows::new(["base_lr", a, b, "difference", "seeds"]);
    let row =
        |at: &AtLr| vec![at.base_lr.into(), at.a.into(), at.b.into(), (at.a - at.b).into(), at.seeds.into()];
    rows.rows = duel.by_lr.iter().map(row).collect();
    rows
}

/// The details in words.
pub fn details(duel: &Duel) -> Vec<String> {
    let [a, b] = &duel.names;
    let mut details = Vec::new();
    if let (Some(correlation), Some(ratio)) = (duel.correlation, duel.variance_ratio) {
        details.push(format!(
            "pairing: correlation over seeds {correlation:.2}, the difference has {ratio:.2} of the variance of unpaired runs"
        ));
    }
    if let Some((low, high)) = duel.win_share {
        details.push(format!(
            "{a} wins on {:.0} % to {:.0} % of seeds (95 % interval, Wilson)",
            100.0 * low,
            100.0 * high
        ));
    }
    let digits = decimals(duel.detectable.map(|x| x / 3.0));
    if let Some(detectable) = duel.detectable {
        details.push(format!(
            "a true difference of {detectable:.digits$} would be found in 80 of 100 sweeps like this one"
        ));
    }
    if let Some(seeds) = duel.seeds_needed {
        details.push(format!(
            "a difference as large as this one needs about {seeds} seeds to be found in 80 of 100 sweeps"
        ));
    }
    if let Some(retuned) = duel.retuned {
        details.push(format!(
            "with the choosing seeds drawn again and lrs chosen anew, {a} is ahead in {:.0} % of draws ({a} keeps its lr in {:.0} \
             %, {b} in {:.0} %)",
            100.0 * retuned.ahead,
            100.0 * retuned.keeps_a,
            100.0 * retuned.keeps_b
        ));
    }
    let direction = duel.ranking.metric.direction;
    let ahead = |gain: f64| duel.by_lr.iter().filter(|at| direction.gain(at.a - at.b) * gain > 0.0).count();
    let (better, worse) = (ahead(1.0), ahead(-1.0));
    if duel.by_lr.len() > 1 {
        details.push(match (better, worse) {
            (0, 0) => format!("at each lr that both have, {a} and {b} have the same mean"),
            (n, 0) if n < duel.by_lr.len() => format!("at no lr that both have, {b} has the better mean"),
            (0, n) if n < duel.by_lr.len() => format!("at no lr that both have, {a} has the better mean"),
            (_, 0) => format!("at each lr that both have, {a} has the better mean"),
            (0, _) => format!("at each lr that both have, {b} has the better mean"),
            _ => format!(
                "the order depends on the lr: {a} has the better mean at {better} of those that both have, {b} at {worse}"
            ),
        });
    }
    details
}
