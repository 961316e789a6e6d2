//! Custom tasks: builds and runs examples/own-model.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::support::{Output, Sandbox, build_of, finish, root};

fn example() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build_of("own-model", &[]))
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    finish(sandbox.command_of(example(), args))
}

#[test]
fn the_example_has_the_whole_command_line() {
    let sandbox = Sandbox::new();
    let file =
        std::fs::read_to_string(root().join("examples/own-model/spirals.yaml")).expect("the sweep file");
    sandbox.write("spirals.yaml", file.replace("epochs: 40", "epochs: 8").replace("seeds: 8", "seeds: 3"));
    let ranked = run(&sandbox, &["spirals.yaml", "--workers", "2"]).exits(0).stdout;
    assert!(ranked.contains("cosine") && ranked.contains("wsd"), "{ranked}");
    let rows =
        sandbox.query("select count(*) as n, min(valid_accuracy) as least from trials where status = 'done'");
    assert!(rows[0]["n"].as_i64() >= Some(36) && rows[0]["least"].as_f64() > Some(0.3), "{rows}");
    let message = run(&sandbox, &["reproduce", "best"]).exits(0).stdout;
    assert!(message.contains("every bit is equal"), "{message}");
    // Trained separately and from the start, the bits are the same.
    let again = Sandbox::new();
    again.write("spirals.yaml", std::fs::read(sandbox.path("spirals.yaml")).expect("the file"));
    run(&again, &["spirals.yaml", "-q", "--no-share", "--lanes", "1", "--workers", "1"]).exits(0);
    assert_eq!(again.fingerprints(), sandbox.fingerprints());

    // Exported weights can be used as initial weights.
    run(&sandbox, &["export", "weights", "best", "-q", "-o", "w.safetensors"]).exits(0);
    sandbox.write(
        "tune.yaml",
        "task: {kind: spirals, width: 32}\noptimizer: {kind: sgd}\nbudget: {steps: 5}\nlr: 0.01\n\
         init_from: {file: w.safetensors, fresh: [fc3]}\nfreeze: [fc1]\nschedules: {a: {kind: constant}}\n",
    );
    run(&sandbox, &["tune.yaml", "-q"]).exits(0);
    sandbox.write(
        "misfit.yaml",
        "task: {kind: spirals, width: 31}\noptimizer: {kind: sgd}\nbudget: {steps: 5}\nlr: 0.01\n\
         init_from: w.safetensors\nfreeze: [fc9]\nschedules: {a: {kind: constant}}\n",
    );
    let message = run(&sandbox, &["misfit.yaml", "-q"]).exits(2).stderr;
    for words in ["no parameter matches `fc9`", "`fc1.weight` has shape [32, 2]", "`fc3.weight` has shape"] {
        assert!(message.contains(words), "{words} in {message}");
    }
}

#[test]
fn unknown_keys_of_a_task_are_reported_with_their_span() {
    let sandbox = Sandbox::new();
    let file = |task: &str| {
        sandbox.write(
            "a.yaml",
            format!("task: {task}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 5}}\nlr: 0.1\nschedules: {{a: {{kind: constant}}}}\n"),
        )
    };
    let errors = |args: &[&str]| run(&sandbox, args).exits(2).stderr;
    for (task, words) in [
        ("{kind: spirals, widht: 8}", "unknown field `widht`, expected `width`"),
        ("{kind: spirals, width: wide}", "invalid type"),
        ("{kind: spiral, width: 8}", "did you mean `spirals`?"),
    ] {
        let name = file(task);
        let message = errors(&["check", &name]);
        assert!(message.contains(words) && message.contains("a.yaml:1:"), "{words} in {message}");
    }
    // The plain `sweep` does not know the task, so it refuses its trials.
    let name = file("{kind: spirals, width: 8}");
    let other = sandbox.run(&["check", &name]).exits(2).stderr;
    assert!(other.contains("unknown task `spirals`"), "{other}");
    run(&sandbox, &[&name, "-q"]).exits(0);
    let other = sandbox.run(&["reproduce", "best"]).exits(2).stderr;
    assert!(other.contains("`spirals` is a custom task of another program"), "{other}");
}
