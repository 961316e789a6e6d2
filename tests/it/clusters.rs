//! Slurm, shards and merging. Slurm is replaced by small scripts with the names of its programs, and bash runs the job scripts.
//! `scripts/check-slurm` tests with a real Slurm.

use std::path::Path;
use std::process::Command;

use crate::support::{Output, Sandbox, finish};

const FILE: &str = "\
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd}
budget: {steps: 30}
seeds: {tune: 1, decide: 2}
lr: {values: [0.03, 0.1, 0.3]}
schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
";

/// The results that must not depend on which process trained a trial.
const RESULTS: &str = "\
select t.trial_id, t.status, t.digest, t.weights_hash, t.final_valid_loss, count(m.step) as steps
from trials t join metrics m using (trial_id) group by t.trial_id order by t.trial_id";

/// Records its arguments. There is a file each for waiting, running and cancelled jobs.
const SBATCH: &str = r#"#!/bin/bash
env | grep -q SWEEP_STORE && exit 9
if [[ $1 == --test-only ]]; then
    if grep -q partition=nope "$2"; then echo "sbatch: error: invalid partition specified: nope" >&2; exit 1; fi
    exit 0
fi
job=$(($(wc -l <"$SLURM_HOME/queue") + 100))
echo "$job $*" >>"$SLURM_HOME/queue"
echo $job
"#;
const SQUEUE: &str = "#!/bin/bash\nenv | grep -q SWEEP_STORE && exit 9\ncat \"$SLURM_HOME/jobs\"\n";
const SCANCEL: &str = "#!/bin/bash\necho \"$@\" >>\"$SLURM_HOME/cancelled\"\n";

/// A folder with a sweep file and the fake Slurm.
struct Cluster {
    sandbox: Sandbox,
}

impl Cluster {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("own.yaml", FILE);
        for file in ["queue", "jobs", "cancelled"] {
            sandbox.write(file, "");
        }
        std::fs::create_dir(sandbox.path("bin")).expect("a folder");
        for (name, text) in [("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)] {
            sandbox.write(&format!("bin/{name}"), text);
            make_executable(&sandbox.path("bin").join(name));
        }
        Self { sandbox }
    }

    /// Sets the environment of the fake Slurm.
    fn within(&self, mut command: Command) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.sandbox.path("bin").display()));
        command.env("SLURM_HOME", self.sandbox.path(""));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        finish(self.within(self.sandbox.command(args)))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox.path(name)).expect("a file")
    }

    /// The submitted jobs: number and arguments of sbatch.
    fn queue(&self) -> Vec<(String, String)> {
        let text = self.read("queue");
        let jobs = text.lines().filter_map(|line| line.split_once(' '));
        jobs.map(|(job, args)| (job.to_owned(), args.to_owned())).collect()
    }

    /// Runs the tasks of a job one after the other.
    fn run_job(&self, job: &str, args: &str) {
        let script = args.rsplit_once(' ').expect("a script").1;
        let text = std::fs::read_to_string(script).expect("a script");
        let tasks = text.lines().find_map(|line| line.strip_prefix("#SBATCH --array=1-"));
        let tasks = tasks.map_or(1, |tasks| tasks.parse().expect("a number"));
        for task in 1..=tasks {
            let mut command = self.within(Command::new("bash"));
            command.arg(script).current_dir(self.sandbox.path("")).env("SLURM_JOB_ID", job);
            command.env("SLURM_ARRAY_JOB_ID", job).env("SLURM_ARRAY_TASK_ID", task.to_string());
            command.env("TMPDIR", self.sandbox.path("")).env("SLURM_CPUS_PER_TASK", "1");
            command.env("SWEEP_DATA_DIR", crate::support::root().join("data"));
            finish(command).exits(0);
        }
    }

    /// Replaces numbers and paths that differ between runs by names.
    fn plain(&self, text: &str) -> String {
        let binary = crate::support::binary().display().to_string();
        let folder = self.sandbox.path("").display().to_string();
        let text = text.replace(&binary, "[sweep]").replace(folder.trim_end_matches('/'), "[here]");
        let data = crate::support::root().join("data").display().to_string();
        let mut plain = String::new();
        for word in text.replace(&data, "[data]").split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            let is_hash = word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
            let is_time = word.len() == 13 && word.chars().all(|c| c.is_ascii_digit());
            plain.push_str(if is_hash {
                "[store]"
            } else if is_time {
                "[time]"
            } else {
                word
            });
            plain.push_str(after);
        }
        plain
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

