//! Tests of the ranking on made-up results, and simulations with fixed seeds of how often it is wrong.

use spec::looks::Rule;
use spec::record::Axes;

use super::*;
use crate::results::TrialRecord;
use crate::score::Score;
use crate::warnings::{History, Kind, warnings};

pub(crate) fn run(schedule: &str, base_lr: f64, seed: i64, state: RunState) -> RunResult {
    let value = if let RunState::Done(loss) = state { loss } else { f64::INFINITY };
    let trial = TrialRecord {
        schedule: schedule.to_owned(),
        config_id: format!("{schedule}-{base_lr}"),
        base_lr,
        steps: 100,
        seed,
        test_accuracy: Some(0.5),
        ..TrialRecord::default()
    };
    RunResult { trial, state, score: Some(Score { value, direction: Direction::LowerIsBetter }) }
}

/// `losses` over base lrs 0.1, 0.2, 0.3 with a small seed effect that pairing removes.
fn grid(schedule: &str, losses: [f64; 3], seeds: i64) -> Vec<RunResult> {
    let mut all = Vec::new();
    for seed in 0..seeds {
        for (i, loss) in losses.iter().enumerate() {
            let state =
                if loss.is_finite() { RunState::Done(loss + 0.01 * seed as f64) } else { RunState::Diverged };
            all.push(run(schedule, 0.1 * (i + 1) as f64, seed, state));
        }
    }
    all
}

fn plain(results: &[RunResult]) -> Ranking {
    rank(results, &Options::default())
}

fn kinds(results: &[RunResult]) -> Vec<Kind> {
    let options = Options::default();
    warnings(&rank(results, &options), results, &options, &History::default())
        .into_iter()
        .map(|warning| warning.kind)
        .collect()
}

#[test]
fn each_schedule_is_ranked_at_its_own_best_lr() {
    let ranking = plain(&[grid("a", [3.0, 1.0, 2.0], 3), grid("b", [0.5, 4.0, 5.0], 3)].concat());
    let found: Vec<_> = ranking.lines.iter().map(|l| (l.schedule.as_str(), l.base_lr, l.edge)).collect();
    assert_eq!(found, [("b", 0.1, Some(Edge::Low)), ("a", 0.2, None)]);
}

#[test]
fn after_looks_the_order_is_that_of_the_differences_to_the_first() {
    // The last two seeds are easy for all, and only two schedules have them: by its mean, `late` would be before `early`.
    let runs = |schedule: &'static str, loss: f64, seeds: i64| {
        (0..seeds + 2).map(move |seed| {
            let easy = if seed >= 12 { -2.0 } else { 0.0 };
            let mut run = run(schedule, 0.1, seed, RunState::Done(loss + easy + 0.01 * seed as f64));
            run.trial.purpose = if seed < 2 { Purpose::Tune } else { Purpose::Decide };
            run
        })
    };
    let results: Vec<RunResult> =
        runs("late", 1.5, 12).chain(runs("early", 1.2, 10)).chain(runs("best", 1.0, 12)).collect();
    let looks = Looks { seeds: (6..=12).collect(), rope: None, rule: Rule::AnyTime };
    let ranking = rank(&results, &Options { looks: Some(looks), ..Options::default() });
    let found: Vec<_> = ranking.lines.iter().map(|line| (line.schedule.as_str(), line.requested())).collect();
    assert_eq!(found, [("best", 12), ("early", 10), ("late", 12)]);
    assert!(ranking.lines[1].mean > ranking.lines[2].mean);
}

#[test]
fn a_diverged_run_ranks_its_config_and_schedule_last_and_is_counted() {
    let mut results = grid("a", [1.0, 9.0, f64::INFINITY], 3);
    results[0].state = RunState::Diverged;
    let ranking = plain(&[results, grid("b", [10.0; 3], 3)].concat());
    assert_eq!(ranking.lines[0].schedule, "a");
    assert_eq!((ranking.lines[0].base_lr, ranking.lines[0].diverged_in_grid), (0.2, 4));
    let both = [grid("c", [f64::INFINITY; 3], 6), grid("b", [10.0; 3], 6)].concat();
    let ranking = plain(&both);
    let last = &ranking.lines[1];
    assert_eq!((last.schedule.as_str(), last.diverged, last.mean, last.versus.diff), ("c", 6, None, None));
    // The verdict needs no mean difference.
    assert_eq!((last.verdict, last.versus.p), (Verdict::Worse, Some(0.03125)));
    assert!(kinds(&both).contains(&Kind::Diverged));
}

