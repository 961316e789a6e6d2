//! Progress on stderr, from the event stream: a bar on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use orchestrator::Missing;
use spec::event::{Event, Outcome};
use sweep::Round;

use crate::exit::say;
use crate::screen;
use crate::status_line::{Status, bar_width, text_width};

/// Shortest time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The progress of one round.
pub(crate) struct Progress {
    screen: Screen,
    trials: HashMap<String, Trial>,
    stages: HashMap<u64, Stage>,
    counts: Counts,
    pace: Pace,
    /// Trial-steps of the rounds that will follow.
    later: u64,
    may_extend: bool,
    best: Option<(f64, String)>,
    failures: Failures,
}

/// The trials that failed for each reason, in the order of the first of each. Many trials may fail for one reason, which is then
/// printed twice: at the first one, and at the end of the round.
#[derive(Default)]
struct Failures(Vec<Failure>);

struct Failure {
    reason: String,
    first: String,
    trials: usize,
    /// Whether a program printed more about it.
    has_log: bool,
}

impl Failures {
    /// Counts a failure. Returns the line to print now, if its reason is new.
    fn add(&mut self, id: &str, trial: &Trial, reason: String) -> Option<String> {
        if let Some(known) = self.0.iter_mut().find(|known| known.reason == reason) {
            known.trials += 1;
            return None;
        }
        let failure = Failure { reason, first: id.to_owned(), trials: 1, has_log: trial.has_log };
        let line = format!("trial {id} ({}) failed: {}{}", trial.label, failure.reason, failure.log());
        self.0.push(failure);
        Some(line)
    }

    /// The lines to print at the end.
    fn repeated(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|failure| failure.trials > 1).map(|failure| {
            let Failure { reason, trials, .. } = failure;
            format!("{trials} trials failed with the same error: {reason}{}", failure.log())
        })
    }
}

impl Failure {
    /// Where to read more.
    fn log(&self) -> String {
        if self.has_log { format!(" (see `sweep logs {}`)", self.first) } else { String::new() }
    }
}

struct Trial {
    /// Schedule and base lr.
    label: String,
    steps: u64,
    /// A worker has taken the trial, and its stage has not been reported yet.
    is_taken: bool,
    /// The stage that trains it.
    stage: Option<u64>,
    /// Steps before that stage.
    counted: u64,
    /// Whether a program trains it, whose output is kept.
    has_log: bool,
}

/// A stage, whose trials are trained as one. A stage that forks off waits until a lane takes it, which shows by its first steps.
#[derive(Default)]
struct Stage {
    members: usize,
    in_lane: bool,
}

#[derive(Default)]
struct Counts {
    all: usize,
    ended: usize,
    /// Ended in other processes.
    elsewhere: usize,
    /// In the lanes of the workers.
    running: usize,
    diverged: usize,
    failed: usize,
    steps_left: u64,
}

/// The speed of training. Before the first trial ends, it is measured from the first steps on: what comes before them (a program
/// starts, reads data, compiles kernels) says nothing about the steps to come.
struct Pace {
    begun: Instant,
    /// Steps of all trials so far. A shared step counts for each of its trials.
    steps: u64,
    /// When the first steps came, and how many.
    first: Option<(Instant, u64)>,
}

/// The first steps are watched for this long before the time left is estimated.
const WATCHED: Duration = Duration::from_secs(2);

impl Pace {
    fn new(begun: Instant) -> Self {
        Self { begun, steps: 0, first: None }
    }

    fn count(&mut self, steps: u64, now: Instant) {
        self.steps += steps;
        if steps > 0 && self.first.is_none() {
            self.first = Some((now, steps));
        }
    }

    /// Steps per second, once known. `ended`: trials have ended, so the mean includes the time before their first steps, as the rest
    /// will.
    fn rate(&self, ended: bool, now: Instant) -> Option<f64> {
        let (at, first) = self.first?;
        let watched = now.duration_since(at);
        let (steps, time) = match ended {
            true => (self.steps, now.duration_since(self.begun)),
            false => (self.steps - first, watched),
        };
        let enough = if ended { time.as_secs_f64() > 0.5 } else { watched >= WATCHED };
        (enough && steps > 0).then(|| steps as f64 / time.as_secs_f64())
    }
}

enum Screen {
    Quiet,
    Plain { last: Instant },
    Bar { bar: ProgressBar, width: usize },
}

