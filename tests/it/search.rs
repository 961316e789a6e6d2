//! `sweep search`: what it trains and finds, and that a killed search ends as an undisturbed one.

use serde_json::Value as Json;

use crate::support::{Sandbox, root, wait};

const FILE: &str = "\
name: s
task: {kind: quadratic, dimensions: 20}
optimizer: {kind: sgd}
budget: {steps: 60}
extend: false
seeds: {tune: 3, decide: 8}
lr: {values: [0.25, 0.5]}
search: {knots: 3, trials: 220, population: 6, seeds: 2}
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0}
";

const STATE: [&str; 3] = [
    "select trial_id, digest from trials order by trial_id",
    "select position, schedule, trial_id, purpose from cells order by position",
    "select * from promotions order by position",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml", FILE);
    sandbox
}

fn history(sandbox: &Sandbox) -> Vec<Json> {
    let rows = sandbox.run(&["search", "s.yaml", "--history", "--format", "json"]).exits(0).json();
    rows.as_array().expect("rows").clone()
}

#[test]
fn a_search_trains_generations_and_judges_its_result_on_fresh_seeds() {
    let sandbox = sandbox();
    assert!(history(&sandbox).is_empty());
    let output = sandbox.run(&["search", "s.yaml"]).exits(0);
    let said = |text: &str| assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    said("training 12 on ");
    said("; then at most 220 trials of the search; then 16 deciding runs");
    said("search: begins with 2 shapes of named schedules on 2 seeds (0 of 220 trials so far)");
    said("search: generation 1: 6 shapes on 2 seeds (4 of 220 trials so far)");
    said("search: chooses among 3 shapes on ");
    said("8 fresh seeds compare it with ");
    let rows = history(&sandbox);
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert_eq!((&first["stage"], &last["stage"]), (&"start".into(), &"last".into()));
    assert!(last["trials"].as_u64().is_some_and(|trials| trials <= 220), "{last}");
    let expected = |row: &Json| row["expected"].as_f64().expect("a loss");
    assert!(expected(last) <= expected(first), "{first} {last}");

    // Shapes are ordinary trials, and only the found schedule is judged, against the best named one.
    let counts = sandbox.query(
        "select schedule, purpose, count(*) as n from cells where schedule not in ('constant', 'linear') group by 1, 2 order by 1, 2",
    );
    assert_eq!(
        counts[0],
        serde_json::json!({ "schedule": "found", "purpose": "decide", "n": 8 }),
        "{counts}"
    );
    let seeds = sandbox.query("select min(t.seed) as least from trials as t join cells as c using (trial_id) where c.schedule = 'found-tried'");
    assert_eq!(seeds[0]["least"], 1_000_000);
    let ranking = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let names: Vec<&Json> = ranking.as_array().expect("rows").iter().map(|row| &row["schedule"]).collect();
    assert!(names.len() == 2 && names.contains(&&Json::from("found")), "{names:?}");
    assert_eq!(ranking[0]["n"], 8);
    let compared = sandbox.run(&[
        "compare",
        "found",
        names.iter().find_map(|name| name.as_str().filter(|name| *name != "found")).expect("a name"),
    ]);
    assert!(compared.exits(0).stdout.contains("found"));
    sandbox.run(&["reproduce", "best"]).exits(0);
    let again = sandbox.run(&["search", "s.yaml"]).exits(0);
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
    found_can_be_used_again(&sandbox, &output.stdout);
}

/// The printed line works in another sweep file, at the command line and as an export, with the same lrs.
fn found_can_be_used_again(sandbox: &Sandbox, printed: &str) {
    let line = printed.lines().last().expect("a line");
    let (name, schedule) = line.trim().split_once(": ").expect("a schedule");
    assert_eq!(name, "found", "{printed}");
    let without = FILE.lines().filter(|line| !line.starts_with("search:")).collect::<Vec<_>>().join("\n");
    sandbox.write("again.yaml", format!("{}\n{line}\n", without.replace("name: s", "name: again")));
    let output = sandbox.run(&["again.yaml", "--format", "json"]).exits(0);
    // The deciding runs of both sweeps are the same trials.
    let shared = sandbox.query(
        "select count(*) as n from cells as a join cells as b using (trial_id) where a.sweep = 's' and b.sweep = 'again' and a.schedule = 'found' and b.schedule = 'found' and a.purpose = 'decide'",
    );
    assert_eq!(shared[0]["n"], 8, "{}", output.stderr);
    sandbox.run(&["lr", schedule, "--total", "60"]).exits(0);
    sandbox.run(&["plot", schedule, "--total", "60"]).exits(0);
}

