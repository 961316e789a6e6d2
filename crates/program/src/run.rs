//! A run, built from the reports of its program step by step. Pure except for the events: no files, no processes, no
//! clock.

use std::collections::{BTreeMap, VecDeque};

use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Feedback, State};
use spec::event::{Event, Final, Measured, Outcome, StepRow};
use spec::metric::VALID_ACCURACY;
use spec::record;
use spec::trial::Trial;
use trainer::{Digest, Emit, Emitter};

use crate::groups::{GroupAnswers, compare};
use crate::report::{Metrics, Report, UsedLr};
use crate::source;

/// The state of a run.
pub(crate) struct Run<'a> {
    pub(crate) trial: &'a Trial,
    /// The state of the schedule's rules.
    pub(crate) state: State,
    pub(crate) digest: Digest,
    /// The first reported loss, to which later losses are compared to detect divergence.
    pub(crate) first_loss: Option<f64>,
    /// The first step that is not complete.
    pub(crate) next: u64,
    /// The files that the program has loaded, with their hashes.
    pub(crate) loaded: BTreeMap<String, String>,
    /// The incomplete step, `next` or a later one, with its metrics so far.
    open: Option<(u64, Metrics)>,
    /// The last answer to an lr request.
    last_answer: Option<Answer>,
    /// The metrics of the last complete step.
    last: Metrics,
    /// The last value of each metric under a name of the program's own.
    pub(crate) own: BTreeMap<String, f64>,
    /// Number of steps that were reported since this start.
    reported: u64,
    /// The largest distance in steps from one of them to the next.
    longest_gap: u64,
    /// The trials whose steps these are: the program's own, and those that share its steps.
    trial_ids: Vec<String>,
    /// The steps after which other trials need a checkpoint, ascending.
    due: VecDeque<u64>,
    /// The program left out a checkpoint that was due.
    pub(crate) lacks_checkpoint: bool,
    emitter: Emitter,
}

/// The answer to an lr request.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Answer {
    pub(crate) step: u64,
    pub(crate) lr: f64,
    pub(crate) momentum: Option<f64>,
    /// Those of each parameter group, if the schedule has groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<GroupAnswers>,
}

/// The response to a report, for the caller to carry out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Response {
    /// Do nothing.
    Nothing,
    /// Send this answer.
    Answer(Answer),
    /// Store this checkpoint of the program, which contains all steps before `next`. Other trials may need it.
    Checkpoint { path: String, is_due: bool },
    /// End the run: it has diverged.
    Diverged(Outcome),
}

impl<'a> Run<'a> {
    /// A run before its first step.
    pub(crate) fn new(trial: &'a Trial, stage: u64) -> Self {
        Self {
            trial,
            state: trial.config.start(),
            digest: Digest::default(),
            first_loss: None,
            next: 0,
            loaded: BTreeMap::new(),
            open: None,
            last_answer: None,
            last: Metrics::default(),
            own: BTreeMap::new(),
            reported: 0,
            longest_gap: 0,
            trial_ids: vec![trial.id.clone()],
            due: VecDeque::new(),
            lacks_checkpoint: false,
            emitter: Emitter::new(stage),
        }
    }

    /// Sets the trials whose steps these are from now on.
    pub(crate) fn set_trials(&mut self, trial_ids: Vec<String>) {
        self.trial_ids = trial_ids;
    }

    /// The trials whose steps these are.
    pub(crate) fn trial_ids(&self) -> &[String] {
        &self.trial_ids
    }

    /// Sets the steps after which other trials need a checkpoint, ascending.
    pub(crate) fn set_due(&mut self, due: Vec<u64>) {
        self.due = due.into();
    }

    /// The steps after which other trials need a checkpoint, ascending.
    pub(crate) fn due(&self) -> impl Iterator<Item = u64> {
        self.due.iter().copied()
    }

    /// The stage of its steps.
    pub(crate) fn stage(&self) -> u64 {
        self.emitter.stage()
    }

    fn steps(&self) -> u64 {
        self.trial.config.task.steps
    }

    fn is_closed_loop(&self) -> bool {
        self.trial.config.schedule.feedback() == Feedback::ClosedLoop
    }