#[test]
fn a_clear_difference_is_significant_only_with_enough_seeds() {
    let few = [grid("a", [1.0; 3], 3), grid("b", [2.0; 3], 3)].concat();
    let ranking = plain(&few);
    assert_eq!(ranking.lines[1].tie_group, Some(1));
    assert_eq!((ranking.p_floor, ranking.can_decide()), (Some(0.25), false));
    assert!(kinds(&few).contains(&Kind::FewSeeds));
    let many = [grid("a", [1.0; 3], 8), grid("b", [2.0; 3], 8)].concat();
    let ranking = plain(&many);
    let line = &ranking.lines[1];
    assert_eq!((line.tie_group, line.verdict, line.versus.p), (Some(2), Verdict::Worse, Some(2.0 / 256.0)));
    assert!((line.versus.diff.expect("paired") - 1.0).abs() < 1e-12);
    assert!(!kinds(&many).contains(&Kind::FewSeeds));
}

#[test]
fn all_pairs_are_tested_together_and_give_ranks() {
    // Clear differences with 8 seeds: each pair has the lowest possible p-value.
    let ranking = plain(&[grid("a", [1.0; 3], 8), grid("b", [2.0; 3], 8), grid("c", [4.0; 3], 8)].concat());
    let p: Vec<_> = ranking.lines.iter().map(|line| line.versus.p).collect();
    assert_eq!(p, [None, Some(2.0 / 256.0), Some(2.0 / 256.0)]);
    let groups: Vec<_> = ranking.lines.iter().map(|line| line.tie_group).collect();
    assert_eq!(groups, [Some(1), Some(2), Some(3)]);
    let ranks: Vec<_> = ranking.lines.iter().map(|line| line.ranks).collect();
    assert_eq!(ranks, [Some((1, 1)), Some((2, 2)), Some((3, 3))]);
}

/// A noisy schedule may be tied with the first although its mean is worse than that of a significantly worse schedule.
#[test]
fn lines_are_in_the_order_of_means() {
    let noise = [0.9, -0.8, 0.7, -1.0, 0.8, -0.6, 1.0, -0.7, 0.6, -0.9];
    let mut results = Vec::new();
    for (seed, noise) in (0..10).zip(noise) {
        for (name, value) in [("first", 1.0), ("noisy", 1.3 + noise), ("worse", 1.1)] {
            results.push(run(name, 0.1, seed, RunState::Done(value + 1e-3 * noise)));
        }
    }
    let ranking = plain(&results);
    let found: Vec<_> = ranking.lines.iter().map(|l| (l.schedule.as_str(), l.ranks, l.tie_group)).collect();
    assert_eq!(
        found,
        [
            ("first", Some((1, 2)), Some(1)),
            ("worse", Some((2, 3)), Some(2)),
            ("noisy", Some((1, 3)), Some(1))
        ]
    );
}

#[test]
fn deciding_seeds_judge_the_configs_that_tuning_seeds_chose() {
    let mut results = Vec::new();
    for (schedule, tuned, decided) in [("a", [1.0, 2.0, 3.0], 5.0), ("b", [2.0, 1.5, 3.0], 4.0)] {
        for mut run in grid(schedule, tuned, 2) {
            run.trial.purpose = Purpose::Tune;
            results.push(run);
        }
        let lr = if schedule == "a" { 0.1 } else { 0.2 };
        for seed in 2..10 {
            let mut run = run(schedule, lr, seed, RunState::Done(decided + 0.1 * seed as f64));
            run.trial.purpose = Purpose::Decide;
            results.push(run);
        }
    }
    let ranking = plain(&results);
    assert_eq!(ranking.protocol, Protocol::Decided);
    let found: Vec<_> = ranking.lines.iter().map(|l| (l.schedule.as_str(), l.base_lr, l.n)).collect();
    assert_eq!(found, [("b", 0.2, 8), ("a", 0.1, 8)]);
    assert_eq!(ranking.lines[1].versus.p, Some(2.0 / 256.0));
    // Without deciding runs, the ranking shows the tuning runs and decides nothing.
    results.retain(|run| run.trial.purpose == Purpose::Tune);
    let ranking = plain(&results);
    assert_eq!((ranking.protocol, ranking.lines[0].schedule.as_str()), (Protocol::Tuning, "a"));
    assert!(ranking.lines.iter().all(|line| line.tie_group == Some(1)));
    assert!(kinds(&results).contains(&Kind::OnlyTuned));
}