fn results(sandbox: &Sandbox, store: &str) -> String {
    sandbox.run(&["query", RESULTS, "--format", "csv", "--store", store]).exits(0).stdout
}

/// The merge of each round submits the next round, and the results equal those of one process.
#[test]
fn shards_train_all_rounds() {
    let cluster = Cluster::new();
    let sandbox = &cluster.sandbox;
    sandbox.run(&["own.yaml", "-q", "--store", "single"]).exits(0);
    let submit = ["submit", "slurm", "own.yaml", "--store", "runs", "--array", "2"];
    let first = cluster.run(&submit).exits(0);
    assert_eq!(first.stdout, "100\n");
    assert!(
        first.stderr.contains("own: 6 trials on 2 tasks as job 100, then job 101 merges"),
        "{}",
        first.stderr
    );
    assert!(cluster.queue()[1].1.contains("--dependency=afterany:100,singleton"), "{:?}", cluster.queue());
    let mut played = 0;
    while let Some((job, args)) = cluster.queue().get(played) {
        cluster.run_job(job, args);
        played += 1;
    }
    assert!(played > 2, "the deciding seeds are a separate round");
    assert_eq!(results(sandbox, "runs"), results(sandbox, "single"));
    let rank = |store: &str| sandbox.run(&["rank", "--store", store]).exits(0).stdout;
    assert_eq!(rank("runs"), rank("single"));
    let again = cluster.run(&submit).exits(0);
    assert!(again.stderr.contains("nothing to submit"), "{}", again.stderr);
    assert_eq!(cluster.queue().len(), played);
    // No file of a task stays on the local disk of its node.
    let left = std::fs::read_dir(sandbox.path("")).expect("a folder");
    let left =
        left.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with("sweep-"));
    assert_eq!(left.count(), 0);
}