#[test]
#[cfg(unix)]
fn a_killed_search_ends_as_an_undisturbed_one_with_any_number_of_workers() {
    let undisturbed = sandbox();
    undisturbed.run(&["s.yaml", "-q", "--workers", "1"]).exits(0);
    for (fault, workers) in [
        ("promotion.before:1:kill", "2"),
        ("promotion.after:3:kill", "2"),
        ("promotion.before:4:kill", "1"),
        ("store.commit:9:kill", "2"),
    ] {
        let sandbox = sandbox();
        sandbox.run_with_fault(&["s.yaml", "-q", "--workers", workers], fault);
        sandbox.run(&["s.yaml", "-q", "--workers", "2"]).exits(0);
        sandbox.answers_like(&undisturbed, &STATE, fault);
        assert_eq!(history(&sandbox), history(&undisturbed), "{fault}");
    }
}

/// `refine` moves the named schedules' lrs before the search begins, so it starts from refined shapes and compares its result with a refined one.
#[test]
#[cfg(unix)]
fn a_search_starts_from_refined_lrs() {
    let refined = |sandbox: &Sandbox| {
        let file = FILE
            .replace("extend: false", "extend: false\nrefine: 1")
            .replace("dimensions: 20", "dimensions: 10, noise: 0.1")
            .replace("steps: 60", "steps: 40")
            .replace("tune: 3", "tune: 8")
            .replace("linear, to: 0}", "linear, to: 0.9x, lr: {values: [0.2, 0.6, 1.5]}}");
        sandbox.write("s.yaml", file);
    };
    let undisturbed = Sandbox::new();
    refined(&undisturbed);
    let output = undisturbed.run(&["search", "s.yaml"]).exits(0);
    let said = |text: &str| output.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", output.stderr));
    assert!(said(" is lowest at ") < said("after 1 lr between those of the grid"));
    assert!(
        said("after 1 lr between those of the grid")
            < said("search: begins with 2 shapes of named schedules")
    );
    // The refined lr competes with those of the grid for the shape of `linear` that the search starts from.
    let lrs = undisturbed.query("select base_lr from promotions where kind = 'refined'");
    assert_eq!(lrs.as_array().map(Vec::len), Some(1));
    let plan = undisturbed.run(&["plan", "s.yaml", "--no-probe", "--format", "json"]).exits(0).json();
    assert_eq!((&plan["added_trials"], &plan["search_trials"]), (&16.into(), &220.into()));
    for fault in ["promotion.before:1:kill", "promotion.after:2:kill", "promotion.before:3:kill"] {
        let sandbox = Sandbox::new();
        refined(&sandbox);
        sandbox.run_with_fault(&["s.yaml", "-q"], fault);
        sandbox.run(&["s.yaml", "-q"]).exits(0);
        sandbox.answers_like(&undisturbed, &STATE, fault);
        assert_eq!(history(&sandbox), history(&undisturbed), "{fault}");
    }
}

#[test]
fn two_processes_propose_the_same() {
    let undisturbed = sandbox();
    undisturbed.run(&["s.yaml", "-q"]).exits(0);
    let sandbox = sandbox();
    let mut first = sandbox.start(&["s.yaml", "-q", "--workers", "1", "--lanes", "1"]);
    wait("the first one begins", || sandbox.run(&["query", "select 1 from sweeps"]).code == 0);
    let mut second = sandbox.start(&["worker", "-q", "--workers", "1"]);
    for process in [&mut first, &mut second] {
        assert!(process.wait().expect("the process ends").success());
    }
    sandbox.answers_like(&undisturbed, &STATE, "two processes");
}

