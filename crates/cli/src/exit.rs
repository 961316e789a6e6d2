//! How the program ends: all exit codes, and the printing of errors.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use schedule::problem::Problem;
use store::StoreError;
use sweep::Error;

use crate::diagnostics::{Severity, render};

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong input, with a message: exit code 2.
    Usage(String),
    /// Problems in a text, to be printed with their source lines: exit code 2.
    Problems { name: String, text: String, problems: Vec<Problem> },
    /// Wrong input, already printed: exit code 2.
    Shown,
    /// Any other failure, with a message: exit code 1.
    Failed(String),
    /// Any other failure, already printed: exit code 1.
    Reported,
    /// Stopped by Ctrl-C or another signal: exit code 130.
    Interrupted,
    /// The reader of stdout closed it, as `head` does: exit code 0.
    ReaderClosed,
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

/// Converts errors of lower crates in the way that `sweep::Error` does.
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

/// The result of a verb.
pub(crate) type Outcome = Result<(), Failure>;

/// Prints the error, if any, and returns the exit code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let (message, code) = match outcome {
        Ok(()) | Err(Failure::ReaderClosed) => (None, 0),
        Err(Failure::Usage(message)) => (Some(message), 2),
        Err(Failure::Problems { name, text, problems }) => {
            show(Severity::Error, &problems, &name, &text);
            (None, 2)
        }
        Err(Failure::Shown) => (None, 2),
        Err(Failure::Failed(message)) => (Some(message), 1),
        Err(Failure::Reported) => (None, 1),
        Err(Failure::Interrupted) => (None, 130),
    };
    if let Some(message) = message {
        say(format_args!("\u{1b}[1;31merror\u{1b}[0m: {message}"));
    }
    ExitCode::from(code)
}

/// Prints each problem on stderr; see [`render`].
pub(crate) fn show(severity: Severity, problems: &[Problem], file: &str, text: &str) {
    for problem in problems {
        say(render(severity, problem, file, text));
    }
}

/// Prints a line on stderr. A failure to write it is ignored: nothing could report it.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints data on stdout.
///
/// # Errors
/// Stdout can't be written. A closed reader is not an error.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = anstream::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format_args!("can't write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
