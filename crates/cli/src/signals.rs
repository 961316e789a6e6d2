//! Signals: the first one stops a verb in good order.

use orchestrator::SweepError;
use sweep::Stop;

use crate::exit::{Failure, say};

/// Runs `work` on this thread with a stop that a signal requests; then the verb is interrupted.
pub(crate) fn alone<T>(work: impl FnOnce(&Stop) -> Result<T, SweepError>) -> Result<T, Failure> {
    let stop = Stop::default();
    let (sender, over) = tokio::sync::oneshot::channel::<()>();
    let worked = std::thread::scope(|scope| {
        let asked = stop.clone();
        scope.spawn(move || {
            // Without a runtime the system's own handlers end the program.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = signal() => asked.request(),
                    _ = over => {}
                }
            });
        });
        let worked = work(&stop);
        drop(sender);
        worked
    });
    if stop.requested() {
        return Err(Failure::Interrupted);
    }
    Ok(worked?)
}

/// Runs `work` with a stop that the first Ctrl-C (or SIGTERM, or a closed terminal) requests. A second Ctrl-C ends the program
/// at once; clusters send SIGTERM more than once.
pub(crate) async fn stoppable<T>(work: impl AsyncFnOnce(&Stop) -> T) -> T {
    let stop = Stop::default();
    let on_signals = tokio::spawn(stop_on_signals(stop.clone()));
    let done = work(&stop).await;
    on_signals.abort();
    done
}

async fn stop_on_signals(stop: Stop) {
    signal().await;
    stop.request();
    say("stopping: each worker writes a checkpoint (Ctrl-C again quits at once)");
    // Of other signals the handlers that are there by now take no notice.
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        // Without handlers the system's own ones end the program, which loses nothing that is stored.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
