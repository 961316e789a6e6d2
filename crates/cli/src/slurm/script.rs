//! The job scripts that Slurm runs. Users read them, so they have comments.

use std::fmt::Write;
use std::path::Path;

use super::request::Request;
use crate::shell::quoted;

/// Suffix of the names of merge jobs.
pub(crate) const MERGE: &str = "-merge";

/// The values in the scripts. Paths are absolute.
pub(crate) struct Subject<'a> {
    pub args: &'a Request,
    pub job_name: &'a str,
    /// The executable of sweep.
    pub program: &'a Path,
    /// This submission's copy of the sweep file.
    pub file: &'a Path,
    /// The folder of this submission, shared by all nodes.
    pub folder: &'a Path,
    pub data_dir: Option<&'a Path>,
}

impl Subject<'_> {
    fn quoted(path: &Path) -> String {
        quoted(&path.to_string_lossy())
    }

    /// The `#SBATCH` lines. `array`: the number of tasks; `None` for the merge job.
    fn head(&self, array: Option<usize>) -> String {
        let args = self.args;
        let mut head = "#!/bin/bash\n".to_owned();
        let mut line = |option: &str, value: &str| {
            // Writing to a String does not fail.
            let _ = writeln!(head, "#SBATCH --{option}={value}");
        };
        let log = |name: &str| {
            let folder = self.folder.join("logs").to_string_lossy().replace('%', "%%").replace('"', "\\\"");
            format!("\"{folder}/{name}\"")
        };
        match array {
            Some(tasks) => {
                line("job-name", self.job_name);
                line("array", &format!("1-{tasks}"));
                line("output", &log("%A_%a.log"));
                line("signal", "B:USR1@120");
                line("cpus-per-task", &args.cpus_per_task.to_string());
                let given = [("time", &args.time), ("mem", &args.mem)];
                for (option, value) in given {
                    if let Some(value) = value {
                        line(option, value);
                    }
                }
                if let Some(gpus) = args.gpus {
                    line("gpus", &gpus.to_string());
                }
            }
            None => {
                line("job-name", &format!("{}{MERGE}", self.job_name));
                line("output", &log("merge-%j.log"));
            }
        }
        for (option, value) in [("partition", &args.partition), ("account", &args.account)] {
            if let Some(value) = value {
                line(option, value);
            }
        }
        for option in &args.sbatch {
            let _ = writeln!(head, "#SBATCH {option}");
        }
        head.push_str("#SBATCH --open-mode=append\n#SBATCH --requeue\nset -u\n\n");
        head
    }

    /// The options of training: a worker on each core, the data, the device.
    fn training(&self) -> String {
        let mut text = " --workers \"${SLURM_CPUS_PER_TASK:-1}\"".to_owned();
        if let Some(dir) = self.data_dir {
            let _ = write!(text, " --data-dir {}", Self::quoted(dir));
        }
        if self.args.gpus.is_some() {
            text.push_str(" --device cuda");
        }
        if self.args.verify_fraction > 0.0 {
            let _ = write!(text, " --verify-fraction {}", self.args.verify_fraction);
        }
        text
    }

    /// The script of tasks that each train one shard, in a store on the node's local disk.
    pub(crate) fn shards(&self, store: &Path, tasks: usize) -> String {
        let head = self.head(Some(tasks));
        let (program, file) = (Self::quoted(self.program), Self::quoted(self.file));
        let (folder, store) = (Self::quoted(self.folder), Self::quoted(store));
        let training = self.training();
        format!(
            "{head}sweep={program}
file={file}
store={store}
kept={folder}/shards/$SLURM_ARRAY_TASK_ID   # one copy of the task's store per attempt
attempt=$(printf %03d \"${{SLURM_RESTART_COUNT:-0}}\")

# The task's store is on the node's local disk. It starts from the results of an earlier attempt or round.
work=$(mktemp -d \"${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/sweep-${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID-XXXXXX\") || exit 1
mkdir -p \"$kept\" || exit 1
shopt -s nullglob
copies=(\"$kept\"/[0-9][0-9][0-9])
if ((${{#copies[@]}})); then cp -RT \"${{copies[-1]}}\" \"$work\" || exit 1
elif [[ -e $store/sweep.db ]]; then cp \"$store/sweep.db\" \"$work\" || exit 1
fi

\"$sweep\" run \"$file\" --store \"$work\" --shard \"$SLURM_ARRAY_TASK_ID/{tasks}\"{training} &
{WAIT}
# Keep the store for every exit code. The copy gets its final name last, so a named copy is complete.
(trap '' TERM; cp -RT \"$work\" \"$kept/.$attempt\" && mv -T \"$kept/.$attempt\" \"$kept/$attempt\") || exit 1
rm -rf \"$work\"

{AGAIN}"
        )
    }

    /// The script of the merge job, which runs after all shards: merges their results and submits the next round.
    pub(crate) fn merge(&self, store: &Path, next: &str) -> String {
        let head = self.head(None);
        let (program, folder, store) =
            (Self::quoted(self.program), Self::quoted(self.folder), Self::quoted(store));
        format!(
            "{head}sweep={program}
folder={folder}
store={store}

# SQLite must not open files on a network disk: merge on the node's local disk.
work=$(mktemp -d \"${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/sweep-$SLURM_JOB_ID-XXXXXX\") || exit 1
trap 'rm -rf \"$work\"' EXIT
mkdir -p \"$work/store\" \"$work/shards\" \"$store\" || exit 1
# One merge at a time, also if several sweeps share the store.
exec 9>>\"$store/.merge.lock\" && flock 9 || exit 1
if [[ -s $store/sweep.db-wal ]]; then
    echo \"$store is in use by another process; when that has ended, run: sbatch $folder/merge.sbatch\" >&2
    exit 1
fi
if [[ -e $store/sweep.db ]]; then cp \"$store/sweep.db\" \"$work/store\" || exit 1; fi
(cd \"$folder/shards\" && cp -R --parents */[0-9][0-9][0-9] \"$work/shards\") || exit 1

\"$sweep\" merge --store \"$work/store\" \"$work\"/shards/*/*
code=$?
cp \"$work/store/sweep.db\" \"$store/.sweep.db.$SLURM_JOB_ID\" || exit 1
mv -T \"$store/.sweep.db.$SLURM_JOB_ID\" \"$store/sweep.db\" || exit 1
exec 9>&-
if ((code)); then exit \"$code\"; fi

# Submit the next round, or print the ranking.
{next}
"
        )
    }

    /// The script of tasks that join a sweep on a server.
    pub(crate) fn workers(&self, store: &str, sweep: &str, tasks: usize) -> String {
        let head = self.head(Some(tasks));
        let (program, store, sweep) = (Self::quoted(self.program), quoted(store), quoted(sweep));
        let checkpoints = Self::quoted(&self.folder.join("checkpoints"));
        let training = self.training();
        format!(
            "{head}# A password is read from PGPASSWORD or ~/.pgpass.
{program} worker --store {store} --sweep {sweep} --checkpoints {checkpoints}{training} &
{WAIT}
{AGAIN}"
        )
    }
}

/// Waits for the program, and stops it when Slurm signals that the time limit is near.
const WAIT: &str = r#"child=$!
again=
trap 'again=yes; kill -TERM "$child"' USR1   # near the time limit: stop, then requeue
trap 'again=' TERM                           # scancel, which signals sweep itself
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
"#;

/// Requeues the task after its time limit. The last command, because it ends this attempt.
const AGAIN: &str = r#"if [[ $again && $code == 130 ]]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
"#;
