//! How the program ends: all exit codes, and the printing of errors.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use schedule::problem::{Problem, counted};
use store::StoreError;
use sweep::Error;

use crate::diagnostics::{self, Severity, render};

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong input, with a message: exit code 2.
    Usage(String),
    /// Problems in a text, to be printed with their source lines: exit code 2.
    Problems { name: String, text: String, problems: Vec<Problem> },
    /// Warnings, already printed, that `--deny-warnings` turns into an error: exit code 2.
    Denied { name: String, warnings: Vec<Problem> },
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

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Problems { .. } | Self::Denied { .. } | Self::Shown => 2,
            Self::Failed(_) | Self::Reported => 1,
            Self::Interrupted => 130,
            Self::ReaderClosed => 0,
        }
    }

    /// The error in one sentence, if it has one.
    fn message(&self) -> Option<String> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message.clone()),
            Self::Denied { name, warnings } => {
                Some(format!("{name}: {} with --deny-warnings", counted(warnings.len(), "warning")))
            }
            Self::Interrupted => Some("interrupted".to_owned()),
            Self::Problems { .. } | Self::Shown | Self::Reported | Self::ReaderClosed => None,
        }
    }

    /// The error as objects for programs.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        let (severity, name, problems) = match self {
            Self::Problems { name, problems, .. } => (Severity::Error, name.as_str(), problems.as_slice()),
            Self::Denied { name, warnings } => (Severity::Warning, name.as_str(), warnings.as_slice()),
            _ => (Severity::Error, "", &[][..]),
        };
        let problems = problems.iter().map(|problem| diagnostics::object(severity, problem, name));
        problems.chain(self.message().map(|message| diagnostics::sentence(&message))).collect()
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

/// Where errors are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errors {
    /// On stderr, for people.
    Stderr,
    /// On stderr, and as an object on stdout: `--format json` was given.
    Both,
}

/// Prints the error, if any, and returns the exit code.
pub(crate) fn report(outcome: Outcome, errors: Errors) -> ExitCode {
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    match &failure {
        Failure::Problems { name, text, problems } => show(Severity::Error, problems, name, text),
        Failure::Interrupted => {}
        other => other
            .message()
            .iter()
            .for_each(|message| say(format_args!("\u{1b}[1;31merror\u{1b}[0m: {message}"))),
    }
    let objects = failure.objects();
    if errors == Errors::Both && !objects.is_empty() {
        // A failure to write it is ignored: the error is on stderr, and in the exit code.
        let _ = print(&diagnostics::document(objects, failure.code()));
    }
    ExitCode::from(failure.code())
}

/// A failure that is noticed after a table of results was printed on stdout: it is printed on stderr only, since a second
/// document on stdout would make the first one unreadable.
pub(crate) fn after_output(failure: Failure) -> Failure {
    let printed = match failure.code() {
        2 => Failure::Shown,
        _ => Failure::Reported,
    };
    report(Err(failure), Errors::Stderr);
    printed
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
