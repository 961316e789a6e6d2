//! From results to a ranking: each schedule at its best config, and what can be said of the order. The
//! only place where a conclusion about schedules is drawn.

use std::collections::BTreeMap;

use crate::format::{accuracy, decimals, lr};
use crate::rows::Rows;

/// Two schedules are told apart when the corrected p-value is below this.
pub const ALPHA: f64 = 0.05;

/// The result of one run that a sweep asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// The schedule's name.
    pub schedule: String,
    /// The point of the grid without its seed.
    pub config_id: String,
    /// The base lr.
    pub base_lr: f64,
    /// The seed.
    pub seed: i64,
    /// How far it is.
    pub state: RunState,
    /// Test loss after the last step.
    pub test_loss: Option<f64>,
    /// Test accuracy after the last step, 0 to 1.
    pub test_accuracy: Option<f64>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RunState {
    /// Finished with this validation loss.
    Done(f64),
    /// Diverged: counts as an infinite loss.
    Diverged,
    /// Queued, running, stopped or failed.
    Missing,
}

/// The schedules of a sweep, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// One line for each schedule.
    pub lines: Vec<Line>,
    /// The lowest p-value that the number of seeds can give, where a test was possible.
    pub p_floor: Option<f64>,
}

/// One schedule at its best config.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The schedule's name.
    pub schedule: String,
    /// Its best config.
    pub config_id: String,
    /// That config's base lr.
    pub base_lr: f64,
    /// Set where the best base lr is the lowest or highest that was tried.
    pub edge: Option<Edge>,
    /// Finished runs of that config.
    pub n: usize,
    /// Mean validation loss of the finished runs.
    pub mean: Option<f64>,
    /// Its standard deviation over seeds.
    pub sd: Option<f64>,
    /// Diverged runs of that config.
    pub diverged: usize,
    /// Runs of that config that are still to be trained.
    pub missing: usize,
    /// Diverged runs of the schedule over its whole grid.
    pub diverged_in_grid: usize,
    /// Mean test loss.
    pub test_loss: Option<f64>,
    /// Mean test accuracy.
    pub test_accuracy: Option<f64>,
    /// Mean paired difference of validation losses to the first line, over common seeds.
    pub diff: Option<f64>,
    /// Exact sign-flip p-value of that difference, corrected by Holm for the number of lines.
    pub p: Option<f64>,
    /// Whether the data tell this schedule from the first one.
    pub tied: bool,
}

/// Which end of the lr grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The lowest base lr.
    Low,
    /// The highest base lr.
    High,
}

impl Edge {
    fn name(self) -> &'static str {
        match self {
            Edge::Low => "low",
            Edge::High => "high",
        }
    }
}

/// A line on its way into the ranking: what it is ordered by, and its losses by seed.
struct Ranked {
    line: Line,
    key: Key,
    losses: BTreeMap<i64, f64>,
}

/// No results yet, share of runs that diverged, mean loss.
type Key = (bool, f64, f64);

/// One config of one schedule.
struct Config<'a> {
    id: &'a str,
    base_lr: f64,
    runs: Vec<&'a RunResult>,
}

impl Config<'_> {
    fn losses(&self) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|run| if let RunState::Done(loss) = run.state { Some(loss) } else { None })
            .collect()
    }

    fn count(&self, state: RunState) -> usize {
        self.runs.iter().filter(|run| run.state == state).count()
    }

    /// Orders configs: those with results first, then by the share that diverged, then by mean loss.
    fn key(&self) -> Key {
        let (losses, diverged) = (self.losses(), self.count(RunState::Diverged));
        let ended = losses.len() + diverged;
        let share = if ended == 0 { 1.0 } else { diverged as f64 / ended as f64 };
        let mean = stats::summary(&losses).map_or(f64::INFINITY, |s| s.mean);
        (ended == 0, share, mean)
    }
}

fn compare(a: Key, b: Key) -> std::cmp::Ordering {
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
}

/// Ranks the schedules of one sweep. `results` are in the order of the sweep file, which breaks ties.
pub fn rank(results: &[RunResult]) -> Ranking {
    let mut best = Vec::new();
    for (schedule, configs) in by_schedule(results) {
        let Some(chosen) = configs.iter().min_by(|a, b| compare(a.key(), b.key())) else { continue };
        best.push(Ranked {
            line: line(schedule, chosen, &configs),
            key: chosen.key(),
            losses: by_seed(chosen),
        });
    }
    best.sort_by(|a, b| compare(a.key, b.key));
    let p_floor = test_against_first(&mut best);
    Ranking { lines: best.into_iter().map(|ranked| ranked.line).collect(), p_floor }
}