#[test]
fn the_highest_accuracy_ranks_first() {
    let metric = Metric {
        name: "accuracy".into(),
        title: "test accuracy".into(),
        direction: Direction::HigherIsBetter,
        has_target: false,
    };
    let options = Options { metric, ..Options::default() };
    let mut results = [grid("a", [1.0; 3], 8), grid("b", [1.0; 3], 8)].concat();
    for run in &mut results {
        let accuracy = if run.trial.schedule == "b" { 0.9 } else { 0.8 };
        let value = accuracy + 0.001 * run.trial.seed as f64;
        run.score = Some(Score { value, direction: Direction::HigherIsBetter });
    }
    let ranking = rank(&results, &options);
    assert_eq!(ranking.lines[0].schedule, "b");
    let last = &ranking.lines[1];
    let (low, high) = last.versus.interval.expect("eight seeds");
    let diff = last.versus.diff.expect("eight seeds");
    assert!((last.mean.expect("eight seeds") - 0.8035).abs() < 1e-9 && (diff + 0.1).abs() < 1e-9);
    assert!(low <= diff && diff <= high && high < 0.0);
    assert_eq!((last.verdict, last.versus.wins), (Verdict::Worse, 0.0));
    for run in results.iter_mut().filter(|run| run.trial.schedule == "b" && run.trial.seed == 0) {
        run.state = RunState::Diverged;
    }
    assert_eq!(
        rank(&results, &options).lines[0].schedule,
        "a",
        "the diverged run counts as the worst accuracy"
    );
}

#[test]
fn schedules_without_a_significant_difference_are_tied() {
    let one = [grid("a", [1.0; 3], 1), grid("b", [2.0; 3], 1)].concat();
    assert!(plain(&one).lines[1].tie_group == Some(1) && kinds(&one).contains(&Kind::FewSeeds));
    let many = plain(&[grid("a", [1.0; 3], 30), grid("b", [1.0 + 1e-9; 3], 30)].concat());
    assert!(many.lines[1].versus.p.is_some());
    let single = plain(&grid("a", [1.0; 3], 8));
    assert_eq!((single.lines.len(), single.lines[0].verdict, single.p_floor), (1, Verdict::First, None));
}

#[test]
fn every_tuned_axis_is_flagged_at_its_edge() {
    let mut results = Vec::new();
    for seed in 0..2 {
        for (over, shape, loss) in [("10%", "linear", 3.0), ("20%", "cosine", 2.0), ("40%", "linear", 1.0)] {
            let axes = [("schedule.cooldown.over", over), ("schedule.cooldown.shape", shape)];
            let mut run = run("wsd", 0.1, seed, RunState::Done(loss));
            run.trial.axes = Axes(axes.map(|(path, value)| (path.to_owned(), value.to_owned())).into());
            run.trial.config_id = over.to_owned();
            results.push(run);
        }
    }
    let ranking = plain(&results);
    let edge = AxisEdge { path: "schedule.cooldown.over".into(), value: "40%".into(), edge: Edge::High };
    assert_eq!((ranking.lines[0].edge, &ranking.lines[0].axis_edges), (None, &vec![edge]));
    let options = Options::default();
    let all = warnings(&ranking, &results, &options, &History::default());
    let found = all.iter().find(|warning| warning.kind == Kind::Edge).expect("a warning");
    assert!(found.text.contains("wsd: schedule.cooldown.over 40% (the highest)"), "{}", found.text);
}

#[test]
fn the_same_config_under_several_lrs_is_one_config_without_an_edge() {
    let mut results = grid("a", [1.0; 3], 2);
    for run in &mut results {
        run.trial.config_id = "same".to_owned();
    }
    let line = &plain(&results).lines[0];
    assert_eq!((line.n, line.edge), (2, None));
}

#[test]
fn a_sweep_in_progress_and_an_empty_one_have_rankings() {
    assert_eq!(plain(&[]).lines, []);
    assert_eq!(kinds(&[]), []);
    let mut results = grid("a", [1.0; 3], 2);
    results
        .extend(grid("b", [1.0; 3], 2).into_iter().map(|run| RunResult { state: RunState::Missing, ..run }));
    let ranking = plain(&results);
    assert_eq!((ranking.lines[1].n, ranking.lines[1].missing, ranking.lines[1].edge), (0, 2, None));
    assert_eq!(ranking.lines[1].tie_group, None);
    assert!(kinds(&results).contains(&Kind::Missing));
    // A failed run is not missing.
    let failed: Vec<RunResult> = results
        .iter()
        .map(|run| match run.state {
            RunState::Missing => RunResult { state: RunState::Failed, ..run.clone() },
            _ => run.clone(),
        })
        .collect();
    assert!(kinds(&failed).contains(&Kind::Failed) && !kinds(&failed).contains(&Kind::Missing));
}

