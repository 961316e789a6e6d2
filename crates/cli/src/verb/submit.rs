//! `sweep submit slurm FILE`: writes the scripts of a job array and submits them. If the store is a server, the tasks are workers of
//! the sweep. If it is a folder, each task trains a shard in a separate store, and a final job merges them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use schedule::problem::counted;
use spec::{Plan, Spec};
use store::{Location, Reader, Store, StoreError, TrialRecord};
use sweep::results::Values;
use sweep::stored::values;
use sweep::{rounds, wait_for};

use crate::args::Warnings;
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::input::sweep_file;
use crate::observer::{decided, is_unchanged};
use crate::shell::{quoted, store_option};
use crate::slurm::request::Request;
use crate::slurm::script::Subject;
use crate::slurm::{self, job_name};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Write and submit a Slurm job array
    Slurm(Request),
}

/// Shortest time limit: Slurm may send its signal a minute early, and writing checkpoints and copies takes time.
const LEAST_SECONDS: u64 = 300;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let Args::Slurm(args) = args;
    check(args, global)?;
    let (spec, plan) = sweep_file(&args.file, Warnings::default(), global)?;
    if plan.screening.is_some() {
        return Err(Failure::usage(format_args!(
            "{}: `screen` can't be used in a job array, whose tasks do not see each other's loss curves: use `sweep run`, or `sweep worker` \
             processes with a PostgreSQL store",
            args.file.display()
        )));
    }
    wait_for(fold_log(global))?;
    let (rows, values) = wait_for(results(global, &spec))?;
    let plan = rounds::decide(&spec, plan, (&rows, &values), &mut |decision| {
        if !global.quiet && !is_unchanged(decision) {
            say(decided(decision));
        }
    })?;
    let (ended, missing) = count(&plan, &rows);
    if missing == 0 {
        if !global.quiet {
            say(format_args!(
                "{}: all {} trials are stored, nothing to submit",
                plan.name,
                plan.trials.len()
            ));
        }
        return match args.after {
            Some(_) => crate::verb::rank::of(&plan.name, global),
            None => Ok(()),
        };
    }
    if args.after.is_some_and(|before| ended <= before) {
        return Err(Failure::failed(format_args!(
            "{}: {missing} trials are left, but the last round had no results: check its logs before you submit it again",
            plan.name
        )));
    }
    let submission = Submission::new(args, global, &plan, ended, missing)?;
    if args.dry_run { submission.show() } else { submission.submit(&plan, global) }
}

/// Folds SQLite's log (after a crash) into the database file: tasks and merges copy only that file.
async fn fold_log(global: &Global) -> Outcome {
    let Some(dir) = global.context.store.folder() else { return Ok(()) };
    let has_log = || std::fs::metadata(dir.join("sweep.db-wal")).is_ok_and(|log| log.len() > 0);
    if has_log() {
        Store::open(&global.context.store).await?.close().await?;
    }
    if has_log() {
        return Err(Failure::usage(format_args!(
            "{} is in use by a running process (see `sweep status`); submit after it has ended, or use another store",
            dir.display()
        )));
    }
    Ok(())
}

/// Checks the arguments before anything is read.
fn check(args: &Request, global: &Global) -> Outcome {
    if let Location::Server(server) = &global.context.store
        && server.has_password()
    {
        return Err(Failure::usage(
            "the store's address contains a password, which would be written to the job scripts: put it into ~/.pgpass (mode 600) or \
             PGPASSWORD instead",
        ));
    }
    if let Some(time) = &args.time {
        match seconds(time) {
            None => {
                return Err(Failure::usage(format_args!(
                    "--time {time}: expected minutes, minutes:seconds, hours:minutes:seconds, days-hours or \
                     days-hours:minutes:seconds"
                )));
            }
            Some(seconds) if seconds < LEAST_SECONDS => {
                return Err(Failure::usage(format_args!(
                    "--time {time} is too short: a task writes its checkpoints two minutes before the limit, and Slurm may signal \
                     a minute early; use at least {} minutes",
                    LEAST_SECONDS / 60
                )));
            }
            Some(_) => {}
        }
    }
    for option in &args.sbatch {
        if !option.starts_with('-') || option.contains('\n') {
            return Err(Failure::usage(format_args!(
                "--sbatch {option}: expected an option of sbatch, as in --sbatch=--constraint=zen4"
            )));
        }
    }
    for (name, value) in
        [("--partition", &args.partition), ("--mem", &args.mem), ("--account", &args.account)]
    {
        if value.as_deref().is_some_and(|value| value.is_empty() || value.contains(char::is_whitespace)) {
            return Err(Failure::usage(format_args!("{name}: expected one word")));
        }
    }
    Ok(())
}

