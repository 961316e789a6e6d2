//! `halving` of lrs on the tuning seeds: which runs are trained, that no dropped lr is ranked, that the decisions are the same after a kill, by
//! two processes and from shards, and what `sweep audit` says of it.

use serde_json::Value as Json;

use crate::support::Sandbox;

/// Two schedules with seven lrs. `linear` has its best lr at the edge and is extended.
const FILE: &str = "\
name: h
task: {kind: quadratic, dimensions: 10, noise: 0.1}
optimizer: {kind: sgd}
budget: {steps: 60}
evaluate: {every: \"10%\"}
seeds: {tune: 4, decide: 6, halving: true}
lr: {values: [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8]}
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0, lr: {values: [0.0125, 0.025, 0.05, 0.1]}}
  single: {kind: cosine, to: 0, lr: 0.2}
";

const DECISIONS: [&str; 3] = [
    "select * from promotions order by position",
    "select trial_id, digest from trials order by trial_id",
    "select position, schedule, base_lr, trial_id, purpose, dropped from cells order by position",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("h.yaml", FILE);
    sandbox
}

fn decisions(sandbox: &Sandbox) -> Vec<Json> {
    DECISIONS.iter().map(|sql| sandbox.query(sql)).collect()
}

fn count(sandbox: &Sandbox, sql: &str) -> u64 {
    sandbox.query(&format!("select count(*) as n {sql}"))[0]["n"].as_u64().expect("a number")
}

#[test]
fn only_the_better_lrs_get_more_tuning_seeds_and_the_others_are_not_ranked() {
    let sandbox = sandbox();
    let plan = sandbox.run(&["plan", "h.yaml", "--no-probe"]).exits(0).stdout;
    assert!(plan.contains("12 runs, 12 trials\n"), "{plan}");
    assert!(
        plan.contains("then at most 36 runs (2160 steps) with more tuning seeds: after 1 and 2 of 4 seeds only the better half"),
        "{plan}"
    );
    let json = sandbox.run(&["plan", "h.yaml", "--no-probe", "--format", "json"]).exits(0).json();
    assert_eq!((&json["tuning_trials"], &json["added_trials"]), (&36.into(), &16.into()));
    let screen = sandbox.run(&["h.yaml"]).exits(0).stderr;
    assert!(
        screen.contains("; then at most 36 more tuning runs of the better lrs; then 18 deciding runs"),
        "{screen}"
    );
    assert!(screen.contains("halving after 1 tuning seed: constant (60 steps) drops lr "), "{screen}");
    assert!(screen.contains("; the others continue to 2, ") && screen.contains(" runs saved"), "{screen}");
    assert!(screen.contains("halving after 2 tuning seeds: "), "{screen}");

    let dropped = count(&sandbox, "from promotions where kind = 'dropped'");
    let restored = count(&sandbox, "from promotions where kind = 'restored'");
    assert!(dropped > restored + 4, "{dropped} dropped, {restored} restored");
    // A dropped lr keeps its runs in the store, and has fewer than the others.
    assert_eq!(
        count(&sandbox, "from (select distinct schedule, base_lr from cells where dropped = 1)"),
        dropped - restored
    );
    let few = "from (select schedule, base_lr, count(*) as runs from cells where purpose = 'tune' group by schedule, base_lr, dropped
        having runs > 2 and dropped = 1 or runs != 4 and dropped = 0)";
    assert_eq!(count(&sandbox, few), 0);
    assert_eq!(count(&sandbox, "from trials where status != 'done' and status != 'diverged'"), 0);
    // It is neither in the views nor in the ranking.
    let shown = count(&sandbox, "from (select distinct schedule, base_lr from runs)");
    let all = count(&sandbox, "from (select distinct schedule, base_lr from cells)");
    assert_eq!(shown, all - (dropped - restored));
    let configs = sandbox.run(&["rank", "--by", "config", "--format", "json"]).exits(0).json();
    assert_eq!(configs.as_array().map(|rows| rows.len() as u64), Some(shown));
    let again = sandbox.run(&["h.yaml"]).exits(0).stderr;
    assert!(again.contains("nothing to train"), "{again}");
    let audit = sandbox.run(&["audit"]).exits(0);
    assert!(audit.stderr.contains("halving of lrs is not replayed: this sweep has dropped lrs"), "{audit:?}");
    assert!(!audit.stdout.contains("lr halving"), "{audit:?}");
}

