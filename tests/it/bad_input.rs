//! Bad input is refused before training: exit code 2, with the mistake, its place and what was expected.

use crate::support::{Output, Sandbox, finish, root};

/// A valid sweep file, with one part replaced.
fn sweep_file(part: &str, replacement: &str) -> String {
    let good = "\
name: small
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 20}
seeds: 2
lr: {values: [0.1]}
schedules:
  constant: {kind: constant}
  cosine: {warmup: {over: 2, from: 0.01x}, body: {kind: cosine, to: 0}}
";
    assert!(good.contains(part), "{part}");
    good.replace(part, replacement)
}

fn check(text: impl AsRef<[u8]>) -> Output {
    let sandbox = Sandbox::new();
    sandbox.write("bad.yaml", text);
    sandbox.run(&["check", "bad.yaml"])
}

/// Asserts that a file with one part replaced is refused, and that the message has all of `words`.
#[track_caller]
fn refused(part: &str, replacement: &str, words: &[&str]) {
    let output = check(sweep_file(part, replacement)).exits(2);
    for word in words {
        assert!(output.stderr.contains(word), "{replacement}: no {word:?} in\n{}", output.stderr);
    }
    assert_eq!(output.stdout, "");
}

#[test]
fn the_example_file_is_valid() {
    let output = check(sweep_file("small", "small")).exits(0);
    let few = "note: bad.yaml: no difference between schedules can be significant with 2 seeds: the exact test needs at least 6\n";
    assert_eq!(output.stderr, format!("{few}bad.yaml: no mistakes found, 4 trials\n"));
    let enough = check(sweep_file("seeds: 2", "seeds: {tune: 2, decide: 6}")).exits(0);
    assert_eq!(enough.stderr, "bad.yaml: no mistakes found, 4 trials\n");
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    refused("seeds:", "seed:", &["bad.yaml:6:1", "unknown key `seed`", "did you mean `seeds`?"]);
    refused("momentum", "momentun", &["bad.yaml:4:24", "did you mean `momentum`?"]);
    refused("kind: cosine", "kind: cosin", &["bad.yaml:10:57", "`cosine`"]);
    refused("dataset: digits", "dataset: mnits", &["did you mean `mnist`?"]);
    refused("kind: sgd", "kind: adam", &["`sgd` and `adamw`", "did you mean `adamw`?"]);
}

#[test]
fn values_out_of_range_are_refused() {
    refused("over: 2", "over: 30", &["bad.yaml:10", "30"]);
    refused("values: [0.1]", "values: []", &["at least one value"]);
    refused("values: [0.1]", "values: [-0.1]", &["a number above 0", "`-0.1`"]);
    refused("values: [0.1]", "values: [0.1, 0.1]", &["duplicate value"]);
    refused("seeds: 2", "seeds: 0", &["seeds"]);
    refused("seeds: 2", "seeds: [1, 1]", &["duplicate seed 1"]);
    refused("steps: 20", "steps: 0", &["a whole number of at least 1"]);
    refused("steps: 20", "steps: 20, epochs: 1", &["`epochs` and `steps` are both given"]);
    refused("batch_size: 50", "batch_size: 5000", &["larger than the 2000 training images"]);
    refused("momentum: 0.9", "momentum: 1.5", &["below 1"]);
    refused("momentum: 0.9", "nesterov: true", &["`momentum` above 0"]);
    refused("hidden: [8]", "hidden: [0]", &["from 1 to 65536"]);
    refused("seeds: 2", "seeds: 2\nclip_norm: 0", &["above 0"]);
}