/// Parses a time limit in the formats of Slurm.
fn seconds(text: &str) -> Option<u64> {
    if matches!(text.to_ascii_uppercase().as_str(), "UNLIMITED" | "INFINITE") {
        return Some(u64::MAX);
    }
    let numbers =
        |text: &str| text.split(':').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<u64>>>();
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, text),
    };
    let seconds = match (days, numbers(rest)?.as_slice()) {
        (None, [minutes]) => minutes.checked_mul(60)?,
        (None, [minutes, seconds]) => minutes.checked_mul(60)?.checked_add(*seconds)?,
        (_, [hours, minutes, seconds]) => {
            hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(*seconds)?
        }
        (Some(_), [hours]) => hours.checked_mul(3600)?,
        (Some(_), [hours, minutes]) => hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?,
        _ => return None,
    };
    days.unwrap_or(0).checked_mul(86_400)?.checked_add(seconds)
}

/// The stored results of a sweep and the values of its metric; none if there is no store yet.
async fn results(global: &Global, spec: &Spec) -> Result<(Vec<TrialRecord>, Values), Failure> {
    match Reader::open(&global.context.store).await {
        Ok(mut reader) => {
            let values = values(&mut reader, &spec.name, &spec.metric).await?;
            Ok((reader.results(&spec.name).await?, values))
        }
        Err(StoreError::Missing { .. } | StoreError::Older { .. }) => {
            Ok(<(Vec<TrialRecord>, Values)>::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// The numbers of trials that have ended and that have not.
fn count(plan: &Plan, rows: &[TrialRecord]) -> (usize, usize) {
    let over = |row: &&TrialRecord| matches!(row.status, store::Status::Done | store::Status::Diverged);
    let ended: std::collections::HashSet<&str> =
        rows.iter().filter(over).map(|row| row.trial_id.as_str()).collect();
    let here = plan.trials.iter().filter(|trial| ended.contains(trial.id.as_str())).count();
    (here, plan.trials.len() - here)
}

/// The scripts to write and submit.
struct Submission<'a> {
    args: &'a Request,
    job_name: String,
    /// The folder of this submission.
    folder: PathBuf,
    file: PathBuf,
    train: String,
    merge: Option<String>,
    missing: usize,
    tasks: usize,
}

impl<'a> Submission<'a> {
    fn new(
        args: &'a Request,
        global: &Global,
        plan: &Plan,
        ended: usize,
        missing: usize,
    ) -> Result<Self, Failure> {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))
        };
        let job_name = job_name(&plan.name, &global.context.store);
        let shared = match (&args.shared, &global.context.store) {
            (Some(dir), _) => dir.clone(),
            (None, Location::Folder(dir)) => dir.join("slurm"),
            (None, _) => PathBuf::from("runs/slurm"),
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let folder = absolute(&shared)?.join(&job_name).join(since.as_millis().to_string());
        if folder.to_string_lossy().contains(['\\', '\n']) {
            return Err(Failure::usage(format_args!(
                "{}: Slurm does not accept a backslash or a line break in the path of its logs; use another folder with --shared",
                folder.display()
            )));
        }
        // The copy keeps its name: it is the sweep's name if the file does not set one.
        let named = args.file.file_name().filter(|name| *name != "-").map(PathBuf::from);
        let file = folder.join(named.unwrap_or_else(|| PathBuf::from("sweep.yaml")));
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed(format_args!("this program: {error}")))?;
        let data_dir = global.context.data_dir.as_deref().map(absolute).transpose()?;
        // Not more tasks than stage groups.
        let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>()).len();
        let tasks = args.array.get().min(groups.max(1));
        let subject = Subject {
            args,
            job_name: &job_name,
            program: &program,
            file: &file,
            folder: &folder,
            data_dir: data_dir.as_deref(),
        };
        let (train, merge) = match &global.context.store {
            Location::Folder(dir) => {
                let store = absolute(dir)?;
                let next = next_round(args, global, &program, &file, &store, &shared, ended);
                (subject.shards(&store, tasks), Some(subject.merge(&store, &next?)))
            }
            location => (subject.workers(&location.to_string(), &plan.name, tasks), None),
        };
        Ok(Self { args, job_name, folder, file, train, merge, missing, tasks })
    }

    fn show(&self) -> Outcome {
        let mut text = format!("# {}\n{}", self.folder.join("train.sbatch").display(), self.train);
        if let Some(merge) = &self.merge {
            text.push_str(&format!("\n# {}\n{merge}", self.folder.join("merge.sbatch").display()));
        }
        print(&text)
    }

    fn submit(&self, plan: &Plan, global: &Global) -> Outcome {
        let active = slurm::tasks(&global.context.store).unwrap_or_default();
        let mut busy = active.iter().filter(|task| task.name == self.job_name && task.is_active());
        if let (Some(task), None) = (busy.next(), self.args.after) {
            return Err(Failure::usage(format_args!(
                "{}: job {} is already queued or running; wait until it ends, or run `sweep cancel {}{}`",
                plan.name,
                task.id,
                quoted(&plan.name),
                store_option(global)
            )));
        }
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text)
                .map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))
        };
        let logs = self.folder.join("logs");
        std::fs::create_dir_all(&logs)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", logs.display())))?;
        write(&self.file, &plan.text)?;
        let (train, merge) = (self.folder.join("train.sbatch"), self.folder.join("merge.sbatch"));
        write(&train, &self.train)?;
        slurm::test(&train)?;
        if let Some(text) = &self.merge {
            write(&merge, text)?;
            slurm::test(&merge)?;
        } else {
            // Workers read the plan from the server.
            wait_for(async {
                let mut store = Store::open(&global.context.store).await?;
                store.register(plan, false).await?;
                store.retry(&plan.name).await?;
                Ok::<_, Failure>(store.close().await?)
            })?;
        }
        let job = slurm::submit(&train, None)?;
        let merging = match &self.merge {
            Some(_) => Some(slurm::submit(&merge, Some(&job)).inspect_err(|_| {
                // Without the merge job, the results of the array would be lost.
                let _ = slurm::cancel(std::slice::from_ref(&job));
            })?),
            None => None,
        };
        if !global.quiet {
            let merging = merging.map_or(String::new(), |merge| format!(", then job {merge} merges"));
            say(format_args!(
                "{}: {} trials on {} as job {job}{merging}\n  scripts and logs: {}\n  sweep status{}",
                plan.name,
                self.missing,
                counted(self.tasks, "task"),
                self.folder.display(),
                store_option(global)
            ));
        }
        print(&format!("{job}\n"))
    }
}

