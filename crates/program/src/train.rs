//! The program as a child process: started in a process group of its own, heard, answered, watched, and stopped as a group.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use spec::event::{Event, Outcome};
use spec::trial::{Program, Trial};
use trainer::checkpoint::set_aside;
use trainer::{Emit, Stop, now};

use crate::hand_over::{HandOver, open_pipe};
use crate::last_words;
use crate::place::Place;
use crate::report::{self, LONGEST, shown};
use crate::resume::{self, Resume};
use crate::run::{Answer, Heard, Run};
use crate::source;
use crate::{CHECKPOINTS, LOG};

/// So often it is looked whether the program has ended, while it says nothing.
const LOOK_EVERY: u16 = 20;

/// The same once it has said all: then it ends soon.
const LOOK_SOON: u16 = 1;

/// The longest part of a report that is quoted, in characters.
const LONGEST_QUOTE: usize = 240;

/// What numpy, PyTorch, JAX and TensorFlow take as their number of threads. Workers run side by side, and the order of a sum,
/// so its last bits, is another one with more threads: a program has one, unless its user says otherwise.
const THREADS: [&str; 6] = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NPROC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
];

/// Trains a trial of a program to its end, from a checkpoint if one is given: folder and name of the side-car. Everything that
/// happens is told; also that it can't be trained.
pub fn train(
    trial: &Trial,
    mut stored: Option<(PathBuf, String)>,
    place: &Place,
    stop: &Stop,
    emit: &mut Emit<'_>,
) {
    let Some(program) = trial.config.task.program() else { return };
    let begun = Instant::now();
    // The furthest step that a checkpoint has brought it to.
    let mut furthest = 0;
    loop {
        let stage = place.next_stage.fetch_add(1, Ordering::Relaxed);
        let mut run = Run::new(trial, stage);
        let began_with = stored.clone();
        let resume = stored.take().and_then(|(dir, file)| match resume::load(&dir, &file, &mut run) {
            Ok(resume) => Some(resume),
            Err(error) => {
                tracing::warn!("{error}; the trial {} starts over", trial.id);
                set_aside(&dir, &file);
                run = Run::new(trial, stage);
                None
            }
        });
        let trial_ids = vec![trial.id.clone()];
        emit(Event::Started { trial_ids: trial_ids.clone(), step: run.next, bits: None, at: now() });
        emit(Event::Stage { stage, first: run.next, trial_ids });
        let mut attempt = Attempt {
            program,
            place,
            stop,
            limit: limit(program, place),
            begun,
            checkpoint: None,
            heard: true,
        };
        let outcome = match attempt.go(&mut run, resume.as_ref(), emit) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        run.flush(emit);
        if let (Outcome::Failed { .. } | Outcome::GivenUp { .. }, Some(resume), Some((dir, file))) =
            (&outcome, &resume, began_with)
            && run.next == resume.step
        {
            // It can't go on from there: the next start is a new one.
            set_aside(&dir, &file);
        }
        match (&outcome, attempt.checkpoint.take()) {
            // Whoever gets further each time gets to the end.
            (Outcome::Failed { reason }, Some((step, file)))
                if !stop.requested() && attempt.heard && step > furthest =>
            {
                furthest = step;
                tracing::warn!("the trial {} goes on from its checkpoint: {reason}", trial.id);
                stored = Some((place.side_cars.dir.clone(), file));
                continue;
            }
            (Outcome::Done(_) | Outcome::Diverged { .. }, _) => {
                // What can't be removed only takes space.
                let _ = std::fs::remove_dir_all(place.dir.join(CHECKPOINTS));
            }
            _ => {}
        }
        emit(Event::Ended { trial_id: trial.id.clone(), outcome, at: now() });
        return;
    }
}

/// The smaller of two limits.
fn limit(program: &Program, place: &Place) -> Option<Duration> {
    [program.care.time_limit, place.time_limit].into_iter().flatten().min()
}

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("can't start `{program}`: {error}")]
    Start { program: String, error: std::io::Error },
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> Broken {
    move |error| Broken::Io { what, error }
}