    /// Whether everything that a result needs was reported.
    pub(crate) fn is_complete(&self) -> bool {
        let done = (self.next, &self.last);
        let (next, metrics) = self.open.as_ref().map_or(done, |(step, metrics)| (step + 1, metrics));
        next == self.steps() && metrics.valid_loss.is_some()
    }

    /// Handles a report.
    ///
    /// # Errors
    /// The problem, as part of a sentence.
    pub(crate) fn handle(&mut self, report: Report, emit: &mut Emit<'_>) -> Result<Response, String> {
        match report {
            Report::Step { step, metrics, checkpoint } => {
                if let Some(diverged) = self.add_metrics(step, metrics, emit)? {
                    return Ok(Response::Diverged(diverged));
                }
                // A checkpoint after the last step is not needed, and more metrics of that step may follow.
                let last = step + 1 == self.steps();
                let Some(checkpoint) = checkpoint.filter(|_| !last) else { return Ok(Response::Nothing) };
                Ok(match self.complete(emit)? {
                    Some(diverged) => Response::Diverged(diverged),
                    None => {
                        let is_due = self.due.pop_front_if(|due| *due == step).is_some();
                        Response::Checkpoint { path: checkpoint, is_due }
                    }
                })
            }
            Report::LrRequest { step, metrics } => self.answer(step, metrics, emit),
            Report::Loaded(names) => {
                self.add_loaded(&names, emit);
                Ok(Response::Nothing)
            }
        }
    }

    /// Adds loaded files. A file that is reported again may have changed; the first hash is kept.
    fn add_loaded(&mut self, names: &[String], emit: &mut Emit<'_>) {
        let Some(program) = self.trial.config.task.program() else { return };
        let before = self.loaded.len();
        for (name, hash) in source::loaded(program, names) {
            self.loaded.entry(name).or_insert(hash);
        }
        if self.loaded.len() > before {
            emit(Event::Loaded { trial_id: self.trial.id.clone(), files: self.loaded.clone() });
        }
    }

    /// Adds metrics of a step, which completes all earlier steps.
    fn add_metrics(
        &mut self,
        step: u64,
        metrics: Metrics,
        emit: &mut Emit<'_>,
    ) -> Result<Option<Outcome>, String> {
        let steps = self.steps();
        if step >= steps {
            return Err(format!(
                "step {step} does not exist: the last of {steps} steps is {}",
                steps.saturating_sub(1)
            ));
        }
        self.compare_lr(step, metrics.lr.as_ref())?;
        self.check_due(step)?;
        if let Some((open, known)) = &mut self.open {
            if *open == step {
                check_order(step, known, &metrics)?;
                known.add(metrics);
                return Ok(self.check_divergence(emit));
            }
            if step < *open {
                return Err(format!("step {step} was reported after step {open}"));
            }
            if let Some(diverged) = self.complete(emit)? {
                return Ok(Some(diverged));
            }
        }
        if step < self.next {
            return Err(format!(
                "step {step} was reported after step {} was complete",
                self.next.saturating_sub(1)
            ));
        }
        self.open = Some((step, metrics));
        Ok(self.check_divergence(emit))
    }

    /// Other trials continue from the checkpoint that is due, so the next step is not accepted without it.
    fn check_due(&mut self, step: u64) -> Result<(), String> {
        let Some(due) = self.due.front().copied().filter(|due| *due < step) else { return Ok(()) };
        self.lacks_checkpoint = true;
        Err(format!(
            "there is no checkpoint after step {due}, which `trainer: {{share: true}}` needs; write and report one after each step of \
             `checkpoint_after` (in Python: `if trial.needs_checkpoint(step): ... trial.checkpoint(step, path)`), or remove `share`"
        ))
    }

    /// The database stores the lrs of the schedule, so a program that used another lr is rejected.
    fn compare_lr(&self, step: u64, used: Option<&UsedLr>) -> Result<(), String> {
        match used {
            None => Ok(()),
            Some(UsedLr::One(used)) => {
                self.lr(step).map_or(Ok(()), |planned| compare(step, "", *used, planned))
            }
            Some(UsedLr::ByGroup(used)) => {
                if !self.trial.config.schedule.is_grouped() {
                    return Err(
                        "`lr`: expected a number, because the schedule has no parameter groups".to_owned()
                    );
                }
                self.group_lrs(step).map_or(Ok(()), |planned| planned.compare(step, used))
            }
        }
    }