#[test]
fn common_mistakes_are_refused_with_a_suggestion() {
    let lr = "{values: [0.1]}";
    for (part, replacement, words) in [
        (lr, "[0.1, 0.2]", "to try several values, write {values: [0.1, 0.2]}"),
        (lr, "{vals: [0.1, 0.2]}", "did you mean `values` instead of `vals`?"),
        (lr, "{value: [0.1, 0.2]}", "did you mean `values` instead of `value`?"),
        (lr, "{range: [0.1, 0.2]}", "write an axis as {values: [...]}, {linspace: [low, high, n]} or"),
        (lr, "{values: [0.1], n: 3}", "an axis has only the key `values`"),
        (lr, "\"0.1\"", "write 0.1 without quotes"),
        (lr, "{values: [0.1, .inf]}", "lr.values[1]: expected a finite number"),
        ("to: 0", "to: [0, 0.1x]", "to try several values, write {values: [0, \"0.1x\"]}"),
        ("hidden: [8]", "hidden: 128", "one layer is [128]"),
        ("hidden: [8]", "hidden: \"128\"", "one layer is [128]"),
        ("steps: 20", "steps: \"20\"", "write 20 without quotes"),
        ("seeds: 2", "seeds: \"2\"", "write 2 without quotes"),
        ("seeds: 2", "seeds: {values: [1, 2]}", "seeds can't be an axis"),
        (
            "seeds: 2",
            "seeds: 9223372036854775808",
            "seeds: this number is too large: the largest whole number is",
        ),
        ("seeds: 2", "seeds: [1, 99999999999999999999]", "seeds[1]: this number is too large"),
        ("kind: constant", "kind: plateau, watch: train", "`train` is ambiguous: write `train_loss`"),
    ] {
        refused(part, replacement, &["bad.yaml:", words]);
    }
}

#[test]
fn a_yaml_alias_as_a_key_is_its_text() {
    check(sweep_file("name: small", "&k name: *k")).exits(0);
}

#[test]
fn long_names_are_shortened() {
    let output = check(sweep_file("kind: constant", &format!("kind: {}", "x".repeat(500_000)))).exits(2);
    assert!(output.stderr.len() < 10_000, "{} bytes", output.stderr.len());
}

/// A sweep file with a schedule that is valid but probably a mistake.
fn warned() -> String {
    sweep_file("kind: constant", "kind: cosine, to: 0, over: 15")
}

