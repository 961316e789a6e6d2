//! How many training states fit in memory.

use std::path::Path;

use crate::{Missing, Options, SweepError};

/// Assumed memory in bytes, if the system does not report it.
const ASSUMED: u64 = 4 << 30;

/// Maximum number of states in memory: at least one for each worker and one for a fork.
///
/// # Errors
/// There is not enough memory for that.
pub(crate) fn max_states(missing: &[Missing], options: &Options) -> Result<usize, SweepError> {
    let given = options.memory.unwrap_or_else(|| available() / 2);
    let workers = options.workers;
    let max = |bytes: fn(&Missing) -> u64| missing.iter().map(bytes).max().unwrap_or(0);
    let state = max(|missing| trainer::state_bytes(&missing.trial)).max(1);
    let work = max(|missing| trainer::work_bytes(&missing.trial.config.task));
    let data = max(|missing| trainer::data_bytes(&missing.trial.config.task));
    let fixed = data + work * workers as u64;
    let needed = fixed + state * (workers as u64 + 1);
    if given < needed {
        return Err(SweepError::Memory { workers, needed, given });
    }
    Ok(usize::try_from((given - fixed) / state).unwrap_or(usize::MAX))
}

/// Bytes of available memory: what the system has left, within the limit of the control group.
pub fn available() -> u64 {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
    let system = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let limit = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    system.unwrap_or(ASSUMED).min(limit.unwrap_or(u64::MAX))
}

/// The size as text, such as `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