    /// The outcome if a loss of the open step is NaN, infinite, or above the bound for divergence.
    fn check_divergence(&mut self, emit: &mut Emit<'_>) -> Option<Outcome> {
        let (step, metrics) = self.open.as_ref()?;
        let first = self.first_loss.or(metrics.train_loss);
        let bound = first.map_or(f64::INFINITY, |first| self.trial.config.task.diverge_above * first);
        let out = |loss: &f64| !loss.is_finite() || (bound > 0.0 && *loss > bound);
        let loss = [metrics.train_loss, metrics.valid_loss].into_iter().flatten().find(out)?;
        let (at, metrics) = (*step, metrics.clone());
        self.open = None;
        self.fill_gap(at);
        let lr = self.lr(at).unwrap_or(f64::NAN);
        self.record(at, lr, &metrics);
        self.emitter.flush(emit);
        Some(Outcome::Diverged { at, loss, digest: self.digest.hex() })
    }

    /// The lr of step `t`. For a closed-loop schedule only the last requested one is known.
    fn lr(&self, t: u64) -> Option<f64> {
        if !self.is_closed_loop() {
            return Some(self.trial.config.schedule.lr(t, &self.state));
        }
        self.last_answer_for(t).map(|answer| answer.lr)
    }

    fn last_answer_for(&self, t: u64) -> Option<&Answer> {
        self.last_answer.as_ref().filter(|answer| answer.step == t)
    }

    /// The lrs of the parameter groups at step `t`, as [`Run::lr`].
    fn group_lrs(&self, t: u64) -> Option<GroupAnswers> {
        if !self.is_closed_loop() {
            return GroupAnswers::of(&self.trial.config.schedule, t, &self.state);
        }
        self.last_answer_for(t)?.groups.clone()
    }

    /// Records skipped steps before `to`, whose losses are unknown.
    fn fill_gap(&mut self, to: u64) {
        while self.next < to {
            let lr = self.lr(self.next).unwrap_or(f64::NAN);
            self.record(self.next, lr, &Metrics::default());
        }
    }

    /// Records a complete step.
    fn record(&mut self, step: u64, lr: f64, metrics: &Metrics) {
        let train_loss = metrics.train_loss.unwrap_or(f64::NAN);
        self.first_loss = self.first_loss.or(metrics.train_loss);
        // The digest must not depend on the bits of a NaN.
        let loss = if train_loss.is_nan() { f32::NAN } else { train_loss as f32 };
        self.digest.step(lr as f32, loss);
        self.next = step + 1;
        let row = StepRow { step, lr, train_loss, grad_norm: metrics.grad_norm.unwrap_or(f64::NAN) };
        let of_each = |loss: f64| self.trial_ids.iter().map(move |id| (id.clone(), loss));
        self.emitter.add(row, metrics.valid_loss.into_iter().flat_map(of_each).collect());
        let own = metrics.own.iter().map(|(name, value)| (name.as_str(), *value));
        for (name, value) in own.chain(metrics.valid_accuracy.map(|value| (VALID_ACCURACY, value))) {
            for trial_id in &self.trial_ids {
                let (trial_id, name) = (trial_id.clone(), name.to_owned());
                self.emitter.measure(Measured { trial_id, step, name, value });
            }
        }
        self.own.extend(metrics.own.iter().map(|(name, value)| (name.clone(), *value)));
    }

