//! Decisions of a sweep and its verdicts: tuning and deciding seeds, extended grids, ties, comparisons.

use serde_json::{Value as Json, json};

use crate::support::Sandbox;

const BASE: &str = "\
name: v
data: {dataset: digits, limit: 600, batch_size: 25}
model: {kind: mlp, hidden: [12]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 40}
evaluate: {every: 40}
";

fn sweep(rest: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("v.yaml", format!("{BASE}{rest}"));
    sandbox
}

/// One bad schedule, and two good ones.
const DECIDED: &str = "\
seeds: {tune: 2, decide: 7}
lr: {values: [0.01, 0.03, 0.1]}
schedules:
  tiny: {kind: constant, value: 0.00001}
  constant: {kind: constant}
  cosine: {kind: cosine, to: {values: [0, 0.1x]}}
";

#[test]
fn a_metric_without_values_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "q.yaml",
        "task: {kind: quadratic, dimensions: 5}\noptimizer: {kind: sgd}\nbudget: {steps: 20}\nseeds: 2\nlr: 0.1\n\
         schedules: {a: {kind: constant}, b: {kind: linear, to: 0}}\n",
    );
    sandbox.run(&["q.yaml", "-q"]).exits(0);
    for metric in ["accuracy", "test_loss"] {
        let message = sandbox.run(&["rank", "--metric", metric]).exits(2).stderr;
        assert!(message.contains("the runs of `q` have no test "), "{message}");
    }
    for metric in ["best", "tail:5"] {
        sandbox.run(&["rank", "--metric", metric]).exits(0);
    }
}

#[test]
fn tuning_seeds_choose_and_fresh_seeds_judge() {
    let sandbox = sweep(DECIDED);
    let output = sandbox.run(&["v.yaml"]).exits(0);
    assert!(output.stderr.contains("chosen on 2 tuning seeds: tiny at lr"), "{}", output.stderr);
    each_schedule_is_judged_at_its_best_config(&sandbox);
    axes_are_named(&sandbox);
    let ranking = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let ranking = ranking.as_array().expect("rows");
    the_bad_schedule_ranks_last(&ranking[2]);
    compare_agrees_with_the_ranking(&sandbox, ranking);
    the_view_has_the_same_means(&sandbox, ranking);
    let before = sandbox.query("select trial_id, finished_at from trials order by trial_id");
    let again = sandbox.run(&["v.yaml"]).exits(0);
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
    assert_eq!(sandbox.query("select trial_id, finished_at from trials order by trial_id"), before);
}

/// Only the config that the tuning seeds chose is trained on the deciding seeds.
fn each_schedule_is_judged_at_its_best_config(sandbox: &Sandbox) {
    let tuned = sandbox.query(
        "select schedule, config_id, avg(final_valid_loss) as loss from runs where purpose = 'tune' \
         group by 1, 2 order by loss",
    );
    for name in ["tiny", "constant", "cosine"] {
        let rows = tuned.as_array().expect("rows");
        let best = rows.iter().find(|row| row["schedule"] == name).expect("it was tuned");
        let chosen = sandbox.query(&format!(
            "select config_id from promotions where kind = 'chosen' and schedule = '{name}'"
        ));
        assert_eq!(chosen, json!([{ "config_id": best["config_id"] }]), "{name}");
        let decided = sandbox.query(&format!(
            "select distinct config_id, count(*) as n, min(seed) as low, max(seed) as high from runs \
             where purpose = 'decide' and schedule = '{name}' group by config_id"
        ));
        let expected = json!([{ "config_id": best["config_id"], "n": 7, "low": 2, "high": 8 }]);
        assert_eq!(decided, expected, "{name}");
    }
}

fn axes_are_named(sandbox: &Sandbox) {
    let ranked = sandbox.run(&["rank"]).exits(0).stdout;
    assert!(ranked.contains("\n  axes at the best lr: cosine (schedule.to: 0"), "{ranked}");
    let configs = sandbox.run(&["rank", "--by", "config", "--format", "json"]).exits(0).json();
    let trials = sandbox.run(&["rank", "--by", "trial", "--format", "json"]).exits(0).json();
    for row in [configs, trials].iter().flat_map(|rows| rows.as_array().expect("rows")) {
        let has_axes = row["schedule"] == "cosine";
        let to = ["schedule.to: 0", "schedule.to: 0.1x"];
        assert_eq!(row["axes"].as_str().is_some_and(|axes| to.contains(&axes)), has_axes, "{row}");
    }
}

