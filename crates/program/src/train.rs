//! Runs the program as a child process in its own process group: reads its reports, answers them, watches the
//! program, and stops the whole group.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use schedule::problem::counted;
use serde::Serialize;
use spec::event::{Event, Outcome};
use spec::trial::{Program, Trial};
use trainer::checkpoint::{CheckpointError, set_aside};
use trainer::{Branch, Emit, ProgramLane, Stop, now};

use crate::failure_reason;
use crate::missing_package;
use crate::report::{self, MAX_LINE_BYTES, quote};
use crate::resume::{self, Resume};
use crate::run::{Response, Run};
use crate::run_folder::{Checkpoints, RunFolder, open_pipe};
use crate::settings::RunSettings;
use crate::source;
use crate::{CHECKPOINTS, LOG, OUTPUTS};

/// How often to check whether the program has ended while it sends nothing, in milliseconds.
const POLL_MS: u16 = 20;

/// The same after it has reported everything and should end soon.
const POLL_AT_END_MS: u16 = 1;

/// Maximum length of a quoted report, in characters.
const MAX_QUOTE: usize = 240;

/// The variables that set the number of threads of numpy, PyTorch, JAX and TensorFlow. They are set to 1 unless the
/// user sets them: workers run in parallel, and with more threads the order of sums, and so their last bits, would
/// change.
const THREADS: [&str; 6] = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NPROC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
];

/// Receives the branches of trials that continue by themselves.
pub type Fork<'a> = dyn FnMut(Branch) + 'a;

/// Trains a branch of a program's trials: runs the program for one of them to its end. The others leave it as new branches. Reports
/// everything as events, also that a trial can't be trained.
pub fn train(branch: Branch, settings: &RunSettings, stop: &Stop, emit: &mut Emit<'_>, fork: &mut Fork<'_>) {
    let Some((mut lane, leaving)) = ProgramLane::new(branch) else { return };
    for branch in leaving {
        // Without a stage, the branch reports its start itself.
        fork(if lane.is_started() { branch.with_stage(settings.new_stage(), emit) } else { branch });
    }
    let leader = lane.leader().clone();
    let Some(program) = leader.config.task.program() else { return };
    let started = Instant::now();
    let mut stored = lane.stored();
    // The step of the furthest checkpoint so far.
    let mut furthest = 0;
    loop {
        let (mut run, resume) = begin(&leader, &mut lane, stored.as_ref(), settings, emit);
        let mut attempt = Attempt {
            program,
            settings,
            stop,
            limit: limit(program, settings),
            started,
            lane: &mut lane,
            fork: &mut *fork,
            checkpoint: None,
            received: true,
        };
        let outcome = match attempt.run(&mut run, resume.as_ref(), emit) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        let (checkpoint, received) = (attempt.checkpoint.take(), attempt.received);
        run.flush(emit);
        match (&outcome, &checkpoint) {
            // A program that gets further with each start reaches the end.
            (Outcome::Failed { reason }, Some((step, file)))
                if !stop.requested() && received && *step > furthest =>
            {
                furthest = *step;
                tracing::warn!("trial {} resumes from its checkpoint: {reason}", leader.id);
                stored = Some((settings.side_cars.dir.clone(), file.clone()));
            }
            _ => {
                let end = End { outcome, stopping: stop.requested() || !received };
                if let (true, Some(resume), Some((dir, file))) = (end.is_failure(), &resume, &stored)
                    && run.next == resume.step
                    && !resume.is_shared
                {
                    // It failed without progress from this checkpoint, so the next start begins at step 0.
                    set_aside(dir, file);
                }
                let newest = checkpoint.map(|(step, file)| (step, settings.side_cars.dir.clone(), file));
                let at = newest.or(resume.zip(stored).map(|(resume, (dir, file))| (resume.step, dir, file)));
                return end.finish((lane, at), &run, settings, emit, fork);
            }
        }
    }
}

