//! Slurm's commands, as far as a sweep needs them: what they are told, and what they say. The scripts are in `script`.

pub(crate) mod request;
pub(crate) mod script;

use std::path::Path;
use std::process::Command;

use store::Location;

use crate::exit::Failure;

/// A task of a job of ours, as `squeue` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// As in `1234_5`, or `1234` where it is no array.
    pub id: String,
    pub name: String,
    pub state: String,
    pub node: String,
    /// Why it waits, or how it ended.
    pub reason: String,
}

impl Task {
    /// The name that all jobs of its sweep have.
    pub(crate) fn sweep_name(&self) -> &str {
        self.name.strip_suffix(script::MERGE).unwrap_or(&self.name)
    }

    /// Whether it is queued or runs.
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

/// The name of the jobs of a sweep in a store: what `squeue` and `scancel` know them by.
pub(crate) fn job_name(sweep: &str, location: &Location) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let sweep: String = sweep.chars().map(plain).collect();
    format!("sweep-{sweep}-{}", location.fingerprint())
}

/// All tasks of the store's sweeps that Slurm still knows, those that have ended a while ago no longer. `None` where there
/// is no Slurm, or it does not answer.
pub(crate) fn tasks(location: &Location) -> Option<Vec<Task>> {
    let fields = "JobArrayID:|,Name:|,State:|,NodeList:|,Reason:|";
    let output = program("squeue", &["-h", "-r", "--me", "-t", "all", "-O", fields]).output().ok()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        tracing::debug!("Slurm does not answer: {said}");
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

/// What there is to say where `tasks` gives none.
pub(crate) fn silent() -> Failure {
    Failure::failed("Slurm does not answer, or is not to be found here (squeue)")
}

/// The Slurm job that this process is a part of, as `squeue` names it.
pub(crate) fn job() -> Option<String> {
    let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    match (var("SLURM_ARRAY_JOB_ID"), var("SLURM_ARRAY_TASK_ID")) {
        (Some(job), Some(task)) => Some(format!("{job}_{task}")),
        _ => var("SLURM_JOB_ID"),
    }
}

/// A command of Slurm's. An address with a password is not passed on.
fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).env_remove("SWEEP_STORE");
    command
}

/// Runs a command of Slurm's and gives what it prints.
fn call(program: &str, args: &[&str]) -> Result<String, Failure> {
    let output = self::program(program, args).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(format_args!(
            "`{program}` is not to be found: submit from a login node of the cluster, or look at the scripts with --dry-run"
        )),
        _ => Failure::failed(format_args!("{program}: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let message = format!("{program}: {}", said.join("; "));
    // What Slurm has against the request, and not against being asked.
    let refused = ["Invalid", "invalid", "not available", "violates", "more than", "limit"];
    if refused.iter().any(|word| message.contains(word)) {
        Err(Failure::usage(message))
    } else {
        Err(Failure::failed(message))
    }
}

/// Whether Slurm would take a script as it is: sbatch takes some that can never run.
pub(crate) fn test(script: &Path) -> Result<(), Failure> {
    call("sbatch", &["--test-only", &script.to_string_lossy()]).map(|_| ())
}

/// Submits a script, after a job if one is given, and gives the job's number.
pub(crate) fn submit(script: &Path, after: Option<&str>) -> Result<String, Failure> {
    let script = script.to_string_lossy();
    // Two merges into one store come one after the other.
    let dependency = after.map(|job| format!("--dependency=afterany:{job},singleton"));
    let mut args = vec!["--parsable"];
    args.extend(dependency.as_deref());
    args.push(&script);
    let said = call("sbatch", &args)?;
    // With several clusters the name of one follows.
    Ok(said.split(';').next().unwrap_or_default().to_owned())
}

/// Cancels jobs.
pub(crate) fn cancel(jobs: &[String]) -> Result<(), Failure> {
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    call("scancel", &jobs).map(|_| ())
}
