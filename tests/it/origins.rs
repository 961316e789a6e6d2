//! Stored results and the code that trained them: earlier versions of sweep, and changed imports of the user's program.

use std::collections::BTreeMap;

use crate::support::{Sandbox, root};

/// A copy of a store in this folder, with its sweep files. The store is unchanged since the version that wrote it.
fn stored(folder: &str, sweeps: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let from = root().join("tests/it").join(folder);
    std::fs::create_dir(sandbox.path("runs")).expect("a folder");
    for sweep in sweeps {
        let name = format!("{sweep}.yaml");
        std::fs::copy(from.join(&name), sandbox.path(&name)).expect("a copy");
    }
    std::fs::copy(root().join("tests/it/earlier/train.py"), sandbox.path("train.py")).expect("a copy");
    std::fs::copy(from.join("sweep.db"), sandbox.path("runs/sweep.db")).expect("a copy");
    sandbox
}

fn earlier() -> Sandbox {
    stored("earlier", &SWEEPS)
}

const SWEEPS: [&str; 3] = ["earlier", "earlier-models", "earlier-program"];

/// The version of the arithmetic that trained these stores.
const EARLIER_BITS: u32 = 1;

/// The warning about the results in these stores.
fn warning() -> String {
    format!(
        "from another version of the arithmetic (version {EARLIER_BITS}, this program has {}): they are kept and ranked",
        trainer::BITS
    )
}

/// Other models, optimizers, tasks and rules, written by commit d5c3f3d2ae33.
const WIDE: [&str; 4] = ["wide", "wide-text", "wide-law", "wide-program"];

/// The rows of a CSV text, as values by column.
fn by_column(csv: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = csv.lines().map(|line| line.split(','));
    let columns: Vec<&str> = lines.next().expect("a header").collect();
    lines.map(|line| columns.iter().copied().zip(line).collect()).collect()
}

#[test]
fn an_earlier_store_with_all_kinds_of_trials_opens_and_ranks() {
    let sandbox = stored("wide", &WIDE);
    for sweep in WIDE {
        let before =
            std::fs::read_to_string(root().join(format!("tests/it/wide/{sweep}.csv"))).expect("rows");
        let now = sandbox.run(&["rank", sweep, "--format", "csv"]).exits(0).stdout;
        let (before, now) = (by_column(&before), by_column(&now));
        assert_eq!(before.len(), now.len(), "{sweep}");
        for (before, now) in before.iter().zip(&now) {
            for (column, value) in before {
                assert_eq!(now.get(column), Some(value), "{sweep}: {column}");
            }
        }
        let message = sandbox.run(&[&format!("{sweep}.yaml")]).exits(0).stderr;
        assert!(message.contains("stored, nothing to train"), "{message}");
        assert_eq!(message.contains(&warning()), sweep != "wide-program", "{message}");
    }
}

/// Fails if ids change, or if an older database can no longer be read.
#[test]
fn results_of_an_earlier_version_are_read_and_ranked_and_nothing_is_trained_again() {
    let sandbox = earlier();
    let bytes = std::fs::read(sandbox.path("runs/sweep.db")).expect("a database");
    for sweep in SWEEPS {
        let rows = sandbox.run(&["rank", sweep, "--format", "csv"]).exits(0).stdout;
        assert!(rows.lines().count() > 1, "{rows}");
    }
    let planned = sandbox.run(&["plan", "earlier.yaml", "--no-probe"]).exits(0).stdout;
    assert!(planned.contains("all 42 trials are stored, nothing to train"), "{planned}");
    assert_eq!(std::fs::read(sandbox.path("runs/sweep.db")).expect("a database"), bytes, "only read so far");

    let before = sandbox.texts("select trial_id || digest || attempts || finished_at from trials order by 1");
    for sweep in SWEEPS {
        let message = sandbox.run(&[&format!("{sweep}.yaml")]).exits(0).stderr;
        assert!(message.contains("trials are stored, nothing to train"), "{message}");
        assert_eq!(message.contains(&warning()), sweep != "earlier-program", "{message}");
    }
    let after = sandbox.texts("select trial_id || digest || attempts || finished_at from trials order by 1");
    assert_eq!(after, before);
    let bits =
        "select distinct coalesce(bits, 'none') || ' ' || (config like '%trainer%') from trials order by 1";
    assert_eq!(sandbox.texts(bits), ["1 0", "none 1"]);
}