/// Groups results by schedule and config, in the order of first appearance.
fn by_schedule(results: &[RunResult]) -> Vec<(&str, Vec<Config<'_>>)> {
    let mut schedules: Vec<(&str, Vec<Config<'_>>)> = Vec::new();
    let mut index: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for run in results {
        let at = *names.entry(&run.schedule).or_insert_with(|| {
            schedules.push((&run.schedule, Vec::new()));
            schedules.len() - 1
        });
        let Some((_, configs)) = schedules.get_mut(at) else { continue };
        let (_, config) = *index.entry((&run.schedule, &run.config_id)).or_insert_with(|| {
            configs.push(Config { id: &run.config_id, base_lr: run.base_lr, runs: Vec::new() });
            (at, configs.len() - 1)
        });
        if let Some(config) = configs.get_mut(config) {
            // A config that ignores the base lr is asked for once for each base lr: count its runs once.
            if config.runs.iter().all(|known| known.seed != run.seed) {
                config.runs.push(run);
            }
        }
    }
    schedules
}

fn by_seed(config: &Config<'_>) -> BTreeMap<i64, f64> {
    let done =
        |run: &&RunResult| if let RunState::Done(loss) = run.state { Some((run.seed, loss)) } else { None };
    config.runs.iter().filter_map(done).collect()
}

fn line(schedule: &str, chosen: &Config<'_>, configs: &[Config<'_>]) -> Line {
    let mean = |pick: fn(&RunResult) -> Option<f64>| {
        let values: Vec<f64> = chosen.runs.iter().filter_map(|run| pick(run)).collect();
        stats::summary(&values).map(|s| s.mean)
    };
    let summary = stats::summary(&chosen.losses());
    Line {
        schedule: schedule.to_owned(),
        config_id: chosen.id.to_owned(),
        base_lr: chosen.base_lr,
        edge: edge(chosen, configs).filter(|_| !chosen.key().0),
        n: chosen.losses().len(),
        mean: summary.map(|s| s.mean),
        sd: summary.and_then(|s| s.sd),
        diverged: chosen.count(RunState::Diverged),
        missing: chosen.count(RunState::Missing),
        diverged_in_grid: configs.iter().map(|config| config.count(RunState::Diverged)).sum(),
        test_loss: mean(|run| run.test_loss),
        test_accuracy: mean(|run| run.test_accuracy),
        diff: None,
        p: None,
        tied: false,
    }
}

/// Whether the chosen base lr is the first or last of the grid, so that a better one may lie beyond.
fn edge(chosen: &Config<'_>, configs: &[Config<'_>]) -> Option<Edge> {
    let lowest = configs.iter().map(|config| config.base_lr).fold(f64::INFINITY, f64::min);
    let highest = configs.iter().map(|config| config.base_lr).fold(0.0, f64::max);
    if lowest >= highest {
        None
    } else if chosen.base_lr == lowest {
        Some(Edge::Low)
    } else if chosen.base_lr == highest {
        Some(Edge::High)
    } else {
        None
    }
}

/// Fills in what can be said of each line against the first.
fn test_against_first(best: &mut [Ranked]) -> Option<f64> {
    let (first, rest) = best.split_first_mut()?;
    let mut floor: Option<f64> = None;
    let mut tested = Vec::new();
    for (i, Ranked { line, losses, .. }) in rest.iter_mut().enumerate() {
        let differences: Vec<f64> =
            losses.iter().filter_map(|(seed, loss)| Some(loss - first.losses.get(seed)?)).collect();
        line.diff = stats::summary(&differences).map(|s| s.mean);
        // Undecided until a test says otherwise.
        line.tied = line.mean.is_some();
        // A run that diverged is no number: the test would leave out what matters most.
        if line.diverged > 0 || first.line.diverged > 0 {
            continue;
        }
        if let Some(test) = stats::sign_flip(&differences) {
            floor = Some(floor.map_or(test.floor, |floor| floor.max(test.floor)));
            tested.push((i, test.p));
        }
    }
    let adjusted = stats::holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((i, _), p) in tested.iter().zip(adjusted) {
        if let Some(Ranked { line, .. }) = rest.get_mut(*i) {
            line.p = Some(p);
            line.tied = p >= ALPHA;
        }
    }
    floor
}

impl Line {
    /// Whether any of its runs has ended; else its config is only the first of the grid.
    fn has_results(&self) -> bool {
        self.n + self.diverged > 0
    }
}

