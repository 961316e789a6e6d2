//! Schedules by parameter group, trained by a program with two groups: each group has its lrs, in a sweep, after a kill, with shared
//! steps and in a reproduction.

use serde_json::Value;

use crate::support::Sandbox;

const PROGRAM: &str = include_str!("programs/groups.py");

/// Two groups, of which none, one or both depend on training.
const FILE: &str = "\
name: groups
trainer: {command: [python3, groups.py], params: {mode: well}}
budget: {steps: 40}
evaluate: {every: 4}
extend: false
lr: {matrices: {values: [0.02, 0.04]}, rest: 0.3}
schedules:
  split: {groups: {matrices: {body: 1x, cooldown: {over: \"80%\", to: 0}}, rest: {body: 1x, cooldown: {over: \"40%\", to: 0}}}}
  cycle: {groups: {matrices: 1x, rest: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}}}
  rule: {groups: {matrices: {kind: linear, to: 0}, rest: {kind: plateau, patience: 0, factor: 0.5, threshold: 0.9}}}
  both: {groups: {matrices: {kind: plateau, patience: 1, watch: train_loss}, rest: {kind: polyak}}, lr: 0.05}
  plain: {kind: linear, to: 0}
";

fn sandbox(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("groups.py", PROGRAM);
    sandbox.write("groups.yaml", file);
    sandbox
}

/// The lrs that the program used for a group of a trial.
fn used(sandbox: &Sandbox, id: &str, group: &str) -> Vec<f64> {
    let log = sandbox.run(&["logs", id]).exits(0).stdout;
    let mark = format!("lrs {group} ");
    let line = log.lines().find_map(|line| line.strip_prefix(&mark)).expect("lrs");
    serde_json::from_str(line).expect("a list")
}

fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().expect("numbers").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn first(sandbox: &Sandbox, filter: &str) -> String {
    sandbox.texts(&format!("select trial_id from runs where {filter} order by trial_id"))[0].clone()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn each_group_is_trained_with_its_own_lrs() {
    let sandbox = sandbox(FILE);
    sandbox.run(&["check", "groups.yaml"]).exits(0);
    sandbox.run(&["groups.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.query("select distinct status from trials"), serde_json::json!([{"status": "done"}]));
    let split = "{groups: {matrices: {body: 1x, cooldown: {over: \"80%\", to: 0}}, rest: {body: 1x, cooldown: {over: \"40%\", to: 0}}}, \
                 lr: {matrices: 0.04, rest: 0.3}}";
    let lrs = |more: &[&str]| {
        let args = ["lr", split, "--total", "40", "--format", "json"];
        sandbox.run(&[&args[..], more].concat()).exits(0).json()
    };
    let id = first(&sandbox, "schedule = 'split' and base_lr = 0.04");
    let all = lrs(&[]);
    for group in ["matrices", "rest"] {
        let used = used(&sandbox, &id, group);
        assert_eq!(used, numbers(&all["groups"][group]["lr"]), "{group}");
        assert_eq!(used, numbers(&lrs(&["--group", group])["lr"]), "{group}");
    }
    assert_eq!(all["lr"], all["groups"]["matrices"]["lr"]);
    let stored = sandbox.query(&format!("select lr from metrics where trial_id = '{id}' order by step"));
    let stored: Vec<f64> =
        stored.as_array().expect("rows").iter().map(|row| row["lr"].as_f64().expect("lr")).collect();
    assert_eq!(stored, numbers(&all["lr"]), "the first group's lr is stored");
    // A rule of one group changes the lr of that group only.
    let id = first(&sandbox, "schedule = 'rule' and base_lr = 0.02");
    let rest = used(&sandbox, &id, "rest");
    assert!(
        rest.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == 0.5 * pair[0]) && rest[0] > rest[39],
        "{rest:?}"
    );
    let line =
        sandbox.run(&["lr", "{kind: linear, to: 0}", "--lr", "0.02", "--total", "40", "--format", "json"]);
    assert_eq!(used(&sandbox, &id, "matrices"), numbers(&line.exits(0).json()["lr"]));
    for name in ["split", "rule", "both", "plain"] {
        let id = first(&sandbox, &format!("schedule = '{name}'"));
        let again = sandbox.run(&["reproduce", &id]).exits(0);
        assert!(again.stdout.contains("every bit is equal"), "{}", again.stdout);
    }
    for args in
        [&["rank"][..], &["show", "best"], &["report", "-o", "report.html"], &["compare", "split", "plain"]]
    {
        sandbox.run(args).exits(0);
    }
    let again = sandbox.run(&["groups.yaml"]).exits(0);
    assert!(again.stderr.contains("all 9 trials are stored"), "{}", again.stderr);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_killed_program_resumes_with_the_rules_of_all_groups() {
    let sandbox = sandbox(
        &FILE
            .replace("mode: well", "mode: {values: [well, killed]}")
            .replace("values: [0.02, 0.04]", "values: [0.02]"),
    );
    sandbox.run(&["groups.yaml", "-q", "--retries", "0"]).exits(0);
    let rows = sandbox.query(
        "select schedule, count(distinct digest) as digests, count(*) as n, count(distinct final_valid_loss) as losses from trials \
         where status = 'done' group by schedule",
    );
    assert_eq!(rows.as_array().map(Vec::len), Some(5));
    for row in rows.as_array().expect("rows") {
        let expected = serde_json::json!({"schedule": row["schedule"], "digests": 1, "n": 2, "losses": 1});
        assert_eq!(row, &expected, "killed and not: the same");
    }
    let killed = sandbox.texts("select trial_id from trials where attempts = 2");
    assert_eq!(killed.len(), 5);
    assert!(sandbox.run(&["logs", &killed[0]]).exits(0).stdout.contains("resumes at step 16"));
}

/// Trials share steps as long as the lrs of all groups agree.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn trials_with_groups_share_their_common_steps() {
    let file = "\
name: groups
trainer: {command: [python3, groups.py], share: true, params: {mode: well}}
budget: {steps: 100}
evaluate: {every: 10}
extend: false
lr: {matrices: 0.02, rest: 0.3}
schedules:
  flat: {groups: {matrices: 1x, rest: 1x}}
  late: {groups: {matrices: 1x, rest: {body: 1x, cooldown: {over: \"40%\", to: 0}}}}
  early: {groups: {matrices: {body: 1x, cooldown: {over: \"60%\", to: 0}}, rest: 1x}}
  ratio: {groups: {matrices: 1x, rest: 1x}, lr: 0.02}
";
    let results = |sandbox: &Sandbox| {
        sandbox.run(&["groups.yaml", "-q"]).exits(0);
        let sql = [
            "select json_array(trial_id, status, final_valid_loss, digest) from trials order by trial_id",
            "select json_array(trial_id, step, lr, train_loss, valid_loss) from metrics order by trial_id, step",
        ];
        sql.iter().flat_map(|sql| sandbox.texts(sql)).collect::<Vec<_>>()
    };
    let (shared, separate) = (sandbox(file), sandbox(&file.replace("share: true, ", "")));
    assert_eq!(results(&shared), results(&separate));
    let trained = shared.query("select steps_trained as n from sharing")[0]["n"].as_u64().expect("a number");
    assert_eq!(
        trained,
        2 * 100 + 39 + 59,
        "the cooldowns leave after steps 60 and 40; another ratio is another run"
    );
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn another_lr_in_one_group_fails_the_trial() {
    for (mode, words) in [
        ("other", "used lr 0.6 of the group `rest`, but the schedule has 0.3"),
        ("unknown", "the schedule has no parameter group `rset` (did you mean `rest`?)"),
    ] {
        let file = FILE.replace("mode: well", &format!("mode: {mode}"));
        let at = file.find("  split").expect("a schedule");
        let sandbox = sandbox(&format!("{}  flat: {{groups: {{matrices: 1x, rest: 1x}}}}\n", &file[..at]));
        sandbox.run(&["groups.yaml", "-q"]).exits(1);
        let error = sandbox.texts("select error from trials")[0].clone();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn lrs_of_a_group_are_printed_and_mistakes_are_explained() {
    let sandbox = Sandbox::new();
    let split = "{groups: {matrices: 1x, rest: 0.5x}, lr: {matrices: 0.2, rest: 0.4}}";
    let csv = |more: &[&str]| {
        let args = ["lr", split, "--total", "2"];
        sandbox.run(&[&args[..], more].concat())
    };
    let plain = csv(&[]).exits(0);
    assert_eq!(plain.stdout, "step,lr\n0,0.2\n1,0.2\n");
    assert!(
        plain.stderr.contains("these are the lrs of the first parameter group, `matrices`"),
        "{}",
        plain.stderr
    );
    assert_eq!(csv(&["--group", "rest"]).exits(0).stdout, "step,lr\n0,0.2\n1,0.2\n");
    assert_eq!(
        csv(&["--group", "rest", "--lr", "7"]).exits(0).stdout,
        "step,lr\n0,0.2\n1,0.2\n",
        "its own base lr"
    );
    let wrong = csv(&["--group", "rset"]).exits(2).stderr;
    assert!(wrong.contains("no parameter group `rset` (did you mean `rest`?)"), "{wrong}");
    let wrong = sandbox.run(&["lr", "1x", "--total", "2", "--group", "rest"]).exits(2).stderr;
    assert!(wrong.contains("--group is for a schedule with `groups`"), "{wrong}");
    for library in ["keras", "transformers", "timm"] {
        let refused =
            sandbox.run(&["export", "schedule", split, "--total", "9", "--to", library]).exits(1).stderr;
        assert!(refused.contains("parameter groups can't be exported"), "{refused}");
    }
    let refused = sandbox.run(&["export", "schedule", split, "--total", "9", "--to", "csv"]).exits(2).stderr;
    assert!(refused.contains("`sweep lr --group`"), "{refused}");
    let json = sandbox.run(&["export", "schedule", split, "--total", "2", "--to", "json"]).exits(0).json();
    assert_eq!(json["groups"]["rest"]["lr"], serde_json::json!([0.2, 0.2]));
}

/// A built-in model with groups by pattern.
const BUILT_IN: &str = "\
name: built-in
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [24]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 40}
evaluate: {every: 10}
seeds: 2
extend: false
param_groups: {weights: [\"*.weight\"], rest: [\"*\"]}
lr: {weights: 0.1, rest: 0.05}
schedules:
  flat: {groups: {weights: 1x, rest: 1x}}
  late: {groups: {weights: 1x, rest: {body: 1x, cooldown: {over: \"50%\", to: 0}}}}
  early: {groups: {weights: {body: 1x, cooldown: {over: \"75%\", to: 0}}, rest: 1x}}
  rule: {groups: {weights: {kind: plateau, watch: train_loss, every: 5, factor: 0.5, patience: 0}, rest: {kind: polyak}}}
";

/// Losses, weights and digests of all trials.
fn results(file: &str, args: &[&str]) -> Vec<String> {
    let sandbox = Sandbox::new();
    sandbox.write("built.yaml", file);
    sandbox.run(&[&["built.yaml", "-q"], args].concat()).exits(0);
    sandbox.texts(
        "select json_array(r.schedule, t.seed, t.weights_hash, t.final_valid_loss, t.digest) from trials as t join runs as r \
         using (trial_id) order by 1",
    )
}

/// The bits of a trial do not depend on shared steps or on the other lanes of its stack.
#[test]
fn groups_of_a_built_in_model_give_the_same_bits_in_any_stack() {
    let separate = results(BUILT_IN, &["--no-share", "--lanes", "1", "--workers", "1"]);
    assert_eq!(separate.len(), 8);
    for args in
        [&["--workers", "1"][..], &["--workers", "2"], &["--no-share", "--lanes", "4", "--workers", "1"]]
    {
        assert_eq!(results(BUILT_IN, args), separate, "{args:?}");
    }
}

/// Half the lr for a group is a factor of 0.5 on the lr of its parameters, which is exact; equal lrs are those of all parameters.
#[test]
fn an_lr_of_a_group_is_that_of_its_parameters() {
    let hashes = |groups: &str, lr: &str, flat: &str| {
        let file = BUILT_IN.split("  late").next().expect("schedules");
        let file = file.replace("param_groups: {weights: [\"*.weight\"], rest: [\"*\"]}", groups);
        let file = file.replace("lr: {weights: 0.1, rest: 0.05}", lr);
        results(&file.replace("{groups: {weights: 1x, rest: 1x}}", flat), &[])
    };
    let weights = |rows: Vec<String>| -> Vec<Value> {
        rows.iter().map(|row| serde_json::from_str::<Value>(row).expect("JSON")[2].clone()).collect()
    };
    let (groups, flat) =
        ("param_groups: {weights: [\"*.weight\"], rest: [\"*\"]}", "{groups: {weights: 1x, rest: 1x}}");
    let halved = weights(hashes(groups, "lr: {weights: 0.1, rest: 0.05}", flat));
    assert_eq!(halved, weights(hashes("lr_multipliers: {\"*.bias\": 0.5}", "lr: 0.1", "1x")));
    let equal = weights(hashes(groups, "lr: 0.1", flat));
    assert_eq!(equal, weights(hashes("clip_norm: 1e9", "lr: 0.1", "1x")));
    assert_ne!(equal, halved);
}

#[test]
fn groups_that_do_not_fit_the_model_are_refused() {
    let sandbox = Sandbox::new();
    for (from, to, words) in [
        ("\"*.weight\"", "\"*.wight\"", "`weights`: no parameter matches `*.wight`"),
        ("rest: [\"*\"]", "rest: [fc1.bias]", "no group has the parameters fc2.bias"),
        ("weights: [\"*.weight\"]", "weights: [\"*\"]", "`rest` has no parameter"),
        ("rest: [\"*\"]}", "rset: [\"*\"]}", "did you mean `rset`?"),
        ("rest: [\"*\"]}", "rest: [\"*.bias\"], more: [fc2]}", "`more` has no parameter"),
        ("param_groups: {weights: [\"*.weight\"], rest: [\"*\"]}\n", "", "needs `param_groups`"),
        ("rest: {kind: polyak}", "rest: {kind: prodigy}", "works on the weights of the whole model"),
        (
            "rest: {kind: polyak}",
            "rest: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}",
            "the momentum of a built-in model can't be cycled by parameter group",
        ),
    ] {
        sandbox.write("built.yaml", BUILT_IN.replace(from, to));
        let refused = sandbox.run(&["check", "built.yaml"]).exits(2).stderr;
        assert!(refused.contains(words), "{words} in\n{refused}");
    }
}

/// The exported code names each group, in PyTorch and optax.
#[test]
fn code_of_other_libraries_has_a_function_for_each_group() {
    let sandbox = Sandbox::new();
    let split = "{groups: {matrices: {body: 1x, cooldown: {over: \"50%\", to: 0}}, rest: {kind: cosine, to: 0}}, lr: {matrices: 0.02, rest: 0.3}}";
    let code =
        |to: &str| sandbox.run(&["export", "schedule", split, "--total", "20", "--to", to]).exits(0).stdout;
    let torch = code("pytorch");
    for words in
        ["\"matrices\": (0.02, group_0())", "\"rest\": (0.3, group_1())", "LambdaLR(optimizer, [factor(name)"]
    {
        assert!(torch.contains(words), "{torch}");
    }
    let optax = code("optax");
    for words in ["\"matrices\": group_0()", "optax.multi_transform"] {
        assert!(optax.contains(words), "{optax}");
    }
    let rule = "{groups: {matrices: {kind: plateau}, rest: 1x}}";
    for to in ["pytorch", "optax"] {
        let refused = sandbox.run(&["export", "schedule", rule, "--total", "20", "--to", to]).exits(1).stderr;
        assert!(
            refused.contains("the lr of the parameter group `matrices` depends on training"),
            "{refused}"
        );
    }
}

/// The report has the lrs of each group, at the steps of the stored ones.
#[test]
fn the_report_shows_the_lrs_of_each_group() {
    let sandbox = Sandbox::new();
    sandbox.write("built.yaml", BUILT_IN);
    sandbox.run(&["built.yaml", "-q"]).exits(0);
    sandbox.run(&["report", "-q", "-o", "report.html"]).exits(0);
    let page = std::fs::read_to_string(sandbox.path("report.html")).expect("the page");
    let start = page.find("id=\"snapshot\">").expect("the data") + "id=\"snapshot\">".len();
    let data = &page[start..];
    let data: Value = serde_json::from_str(&data[..data.find('<').expect("an end")]).expect("JSON");
    let curves = data["curves"]["valid"]["schedules"].as_array().expect("curves");
    let of = |name: &str| curves.iter().find(|curve| curve["schedule"] == name).expect("each has a curve");
    let late = of("late");
    let (steps, groups) = (numbers(&late["lr_x"]), &late["groups"]);
    assert_eq!((&groups[0]["group"], &groups[0]["lr"]), (&Value::from("weights"), &late["lr"]));
    let expected: Vec<f64> =
        steps.iter().map(|step| 0.05 * if *step < 20.0 { 1.0 } else { (40.0 - step) / 20.0 }).collect();
    assert_eq!(groups[1]["group"], "rest");
    for (lr, expected) in numbers(&groups[1]["lr"]).iter().zip(&expected) {
        assert!((lr - expected).abs() < 1e-12, "{lr} {expected}");
    }
    assert_eq!(numbers(&groups[1]["lr"]).len(), 40);
    let ranking = data["overview"]["ranking"].as_array().expect("lines");
    let line = ranking.iter().find(|line| line["schedule"] == "late").expect("each has a line");
    let yaml = line["yaml"].as_str().expect("YAML");
    assert!(yaml.ends_with("  lr: {weights: 0.1, rest: 0.05}\n"), "{yaml}");
    assert!(line["pytorch"].as_str().expect("code").contains("\"rest\": (0.05, group_1()),"), "{line}");
    assert_eq!(of("rule")["groups"][1], serde_json::json!({"group": "rest", "lr": null}), "not stored");
}
