//! What reports come to: a run that is told step by step. Pure but for the events: no files, no processes, no clock.

use std::collections::BTreeMap;

use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Feedback, State};
use spec::event::{Event, Final, Outcome, StepRow};
use spec::trial::Trial;
use trainer::{Digest, Emit, Emitter};

use crate::report::{Report, Seen};
use crate::source;

/// See the module.
pub(crate) struct Run<'a> {
    pub(crate) trial: &'a Trial,
    /// What the schedule's rules remember.
    pub(crate) state: State,
    pub(crate) digest: Digest,
    /// The first loss that was reported, by which divergence is judged.
    pub(crate) first_loss: Option<f64>,
    /// The first step that is not complete.
    pub(crate) next: u64,
    /// The files that the program has loaded, with their hashes.
    pub(crate) loaded: BTreeMap<String, String>,
    /// What was said of step `next` or a later one so far.
    open: Option<(u64, Seen)>,
    /// The last answer.
    asked: Option<Answer>,
    /// What was said of the last complete step.
    last: Seen,
    /// Steps that were reported since this start.
    reported: u64,
    /// The longest way from one of them to the next.
    longest_way: u64,
    emitter: Emitter,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Answer {
    pub(crate) step: u64,
    pub(crate) lr: f64,
    pub(crate) momentum: Option<f64>,
}

/// What follows from a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// This is to be answered.
    Answer(Answer),
    /// All before step `next` is in this checkpoint of the program's.
    Checkpoint(String),
    /// The run is over.
    Diverged(Outcome),
}

impl<'a> Run<'a> {
    /// Before the first step.
    pub(crate) fn new(trial: &'a Trial, stage: u64) -> Self {
        Self {
            trial,
            state: trial.config.start(),
            digest: Digest::default(),
            first_loss: None,
            next: 0,
            loaded: BTreeMap::new(),
            open: None,
            asked: None,
            last: Seen::default(),
            reported: 0,
            longest_way: 0,
            emitter: Emitter::new(stage),
        }
    }

    fn steps(&self) -> u64 {
        self.trial.config.task.steps
    }

    fn is_closed_loop(&self) -> bool {
        self.trial.config.schedule.feedback() == Feedback::ClosedLoop
    }

    /// Whether all was reported that a result needs.
    pub(crate) fn is_complete(&self) -> bool {
        let done = (self.next, &self.last);
        let (next, seen) = self.open.as_ref().map_or(done, |(step, seen)| (step + 1, seen));
        next == self.steps() && seen.valid_loss.is_some()
    }