/// `--dry-run` prints the scripts that would be submitted.
#[test]
fn slurm_scripts_are_readable() {
    let cluster = Cluster::new();
    let shards =
        ["submit", "slurm", "own.yaml", "--store", "runs", "--array", "8", "--partition", "gpu", "--time"];
    let more =
        ["02:00:00", "--gpus", "1", "--mem", "4G", "--sbatch=--constraint=zen4", "--verify-fraction", "0.05"];
    let output = cluster.run(&[&shards[..], &more[..], &["--dry-run"]].concat()).exits(0);
    insta::assert_snapshot!("slurm_shards", cluster.plain(&output.stdout));
    assert!(cluster.queue().is_empty() && !cluster.sandbox.path("runs").exists());
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn slurm_scripts_for_a_server_are_readable() {
    let cluster = Cluster::new();
    let url = pgtest::shared().database();
    let output = cluster.run(&["submit", "slurm", "own.yaml", "--store", &url, "--dry-run"]).exits(0);
    let text = output.stdout.replace(&url, "postgres://me@host/sweeps");
    insta::assert_snapshot!("slurm_workers", cluster.plain(&text));
    assert!(cluster.queue().is_empty() && !cluster.sandbox.path("runs").exists());
}

#[test]
fn requests_that_slurm_would_refuse_are_refused_first() {
    let cluster = Cluster::new();
    for (args, words) in [
        (&["--time", "banana"][..], "--time banana: expected minutes"),
        (&["--time", "2"], "too short"),
        (&["--sbatch=x"], "expected an option of sbatch"),
        (&["--partition", "a b"], "--partition: expected one word"),
        (&["--partition", "nope"], "invalid partition specified: nope"),
        (&["--array", "0"], "--array"),
        (&["--verify-fraction", "2"], "--verify-fraction"),
        (&["--store", "postgres://me:secret@host/x"], "~/.pgpass"),
    ] {
        let output = cluster.run(&[&["submit", "slurm", "own.yaml"], args].concat()).exits(2);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    }
    assert!(cluster.queue().is_empty());
    // Slurm is not installed.
    let mut command = cluster.sandbox.command(&["submit", "slurm", "own.yaml"]);
    command.env("PATH", "");
    let output = finish(command).exits(2);
    assert!(output.stderr.contains("sbatch") && output.stderr.contains("--dry-run"), "{}", output.stderr);
}

/// The jobs of a store are shown, cancelled together, and not submitted twice. Jobs of other stores are not touched.
#[test]
fn jobs_are_shown_and_cancelled() {
    let cluster = Cluster::new();
    cluster.run(&["submit", "slurm", "own.yaml", "-q"]).exits(0);
    let (_, args) = cluster.queue().remove(0);
    let script = std::fs::read_to_string(args.rsplit_once(' ').expect("a script").1).expect("a script");
    let name = script.lines().find_map(|line| line.strip_prefix("#SBATCH --job-name=")).expect("a name");
    let jobs = format!(
        "100_1|{name}|RUNNING|n1|None|\n100_2|{name}|COMPLETED|n2|None|\n101|{name}-merge|PENDING||Dependency|\n\
         7|sweep-own-00000000|RUNNING|n1|None|\n8|other|RUNNING|n1|None|\n"
    );
    cluster.sandbox.write("jobs", jobs);
    // The variable may hold a password, so no child process receives it.
    let store = cluster.sandbox.path("runs");
    let mut command = cluster.within(cluster.sandbox.command(&["status", "--jobs", "--format", "csv"]));
    command.env("SWEEP_STORE", store);
    let shown = finish(command).exits(0).stdout;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.contains(&format!("100_1,{name},RUNNING,n1,None\n")), "{shown}");
    let shown = cluster.run(&["status"]).exits(0).stdout;
    assert!(shown.contains("nothing is merged yet") && shown.contains("Dependency"), "{shown}");
    let twice = cluster.run(&["submit", "slurm", "own.yaml"]).exits(2);
    assert!(twice.stderr.contains("job 100_1 is already queued or running"), "{}", twice.stderr);
    for sweep in ["own", "own.yaml"] {
        let cancelled = cluster.run(&["cancel", sweep]).exits(0);
        assert!(cancelled.stderr.contains("cancelled 2 tasks (jobs 100, 101)"), "{}", cancelled.stderr);
    }
    assert_eq!(cluster.read("cancelled"), "100 101\n100 101\n");
    let none = cluster.run(&["cancel", "nosuch"]).exits(0);
    assert!(none.stderr.contains("no Slurm job of the sweep `nosuch`"), "{}", none.stderr);
    assert_eq!(cluster.read("cancelled").lines().count(), 2);
    for args in [&["cancel", "own"][..], &["status", "--jobs"]] {
        let mut command = cluster.sandbox.command(args);
        command.env("PATH", "");
        let output = finish(command).exits(1);
        assert!(output.stderr.contains("Slurm does not answer"), "{}", output.stderr);
    }
}

/// A sweep of one round, trained in two shards.
fn sharded() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("own.yaml", FILE.replace("{tune: 1, decide: 2}", "2"));
    for shard in ["1", "2"] {
        let part = format!("{shard}/2");
        sandbox.run(&["run", "own.yaml", "-q", "--shard", &part, "--store", shard]).exits(0);
    }
    sandbox
}

fn merged(sandbox: &Sandbox, shards: &[&str], store: &str) -> Output {
    sandbox.run(&[&["merge", "--store", store, "--format", "csv"], shards].concat())
}

/// In any order, and also when repeated.
#[test]
fn a_merge_gives_the_results_of_one_process() {
    let sandbox = sharded();
    sandbox.run(&["own.yaml", "-q", "--store", "single"]).exits(0);
    let output = merged(&sandbox, &["1", "2"], "ab").exits(0);
    assert_eq!(output.stdout.lines().next(), Some("shard,new,known,unfinished,in_training,conflicts"));
    let again = merged(&sandbox, &["2/sweep.db", "1", "2"], "ab").exits(0);
    assert!(
        again.stdout.lines().skip(1).all(|line| line.contains(",0,") && line.ends_with(",0,0")),
        "{}",
        again.stdout
    );
    merged(&sandbox, &["2", "1"], "ba").exits(0);
    for store in ["ab", "ba"] {
        assert_eq!(results(&sandbox, store), results(&sandbox, "single"));
        let rank = |store: &str| sandbox.run(&["rank", "--store", store]).exits(0).stdout;
        assert_eq!(rank(store), rank("single"));
        sandbox.run(&["reproduce", "best", "-q", "--store", store]).exits(0);
    }
}

