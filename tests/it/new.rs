//! `sweep new`: what it writes passes `sweep check` as it is, and trains.

use crate::support::Sandbox;

/// A sweep file that `sweep new` has written, with other values in it.
fn edit(sandbox: &Sandbox, name: &str, pairs: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(sandbox.path(name)).expect("it was written");
    for (before, after) in pairs {
        assert!(text.contains(before), "{before}:\n{text}");
        text = text.replace(before, after);
    }
    sandbox.write(name, text);
}

/// The file is accepted without any warning.
#[track_caller]
fn check(sandbox: &Sandbox, name: &str) {
    let checked = sandbox.run(&["check", name, "--deny-warnings"]).exits(0);
    assert!(!checked.stderr.contains("warning"), "{}", checked.stderr);
    assert!(checked.stderr.contains("no mistakes found"), "{}", checked.stderr);
}

/// Schedules of the ranking.
#[track_caller]
fn train(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let ranking = sandbox.run(&[name, "--format", "json", "-q"]).exits(0).json();
    let lines = ranking.as_array().expect("a list");
    let mut names: Vec<String> =
        lines.iter().map(|line| line["schedule"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

const SCHEDULES: [&str; 6] = ["constant", "cosine", "linear", "one_cycle", "step", "wsd"];

#[test]
fn a_file_for_each_built_in_task() {
    let sandbox = Sandbox::new();
    // Fashion-MNIST is not on every machine.
    for task in ["mnist", "lenet", "vae", "char-gpt", "quadratic", "power-law-regression"] {
        let name = format!("{task}.yaml");
        let written = sandbox.run(&["new", "--task", task, &name]).exits(0);
        assert!(written.stderr.contains(&format!("wrote {name}")), "{}", written.stderr);
        check(&sandbox, &name);
        let text = std::fs::read_to_string(sandbox.path(&name)).expect("it was written");
        assert!(!text.contains('@') && text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
    sandbox.run(&["new"]).exits(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path("sweep.yaml")).expect("the default name"),
        sandbox.run(&["init", "-"]).exits(0).stdout,
        "standard output gets the same text"
    );
    edit(
        &sandbox,
        "sweep.yaml",
        &[("dataset: mnist", "dataset: digits"), ("{epochs: 2}", "{steps: 20}"), ("decide: 8", "decide: 2")],
    );
    assert_eq!(train(&sandbox, "sweep.yaml"), SCHEDULES);
}

#[test]
fn an_existing_file_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.yaml", "mine");
    let refused = sandbox.run(&["new"]).exits(2);
    assert_eq!(refused.stderr, "error: sweep.yaml already exists; overwrite it with --force\n");
    assert_eq!(std::fs::read_to_string(sandbox.path("sweep.yaml")).expect("a file"), "mine");
    sandbox.run(&["new", "--force"]).exits(0);
    check(&sandbox, "sweep.yaml");
}

/// A table of two classes, which one of the columns separates.
fn table(rows: usize) -> String {
    let row =
        |i: usize| format!("{},{},{}\n", i % 7, i % 2, if i.is_multiple_of(2) { "good" } else { "bad" });
    format!("size,\"sort, of\",\"my label\"\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn a_file_for_a_table() {
    let sandbox = Sandbox::new();
    sandbox.write("my data.csv", table(200));
    let csv = ["new", "--csv", "my data.csv", "--label"];
    sandbox.run(&[&csv[..], &["my label", "own.yaml"]].concat()).exits(0);
    check(&sandbox, "own.yaml");
    let text = std::fs::read_to_string(sandbox.path("own.yaml")).expect("it was written");
    let printed = sandbox.run(&[&csv[..], &["my label", "-"]].concat()).exits(0).stdout;
    assert!(printed.contains("name: \"my data\""), "{printed}");
    // The file's name is the name of the sweep, so that a second file does not replace the sweep of the first.
    for words in
        ["name: own\n", "200 rows, 2 columns of numbers, 2 classes", "batch_size: 8", "test: \"20%\""]
    {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    edit(&sandbox, "own.yaml", &[("{epochs: 100}", "{epochs: 2}"), ("decide: 8", "decide: 2")]);
    assert_eq!(train(&sandbox, "own.yaml"), SCHEDULES);

    let refused = sandbox.run(&[&csv[..], &["my labl"]].concat()).exits(2);
    assert!(refused.stderr.contains("did you mean `my label`?"), "{}", refused.stderr);
    let asked = sandbox.run(&csv[..3]).exits(2).stderr;
    assert!(asked.contains("`--label COLUMN`; its columns are `size`, `sort, of` and `my label`"), "{asked}");
    let missing = sandbox.run(&["new", "--csv", "nope.csv", "--label", "y"]).exits(2);
    assert_eq!(missing.stderr, "error: CSV file not found: nope.csv\n");
    sandbox.write("prices.csv", "size,price\n1,10.5\n2,20.25\n");
    let numbers = sandbox.run(&["new", "--csv", "prices.csv", "--label", "price"]).exits(2);
    assert!(numbers.stderr.contains("sweep new --pytorch FILE"), "{}", numbers.stderr);
    assert!(!sandbox.path("sweep.yaml").exists());
}

#[test]
fn a_small_table_has_no_test_part() {
    let sandbox = Sandbox::new();
    sandbox.write("small.csv", table(20));
    let text = sandbox.run(&["new", "--csv", "small.csv", "--label", "my label", "-"]).exits(0).stdout;
    assert!(!text.contains("test:"), "{text}");
    sandbox.write("small.yaml", text);
    check(&sandbox, "small.yaml");
}

#[test]
fn a_file_for_a_script() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n");
    sandbox.run(&["new", "--pytorch", "train.py"]).exits(0);
    check(&sandbox, "sweep.yaml");
    let text = std::fs::read_to_string(sandbox.path("sweep.yaml")).expect("it was written");
    for words in [
        "command: [python3, train.py]",
        "scheduler = trial.schedule(optimizer)",
        "if trial.evaluates(step):",
        "0.3]",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    sandbox.write("ready.py", "import sweep_trial\noptimizer = torch.optim.AdamW(model.parameters())\n");
    let text = sandbox.run(&["new", "--pytorch", "ready.py", "-"]).exits(0).stdout;
    assert!(!text.contains("import sweep_trial") && text.contains("0.0003"), "{text}");
    let missing = sandbox.run(&["new", "--pytorch", "nope.py", "x.yaml"]).exits(2);
    assert_eq!(missing.stderr, "error: script not found: nope.py\n");
}