fn the_bad_schedule_ranks_last(last: &Json) {
    assert_eq!(
        (&last["schedule"], &last["n"], &last["verdict"]),
        (&json!("tiny"), &json!(7), &json!("worse"))
    );
    // It is much worse on all seven seeds, so both the raw and the adjusted p are 2 / 2^7.
    assert_eq!(
        (&last["p_raw"], &last["p"], &last["p_floor"], &last["wins"]),
        (&json!(0.015625), &json!(0.015625), &json!(0.015625), &json!(0.0))
    );
    assert_eq!((&last["rank"], &last["rank_low"], &last["rank_high"]), (&json!(3), &json!(3), &json!(3)));
}

/// `compare` and the report show the verdict of the ranking, and also the raw p of the pair.
fn compare_agrees_with_the_ranking(sandbox: &Sandbox, ranking: &[Json]) {
    for row in ranking.iter().skip(1) {
        let (name, first) = (row["schedule"].as_str().expect("a name"), &ranking[0]["schedule"]);
        let found = sandbox.run(&["compare", name, first.as_str().expect("a name"), "--format", "json"]);
        let found = found.exits(0).json();
        for key in ["verdict", "p", "p_raw", "diff", "diff_low", "diff_high", "wins"] {
            assert_eq!(found[key], row[key], "{key} of {name}");
        }
        let sentence = found["sentence"].as_str().expect("a sentence");
        assert!(sentence.contains("adjusted for the 3 pairs of this sweep (unadjusted p = "), "{sentence}");
    }
}

fn the_view_has_the_same_means(sandbox: &Sandbox, ranking: &[Json]) {
    let means = sandbox.query("select schedule, mean_valid_loss from ranking order by rank");
    for (row, mean) in ranking.iter().zip(means.as_array().expect("rows")) {
        assert_eq!(row["schedule"], mean["schedule"]);
        let (a, b) =
            (row["mean"].as_f64().expect("a mean"), mean["mean_valid_loss"].as_f64().expect("a mean"));
        assert!((a - b).abs() < 1e-12, "{row} and {mean}");
    }
}

#[test]
#[cfg(unix)]
fn a_sweep_killed_between_rounds_makes_the_same_decisions() {
    let undisturbed = sweep(DECIDED);
    undisturbed.run(&["v.yaml"]).exits(0);
    let sandbox = sweep(DECIDED);
    let count = |what: &str| {
        sandbox.query(&format!("select count(*) as n from {what}"))[0]["n"].as_i64().expect("a number")
    };
    // The tuning runs have ended, and nothing is decided.
    sandbox.run_with_fault(&["v.yaml"], "promotion.before:1:kill");
    assert!(count("trials where status = 'done'") > 0 && count("trials where status != 'done'") == 0);
    assert_eq!(count("promotions"), 0);
    // The first decision is stored, and none of its trials are trained.
    sandbox.run_with_fault(&["v.yaml"], "promotion.after:1:kill");
    let decided = count("promotions");
    assert!(decided > 0 && count("trials where status = 'queued'") > 0);
    // During the deciding runs.
    let done = count("trials where status = 'done'");
    sandbox.run_with_fault(&["v.yaml", "--checkpoint-every", "0"], "train.step:60:kill");
    assert!(count("trials where status = 'done'") >= done && count("trials where status != 'done'") > 0);
    assert!(count("promotions") >= decided);
    sandbox.run(&["v.yaml"]).exits(0);
    for sql in [
        "select * from promotions order by position",
        "select trial_id, digest, weights_hash from trials order by trial_id",
        "select position, schedule, trial_id, purpose from cells order by position",
    ] {
        assert_eq!(sandbox.query(sql), undisturbed.query(sql), "{sql}");
    }
}

