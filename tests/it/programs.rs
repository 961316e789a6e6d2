//! External programs: complete trials, and every failure of a program. `toy.py` minimizes a parabola with only the standard library
//! of Python. Its parameter `mode` selects a failure.

use std::collections::BTreeMap;
use std::process::Stdio;

use crate::support::{Sandbox, finish, kill, root, signal, within};

const TOY: &str = include_str!("programs/toy.py");

const FILE: &str = "\
name: toy
trainer: {command: [python3, toy.py], silence: 20s, grace: 5s, slots: {SLOT: [left, right]}, params: {mode: well}}
budget: {steps: 40}
seeds: 3
extend: false
lr: {values: [0.05, 0.1]}
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0}
  plateau: {kind: plateau, patience: 1}
  greedy: {kind: polyak}
  cycle: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}
";

fn sandbox(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("toy.py", TOY);
    sandbox.write("toy.yaml", file);
    sandbox
}

fn with_mode(mode: &str) -> String {
    let one =
        FILE.replace("{mode: well}", mode).replace("seeds: 3", "seeds: 1").replace("[0.05, 0.1]", "[0.1]");
    let from = one.find("  linear").expect("a schedule");
    one[..from].to_owned()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_is_trained_ranked_and_reproduced() {
    let sandbox = sandbox(FILE);
    let ran = sandbox.run(&["toy.yaml"]).exits(0);
    assert!(ran.stderr.contains("30 trials; training 30 on 2 workers (python3 toy.py)"), "{}", ran.stderr);
    assert!(sandbox.query("select distinct status from trials") == serde_json::json!([{"status": "done"}]));
    // Every step has an lr and a loss, and half of the steps a gradient norm. Accuracy and test loss are as reported.
    let sql = "select count(*) as n, count(lr) as lr, count(train_loss) as loss, count(valid_loss) as valid from metrics";
    assert_eq!(sandbox.query(sql), serde_json::json!([{"n": 1200, "lr": 1200, "loss": 1200, "valid": 300}]));
    let ends = "select distinct valid_accuracy is null as a, test_loss is not null as b, weights_hash as w from trials";
    assert_eq!(sandbox.query(ends), serde_json::json!([{"a": 1, "b": 1, "w": "toy"}]));
    for args in [
        &["rank"][..],
        &["show", "best"],
        &["status"],
        &["report", "-o", "report.html"],
        &["compare", "linear", "cycle"],
    ] {
        sandbox.run(args).exits(0);
    }
    // The program printed the lrs that it used: exactly those of the schedule.
    let trial = &sandbox
        .texts("select trial_id from runs where schedule = 'cycle' and base_lr = 0.1 and seed = 1")[0];
    let log = sandbox.run(&["logs", &trial[..8]]).exits(0).stdout;
    let sum = |name: &str| -> f64 {
        let line = log.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().expect("a number")
    };
    let lrs = sandbox.run(&[
        "lr",
        "{kind: one_cycle, momentum: {min: 0.8, max: 0.9}}",
        "--lr",
        "0.1",
        "--total",
        "40",
        "--format",
        "json",
    ]);
    let lrs = lrs.exits(0).json();
    let expected = |key: &str| {
        let numbers = lrs[key].as_array().expect("numbers").iter();
        numbers.fold(0.0, |sum, number| sum + number.as_f64().expect("a number"))
    };
    assert_eq!(sum("sum of lrs").to_bits(), expected("lr").to_bits());
    assert_eq!(sum("sum of momenta").to_bits(), expected("momentum").to_bits());
    assert_eq!(sandbox.run(&["logs", &trial[..8], "--tail", "1"]).exits(0).stdout.lines().count(), 1);
    // Two workers, two slots.
    let all = sandbox.texts("select trial_id from trials");
    let slots: std::collections::BTreeSet<bool> =
        all.iter().map(|id| sandbox.run(&["logs", id]).exits(0).stdout.contains("slot left")).collect();
    assert_eq!(slots.len(), 2, "both slots were used");
    let again = sandbox.run(&["reproduce", "best"]).exits(0);
    assert!(again.stdout.contains("every bit is equal"), "{}", again.stdout);
    // The files for the program are removed, and nothing is trained twice.
    let folders = std::fs::read_dir(sandbox.path("runs/trials").join(trial)).expect("the trial's folder");
    let names: Vec<_> = folders.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(
        names.into_iter().collect::<std::collections::BTreeSet<_>>(),
        ["output.log".into(), "outputs".into()].into()
    );
    let again = sandbox.run(&["toy.yaml"]).exits(0);
    assert!(again.stderr.contains("all 30 trials are stored"), "{}", again.stderr);
    // There are no weights and no time estimate.
    let refused = sandbox.run(&["export", "weights", "best", "-o", "w.safetensors"]).exits(2);
    assert!(refused.stderr.contains("trained by a custom program"), "{}", refused.stderr);
    assert!(!sandbox.run(&["plan", "toy.yaml"]).exits(0).stdout.contains("about"));
}

/// Each trial has a folder for what its program keeps. It stays when the trial is reproduced, and is removed with the trial.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn what_a_program_keeps_is_found_again() {
    let sandbox = sandbox(&FILE.replace("seeds: 3", "seeds: 1"));
    sandbox.run(&["toy.yaml", "--quiet"]).exits(0);
    let folder = sandbox.run(&["outputs", "best"]).exits(0).stdout;
    let kept = |folder: &str| std::fs::read_to_string(std::path::Path::new(folder.trim_end()).join("x.txt"));
    let last: f64 = kept(&folder).expect("the program's file").parse().expect("a number");
    let best = &sandbox.run(&["show", "best", "--format", "json"]).exits(0).json()[0];
    assert_eq!(best["final_valid_loss"].as_f64(), Some(last * last));
    assert_eq!(best["outputs"].as_str(), Some(folder.trim_end()));
    sandbox.run(&["reproduce", "best"]).exits(0);
    assert!(kept(&folder).is_ok());
    let nothing = &sandbox.texts("select trial_id from runs where schedule = 'greedy'")[0];
    let refused = sandbox.run(&["outputs", nothing]).exits(2);
    assert!(refused.stderr.contains("kept no files"), "{}", refused.stderr);
    sandbox.run(&["rm", "--trial", best["trial_id"].as_str().expect("an id"), "--yes"]).exits(0);
    assert!(kept(&folder).is_err());
}