    /// Checks that the program reported all metrics of a step that the schedule's rules need.
    fn check_rule_inputs(&self, step: u64, metrics: &Metrics) -> Result<(), String> {
        if step > self.next {
            return Err(format!(
                "step {} was not reported, and the schedule needs the loss of every step",
                self.next
            ));
        }
        if self.lr(step).is_none() {
            return Err(format!("step {step} was reported without an lr request for it"));
        }
        let config = &self.trial.config;
        let wants = config.schedule.wants(step, config.task.evaluates_after(step));
        let known = [
            (wants.train_loss, metrics.train_loss, "train_loss"),
            (wants.valid_loss, metrics.valid_loss, "valid_loss"),
            (wants.valid_accuracy, metrics.valid_accuracy, "valid_accuracy"),
        ];
        let own = wants.own.iter().map(|name| (true, metrics.own.get(name.as_ref()).copied(), name.as_ref()));
        let missing = known.into_iter().chain(own).find(|(wanted, given, _)| *wanted && given.is_none());
        let Some((_, _, name)) = missing else { return Ok(()) };
        let remedy = if name == "train_loss" {
            String::new()
        } else {
            format!(
                "; report it at this step (in Python: `if trial.evaluates(step): trial.log(step, {name}=...)`), set with \
                 `evaluate: {{every: ...}}` after which steps it is evaluated, or let the schedule `watch` another metric"
            )
        };
        Err(format!("step {step} has no `{name}`, which the schedule needs at this step{remedy}"))
    }

    /// Completes the open step: no more metrics of it will follow.
    fn complete(&mut self, emit: &mut Emit<'_>) -> Result<Option<Outcome>, String> {
        let Some((step, metrics)) = self.open.take() else { return Ok(None) };
        let config = &self.trial.config;
        if self.is_closed_loop() {
            self.check_rule_inputs(step, &metrics)?;
        }
        let gap = step + 1 - self.next;
        if step + 1 == self.steps() && self.reported > 1 && gap > 2 * self.longest_gap {
            return Err(format!(
                "steps {} to {} were not reported, the longest gap so far: a run that was cut short must not be ranked as a full one; \
                 train all {} steps, and report at least as often as before",
                self.next,
                step - 1,
                self.steps()
            ));
        }
        self.reported += 1;
        self.longest_gap = self.longest_gap.max(gap);
        self.fill_gap(step);
        let lr = self.lr(step).unwrap_or(f64::NAN);
        self.record(step, lr, &metrics);
        let (train_loss, evaluated) =
            (metrics.train_loss.unwrap_or(f64::NAN), config.task.evaluates_after(step));
        let after = AfterUpdate {
            train_loss,
            valid_loss: metrics.valid_loss,
            valid_accuracy: metrics.valid_accuracy,
            own: &metrics.own,
            evaluated,
        };
        config.schedule.after_update(&mut self.state, step, &after);
        self.last = metrics;
        self.emitter.flush_if_due(emit);
        Ok(None)
    }

    fn answer(&mut self, step: u64, metrics: Metrics, emit: &mut Emit<'_>) -> Result<Response, String> {
        if let Some(answer) = self.last_answer_for(step) {
            return Ok(Response::Answer(answer.clone()));
        }
        if self.open.as_ref().is_some_and(|(open, known)| *open == step && known.is_evaluated()) {
            return Err(evaluated_early(step, "lr request"));
        }
        let schedule = &self.trial.config.schedule;
        let steps = self.steps();
        if step >= steps {
            return Err(format!(
                "step {step} does not exist: the last of {steps} steps is {}",
                steps.saturating_sub(1)
            ));
        }
        if self.is_closed_loop() {
            if self.open.as_ref().is_some_and(|(open, _)| *open != step)
                && let Some(diverged) = self.complete(emit)?
            {
                return Ok(Response::Diverged(diverged));
            }
            if step != self.next {
                return Err(format!("lr request for step {step}, expected step {}", self.next));
            }
            let needs = schedule.needs();
            let loss = schedule.wants(step, false).before || (needs.gradient && needs.loss);
            for (wanted, given, name) in
                [(loss, metrics.train_loss, "train_loss"), (needs.gradient, metrics.grad_norm, "grad_norm")]
            {
                if wanted && given.is_none() {
                    return Err(format!("lr request without `{name}`, which the schedule needs"));
                }
            }
        }
        if self.is_closed_loop()
            && schedule.needs().gradient
            && metrics.grad_norm.is_some_and(|norm| !norm.is_finite())
        {
            // The schedule can't compute an lr from this gradient norm.
            let loss = metrics.grad_norm.unwrap_or(f64::NAN);
            let lr = f64::NAN;
            self.record(step, lr, &metrics);
            self.emitter.flush(emit);
            return Ok(Response::Diverged(Outcome::Diverged { at: step, loss, digest: self.digest.hex() }));
        }
        if metrics != Metrics::default()
            && let Some(diverged) = self.add_metrics(step, metrics.clone(), emit)?
        {
            return Ok(Response::Diverged(diverged));
        }
        let schedule = &self.trial.config.schedule;
        if self.is_closed_loop() {
            let norm = metrics.grad_norm.unwrap_or(f64::NAN);
            let train_loss = metrics.train_loss.unwrap_or(f64::NAN);
            let before = BeforeUpdate { train_loss, grad_norm_squared: norm * norm };
            schedule.before_update(&mut self.state, step, &before, &mut Plain::default());
        }
        let groups = GroupAnswers::of(schedule, step, &self.state);
        let (lr, momentum) = (schedule.lr(step, &self.state), schedule.momentum(step));
        let answer = Answer { step, lr, momentum, groups };
        self.last_answer = Some(answer.clone());
        Ok(Response::Answer(answer))
    }

