//! The starts of programs. A program that fails at its first starts in the same way before it reports a step, for example because a
//! module is not installed, would fail in all other trials too.

use std::collections::{BTreeSet, HashMap};

use spec::trial::Program;

/// A program is given up when this many trials have failed for the same reason before their first step.
const MOST_FAILURES: usize = 3;

/// The programs that were started in this process.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    programs: Vec<(Program, State)>,
    /// The trials of starts that have not reported a step, by the stage that will have the steps.
    silent: HashMap<u64, String>,
}

/// The starts of a program so far.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// No start has reported a step. The last starts failed for this reason.
    Unproven { reason: String, trials: BTreeSet<String> },
    /// A start has reported a step: failures may be those of single trials.
    Works,
    /// No more trials of it are started.
    GivenUp,
}

impl Starts {
    /// A program was started for a trial; `stage` will have its steps.
    pub(crate) fn started(&mut self, stage: u64, trial: &str) {
        self.silent.insert(stage, trial.to_owned());
    }

    /// A stage has new steps. Returns the trial of the start whose first steps these are.
    pub(crate) fn first_steps(&mut self, stage: u64) -> Option<String> {
        self.silent.remove(&stage)
    }

    /// The program has reported a step.
    pub(crate) fn works(&mut self, program: &Program) {
        let state = self.state(program);
        if *state != State::GivenUp {
            *state = State::Works;
        }
    }

    /// A start for a trial has failed. Returns whether the program is given up because of it.
    pub(crate) fn failed(&mut self, program: &Program, trial: &str, why: &str) -> bool {
        let state = self.state(program);
        let State::Unproven { reason, trials } = state else { return false };
        if reason != why {
            (*reason, *trials) = (why.to_owned(), BTreeSet::new());
        }
        trials.insert(trial.to_owned());
        let is_given_up = trials.len() >= MOST_FAILURES;
        if is_given_up {
            *state = State::GivenUp;
        }
        is_given_up
    }

    pub(crate) fn is_given_up(&self, program: &Program) -> bool {
        self.programs.iter().any(|(known, state)| known == program && *state == State::GivenUp)
    }

    /// Trials with other parameters count as another program: these may be the reason of the failure.
    fn state(&mut self, program: &Program) -> &mut State {
        let known = self.programs.iter().position(|(known, _)| known == program);
        let at = known.unwrap_or(self.programs.len());
        if known.is_none() {
            self.programs
                .push((program.clone(), State::Unproven { reason: String::new(), trials: BTreeSet::new() }));
        }
        &mut self.programs[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(width: i64) -> Program {
        Program {
            command: vec!["train".to_owned()],
            files: Default::default(),
            params: width.into(),
            options: Default::default(),
        }
    }

    #[test]
    fn three_trials_that_fail_alike_before_their_first_step_give_a_program_up() {
        let mut starts = Starts::default();
        let mut failed = |width, trial: &str, why: &str| starts.failed(&program(width), trial, why);
        assert!(!failed(1, "x", "a") && !failed(1, "y", "a"));
        assert!(!failed(1, "y", "a"), "a retry");
        assert!(!failed(1, "z", "b"), "another reason");
        assert!(!failed(2, "z", "b"), "other parameters");
        assert!(!failed(1, "x", "b") && failed(1, "y", "b"));
        assert!(!failed(1, "u", "b"), "reported once");
        assert!(starts.is_given_up(&program(1)) && !starts.is_given_up(&program(2)));
    }

    #[test]
    fn a_program_that_reported_a_step_is_never_given_up() {
        let mut starts = Starts::default();
        starts.started(7, "x");
        assert_eq!([8, 7, 7].map(|stage| starts.first_steps(stage)), [None, Some("x".to_owned()), None]);
        starts.works(&program(1));
        assert!(["x", "y", "z", "u"].iter().all(|trial| !starts.failed(&program(1), trial, "a")));
    }
}