/// Programs run in parallel, and the bits of a sum may depend on the number of threads.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_has_one_thread_by_default() {
    let slots = "{SLOT: [left], MKL_NUM_THREADS: [2]}";
    let sandbox = sandbox(&with_mode("{mode: well}").replace("{SLOT: [left, right]}", slots));
    let threads = |own: Option<&str>| {
        let mut command = sandbox.command(&["toy.yaml"]);
        for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"] {
            command.env_remove(name);
        }
        command.envs(own.map(|n| ("OMP_NUM_THREADS", n)));
        finish(command).exits(0);
        let log = sandbox.run(&["logs", "best", "--tail", "4"]).exits(0).stdout;
        log.lines().find(|line| line.starts_with("threads")).map(str::to_owned)
    };
    assert_eq!(threads(None).as_deref(), Some("threads 1 2 1 1"));
    sandbox.write("toy.py", format!("{TOY}\n# again\n"));
    assert_eq!(threads(Some("3")).as_deref(), Some("threads 3 2 1 1"));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn each_failure_of_a_program_has_its_outcome() {
    const MODES: [(&str, &str, &str); 17] = [
        ("nan", "diverged", ""),
        ("beyond", "diverged", ""),
        ("garbage", "failed", "not valid JSON"),
        ("unknown", "failed", "did you mean `train_loss`?"),
        ("order", "failed", "step 2 was reported after step 4"),
        ("late", "failed", "step 40 does not exist: the last of 40 steps is 39"),
        ("ahead", "failed", "step 5 used lr 0.05, but the schedule has 0.1 at this step"),
        ("top", "failed", "the `valid_loss` of step 5 was reported before its `train_loss`"),
        ("percent", "failed", "`valid_accuracy`: expected a fraction from 0 to 1, found 78.2"),
        ("endless", "failed", "longer than 65536 bytes"),
        ("exit", "failed", "ended with exit code 3; its last line was: out of memory"),
        ("signal", "failed", "killed by SIGABRT"),
        ("short", "failed", "ended after reporting step 7; the last of 40 steps is 39"),
        ("silent", "failed", "ended after reporting no step"),
        ("nofinal", "failed", "without a `valid_loss` for the last step, 39"),
        ("hang", "failed", "reported nothing for 8s and was killed"),
        ("gaps", "done", ""),
    ];
    let modes = MODES.map(|(mode, ..)| mode).join(", ");
    let file = with_mode(&format!("{{mode: {{values: [{modes}]}}}}")).replace("20s", "8s");
    let sandbox = sandbox(&file);
    let ran = sandbox.run(&["toy.yaml", "--retries", "0"]).exits(1);
    assert!(ran.stderr.contains("14 trials failed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`sweep logs TRIAL`"), "{}", ran.stderr);
    let rows = sandbox.query("select axes, status, error, diverged_at, steps_done, attempts from trials");
    let rows: BTreeMap<String, &serde_json::Value> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let axes: serde_json::Value =
                serde_json::from_str(row["axes"].as_str().expect("a text")).expect("JSON");
            (axes["trainer.params.mode"].as_str().expect("a mode").to_owned(), row)
        })
        .collect();
    for (mode, status, words) in MODES {
        let row = rows[mode];
        assert_eq!(row["status"], status, "{mode}: {row}");
        assert!(row["error"].as_str().unwrap_or_default().contains(words), "{mode}: {row}");
        assert_eq!(row["attempts"], 1, "{mode}");
    }
    // Steps without a loss are left out of means, do not count as divergence, and are empty in exports.
    let tail =
        sandbox.run(&["rank", "--metric", "tail:15", "--by", "trial", "--format", "json"]).exits(0).json();
    let tail: Vec<f64> =
        tail.as_array().expect("rows").iter().filter_map(|row| row["value"].as_f64()).collect();
    assert!(tail.len() == 1 && tail[0] < 10.0, "{tail:?}");
    let exported = sandbox.run(&["export", "results", "--metrics", "--to", "csv"]).exits(0).stdout;
    let unknown = exported.lines().filter(|line| line.contains("NaN")).count();
    assert_eq!(unknown, 2, "the steps that diverged\n{exported}");
    assert_eq!((&rows["nan"]["diverged_at"], &rows["nan"]["steps_done"]), (&5.into(), &6.into()));
    // Steps without a report have an lr and no loss.
    let gaps = "select count(*) as n, count(train_loss) as loss, count(lr) as lr from metrics join trials using (trial_id) \
                where axes like '%gaps%'";
    assert_eq!(sandbox.query(gaps), serde_json::json!([{"n": 40, "loss": 4, "lr": 40}]));
    // The log has the invalid output, and no process is left.
    assert!(!alive("toy.py", &sandbox), "a program is left");
    sandbox.run(&["rank"]).exits(0);
}

