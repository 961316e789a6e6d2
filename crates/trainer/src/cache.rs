//! The processor's cache, to choose the order of work by. Results do not depend on it.

use std::sync::OnceLock;

/// Assumed bytes, if the system does not report it.
const ASSUMED: usize = 512 << 10;

/// Bytes of the L2 cache of one core.
pub(crate) fn l2_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // In KiB on Linux, such as `2048K`.
        let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size").ok();
        let kib = text.and_then(|text| text.trim().strip_suffix('K')?.parse::<usize>().ok());
        kib.map_or(ASSUMED, |kib| kib << 10)
    })
}