#[test]
fn a_plan_says_what_the_search_costs() {
    let sandbox = sandbox();
    let plan = sandbox.run(&["plan", "s.yaml", "--no-probe"]).exits(0).stdout;
    let words = "then a search for the schedule `found` by CMA-ES: at most 220 trials of shapes with 3 knots, 6 in a generation, on 2 to 8 seeds";
    assert!(plan.contains(words), "{plan}");
    assert!(
        plan.contains("then 16 deciding runs: the found schedule and the best named one on fresh seeds"),
        "{plan}"
    );
    let json = sandbox.run(&["plan", "s.yaml", "--no-probe", "--format", "json"]).exits(0).json();
    assert_eq!((&json["search_trials"], &json["deciding_trials"]), (&220.into(), &16.into()));
    let checked = sandbox.run(&["check", "s.yaml"]).exits(0).stderr;
    assert!(checked.contains("no mistakes found, 12 trials, and a search of at most 220"), "{checked}");
    sandbox.write("plain.yaml", FILE.replace("search:", "#"));
    let refused = sandbox.run(&["search", "plain.yaml"]).exits(2).stderr;
    assert!(refused.contains("plain.yaml: this file has no section `search`"), "{refused}");
}

#[test]
fn mistakes_in_a_search_are_refused() {
    for (section, words) in [
        ("{trials: 220}", "missing key `knots`"),
        ("{knots: 1, trials: 220}", "expected a whole number from 2 to 20, found `1`"),
        ("{knots: 3, trials: 20}", "20 trials are too few for a search"),
        ("{knots: 3, trial: 220}", "did you mean `trials`?"),
        ("{knots: 3, trials: 4000, free: [warm]}", "did you mean `warmup`?"),
        ("{knots: 3, trials: 4000, free: cooldown}", "expected a list of `warmup` and `cooldown`"),
        (
            "{knots: 3, trials: 4000, free: [warmup, cooldown]}",
            "3 knots are too few for these free knots: they need at least 4",
        ),
        ("{knots: 3, trials: 4000, method: cma}", "did you mean `cma_es`?"),
        (
            "{knots: 3, trials: 4000, name: linear}",
            "the search uses the name `linear`, which is also a schedule of this file",
        ),
        ("{knots: 3, trials: 4000, population: 3}", "expected a whole number from 4 to 10000, found `3`"),
        ("[3]", "expected a mapping"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("s.yaml", FILE.replace("{knots: 3, trials: 220, population: 6, seeds: 2}", section));
        let message = sandbox.run(&["check", "s.yaml"]).exits(2).stderr;
        assert!(message.contains(words) && message.contains("s.yaml:8:"), "{section}: {message}");
    }
    for (part, replacement, words) in [
        ("{tune: 3, decide: 8}", "8", "a search needs tuning and deciding seeds"),
        (
            "{tune: 3, decide: 8}",
            "{tune: 3, decide: [1000001]}",
            "seed 1000001 is one of the seeds of the search",
        ),
        (
            "dimensions: 20",
            "dimensions: {values: [20, 30]}",
            "a search is for one run, but this file has 2: `task.dimensions` is an axis",
        ),
        ("steps: 60", "steps: 3", "3 knots are too many for a run of 3 steps"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("s.yaml", FILE.replace(part, replacement));
        let message = sandbox.run(&["check", "s.yaml"]).exits(2).stderr;
        assert!(message.contains(words), "{replacement}: {message}");
    }
}

/// experiments/search-quadratic.yaml finds a shape that is better than every named schedule, only from trained losses, with every seed of
/// the search. `cargo test --release --workspace --test it -- --ignored search_on_the_quadratic --nocapture` prints the numbers.
#[test]
#[ignore = "trains 50,000 trials, a minute or two"]
fn search_on_the_quadratic_finds_a_better_shape() {
    let text =
        std::fs::read_to_string(root().join("experiments/search-quadratic.yaml")).expect("the experiment");
    for seed in 0..3 {
        let sandbox = Sandbox::new();
        sandbox.write("s.yaml", text.replace("trials: 16000", &format!("trials: 16000, seed: {seed}")));
        let output = sandbox.run(&["search", "s.yaml"]).exits(0);
        let rows = history(&sandbox);
        let last = rows[rows.len() - 1]["expected"].as_f64().expect("a loss");
        let trials = sandbox.query("select count(*) as n from trials")[0]["n"].as_u64().expect("a number");
        println!("seed {seed}: expected loss {last} with {trials} trials\n{}", output.stdout);
        assert!(last <= 0.2350 && trials <= 20_000, "seed {seed}: {last} with {trials} trials");
    }
}
