//! `sweep predict`: the published loss curves, a stored sweep with a closed form, refusals and mistakes.

use serde_json::Value;

use crate::support::{Sandbox, root};

const FITTED: [&str; 3] = ["constant_24000", "cosine_24000", "wsdcon_9"];
const PREDICTED: [&str; 6] =
    ["constant_72000", "cosine_72000", "wsd_20000_24000", "wsdcon_18", "wsdcon_3", "wsdld_20000_24000"];

fn curve(size: &str, name: &str) -> String {
    root().join(format!("data/loss-curves/{size}/{name}.csv")).display().to_string()
}

/// The final loss of a published run: the mean of its last eight rows.
fn final_loss(size: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(curve(size, name)).expect("a curve");
    let losses: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().and_then(|loss| loss.parse().ok()).expect("a loss"))
        .collect();
    let last = &losses[losses.len() - 8..];
    last.iter().sum::<f64>() / 8.0
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"))
}

#[test]
fn published_curves_are_predicted_from_three_of_them() {
    let sandbox = Sandbox::new();
    for size in ["25M", "400M"] {
        let paths: Vec<String> = PREDICTED.iter().chain(&FITTED).map(|name| curve(size, name)).collect();
        let (what, curves) = paths.split_at(PREDICTED.len());
        let mut args = vec!["predict", "--format", "json"];
        args.extend(what.iter().map(String::as_str));
        args.push("--curves");
        args.extend(curves.iter().map(String::as_str));
        let rows = sandbox.run(&args).exits(0).json();
        let rows: Vec<(f64, f64)> = rows
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                let (predicted, low, high) =
                    (number(row, "predicted"), number(row, "low"), number(row, "high"));
                assert!(low < predicted && predicted < high, "{row}");
                (predicted, final_loss(size, row["schedule"].as_str().expect("a name")))
            })
            .collect();
        assert_eq!(rows.len(), PREDICTED.len());
        let mean =
            rows.iter().map(|(predicted, loss)| (predicted - loss).abs()).sum::<f64>() / rows.len() as f64;
        assert!(mean <= 0.010, "{size}: mean error {mean}: {rows:?}");
        for (a, b) in rows.iter().flat_map(|a| rows.iter().map(move |b| (a, b))) {
            assert!(a.1 - b.1 <= 0.01 || a.0 > b.0, "{size}: wrong order of {a:?} and {b:?}");
        }
    }
}