#[test]
fn a_lint_is_a_warning_with_its_name_line_and_fix() {
    let output = check(warned()).exits(0);
    insta::assert_snapshot!(output.stderr);
    let sandbox = Sandbox::new();
    sandbox.write("bad.yaml", warned());
    let output = sandbox.run(&["plan", "bad.yaml"]).exits(0);
    assert!(output.stderr.contains("warning[horizon-mismatch]"), "{}", output.stderr);
    let json = sandbox.run(&["plan", "bad.yaml", "--format", "json"]).exits(0).json();
    let words = json["warnings"][0].as_str().expect("a warning");
    assert!(words.starts_with("9:41: ") && words.ends_with(" [horizon-mismatch]"), "{words}");
    let output = sandbox.run(&["run", "bad.yaml", "--quiet"]).exits(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn warnings_can_be_denied_and_silenced() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.yaml", warned());
    sandbox.write("good.yaml", sweep_file("small", "small"));
    sandbox.write("quiet.yaml", format!("# sweep: allow(horizon-mismatch)\n{}", warned()));
    for verb in ["check", "plan", "run"] {
        let output = sandbox.run(&[verb, "bad.yaml", "--deny-warnings"]).exits(2);
        let last = "error: bad.yaml: 1 warning with --deny-warnings\n";
        assert!(output.stderr.contains("warning[") && output.stderr.ends_with(last), "{}", output.stderr);
        assert_eq!(output.stdout, "");
    }
    sandbox.run(&["check", "good.yaml", "quiet.yaml", "--deny-warnings"]).exits(0);
    let output = sandbox.run(&["check", "bad.yaml", "good.yaml", "bad.yaml", "--deny-warnings"]).exits(2);
    assert_eq!(output.stderr.matches("with --deny-warnings").count(), 2, "{}", output.stderr);
    assert!(!sandbox.path("runs").exists(), "nothing was trained");
}

#[test]
fn the_plan_names_the_axes_of_each_trial() {
    let sandbox = Sandbox::new();
    sandbox.write("axes.yaml", sweep_file("to: 0", "to: {values: [0, 0.1x]}"));
    let json = sandbox.run(&["plan", "axes.yaml", "--format", "json"]).exits(0).json();
    assert_eq!(json["runs"][2]["axes"], serde_json::json!({ "schedule.body.to": "\"0.1x\"" }));
    let csv = sandbox.run(&["plan", "axes.yaml", "--format", "csv"]).exits(0).stdout;
    assert!(csv.starts_with("trial_id,schedule,config_id,base_lr,seed,steps,axes\n"), "{csv}");
    assert!(csv.contains(r#""{""schedule.body.to"":""0""}""#), "{csv}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = sweep_file("seeds: 2", "sedes: 2")
        .replace("kind: sgd", "kind: sdg")
        .replace("steps: 20", "steps: -1");
    let output = check(text).exits(2);
    for place in ["bad.yaml:4:", "bad.yaml:5:", "bad.yaml:6:"] {
        assert!(output.stderr.contains(place), "{place} in\n{}", output.stderr);
    }
}

#[test]
fn a_problem_is_shown_with_its_line_and_fix() {
    let output = check(sweep_file("seeds:", "seed:")).exits(2);
    insta::assert_snapshot!(output.stderr);
}

#[test]
fn a_grid_that_is_too_large_is_refused_with_its_size() {
    let axis = "{linspace: [0.001, 1, 10000]}";
    let text =
        sweep_file("lr: {values: [0.1]}", &format!("lr: {axis}\nclip_norm: {axis}\ndiverge_above: {axis}"));
    let output = check(text).exits(2);
    assert!(output.stderr.contains("1000000000000 trials"), "{}", output.stderr);
}

#[test]
fn files_that_are_not_sweep_files_are_refused() {
    for (text, word) in [
        (&b""[..], "empty"),
        (b"data:\n\tdataset: digits\n", "not with tabs"),
        (b"- a\n- b\n", "a mapping"),
        (b"just text", "a mapping"),
        (b"a: \xff\xfe", "bad.yaml:1:4: not UTF-8"),
        (b"a: 1\na: 2\n", "bad.yaml:2:1"),
    ] {
        let output = check(text).exits(2);
        assert!(output.stderr.contains(word), "{word:?} in\n{}", output.stderr);
    }
    let output = check("[".repeat(10_000_000)).exits(2);
    assert!(
        output.stderr.contains("too large for a sweep file") && output.stderr.len() < 500,
        "{}",
        output.stderr
    );
}

#[test]
fn missing_files_and_folders_are_refused() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["check", "."]).exits(2);
    assert_eq!(output.stderr, "error: expected a sweep file, found a directory: .\n");
    let output = sandbox.run(&["nope"]).exits(2);
    assert_eq!(output.stderr, "error: sweep file not found: nope\n");
    let output = sandbox.run(&["chekc", "small.yaml"]).exits(2);
    assert!(output.stderr.contains("unrecognized subcommand 'chekc'"), "{}", output.stderr);
    assert!(output.stderr.contains("'check'"), "{}", output.stderr);
}

#[test]
fn a_missing_data_set_is_refused_with_the_searched_folders() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", sweep_file("small", "small"));
    let mut command = sandbox.command(&["small.yaml"]);
    command.env("SWEEP_DATA_DIR", sandbox.path("nowhere"));
    let output = crate::support::finish(command).exits(2);
    assert!(output.stderr.contains("nowhere") && output.stderr.contains("--data-dir"), "{}", output.stderr);
}