    /// Takes in a report.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub(crate) fn hear(&mut self, report: Report, emit: &mut Emit<'_>) -> Result<Heard, String> {
        match report {
            Report::Step { step, seen, checkpoint } => {
                if let Some(diverged) = self.take(step, seen, emit)? {
                    return Ok(Heard::Diverged(diverged));
                }
                // After the last step nothing is left to go on with, and more may be said of it.
                let last = step + 1 == self.steps();
                let Some(checkpoint) = checkpoint.filter(|_| !last) else { return Ok(Heard::Nothing) };
                Ok(match self.complete(emit)? {
                    Some(diverged) => Heard::Diverged(diverged),
                    None => Heard::Checkpoint(checkpoint),
                })
            }
            Report::Ask { step, seen } => self.ask(step, seen, emit),
            Report::Loaded(names) => {
                self.load(&names, emit);
                Ok(Heard::Nothing)
            }
        }
    }

    /// Files that were loaded. One that is named again may be another one by now: the first counts.
    fn load(&mut self, names: &[String], emit: &mut Emit<'_>) {
        let Some(program) = self.trial.config.task.program() else { return };
        let before = self.loaded.len();
        for (name, hash) in source::loaded(program, names) {
            self.loaded.entry(name).or_insert(hash);
        }
        if self.loaded.len() > before {
            emit(Event::Loaded { trial_id: self.trial.id.clone(), files: self.loaded.clone() });
        }
    }

    /// Adds what is said of a step; those before it are complete then.
    fn take(&mut self, step: u64, seen: Seen, emit: &mut Emit<'_>) -> Result<Option<Outcome>, String> {
        let steps = self.steps();
        if step >= steps {
            return Err(format!(
                "there is no step {step}: the last of {steps} is {}",
                steps.saturating_sub(1)
            ));
        }
        self.compare_lr(step, seen.lr)?;
        if let Some((open, known)) = &mut self.open {
            if *open == step {
                in_order(step, known, &seen)?;
                known.add(seen);
                return Ok(self.judge(emit));
            }
            if step < *open {
                return Err(format!("step {step} comes after step {open}"));
            }
            if let Some(diverged) = self.complete(emit)? {
                return Ok(Some(diverged));
            }
        }
        if step < self.next {
            return Err(format!(
                "step {step} comes after step {}, which was complete",
                self.next.saturating_sub(1)
            ));
        }
        self.open = Some((step, seen));
        Ok(self.judge(emit))
    }

    /// The database shows the lr of the schedule: a program that has used another one is refused.
    fn compare_lr(&self, step: u64, used: Option<f64>) -> Result<(), String> {
        let (Some(used), Some(planned)) = (used, self.rate(step)) else { return Ok(()) };
        // An optimizer may keep its lr in single precision.
        const ROUNDING: f64 = 1e-6;
        if (used - planned).abs() <= ROUNDING * planned.abs() + f64::from(f32::MIN_POSITIVE) {
            return Ok(());
        }
        Err(format!(
            "step {step} was trained at lr {used:?}, but the schedule has {planned:?} there; use each step's lr for one update, \
             and let nothing else set it"
        ))
    }

    /// Whether the losses of the open step are none, or beyond the bound: then the run is over.
    fn judge(&mut self, emit: &mut Emit<'_>) -> Option<Outcome> {
        let (step, seen) = self.open.as_ref()?;
        let first = self.first_loss.or(seen.train_loss);
        let bound = first.map_or(f64::INFINITY, |first| self.trial.config.task.diverge_above * first);
        let out = |loss: &f64| !loss.is_finite() || (bound > 0.0 && *loss > bound);
        let loss = [seen.train_loss, seen.valid_loss].into_iter().flatten().find(out)?;
        let (at, seen) = (*step, seen.clone());
        self.open = None;
        self.fill(at);
        let lr = self.rate(at).unwrap_or(f64::NAN);
        self.count(at, lr, &seen);
        self.emitter.flush(emit);
        Some(Outcome::Diverged { at, loss, digest: self.digest.hex() })
    }

    /// The lr that step `t` uses; of a closed-loop schedule only what was asked for is known.
    fn rate(&self, t: u64) -> Option<f64> {
        if !self.is_closed_loop() {
            return Some(self.trial.config.schedule.lr(t, &self.state));
        }
        self.asked.filter(|answer| answer.step == t).map(|answer| answer.lr)
    }

    /// Steps that were left out, up to `to`: nothing is known of their losses.
    fn fill(&mut self, to: u64) {
        while self.next < to {
            let lr = self.rate(self.next).unwrap_or(f64::NAN);
            self.count(self.next, lr, &Seen::default());
        }
    }

    /// Counts a step that is complete.
    fn count(&mut self, step: u64, lr: f64, seen: &Seen) {
        let train_loss = seen.train_loss.unwrap_or(f64::NAN);
        self.first_loss = self.first_loss.or(seen.train_loss);
        // A NaN is a NaN, whatever its bits.
        let loss = if train_loss.is_nan() { f32::NAN } else { train_loss as f32 };
        self.digest.step(lr as f32, loss);
        self.next = step + 1;
        let row = StepRow { step, lr, train_loss, grad_norm: seen.grad_norm.unwrap_or(f64::NAN) };
        let valid = seen.valid_loss.map(|loss| (self.trial.id.clone(), loss));
        self.emitter.add(row, valid.into_iter().collect());
    }

    /// Whether the rules of the schedule were shown all that they need of a step.
    fn check_rules(&self, step: u64, seen: &Seen) -> Result<(), String> {
        if step > self.next {
            return Err(format!("step {} was left out, and the schedule follows every loss", self.next));
        }
        if self.rate(step).is_none() {
            return Err(format!("step {step} was trained without asking for its lr"));
        }
        let config = &self.trial.config;
        let wants = config.schedule.wants(step, config.task.evaluates_after(step));
        let missing = [
            (wants.train_loss, seen.train_loss, "train_loss"),
            (wants.valid_loss, seen.valid_loss, "valid_loss"),
            (wants.valid_accuracy, seen.valid_accuracy, "valid_accuracy"),
        ]
        .into_iter()
        .find(|(wanted, given, _)| *wanted && given.is_none());
        let Some((_, _, name)) = missing else { return Ok(()) };
        let remedy = if name == "train_loss" {
            String::new()
        } else {
            format!(
                "; report it there too (in Python: `if trial.evaluates(step): trial.log(step, {name}=...)`), say by \
                 `evaluate: {{every: ...}}` after which steps it is known, or let the schedule `watch` another metric"
            )
        };
        Err(format!("step {step} has no `{name}`, and the schedule looks at it there{remedy}"))
    }

    /// Nothing more will be said of the open step.
    fn complete(&mut self, emit: &mut Emit<'_>) -> Result<Option<Outcome>, String> {
        let Some((step, seen)) = self.open.take() else { return Ok(None) };
        let config = &self.trial.config;
        if self.is_closed_loop() {
            self.check_rules(step, &seen)?;
        }
        let way = step + 1 - self.next;
        if step + 1 == self.steps() && self.reported > 1 && way > 2 * self.longest_way {
            return Err(format!(
                "the steps {} to {} were left out, more than ever before: a run that was cut short would be ranked as a whole one; \
                 train all {}, and report one at least as often as before",
                self.next,
                step - 1,
                self.steps()
            ));
        }
        self.reported += 1;
        self.longest_way = self.longest_way.max(way);
        self.fill(step);
        let lr = self.rate(step).unwrap_or(f64::NAN);
        self.count(step, lr, &seen);
        let (train_loss, evaluated) =
            (seen.train_loss.unwrap_or(f64::NAN), config.task.evaluates_after(step));
        let after = AfterUpdate {
            train_loss,
            valid_loss: seen.valid_loss,
            valid_accuracy: seen.valid_accuracy,
            evaluated,
        };
        config.schedule.after_update(&mut self.state, step, &after);
        self.last = seen;
        self.emitter.flush_if_due(emit);
        Ok(None)
    }

    fn ask(&mut self, step: u64, seen: Seen, emit: &mut Emit<'_>) -> Result<Heard, String> {
        if let Some(answer) = self.asked.filter(|answer| answer.step == step) {
            return Ok(Heard::Answer(answer));
        }
        if self.open.as_ref().is_some_and(|(open, known)| *open == step && known.is_evaluated()) {
            return Err(evaluated_early(step, "lr was asked for"));
        }
        let schedule = &self.trial.config.schedule;
        let steps = self.steps();
        if step >= steps {
            return Err(format!(
                "there is no step {step}: the last of {steps} is {}",
                steps.saturating_sub(1)
            ));
        }
        if self.is_closed_loop() {
            if self.open.as_ref().is_some_and(|(open, _)| *open != step)
                && let Some(diverged) = self.complete(emit)?
            {
                return Ok(Heard::Diverged(diverged));
            }
            if step != self.next {
                return Err(format!("it asks for the lr of step {step}, but step {} comes next", self.next));
            }
            let needs = schedule.needs();
            let loss = schedule.wants(step, false).before || (needs.gradient && needs.loss);
            for (wanted, given, name) in
                [(loss, seen.train_loss, "train_loss"), (needs.gradient, seen.grad_norm, "grad_norm")]
            {
                if wanted && given.is_none() {
                    return Err(format!("it asks without `{name}`, and the schedule decides by that"));
                }
            }
        }
        if self.is_closed_loop()
            && schedule.needs().gradient
            && seen.grad_norm.is_some_and(|norm| !norm.is_finite())
        {
            // The schedule has nothing to decide by any more.
            let loss = seen.grad_norm.unwrap_or(f64::NAN);
            let lr = f64::NAN;
            self.count(step, lr, &seen);
            self.emitter.flush(emit);
            return Ok(Heard::Diverged(Outcome::Diverged { at: step, loss, digest: self.digest.hex() }));
        }
        if seen != Seen::default()
            && let Some(diverged) = self.take(step, seen.clone(), emit)?
        {
            return Ok(Heard::Diverged(diverged));
        }
        let schedule = &self.trial.config.schedule;
        if self.is_closed_loop() {
            let norm = seen.grad_norm.unwrap_or(f64::NAN);
            let train_loss = seen.train_loss.unwrap_or(f64::NAN);
            let before = BeforeUpdate { train_loss, grad_norm_squared: norm * norm };
            schedule.before_update(&mut self.state, step, &before, &mut Plain::default());
        }
        let answer = Answer { step, lr: schedule.lr(step, &self.state), momentum: schedule.momentum(step) };
        self.asked = Some(answer);
        Ok(Heard::Answer(answer))
    }

    /// Tells what was not told yet.
    pub(crate) fn flush(&mut self, emit: &mut Emit<'_>) {
        self.emitter.flush(emit);
    }

    /// What the trial has come to, where the program has ended well by its own account.
    pub(crate) fn finish(&mut self, emit: &mut Emit<'_>) -> Outcome {
        match self.complete(emit) {
            Ok(None) => {}
            Ok(Some(diverged)) => return diverged,
            Err(reason) => return Outcome::GivenUp { reason },
        }
        self.emitter.flush(emit);
        let (steps, last) = (self.steps(), self.steps().saturating_sub(1));
        if self.next < steps {
            let reported =
                self.next.checked_sub(1).map_or("no step".to_owned(), |step| format!("step {step}"));
            // Something may have ended it.
            return Outcome::Failed {
                reason: format!(
                    "the program ended after reporting {reported}; the last of {steps} is {last}"
                ),
            };
        }
        let seen = std::mem::take(&mut self.last);
        let Some(valid_loss) = seen.valid_loss else {
            let reason = format!(
                "the program ended without a `valid_loss` for the last step, {last} (in Python: `trial.finish(valid_loss=...)`)"
            );
            return Outcome::GivenUp { reason };
        };
        Outcome::Done(Final {
            train_loss: seen.train_loss.unwrap_or(f64::NAN),
            valid_loss,
            valid_accuracy: seen.valid_accuracy,
            test_loss: seen.test_loss,
            test_accuracy: seen.test_accuracy,
            digest: self.digest.hex(),
            weights_hash: seen.weights_hash,
        })
    }
}