/// One start of the program.
struct Attempt<'a> {
    program: &'a Program,
    place: &'a Place,
    stop: &'a Stop,
    limit: Option<Duration>,
    /// When the trial was taken up.
    begun: Instant,
    /// The newest checkpoint that this start has reported: the step that it goes on with, and the side-car.
    checkpoint: Option<(u64, String)>,
    /// Whether anyone listens.
    heard: bool,
}

/// What follows from a line that a program reported.
enum Reaction {
    /// The program goes on.
    Continue,
    /// The trial is over.
    Finish(Outcome),
    /// The line can't be used.
    Abort(Outcome),
}

/// Why a program is to be stopped.
enum Verdict {
    /// This is what its trial has come to.
    Over(Outcome),
    /// It is to leave, and may say where it goes on.
    Leave,
}

impl Attempt<'_> {
    fn go(
        &mut self,
        run: &mut Run<'_>,
        resume: Option<&Resume>,
        emit: &mut Emit<'_>,
    ) -> Result<Outcome, Broken> {
        if let Some(name) = source::changed(self.program).filter(|_| self.place.as_planned) {
            let reason = format!(
                "the file {name} was changed since the sweep was started; `sweep run` again makes new trials of the program as it \
                 is now"
            );
            return Ok(Outcome::GivenUp { reason });
        }
        let dir = std::path::absolute(&self.place.dir).map_err(io("can't find the trial's folder"))?;
        let kept = dir.join(CHECKPOINTS);
        std::fs::create_dir_all(&kept).map_err(io("can't make the trial's folder"))?;
        let hand_over = HandOver::new(run.trial, &self.program.params, &dir, &kept, resume)
            .map_err(io("can't write what the program is told"))?;
        let mut pipes = Pipes::new(&hand_over).map_err(io("can't make a named pipe"))?;
        let (log, from) = self.log(&dir).map_err(io("can't write the program's output"))?;
        let child = self.spawn(&hand_over, &log)?;
        let told = |reason| match last_words::of_log(&dir.join(LOG), from) {
            Some(words) => format!("{reason}; {words}"),
            None => reason,
        };
        Ok(match self.supervise(child, &mut pipes, run, emit)? {
            Outcome::Failed { reason } => Outcome::Failed { reason: told(reason) },
            Outcome::GivenUp { reason } => Outcome::GivenUp { reason: told(reason) },
            outcome => outcome,
        })
    }

    /// The file that takes the program's output, and where this attempt's begins.
    fn log(&self, dir: &Path) -> std::io::Result<(File, u64)> {
        let mut log = File::options().create(true).append(true).open(dir.join(LOG))?;
        let at = humantime::format_rfc3339_seconds(SystemTime::now());
        writeln!(log, "== {at} {}", self.program.command.join(" "))?;
        let from = log.metadata()?.len();
        Ok((log, from))
    }

    fn spawn(&self, hand_over: &HandOver, log: &File) -> Result<Group, Broken> {
        let Some((program, arguments)) = self.program.command.split_first() else {
            return Err(io("there is no command")(ErrorKind::InvalidInput.into()));
        };
        let output =
            |log: &File| log.try_clone().map(Stdio::from).map_err(io("can't write the program's output"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SWEEP_TRIAL", &hand_over.trial)
            .env("SWEEP_REPORT", &hand_over.report)
            .env("SWEEP_ANSWERS", &hand_over.answers)
            .env("SWEEP_WORKER", self.place.worker.to_string())
            // It may hold a password.
            .env_remove("SWEEP_STORE")
            .stdin(Stdio::null())
            .stdout(output(log)?)
            .stderr(output(log)?)
            .process_group(0);
        die_together(&mut command);
        for name in THREADS.into_iter().filter(|name| std::env::var_os(name).is_none()) {
            command.env(name, "1");
        }
        for (name, values) in &self.program.care.slots {
            if let Some(value) = values.get(self.place.worker % values.len().max(1)) {
                command.env(name, value);
            }
        }
        let start = |error| Broken::Start { program: program.clone(), error };
        command.spawn().map(Group).map_err(start)
    }

    /// Reads what the program reports, and answers, until it has ended.
    fn supervise(
        &mut self,
        mut child: Group,
        pipes: &mut Pipes,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<Outcome, Broken> {
        let grace = self.program.care.grace;
        let mut last_word = Instant::now();
        // When it was asked to leave.
        let mut leaving: Option<Instant> = None;
        loop {
            let ended = child.0.try_wait().map_err(io("can't wait for the program"))?;
            let wait = match ended {
                Some(_) => 0,
                None if run.is_complete() => LOOK_SOON,
                None => LOOK_EVERY,
            };
            let lines = pipes.lines(wait).map_err(io("can't read the program's reports"))?;
            let quiet = lines.is_empty();
            for line in lines {
                last_word = Instant::now();
                if let Some(outcome) = self.end_by(&line, leaving.is_some(), pipes, run, emit) {
                    child.end(grace);
                    return Ok(outcome);
                }
            }
            if let Some(status) = ended {
                if !quiet {
                    continue;
                }
                // What it wrote before its end was read.
                child.kill();
                return Ok(self.ended(status, leaving.is_some(), pipes, run, emit));
            }
            if let Some(since) = leaving {
                if since.elapsed() >= grace {
                    child.kill();
                    return Ok(Outcome::Stopped { steps: run.next });
                }
                continue;
            }
            match self.judge(last_word) {
                None => {}
                Some(Verdict::Over(outcome)) => {
                    child.kill();
                    return Ok(outcome);
                }
                Some(Verdict::Leave) => {
                    child.ask();
                    leaving = Some(Instant::now());
                }
            }
        }
    }

    /// The end of the trial, where a line brings it. A program that leaves may be cut short in the middle of a line.
    fn end_by(
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
            Ok(Heard::Nothing) => Reaction::Continue,
            Ok(Heard::Diverged(outcome)) => Reaction::Finish(outcome),
            Ok(Heard::Answer(answer)) => pipes.answer(&answer),
            Ok(Heard::Checkpoint(path)) => match std::path::absolute(&path) {
                Ok(path) if path.exists() => self.keep_checkpoint(&path, run, emit),
                Ok(path) => abort(unusable(line, &format!("there is no {}", path.display()))),
                Err(error) => abort(unusable(line, &error.to_string())),
            },
        }
    }

    /// What a line says. Garbage may have come from anywhere: it fails. What is well said and wrong would be said again: it is
    /// given up.
    fn read(&mut self, line: &str, run: &mut Run<'_>, emit: &mut Emit<'_>) -> Result<Heard, Outcome> {
        let mut send = |event: Event| {
            self.heard &= emit(event);
            self.heard
        };
        let object =
            report::object(line).map_err(|reason| Outcome::Failed { reason: unusable(line, &reason) })?;
        let heard = report::read(&object).and_then(|report| run.hear(report, &mut send));
        heard.map_err(|reason| Outcome::GivenUp { reason: unusable(line, &reason) })
    }

    /// Stores where the program can resume. Without that the trial goes on all the same.
    fn keep_checkpoint(&mut self, path: &Path, run: &mut Run<'_>, emit: &mut Emit<'_>) -> Reaction {
        let mut send = |event: Event| {
            self.heard &= emit(event);
            self.heard
        };
        run.flush(&mut send);
        match resume::save(&self.place.side_cars, run, path) {
            Ok(file) => {
                let trial_ids = vec![run.trial.id.clone()];
                send(Event::Checkpoint { trial_ids, step: run.next, file: file.clone(), at: now() });
                self.checkpoint = Some((run.next, file));
            }
            Err(error) => {
                tracing::warn!("the trial {} goes on without a checkpoint: {error}", run.trial.id)
            }
        }
        Reaction::Continue
    }

    /// Whether the program has to go.
    fn judge(&self, last_word: Instant) -> Option<Verdict> {
        let care = &self.program.care;
        if self.stop.requested() || !self.heard {
            return Some(Verdict::Leave);
        }
        if let Some(limit) = self.limit.filter(|limit| self.begun.elapsed() > *limit) {
            return Some(Verdict::Over(Outcome::timed_out(limit)));
        }
        if last_word.elapsed() > care.silence {
            let silence = humantime::format_duration(care.silence);
            let reason = format!("the program reported nothing for {silence} and was killed");
            return Some(Verdict::Over(Outcome::Failed { reason }));
        }
        None
    }

    /// What the end of the program means.
    fn ended(
        &mut self,
        status: ExitStatus,
        leaving: bool,
        pipes: &mut Pipes,
        run: &mut Run<'_>,
        emit: &mut Emit<'_>,
    ) -> Outcome {
        // The last line may lack its end, and be whole all the same.
        if let Some(line) = pipes.rest().filter(|_| status.success() && !leaving)
            && let Some(outcome) = self.end_by(&line, leaving, pipes, run, emit)
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
            (None, None) => "the program ended, and nobody knows how".to_owned(),
        };
        Outcome::Failed { reason }
    }
}