/// Conflicts are reported with their sources. The existing results stay, and all others are merged.
#[test]
fn conflicts_and_unreadable_stores_are_reported_by_merge() {
    let sandbox = sharded();
    merged(&sandbox, &["1"], "all").exits(0);
    let before = results(&sandbox, "all");
    // A trial with different bits, as a broken machine could produce.
    std::fs::create_dir(sandbox.path("runs")).expect("a folder");
    std::fs::copy(sandbox.path("1/sweep.db"), sandbox.path("runs/sweep.db")).expect("copied");
    sandbox.sql(
        "update trials set digest = 'ffff' || substr(digest, 5), host = 'broken' \
         where trial_id = (select min(trial_id) from trials where status = 'done')",
    );
    let output = merged(&sandbox, &["runs", "2"], "all").exits(1);
    for words in [
        "with digest ffff",
        "from broken",
        "1 result differs from the stored one",
        "kept the existing results; merged the rest",
    ] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    let after = results(&sandbox, "all");
    assert!(before.lines().all(|line| after.contains(line)), "existing results stay");
    assert!(after.lines().count() > before.lines().count(), "and the other shard is merged");

    // A file that is not a database, a missing file, and a newer schema. An older schema is read.
    std::fs::create_dir(sandbox.path("damaged")).expect("a folder");
    std::fs::write(sandbox.path("damaged/sweep.db"), "this was a database").expect("written");
    let output = merged(&sandbox, &["damaged", "nosuch", "1"], "all").exits(2);
    for words in ["damaged", "nosuch", "2 shards could not be read; merged the rest"] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    assert_eq!(results(&sandbox, "all"), after);
    sandbox.sql("insert into _sqlx_migrations select 9999, description, installed_on, success, checksum, execution_time \
         from _sqlx_migrations where version = 4");
    let output = merged(&sandbox, &["runs"], "all").exits(2);
    assert!(output.stderr.contains("newer version"), "{}", output.stderr);
    std::fs::create_dir(sandbox.path("older")).expect("a folder");
    std::fs::copy(crate::support::root().join("tests/it/earlier/sweep.db"), sandbox.path("older/sweep.db"))
        .expect("copied");
    let output = merged(&sandbox, &["older"], "from-older").exits(0);
    assert!(output.stdout.contains("older,48,0,0,0,0"), "{}", output.stdout);
}

/// Trials of another machine are trained again on this machine.
#[test]
fn a_sample_of_trials_is_verified_on_another_machine() {
    let sandbox = Sandbox::new();
    sandbox.write("own.yaml", FILE.replace("{tune: 1, decide: 2}", "2"));
    sandbox.run(&["own.yaml", "-q"]).exits(0);
    let run = |share: &str| sandbox.run(&["run", "own.yaml", "--verify-fraction", share]);
    // All trials are from this machine.
    assert!(run("1").exits(0).stderr.contains("no trials of other machines left to verify"));
    sandbox.sql("update trials set host = 'elsewhere'");
    let some = run("0.5").exits(0).stderr;
    assert!(some.contains("trials of other machines again: every bit is the same"), "{some}");
    let checked = || sandbox.texts("select count(*) || ' ' || sum(same) from verifications").remove(0);
    let all = sandbox.texts("select count(*) || '' from trials").remove(0);
    assert_ne!(checked(), format!("{all} {all}"), "a part of them");
    run("1").exits(0);
    assert_eq!(checked(), format!("{all} {all}"));
    // Each trial is verified once.
    assert!(!run("1").exits(0).stderr.contains("other machines again"));
    let trial = sandbox.texts("select min(trial_id) from trials").remove(0);
    sandbox.sql(&format!("delete from verifications; update trials set digest = 'ffff' || substr(digest, 5) where trial_id = '{trial}'"));
    let output = run("1").exits(1);
    assert!(output.stderr.contains("1 trial of other machines gave different bits"), "{}", output.stderr);
    assert!(output.stderr.contains(&trial), "{}", output.stderr);
    assert!(run("1").exits(1).stderr.contains(&trial), "it is not forgotten");
    assert_eq!(sandbox.texts("select trial_id from verifications where same = 0"), [trial]);
}

