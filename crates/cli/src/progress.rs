//! Progress on stderr, read from the event stream: a bar on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spec::Plan;
use spec::event::{Event, Outcome};

use crate::exit::say;

/// Plain lines come at most this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// What the user sees while a sweep runs.
pub(crate) struct Progress {
    screen: Screen,
    /// Schedule, base lr and steps of each trial.
    trials: HashMap<String, Trial>,
    counts: Counts,
    best: Option<(f64, String)>,
    pace: Pace,
    /// How many trials each stage trains.
    stages: HashMap<u64, u64>,
}

struct Trial {
    label: String,
    steps: u64,
    runs: bool,
    /// The stage that trains it.
    stage: Option<u64>,
    /// Steps before that stage.
    counted: u64,
}

#[derive(Default)]
struct Counts {
    all: usize,
    ended: usize,
    /// Ended by other processes.
    elsewhere: usize,
    running: usize,
    diverged: usize,
    failed: usize,
    steps_left: u64,
}

/// How fast training goes. Until trials have ended it is measured from the first steps on: before these programs start, data
/// are read and kernels are compiled, which says nothing of the steps to come.
struct Pace {
    begun: Instant,
    /// Steps of all trials so far; those that trials share count for each.
    steps: u64,
    /// When the first steps came, and how many those were.
    first: Option<(Instant, u64)>,
}

/// So long the first steps are watched before anything is said of the rest.
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

    /// Steps in a second, where that is known by now. `ended`: trials have ended, so that what comes before their first steps is
    /// in the mean as it will be in the rest.
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
    Bar(ProgressBar),
}

impl Progress {
    /// `missing` holds the ids and first steps of the trials that will be trained.
    pub(crate) fn new(plan: &Plan, missing: &[(String, u64)], quiet: bool) -> Self {
        let firsts: HashMap<&str, u64> = missing.iter().map(|(id, step)| (id.as_str(), *step)).collect();
        let mut counts = Counts { all: missing.len(), ..Counts::default() };
        let mut trials = HashMap::new();
        for trial in &plan.trials {
            if let Some(first) = firsts.get(trial.id.as_str()) {
                let config = &trial.config;
                let label = format!("{} at lr {}", config.schedule_name, report::lr(config.base_lr));
                let steps = config.task.steps;
                counts.steps_left += steps.saturating_sub(*first);
                trials.insert(
                    trial.id.clone(),
                    Trial { label, steps, runs: false, stage: None, counted: *first },
                );
            }
        }
        let now = Instant::now();
        let screen = if quiet {
            Screen::Quiet
        } else if std::io::stderr().is_terminal() {
            Screen::Bar(bar(counts.steps_left))
        } else {
            Screen::Plain { last: now }
        };
        Self { screen, trials, counts, best: None, pace: Pace::new(now), stages: HashMap::new() }
    }

    /// Takes in one event.
    pub(crate) fn on(&mut self, event: &Event) {
        match event {
            Event::Started { trial_ids, .. } => trial_ids.iter().for_each(|id| self.run(id, true)),
            Event::Stage { stage, first, trial_ids } => self.stage(*stage, *first, trial_ids),
            Event::Steps { stage, rows, .. } => {
                let trials = self.stages.get(stage).copied().unwrap_or(0);
                self.count(trials * rows.len() as u64);
            }
            Event::Checkpoint { .. } | Event::Loaded { .. } => {}
            Event::Ended { trial_id, outcome, .. } => self.ended(trial_id, outcome),
        }
        self.draw();
    }

    /// So many trials were ended by other processes.
    pub(crate) fn elsewhere(&mut self, ended: usize) {
        let more = ended.saturating_sub(self.counts.elsewhere) as u64;
        let left = self.counts.all.saturating_sub(self.counts.ended + self.counts.elsewhere).max(1) as u64;
        // Which trials these were is not told: each counts as the mean of what was left.
        let steps = self.counts.steps_left / left * more;
        self.counts.steps_left = self.counts.steps_left.saturating_sub(steps);
        self.counts.elsewhere = self.counts.elsewhere.max(ended);
        if let Screen::Bar(bar) = &self.screen {
            bar.inc(steps);
        }
        self.draw();
    }

    /// Trials go on in another stage.
    fn stage(&mut self, stage: u64, first: u64, trial_ids: &[String]) {
        for id in trial_ids {
            let Some(trial) = self.trials.get_mut(id) else { continue };
            trial.counted = first;
            if let Some(before) = trial.stage.replace(stage) {
                self.leave(before);
            }
        }
        self.stages.insert(stage, trial_ids.len() as u64);
    }

