//! What must be set before anything else runs.

use tracing_subscriber::EnvFilter;

/// Keeps candle's thread pools at one thread, unless the user says otherwise: trials are trained side by
/// side, one thread each, and more threads than cores make all of them slower.
#[expect(unsafe_code, reason = "the environment can't be changed without")]
pub(crate) fn one_thread_per_trial() {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: `main` has started no other thread yet.
            unsafe { std::env::set_var(name, "1") };
        }
    }
}

/// Warnings of all parts on stderr; `SWEEP_LOG` (as in `debug` or `store=trace`) asks for more.
pub(crate) fn log(quiet: bool) {
    let default = if quiet { "error" } else { "warn" };
    let filter = EnvFilter::try_from_env("SWEEP_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let format = tracing_subscriber::fmt().with_writer(anstream::stderr).without_time().with_target(false);
    format.with_env_filter(filter).init();
}