/// The merge compares the common sample of two shards.
#[test]
fn two_shards_train_a_common_sample() {
    let sandbox = Sandbox::new();
    sandbox.write("own.yaml", FILE.replace("{tune: 1, decide: 2}", "2"));
    for shard in ["1", "2"] {
        let part = format!("{shard}/2");
        sandbox
            .run(&["run", "own.yaml", "-q", "--shard", &part, "--verify-fraction", "0.5", "--store", shard])
            .exits(0);
    }
    let output = merged(&sandbox, &["1", "2"], "all").exits(0);
    let known: Vec<&str> = output.stdout.lines().skip(1).filter_map(|line| line.split(',').nth(2)).collect();
    assert!(known[0] == "0" && known[1] != "0", "{}", output.stdout);
}

/// `rank` warns if the seeds of two schedules ran on different hardware.
#[test]
fn a_ranking_warns_of_other_hardware() {
    let sandbox = Sandbox::new();
    sandbox.write("own.yaml", FILE.replace("{tune: 1, decide: 2}", "3"));
    sandbox.run(&["own.yaml", "-q"]).exits(0);
    let rank = || sandbox.run(&["rank"]).exits(0);
    assert!(!rank().stdout.contains("hardware"));
    sandbox.sql(
        "insert into environments (version, git_commit, cpu, cpu_features, threads, device, os)
            select version, git_commit, 'Another CPU', cpu_features, threads, device, os from environments limit 1;
         update trials set environment_id = (select max(environment_id) from environments)
            where trial_id in (select trial_id from cells where schedule = 'cosine')",
    );
    let output = rank();
    let warning = "constant: 3 on cpu, ";
    assert!(
        output.stdout.contains(warning) && output.stdout.contains("cosine: 3 on cpu, Another CPU"),
        "{}",
        output.stdout
    );
}

/// Without a sweep to join, no store is created.
#[test]
fn a_worker_needs_a_sweep_to_join() {
    let sandbox = sharded();
    let output = sandbox.run(&["worker", "--store", "nosuch"]).exits(2);
    assert!(output.stderr.contains("sweep database not found"), "{}", output.stderr);
    assert!(!sandbox.path("nosuch").exists());
    let output = sandbox.run(&["worker", "--store", "1", "--sweep", "onw"]).exits(2);
    assert!(output.stderr.contains("did you mean `own`?"), "{}", output.stderr);
    let output = sandbox.run(&["worker", "--store", "1", "--sweep", "own"]).exits(0);
    assert!(output.stderr.contains("training 6 on"), "what the shard left: {}", output.stderr);
    assert_eq!(results(&sandbox, "1").lines().count(), 13);
    sandbox.run(&["worker", "--store", "new", "--wait", "100ms"]).exits(0);
}

/// A shard does not report the trials of other shards as stored.
#[test]
fn a_shard_reports_its_own_trials() {
    let sandbox = Sandbox::new();
    sandbox.write("own.yaml", FILE.replace("{tune: 1, decide: 2}", "2"));
    let run = |part: &str| sandbox.run(&["run", "own.yaml", "--shard", part]).exits(0).stderr;
    let first = run("1/3");
    assert!(first.contains("own: 12 trials; training 4 of shard 1/3"), "{first}");
    assert!(run("1/3").contains("own: 12 trials, none of shard 1/3 left to train"));
    assert!(run("2/3").contains("own: 12 trials, 4 already stored; training 4 of shard 2/3"));
}

/// A worker warns about a stored sweep file that it can't read, such as one of a newer version, and skips the sweep. The warning
/// has no colour codes if stderr is not a terminal.
#[test]
fn a_worker_skips_sweeps_that_it_cannot_read() {
    let sandbox = sharded();
    merged(&sandbox, &["1"], "runs").exits(0);
    sandbox.sql("update sweeps set file_text = replace(file_text, 'cosine,', 'wavelet,')");
    let mut command = sandbox.command(&["worker"]);
    command.env_remove("NO_COLOR");
    let output = finish(command).exits(0);
    assert!(
        output.stderr.contains("skipping the sweep `own`: its file is invalid on this machine"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains('\u{1b}'), "{:?}", output.stderr);
}