#[test]
fn results_of_an_earlier_arithmetic_are_not_compared() {
    let sandbox = earlier();
    let id = sandbox.texts("select min(trial_id) from trials where config not like '%trainer%'")[0].clone();
    let refused = sandbox.run(&["reproduce", &id]).exits(2).stderr;
    let words = format!("version {EARLIER_BITS} of the arithmetic (sweep 0.1.0, commit c3d17bb12b35)");
    assert!(refused.contains(&words), "{refused}");
}

/// The trials of the sweeps in `earlier` and `wide`, as this version of the arithmetic trains them. Fails if a trial gets other bits.
/// If a release had this version, raise `trainer::BITS` then. SWEEP_UPDATE=1 writes the file of the version.
#[test]
fn this_version_of_the_arithmetic_keeps_its_bits() {
    let sandbox = Sandbox::new();
    let mut found = String::new();
    for (folder, sweeps) in [("earlier", &SWEEPS[..]), ("wide", &WIDE)] {
        for sweep in sweeps.iter().filter(|sweep| !sweep.ends_with("program")) {
            let name = format!("{sweep}.yaml");
            let text = std::fs::read(root().join("tests/it").join(folder).join(&name)).expect("a sweep file");
            sandbox.write(&name, text);
            sandbox.run(&[&name, "-q"]).exits(0);
            let rows = sandbox.texts(&format!(
                "select trial_id || ' ' || digest || ' ' || coalesce(weights_hash, status) from trials \
                 where sweep = '{sweep}' order by 1"
            ));
            assert!(!rows.is_empty(), "{sweep}");
            rows.iter().for_each(|row| found.extend([sweep, " ", row, "\n"]));
        }
    }
    let path = root().join(format!("tests/it/bits/{}.txt", trainer::BITS));
    if std::env::var_os("SWEEP_UPDATE").is_some() {
        std::fs::write(&path, &found).expect("a file");
    }
    let stored = std::fs::read_to_string(&path).expect("the results of this version");
    let differs = |(found, stored): &(&str, &str)| found != stored;
    let first = found.lines().zip(stored.lines()).find(differs);
    assert_eq!(first, None, "other bits than {} has", path.display());
    assert_eq!(found.lines().count(), stored.lines().count());
}

/// Results with other bits cause a warning before they are reused and when they are ranked together with others.
#[test]
fn results_with_other_bits_are_mixed_only_with_a_warning() {
    let sandbox = earlier();
    // Migrates the database.
    sandbox.run(&["earlier.yaml", "-q"]).exits(0);
    sandbox.sql(&format!("update trials set bits = {} where config not like '%trainer%'", trainer::BITS));
    sandbox.sql("update trials set bits = 7 where seed = 0 and config not like '%trainer%'");
    let words =
        format!("from another version of the arithmetic (version 7, this program has {})", trainer::BITS);
    for args in [&["check", "earlier.yaml"][..], &["plan", "earlier.yaml", "--no-probe"], &["earlier.yaml"]] {
        let message = sandbox.run(args).exits(0).stderr;
        assert!(message.contains(&words), "{args:?}: {message}");
        assert!(message.contains("`sweep rm earlier` removes"), "{message}");
    }
    let compare = ["compare", "wsd", "constant", "--sweep", "earlier"];
    for args in [&["rank", "earlier"][..], &["report", "earlier", "--format", "md"], &compare] {
        let shown = sandbox.run(args).exits(0);
        let all = format!("{}{}", shown.stdout, shown.stderr);
        assert!(all.contains("different versions of the arithmetic"), "{args:?}: {all}");
    }
    let id = sandbox.texts("select trial_id from trials where bits = 7 order by 1")[0].clone();
    let refused = sandbox.run(&["reproduce", &id]).exits(2).stderr;
    assert!(refused.contains("version 7 of the arithmetic (sweep 0.1.0, commit c3d17bb12b35)"), "{refused}");
    // A trial that is trained now has the current bits.
    sandbox.run(&["rm", "--trial", &id, "--yes"]).exits(0);
    sandbox.run(&["earlier.yaml", "-q"]).exits(0);
    assert_eq!(
        sandbox.texts(&format!("select cast(bits as text) from trials where trial_id = '{id}'")),
        [trainer::BITS.to_string()]
    );
}

