//! Lrs between those of a grid in words: in sentences of the screen, of the ranking and of the report.

use schedule::problem::counted;
use verdict::numbers::{rounded, short};
use verdict::ranking::Edge;
use verdict::refine::{GridCost, NEAREST, NoMinimum, Refinement, Unrefined};

/// An lr that is added between those of a grid.
pub fn adding(refinement: &Refinement, times: u64, limit: u64) -> String {
    let Refinement { added, minimum } = refinement;
    let [low, best, high] = minimum.through.map(short);
    format!(
        "{} ({} steps): a parabola through lr {low}, {best} and {high} is lowest at {}, lower by {} than at {best}; adding it ({times} of at \
         most {limit}, `refine: false` disables this)",
        added.schedule,
        added.steps,
        short(added.base_lr),
        rounded(minimum.gain, 2),
    )
}

/// The end of the search for lrs between those of a grid.
pub fn ended(schedule: &str, steps: u64, why: &Unrefined, cost: Option<&GridCost>) -> String {
    let name = format!("{schedule} ({steps} steps)");
    match cost {
        None => format!("{name}: no lr is added between those of the grid: {}", reason(why)),
        Some(cost) => format!(
            "{name}: after {} between those of the grid {}; {}",
            counted(cost.refined, "lr"),
            effect(cost),
            reason(why)
        ),
    }
}

/// As in `the best lr is 0.2441, 0.0011 (0.46 %) better on the tuning seeds than 0.25, the best of the grid`.
fn effect(cost: &GridCost) -> String {
    let ((grid, before), (best, after)) = (cost.grid, cost.best);
    if grid == best {
        return format!("the best lr is still {}", short(best));
    }
    let difference = (before - after).abs();
    let share = match 100.0 * difference / before.abs() {
        share if share.is_finite() => format!(" ({} %)", rounded(share, 2)),
        _ => String::new(),
    };
    format!(
        "the best lr is {}, {}{share} better on the tuning seeds than {}, the best of the grid",
        short(best),
        rounded(difference, 2),
        short(grid)
    )
}

/// Why no lr is added.
fn reason(why: &Unrefined) -> String {
    match why {
        Unrefined::Limit(limit) => format!("it may add {limit} (`refine: {limit}`)"),
        Unrefined::Near { lr, to, error } => match error {
            Some(error) => format!(
                "the estimate {} is nearer to {}, which is trained, than its standard error of {} %",
                short(*lr),
                short(*to),
                rounded(100.0 * error.exp_m1(), 2)
            ),
            None => format!(
                "the estimate {} is within {} % of {}, which is trained",
                short(*lr),
                rounded(100.0 * NEAREST, 2),
                short(*to)
            ),
        },
        Unrefined::NoMinimum(why) => no_minimum(*why),
    }
}

/// Why the best lr can't be estimated.
pub(crate) fn no_minimum(why: NoMinimum) -> String {
    match why {
        NoMinimum::NoResults => "no lr has a finite result on every seed".to_owned(),
        NoMinimum::FewLrs(lrs) => format!("a parabola needs three lrs, the grid has {lrs}"),
        NoMinimum::Edge(lr, edge) => {
            let end = if edge == Edge::Low { "lowest" } else { "highest" };
            format!("the best lr {} is the {end} of the grid", short(lr))
        }
        NoMinimum::Diverged(lr) => format!("runs at the neighbouring lr {} have no finite result", short(lr)),
        NoMinimum::Flat => "the best lr and its neighbours have no minimum between them".to_owned(),
    }
}

/// The cost of the grids at one length of the runs. `None` if no lr was added between those of a grid.
pub fn note(costs: &[GridCost], steps: i64) -> Option<String> {
    let own = costs.iter().filter(|cost| cost.steps == steps.unsigned_abs());
    let each: Vec<String> = own.map(|cost| format!("{}: {}", cost.schedule, effect(cost))).collect();
    (!each.is_empty()).then(|| format!("lrs between those of the grid: {}", each.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_grid_is_a_difference_and_a_share() {
        let cost = GridCost {
            schedule: "linear".to_owned(),
            steps: 500,
            refined: 1,
            grid: (0.25, 0.25),
            best: (0.2441, 0.2475),
        };
        let why = Unrefined::Near { lr: 0.2449, to: 0.2441, error: None };
        assert_eq!(
            ended("linear", 500, &why, Some(&cost)),
            "linear (500 steps): after 1 lr between those of the grid the best lr is 0.2441, 0.0025 (1 %) better on the tuning seeds \
             than 0.25, the best of the grid; the estimate 0.2449 is within 2 % of 0.2441, which is trained"
        );
        let why = Unrefined::NoMinimum(NoMinimum::Edge(1.0, Edge::High));
        assert_eq!(
            ended("square", 500, &why, None),
            "square (500 steps): no lr is added between those of the grid: the best lr 1 is the highest of the grid"
        );
        let same = GridCost { best: cost.grid, ..cost.clone() };
        assert_eq!(
            note(&[cost, same], 500).as_deref(),
            Some(
                "lrs between those of the grid: linear: the best lr is 0.2441, 0.0025 (1 %) better on the tuning seeds than 0.25, the \
                 best of the grid; linear: the best lr is still 0.25"
            )
        );
        assert_eq!(note(&[], 500), None);
    }
}