impl Ranking {
    /// The ranking for programs: full precision, names that SQL and JSON users expect.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::new([
            "rank",
            "schedule",
            "config_id",
            "base_lr",
            "edge",
            "n",
            "mean",
            "sd",
            "diff",
            "p",
            "p_floor",
            "tied",
            "diverged",
            "missing",
            "diverged_in_grid",
            "test_loss",
            "test_accuracy",
        ]);
        for (i, line) in self.lines.iter().enumerate() {
            rows.rows.push(vec![
                line.mean.map(|_| i + 1).into(),
                line.schedule.as_str().into(),
                line.config_id.as_str().into(),
                line.has_results().then_some(line.base_lr).into(),
                line.edge.map(Edge::name).into(),
                line.n.into(),
                line.mean.into(),
                line.sd.into(),
                line.diff.into(),
                line.p.into(),
                self.p_floor.into(),
                line.tied.into(),
                line.diverged.into(),
                line.missing.into(),
                line.diverged_in_grid.into(),
                line.test_loss.into(),
                line.test_accuracy.into(),
            ]);
        }
        rows
    }

    /// The ranking for people: rounded to what the spread over seeds supports.
    pub fn table(&self) -> Rows {
        let mut rows = Rows::new([
            "#",
            "schedule",
            "best lr",
            "valid loss",
            "vs first",
            "seeds",
            "diverged",
            "test acc.",
        ]);
        for (i, line) in self.lines.iter().enumerate() {
            let digits = decimals(line.sd);
            let loss = match (line.mean, line.sd) {
                (Some(mean), Some(sd)) => format!("{mean:.digits$} ± {sd:.digits$}"),
                (Some(mean), None) => format!("{mean:.digits$}"),
                (None, _) if line.diverged > 0 => "diverged".to_owned(),
                (None, _) => "—".to_owned(),
            };
            let edge = match line.edge {
                Some(Edge::Low) => " ↓EDGE",
                Some(Edge::High) => " ↑EDGE",
                None => "",
            };
            let versus = match (line.diff, line.p) {
                (Some(diff), Some(_)) if line.tied => format!("{diff:+.digits$} (tie)"),
                (Some(diff), None) if line.tied => format!("{diff:+.digits$} (undecided)"),
                (None, None) if line.tied => "(undecided)".to_owned(),
                (Some(diff), Some(p)) => format!("{diff:+.digits$} (p {p:.3})"),
                (Some(diff), None) => format!("{diff:+.digits$}"),
                _ => String::new(),
            };
            let diverged = match (line.diverged, line.diverged_in_grid) {
                (_, 0) => "0".to_owned(),
                (here, grid) => format!("{here} ({grid} in grid)"),
            };
            let seeds = match line.missing {
                0 => format!("{}", line.n + line.diverged),
                missing => format!("{} of {}", line.n + line.diverged, line.n + line.diverged + missing),
            };
            // Not told from the first: it shares its place.
            let place = match line.mean {
                None => "—".to_owned(),
                Some(_) if line.tied => "=1".to_owned(),
                Some(_) => format!("{}", i + 1),
            };
            rows.rows.push(vec![
                place.into(),
                line.schedule.as_str().into(),
                if line.has_results() { format!("{}{edge}", lr(line.base_lr)) } else { "—".to_owned() }
                    .into(),
                loss.into(),
                versus.into(),
                seeds.into(),
                diverged.into(),
                line.test_accuracy.map(accuracy).unwrap_or_default().into(),
            ]);
        }
        rows
    }

    /// What to know before believing the order, one short sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(floor) = self.p_floor {
            let tests = self.lines.iter().filter(|line| line.p.is_some()).count();
            let reachable = (floor * tests as f64).min(1.0);
            notes.push(format!(
                "tie: its difference to the first, paired over seeds, may be chance (p >= {ALPHA}; sign-flip test, Holm's \
                 correction)"
            ));
            if reachable >= ALPHA {
                notes.push(format!(
                    "so few seeds can decide nothing: {tests} comparisons reach p = {reachable:.2} at best; more seeds are \
                     needed"
                ));
            }
        }
        if self.lines.iter().any(|line| line.tied && line.p.is_none()) {
            notes.push("undecided: diverged runs or a lack of common seeds leave nothing to test".to_owned());
        }
        if self.lines.iter().any(|line| line.edge.is_some()) {
            notes.push(
                "EDGE: the best lr is the lowest (↓) or highest (↑) that was tried; widen the grid on that side"
                    .to_owned(),
            );
        }
        if self.p_floor.is_some() {
            notes.push(
                "each lr was chosen on the seeds shown here, which flatters every schedule a little"
                    .to_owned(),
            );
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Cell;

    fn run(schedule: &str, base_lr: f64, seed: i64, state: RunState) -> RunResult {
        let config_id = format!("{schedule}-{base_lr}");
        let (schedule, accuracy) = (schedule.to_owned(), Some(0.5));
        RunResult { schedule, config_id, base_lr, seed, state, test_loss: None, test_accuracy: accuracy }
    }

    /// `losses` over base lrs 0.1, 0.2, 0.3 with a small seed effect that pairing removes.
    fn grid(schedule: &str, losses: [f64; 3], seeds: i64) -> Vec<RunResult> {
        let mut all = Vec::new();
        for seed in 0..seeds {
            for (i, loss) in losses.iter().enumerate() {
                let state = if loss.is_finite() {
                    RunState::Done(loss + 0.01 * seed as f64)
                } else {
                    RunState::Diverged
                };
                all.push(run(schedule, 0.1 * (i + 1) as f64, seed, state));
            }
        }
        all
    }

    #[test]
    fn each_schedule_stands_at_its_own_best_lr() {
        let ranking = rank(&[grid("a", [3.0, 1.0, 2.0], 3), grid("b", [0.5, 4.0, 5.0], 3)].concat());
        let found: Vec<_> = ranking.lines.iter().map(|l| (l.schedule.as_str(), l.base_lr, l.edge)).collect();
        assert_eq!(found, [("b", 0.1, Some(Edge::Low)), ("a", 0.2, None)]);
    }

    #[test]
    fn a_diverged_run_ranks_its_config_and_schedule_last_and_is_counted() {
        let mut results = grid("a", [1.0, 9.0, f64::INFINITY], 3);
        results[0].state = RunState::Diverged;
        let ranking = rank(&[results, grid("b", [10.0; 3], 3)].concat());
        assert_eq!(ranking.lines[0].schedule, "a");
        assert_eq!((ranking.lines[0].base_lr, ranking.lines[0].diverged_in_grid), (0.2, 4));
        let ranking = rank(&[grid("c", [f64::INFINITY; 3], 3), grid("b", [10.0; 3], 3)].concat());
        assert_eq!((ranking.lines[1].schedule.as_str(), ranking.lines[1].diverged), ("c", 3));
        assert_eq!(ranking.table().rows[1][3], Cell::Text("diverged".into()));
    }

    #[test]
    fn a_clear_difference_is_told_from_a_tie_only_with_enough_seeds() {
        let few = rank(&[grid("a", [1.0; 3], 3), grid("b", [2.0; 3], 3)].concat());
        assert!(few.lines[1].tied);
        assert_eq!(few.p_floor, Some(0.25));
        assert!(few.notes()[1].contains("more seeds are needed"));
        let many = rank(&[grid("a", [1.0; 3], 8), grid("b", [2.0; 3], 8)].concat());
        assert!(!many.lines[1].tied);
        assert_eq!(many.lines[1].p, Some(2.0 / 256.0));
        assert!((many.lines[1].diff.expect("paired") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_seed_and_many_seeds_are_never_an_order_without_evidence() {
        let one = rank(&[grid("a", [1.0; 3], 1), grid("b", [2.0; 3], 1)].concat());
        assert!(one.lines[1].tied && one.notes()[1].contains("more seeds are needed"), "{one:?}");
        let many = rank(&[grid("a", [1.0; 3], 30), grid("b", [1.0 + 1e-9; 3], 30)].concat());
        assert!(many.lines[1].p.is_some());
        let mut results = [grid("a", [1.0; 3], 8), grid("b", [2.0; 3], 8)].concat();
        results
            .iter_mut()
            .filter(|run| run.schedule == "b" && run.seed == 3)
            .for_each(|run| run.state = RunState::Diverged);
        let ranking = rank(&results);
        assert!(ranking.lines[1].tied && ranking.lines[1].p.is_none());
        let failed = rank(&grid("c", [f64::INFINITY; 3], 2));
        assert_eq!(failed.table().rows[0][0], Cell::Text("—".into()));
    }

    #[test]
    fn the_same_config_under_several_lrs_is_one_config_without_an_edge() {
        let mut results = grid("a", [1.0; 3], 2);
        for run in &mut results {
            run.config_id = "same".to_owned();
        }
        let line = &rank(&results).lines[0];
        assert_eq!((line.n, line.edge), (2, None));
    }

    #[test]
    fn a_sweep_in_progress_and_an_empty_one_have_rankings() {
        assert_eq!(rank(&[]).lines, []);
        let mut results = grid("a", [1.0; 3], 2);
        results.extend(
            grid("b", [1.0; 3], 2).into_iter().map(|run| RunResult { state: RunState::Missing, ..run }),
        );
        let ranking = rank(&results);
        assert_eq!((ranking.lines[1].n, ranking.lines[1].missing, ranking.lines[1].edge), (0, 2, None));
        assert_eq!(ranking.table().rows[1][2], Cell::Text("—".into()));
        assert_eq!(ranking.table().rows[1][5], Cell::Text("0 of 2".into()));
    }
}