/// A program of two files. The sweep file names one of them.
fn imports(files: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("model.py", "STEP = 0.5\n");
    sandbox.write(
        "train.py",
        "import sweep_trial\nimport model\n\ntrial = sweep_trial.current()\nloss = 1.0\nfor step in trial.steps():\n    \
         loss *= 1 - model.STEP * trial.lr(step)\n    trial.log(step, train_loss=loss)\ntrial.finish(valid_loss=loss)\n",
    );
    sandbox.write(
        "p.yaml",
        format!(
            "trainer: {{command: [python3, train.py]{files}}}\nbudget: {{steps: 4}}\nseeds: 2\nlr: 0.1\n\
             schedules: {{a: {{kind: constant}}}}\n"
        ),
    );
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str]) -> crate::support::Output {
    let mut command = sandbox.command(args);
    command.env("PYTHONPATH", root().join("python/src"));
    crate::support::finish(command)
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn a_changed_import_is_warned_of_before_results_are_reused() {
    let sandbox = imports("");
    run(&sandbox, &["p.yaml", "-q"]).exits(0);
    let loaded = sandbox.texts("select distinct loaded from trials");
    assert_eq!(loaded.len(), 1);
    assert!(loaded[0].starts_with("{\"model.py\":"), "only what is not named in the file: {loaded:?}");
    let quiet = run(&sandbox, &["check", "p.yaml"]).exits(0).stderr;
    assert!(!quiet.contains("warning"), "{quiet}");

    sandbox.write("model.py", "STEP = 0.25\n");
    for args in [&["check", "p.yaml"][..], &["plan", "p.yaml"], &["p.yaml"]] {
        let message = run(&sandbox, args).exits(0).stderr;
        assert!(message.contains("`model.py` changed since 2 stored runs loaded it"), "{args:?}: {message}");
        assert!(message.contains("`trainer.files` names it"), "{message}");
    }
    run(&sandbox, &["p.yaml", "--deny-warnings"]).exits(2);
    let id = sandbox.texts("select trial_id from trials order by 1")[0].clone();
    let message = run(&sandbox, &["reproduce", &id]).exits(1).stderr;
    assert!(message.contains("the file model.py has changed"), "{message}");
    // Rankings with runs of both contents cause a warning.
    run(&sandbox, &["rm", "--trial", &id, "--yes"]).exits(0);
    run(&sandbox, &["p.yaml", "-q"]).exits(0);
    let ranked = run(&sandbox, &["rank", "p"]).exits(0);
    assert!(
        format!("{}{}", ranked.stdout, ranked.stderr).contains("different versions of `model.py`"),
        "{}",
        ranked.stdout
    );
    // Do what the warning suggests.
    run(&sandbox, &["rm", "p", "--yes"]).exits(0);
    let message = run(&sandbox, &["p.yaml"]).exits(0).stderr;
    assert!(!message.contains("changed since"), "{message}");
}

/// A folder next to the script, and a file that the sweep file names.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn files_named_in_the_sweep_file_are_part_of_trial_ids() {
    let sandbox = imports(", files: [model.py]");
    std::fs::create_dir(sandbox.path("parts")).expect("a folder");
    sandbox.write("parts/__init__.py", "");
    sandbox.write("parts/extra.py", "X = 1\n");
    sandbox.write("model.py", "import parts.extra\nSTEP = 0.5\n");
    run(&sandbox, &["p.yaml", "-q"]).exits(0);
    let loaded = sandbox.texts("select distinct loaded from trials").concat();
    assert!(loaded.contains("parts/extra.py") && !loaded.contains("\"model.py\""), "{loaded}");
    let before = sandbox.texts("select trial_id from trials order by 1");
    sandbox.write("model.py", "import parts.extra\nSTEP = 0.25\n");
    let message = run(&sandbox, &["p.yaml"]).exits(0).stderr;
    assert!(message.contains("training 2") && !message.contains("changed since"), "{message}");
    let after = sandbox.texts("select trial_id from trials order by 1");
    assert_eq!(after.len(), 2 * before.len(), "new trials");
}

