//! The dashboard next to a sweep that this process trains. It runs on its own threads and ends with the sweep; a failure is a
//! warning and never ends the sweep.

use std::thread::JoinHandle;

use dashboard::{Options, Server};
use sweep::Context;
use tokio::sync::oneshot;

use crate::exit::{Failure, say};
use crate::verb::dashboard_failure;

/// A running dashboard; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Live {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends as soon as it sees the stop; a panic was printed already.
            let _ = thread.join();
        }
    }
}

/// Where `run --dashboard` listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// Parses `HOST:PORT`, `HOST` or `:PORT`.
pub(crate) fn address(text: &str) -> Result<Address, String> {
    let expected = || "expected HOST:PORT, as in 127.0.0.1:8080 (port 0 takes a free one)".to_owned();
    let default = Options::default();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.map_or(Ok(default.port), |port| port.parse().map_err(|_| expected()))?;
    let host = if host.is_empty() { default.host } else { host.to_owned() };
    Ok(Address { host, port })
}

/// Starts the dashboard for a sweep. A mistake in the address is an error; anything else is a warning.
pub(crate) fn start(at: &Address, sweep: &str, context: &Context) -> Result<Option<Live>, Failure> {
    let options = Options { host: at.host.clone(), port: at.port, ..Options::default() };
    let options = Options { token: token()?, ..options };
    let server = match Server::listen(&options).map_err(dashboard_failure) {
        Ok(server) => server,
        Err(Failure::Failed(message)) => {
            warn(&message);
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    let url = server.url(Some(sweep));
    let context = context.clone();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("dashboard".to_owned()).spawn(move || {
        let served = sweep::wait_for(async {
            let stopped = async {
                // An error is a dropped sender, which is the stop.
                let _ = stopped.await;
            };
            server.serve(context, stopped).await.map_err(Failure::failed)
        });
        if let Err(Failure::Failed(message)) = served {
            warn(&message);
        }
    });
    match thread {
        Ok(thread) => {
            say(format_args!(
                "dashboard: {url} (it ends with this sweep; `sweep dashboard` shows it afterwards)"
            ));
            Ok(Some(Live { stop: Some(stop), thread: Some(thread) }))
        }
        Err(error) => {
            warn(&error.to_string());
            Ok(None)
        }
    }
}

/// The token from the environment, as for `sweep dashboard`.
fn token() -> Result<Option<dashboard::Token>, Failure> {
    let text = std::env::var("SWEEP_DASHBOARD_TOKEN").ok();
    let parsed = text.map(|text| text.parse().map_err(|why| format!("SWEEP_DASHBOARD_TOKEN: {why}")));
    parsed.transpose().map_err(Failure::Usage)
}

fn warn(message: &str) {
    say(format_args!("\u{1b}[1;33mwarning\u{1b}[0m: no dashboard: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_host_or_port() {
        for (text, host, port) in [
            ("127.0.0.1:9000", "127.0.0.1", 9000),
            (":0", "127.0.0.1", 0),
            ("0.0.0.0", "0.0.0.0", 8080),
            ("[::1]:81", "[::1]", 81),
            ("::1", "::1", 8080),
        ] {
            assert_eq!(address(text), Ok(Address { host: host.to_owned(), port }), "{text}");
        }
        for text in ["localhost:", "a:b", "a:70000"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