#[test]
fn a_data_set_with_wrong_bytes_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", sweep_file("small", "small"));
    let data = sandbox.path("data/mnist");
    std::fs::create_dir_all(&data).expect("a folder");
    for file in std::fs::read_dir(root().join("data/mnist")).expect("the data") {
        let file = file.expect("a file").path();
        std::fs::copy(&file, data.join(file.file_name().expect("a name"))).expect("a copy");
    }
    let labels = data.join("train-labels-idx1-ubyte.gz");
    std::fs::write(&labels, &std::fs::read(&labels).expect("the file")[..1000]).expect("a short file");
    let mut command = sandbox.command(&["small.yaml"]);
    command.env("SWEEP_DATA_DIR", sandbox.path("data"));
    let output = crate::support::finish(command).exits(2);
    assert!(output.stderr.contains("train-labels-idx1-ubyte.gz"), "{}", output.stderr);
}

#[test]
fn unusable_stores_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", sweep_file("small", "small"));
    let output = sandbox.run(&["rank"]).exits(2);
    assert!(output.stderr.contains("runs/sweep.db"), "{}", output.stderr);
    sandbox.write("file", "not a folder");
    sandbox.run(&["--store", "file", "small.yaml"]).exits(2);
    std::fs::create_dir(sandbox.path("foreign")).expect("a folder");
    sandbox.write("foreign/sweep.db", "not a database, in spite of its name".repeat(100));
    let output = sandbox.run(&["--store", "foreign", "small.yaml"]).exits(2);
    assert!(output.stderr.contains("foreign/sweep.db"), "{}", output.stderr);

    sandbox.run(&["small.yaml"]).exits(0);
    let database = sandbox.path("runs/sweep.db");
    let writable = std::fs::metadata(&database).expect("a file").permissions();
    let mut read_only = writable.clone();
    read_only.set_readonly(true);
    std::fs::set_permissions(&database, read_only).expect("a mode");
    let output = sandbox.run(&["small.yaml"]).exits(2);
    assert!(output.stderr.contains("runs/sweep.db is read-only"), "{}", output.stderr);
    sandbox.run(&["rank"]).exits(0);
    std::fs::set_permissions(&database, writable).expect("a mode");

    sandbox.sql("insert into _sqlx_migrations values (9999, 'from the future', 0, 1, x'00', 0)");
    for verb in [&["small.yaml"][..], &["rank"]] {
        let output = sandbox.run(verb).exits(2);
        assert!(output.stderr.contains("newer version of sweep"), "{}", output.stderr);
    }
}

/// Shells and CI systems set empty variables for missing settings, and expand `~` only at the start of a word.
#[test]
fn empty_variables_count_as_unset_and_a_tilde_is_the_home_directory() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "a.yaml",
        "task: {kind: quadratic}\noptimizer: {kind: sgd}\nbudget: {steps: 5}\nlr: 0.1\nschedules: {a: 1x}\n",
    );
    let run = |args: &[&str], set: &[(&str, &str)]| {
        let mut command = sandbox.command(args);
        command.env("HOME", sandbox.path("home")).envs(set.iter().copied());
        finish(command)
    };
    let empty =
        ["SWEEP_STORE", "SWEEP_DATA_DIR", "SWEEP_CHECKPOINTS", "SWEEP_CPU", "SWEEP_LOG", "RAYON_NUM_THREADS"];
    for value in ["", "  "] {
        run(&["a.yaml", "-q"], &empty.map(|name| (name, value))).exits(0);
        assert!(sandbox.path("runs/sweep.db").exists());
        std::fs::remove_dir_all(sandbox.path("runs")).expect("a store");
    }
    run(&["a.yaml", "-q"], &[("SWEEP_STORE", "~/by-variable")]).exits(0);
    run(&["a.yaml", "-q", "--store=~/by-option"], &[]).exits(0);
    assert!(
        sandbox.path("home/by-variable/sweep.db").exists()
            && sandbox.path("home/by-option/sweep.db").exists()
    );
    assert!(!sandbox.path("~").exists());
    for args in [["a.yaml", "--store=~bob/x"], ["a.yaml", "--store="], ["a.yaml", "--checkpoints=~bob"]] {
        let message = run(&args, &[]).exits(2).stderr;
        assert!(message.contains("write the full path") || message.contains("empty text"), "{message}");
    }
}