/// `plan` estimates a program's time from its stored runs and counts only the remaining trials.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn plan_counts_stored_trials() {
    let sandbox = imports("");
    let unknown = run(&sandbox, &["plan", "p.yaml"]).exits(0).stdout;
    assert!(unknown.contains("no time estimate: the program has not been run yet"), "{unknown}");
    run(&sandbox, &["p.yaml", "-q"]).exits(0);
    let stored = run(&sandbox, &["plan", "p.yaml"]).exits(0).stdout;
    assert!(stored.contains("all 2 trials are stored, nothing to train"), "{stored}");
    let text = std::fs::read_to_string(sandbox.path("p.yaml")).expect("the file");
    sandbox.write("p.yaml", text.replace("seeds: 2", "seeds: 4"));
    sandbox.sql("update trials set started_at = finished_at - 60000");
    let more = run(&sandbox, &["plan", "p.yaml", "--workers", "1"]).exits(0).stdout;
    assert!(more.contains("2 trials are stored, 2 are left to train"), "{more}");
    assert!(more.contains("about 2m00s on 1 worker, from the times of stored runs"), "{more}");
    let json = run(&sandbox, &["plan", "p.yaml", "--workers", "1", "--format", "json"]).exits(0).json();
    assert_eq!((json["trials_stored"].as_u64(), json["trials_left"].as_u64()), (Some(2), Some(2)));
    assert_eq!(json["estimate_seconds"], 120.0);
}

/// A failed trial is not reported as waiting.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn failed_trials_are_not_called_untrained() {
    let sandbox = imports("");
    sandbox.write("model.py", "raise SystemExit('no such model')\n");
    run(&sandbox, &["p.yaml", "-q"]).exits(1);
    let ranked = run(&sandbox, &["rank", "p"]).exits(0);
    let ranked = format!("{}{}", ranked.stdout, ranked.stderr);
    assert!(ranked.contains("2 runs failed (a)") && !ranked.contains("not trained yet"), "{ranked}");
    let page = run(&sandbox, &["report", "p", "--format", "md"]).exits(0).stdout;
    assert!(page.contains("2 runs failed (a)") && !page.contains("not trained yet"), "{page}");
    let best = run(&sandbox, &["show", "best"]).exits(2).stderr;
    assert!(best.contains("2 failed") && !best.contains("not trained"), "{best}");
    let id = sandbox.texts("select trial_id from trials order by 1")[0].clone();
    let refused = run(&sandbox, &["reproduce", &id]).exits(2).stderr;
    assert!(refused.contains("it failed: ") && refused.contains("no such model"), "{refused}");
}