#[test]
fn a_grid_grows_at_its_edge_and_reports_it() {
    let grid = "seeds: 2\nlr: {values: [0.001, 0.003]}\nschedules: {constant: {kind: constant}}\n";
    let sandbox = sweep(grid);
    let output = sandbox.run(&["v.yaml"]).exits(0);
    let message =
        "constant: the best lr 0.003 is the highest of its grid; adding 0.009 (extension 1 of at most 2";
    assert!(output.stderr.contains(message), "{}", output.stderr);
    let lrs = sandbox.query("select distinct base_lr from runs order by 1");
    let expected: Json = [0.001, 0.003, 0.009, 0.027].map(|lr| json!({ "base_lr": lr })).to_vec().into();
    assert_eq!(lrs, expected);
    let added = sandbox.query("select kind, base_lr from promotions order by position");
    assert_eq!(
        added,
        json!([{"kind": "extended", "base_lr": 0.009}, {"kind": "extended", "base_lr": 0.027}])
    );
    // The best lr may still be at the edge, which is reported.
    let ranking = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    assert_eq!(ranking[0]["edge"], "high");

    let off = sweep(&format!("extend: false\n{grid}"));
    let output = off.run(&["v.yaml"]).exits(0);
    assert!(!output.stderr.contains("; adding ") && output.stdout.contains("EDGE"), "{}", output.stderr);
    assert_eq!(off.query("select count(*) as n from trials"), json!([{ "n": 4 }]));
}

#[test]
fn the_same_schedule_under_several_names_is_a_tie_and_is_not_merged() {
    let sandbox = sweep(
        "seeds: {each: 20}\nlr: 0.05\nschedules:\n  a: {kind: cosine, to: 0}\n  b: {kind: cosine, to: 0}\n  \
         c: {kind: cosine, to: 0}\n",
    );
    let output = sandbox.run(&["v.yaml"]).exits(0);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    assert_eq!(
        sandbox.query("select count(*) as n, count(distinct seed) as seeds from trials"),
        json!([{ "n": 60, "seeds": 60 }])
    );
    let ranking = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let groups: Vec<&Json> = ranking.as_array().expect("rows").iter().map(|row| &row["tie_group"]).collect();
    assert_eq!(groups, [1, 1, 1]);
    assert!(ranking[1]["p"].as_f64().is_some(), "{ranking}");
}

#[test]
fn comparing_two_schedules_is_symmetric() {
    let sandbox = sweep(&DECIDED.replace("decide: 7", "decide: [11, 12, 13, 14, 15, 16, 17]"));
    sandbox.run(&["v.yaml", "--quiet"]).exits(0);
    let ab = sandbox.run(&["compare", "cosine", "tiny", "--format", "json"]).exits(0).json();
    let ba = sandbox.run(&["compare", "tiny", "cosine", "--format", "json"]).exits(0).json();
    assert_eq!((&ab["verdict"], &ba["verdict"]), (&json!("better"), &json!("worse")));
    assert_eq!(
        (&ab["p"], &ab["n"], &ab["wins"], &ba["wins"]),
        (&json!(2.0 / 128.0), &json!(7), &json!(7.0), &json!(0.0))
    );
    let number = |value: &Json| value.as_f64().expect("a number");
    assert_eq!(number(&ab["diff"]), -number(&ba["diff"]));
    assert!(number(&ab["diff_low"]) < number(&ab["diff"]) && number(&ab["diff"]) < number(&ab["diff_high"]));
    let text = sandbox.run(&["compare", "cosine", "tiny"]).exits(0).stdout;
    assert!(text.starts_with("cosine is better than tiny, valid loss -"), "{text}");
    let wrong = sandbox.run(&["compare", "cosin", "tiny"]).exits(2);
    assert!(wrong.stderr.contains("did you mean `cosine`?"), "{}", wrong.stderr);
    sandbox.run(&["compare", "tiny", "tiny"]).exits(2);
}

#[test]
fn metrics_rows_and_budgets_can_be_chosen() {
    let sandbox = sweep(
        "seeds: 3\nextend: false\nlr: {values: [0.01, 0.1]}\nschedules: {a: {kind: constant}, b: {kind: cosine, to: 0}}\n",
    );
    sandbox.write(
        "v.yaml",
        std::fs::read_to_string(sandbox.path("v.yaml"))
            .expect("the file")
            .replace("{steps: 40}", "{steps: {values: [20, 40]}}"),
    );
    sandbox.run(&["v.yaml", "--quiet"]).exits(0);
    let rank = |args: &[&str]| {
        sandbox.run(&[&["rank", "--format", "json", "--quiet"], args].concat()).exits(0).json()
    };
    assert!(rank(&[]).as_array().expect("rows").iter().all(|row| row["steps"] == 40));
    assert!(rank(&["--budget", "20"]).as_array().expect("rows").iter().all(|row| row["steps"] == 20));
    let output = sandbox.run(&["rank", "--budget", "30"]).exits(2);
    assert!(output.stderr.contains("expected one of 20, 40"), "{}", output.stderr);
    let accuracy = rank(&["--metric", "accuracy"]);
    assert_eq!(accuracy[0]["mean"], accuracy[0]["test_accuracy"]);
    let tail = rank(&["--metric", "tail:5"]);
    let config = tail[0]["config_id"].as_str().expect("an id");
    let by_hand = sandbox.query(&format!(
        "select avg(loss) as mean from (select avg(train_loss) as loss from metrics join trials using (trial_id) \
         where config_id = '{config}' and step >= 35 group by trial_id)"
    ));
    let (a, b) = (tail[0]["mean"].as_f64().expect("a mean"), by_hand[0]["mean"].as_f64().expect("a mean"));
    assert!((a - b).abs() < 1e-12, "{a} and {b}");
    assert_eq!(rank(&["--by", "config"]).as_array().map(Vec::len), Some(4));
    assert_eq!(rank(&["--by", "trial"]).as_array().map(Vec::len), Some(12));
    sandbox.run(&["rank", "--metric", "tail:0"]).exits(2);
    sandbox.run(&["rank", "--rope", "-1"]).exits(2);
}