    /// Emits all steps that were not emitted yet.
    pub(crate) fn flush(&mut self, emit: &mut Emit<'_>) {
        self.emitter.flush(emit);
    }

    /// The outcome of a trial whose program ended with exit code 0.
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
            // Something may have killed it, so the trial fails and can be retried.
            return Outcome::Failed {
                reason: format!(
                    "the program ended after reporting {reported}; the last of {steps} steps is {last}"
                ),
            };
        }
        let metrics = std::mem::take(&mut self.last);
        let Some(valid_loss) = metrics.valid_loss else {
            let reason = format!(
                "the program ended without a `valid_loss` for the last step, {last} (in Python: `trial.finish(valid_loss=...)`)"
            );
            return Outcome::GivenUp { reason };
        };
        Outcome::Done(Final {
            train_loss: metrics.train_loss.unwrap_or(f64::NAN),
            valid_loss,
            valid_accuracy: metrics.valid_accuracy,
            test_loss: metrics.test_loss,
            test_accuracy: metrics.test_accuracy,
            metrics: record::Metrics(std::mem::take(&mut self.own)),
            digest: self.digest.hex(),
            weights_hash: metrics.weights_hash,
        })
    }
}

/// A training loss is that of the batch before the update, a validation loss that of the weights after it. If a
/// step's validation loss arrives before its training loss, it was evaluated one update too early.
fn check_order(step: u64, known: &Metrics, more: &Metrics) -> Result<(), String> {
    let repeats = known.train_loss.is_some() || more.is_evaluated();
    if !known.is_evaluated() || more.train_loss.is_none() || repeats {
        return Ok(());
    }
    Err(evaluated_early(step, "`train_loss`"))
}