#[test]
fn budgets_are_ranked_separately_and_a_reversed_order_gives_a_warning() {
    let mut results = Vec::new();
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let short = grid(name, [1.0 + i as f64; 3], 6);
        let mut long = grid(name, [9.0 - i as f64; 3], 6);
        long.iter_mut().for_each(|run| run.trial.steps = 200);
        results.extend(short);
        results.extend(long);
    }
    let ranking = plain(&results);
    assert_eq!((ranking.budget, ranking.lines[0].schedule.as_str()), (200, "d"));
    let short = rank(&results, &Options { budget: Some(100), ..Options::default() });
    assert_eq!(short.lines[0].schedule, "a");
    assert!(kinds(&results).contains(&Kind::UnstableOverBudgets));
}

/// Normally distributed random numbers (Box and Muller 1958).
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A sweep of schedules with these true losses at the first of `lrs` lrs; each further lr is worse by `step`. Noise: one
/// normal deviate of standard deviation 3 per seed, common to all its runs, and one of 1 per run.
fn simulated(random: &mut Normal, losses: &[f64], (lrs, step): (usize, f64), seeds: i64) -> Vec<RunResult> {
    let mut all = Vec::new();
    for seed in 0..seeds {
        let common = 3.0 * random.next();
        for (i, loss) in losses.iter().enumerate() {
            for lr in 0..lrs {
                let state = RunState::Done(loss + common + step * lr as f64 + random.next());
                all.push(run(&i.to_string(), lr as f64, seed, state));
            }
        }
    }
    all
}

#[test]
fn equal_schedules_are_rarely_called_different() {
    let mut random = Normal(1);
    for (schedules, lrs, seeds) in [
        (2, (1, 0.0), 8),
        (2, (4, 0.0), 8),
        (2, (4, 0.5), 8),
        (8, (1, 0.0), 10),
        (8, (2, 1.0), 9),
        (15, (1, 0.0), 10),
    ] {
        let mut wrong = 0;
        for _ in 0..2000 {
            let ranking = plain(&simulated(&mut random, &vec![0.0; schedules], lrs, seeds));
            wrong += u32::from(ranking.lines.iter().any(|line| line.ranks != Some((1, schedules))));
        }
        println!("{schedules} schedules, lrs {lrs:?}, {seeds} seeds: {wrong} of 2000");
        assert!(wrong <= 120, "{schedules} schedules, lrs {lrs:?}: {wrong} of 2000 are called different");
    }
}

/// The intervals of all pairs contain the true differences simultaneously, and the ranges of ranks the true ranks. If several
/// lrs are equally good, the choice among them is noise, and the intervals are conservative.
#[test]
fn intervals_and_ranges_of_ranks_contain_the_truth() {
    let mut random = Normal(2);
    let few = vec![0.0, 0.7];
    let many: Vec<f64> = (0..15).map(|i| f64::from(i / 3) * 0.8).collect();
    for (losses, lrs, seeds, max_held) in [
        (&few, (1, 0.0), 6, 1940),
        (&few, (1, 0.0), 8, 1940),
        (&few, (4, 0.7), 8, 1940),
        (&few, (3, 0.0), 8, 2000),
        (&vec![0.0; 6], (1, 0.0), 8, 1960),
        (&vec![0.0, 0.0, 1.0, 1.0, 3.0, 9.0], (1, 0.0), 6, 2000),
        (&vec![0.0, 0.0, 1.0, 1.0, 3.0, 9.0], (1, 0.0), 10, 1980),
        (&vec![0.0, 0.5, 1.0, 1.5], (3, 0.6), 8, 2000),
        (&many, (1, 0.0), 10, 1980),
    ] {
        let (mut held, mut ranked) = (0, 0);
        for _ in 0..2000 {
            let ranking = plain(&simulated(&mut random, losses, lrs, seeds));
            let truth: Vec<f64> = ranking
                .lines
                .iter()
                .map(|l| losses[l.schedule.parse::<usize>().expect("a number")])
                .collect();
            let holds = |i: usize, j: usize| {
                let (low, high) = ranking.family.pair(i, j).interval.expect("an interval");
                low <= truth[i] - truth[j] && truth[i] - truth[j] <= high
            };
            held += u32::from((0..truth.len()).all(|i| (0..i).all(|j| holds(i, j))));
            let within = |i: usize| {
                let (low, high) = ranking.lines[i].ranks.expect("ranks");
                // Equal schedules share the range of ranks from the first of them to the last.
                let better = truth.iter().filter(|x| **x < truth[i]).count();
                let worse = truth.iter().filter(|x| **x > truth[i]).count();
                low <= 1 + better && truth.len() - worse <= high
            };
            ranked += u32::from((0..truth.len()).all(within));
        }
        let what = format!("{} schedules, lrs {lrs:?}, {seeds} seeds", losses.len());
        println!("{what}: all intervals hold in {held} of 2000, all ranks in {ranked}");
        assert!((1860..=max_held).contains(&held) && ranked >= 1880, "{what}: {held} and {ranked} of 2000");
    }
}

