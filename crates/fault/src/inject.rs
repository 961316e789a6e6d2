//! The points in a test build.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::POINTS;

/// The selected fault.
struct Fault {
    point: String,
    /// The pass of the point at which it happens, from 1.
    occurrence: u64,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM, a request to stop.
    Term,
    /// An I/O error.
    Error,
    /// A write that stops halfway, as on a full disk.
    Short,
    /// A slow disk.
    Delay,
    /// A bug in the program.
    Panic,
}

static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
    let text = std::env::var("SWEEP_FAULT").ok()?;
    let fault = parse(&text);
    assert!(fault.is_some(), "SWEEP_FAULT={text}: expected POINT:COUNT:ACTION, with a point of {POINTS:?}");
    fault
});

static COUNTS: LazyLock<Mutex<HashMap<&'static str, u64>>> = LazyLock::new(Mutex::default);

fn parse(text: &str) -> Option<Fault> {
    let mut parts = text.split(':');
    let (point, occurrence, action) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let action = match action {
        "kill" => Action::Kill,
        "term" => Action::Term,
        "error" => Action::Error,
        "short" => Action::Short,
        "delay" => Action::Delay,
        "panic" => Action::Panic,
        _ => return None,
    };
    POINTS.contains(&point).then(|| Fault { point: point.to_owned(), occurrence, action })
}

/// The action to take at this point now, if any.
fn due_action(point: &'static str) -> Option<Action> {
    log(point);
    let fault = FAULT.as_ref()?;
    if fault.point != point {
        return None;
    }
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(point).or_default();
    *count += 1;
    let is_due = *count == fault.occurrence;
    drop(counts);
    if is_due {
        log(&std::env::var("SWEEP_FAULT").unwrap_or_default());
    }
    is_due.then_some(fault.action)
}

/// Writes a line to the log, if there is one.
fn log(line: &str) {
    if let Some(path) = std::env::var_os("SWEEP_FAULT_LOG") {
        let log = OpenOptions::new().append(true).create(true).open(path);
        // A single write, because other threads write too.
        log.and_then(|mut log| log.write_all(format!("{line}\n").as_bytes())).unwrap_or_default();
    }
}

#[expect(clippy::panic, reason = "the fault is a panic")]
fn fail(point: &str, action: Action) -> io::Result<()> {
    match action {
        Action::Kill => {
            // No cleanup runs.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Action::Term => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            // Wait until the program notices the signal.
            std::thread::sleep(Duration::from_millis(500));
            Ok(())
        }
        Action::Error => Err(io::Error::other(format!("injected error at {point}"))),
        Action::Short => {
            Err(io::Error::new(io::ErrorKind::StorageFull, format!("injected full disk at {point}")))
        }
        Action::Panic => panic!("injected panic at {point}"),
        Action::Delay => {
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        }
    }
}

/// Passes a point: see the crate.
///
/// # Errors
/// The selected fault is an error.
pub fn point(point: &'static str) -> io::Result<()> {
    due_action(point).map_or(Ok(()), |action| fail(point, action))
}

/// Passes a point, then writes all bytes: see the crate.
///
/// # Errors
/// The writer fails, or the selected fault is an error.
pub fn write_all(point: &'static str, writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let action = due_action(point);
    if let Some(action) = action {
        if matches!(action, Action::Short | Action::Kill) {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            writer.write_all(half)?;
            writer.flush()?;
        }
        fail(point, action)?;
    }
    writer.write_all(bytes)
}
