//! Successive halving of base lrs on the tuning seeds: after how many seeds lrs are dropped, and how many seeds each lr gets by the decisions
//! so far. Plain values; `verdict` decides which lrs are dropped.

/// The decisions after one number of tuning seeds, or about lrs that were dropped too early.
#[derive(Debug, Clone, PartialEq)]
pub struct Halving {
    /// Number of tuning seeds of the lrs that took part.
    pub seeds: u64,
    /// The lrs.
    pub outcomes: Vec<AtHalving>,
}

/// The decision about one lr of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct AtHalving {
    /// The schedule.
    pub schedule: String,
    /// Length of its runs in steps.
    pub steps: u64,
    /// The base lr.
    pub base_lr: f64,
    /// The decision.
    pub fate: Fate,
}

/// The fate of a base lr of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It gets the tuning seeds up to the next decision.
    Survives,
    /// It gets no more seeds and is not ranked.
    Dropped,
    /// It was dropped, and gets all tuning seeds now, because it is next to the best lr.
    Restored,
}

impl Fate {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Survives => "survives",
            Fate::Dropped => "dropped",
            Fate::Restored => "restored",
        }
    }
}

/// The tuning seeds of one lr of a schedule so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuned {
    /// Number of its seeds.
    pub seeds: usize,
    /// Whether it gets no more.
    pub is_dropped: bool,
}

/// The numbers of tuning seeds after which lrs are dropped: 1, 2, 4, ..., below the number of all.
pub fn rungs(all: usize) -> Vec<usize> {
    std::iter::successors(Some(1_usize), |seeds| seeds.checked_mul(2))
        .take_while(|seeds| *seeds < all)
        .collect()
}

/// The tuning seeds of an lr after these decisions, of `all` that a sweep has. An lr that was added after them gets all.
pub(crate) fn tuned(halvings: &[Halving], (schedule, steps, base_lr): (&str, u64, f64), all: usize) -> Tuned {
    let is_own = |at: &&AtHalving| at.schedule == schedule && at.steps == steps && at.base_lr == base_lr;
    let mut dropped_after = None;
    for halving in halvings {
        match halving.outcomes.iter().find(is_own).map(|at| at.fate) {
            Some(Fate::Dropped) => dropped_after = Some(halving.seeds),
            Some(Fate::Restored) => dropped_after = None,
            Some(Fate::Survives) | None => {}
        }
    }
    match dropped_after {
        Some(seeds) => Tuned { seeds: usize::try_from(seeds).unwrap_or(all), is_dropped: true },
        None => Tuned { seeds: rungs(all).get(halvings.len()).copied().unwrap_or(all), is_dropped: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_lr: f64, fate: Fate) -> AtHalving {
        AtHalving { schedule: "a".to_owned(), steps: 10, base_lr, fate }
    }

    #[test]
    fn lrs_are_dropped_after_1_2_4_seeds_and_never_after_the_last() {
        assert_eq!(rungs(8), [1, 2, 4]);
        assert_eq!(rungs(5), [1, 2, 4]);
        assert_eq!(rungs(2), [1]);
        assert_eq!(rungs(1), [0_usize; 0]);
    }

    #[test]
    fn an_lr_gets_the_seeds_up_to_the_next_decision_until_it_is_dropped() {
        let seeds = |halvings: &[Halving], lr: f64| {
            let found = tuned(halvings, ("a", 10, lr), 5);
            (found.seeds, found.is_dropped)
        };
        let first = Halving { seeds: 1, outcomes: vec![at(0.1, Fate::Survives), at(0.8, Fate::Dropped)] };
        assert_eq!(seeds(&[], 0.1), (1, false));
        let mut all = vec![first];
        assert_eq!((seeds(&all, 0.1), seeds(&all, 0.8)), ((2, false), (1, true)));
        all.push(Halving { seeds: 2, outcomes: vec![at(0.1, Fate::Survives)] });
        assert_eq!(seeds(&all, 0.1), (4, false));
        all.push(Halving { seeds: 4, outcomes: vec![at(0.1, Fate::Survives)] });
        // An lr that was added later, or that another schedule has, gets all seeds.
        assert_eq!(
            (seeds(&all, 0.1), seeds(&all, 0.2), seeds(&all, 0.8)),
            ((5, false), (5, false), (1, true))
        );
        all.push(Halving { seeds: 5, outcomes: vec![at(0.8, Fate::Restored)] });
        assert_eq!(seeds(&all, 0.8), (5, false));
        assert_eq!(tuned(&all, ("b", 10, 0.8), 5), Tuned { seeds: 5, is_dropped: false });
    }
}
