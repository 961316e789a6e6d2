//! Signals: the first one stops a verb after its checkpoints are written.

use orchestrator::SweepError;
use sweep::Stop;

use crate::exit::{Failure, say};

/// Runs `work` on this thread. A signal requests its stop, and the result is then `Interrupted`.
pub(crate) fn blocking<T>(work: impl FnOnce(&Stop) -> Result<T, SweepError>) -> Result<T, Failure> {
    let stop = Stop::default();
    let (sender, finished) = tokio::sync::oneshot::channel::<()>();
    let worked = std::thread::scope(|scope| {
        let requested = stop.clone();
        scope.spawn(move || {
            // Without a runtime, signals end the program as usual.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = signal() => requested.request(),
                    _ = finished => {}
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

/// Runs `work` with a stop, which the first Ctrl-C (or SIGTERM, or a closed terminal) requests. A second Ctrl-C ends the program
/// immediately. A second SIGTERM does not: clusters send it more than once.
pub(crate) async fn stoppable<T>(work: impl AsyncFnOnce(&Stop) -> T) -> T {
    let stop = Stop::default();
    let on_signals = tokio::spawn(stop_on_signals(stop.clone()));
    let done = work(&stop).await;
    on_signals.abort();
    done
}

/// Ends at the first Ctrl-C, SIGTERM or closed terminal after the call.
pub(crate) fn until_signal() -> impl Future<Output = ()> {
    signal()
}

async fn stop_on_signals(stop: Stop) {
    signal().await;
    stop.request();
    say("stopping: each worker writes a checkpoint (press Ctrl-C again to quit immediately)");
    // Other signals are ignored: their handlers are installed by now.
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

/// The handlers are installed by the call, not by the first poll.
#[cfg(unix)]
fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    async move {
        match handlers {
            (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            }
            // Without handlers, signals end the program as usual, which loses no stored result.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