/// The command that submits the next round, after these shards are merged.
fn next_round(
    args: &Request,
    global: &Global,
    program: &Path,
    file: &Path,
    store: &Path,
    shared: &Path,
    ended: usize,
) -> Result<String, Failure> {
    let shared = std::path::absolute(shared)
        .map_err(|error| Failure::failed(format_args!("{}: {error}", shared.display())))?;
    let path = |path: &Path| quoted(&path.to_string_lossy());
    let mut words = vec![
        path(program),
        "submit slurm".to_owned(),
        path(file),
        format!("--store {}", path(store)),
        format!("--shared {}", path(&shared)),
        format!("--after {ended} --array {} --cpus-per-task {}", args.array, args.cpus_per_task),
    ];
    let given = [
        ("--partition", args.partition.clone()),
        ("--time", args.time.clone()),
        ("--gpus", args.gpus.map(|gpus| gpus.to_string())),
        ("--mem", args.mem.clone()),
        ("--account", args.account.clone()),
        ("--verify-fraction", Some(args.verify_fraction.to_string()).filter(|_| args.verify_fraction > 0.0)),
    ];
    for (option, value) in given {
        words.extend(value.map(|value| format!("{option} {}", quoted(&value))));
    }
    words.extend(args.sbatch.iter().map(|option| format!("--sbatch={}", quoted(option))));
    if let Some(dir) = &global.context.data_dir {
        let dir = std::path::absolute(dir)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", dir.display())))?;
        words.push(format!("--data-dir {}", path(&dir)));
    }
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn time_limits_are_read_as_slurm_reads_them() {
        for (text, expected) in [
            ("30", Some(1800)),
            ("30:10", Some(1810)),
            ("2:00:05", Some(7205)),
            ("1-2", Some(93_600)),
            ("1-2:30", Some(95_400)),
            ("1-00:00:01", Some(86_401)),
            ("unlimited", Some(u64::MAX)),
            ("banana", None),
            ("1h", None),
            ("1:2:3:4", None),
            ("-5", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
