//! Lrs between those of a grid (`refine`), and laws of the best lr over the number of steps (`sweep lr-law`).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::{Sandbox, root};

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn rows(value: &Json) -> &Vec<Json> {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

/// The lowest expected loss of each schedule of a file, by the closed form on a grid of steps of 1 %.
fn lowest(file: &str) -> BTreeMap<String, f64> {
    let sandbox = Sandbox::new();
    let lrs: Vec<String> = (0..350).map(|i| format!("{:.6}", 0.03 * 1.01_f64.powi(i))).collect();
    let file: String = file
        .lines()
        .map(|line| match line.split(':').next() {
            Some("lr") => format!("lr: {{values: [{}]}}\n", lrs.join(", ")),
            Some("seeds") => "seeds: 1\n".to_owned(),
            Some("refine") => String::new(),
            _ => format!("{line}\n"),
        })
        .collect();
    sandbox.write("fine.yaml", file);
    let expected = sandbox.run(&["expect", "fine.yaml", "--format", "json"]).exits(0).json();
    let mut best = BTreeMap::new();
    // The lowest loss comes first.
    for row in rows(&expected) {
        let name = row["schedule"].as_str().expect("a name").to_owned();
        best.entry(name).or_insert_with(|| number(&row["expected"]));
    }
    best
}

/// The place of a lr is as uncertain as the seeds are noisy; what counts is the expected loss there. `crates/sweep` has the test of the
/// place without noise.
#[test]
fn refined_lrs_of_the_quadratic_cost_at_most_1_percent() {
    let file = std::fs::read_to_string(root().join("experiments/quadratic.yaml")).expect("the experiment");
    let file = file.replace("seeds: 64", "seeds: {tune: 64, decide: 2}\nrefine: true");
    let lowest = lowest(&file);
    let sandbox = Sandbox::new();
    sandbox.write("quadratic.yaml", file);
    let screen = sandbox.run(&["quadratic.yaml"]).exits(0).stderr;
    let expected = sandbox.run(&["expect", "quadratic.yaml", "--format", "json"]).exits(0).json();
    let chosen = sandbox.query("select schedule, base_lr from promotions where kind = 'chosen'");
    assert_eq!(rows(&chosen).len(), 11);
    let mut worst = (0.0_f64, 0.0_f64);
    for row in rows(&chosen) {
        let (name, lr) = (row["schedule"].as_str().expect("a name"), number(&row["base_lr"]));
        let own = || rows(&expected).iter().filter(|row| row["schedule"] == name);
        let at = own().find(|row| row["base_lr"] == lr).expect("the chosen config");
        // The lrs of the grid are powers of 2.
        let in_grid = |row: &&Json| number(&row["base_lr"]).log2().fract() == 0.0;
        let grid = number(&own().find(in_grid).expect("the grid")["expected"]) / lowest[name] - 1.0;
        let cost = number(&at["expected"]) / lowest[name] - 1.0;
        println!("{name}: lr {lr} costs {:.2} %, the best of the grid {:.2} %", 100.0 * cost, 100.0 * grid);
        assert!(cost <= 0.01, "{name}: {lr} costs {cost}");
        worst = (worst.0.max(cost), worst.1.max(grid));
        assert!(screen.contains(&format!("{name} (500 steps): ")), "{name}: {screen}");
    }
    assert!(worst.0 < worst.1, "{worst:?}");
    let most = sandbox.query("select max(n) as n from (select count(*) as n from promotions where kind = 'refined' group by schedule)");
    assert!(number(&most[0]["n"]) <= 2.0, "{most}");
    // The ranking still says what the grid had cost.
    let ranking = sandbox.run(&["rank"]).exits(0).stdout;
    assert!(
        ranking.contains("lrs between those of the grid: ")
            && ranking.contains("better on the tuning seeds than"),
        "{ranking}"
    );
}

/// The grid of `a` is extended at its edge and then refined, that of `b` is refined, `single` has one lr, `lost` diverges.
const FILE: &str = "\
name: r
task: {kind: quadratic, dimensions: 10, noise: 0.1}
optimizer: {kind: sgd}
budget: {steps: 40}
seeds: {tune: 8, decide: 6}
refine: 2
schedules:
  a: {kind: constant, lr: {values: [0.02, 0.06, 0.18]}}
  b: {kind: linear, to: 0.9x, lr: {values: [0.2, 0.6, 1.5]}}
  single: {kind: constant, lr: 0.1}
  lost: {kind: constant, lr: {values: [1000, 2000, 4000]}}
";

const DECISIONS: [&str; 3] = [
    "select * from promotions order by position",
    "select trial_id, digest from trials order by trial_id",
    "select position, schedule, base_lr, trial_id, purpose from cells order by position",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("r.yaml", FILE);
    sandbox
}

fn decisions(sandbox: &Sandbox) -> Vec<Json> {
    DECISIONS.iter().map(|sql| sandbox.query(sql)).collect()
}

#[test]
fn lrs_are_added_after_extensions_and_the_screen_says_why() {
    let sandbox = sandbox();
    let screen = sandbox.run(&["r.yaml"]).exits(0).stderr;
    for words in [
        "a: the best lr 0.18 is the highest of its grid; adding 0.54",
        "b (40 steps): a parabola through lr 0.2, 0.6 and 1.5 is lowest at ",
        "; adding it (1 of at most 2, `refine: false` disables this)",
        "between those of the grid the best lr is ",
        "single (40 steps): no lr is added between those of the grid: a parabola needs three lrs, the grid has 1",
        "lost (40 steps): no lr is added between those of the grid: no lr has a finite result on every seed",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    let kinds =
        sandbox.query("select kind, schedule, base_lr from promotions where kind in ('extended', 'refined')");
    let of = |kind: &str, name: &str| -> Vec<f64> {
        let own = rows(&kinds).iter().filter(|row| row["kind"] == kind && row["schedule"] == name);
        own.map(|row| number(&row["base_lr"])).collect()
    };
    assert!(!of("extended", "a").is_empty() && !of("refined", "a").is_empty(), "{kinds}");
    for lr in of("refined", "b") {
        assert!((0.2..1.5).contains(&lr), "{lr}");
        assert_eq!(format!("{lr:.3e}").parse::<f64>().expect("a number"), lr, "four digits");
    }
    assert!(of("refined", "single").is_empty() && of("refined", "lost").is_empty(), "{kinds}");
    // The refined lrs were trained on the tuning seeds only, unless they were chosen.
    let runs = sandbox.query(
        "select count(*) as n from runs where schedule = 'b' and purpose = 'tune' and base_lr not in (0.2, 0.6, 1.5)",
    );
    assert_eq!(number(&runs[0]["n"]), 8.0 * of("refined", "b").len() as f64);
    let again = sandbox.run(&["r.yaml"]).exits(0).stderr;
    assert!(again.contains("nothing to train"), "{again}");
}

#[test]
#[cfg(unix)]
fn a_sweep_killed_before_or_after_any_decision_adds_the_same_lrs() {
    let undisturbed = sandbox();
    let screen = undisturbed.run(&["r.yaml"]).exits(0).stderr;
    let rounds = screen.matches("; training ").count();
    // The grid, two extensions, at least one refined lr, the deciding seeds.
    assert!(rounds >= 5, "{screen}");
    let sandbox = sandbox();
    for decision in 1..rounds {
        // Each process makes the earlier decisions again.
        sandbox.run_with_fault(&["r.yaml", "-q"], &format!("promotion.before:{decision}:kill"));
        sandbox.run_with_fault(&["r.yaml", "-q"], "promotion.after:1:kill");
    }
    sandbox.run(&["r.yaml", "-q"]).exits(0);
    assert_eq!(decisions(&sandbox), decisions(&undisturbed));
}

#[test]
fn shards_of_two_machines_add_the_same_lrs() {
    let undisturbed = sandbox();
    undisturbed.run(&["r.yaml", "-q", "--workers", "2"]).exits(0);
    let sandbox = sandbox();
    for store in ["one", "two"] {
        let part = if store == "one" { "1/2" } else { "2/2" };
        sandbox.run(&["run", "r.yaml", "-q", "--shard", part, "--store", store]).exits(0);
    }
    sandbox.run(&["merge", "one", "two", "-q"]).exits(0);
    sandbox.run(&["r.yaml", "-q", "--workers", "1"]).exits(0);
    assert_eq!(decisions(&sandbox), decisions(&undisturbed));
}

#[test]
fn refine_without_tuning_seeds_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    for seeds in ["8", "{each: 8}", "[1, 2, 3]"] {
        sandbox.write("r.yaml", FILE.replace("{tune: 8, decide: 6}", seeds));
        let message = sandbox.run(&["check", "r.yaml"]).exits(2).stderr;
        assert!(message.contains("r.yaml:6:9") && message.contains("looks better than it is"), "{message}");
        assert!(message.contains("write `seeds: {tune: 2, decide: 8}`"), "{message}");
        sandbox.write(
            "r.yaml",
            FILE.replace("{tune: 8, decide: 6}", seeds).replace("refine: 2", "refine: false"),
        );
        sandbox.run(&["check", "r.yaml"]).exits(0);
    }
    for (value, words) in [("21", "0 to 20"), ("yes", "`true`, `false`"), ("{values: [1, 2]}", "0 to 20")] {
        sandbox.write("r.yaml", FILE.replace("refine: 2", &format!("refine: {value}")));
        let message = sandbox.run(&["check", "r.yaml"]).exits(2).stderr;
        assert!(message.contains("refine") && message.contains(words), "{message}");
    }
    sandbox.write("r.yaml", FILE);
    let plan = sandbox.run(&["plan", "r.yaml", "--no-probe"]).exits(0).stdout;
    assert!(plan.contains("at most 2 for each schedule (`refine: false` disables this)"), "{plan}");
}

/// A noisy quadratic: the longer the run, the lower the best lr.
const BUDGETS: &str = "\
name: laws
task: {kind: quadratic, dimensions: 20}
optimizer: {kind: sgd}
budget: {steps: {values: [100, 200, 400]}}
seeds: 12
extend: false
lr: {logspace: [0.02, 1.28, 7]}
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0}
  low: {kind: constant, value: 0.01x}
