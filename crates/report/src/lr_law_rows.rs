//! Renders the laws of best lrs over the length of the runs.

use schedule::problem::counted;
use verdict::lr_law::{FEWEST_BUDGETS, FEWEST_SEEDS, Fit, LrLaw};
use verdict::numbers::{rounded, short};

use crate::refine::no_minimum;
use crate::rows::{Cell, Rows};

/// One row per schedule. The lrs of its law are those at the requested length, if there is one.
pub fn lr_law_rows(laws: &[LrLaw]) -> Rows {
    let mut rows = Rows::new([
        "schedule",
        "seeds",
        "budgets",
        "b",
        "beta",
        "beta_low",
        "beta_high",
        "bends",
        "at",
        "lr",
        "lr_low",
        "lr_high",
    ]);
    rows.rows = laws.iter().map(row).collect();
    rows
}

fn row(law: &LrLaw) -> Vec<Cell> {
    let fit = law.fit.as_ref();
    let at = fit.and_then(|fit| fit.at.as_ref());
    let beta = fit.and_then(|fit| fit.beta_interval);
    let lr = at.and_then(|at| at.interval);
    vec![
        law.schedule.as_str().into(),
        law.seeds.into(),
        known(law).into(),
        fit.map(|fit| fit.b).into(),
        fit.map(|fit| fit.beta).into(),
        beta.map(|(low, _)| low).into(),
        beta.map(|(_, high)| high).into(),
        fit.map(|fit| fit.bends).into(),
        at.map(|at| i64::try_from(at.steps).unwrap_or(i64::MAX)).into(),
        at.map(|at| at.lr).into(),
        lr.map(|(low, _)| low).into(),
        lr.map(|(_, high)| high).into(),
    ]
}

/// The table for people: numbers with four digits, intervals in one column.
pub fn lr_law_table(laws: &[LrLaw]) -> Rows {
    let at = laws.iter().find_map(|law| law.fit.as_ref()?.at.as_ref()).map(|at| at.steps);
    let lr = at.map(|steps| format!("lr at {steps}"));
    let mut columns = vec!["schedule", "best lr by steps", "law", "beta, 95 %"];
    if let Some(lr) = &lr {
        columns.extend([lr.as_str(), "95 %"]);
    }
    let interval = |ends: Option<(f64, f64)>| {
        ends.map_or_else(String::new, |(low, high)| format!("{} to {}", rounded(low, 3), rounded(high, 3)))
    };
    let mut rows = Rows::new(columns);
    for law in laws {
        let lrs =
            law.budgets.iter().filter_map(|at| Some(format!("{}: {}", at.steps, rounded(at.lr.ok()?, 3))));
        let mut cells = vec![law.schedule.clone(), lrs.collect::<Vec<_>>().join(", ")];
        match &law.fit {
            Some(fit) => {
                cells.push(format!("{} T^{}", rounded(fit.b, 3), rounded(-fit.beta, 3)));
                cells.push(interval(fit.beta_interval));
                cells.extend(fit.at.iter().flat_map(|at| [rounded(at.lr, 3), interval(at.interval)]));
            }
            None => cells.extend((2..rows.columns.len()).map(|_| String::new())),
        }
        rows.rows.push(cells.into_iter().map(Cell::from).collect());
    }
    rows
}

/// Number of lengths with an estimate.
fn known(law: &LrLaw) -> usize {
    law.budgets.iter().filter(|at| at.lr.is_ok()).count()
}

/// Why a schedule has no law. `None` if it has one.
pub fn lr_law_refused(law: &LrLaw) -> Option<String> {
    law.fit.is_none().then(|| {
        format!(
            "{} with an estimate, and a law needs {FEWEST_BUDGETS}: every power law goes through two points",
            counted(known(law), "length")
        )
    })
}

/// The limits of the law of a schedule.
pub fn lr_law_warnings(law: &LrLaw) -> Vec<String> {
    let mut warnings: Vec<String> = law
        .budgets
        .iter()
        .filter_map(|at| Some(format!("no estimate at {} steps: {}", at.steps, no_minimum(at.lr.err()?))))
        .collect();
    let Some(fit) = &law.fit else { return warnings };
    if law.seeds < FEWEST_SEEDS {
        let seeds = counted(law.seeds, "seed");
        warnings.push(format!(
            "no intervals: they need {FEWEST_SEEDS} seeds with all results, and there are {seeds}"
        ));
    }
    if fit.bends {
        warnings.push(bend(fit));
    }
    if law.mixes_axes {
        warnings.push(
            "the best config has other axes at some lengths, so the law mixes lrs of different configs"
                .to_owned(),
        );
    }
    if let Some(at) = fit.at.as_ref().filter(|at| at.beyond > FAR) {
        warnings.push(format!(
            "{} steps are {} times the longest runs: the interval assumes that the law holds that far",
            at.steps,
            rounded(at.beyond, 2)
        ));
    }
    warnings
}

/// A law is used without a warning up to this multiple of the longest runs.
const FAR: f64 = 4.0;

fn bend(fit: &Fit) -> String {
    let (steps, factor) = fit.farthest;
    let side = if factor > 1.0 { "above" } else { "below" };
    format!(
        "the best lrs bend away from a power law: at {steps} steps the best lr is {} % {side} it; extrapolate with care",
        short((100.0 * (factor - 1.0).abs() * 10.0).round() / 10.0)
    )
}
