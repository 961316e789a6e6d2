//! Listens at an address and serves the page until it is stopped.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use sweep::Context;

use crate::access::{Access, Token};
use crate::routes::routes;
use crate::service::Service;

/// Where a server listens and who may read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address or name of this machine.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
    /// The token that requests must contain. Without one, a server that other machines can reach makes one.
    pub token: Option<Token>,
    /// Other names under which browsers may address it.
    pub allow_hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 8080, token: None, allow_hosts: Vec::new() }
    }
}

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The host is not an address of this machine.
    #[error(
        "can't listen at {host}: {message}; --host takes an address of this machine, as in 127.0.0.1 or 0.0.0.0"
    )]
    Host {
        /// The host.
        host: String,
        /// The problem.
        message: String,
    },
    /// Another program listens there.
    #[error("port {port} of {host} is in use{}", free.map_or_else(|| "; --port 0 takes a free one".to_owned(), |free| format!("; port {free} is free: --port {free}")))]
    InUse {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The next free port.
        free: Option<u16>,
    },
    /// Another error of the system.
    #[error("can't listen at {host}:{port}: {message}")]
    Other {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The problem.
        message: String,
    },
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
    /// The name of this machine in addresses for others.
    name: String,
}

/// Most ports that are tried for a free one.
const TRIED: u16 = 100;

impl Server {
    /// Listens at an address.
    ///
    /// # Errors
    /// The address is not one of this machine, or another program uses the port.
    pub fn listen(options: &Options) -> Result<Self, ListenError> {
        let Options { host, port, .. } = options;
        let unusable = |message: &dyn std::fmt::Display| ListenError::Host {
            host: host.clone(),
            message: message.to_string(),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut found = (bare, *port).to_socket_addrs().map_err(|error| unusable(&error))?;
        let address = found.next().ok_or_else(|| unusable(&"it has no address"))?;
        let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                ListenError::InUse { host: host.clone(), port: *port, free: free_port(address) }
            }
            ErrorKind::AddrNotAvailable => unusable(&"this machine does not have this address"),
            _ => other(host, *port, &error),
        })?;
        let bound = listener.local_addr().map_err(|error| other(host, *port, &error))?;
        let token = match &options.token {
            None if !bound.ip().is_loopback() => {
                Some(Token::random().map_err(|error| other(host, *port, &error))?)
            }
            token => token.clone(),
        };
        let name = match bound.ip() {
            ip if ip.is_unspecified() => gethostname::gethostname().to_string_lossy().into_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        let mut allowed = options.allow_hosts.clone();
        allowed.push(name.clone());
        let access = Access::new(token, host, &allowed, (bound.ip(), bound.port()));
        Ok(Self { listener, address: bound, access, name })
    }

    /// The address of the page, with the token.
    pub fn url(&self, sweep: Option<&str>) -> String {
        let mut query: Vec<String> =
            sweep.map(|sweep| format!("sweep={}", encoded(sweep))).into_iter().collect();
        query.extend(self.access.token.as_ref().map(|token| format!("token={}", token.text())));
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("http://{}:{}/{query}", self.name, self.address.port())
    }

    /// The address where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` ends. Open connections are closed then.
    ///
    /// # Errors
    /// The server can't be started.
    pub async fn serve(self, context: Context, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let service = Service::start(context)?;
        let app = routes(self.access, service);
        tokio::select! {
            served = axum::serve(listener, app).into_future() => served,
            () = stop => Ok(()),
        }
    }
}

fn other(host: &str, port: u16, message: &dyn std::fmt::Display) -> ListenError {
    ListenError::Other { host: host.to_owned(), port, message: message.to_string() }
}

/// The next port that no program uses.
fn free_port(address: SocketAddr) -> Option<u16> {
    let ports = (1..=TRIED).filter_map(|more| address.port().checked_add(more));
    ports.into_iter().find(|port| TcpListener::bind(SocketAddr::new(address.ip(), *port)).is_ok())
}

/// A sweep's name as a value of a query.
fn encoded(text: &str) -> PercentEncode<'_> {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, &ENCODED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_suggested_and_other_machines_need_a_token() {
        let local = Options { port: 0, ..Options::default() };
        let server = Server::listen(&local).expect("a free port");
        let port = server.address().port();
        assert_eq!(server.url(Some("a b&ü")), format!("http://127.0.0.1:{port}/?sweep=a%20b%26%C3%BC"));
        let again = Server::listen(&Options { port, ..Options::default() }).expect_err("in use");
        assert!(
            again.to_string().starts_with(&format!("port {port} of 127.0.0.1 is in use; port ")),
            "{again}"
        );
        let all =
            Server::listen(&Options { host: "0.0.0.0".to_owned(), ..local.clone() }).expect("a free port");
        assert!(all.url(None).contains("?token="), "{}", all.url(None));
        for host in ["no such host", "192.0.2.1"] {
            let error =
                Server::listen(&Options { host: host.to_owned(), ..local.clone() }).expect_err("no address");
            assert!(matches!(error, ListenError::Host { .. }), "{error}");
        }
    }
}
