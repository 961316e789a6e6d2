//! Named points at which a test build fails on purpose: before and after what must not be half done. In any other build
//! they are nothing. What fails is said by the environment variable `SWEEP_FAULT`, as in `store.commit:3:kill`: the third
//! time that this point is passed. `SWEEP_FAULT_LOG` names a file that every point appends its name to; where it fails, the
//! fault as it was asked for.

#[cfg(not(feature = "inject"))]
use std::io::{self, Write};

#[cfg(feature = "inject")]
mod inject;

/// Every point that there is.
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

/// What can happen at a point.
pub const ACTIONS: [&str; 6] = ["kill", "term", "error", "short", "delay", "panic"];

/// Passes a point.
///
/// # Errors
/// A test build was asked to fail here.
#[cfg(not(feature = "inject"))]
#[inline(always)]
pub fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// Writes all bytes, passing a point first.
///
/// # Errors
/// As the writer; or a test build was asked to fail here, perhaps with a part of the bytes written.
#[cfg(not(feature = "inject"))]
#[inline(always)]
pub fn write_all(_: &'static str, writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes)
}

#[cfg(feature = "inject")]
pub use inject::{point, write_all};