impl Screen {
    /// Prints a line above the bar.
    fn say(&self, line: &str) {
        match self {
            Self::Bar { bar, .. } => bar.suspend(|| say(line)),
            Self::Quiet | Self::Plain { .. } => say(line),
        }
    }
}

impl Progress {
    /// The progress of a round. `before`: steps of the earlier rounds, for a bar over all rounds.
    pub(crate) fn new(round: &Round<'_>, before: u64, quiet: bool) -> Self {
        let mut counts = Counts { all: round.missing.len(), ..Counts::default() };
        let mut trials = HashMap::new();
        for Missing { trial, checkpoint } in round.missing {
            let config = &trial.config;
            let label = format!("{} at lr {}", config.schedule_name, report::short(config.base_lr));
            let (steps, counted) = (config.task.steps, checkpoint.as_ref().map_or(0, |(_, step)| *step));
            counts.steps_left += steps.saturating_sub(counted);
            let has_log = config.task.program().is_some();
            let trial_state = Trial { label, steps, is_taken: false, stage: None, counted, has_log };
            trials.insert(trial.id.clone(), trial_state);
        }
        let (now, later) = (Instant::now(), round.deciding_steps);
        let screen = if quiet {
            Screen::Quiet
        } else if std::io::stderr().is_terminal() {
            let length = before + counts.steps_left + later;
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_position(before);
            Screen::Bar { bar, width: 0 }
        } else {
            Screen::Plain { last: now }
        };
        let (stages, pace, may_extend) = (HashMap::new(), Pace::new(now), round.may_extend);
        Self {
            screen,
            trials,
            stages,
            counts,
            pace,
            later,
            may_extend,
            best: None,
            failures: Failures::default(),
        }
    }

    /// Takes in one event.
    pub(crate) fn on(&mut self, event: &Event) {
        match event {
            Event::Started { trial_ids, .. } => {
                for id in trial_ids {
                    self.trials.get_mut(id).into_iter().for_each(|trial| trial.is_taken = true);
                }
            }
            Event::Stage { stage, first, trial_ids } => self.stage(*stage, *first, trial_ids),
            Event::Steps { stage, rows, .. } => {
                self.enter_lane(*stage);
                let members = self.stages.get(stage).map_or(0, |stage| stage.members);
                self.count((members * rows.len()) as u64);
            }
            Event::Checkpoint { .. } | Event::Loaded { .. } | Event::Measured { .. } => {}
            Event::Ended { trial_id, outcome, .. } => self.ended(trial_id, outcome),
        }
        self.draw();
    }

    /// Other processes have ended this many trials.
    pub(crate) fn elsewhere(&mut self, ended: usize) {
        let more = ended.saturating_sub(self.counts.elsewhere) as u64;
        let left = self.counts.all.saturating_sub(self.counts.ended + self.counts.elsewhere).max(1) as u64;
        // It is not known which trials: each counts as the mean of the rest.
        let steps = self.counts.steps_left / left * more;
        self.counts.elsewhere = self.counts.elsewhere.max(ended);
        self.advance(steps);
        self.draw();
    }

    /// Trials move to a new stage.
    fn stage(&mut self, stage: u64, first: u64, trial_ids: &[String]) {
        let (mut members, mut in_lane) = (0, false);
        for id in trial_ids {
            let Some(trial) = self.trials.get_mut(id) else { continue };
            members += 1;
            trial.counted = first;
            in_lane |= std::mem::take(&mut trial.is_taken);
            if let Some(before) = trial.stage.replace(stage) {
                self.leave(before);
            }
        }
        self.stages.insert(stage, Stage { members, in_lane: false });
        if in_lane {
            self.enter_lane(stage);
        }
    }

    fn enter_lane(&mut self, stage: u64) {
        if let Some(stage) = self.stages.get_mut(&stage)
            && !std::mem::replace(&mut stage.in_lane, true)
        {
            self.counts.running += stage.members;
        }
    }

    /// One trial leaves its stage.
    fn leave(&mut self, stage: u64) {
        let Some(left) = self.stages.get_mut(&stage) else { return };
        left.members = left.members.saturating_sub(1);
        if left.in_lane {
            self.counts.running = self.counts.running.saturating_sub(1);
        }
        if left.members == 0 {
            self.stages.remove(&stage);
        }
    }

    fn count(&mut self, steps: u64) {
        self.pace.count(steps, Instant::now());
        self.advance(steps);
    }