/// The run of a start of the program, from its checkpoint if it has one.
fn begin<'a>(
    leader: &'a Trial,
    lane: &mut ProgramLane,
    stored: Option<&(PathBuf, String)>,
    settings: &RunSettings,
    emit: &mut Emit<'_>,
) -> (Run<'a>, Option<Resume>) {
    let begun = lane.take_stage();
    let mut run = Run::new(leader, begun.unwrap_or_else(|| settings.new_stage()));
    let resume = stored.and_then(|(dir, file)| match resume::load(dir, file, &mut run) {
        Ok(resume) => Some(resume),
        Err(error) => {
            tracing::warn!("{error}; trial {} starts over", leader.id);
            set_aside(dir, file);
            run = Run::new(leader, settings.new_stage());
            None
        }
    });
    let trial_ids = lane.trial_ids();
    let (stage, first) = (run.stage(), run.next);
    if begun != Some(stage) {
        emit(Event::Started { trial_ids: trial_ids.clone(), step: first, bits: None, at: now() });
        emit(Event::Stage { stage, first, trial_ids: trial_ids.clone() });
    }
    if !run.loaded.is_empty() {
        // The trial may be new, and its program loads the files of the run that it leaves.
        emit(Event::Loaded { trial_id: leader.id.clone(), files: run.loaded.clone() });
    }
    run.set_trials(trial_ids);
    let mut due = lane.forks_from(first);
    if first == 0 && due.first().is_some_and(|due| *due > 0) {
        // A program that writes no checkpoints fails at once, and not after hours.
        due.insert(0, 0);
    }
    run.set_due(due);
    (run, resume)
}

/// The end of the last start of a program.
struct End {
    outcome: Outcome,
    /// A stop was requested: nothing is trained any more.
    stopping: bool,
}

impl End {
    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. } | Outcome::GivenUp { .. })
    }

    /// Emits the ends of the trials. If only the program's own trial failed, the others continue without it `at` a checkpoint: its first
    /// step that is not in it, the folder and the side-car.
    fn finish(
        self,
        (lane, at): (ProgramLane, Option<(u64, PathBuf, String)>),
        run: &Run<'_>,
        settings: &RunSettings,
        emit: &mut Emit<'_>,
        fork: &mut Fork<'_>,
    ) {
        let is_failure = self.is_failure();
        let Self { outcome, stopping } = self;
        if matches!(outcome, Outcome::Done(_) | Outcome::Diverged { .. }) {
            // A file that can't be removed only wastes space.
            let dir = settings.trials.join(&run.trial.id);
            let _ = std::fs::remove_dir_all(dir.join(CHECKPOINTS));
            // Only a folder in which the program kept nothing is removed.
            let _ = std::fs::remove_dir(dir.join(OUTPUTS));
        }
        if !is_failure || run.lacks_checkpoint || !lane.is_shared() {
            return end_all(lane.trial_ids(), &outcome, emit);
        }
        let others = lane.trial_ids().split_off(1);
        end_all(vec![run.trial.id.clone()], &outcome, emit);
        if stopping {
            return end_all(others, &Outcome::Stopped { steps: run.next }, emit);
        }
        tracing::warn!(
            "{} that shared steps with trial {} continue without it",
            counted(others.len(), "trial"),
            run.trial.id
        );
        if let Some(others) = lane.without_leader(at) {
            fork(others.with_stage(settings.new_stage(), emit));
        }
    }
}

/// Emits the same end of several trials.
fn end_all(trial_ids: Vec<String>, outcome: &Outcome, emit: &mut Emit<'_>) {
    for trial_id in trial_ids {
        emit(Event::Ended { trial_id, outcome: outcome.clone(), at: now() });
    }
}

/// The smaller of the two time limits.
fn limit(program: &Program, settings: &RunSettings) -> Option<Duration> {
    [program.options.time_limit, settings.time_limit].into_iter().flatten().min()
}

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("can't start `{program}`: {error}")]
    Start { program: String, error: std::io::Error },
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
    #[error(transparent)]
    Copy(#[from] CheckpointError),
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> RunError {
    move |error| RunError::Io { what, error }
}

/// One start of the program.
struct Attempt<'a> {
    program: &'a Program,
    settings: &'a RunSettings,
    stop: &'a Stop,
    limit: Option<Duration>,
    /// When the trial was started or resumed.
    started: Instant,
    /// The trials that the program trains, and where they go.
    lane: &'a mut ProgramLane,
    fork: &'a mut Fork<'a>,
    /// The newest checkpoint of this start: the first step that is not in it, and its side-car.
    checkpoint: Option<(u64, String)>,
    /// Whether the events are still received.
    received: bool,
}

/// The reaction to a line.
enum Reaction {
    /// The program continues.
    Continue,
    /// The trial has ended.
    Finish(Outcome),
    /// The line can't be used.
    Abort(Outcome),
}

/// The answer to a checkpoint that other trials need: the program may now change or remove it.
#[derive(Serialize)]
struct Kept {
    step: u64,
    kept: bool,
}

/// Why a program is to be stopped.
enum StopReason {
    /// Its trial has ended with this outcome; kill it.
    Ended(Outcome),
    /// A stop was requested; the program may still report a checkpoint.
    Requested,
}