/// Noise with a long tail to one side: the joint distribution of differences among three schedules is not symmetric.
#[test]
fn skewed_noise_does_not_cause_false_alarms() {
    let mut random = Normal(4);
    for schedules in [3, 8] {
        let mut wrong = 0;
        for _ in 0..2000 {
            let mut results = Vec::new();
            for seed in 0..10 {
                for i in 0..schedules {
                    results.push(run(&i.to_string(), 0.1, seed, RunState::Done(random.next().exp())));
                }
            }
            let ranking = plain(&results);
            let all = 0..ranking.lines.len();
            wrong += u32::from(all.clone().any(|i| ranking.lines[i].ranks != Some((1, schedules))));
        }
        println!("{schedules} schedules, log-normal noise: {wrong} of 2000");
        assert!(wrong <= 120, "{schedules} schedules: {wrong} of 2000 are called different");
    }
}

#[test]
fn a_large_difference_is_found() {
    let mut random = Normal(3);
    // 1.5 standard deviations of the difference, which has sqrt(2) times the standard deviation of a loss.
    let shift = 1.5 * 2f64.sqrt();
    let mut found = 0;
    for _ in 0..2000 {
        let ranking = plain(&simulated(&mut random, &[0.0, shift], (1, 0.0), 8));
        found += u32::from(ranking.lines[0].schedule == "0" && ranking.lines[1].verdict == Verdict::Worse);
    }
    println!("found in {found} of 2000");
    assert!(found >= 1800, "found in {found} of 2000");
}

fn steps_to() -> Options {
    let metric = Metric { name: "steps_to:valid_loss:0.1".into(), has_target: true, ..Metric::default() };
    Options { metric, ..Options::default() }
}

/// A run of 100 steps that reaches its target after this many.
fn reaching(schedule: &str, seed: i64, steps: f64) -> RunResult {
    if steps <= 100.0 {
        return run(schedule, 0.1, seed, RunState::Done(steps));
    }
    let score = Some(Score { value: 101.0, direction: Direction::LowerIsBetter });
    RunResult { score, ..run(schedule, 0.1, seed, RunState::Unreached(101.5)) }
}

#[test]
fn a_run_that_does_not_reach_the_target_counts_as_longer_than_any_that_does() {
    let mut results = Vec::new();
    for seed in 0..8 {
        // The last step is later than every other one that reaches the target, and still earlier than none.
        results.push(reaching("late", seed, 100.0));
        results.push(reaching("never", seed, f64::INFINITY));
        results.push(reaching("never2", seed, f64::INFINITY));
        results.push(reaching("fast", seed, if seed == 0 { f64::INFINITY } else { 40.0 + seed as f64 }));
    }
    let options = steps_to();
    let ranking = rank(&results, &options);
    let order: Vec<&str> = ranking.lines.iter().map(|line| line.schedule.as_str()).collect();
    assert_eq!(order, ["fast", "late", "never", "never2"]);
    let counts: Vec<_> = ranking.lines.iter().map(|line| (line.n, line.unreached, line.diverged)).collect();
    assert_eq!(counts, [(8, 1, 0), (8, 0, 0), (8, 8, 0), (8, 8, 0)]);
    assert_eq!((ranking.lines[1].mean, ranking.lines[2].mean), (Some(100.0), Some(101.0)));
    let at = |name: &str| ranking.position(name).expect("a line");
    // Every seed says that the one that reaches the target is better; two that do not are tied.
    assert_eq!(ranking.family.pair(at("late"), at("never")).p_raw, Some(2.0 / 256.0));
    assert_eq!(ranking.family.verdict(at("never"), at("never2")), Verdict::Same);
    let warned = warnings(&ranking, &results, &options, &History::default());
    let warning = warned.iter().find(|warning| warning.kind == Kind::Unreached).expect("a warning");
    assert_eq!(warning.schedules, ["fast", "never", "never2"]);
    assert!(warning.text.contains("fast 1/8"), "{}", warning.text);
}

