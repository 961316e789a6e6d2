//! Calls Slurm's commands (`squeue`, `sbatch`, `scancel`) and parses their output. The job scripts are in `script`.

pub(crate) mod request;
pub(crate) mod script;

use std::path::Path;
use std::process::Command;

use store::Location;

use crate::exit::Failure;

/// A task of one of sweep's jobs, as listed by `squeue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// As in `1234_5` for an array, or `1234`.
    pub id: String,
    pub name: String,
    pub state: String,
    pub node: String,
    /// Why the task waits, or how it ended.
    pub reason: String,
}

impl Task {
    /// The name that all jobs of the task's sweep share.
    pub(crate) fn sweep_name(&self) -> &str {
        self.name.strip_suffix(script::MERGE).unwrap_or(&self.name)
    }

    /// Whether the task is queued or running.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(
            self.state.as_str(),
            "COMPLETED"
                | "CANCELLED"
                | "FAILED"
                | "TIMEOUT"
                | "NODE_FAIL"
                | "OUT_OF_MEMORY"
                | "BOOT_FAIL"
                | "DEADLINE"
                | "PREEMPTED"
        )
    }
}

/// The name of the Slurm jobs of a sweep in a store.
pub(crate) fn job_name(sweep: &str, location: &Location) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let sweep: String = sweep.chars().map(plain).collect();
    format!("sweep-{sweep}-{}", location.fingerprint())
}

/// The tasks of the store's sweeps that `squeue` still lists; old ones disappear. `None` if Slurm is missing or does not answer.
pub(crate) fn tasks(location: &Location) -> Option<Vec<Task>> {
    let fields = "JobArrayID:|,Name:|,State:|,NodeList:|,Reason:|";
    let output = program("squeue", &["-h", "-r", "--me", "-t", "all", "-O", fields]).output().ok()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        tracing::debug!("squeue failed: {error}");
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let tasks = text.lines().filter_map(|line| {
        let mut words = line.split('|').map(|word| word.trim().to_owned());
        let (id, name, state) = (words.next()?, words.next()?, words.next()?);
        let (node, reason) = (words.next()?, words.next()?);
        Some(Task { id, name, state, node, reason })
    });
    let ending = format!("-{}", location.fingerprint());
    let ours = |task: &Task| task.name.starts_with("sweep-") && task.sweep_name().ends_with(&ending);
    Some(tasks.filter(ours).collect())
}

/// The error for `tasks() == None`.
pub(crate) fn unavailable() -> Failure {
    Failure::failed("Slurm does not answer: `squeue` is missing or failed")
}

/// The Slurm job of this process, as named by `squeue`.
pub(crate) fn job() -> Option<String> {
    let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    match (var("SLURM_ARRAY_JOB_ID"), var("SLURM_ARRAY_TASK_ID")) {
        (Some(job), Some(task)) => Some(format!("{job}_{task}")),
        _ => var("SLURM_JOB_ID"),
    }
}

/// One of Slurm's commands. The store's address, which may contain a password, is not passed on.
fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).env_remove("SWEEP_STORE");
    command
}

/// Runs one of Slurm's commands and returns its output.
fn call(program: &str, args: &[&str]) -> Result<String, Failure> {
    let output = self::program(program, args).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(format_args!(
            "`{program}` not found: run this on a login node of the cluster, or print the scripts with --dry-run"
        )),
        _ => Failure::failed(format_args!("{program}: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let message = format!("{program}: {}", errors.join("; "));
    // Slurm refuses the request: wrong input. Anything else is a failure of Slurm.
    let refused = ["Invalid", "invalid", "not available", "violates", "more than", "limit"];
    if refused.iter().any(|word| message.contains(word)) {
        Err(Failure::usage(message))
    } else {
        Err(Failure::failed(message))
    }
}

/// Checks that a script can run: sbatch also accepts scripts that never can.
pub(crate) fn test(script: &Path) -> Result<(), Failure> {
    call("sbatch", &["--test-only", &script.to_string_lossy()]).map(|_| ())
}

/// Submits a script, to run after the job `after`, and returns the new job's number.
pub(crate) fn submit(script: &Path, after: Option<&str>) -> Result<String, Failure> {
    let script = script.to_string_lossy();
    // `singleton`: two merges into one store do not run at the same time.
    let dependency = after.map(|job| format!("--dependency=afterany:{job},singleton"));
    let mut args = vec!["--parsable"];
    args.extend(dependency.as_deref());
    args.push(&script);
    let output = call("sbatch", &args)?;
    // Where there are several clusters, the number is followed by the cluster's name.
    Ok(output.split(';').next().unwrap_or_default().to_owned())
}

/// Cancels jobs.
pub(crate) fn cancel(jobs: &[String]) -> Result<(), Failure> {
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    call("scancel", &jobs).map(|_| ())
}
