//! Successive halving of lrs in words, for the screen.

use schedule::problem::counted;
use verdict::halving::{Fate, Halving};
use verdict::numbers::short;

/// A decision of halving: for each schedule and length, the lrs that it drops or restores. `next` is the number of
/// tuning seeds that the others get, `saved` the number of runs that are not trained.
pub fn decided(halving: &Halving, next: u64, saved: u64) -> String {
    let seeds = counted(halving.seeds, "tuning seed");
    let mut parts: Vec<(String, Vec<String>, Fate)> = Vec::new();
    for at in halving.outcomes.iter().filter(|at| at.fate != Fate::Survives) {
        let name = format!("{} ({} steps)", at.schedule, at.steps);
        let lr = short(at.base_lr);
        match parts.iter_mut().find(|(known, _, fate)| *known == name && *fate == at.fate) {
            Some((_, lrs, _)) => lrs.push(lr),
            None => parts.push((name, vec![lr], at.fate)),
        }
    }
    if parts.is_empty() {
        return format!("halving after {seeds}: drops no lr; all continue to {next}");
    }
    let each = parts.iter().map(|(name, lrs, fate)| match fate {
        Fate::Restored => format!("{name} restores lr {}, next to its best one", lrs.join(", ")),
        _ => format!("{name} drops lr {}", lrs.join(", ")),
    });
    let each = each.collect::<Vec<_>>().join("; ");
    match saved {
        0 => format!("halving after {seeds}: {each}"),
        _ => format!(
            "halving after {seeds}: {each}; the others continue to {next}, {} saved",
            counted(saved, "run")
        ),
    }
}

#[cfg(test)]
mod tests {
    use verdict::halving::AtHalving;

    use super::*;

    #[test]
    fn dropped_lrs_are_listed_by_schedule() {
        let at = |schedule: &str, base_lr: f64, fate: Fate| AtHalving {
            schedule: schedule.to_owned(),
            steps: 500,
            base_lr,
            fate,
        };
        let outcomes = vec![
            at("a", 0.1, Fate::Survives),
            at("a", 0.4, Fate::Dropped),
            at("a", 0.8, Fate::Dropped),
            at("b", 0.8, Fate::Dropped),
        ];
        assert_eq!(
            decided(&Halving { seeds: 1, outcomes: outcomes.clone() }, 2, 9),
            "halving after 1 tuning seed: a (500 steps) drops lr 0.4, 0.8; b (500 steps) drops lr 0.8; the others continue to 2, 9 runs saved"
        );
        let kept = Halving { seeds: 2, outcomes: outcomes[..1].to_vec() };
        assert_eq!(decided(&kept, 4, 0), "halving after 2 tuning seeds: drops no lr; all continue to 4");
        let back = Halving { seeds: 4, outcomes: vec![at("a", 0.4, Fate::Restored)] };
        assert_eq!(
            decided(&back, 4, 0),
            "halving after 4 tuning seeds: a (500 steps) restores lr 0.4, next to its best one"
        );
    }
}