#[test]
fn a_finished_run_without_the_metric_ranks_last_and_is_said() {
    let mut results = [grid("a", [1.0; 3], 6), grid("b", [2.0; 3], 6)].concat();
    for run in results.iter_mut().filter(|run| run.trial.schedule == "a" && run.trial.seed < 2) {
        run.state = RunState::Unreported(1.0);
    }
    let ranking = plain(&results);
    assert_eq!(ranking.lines[0].schedule, "b");
    let last = &ranking.lines[1];
    assert_eq!((last.n, last.unreported, last.missing, last.ended()), (4, 2, 0, 6));
    assert_eq!((last.versus.n, last.versus.diff), (6, None));
    assert!(kinds(&results).contains(&Kind::Unreported));
}

#[test]
fn a_grid_that_never_reaches_the_target_is_chosen_by_how_near_it_comes() {
    let mut results = Vec::new();
    for (lr, cost) in [(0.1, 101.9), (0.2, 101.2), (0.3, 101.7)] {
        for seed in 0..4 {
            let near = RunResult {
                score: Some(Score { value: 101.0, ..Score::worst(Direction::LowerIsBetter) }),
                ..run("a", lr, seed, RunState::Unreached(cost))
            };
            results.push(near);
        }
    }
    assert_eq!(rank(&results, &steps_to()).lines[0].base_lr, 0.2);
}

/// Steps to a target at evaluations after every 5 of 100 steps: log-normal, with a factor that all runs of a seed share, so that
/// about this share of the runs does not reach it. The schedules need `times` as many steps.
fn simulated_steps(random: &mut Normal, times: &[f64], unreached: f64, seeds: i64) -> Vec<RunResult> {
    let scale = 100.0 * unreached.exp();
    let mut all = Vec::new();
    for seed in 0..seeds {
        let common = 0.25 * random.next();
        for (i, factor) in times.iter().enumerate() {
            let steps = factor * scale * (common + 0.15 * random.next()).exp();
            all.push(reaching(&i.to_string(), seed, (steps / 5.0).ceil() * 5.0));
        }
    }
    all
}

/// Log-scales at which about none, a fifth, half and four fifths of the runs do not reach the target.
const UNREACHED: [(f64, &str); 4] = [(-1.0, "0 %"), (-0.245, "20 %"), (0.0, "50 %"), (0.245, "80 %")];

#[test]
fn equal_schedules_are_rarely_called_different_by_their_steps_to_a_target() {
    let mut random = Normal(5);
    for schedules in [2, 8, 15] {
        for (scale, share) in UNREACHED {
            let mut wrong = 0;
            for _ in 0..2000 {
                let ranking =
                    rank(&simulated_steps(&mut random, &vec![1.0; schedules], scale, 10), &steps_to());
                wrong += u32::from(ranking.lines.iter().any(|line| line.ranks != Some((1, schedules))));
            }
            println!("{schedules} schedules, {share} do not reach the target: {wrong} of 2000");
            // 100 of 2000 are 5 %; 120 is two standard deviations above.
            assert!(wrong <= 120, "{schedules} schedules, {share}: {wrong} of 2000 are called different");
        }
    }
}

#[test]
fn a_schedule_that_needs_fewer_steps_to_a_target_is_found() {
    let mut random = Normal(6);
    for ((scale, share), least) in UNREACHED.into_iter().zip([1900, 1800, 1000, 150]) {
        let mut found = 0;
        for _ in 0..2000 {
            // The middle of both is where half of the runs do not reach the target.
            let ranking = rank(&simulated_steps(&mut random, &[0.85, 1.0 / 0.85], scale, 10), &steps_to());
            found +=
                u32::from(ranking.lines[0].schedule == "0" && ranking.lines[1].verdict == Verdict::Worse);
        }
        println!("{share} do not reach the target: found in {found} of 2000");
        assert!(found >= least, "{share}: found in {found} of 2000");
    }
}