/// The schedules of `trained` are learned from.
fn quadratic(sandbox: &Sandbox) {
    let head = "task: {kind: quadratic}\noptimizer: {kind: sgd}\nbudget: {steps: 400}\nseeds: 24\nlr: 0.25\nevaluate: {every: \"2%\"}\n";
    let trained = "schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
  square: {kind: polynomial, power: 2, to: 0}
  drop: {kind: multistep, at: [\"60%\"], gamma: 0.2}
  wsd: {body: 1x, cooldown: {over: \"20%\", to: 0}}
  decay: {kind: geometric, to: 0.05x}
";
    let more = "schedules:
  linear: {kind: linear, to: 0}
  late: {body: 1x, cooldown: {over: \"40%\", to: 0}}
  half: {kind: linear, to: 0.5x}
  watching: {kind: plateau, watch: train_loss, every: 20, factor: 0.5, patience: 1}
";
    sandbox.write("trained.yaml", format!("name: trained\n{head}{trained}"));
    sandbox.write("more.yaml", format!("name: more\n{head}{more}"));
    sandbox.run(&["run", "trained.yaml", "--quiet"]).exits(0);
}

#[test]
fn a_stored_sweep_predicts_schedules_that_were_not_trained() {
    let sandbox = Sandbox::new();
    quadratic(&sandbox);
    let held_out = sandbox.run(&["predict", "--format", "json"]).exits(0).json();
    assert_eq!(held_out.as_array().map(Vec::len), Some(6), "{held_out}");

    let found =
        sandbox.run(&["predict", "more.yaml", "--sweep", "trained", "--format", "json"]).exits(0).json();
    let expected = sandbox.run(&["expect", "more.yaml", "--format", "json"]).json();
    let rows = found.as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let name = row["schedule"].as_str().expect("a name");
        if name == "watching" {
            assert!(row["refused"].as_str().is_some_and(|why| why.contains("closed-loop")), "{row}");
            assert!(row["predicted"].is_null());
            continue;
        }
        let all = expected.as_array().expect("rows");
        let loss = all.iter().find(|each| each["schedule"] == name).map(|each| number(each, "expected"));
        let loss = loss.expect("a closed form");
        assert!((number(row, "low")..number(row, "high")).contains(&loss), "{loss}: {row}");
        assert!((number(row, "predicted") - loss).abs() < 0.15 * loss, "{loss}: {row}");
        assert!(number(row, "held_out_error") > 0.0);
        assert_eq!(row["curve"].as_array().map(Vec::len), Some(100));
    }
    let table = sandbox.run(&["predict", "more.yaml", "--law", "tissue"]).exits(0);
    assert!(
        table.stdout.contains("fitted to 6 runs of sweep `trained` at lr 0.25: validation loss"),
        "{}",
        table.stdout
    );
    assert!(table.stderr.contains("watching at lr 0.25: not predicted: closed-loop"), "{}", table.stderr);
    let steps =
        sandbox.run(&["predict", "more.yaml", "--law", "tissue", "--by-step", "--format", "csv"]).exits(0);
    assert_eq!(steps.stdout.lines().count(), 301);

    // A law of one task says nothing about another.
    let other = std::fs::read_to_string(sandbox.path("more.yaml")).expect("a file");
    sandbox.write("other.yaml", other.replace("kind: sgd", "kind: sgd, momentum: 0.5"));
    let refused = sandbox.run(&["predict", "other.yaml", "--sweep", "trained"]).exits(2);
    assert!(refused.stderr.contains("another model, data or optimizer"), "{}", refused.stderr);
    let unknown = sandbox.run(&["predict", "--fit", "cosin"]).exits(2);
    assert!(unknown.stderr.contains("did you mean `cosine`?"), "{}", unknown.stderr);
}

#[test]
fn extrapolation_is_refused() {
    let sandbox = Sandbox::new();
    let curves: Vec<String> = FITTED.iter().map(|name| curve("25M", name)).collect();
    let run = |args: &[&str]| {
        let mut all = vec!["predict", "--law", "tissue"];
        all.extend(args);
        all.push("--curves");
        all.extend(curves.iter().map(String::as_str));
        sandbox.run(&all)
    };
    for (args, why) in [
        (&["{kind: cosine}", "--lr", "7e-4"][..], "its peak lr 0.0007 is more than 2 times"),
        (&["{kind: cosine}", "--lr", "1e-4"], "its peak lr 0.0001 is more than 2 times"),
        (&["{kind: cosine}", "--total", "100000"], "its 100000 steps are more than 4 times"),
        (&["{kind: cosine}", "--total", "3000"], "its 3000 steps are more than 4 times"),
        (&["{kind: plateau, watch: train_loss, every: 100, factor: 0.5, patience: 1}"], "closed-loop"),
        (&["{kind: schedule_free}"], "averages the weights"),
        (&["{kind: one_cycle, momentum: {min: 0.85, max: 0.95}}"], "changes the momentum"),
    ] {
        let output = run(args).exits(2);
        assert!(output.stderr.contains(why), "{args:?}: {}", output.stderr);
        let mut json = args.to_vec();
        json.extend(["--format", "json"]);
        let refused = run(&json).exits(2).json();
        assert!(refused[0]["refused"].as_str().is_some_and(|text| text.contains(why)), "{refused}");
    }
    let good = run(&["{kind: cosine, to: 0.1x}", "--format", "json"]).exits(0).json();
    assert_eq!(
        (good[0]["steps"].as_u64(), good[0]["law"].as_str()),
        (Some(23_937), Some("tissue")),
        "{good}"
    );
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    let constant = curve("25M", "constant_24000");
    sandbox.write("short.csv", "step,lr,loss\n0,1,3\n10,1,2\n");
    sandbox.write("bad.csv", "step,lr,loss\n0,1,3\n10,x,2\n");
    for (args, why) in [
        (&["predict"][..], "sweep database not found"),
        (&["predict", "--curves", "missing.csv"], "missing.csv"),
        (
            &["predict", "--curves", "bad.csv"],
            "bad.csv:3: column `lr`: expected a number, at least 0, found `x`",
        ),
        (&["predict", "--curves", "short.csv"], "short.csv: too few losses"),
        (&["predict", "--curves", &constant], "the lr of no run falls by a tenth of its peak"),
        (&["predict", "--curves", &constant, "{kind: cosine}"], "write schedules before --curves"),
        (&["predict", "{kind: cosin}", "--curves", &constant], "did you mean `cosine`"),
        (&["predict", "missing.yaml", "--curves", &constant], "missing.yaml"),
        (&["predict", "--last", "0.9", "--curves", &constant], "above 0, at most 0.5"),
    ] {
        let output = sandbox.run(args).exits(2);
        assert!(output.stderr.contains(why), "{args:?}: {}", output.stderr);
    }
}