/// A training loss is that of the batch before the update, a validation loss that of the weights after it: a step whose
/// validation loss is known before its training loss was evaluated one update too early.
fn in_order(step: u64, known: &Seen, more: &Seen) -> Result<(), String> {
    let repeats = known.train_loss.is_some() || more.is_evaluated();
    if !known.is_evaluated() || more.train_loss.is_none() || repeats {
        return Ok(());
    }
    Err(evaluated_early(step, "`train_loss`"))
}

fn evaluated_early(step: u64, before: &str) -> String {
    format!(
        "the `valid_loss` of step {step} was reported before its {before}; a validation loss is that of the weights after update \
         {step}: report one from the top of the loop for the step before, and one from after the update with the `train_loss` or \
         after it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{object, read};

    fn trial(schedule: &str) -> Trial {
        let text = format!(
            "trainer: {{command: [x]}}\nbudget: {{steps: 8}}\nevaluate: {{every: 2}}\nlr: 0.1\nschedules: {{a: {schedule}}}\n"
        );
        let spec = spec::read(&text, "x").expect("a good sweep file");
        spec::plan(&spec).expect("a plan").trials.remove(0)
    }

    /// Reports one after the other: answers as they come, and the first thing that is wrong.
    fn hear(run: &mut Run<'_>, lines: &[&str]) -> Result<Vec<Heard>, String> {
        lines.iter().map(|line| run.hear(read(&object(line)?)?, &mut |_| true)).collect()
    }

    fn answer(heard: &Heard) -> f64 {
        match heard {
            Heard::Answer(answer) => answer.lr,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_sees_what_is_reported_and_nothing_else() {
        let trial = trial("{kind: plateau, patience: 0, factor: 0.5}");
        let mut run = Run::new(&trial, 1);
        let mut lrs = Vec::new();
        for step in 0..8 {
            // The validation loss after step 1 is the first; that after step 3 is no better.
            let valid = if step % 2 == 1 { ", \"valid_loss\": 1.0" } else { "" };
            let lines =
                [format!("{{\"ask\": {step}}}"), format!("{{\"step\": {step}, \"train_loss\": 2.0{valid}}}")];
            let heard = hear(&mut run, &[&lines[0], &lines[1]]).expect("good reports");
            lrs.push(answer(&heard[0]));
        }
        assert_eq!(lrs, [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
        assert!(run.is_complete());
        assert!(matches!(run.finish(&mut |_| true), Outcome::Done(_)));
    }

    #[test]
    fn a_rule_that_decides_before_the_update_is_told_before() {
        let trial = trial("{kind: polyak}");
        let mut run = Run::new(&trial, 1);
        let heard = hear(&mut run, &["{\"ask\": 0, \"train_loss\": 2.0, \"grad_norm\": 4.0}"]).expect("good");
        let (schedule, mut state) = (&trial.config.schedule, trial.config.start());
        let seen = BeforeUpdate { train_loss: 2.0, grad_norm_squared: 16.0 };
        schedule.before_update(&mut state, 0, &seen, &mut Plain::default());
        assert_eq!(answer(&heard[0]).to_bits(), schedule.lr(0, &state).to_bits());
        let again = hear(&mut run, &["{\"ask\": 0}"]).expect("the same question");
        assert_eq!(again, heard);
        let told = hear(&mut run, &["{\"ask\": 1, \"train_loss\": 2.0}"]).expect_err("no norm");
        assert!(told.contains("without `grad_norm`"), "{told}");
    }

    #[test]
    fn what_a_rule_needs_must_be_there() {
        let trial = trial("{kind: plateau, patience: 0}");
        let refused = |lines: &[&str]| hear(&mut Run::new(&trial, 1), lines).expect_err("refused");
        let told = refused(&["{\"step\": 0, \"train_loss\": 1}", "{\"ask\": 1}"]);
        assert!(told.contains("step 0 was trained without asking"), "{told}");
        let told = refused(&["{\"ask\": 1}"]);
        assert!(told.contains("step 0 comes next"), "{told}");
        let lines = [
            "{\"ask\": 0}",
            "{\"step\": 0, \"train_loss\": 1}",
            "{\"ask\": 1}",
            "{\"step\": 1, \"train_loss\": 1}",
            "{\"ask\": 2}",
        ];
        let told = refused(&lines);
        assert!(told.contains("step 1 has no `valid_loss`"), "{told}");
    }

    #[test]
    fn lines_on_one_step_are_put_together() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        let lines = [
            "{\"step\": 7, \"train_loss\": 1.5}",
            "{\"step\": 7, \"valid_loss\": 1.25, \"valid_accuracy\": 0.5}",
            "{\"step\": 7, \"test_loss\": 1.0, \"weights_hash\": \"w\"}",
        ];
        hear(&mut run, &lines).expect("good reports");
        let Outcome::Done(done) = run.finish(&mut |_| true) else { panic!("not done") };
        assert_eq!((done.train_loss, done.valid_loss, done.valid_accuracy), (1.5, 1.25, Some(0.5)));
        assert_eq!((done.test_loss, done.weights_hash.as_deref()), (Some(1.0), Some("w")));
    }

    /// Reports may be rare, and the first ones more frequent; an end that comes all at once is none.
    #[test]
    fn a_run_that_was_cut_short_is_refused() {
        let text =
            "trainer: {command: [x]}\nbudget: {steps: 100}\nlr: 0.1\nschedules: {a: {kind: constant}}\n";
        let plan = spec::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        let end = |steps: &[u64]| {
            let mut run = Run::new(&plan.trials[0], 1);
            for step in steps.iter().chain([&99]) {
                let line = format!("{{\"step\": {step}, \"valid_loss\": 1}}");
                hear(&mut run, &[&line]).expect("a good report");
            }
            run.finish(&mut |_| true)
        };
        let done = |steps: &[u64]| matches!(end(steps), Outcome::Done(_));
        assert!(done(&[]) && done(&[0]) && done(&[50]));
        assert!(done(&(0..99).collect::<Vec<_>>()) && done(&(0..98).collect::<Vec<_>>()));
        assert!(done(&[9, 19, 29, 39, 49, 59, 69, 79]) && done(&[0, 1, 2, 3, 4, 33, 66]));
        for cut in [(0..90).collect::<Vec<_>>(), vec![9, 19, 29, 39, 49, 59, 69]] {
            let Outcome::GivenUp { reason } = end(&cut) else { panic!("{cut:?}") };
            assert!(reason.contains("were left out, more than ever before"), "{reason}");
        }
    }

    /// The order of nanoGPT's loop: evaluation, update, the loss of the update's batch.
    #[test]
    fn a_validation_loss_from_before_the_update_is_refused() {
        for schedule in ["{kind: constant}", "{kind: plateau, patience: 0, watch: train_loss}"] {
            let trial = trial(schedule);
            let lines = |first: &str, second: &str| {
                hear(&mut Run::new(&trial, 1), &["{\"ask\": 0}", first, second]).map(|_| ())
            };
            let train = "{\"step\": 0, \"train_loss\": 1}";
            for early in ["{\"step\": 0, \"valid_loss\": 1}", "{\"step\": 0, \"valid_accuracy\": 0.5}"] {
                let told = lines(early, train).expect_err("refused");
                assert!(told.contains("report one from the top of the loop for the step before"), "{told}");
                lines(train, early).expect("in order");
            }
            let both = "{\"step\": 0, \"train_loss\": 1, \"valid_loss\": 1}";
            lines(both, train).expect("said again");
            lines("{\"step\": 0, \"valid_loss\": 1}", both).expect("the later line counts");
            let early = "{\"step\": 0, \"valid_loss\": 1}";
            let told = hear(&mut Run::new(&trial, 1), &[early, "{\"ask\": 0}"]).expect_err("refused");
            assert!(told.contains("before its lr was asked for"), "{told}");
        }
    }

    #[test]
    fn the_lr_that_was_used_is_the_schedules() {
        let trial = trial("{kind: linear, to: 0}");
        let hear = |lr: &str| {
            let line = format!("{{\"step\": 4, \"train_loss\": 1, \"lr\": {lr}}}");
            hear(&mut Run::new(&trial, 1), &[&line]).map(|_| ())
        };
        let planned = trial.config.schedule.lr(4, &trial.config.start());
        hear(&format!("{planned:?}")).expect("the same");
        hear(&format!("{:?}", f64::from(planned as f32))).expect("the same in single precision");
        for other in ["0.1", "0.0", "NaN"] {
            let told = hear(other).expect_err(other);
            assert!(
                told.contains("step 4 was trained at lr") && told.contains(&format!("{planned:?}")),
                "{told}"
            );
        }
    }

    #[test]
    fn a_checkpoint_is_the_last_word_on_its_step() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        let heard =
            hear(&mut run, &["{\"step\": 1, \"train_loss\": 1, \"checkpoint\": \"c\"}"]).expect("good");
        assert_eq!((heard, run.next), (vec![Heard::Checkpoint("c".to_owned())], 2));
        let told = hear(&mut run, &["{\"step\": 1, \"valid_loss\": 1}"]).expect_err("too late");
        assert!(told.contains("which was complete"), "{told}");
    }

    #[test]
    fn a_loss_beyond_the_bound_ends_the_run() {
        let trial = trial("{kind: constant}");
        let ends = |last: &str| {
            let mut run = Run::new(&trial, 1);
            let lines = ["{\"step\": 0, \"train_loss\": 0.5}", last];
            hear(&mut run, &lines).expect("good reports").pop()
        };
        for last in ["{\"step\": 3, \"train_loss\": 50.1}", "{\"step\": 3, \"valid_loss\": Infinity}"] {
            let Some(Heard::Diverged(Outcome::Diverged { at: 3, .. })) = ends(last) else { panic!("{last}") };
        }
        assert_eq!(ends("{\"step\": 3, \"train_loss\": 49.9}"), Some(Heard::Nothing));
    }
}