fn abort(reason: String) -> Reaction {
    Reaction::Abort(Outcome::Failed { reason })
}

/// Why a line can't be used.
fn unusable(line: &str, reason: &str) -> String {
    format!("the program's report `{}` can't be used: {reason}", shown(line, LONGEST_QUOTE))
}

/// The system kills the program when the thread that attends to it is gone, however that came.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "what runs between fork and exec can't be checked")]
fn die_together(command: &mut Command) {
    // SAFETY: a single system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?));
    }
}

/// Elsewhere its next report breaks.
#[cfg(not(target_os = "linux"))]
fn die_together(_: &mut Command) {}

/// A child and what it has started.
struct Group(Child);

impl Group {
    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().map(Pid::from_raw)
    }

    /// Asks the program itself to end: what it has started it may still need for that.
    fn ask(&self) {
        // One that is gone already needs no signal.
        let _ = self.pid().map(|pid| kill(pid, Signal::SIGTERM));
    }

    /// Ends what is left of the group.
    fn kill(&mut self) {
        let _ = self.pid().map(|pid| killpg(pid, Signal::SIGKILL));
        let _ = self.0.wait();
    }

    /// Asks it to end, and waits for that as long as `grace` is.
    fn end(&mut self, grace: Duration) {
        self.ask();
        let asked = Instant::now();
        while asked.elapsed() < grace && matches!(self.0.try_wait(), Ok(None)) {
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

/// Our ends of the pipes.
struct Pipes {
    report: File,
    answers: File,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Pipes {
    fn new(hand_over: &HandOver) -> std::io::Result<Self> {
        let open = |path: &Path| {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            open_pipe(path)
        };
        Ok(Self { report: open(&hand_over.report)?, answers: open(&hand_over.answers)?, rest: Vec::new() })
    }

    /// Gives the program the lr that it asked for.
    fn answer(&mut self, answer: &Answer) -> Reaction {
        let mut line = match serde_json::to_vec(answer) {
            Ok(line) => line,
            Err(error) => return abort(error.to_string()),
        };
        line.push(b'\n');
        match self.answers.write_all(&line) {
            Ok(()) => Reaction::Continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                abort("the program asks for lrs and does not read the answers".to_owned())
            }
            Err(error) => abort(format!("the program can't be answered: {error}")),
        }
    }

    /// A line that has no end.
    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        let line = String::from_utf8_lossy(&rest).trim().to_owned();
        (!line.is_empty()).then_some(line)
    }

    /// The lines that are there, or come within so many milliseconds.
    fn lines(&mut self, wait: u16) -> std::io::Result<Vec<String>> {
        let mut polled = [PollFd::new(self.report.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(wait)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64 << 10];
        match self.report.read(&mut bytes) {
            Ok(read) => self.rest.extend(bytes.iter().take(read)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            if self.rest.len() > LONGEST {
                // It is no report, and is refused as a line.
                return Ok(vec![String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()]);
            }
            return Ok(Vec::new());
        };
        let after = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, after);
        let text = String::from_utf8_lossy(&whole);
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }
}
