//! Setup before anything else runs: environment variables and logging.

use tracing_subscriber::EnvFilter;

/// Thread pools of candle, which get one thread unless the user sets another number: trials are trained in parallel, one thread
/// each, and more threads than cores make all of them slower.
const POOLS: [&str; 2] = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];

/// Sets the variables that must be set before another thread reads the environment. Removes empty ones: shells and CI systems
/// set a variable to "" where they mean "not set".
#[expect(unsafe_code, reason = "the environment can't be changed without")]
pub(crate) fn environment() {
    let is_known = |name: &str| name.starts_with("SWEEP_") || POOLS.contains(&name);
    let names =
        std::env::vars_os().filter(|(_, value)| value.to_str().is_some_and(|value| value.trim().is_empty()));
    let empty: Vec<_> =
        names.map(|(name, _)| name).filter(|name| name.to_str().is_some_and(is_known)).collect();
    for name in empty {
        // SAFETY: `main` has started no other thread yet.
        unsafe { std::env::remove_var(name) };
    }
    for name in POOLS {
        if std::env::var_os(name).is_none() {
            // SAFETY: as above.
            unsafe { std::env::set_var(name, "1") };
        }
    }
}

/// Logs warnings on stderr. `SWEEP_LOG` sets another filter, as in `debug` or `store=trace`.
pub(crate) fn log(quiet: bool) {
    let default = if quiet { "error" } else { "warn" };
    let filter = EnvFilter::try_from_env("SWEEP_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let format = tracing_subscriber::fmt().with_writer(anstream::stderr).without_time().with_target(false);
    format.with_env_filter(filter).init();
}