impl Attempt<'_> {
    fn run(
        &mut self,
        run: &mut Run<'_>,
        resume: Option<&Resume>,
        emit: &mut Emit<'_>,
    ) -> Result<Outcome, RunError> {
        if let Some(name) = source::changed(self.program).filter(|_| self.settings.refuse_changed_files) {
            let reason = format!(
                "the file {name} has changed since the sweep was started; run `sweep run` again to train new trials of the changed \
                 program"
            );
            return Ok(Outcome::GivenUp { reason });
        }
        let dir = std::path::absolute(self.settings.trials.join(&run.trial.id))
            .map_err(io("can't find the trial's folder"))?;
        for folder in [CHECKPOINTS, OUTPUTS] {
            std::fs::create_dir_all(dir.join(folder)).map_err(io("can't create the trial's folder"))?;
        }
        let checkpoints = dir.join(CHECKPOINTS);
        let resume = resume.map(|resume| resume::own_copy(resume.clone(), &checkpoints)).transpose()?;
        let due: Vec<u64> = run.due().collect();
        let given = Checkpoints { folder: &checkpoints, after: &due, resume: resume.as_ref() };
        let run_folder = RunFolder::new(run.trial, &self.program.params, &dir, &given)
            .map_err(io("can't write the files for the program"))?;
        let mut pipes = Pipes::new(&run_folder).map_err(io("can't create a named pipe"))?;
        let (log, from) = self.log(&dir).map_err(io("can't write the program's output"))?;
        let child = self.spawn(&run_folder, &log)?;
        let with_log = |reason| match failure_reason::from_log(&dir.join(LOG), from) {
            Some(detail) => {
                let advice = missing_package::advice(&detail, &self.program.command);
                format!(
                    "{reason}; {detail}{}",
                    advice.map(|advice| format!("; {advice}")).unwrap_or_default()
                )
            }
            None => reason,
        };
        Ok(match self.supervise(child, &mut pipes, run, emit)? {
            Outcome::Failed { reason } => Outcome::Failed { reason: with_log(reason) },
            Outcome::GivenUp { reason } => Outcome::GivenUp { reason: with_log(reason) },
            outcome => outcome,
        })
    }

    /// Opens the file for the program's output. Returns the position where this attempt's output begins, too.
    fn log(&self, dir: &Path) -> std::io::Result<(File, u64)> {
        let mut log = File::options().create(true).append(true).open(dir.join(LOG))?;
        let at = humantime::format_rfc3339_seconds(SystemTime::now());
        writeln!(log, "== {at} {}", self.program.command.join(" "))?;
        let from = log.metadata()?.len();
        Ok((log, from))
    }

    fn spawn(&self, run_folder: &RunFolder, log: &File) -> Result<Group, RunError> {
        let Some((program, arguments)) = self.program.command.split_first() else {
            return Err(io("`trainer.command` is empty")(ErrorKind::InvalidInput.into()));
        };
        let output =
            |log: &File| log.try_clone().map(Stdio::from).map_err(io("can't write the program's output"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SWEEP_TRIAL", &run_folder.trial)
            .env("SWEEP_REPORT", &run_folder.report)
            .env("SWEEP_ANSWERS", &run_folder.answers)
            .env("SWEEP_WORKER", self.settings.worker.to_string())
            // It may contain a password.
            .env_remove("SWEEP_STORE")
            .stdin(Stdio::null())
            .stdout(output(log)?)
            .stderr(output(log)?)
            .process_group(0);
        kill_with_parent(&mut command);
        for name in THREADS.into_iter().filter(|name| std::env::var_os(name).is_none()) {
            command.env(name, "1");
        }
        for (name, values) in &self.program.options.slots {
            if let Some(value) = values.get(self.settings.worker % values.len().max(1)) {
                command.env(name, value);
            }
        }
        let start = |error| RunError::Start { program: program.clone(), error };
        command.spawn().map(Group).map_err(start)
    }

    /// Reads and answers the program's reports until it has ended.
    fn supervise(
        &mut self,
        mut child: Group,
        pipes: &mut Pipes,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<Outcome, RunError> {
        let grace = self.program.options.grace;
        let mut last_report = Instant::now();
        // When the program was asked to end.
        let mut leaving: Option<Instant> = None;
        loop {
            let ended = child.0.try_wait().map_err(io("can't wait for the program"))?;
            let wait = match ended {
                Some(_) => 0,
                None if run.is_complete() => POLL_AT_END_MS,
                None => POLL_MS,
            };
            let lines = pipes.lines(wait).map_err(io("can't read the program's reports"))?;
            let quiet = lines.is_empty();
            for line in lines {
                last_report = Instant::now();
                if let Some(outcome) = self.outcome_of_line(&line, leaving.is_some(), pipes, run, emit) {
                    child.end(grace);
                    return Ok(outcome);
                }
            }
            if let Some(status) = ended {
                if !quiet {
                    continue;
                }
                // Everything that it wrote before its end has been read.
                child.kill();
                return Ok(self.outcome_of_exit(status, leaving.is_some(), pipes, run, emit));
            }
            if let Some(since) = leaving {
                if since.elapsed() >= grace {
                    child.kill();
                    return Ok(Outcome::Stopped { steps: run.next });
                }
                continue;
            }
            match self.stop_reason(last_report) {
                None => {}
                Some(StopReason::Ended(outcome)) => {
                    child.kill();
                    return Ok(outcome);
                }
                Some(StopReason::Requested) => {
                    child.terminate();
                    leaving = Some(Instant::now());
                }
            }
        }
    }

    /// The outcome of the trial, if a line ends it. Errors are ignored while the program ends after a stop, as its
    /// last line may be cut off.
    fn outcome_of_line(
        &mut self,
        line: &str,
        leaving: bool,
        pipes: &mut Pipes,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Option<Outcome> {
        match self.react(line, pipes, run, emit) {
            Reaction::Continue => None,
            Reaction::Abort(_) if leaving => None,
            Reaction::Finish(outcome) | Reaction::Abort(outcome) => Some(outcome),
        }
    }

    fn react(&mut self, line: &str, pipes: &mut Pipes, run: &mut Run<'_>, emit: &mut Emit<'_>) -> Reaction {
        match self.read(line, run, emit) {
            Err(outcome) => Reaction::Abort(outcome),
            Ok(Response::Nothing) => Reaction::Continue,
            Ok(Response::Diverged(outcome)) => Reaction::Finish(outcome),
            Ok(Response::Answer(answer)) => pipes.answer(&answer),
            Ok(Response::Checkpoint { path, is_due }) => match std::path::absolute(&path) {
                Ok(path) if path.exists() => match self.keep_checkpoint(&path, run, emit) {
                    Ok(()) if is_due => pipes.answer(&Kept { step: run.next - 1, kept: true }),
                    Ok(()) => Reaction::Continue,
                    Err(error) if is_due => {
                        abort(format!("can't keep the checkpoint for other trials: {error}"))
                    }
                    Err(error) => {
                        tracing::warn!("trial {} continues without a checkpoint: {error}", run.trial.id);
                        Reaction::Continue
                    }
                },
                Ok(path) => abort(unusable(line, &format!("checkpoint not found: {}", path.display()))),
                Err(error) => abort(unusable(line, &error.to_string())),
            },
        }
    }

    /// Interprets a line. A malformed line may come from anywhere, so the trial fails and can be retried. A
    /// well-formed line with wrong content would come again, so the trial is given up.
    fn read(&mut self, line: &str, run: &mut Run<'_>, emit: &mut Emit<'_>) -> Result<Response, Outcome> {
        let mut send = |event: Event| {
            self.received &= emit(event);
            self.received
        };
        let object =
            report::object(line).map_err(|reason| Outcome::Failed { reason: unusable(line, &reason) })?;
        let handled = report::read(&object).and_then(|report| run.handle(report, &mut send));
        handled.map_err(|reason| Outcome::GivenUp { reason: unusable(line, &reason) })
    }

    /// Stores where the program can resume. Trials that part from it at this step become branches.
    fn keep_checkpoint(
        &mut self,
        path: &Path,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), CheckpointError> {
        let mut send = |event: Event| {
            self.received &= emit(event);
            self.received
        };
        run.flush(&mut send);
        let file = resume::save(&self.settings.side_cars, run, path)?;
        let step = run.next;
        send(Event::Checkpoint { trial_ids: self.lane.trial_ids(), step, file: file.clone(), at: now() });
        let stored = (self.settings.side_cars.dir.clone(), file.clone());
        for branch in self.lane.leave(step, Some(stored), self.lane.spent() + self.started.elapsed()) {
            (self.fork)(branch.with_stage(self.settings.new_stage(), &mut send));
        }
        run.set_trials(self.lane.trial_ids());
        self.checkpoint = Some((step, file));
        let passed = fault::point("fork.after");
        passed.map_err(|error| CheckpointError::Io { path: path.to_owned(), error })
    }

    /// Why the program has to be stopped now, if it has to.
    fn stop_reason(&self, last_report: Instant) -> Option<StopReason> {
        let options = &self.program.options;
        if self.stop.requested() || !self.received {
            return Some(StopReason::Requested);
        }
        if let Some(limit) = self.limit.filter(|limit| self.lane.spent() + self.started.elapsed() > *limit) {
            return Some(StopReason::Ended(Outcome::timed_out(limit)));
        }
        if last_report.elapsed() > options.silence {
            let silence = humantime::format_duration(options.silence);
            let reason = format!("the program reported nothing for {silence} and was killed");
            return Some(StopReason::Ended(Outcome::Failed { reason }));
        }
        None
    }

    /// The outcome of a program that has ended.
    fn outcome_of_exit(
        &mut self,
        status: ExitStatus,
        leaving: bool,
        pipes: &mut Pipes,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Outcome {
        // The last line may be complete although it lacks a newline.
        if let Some(line) = pipes.take_partial().filter(|_| status.success() && !leaving)
            && let Some(outcome) = self.outcome_of_line(&line, leaving, pipes, run, emit)
        {
            return outcome;
        }
        if leaving && !(status.success() && run.is_complete()) {
            return Outcome::Stopped { steps: run.next };
        }
        let reason = match (status.code(), status.signal()) {
            (Some(0), _) => return run.finish(emit),
            (Some(code), _) => format!("the program ended with exit code {code}"),
            (None, Some(signal)) => match Signal::try_from(signal) {
                Ok(signal) => format!("the program was killed by {signal}"),
                Err(_) => format!("the program was killed by signal {signal}"),
            },
            (None, None) => "the program ended with neither an exit code nor a signal".to_owned(),
        };
        Outcome::Failed { reason }
    }
}

fn abort(reason: String) -> Reaction {
    Reaction::Abort(Outcome::Failed { reason })
}

/// The error message for a line.
fn unusable(line: &str, reason: &str) -> String {
    format!("invalid report `{}`: {reason}", quote(line, MAX_QUOTE))
}

/// Makes the operating system kill the program when the thread that runs it ends in any way.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the compiler can't check code that runs between fork and exec")]
fn kill_with_parent(command: &mut Command) {
    // SAFETY: a single system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?));
    }
}

/// On other systems the program fails at its next report.
#[cfg(not(target_os = "linux"))]
fn kill_with_parent(_: &mut Command) {}

/// The process group of a child.
struct Group(Child);

impl Group {
    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().map(Pid::from_raw)
    }

    /// Asks only the program to end: it may need its own child processes for that.
    fn terminate(&self) {
        // A program that has already ended needs no signal.
        let _ = self.pid().map(|pid| kill(pid, Signal::SIGTERM));
    }

    /// Kills all remaining processes of the group.
    fn kill(&mut self) {
        let _ = self.pid().map(|pid| killpg(pid, Signal::SIGKILL));
        let _ = self.0.wait();
    }

    /// Asks the program to end, waits for at most `grace`, and kills the group.
    fn end(&mut self, grace: Duration) {
        self.terminate();
        let since = Instant::now();
        while since.elapsed() < grace && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This process's ends of the pipes.
struct Pipes {
    report: File,
    answers: File,
    /// The beginning of a line that has not been read completely.
    partial: Vec<u8>,
}

impl Pipes {
    fn new(run_folder: &RunFolder) -> std::io::Result<Self> {
        let open = |path: &Path| {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            open_pipe(path)
        };
        Ok(Self {
            report: open(&run_folder.report)?,
            answers: open(&run_folder.answers)?,
            partial: Vec::new(),
        })
    }

    /// Sends an answer to the program.
    fn answer(&mut self, answer: &impl Serialize) -> Reaction {
        let mut line = match serde_json::to_vec(answer) {
            Ok(line) => line,
            Err(error) => return abort(error.to_string()),
        };
        line.push(b'\n');
        match self.answers.write_all(&line) {
            Ok(()) => Reaction::Continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                abort("the program does not read the answers".to_owned())
            }
            Err(error) => abort(format!("can't send an answer to the program: {error}")),
        }
    }

    /// The last line, if it lacks a newline.
    fn take_partial(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&rest).trim().to_owned();
        (!line.is_empty()).then_some(line)
    }

    /// The complete lines that are available or arrive within `wait` milliseconds.
    fn lines(&mut self, wait: u16) -> std::io::Result<Vec<String>> {
        let mut polled = [PollFd::new(self.report.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(wait)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64 << 10];
        match self.report.read(&mut bytes) {
            Ok(read) => self.partial.extend(bytes.iter().take(read)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            if self.partial.len() > MAX_LINE_BYTES {
                // Too long for a report: the caller rejects it.
                return Ok(vec![String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned()]);
            }
            return Ok(Vec::new());
        };
        let after = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, after);
        let text = String::from_utf8_lossy(&complete);
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }
}