    /// A trial runs, or does not any more. One that goes on from a checkpoint starts twice.
    fn run(&mut self, trial_id: &str, runs: bool) {
        let Some(trial) = self.trials.get_mut(trial_id) else { return };
        if std::mem::replace(&mut trial.runs, runs) != runs {
            let running = self.counts.running;
            self.counts.running = if runs { running + 1 } else { running.saturating_sub(1) };
        }
    }

    fn leave(&mut self, stage: u64) {
        if let Some(trials) = self.stages.get_mut(&stage) {
            *trials = trials.saturating_sub(1);
        }
    }

    fn count(&mut self, steps: u64) {
        self.pace.count(steps, Instant::now());
        self.counts.steps_left = self.counts.steps_left.saturating_sub(steps);
        if let Screen::Bar(bar) = &self.screen {
            bar.inc(steps);
        }
    }

    fn ended(&mut self, trial_id: &str, outcome: &Outcome) {
        self.run(trial_id, false);
        let Some(trial) = self.trials.get_mut(trial_id) else { return };
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
                let reason = outcome.error().unwrap_or_default();
                let line = format!("trial {trial_id} ({}) failed: {reason}", trial.label);
                match &self.screen {
                    Screen::Bar(bar) => bar.suspend(|| say(&line)),
                    _ => say(&line),
                }
            }
            Outcome::Stopped { .. } => {}
        }
        // A run that ended early leaves steps that nobody will train.
        let untrained = trial.steps.saturating_sub(end);
        if let Some(stage) = stage {
            self.leave(stage);
        }
        if matches!(outcome, Outcome::Stopped { .. }) {
            return;
        }
        self.counts.ended += 1;
        self.counts.steps_left = self.counts.steps_left.saturating_sub(untrained);
        if let Screen::Bar(bar) = &self.screen {
            bar.inc(untrained);
        }
    }

    fn draw(&mut self) {
        let line = match &self.screen {
            Screen::Quiet => return,
            Screen::Plain { last } if last.elapsed() < PLAIN_EVERY => return,
            Screen::Plain { .. } | Screen::Bar(_) => self.line(),
        };
        match &mut self.screen {
            Screen::Quiet => {}
            Screen::Bar(bar) => bar.set_message(line),
            Screen::Plain { last } => {
                *last = Instant::now();
                say(line);
            }
        }
    }

    /// Trials done, running and left, steps per second, time left, best so far.
    fn line(&self) -> String {
        let Counts { all, ended, elsewhere, running, diverged, failed, steps_left } = self.counts;
        // A trial that failed here may have ended elsewhere.
        let ended = (ended + elsewhere).min(all);
        let mut line =
            format!("{ended}/{all} trials, {running} running, {} left", all.saturating_sub(ended + running));
        if let Some(rate) = self.pace.rate(self.counts.ended > 0, Instant::now()) {
            let left = Duration::from_secs_f64((steps_left as f64 / rate).min(1e9));
            let digits = if rate < 10.0 { 1 } else { 0 };
            line.push_str(&format!(", {rate:.digits$} steps/s, {} left", span(left)));
        }
        for (count, name) in [(elsewhere, "by other processes"), (diverged, "diverged"), (failed, "failed")] {
            if count > 0 {
                line.push_str(&format!(", {count} {name}"));
            }
        }
        if let Some((loss, label)) = &self.best {
            line.push_str(&format!(", best {} ({label})", report::number(*loss, 4)));
        }
        line
    }

    /// Takes the bar away and says how it went.
    pub(crate) fn finish(self) {
        let line = self.line();
        match self.screen {
            Screen::Quiet => {}
            Screen::Bar(bar) => {
                bar.finish_and_clear();
                say(line);
            }
            Screen::Plain { .. } => say(line),
        }
    }
}

fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(8));
    // The template is a constant; a bar without it is still a bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan/dim} {percent:>3}% {wide_msg}") {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}

/// `1h02m`, `3m20s` or `12s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two trials of 3000 steps of a program that needs 5 s to start and 10 ms a step, on one worker.
    #[test]
    fn the_first_estimate_does_not_take_the_start_for_a_step() {
        let begun = Instant::now();
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        let mut pace = Pace::new(begun);
        assert_eq!(pace.rate(false, at(4.9)), None, "nothing is known yet");
        pace.count(1, at(5.0));
        // One step in 5 s would be 8 hours for the rest.
        assert_eq!(pace.rate(false, at(5.0)), None);
        assert_eq!(pace.rate(false, at(6.9)), None, "too little was seen");
        pace.count(200, at(7.0));
        let rate = pace.rate(false, at(7.0)).expect("known");
        assert!((99.0..101.0).contains(&rate), "{rate}");
        // A trial has ended: now its start counts, as the next one has one too.
        pace.count(2799, at(35.0));
        let rate = pace.rate(true, at(35.0)).expect("known");
        assert!((85.0..86.0).contains(&rate), "{rate}");
    }
}