fn evaluated_early(step: u64, before: &str) -> String {
    format!(
        "the `valid_loss` of step {step} was reported before its {before}; it must be the loss of the weights after update {step}. \
         If you evaluate at the top of the loop, report it for the previous step; else report it with the `train_loss` or later"
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

    /// Handles reports one after the other. Returns the responses, or the first error.
    fn handle(run: &mut Run<'_>, lines: &[&str]) -> Result<Vec<Response>, String> {
        lines.iter().map(|line| run.handle(read(&object(line)?)?, &mut |_| true)).collect()
    }

    fn answer(responses: &Response) -> f64 {
        match responses {
            Response::Answer(answer) => answer.lr,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_receives_exactly_the_reported_metrics() {
        let trial = trial("{kind: plateau, patience: 0, factor: 0.5}");
        let mut run = Run::new(&trial, 1);
        let mut lrs = Vec::new();
        for step in 0..8 {
            // The first validation loss is that of step 1; the one of step 3 is not better.
            let valid = if step % 2 == 1 { ", \"valid_loss\": 1.0" } else { "" };
            let lines =
                [format!("{{\"ask\": {step}}}"), format!("{{\"step\": {step}, \"train_loss\": 2.0{valid}}}")];
            let responses = handle(&mut run, &[&lines[0], &lines[1]]).expect("good reports");
            lrs.push(answer(&responses[0]));
        }
        assert_eq!(lrs, [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
        assert!(run.is_complete());
        assert!(matches!(run.finish(&mut |_| true), Outcome::Done(_)));
    }

    #[test]
    fn a_rule_that_decides_before_the_update_gets_the_metrics_of_the_request() {
        let trial = trial("{kind: polyak}");
        let mut run = Run::new(&trial, 1);
        let responses =
            handle(&mut run, &["{\"ask\": 0, \"train_loss\": 2.0, \"grad_norm\": 4.0}"]).expect("good");
        let (schedule, mut state) = (&trial.config.schedule, trial.config.start());
        let before = BeforeUpdate { train_loss: 2.0, grad_norm_squared: 16.0 };
        schedule.before_update(&mut state, 0, &before, &mut Plain::default());
        assert_eq!(answer(&responses[0]).to_bits(), schedule.lr(0, &state).to_bits());
        let again = handle(&mut run, &["{\"ask\": 0}"]).expect("the same request");
        assert_eq!(again, responses);
        let error = handle(&mut run, &["{\"ask\": 1, \"train_loss\": 2.0}"]).expect_err("no norm");
        assert!(error.contains("without `grad_norm`"), "{error}");
    }

    #[test]
    fn missing_metrics_of_a_rule_are_errors() {
        let trial = trial("{kind: plateau, patience: 0}");
        let refused = |lines: &[&str]| handle(&mut Run::new(&trial, 1), lines).expect_err("refused");
        let error = refused(&["{\"step\": 0, \"train_loss\": 1}", "{\"ask\": 1}"]);
        assert!(error.contains("step 0 was reported without an lr request"), "{error}");
        let error = refused(&["{\"ask\": 1}"]);
        assert!(error.contains("expected step 0"), "{error}");
        let lines = [
            "{\"ask\": 0}",
            "{\"step\": 0, \"train_loss\": 1}",
            "{\"ask\": 1}",
            "{\"step\": 1, \"train_loss\": 1}",
            "{\"ask\": 2}",
        ];
        let error = refused(&lines);
        assert!(error.contains("step 1 has no `valid_loss`"), "{error}");
    }

    #[test]
    fn reports_of_one_step_are_combined() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        let lines = [
            "{\"step\": 7, \"train_loss\": 1.5}",
            "{\"step\": 7, \"valid_loss\": 1.25, \"valid_accuracy\": 0.5}",
            "{\"step\": 7, \"test_loss\": 1.0, \"weights_hash\": \"w\"}",
        ];
        handle(&mut run, &lines).expect("good reports");
        let Outcome::Done(done) = run.finish(&mut |_| true) else { panic!("not done") };
        assert_eq!((done.train_loss, done.valid_loss, done.valid_accuracy), (1.5, 1.25, Some(0.5)));
        assert_eq!((done.test_loss, done.weights_hash.as_deref()), (Some(1.0), Some("w")));
    }

    /// Reports may be rare and become rarer, but a sudden jump to the end is rejected.
    #[test]
    fn a_run_that_was_cut_short_is_refused() {
        let text =
            "trainer: {command: [x]}\nbudget: {steps: 100}\nlr: 0.1\nschedules: {a: {kind: constant}}\n";
        let plan = spec::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        let end = |steps: &[u64]| {
            let mut run = Run::new(&plan.trials[0], 1);
            for step in steps.iter().chain([&99]) {
                let line = format!("{{\"step\": {step}, \"valid_loss\": 1}}");
                handle(&mut run, &[&line]).expect("a good report");
            }
            run.finish(&mut |_| true)
        };
        let done = |steps: &[u64]| matches!(end(steps), Outcome::Done(_));
        assert!(done(&[]) && done(&[0]) && done(&[50]));
        assert!(done(&(0..99).collect::<Vec<_>>()) && done(&(0..98).collect::<Vec<_>>()));
        assert!(done(&[9, 19, 29, 39, 49, 59, 69, 79]) && done(&[0, 1, 2, 3, 4, 33, 66]));
        for cut in [(0..90).collect::<Vec<_>>(), vec![9, 19, 29, 39, 49, 59, 69]] {
            let Outcome::GivenUp { reason } = end(&cut) else { panic!("{cut:?}") };
            assert!(reason.contains("were not reported, the longest gap so far"), "{reason}");
        }
    }

    /// The order of nanoGPT's loop: evaluation, update, then the loss of the update's batch.
    #[test]
    fn a_validation_loss_from_before_the_update_is_refused() {
        for schedule in ["{kind: constant}", "{kind: plateau, patience: 0, watch: train_loss}"] {
            let trial = trial(schedule);
            let lines = |first: &str, second: &str| {
                handle(&mut Run::new(&trial, 1), &["{\"ask\": 0}", first, second]).map(|_| ())
            };
            let train = "{\"step\": 0, \"train_loss\": 1}";
            for early in ["{\"step\": 0, \"valid_loss\": 1}", "{\"step\": 0, \"valid_accuracy\": 0.5}"] {
                let error = lines(early, train).expect_err("refused");
                assert!(error.contains("report it for the previous step"), "{error}");
                lines(train, early).expect("in order");
            }
            let both = "{\"step\": 0, \"train_loss\": 1, \"valid_loss\": 1}";
            lines(both, train).expect("reported again");
            lines("{\"step\": 0, \"valid_loss\": 1}", both).expect("the later line counts");
            let early = "{\"step\": 0, \"valid_loss\": 1}";
            let error = handle(&mut Run::new(&trial, 1), &[early, "{\"ask\": 0}"]).expect_err("refused");
            assert!(error.contains("before its lr request"), "{error}");
        }
    }

    #[test]
    fn a_reported_lr_must_be_the_schedules() {
        let trial = trial("{kind: linear, to: 0}");
        let report_lr = |lr: &str| {
            let line = format!("{{\"step\": 4, \"train_loss\": 1, \"lr\": {lr}}}");
            handle(&mut Run::new(&trial, 1), &[&line]).map(|_| ())
        };
        let planned = trial.config.schedule.lr(4, &trial.config.start());
        report_lr(&format!("{planned:?}")).expect("the same");
        report_lr(&format!("{:?}", f64::from(planned as f32))).expect("the same in single precision");
        for other in ["0.1", "0.0", "NaN"] {
            let error = report_lr(other).expect_err(other);
            assert!(error.contains("step 4 used lr") && error.contains(&format!("{planned:?}")), "{error}");
        }
    }

    const GROUPED: &str = "{groups: {matrices: {kind: linear, to: 0}, rest: {kind: plateau, patience: 0, factor: 0.5}}, \
                           lr: {matrices: 0.1, rest: 0.3}}";

    #[test]
    fn each_group_has_its_lr_in_answers_and_checks() {
        let trial = trial(GROUPED);
        let mut run = Run::new(&trial, 1);
        let mut lrs = Vec::new();
        for step in 0..8 {
            let valid = if step % 2 == 1 { ", \"valid_loss\": 1.0" } else { "" };
            let line = format!("{{\"step\": {step}, \"train_loss\": 2.0{valid}}}");
            let responses =
                handle(&mut run, &[&format!("{{\"ask\": {step}}}"), &line]).expect("good reports");
            let json = match &responses[0] {
                Response::Answer(answer) => serde_json::to_value(answer).expect("JSON"),
                other => panic!("{other:?}"),
            };
            assert_eq!(json["lr"], json["groups"]["matrices"]["lr"]);
            assert!(json["groups"]["rest"]["momentum"].is_null());
            lrs.push(json["groups"]["rest"]["lr"].as_f64().expect("an lr"));
        }
        assert_eq!(lrs, [0.3, 0.3, 0.3, 0.3, 0.15, 0.15, 0.075, 0.075]);

        let report = |lr: &str| {
            let line = format!("{{\"step\": 0, \"train_loss\": 1, \"lr\": {lr}}}");
            handle(&mut Run::new(&trial, 1), &["{\"ask\": 0}", &line]).map(|_| ())
        };
        report("{\"matrices\": 0.1, \"rest\": 0.3}").expect("the same lrs");
        report("{\"rest\": 0.3}").expect("one of them");
        report("0.1").expect("that of the first group");
        for (lr, words) in [
            (
                "{\"matrices\": 0.1, \"rest\": 0.1}",
                "used lr 0.1 of the group `rest`, but the schedule has 0.3",
            ),
            ("{\"rset\": 0.3}", "no parameter group `rset` (did you mean `rest`?)"),
            ("0.3", "used lr 0.3, but the schedule has 0.1"),
        ] {
            let error = report(lr).expect_err(lr);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_schedule_without_groups_refuses_lrs_by_group() {
        let trial = trial("{kind: constant}");
        let line = "{\"step\": 0, \"train_loss\": 1, \"lr\": {\"rest\": 0.1}}";
        let error = handle(&mut Run::new(&trial, 1), &[line]).expect_err("refused");
        assert!(error.contains("the schedule has no parameter groups"), "{error}");
        let responses = handle(&mut Run::new(&trial, 1), &["{\"ask\": 0}"]).expect("an answer");
        let Response::Answer(answer) = &responses[0] else { panic!("{responses:?}") };
        let json = serde_json::to_string(answer).expect("JSON");
        assert_eq!(json, "{\"step\":0,\"lr\":0.1,\"momentum\":null}");
    }

    #[test]
    fn a_checkpoint_completes_its_step() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        let responses =
            handle(&mut run, &["{\"step\": 1, \"train_loss\": 1, \"checkpoint\": \"c\"}"]).expect("good");
        let kept = |is_due| vec![Response::Checkpoint { path: "c".to_owned(), is_due }];
        assert_eq!((responses, run.next), (kept(false), 2));
        let error = handle(&mut run, &["{\"step\": 1, \"valid_loss\": 1}"]).expect_err("too late");
        assert!(error.contains("was complete"), "{error}");
        run.set_due(vec![3, 5]);
        let last =
            handle(&mut run, &["{\"step\": 3, \"train_loss\": 1}", "{\"step\": 3, \"checkpoint\": \"c\"}"]);
        assert_eq!(last.expect("good")[1..], kept(true));
        assert_eq!(run.due().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_step_after_a_missing_checkpoint_is_refused() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        run.set_due(vec![2]);
        let lines = ["{\"step\": 2, \"train_loss\": 1}", "{\"step\": 3, \"train_loss\": 1}"];
        let error = handle(&mut run, &lines).expect_err("refused");
        assert!(error.contains("there is no checkpoint after step 2"), "{error}");
        assert!(run.lacks_checkpoint);
    }

    #[test]
    fn each_trial_that_shares_a_step_has_its_evaluation() {
        let trial = trial("{kind: constant}");
        let mut run = Run::new(&trial, 1);
        run.set_trials(vec![trial.id.clone(), "other".to_owned()]);
        let mut evaluated = Vec::new();
        let mut emit = |event| {
            if let Event::Steps { evaluated: more, .. } = event {
                evaluated.extend(more);
            }
            true
        };
        for line in
            ["{\"step\": 0, \"train_loss\": 1, \"valid_loss\": 2}", "{\"step\": 1, \"train_loss\": 1}"]
        {
            run.handle(read(&object(line).expect("JSON")).expect("a report"), &mut emit).expect("good");
        }
        run.flush(&mut emit);
        let found: Vec<_> =
            evaluated.iter().map(|row| (row.trial_id.as_str(), row.step, row.valid_loss)).collect();
        assert_eq!(found, [(trial.id.as_str(), 0, 2.0), ("other", 0, 2.0)]);
    }

    #[test]
    fn a_loss_above_the_bound_ends_the_run() {
        let trial = trial("{kind: constant}");
        let ends = |last: &str| {
            let mut run = Run::new(&trial, 1);
            let lines = ["{\"step\": 0, \"train_loss\": 0.5}", last];
            handle(&mut run, &lines).expect("good reports").pop()
        };
        for last in ["{\"step\": 3, \"train_loss\": 50.1}", "{\"step\": 3, \"valid_loss\": Infinity}"] {
            let Some(Response::Diverged(Outcome::Diverged { at: 3, .. })) = ends(last) else {
                panic!("{last}")
            };
        }
        assert_eq!(ends("{\"step\": 3, \"train_loss\": 49.9}"), Some(Response::Nothing));
    }
}
