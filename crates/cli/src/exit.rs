//! How the program ends: the one list of exit codes and the one printer of errors.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use schedule::problem::Problem;
use store::StoreError;
use sweep::Error;

use crate::diagnostics::{Severity, render};

/// Why a verb did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's mistake, in words: exit code 2.
    Usage(String),
    /// Mistakes in a text, to be shown with their places: exit code 2.
    Problems { name: String, text: String, problems: Vec<Problem> },
    /// The user's mistake, already shown: exit code 2.
    Shown,
    /// Something failed: exit code 1.
    Failed(String),
    /// Something failed and the verb has said so: exit code 1.
    Told,
    /// Stopped by Ctrl-C or a signal: exit code 130.
    Interrupted,
    /// Whoever read stdout has gone and wants no more, as `head` does: exit code 0.
    NotRead,
}

impl Failure {
    pub(crate) fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NoFile { .. } => Self::usage(error),
            Error::Problems { name, text, problems } => Self::Problems { name, text, problems },
            Error::Usage(message) => Self::Usage(message),
            Error::Failed(message) => Self::Failed(message),
            Error::Interrupted => Self::Interrupted,
        }
    }
}

/// Errors of the crates below count as they do in a sweep.
macro_rules! failure_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        })*
    };
}

failure_from!(StoreError, orchestrator::SweepError, trainer::TrainError, trainer::device::DeviceError);

/// What every verb returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Prints the error, if there is one, and gives the exit code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let (message, code) = match outcome {
        Ok(()) | Err(Failure::NotRead) => (None, 0),
        Err(Failure::Usage(message)) => (Some(message), 2),
        Err(Failure::Problems { name, text, problems }) => {
            show(Severity::Error, &problems, &name, &text);
            (None, 2)
        }
        Err(Failure::Shown) => (None, 2),
        Err(Failure::Failed(message)) => (Some(message), 1),
        Err(Failure::Told) => (None, 1),
        Err(Failure::Interrupted) => (None, 130),
    };
    if let Some(message) = message {
        say(format_args!("\u{1b}[1;31merror\u{1b}[0m: {message}"));
    }
    ExitCode::from(code)
}

/// Prints each problem on stderr: `file:line:column`, the line, what is wrong, what to do.
pub(crate) fn show(severity: Severity, problems: &[Problem], file: &str, text: &str) {
    for problem in problems {
        say(render(severity, problem, file, text));
    }
}

/// One line on stderr. There is no one left to tell when that fails.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Data on stdout.
///
/// # Errors
/// Stdout can't be written; a reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = anstream::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format_args!("can't write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