";

#[test]
fn the_best_lr_follows_a_law_over_the_number_of_steps() {
    let sandbox = Sandbox::new();
    sandbox.write("laws.yaml", BUDGETS);
    sandbox.run(&["laws.yaml", "-q"]).exits(0);
    let laws = sandbox.run(&["lr-law", "--at", "800", "--format", "json"]).exits(0).json();
    let [constant, linear, low] = rows(&laws).as_slice() else { panic!("{laws}") };
    for (law, name) in [(constant, "constant"), (linear, "linear")] {
        assert_eq!(law["schedule"], name);
        let (beta, at) = (number(&law["beta"]), number(&law["lr"]));
        assert!(beta > 0.1 && number(&law["beta_low"]) < beta && beta < number(&law["beta_high"]), "{law}");
        let by_hand = number(&law["b"]) * 800_f64.powf(-beta);
        assert!((at / by_hand - 1.0).abs() < 1e-9, "{law}");
        assert!(number(&law["lr_low"]) < at && at < number(&law["lr_high"]), "{law}");
        let lrs: Vec<f64> = rows(&law["budgets"]).iter().map(|at| number(&at["lr"])).collect();
        assert!(lrs.len() == 3 && at < lrs[2] && lrs[2] < lrs[0], "{law}");
    }
    // A hundredth of the lrs: the best one is beyond the grid.
    assert!(
        low["beta"].is_null() && low["refused"].as_str().is_some_and(|why| why.contains("a law needs 3")),
        "{low}"
    );
    let text = sandbox.run(&["lr-law", "--at", "8000"]).exits(0).stdout;
    for words in [
        "laws: the best lr by valid loss",
        "lr at 8000",
        "8000 steps are 20 times the longest runs",
        "low: no law: ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let csv = sandbox.run(&["lr-law", "laws", "--format", "csv"]).exits(0).stdout;
    assert!(csv.starts_with("schedule,seeds,budgets,b,beta,") && csv.lines().count() == 4, "{csv}");
    let zero = sandbox.run(&["lr-law", "--at", "0"]).exits(2).stderr;
    assert!(zero.contains("--at"), "{zero}");
}

#[test]
fn a_law_needs_three_lengths() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "laws.yaml",
        BUDGETS.replace("[100, 200, 400]", "[100, 200]").replace("seeds: 12", "seeds: 2"),
    );
    sandbox.run(&["laws.yaml", "-q"]).exits(0);
    let message = sandbox.run(&["lr-law"]).exits(2).stderr;
    assert!(message.contains("the runs of `laws` have 2 lengths, and a law needs 3"), "{message}");
    sandbox.write("laws.yaml", BUDGETS.replace("seeds: 12", "seeds: 2"));
    sandbox.run(&["laws.yaml", "-q"]).exits(0);
    let text = sandbox.run(&["lr-law"]).exits(0).stdout;
    assert!(text.contains("no intervals: they need 5 seeds"), "{text}");
}