/// Whether a process with this word in its command runs in the sandbox.
fn alive(word: &str, sandbox: &Sandbox) -> bool {
    let here = sandbox.path("").canonicalize().expect("a folder");
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|entry| {
        let path = entry.path();
        let command = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        command.contains(word) && std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == here)
    })
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_killed_program_resumes_from_its_checkpoint() {
    let sandbox = sandbox(
        &with_mode("{mode: {values: [well, killed]}}")
            .replace("constant}", "constant}\n  plateau: {kind: plateau, patience: 1}"),
    );
    sandbox.run(&["toy.yaml", "-q", "--retries", "0"]).exits(0);
    let rows = sandbox.query(
        "select schedule, count(distinct digest) as digests, sum(attempts) as attempts, count(*) as n, \
         count(distinct final_valid_loss) as losses from trials where status = 'done' group by schedule",
    );
    for row in rows.as_array().expect("rows") {
        let expected = serde_json::json!({"schedule": row["schedule"], "digests": 1, "attempts": 3, "n": 2, "losses": 1});
        assert_eq!(row, &expected, "killed and not: the same digest");
    }
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    let killed = sandbox.texts("select trial_id from trials where attempts = 2");
    let log = sandbox.run(&["logs", &killed[0]]).exits(0).stdout;
    assert!(log.contains("resumes at step 16"), "{log}");
    assert!(std::fs::read_dir(sandbox.path("runs/checkpoints")).expect("a folder").next().is_none());
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn a_stopped_sweep_stops_its_programs_and_resumes_them() {
    let sandbox = sandbox(&with_mode("{mode: {values: [polite, rude]}}"));
    let mut sweep = sandbox.start(&["toy.yaml", "-q"]);
    within(60, "both have begun", || {
        sandbox.path("runs/sweep.db").exists()
            && finish(sandbox.command(&[
                "query",
                "select count(*) as n from metrics where step = 3",
                "--format",
                "csv",
            ]))
            .stdout
            .contains('2')
    });
    signal(&sweep, "-TERM");
    assert_eq!(sweep.wait().expect("the process ends").code(), Some(130));
    assert!(!alive("toy.py", &sandbox), "a program is left");
    let stopped = sandbox.query("select status, count(*) as n from trials group by status");
    assert_eq!(stopped, serde_json::json!([{"status": "stopped", "n": 2}]));
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    let log = |mode: &str| {
        let id = sandbox.texts(&format!("select trial_id from trials where axes like '%{mode}%'"));
        sandbox.run(&["logs", &id[0]]).exits(0).stdout
    };
    assert!(log("polite").contains("resumes at step"), "{}", log("polite"));
    assert!(!log("rude").contains("resumes at step"));
    let done = sandbox.query("select count(distinct digest) as n from trials where status = 'done'");
    assert_eq!(done, serde_json::json!([{"n": 1}]), "the same numbers, however they were reached");
}

/// Waits until the program of a trial has printed a text.
fn wait_for_words(words: &str, sandbox: &Sandbox) {
    within(60, words, || {
        let Ok(trials) = std::fs::read_dir(sandbox.path("runs/trials")) else { return false };
        let logs = trials.flatten().map(|trial| std::fs::read_to_string(trial.path().join("output.log")));
        logs.flatten().any(|log| log.contains(words))
    });
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(target_os = "linux")]
fn programs_end_when_the_sweep_is_killed() {
    // A program that reports, and one that does nothing.
    for (mode, words) in [("rude", "slot"), ("deaf", "deaf now")] {
        let sandbox = sandbox(&with_mode(&format!("{{mode: {mode}}}")));
        let mut sweep = sandbox.start(&["toy.yaml", "-q"]);
        wait_for_words(words, &sandbox);
        kill(&mut sweep);
        within(60, "the program ends too", || !alive("toy.py", &sandbox));
        if mode == "rude" {
            sandbox.run(&["toy.yaml", "-q"]).exits(0);
            let id = sandbox.texts("select trial_id from trials where status = 'done'");
            let left = std::fs::read_dir(sandbox.path("runs/trials").join(&id[0])).expect("a folder");
            assert_eq!(left.count(), 1, "only the log");
        }
    }
}

/// An interrupted `reproduce` leaves no files and processes.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn a_reproduction_can_be_interrupted() {
    let sandbox = sandbox(&with_mode("{mode: rude}"));
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    let folder = sandbox.path("tmp");
    std::fs::create_dir(&folder).expect("a folder");
    let mut command = sandbox.command(&["reproduce", "best", "-q"]);
    let mut again = command.env("TMPDIR", &folder).stderr(Stdio::null()).spawn().expect("the process starts");
    within(60, "it has begun", || alive("toy.py", &sandbox));
    signal(&again, "-TERM");
    assert_eq!(again.wait().expect("the process ends").code(), Some(130));
    assert!(!alive("toy.py", &sandbox), "a program is left");
    assert!(std::fs::read_dir(&folder).expect("a folder").next().is_none(), "files are left");
}