#[test]
fn incomplete_and_empty_sweeps_can_be_ranked() {
    let one = sweep("seeds: 1\nlr: 0.05\nschedules: {only: {kind: constant}}\n");
    one.run(&["v.yaml"]).exits(0);
    let lost = sweep("seeds: 2\nlr: 1e9\nschedules: {a: {kind: constant}, b: {kind: linear, to: 0}}\n");
    let output = lost.run(&["v.yaml"]).exits(0);
    assert!(output.stdout.contains("diverged"), "{}", output.stdout);
    lost.run(&["compare", "a", "b"]).exits(0);
    let two = sweep("seeds: 3\nlr: 0.05\nschedules: {a: {kind: constant}, b: {kind: linear, to: 0}}\n");
    let output = two.run(&["v.yaml"]).exits(0);
    assert!(
        output
            .stdout
            .contains("no difference can be significant with 3 seeds; the exact test needs at least 6 seeds"),
        "{}",
        output.stdout
    );
}

#[test]
fn an_audit_reports_the_losses_of_early_stopping() {
    let sandbox = sweep(
        "seeds: 2\nextend: false\nlr: {values: [0.01, 0.03, 0.1]}\nschedules: {a: {kind: constant}, b: {kind: cosine, to: 0}}\n",
    );
    sandbox.run(&["v.yaml", "--quiet"]).exits(0);
    // Halving needs only the losses at the end, but two seeds.
    let none = sandbox.run(&["audit"]).exits(0);
    assert!(none.stderr.contains("evaluate: {every:"), "{}", none.stderr);
    assert!(
        none.stdout.contains("lr halving by seeds") && !none.stdout.contains("median"),
        "{}",
        none.stdout
    );
    let single = sweep("seeds: 1\nextend: false\nlr: 0.1\nschedules: {a: {kind: constant}}\n");
    single.run(&["v.yaml", "--quiet"]).exits(0);
    let refused = single.run(&["audit"]).exits(2);
    assert!(refused.stderr.contains("evaluate: {every:"), "{}", refused.stderr);
    let file = std::fs::read_to_string(sandbox.path("v.yaml")).expect("the file");
    sandbox.write("v.yaml", file.replace("every: 40", "every: 4").replace("name: v", "name: w"));
    sandbox.run(&["v.yaml", "--quiet"]).exits(0);
    let rows = sandbox.run(&["audit", "--format", "json"]).exits(0).json();
    let rules: Vec<&str> =
        rows.as_array().expect("rows").iter().filter_map(|row| row["rule"].as_str()).collect();
    let halving = ["lr halving by seeds", "lr halving at a third"];
    assert_eq!(rules, [&["median stopping", "successive halving", "hyperband"][..], &halving].concat());
    for row in rows.as_array().expect("rows").iter().take(3) {
        assert_eq!((&row["runs"], &row["steps"]), (&json!(12), &json!(480)));
        assert!(row["steps_saved"].as_u64() > Some(0) && row["regret"].as_f64() >= Some(0.0), "{row}");
    }
    // Two rungs (4 and 12 of 40 steps) keep two and one of six runs of a seed.
    assert_eq!(rows[1]["steps_saved"], json!(2 * (4 * 36 + 28)));
    assert!(sandbox.run(&["audit"]).exits(0).stdout.contains("keeps_winner"));
}