/// The same lrs are chosen as if all were trained on all seeds, and both neighbours of a chosen lr have all seeds.
#[test]
fn the_chosen_lrs_are_those_of_all_seeds() {
    let chosen = |sandbox: &Sandbox| {
        sandbox.query("select schedule, base_lr from promotions where kind in ('chosen', 'extended') order by kind, schedule, base_lr")
    };
    let (halved, full) = (sandbox(), Sandbox::new());
    full.write("h.yaml", FILE.replace(", halving: true", ""));
    halved.run(&["h.yaml", "-q"]).exits(0);
    full.run(&["h.yaml", "-q"]).exits(0);
    assert_eq!(chosen(&halved), chosen(&full));
    let runs = "from cells where purpose = 'tune'";
    assert!(count(&halved, runs) < count(&full, runs));
    // The runs that both have are the same trials.
    let both = "select trial_id, digest from trials where trial_id in (select trial_id from cells where dropped = 0) order by trial_id";
    let (of_halved, of_full) = (halved.query(both), full.query(both));
    let known = of_full.as_array().expect("rows");
    assert!(of_halved.as_array().expect("rows").iter().all(|row| known.contains(row)));

    // Without `halving` the same file trains the rest, and nothing is dropped any more.
    halved.write("h.yaml", FILE.replace(", halving: true", ""));
    halved.run(&["h.yaml", "-q"]).exits(0);
    assert_eq!(decisions(&halved), decisions(&full));
    // The audit replays the rule on these complete runs.
    let audit = full.run(&["audit", "--format", "json"]).exits(0).json();
    let rule = |name: &str| {
        audit
            .as_array()
            .expect("rows")
            .iter()
            .find(|row| row["rule"] == name)
            .unwrap_or_else(|| panic!("{audit}"))
            .clone()
    };
    let by_seeds = rule("lr halving by seeds");
    assert_eq!(
        (&by_seeds["keeps_winner"], &by_seeds["dropped"], &by_seeds["regret"]),
        (&true.into(), &0.into(), &0.0.into())
    );
    assert!(by_seeds["share_saved"].as_f64().is_some_and(|share| share > 0.2), "{by_seeds}");
    assert!(rule("lr halving at a third")["share_saved"].as_f64().is_some_and(|share| share > 0.2));
    assert!(
        full.run(&["audit"])
            .exits(0)
            .stdout
            .contains("lr halving: only the better half of each schedule's lrs")
    );
}

#[test]
fn two_processes_and_shards_decide_the_same() {
    let single = sandbox();
    single.run(&["h.yaml", "-q"]).exits(0);
    let wanted = decisions(&single);
    let both = sandbox();
    both.run_in_two_processes("h.yaml");
    assert_eq!(decisions(&both), wanted);

    let merged = sandbox();
    for shard in ["1/2", "2/2"] {
        let part = Sandbox::new();
        part.write("h.yaml", FILE);
        part.run(&["run", "h.yaml", "--shard", shard, "-q"]).exits(0);
        let store = part.path("runs");
        merged.run(&["merge", store.to_str().expect("a path"), "-q"]).exits(0);
    }
    assert_eq!(count(&merged, "from trials where status = 'done'"), 12, "the first round is stored");
    merged.run(&["h.yaml", "-q"]).exits(0);
    assert_eq!(decisions(&merged), wanted);
}

#[test]
fn a_file_with_mistakes_is_refused() {
    let refused = |from: &str, to: &str, words: &str| {
        let sandbox = Sandbox::new();
        sandbox.write("h.yaml", FILE.replace(from, to));
        let output = sandbox.run(&["check", "h.yaml"]).exits(2);
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    };
    refused("tune: 4", "tune: 1", "lrs are dropped after the first tuning seed, but there is only one");
    refused("halving: true", "halving: 3", "expected `true` or `false`");
    refused(
        "{tune: 4, decide: 6, halving: true}",
        "{each: 4, halving: true}",
        "can't be combined with `each`",
    );
    let other = ", halving: true}\nscreen: {keep: 1}";
    refused(
        ", halving: true}",
        other,
        "`halving` can't be combined with `screen`, which needs all tuning seeds of every lr",
    );
    let other = ", halving: true}\nsearch: {knots: 3, trials: 400}";
    refused(
        ", halving: true}",
        other,
        "`halving` can't be combined with `search`, which needs all tuning seeds of every lr",
    );
}