/// A line that is cut off by a stop is not an error of the program.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
#[cfg(unix)]
fn an_incomplete_line_at_a_stop_is_ignored() {
    let sandbox = sandbox(&with_mode("{mode: torn}"));
    let mut sweep = sandbox.start(&["toy.yaml", "-q", "--retries", "0"]);
    wait_for_words("torn now", &sandbox);
    signal(&sweep, "-TERM");
    assert_eq!(sweep.wait().expect("the process ends").code(), Some(130));
    assert_eq!(sandbox.texts("select status from trials"), ["stopped"]);
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
}

/// Garbled lines and crashes are retried. Valid lines with wrong content are not, because they would recur.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn only_failures_that_may_not_recur_are_retried() {
    let file = with_mode("{mode: {values: [exit, garbage, short, order, unknown, nofinal]}}");
    let sandbox = sandbox(&file);
    let ran = sandbox.run(&["toy.yaml", "--retries", "2"]).exits(1);
    let rows = sandbox.query("select attempts, axes from trials order by attempts, axes");
    let attempts: Vec<(i64, String)> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (row["attempts"].as_i64().expect("a number"), row["axes"].as_str().expect("a text").to_owned())
        })
        .collect();
    let tried = |times| {
        attempts.iter().filter(|(n, _)| *n == times).map(|(_, axes)| axes.as_str()).collect::<String>()
    };
    assert!(["nofinal", "order", "unknown"].iter().all(|mode| tried(1).contains(mode)), "{attempts:?}");
    assert!(["exit", "garbage", "short"].iter().all(|mode| tried(3).contains(mode)), "{attempts:?}");
    // Each trial counts once, and its end is reported once.
    let last = ran.stderr.lines().rfind(|line| line.contains(" finished")).expect("a last line of progress");
    assert!(last.starts_with("6/6 finished, 6 failed"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches(" failed: ").count(), 6, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("retrying trial ").count(), 6, "{}", ran.stderr);
}