    fn advance(&mut self, steps: u64) {
        self.counts.steps_left = self.counts.steps_left.saturating_sub(steps);
        if let Screen::Bar { bar, .. } = &self.screen {
            bar.inc(steps);
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.screen.say(line);
    }

    fn ended(&mut self, trial_id: &str, outcome: &Outcome) {
        let Some(trial) = self.trials.get_mut(trial_id) else { return };
        trial.is_taken = false;
        let stage = trial.stage.take();
        let end = match outcome {
            Outcome::Diverged { at, .. } => at + 1,
            Outcome::Done(_) => trial.steps,
            _ => trial.counted,
        };
        match outcome {
            Outcome::Done(result) => {
                if self.best.as_ref().is_none_or(|(loss, _)| result.valid_loss < *loss) {
                    self.best = Some((result.valid_loss, trial.label.clone()));
                }
            }
            Outcome::Diverged { .. } => self.counts.diverged += 1,
            Outcome::Failed { .. } | Outcome::GivenUp { .. } => {
                self.counts.failed += 1;
                let line = self.failures.add(trial_id, trial, outcome.error().unwrap_or_default());
                line.iter().for_each(|line| self.screen.say(line));
            }
            Outcome::Stopped { .. } => {}
        }
        // The steps after an early end are not trained.
        let untrained = trial.steps.saturating_sub(end);
        if let Some(stage) = stage {
            self.leave(stage);
        }
        if !matches!(outcome, Outcome::Stopped { .. }) {
            self.counts.ended += 1;
            self.advance(untrained);
        }
    }

    fn draw(&mut self) {
        match &self.screen {
            Screen::Quiet => {}
            Screen::Plain { last } if last.elapsed() < PLAIN_EVERY => {}
            Screen::Plain { .. } => {
                say(self.status(false).text(usize::MAX));
                self.screen = Screen::Plain { last: Instant::now() };
            }
            Screen::Bar { bar, width } => {
                let now = screen::stderr_width();
                if *width != now
                    && let Some(style) = style(now)
                {
                    bar.set_style(style);
                }
                bar.set_message(self.status(false).text(text_width(now)));
                self.screen = Screen::Bar { bar: bar.clone(), width: now };
            }
        }
    }

    /// The values of the line. `over`: the round has ended.
    fn status(&self, over: bool) -> Status {
        let Counts { all, ended, elsewhere, running, diverged, failed, steps_left } = self.counts;
        let rate = self.pace.rate(ended > 0, Instant::now());
        let seconds = rate.map(|rate| ((steps_left + self.later) as f64 / rate).min(1e9));
        Status {
            all,
            // A trial that failed here may have ended elsewhere.
            finished: (ended + elsewhere).min(all),
            running,
            elsewhere,
            diverged,
            failed,
            rate,
            left: seconds.filter(|_| !over).map(Duration::from_secs_f64),
            may_extend: self.may_extend,
            best: self.best.clone(),
        }
    }

    /// Removes the bar and prints how the round went. Returns the steps of the round, for the bar of the next one.
    pub(crate) fn finish(self) -> u64 {
        let line = self.status(true).text(usize::MAX);
        let position = match &self.screen {
            Screen::Bar { bar, .. } => bar.position(),
            Screen::Quiet | Screen::Plain { .. } => 0,
        };
        match &self.screen {
            Screen::Quiet => {}
            Screen::Bar { bar, .. } => {
                bar.finish_and_clear();
                say(line);
            }
            Screen::Plain { .. } => say(line),
        }
        self.failures.repeated().for_each(say);
        position
    }
}

/// The style of the bar in a terminal of this width.
fn style(width: usize) -> Option<ProgressStyle> {
    let template = match bar_width(width) {
        0 => "{percent:>3}% {wide_msg}".to_owned(),
        bar => format!("{{bar:{bar}.cyan/dim}} {{percent:>3}}% {{wide_msg}}"),
    };
    // Only a malformed template is an error; a bar without it is still a bar.
    ProgressStyle::with_template(&template).ok().map(|style| style.progress_chars("━━─"))
}

#[cfg(test)]
mod tests {
    use spec::event::StepRow;

    use super::*;

    /// Two trials of 3000 steps of a program that needs 5 s to start and 10 ms per step, on one worker.
    #[test]
    fn the_first_estimate_excludes_the_start_of_a_program() {
        let begun = Instant::now();
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        let mut pace = Pace::new(begun);
        assert_eq!(pace.rate(false, at(4.9)), None, "no steps yet");
        pace.count(1, at(5.0));
        // One step in 5 s would be 8 hours for the rest.
        assert_eq!(pace.rate(false, at(5.0)), None);
        assert_eq!(pace.rate(false, at(6.9)), None, "too few steps yet");
        pace.count(200, at(7.0));
        let rate = pace.rate(false, at(7.0)).expect("known");
        assert!((99.0..101.0).contains(&rate), "{rate}");
        // A trial has ended: now its start counts, because the next trial has one too.
        pace.count(2799, at(35.0));
        let rate = pace.rate(true, at(35.0)).expect("known");
        assert!((85.0..86.0).contains(&rate), "{rate}");
    }