/// More seeds are added to a sweep after its ranking could be seen.
#[test]
fn seeds_added_later_are_reported() {
    let sandbox = Sandbox::new();
    let text = "data: {dataset: digits, limit: 100, batch_size: 20}\nmodel: {kind: mlp, hidden: [4]}\noptimizer: {kind: sgd}\n\
                budget: {steps: 4}\nlr: 0.1\nschedules: {a: {kind: constant}, b: {kind: linear}}\nseeds: ";
    sandbox.write("s.yaml", format!("{text}{{tune: 1, decide: 3}}\n"));
    sandbox.run(&["s.yaml", "-q"]).exits(0);
    let shown = |sandbox: &Sandbox| {
        let ranked = sandbox.run(&["rank", "s"]).exits(0);
        format!("{}{}", ranked.stdout, ranked.stderr)
    };
    assert!(!shown(&sandbox).contains("seeds were added"));
    sandbox.write("s.yaml", format!("{text}{{tune: 1, decide: 6}}\n"));
    let ran = sandbox.run(&["s.yaml"]).exits(0);
    for words in [format!("{}{}", ran.stdout, ran.stderr), shown(&sandbox)] {
        assert!(words.contains("ranking was available (earlier 3, now 6 seeds)"), "{words}");
        assert!(words.contains("require p < 0.025 instead of 0.05"), "{words}");
        assert!(words.contains("with `decide: {until: decided, at_most: 40}` in a new sweep"), "{words}");
    }
}

/// The name is all that ties a file to its sweep, so two files can share one.
#[test]
fn two_files_with_one_name_give_a_note() {
    let sandbox = Sandbox::new();
    let file = |dimensions: u64, seeds: u64| {
        format!(
            "name: shared\ntask: {{kind: quadratic, dimensions: {dimensions}, noise: 0.1}}\noptimizer: {{kind: sgd}}\n\
             budget: {{steps: 5}}\nlr: 0.1\nextend: false\nschedules: {{a: {{kind: constant}}, b: {{kind: linear}}}}\nseeds: {seeds}\n"
        )
    };
    sandbox.write("one.yaml", file(4, 2));
    sandbox.write("two.yaml", file(8, 2));
    let shared = "was last trained from another file";
    assert!(!sandbox.run(&["one.yaml"]).exits(0).stderr.contains(shared));
    // Nothing differs but a comment; then seeds are added to the same file.
    sandbox.write("one.yaml", format!("# again\n{}", file(4, 2)));
    for args in
        [&["rank", "one.yaml"][..], &["report", "one.yaml"], &["compare", "a", "b", "--sweep", "one.yaml"]]
    {
        assert!(!sandbox.run(args).exits(0).stderr.contains("note"), "{args:?}");
    }
    sandbox.write("one.yaml", file(4, 3));
    let words = "note: the sweep `shared` was last trained from another file, or one.yaml has changed since: 2 of its 6 trials are not in \
                 these results, and 0 of the 4 trials in these results are not in it; `sweep one.yaml` trains it";
    let edited = sandbox.run(&["rank", "one.yaml"]).exits(0).stderr;
    assert!(edited.contains(words), "{edited}");
    assert!(!sandbox.run(&["one.yaml"]).exits(0).stderr.contains(shared));

    let other = sandbox.run(&["two.yaml"]).exits(0).stderr;
    assert!(other.contains("note: the sweep `shared` was last trained from another file"), "{other}");
    assert!(other.contains("its 6 results stay in the store"), "{other}");
    for args in
        [&["rank", "one.yaml"][..], &["report", "one.yaml"], &["compare", "a", "b", "--sweep", "one.yaml"]]
    {
        let note = sandbox.run(args).exits(0).stderr;
        assert!(note.contains("6 of its 6 trials") && note.contains("4 of the 4 trials"), "{args:?}: {note}");
        assert!(!sandbox.run(&[args, &["-q"]].concat()).exits(0).stderr.contains("note"), "{args:?}");
    }
    assert!(!sandbox.run(&["rank", "two.yaml"]).exits(0).stderr.contains("note"));
    assert!(!sandbox.run(&["rank", "shared"]).exits(0).stderr.contains("note"));
}
