//! The scripts that Slurm runs, as text made for people to read.

use std::fmt::Write;
use std::path::Path;

use super::request::Request;
use crate::shell::quoted;

/// What the name of a merge's job ends with.
pub(crate) const MERGE: &str = "-merge";

/// What both kinds of scripts are about. Paths are absolute.
pub(crate) struct Subject<'a> {
    pub args: &'a Request,
    pub job_name: &'a str,
    /// This program.
    pub program: &'a Path,
    /// The copy of the sweep file that this submission trains.
    pub file: &'a Path,
    /// Of this submission, seen by all nodes.
    pub folder: &'a Path,
    pub data_dir: Option<&'a Path>,
}

impl Subject<'_> {
    fn quoted(path: &Path) -> String {
        quoted(&path.to_string_lossy())
    }

    /// The lines that Slurm reads. `array`: how many tasks, or `None` for one job that is none of them.
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

    /// How both kinds train: with a worker on each core, and where the data is.
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

    /// Tasks that each train a part of the sweep in a store on the node's own disk.
    pub(crate) fn shards(&self, store: &Path, tasks: usize) -> String {
        let head = self.head(Some(tasks));
        let (program, file) = (Self::quoted(self.program), Self::quoted(self.file));
        let (folder, store) = (Self::quoted(self.folder), Self::quoted(store));
        let training = self.training();
        format!(
            "{head}sweep={program}
file={file}
store={store}
kept={folder}/shards/$SLURM_ARRAY_TASK_ID   # one copy of the task's store from each attempt
attempt=$(printf %03d \"${{SLURM_RESTART_COUNT:-0}}\")

# The task's store is on the node's own disk; it begins with what an earlier attempt, or an earlier round, has stored.
work=$(mktemp -d \"${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/sweep-${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID-XXXXXX\") || exit 1
mkdir -p \"$kept\" || exit 1
shopt -s nullglob
copies=(\"$kept\"/[0-9][0-9][0-9])
if ((${{#copies[@]}})); then cp -RT \"${{copies[-1]}}\" \"$work\" || exit 1
elif [[ -e $store/sweep.db ]]; then cp \"$store/sweep.db\" \"$work\" || exit 1
fi

\"$sweep\" run \"$file\" --store \"$work\" --shard \"$SLURM_ARRAY_TASK_ID/{tasks}\"{training} &
{WAIT}
# Keep the store whatever the code. Its name comes last, so a copy that has one is complete.
(trap '' TERM; cp -RT \"$work\" \"$kept/.$attempt\" && mv -T \"$kept/.$attempt\" \"$kept/$attempt\") || exit 1
rm -rf \"$work\"

{AGAIN}"
        )
    }

    /// What comes after all shards have ended: their results go into the store, and what follows from them is submitted.
    pub(crate) fn merge(&self, store: &Path, next: &str) -> String {
        let head = self.head(None);
        let (program, folder, store) =
            (Self::quoted(self.program), Self::quoted(self.folder), Self::quoted(store));
        format!(
            "{head}sweep={program}
folder={folder}
store={store}

# SQLite gets no file on a network disk to open: all is merged on the node's own one.
work=$(mktemp -d \"${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/sweep-$SLURM_JOB_ID-XXXXXX\") || exit 1
trap 'rm -rf \"$work\"' EXIT
mkdir -p \"$work/store\" \"$work/shards\" \"$store\" || exit 1
# One merge into a store at a time, also where several sweeps share it.
exec 9>>\"$store/.merge.lock\" && flock 9 || exit 1
if [[ -s $store/sweep.db-wal ]]; then
    echo \"a process has $store open: when it has ended, sbatch $folder/merge.sbatch\" >&2
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

# What follows from the results: the next round, or the ranking.
{next}
"
        )
    }

    /// Tasks that join a sweep on a server.
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

/// Waits for the program, and passes Slurm's word of a near end on to it.
const WAIT: &str = r#"child=$!
again=
trap 'again=yes; kill -TERM "$child"' USR1   # the time is nearly up: go on in a new attempt
trap 'again=' TERM                           # scancel, which tells sweep itself
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
"#;

/// Another attempt where the time was up. The last thing, since it ends this one.
const AGAIN: &str = r#"if [[ $again && $code == 130 ]]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
"#;