    /// Four trials of 100 steps, in a round before 200 deciding steps.
    fn progress() -> Progress {
        let trial = || Trial {
            label: "cosine at lr 0.1".to_owned(),
            steps: 100,
            is_taken: false,
            stage: None,
            counted: 0,
            has_log: true,
        };
        Progress {
            screen: Screen::Quiet,
            trials: ["a", "b", "c", "d"].map(|id| (id.to_owned(), trial())).into(),
            stages: HashMap::new(),
            counts: Counts { all: 4, steps_left: 400, ..Counts::default() },
            pace: Pace::new(Instant::now()),
            later: 200,
            may_extend: false,
            best: None,
            failures: Failures::default(),
        }
    }

    fn stage(stage: u64, first: u64, ids: &[&str]) -> Event {
        Event::Stage { stage, first, trial_ids: ids.iter().map(|id| (*id).to_owned()).collect() }
    }

    fn steps(stage: u64, steps: std::ops::Range<u64>) -> Event {
        let row = |step| StepRow { step, lr: 0.1, train_loss: 1.0, grad_norm: 1.0 };
        Event::Steps { stage, rows: steps.map(row).collect(), evaluated: Vec::new() }
    }

    #[test]
    fn running_trials_are_those_in_lanes() {
        let mut progress = progress();
        let counts = |progress: &Progress| {
            let status = progress.status(false);
            (status.finished, status.running, progress.counts.steps_left)
        };
        assert_eq!(counts(&progress), (0, 0, 400));
        let trial_ids = ["a", "b", "c"].map(str::to_owned).to_vec();
        progress.on(&Event::Started { trial_ids, step: 0, bits: None, at: 0 });
        progress.on(&stage(1, 0, &["a", "b", "c"]));
        progress.on(&steps(1, 0..10));
        assert_eq!(counts(&progress), (0, 3, 370), "a worker trains three trials as one");
        progress.on(&stage(2, 10, &["b", "c"]));
        assert_eq!(counts(&progress), (0, 1, 370), "the fork waits for a lane");
        progress.on(&steps(1, 10..100));
        let diverged = Outcome::Diverged { at: 99, loss: f64::NAN, digest: String::new() };
        progress.on(&Event::Ended { trial_id: "a".to_owned(), outcome: diverged, at: 0 });
        assert_eq!(counts(&progress), (1, 0, 280));
        progress.on(&steps(2, 10..30));
        assert_eq!(counts(&progress), (1, 2, 240), "a lane has taken the fork");
        let stopped = Outcome::Stopped { steps: 30 };
        progress.on(&Event::Ended { trial_id: "b".to_owned(), outcome: stopped, at: 0 });
        assert_eq!(counts(&progress), (1, 1, 240), "a stopped trial waits");
        progress.elsewhere(1);
        assert_eq!(counts(&progress).0, 2);
    }

    #[test]
    fn a_reason_of_many_failures_is_printed_twice() {
        let mut progress = progress();
        let trial = progress.trials.remove("a").expect("a trial");
        let mut add = |id: &str, reason: &str| progress.failures.add(id, &trial, reason.to_owned());
        let line = "trial a (cosine at lr 0.1) failed: no module (see `sweep logs a`)";
        assert_eq!(add("a", "no module").as_deref(), Some(line));
        assert_eq!(add("b", "no module"), None);
        assert!(add("c", "out of memory").is_some());
        let repeated: Vec<String> = progress.failures.repeated().collect();
        assert_eq!(repeated, ["2 trials failed with the same error: no module (see `sweep logs a`)"]);
    }

    #[test]
    fn the_time_left_includes_the_deciding_runs() {
        let mut progress = progress();
        let begun =
            Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine is up for longer");
        progress.pace = Pace { begun, steps: 1100, first: Some((begun, 100)) };
        let left = progress.status(false).left.expect("known").as_secs_f64();
        assert!((5.9..6.1).contains(&left), "600 steps at 100 steps/s: {left}");
        assert_eq!(progress.status(true).left, None, "the last line of a round has none");
    }
}
