//! Named points at which a test build fails on purpose, before and after operations that must be atomic. In other builds the points do
//! nothing. The environment variable `SWEEP_FAULT` selects a fault: `store.commit:3:kill` kills the process the third time that it
//! reaches this point. If `SWEEP_FAULT_LOG` is set, every point appends its name to this file, and a fault appends the value of
//! `SWEEP_FAULT`.

#[cfg(not(feature = "inject"))]
use std::io::{self, Write};

#[cfg(feature = "inject")]
mod inject;

/// All points.
pub const POINTS: [&str; 16] = [
    "checkpoint.write",
    "checkpoint.written",
    "checkpoint.rename",
    "checkpoint.renamed",
    "checkpoint.saved",
    "checkpoint.remove",
    "store.begin",
    "store.commit",
    "store.committed",
    "train.step",
    "fork.before",
    "fork.after",
    "promotion.before",
    "promotion.after",
    "output.rename",
    "output.renamed",
];

/// All actions.
pub const ACTIONS: [&str; 6] = ["kill", "term", "error", "short", "delay", "panic"];

/// Passes a point. In a test build, the fault happens here if it is selected.
///
/// # Errors
/// The selected fault is an error.
#[cfg(not(feature = "inject"))]
#[inline(always)]
pub fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// Passes a point, then writes all bytes. In a test build, a fault may write only half of them.
///
/// # Errors
/// The writer fails, or the selected fault is an error.
#[cfg(not(feature = "inject"))]
#[inline(always)]
pub fn write_all(_: &'static str, writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes)
}

#[cfg(feature = "inject")]
pub use inject::{point, write_all};