/// A Python without the package fails in every trial. A few show it, and the others stay in the queue.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_that_fails_at_each_start_is_not_started_for_all_trials() {
    let sandbox = Sandbox::new();
    // Without -I and -S a package that is installed on the machine would be found.
    sandbox.write("toy.yaml", FILE.replace("[python3, toy.py]", "[python3, -I, -S, toy.py]"));
    let import = "import os\nif not os.path.exists('installed'):\n    import sweep_trial\n";
    sandbox.write("toy.py", format!("{import}{TOY}"));
    let ran = sandbox.run(&["toy.yaml"]).exits(1);
    for words in [
        "No module named 'sweep_trial'; this Python is /",
        " -m pip install ./python`",
        " trials failed with the same error: the program ended with exit code 1",
        "were not started: the first starts of the program failed with the same error",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    // The first failure, its first retry, and all at the end.
    assert_eq!(ran.stderr.matches("No module named").count(), 3, "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "nothing to rank");
    let count = |what: &str| {
        let sql = format!("select count(*) as n from trials where {what}");
        sandbox.query(&sql)[0]["n"].as_u64().expect("a number")
    };
    let failed = count("status = 'failed'");
    assert!((3..15).contains(&failed), "{failed}");
    assert_eq!(count("status = 'queued' and attempts = 0"), 30 - failed);
    assert!(
        ran.stderr.contains(&format!("{failed} trials failed, and {} more were", 30 - failed)),
        "{}",
        ran.stderr
    );

    sandbox.write("installed", "");
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    assert_eq!(count("status = 'done'"), 30);
}

/// A script that was not changed for `sweep` is noticed before anything is trained.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_script_that_does_not_report_gives_a_note() {
    let sandbox = sandbox(FILE);
    assert!(!sandbox.run(&["check", "toy.yaml"]).exits(0).stderr.contains("neither imports"));
    sandbox.write("toy.py", "print('training')\n");
    let stderr = sandbox.run(&["check", "toy.yaml", "--deny-warnings"]).exits(0).stderr;
    let note = "note: toy.yaml: toy.py neither imports `sweep_trial` nor uses SWEEP_REPORT";
    assert!(stderr.contains(note), "{stderr}");
    // A file of the program that reports is enough.
    sandbox.write("part.py", "import sweep_trial\n");
    sandbox.write("toy.yaml", FILE.replace("toy.py]", "toy.py], files: [part.py]"));
    assert!(!sandbox.run(&["check", "toy.yaml"]).exits(0).stderr.contains("neither imports"));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn only_reported_checkpoints_are_used() {
    // A checkpoint after the last step is not needed and metrics may follow it; an overwritten one is not used.
    let sandbox = sandbox(&with_mode("{mode: {values: [well, last, over]}}"));
    let ran = sandbox.run(&["toy.yaml", "--workers", "1"]).exits(0);
    assert!(ran.stderr.contains("has changed since it was reported"), "{}", ran.stderr);
    let same = sandbox.query("select count(distinct digest) as n from trials where status = 'done'");
    assert_eq!(same, serde_json::json!([{"n": 1}]));
    assert_eq!(
        sandbox.query("select count(*) as n from trials where status = 'done'"),
        serde_json::json!([{"n": 3}])
    );
    // A program without progress is not restarted forever.
    sandbox.write("toy.yaml", with_mode("{mode: always}"));
    sandbox.run(&["toy.yaml", "-q", "--retries", "1"]).exits(1);
    let attempts = "select attempts from trials where status = 'failed'";
    assert_eq!(sandbox.query(attempts), serde_json::json!([{"attempts": 4}]));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_that_changes_during_a_sweep_is_not_started() {
    let file =
        with_mode("{mode: rude}").replace("toy.py]", "toy.py], files: [src]").replace("seeds: 1", "seeds: 3");
    let sandbox = sandbox(&file);
    std::fs::create_dir_all(sandbox.path("src/deep/__pycache__")).expect("folders");
    sandbox.write("src/deep/part.py", "x = 1");
    let sweep = sandbox.start(&["toy.yaml", "-q", "--workers", "1", "--retries", "0"]);
    wait_for_words("slot", &sandbox);
    sandbox.write("src/deep/__pycache__/part.pyc", "compiled");
    sandbox.write("src/deep/part.py", "x = 2");
    let ended = sweep.wait_with_output().expect("the process ends");
    assert_eq!(ended.status.code(), Some(1));
    let rows = sandbox.query(
        "select status, count(*) as n, min(error) as error from trials group by status order by status",
    );
    assert_eq!((&rows[0]["status"], &rows[0]["n"]), (&"done".into(), &1.into()), "{rows}");
    assert!(
        rows[1]["error"].as_str().is_some_and(|error| error.contains("the file src has changed")),
        "{rows}"
    );
    // The changed program gives new trials.
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    assert_eq!(
        sandbox.query("select count(*) as n from trials where status = 'done'"),
        serde_json::json!([{"n": 4}])
    );
    // Unneeded files are removed.
    let kept = sandbox
        .path("runs/trials")
        .join(&sandbox.texts("select trial_id from trials where status = 'failed'")[0]);
    std::fs::create_dir_all(kept.join("checkpoints")).expect("a folder");
    std::fs::write(kept.join("checkpoints/old"), "weights").expect("a file");
    sandbox.run(&["gc", "-q"]).exits(0);
    assert!(!kept.join("checkpoints").exists());
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_changed_program_gives_other_trials() {
    let sandbox = sandbox(&with_mode("{mode: well}"));
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    let first = sandbox.texts("select trial_id from trials");
    sandbox.write("toy.yaml", with_mode("{mode: well}").replace("20s", "30s"));
    let same = sandbox.run(&["toy.yaml"]).exits(0);
    assert!(same.stderr.contains("all 1 trial is stored"), "{}", same.stderr);
    sandbox.write("toy.py", format!("{TOY}\n# better\n"));
    let changed = sandbox.run(&["reproduce", &first[0]]).exits(0);
    assert!(changed.stderr.contains("the file toy.py has changed"), "{}", changed.stderr);
    // A worker with another program skips the sweep.
    let worker = sandbox.run(&["worker", "--sweep", "toy"]).exits(0);
    assert!(worker.stderr.contains("skipping the sweep `toy`: files of its program"), "{}", worker.stderr);
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.texts("select trial_id from trials").len(), 2);
    // The noise of repeated runs is measured.
    sandbox.write("toy.yaml", with_mode("{mode: random}"));
    sandbox.run(&["toy.yaml", "-q"]).exits(0);
    let random = sandbox.texts("select trial_id from runs");
    let other = sandbox.run(&["reproduce", &random[0]]).exits(1);
    assert!(
        other.stdout.contains("39 of 40 steps differ") && other.stdout.contains("final validation loss"),
        "{}",
        other.stdout
    );
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn programs_that_cannot_be_started_are_reported() {
    let sandbox = sandbox(&with_mode("{mode: well}").replace("toy.py", "ty.py"));
    let refused = sandbox.run(&["toy.yaml"]).exits(2);
    assert!(
        refused.stderr.contains("file not found: `ty.py`") && refused.stderr.contains("toy.yaml:2:"),
        "{}",
        refused.stderr
    );
    sandbox.write(
        "toy.yaml",
        with_mode("{mode: well}").replace("[python3, toy.py]", "[no-such-python, toy.py]"),
    );
    let refused = sandbox.run(&["toy.yaml"]).exits(2);
    assert!(refused.stderr.contains("no-such-python"), "{}", refused.stderr);
    let checked = sandbox.run(&["check", "toy.yaml"]).exits(0);
    assert!(
        checked.stderr.contains("program `no-such-python` of `trainer.command` not found"),
        "{}",
        checked.stderr
    );
    let digits = root().join("experiments/smoke.yaml");
    sandbox.run(&[&digits.display().to_string(), "-q"]).exits(0);
    let refused = sandbox.run(&["logs", "best"]).exits(2);
    assert!(refused.stderr.contains("sweep trained it itself"), "{}", refused.stderr);
}

/// The numpy experiment has the same digests with the original program and with one that fails three times.
#[test]
#[cfg_attr(not(has_numpy), ignore = "needs a python3 with numpy")]
fn the_numpy_experiment_has_the_same_results_after_failures() {
    let python = needs::find_numpy().expect("a python3 with numpy");
    let file =
        std::fs::read_to_string(root().join("experiments/external-numpy.yaml")).expect("the experiment");
    let shorter = |text: &str| {
        text.replace("steps: 300", "steps: 60").replace("checkpoint_every: 100", "checkpoint_every: 15")
    };
    let run = |file: &str| {
        let sandbox = Sandbox::new();
        std::os::unix::fs::symlink(root().join("python"), sandbox.path("python")).expect("a link");
        std::os::unix::fs::symlink(root().join("data"), sandbox.path("data")).expect("a link");
        sandbox.write("faulty.py", include_str!("programs/faulty.py"));
        sandbox.write("external.yaml", file);
        let mut command = sandbox.command(&["external.yaml", "--workers", "2"]);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", python.display())).env("STARTS", sandbox.path("starts"));
        (finish(command).exits(0), sandbox)
    };
    let (_, well) = run(&shorter(&file));
    let (output, faulty) = run(&shorter(&file)
        .replace("python/src, python3,", "python/src, python3, faulty.py, python3,")
        .replace("silence: 2m", "silence: 5s"));
    for words in ["was killed by SIGABRT", "not valid JSON", "reported nothing for 5s"] {
        assert!(output.stderr.contains(words), "{words} in {}", output.stderr);
    }
    // Another command gives other trials with the same results.
    let results = |sandbox: &Sandbox| {
        sandbox.query(
            "select schedule, base_lr, seed, status, digest, weights_hash, final_valid_loss, test_accuracy from runs \
             join trials using (trial_id, schedule, base_lr, seed, status, final_valid_loss, test_accuracy) \
             order by schedule, base_lr, seed",
        )
    };
    assert_eq!(results(&faulty), results(&well));
    let attempts = "select sum(attempts - 1) as n from trials where status = 'done'";
    assert_eq!(faulty.query(attempts), serde_json::json!([{"n": 3}]));
    assert_eq!(faulty.run(&["rank"]).exits(0).stdout, well.run(&["rank"]).exits(0).stdout);
    faulty.run(&["report", "-o", "report.html"]).exits(0);
    assert!(!alive("faulty.py", &faulty), "a program is left");
}

/// The accuracies, and the lrs that torch 2.15's ReduceLROnPlateau prints for them at lr 0.1, are the same as in `rules.rs`.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_rule_follows_the_accuracy_that_a_program_reports() {
    const PROGRAM: &str = "\
import sweep_trial as sweep
trial = sweep.current()
accuracies = [0.5, 0.6, 0.6, 0.59, 0.7, 0.7, 0.7, 0.65]
for step in trial.steps():
    trial.lr(step)
    trial.log(step, train_loss=1.0, valid_loss=1.0, **({'valid_accuracy': accuracies[step]} if trial.params['good'] else {}))
trial.finish(valid_loss=1.0)
";
    let sandbox = sandbox(FILE);
    sandbox.write("train.py", PROGRAM);
    let file = |good| {
        format!(
            "trainer: {{command: [python3, train.py], params: {{good: {good}}}}}\nbudget: {{steps: 8}}\n\
             evaluate: {{every: 1}}\nlr: 0.1\nschedules:\n  \
             a: {{kind: torch.ReduceLROnPlateau, mode: max, watch: valid_accuracy, factor: 0.5, patience: 0}}\n"
        )
    };
    sandbox.write("good.yaml", file(true));
    sandbox.write("bad.yaml", file(false));
    let run = |name: &str| {
        let mut command = sandbox.command(&[name, "-q", "--retries", "0"]);
        command.env("PYTHONPATH", root().join("python/src"));
        finish(command)
    };
    run("good.yaml").exits(0);
    let lrs = sandbox.query("select lr from metrics order by step");
    let expected =
        [0.1, 0.1, 0.1, 0.05, 0.025, 0.025, 0.0125, 0.00625].map(|lr| serde_json::json!({"lr": lr}));
    assert_eq!(lrs, serde_json::json!(expected));
    let failed = run("bad.yaml").exits(1);
    assert!(failed.stderr.contains("step 0 has no `valid_accuracy`"), "{}", failed.stderr);
}
