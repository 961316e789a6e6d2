//! What the points do in a test build.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::POINTS;

/// What is to happen, and where.
struct Fault {
    point: String,
    /// Which time, from 1.
    time: u64,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// As `kill -9`.
    Kill,
    /// As `kill`: a request to stop.
    Term,
    /// An I/O error.
    Error,
    /// A write that stops halfway, as on a full disk.
    Short,
    /// A disk that takes its time.
    Delay,
    /// A mistake of the program.
    Panic,
}

static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
    let text = std::env::var("SWEEP_FAULT").ok()?;
    let fault = parse(&text);
    assert!(fault.is_some(), "SWEEP_FAULT={text}: expected POINT:TIME:ACTION, with a point of {POINTS:?}");
    fault
});

static PASSED: LazyLock<Mutex<HashMap<&'static str, u64>>> = LazyLock::new(Mutex::default);

fn parse(text: &str) -> Option<Fault> {
    let mut parts = text.split(':');
    let (point, time, action) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let action = match action {
        "kill" => Action::Kill,
        "term" => Action::Term,
        "error" => Action::Error,
        "short" => Action::Short,
        "delay" => Action::Delay,
        "panic" => Action::Panic,
        _ => return None,
    };
    POINTS.contains(&point).then(|| Fault { point: point.to_owned(), time, action })
}

/// What happens at this point now.
fn due(point: &'static str) -> Option<Action> {
    log(point);
    let fault = FAULT.as_ref()?;
    if fault.point != point {
        return None;
    }
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let times = passed.entry(point).or_default();
    *times += 1;
    let is_due = *times == fault.time;
    drop(passed);
    if is_due {
        log(&std::env::var("SWEEP_FAULT").unwrap_or_default());
    }
    is_due.then_some(fault.action)
}

/// Writes a line to the log, where there is one.
fn log(line: &str) {
    if let Some(path) = std::env::var_os("SWEEP_FAULT_LOG") {
        let log = OpenOptions::new().append(true).create(true).open(path);
        // In one piece: other threads write too.
        log.and_then(|mut log| log.write_all(format!("{line}\n").as_bytes())).unwrap_or_default();
    }
}

#[expect(clippy::panic, reason = "it was asked for")]
fn fail(point: &str, action: Action) -> io::Result<()> {
    match action {
        Action::Kill => {
            // Nothing that would run at an orderly end runs.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Action::Term => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            // Until the request is seen.
            std::thread::sleep(Duration::from_millis(500));
            Ok(())
        }
        Action::Error => Err(io::Error::other(format!("an injected error at {point}"))),
        Action::Short => {
            Err(io::Error::new(io::ErrorKind::StorageFull, format!("an injected lack of room at {point}")))
        }
        Action::Panic => panic!("an injected panic at {point}"),
        Action::Delay => {
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        }
    }
}

/// See the crate.
///
/// # Errors
/// It was asked for.
pub fn point(point: &'static str) -> io::Result<()> {
    due(point).map_or(Ok(()), |action| fail(point, action))
}

/// See the crate.
///
/// # Errors
/// As the writer, or it was asked for.
pub fn write_all(point: &'static str, writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let action = due(point);
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
