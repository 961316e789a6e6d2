//! Checks of a request: the token, and the names under which the page may be addressed. A page of another site could make a browser send
//! requests here (DNS rebinding); such requests have that site's name in their header `Host`.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};
use subtle::ConstantTimeEq;

/// A secret that requests must contain.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The fewest characters of a token.
const SHORTEST: usize = 8;

impl std::str::FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if text.len() >= SHORTEST && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("expected at least {SHORTEST} letters, digits or any of - . _ ~"))
    }
}

impl Token {
    /// A random token.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn random() -> Result<Self, String> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The token as text, for the address that is printed.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a text is this token. The time does not depend on where they differ.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// Where a request has the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// In a header.
    Header,
    /// In the address: it is moved into a cookie.
    Address,
    /// Nowhere, or it is wrong.
    Nowhere,
}

/// The rules for readers.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) token: Option<Token>,
    /// Names of hosts, in lower case.
    names: Vec<String>,
    /// Whether any address of this machine is allowed: it listens on all of them.
    any_address: bool,
    /// The name of the cookie: servers on other ports have other ones.
    pub(crate) cookie: String,
}

impl Access {
    /// The rules of a server that listens at an address.
    pub(crate) fn new(token: Option<Token>, host: &str, allowed: &[String], bound: (IpAddr, u16)) -> Self {
        let (address, port) = bound;
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        names.push(address.to_string());
        names.push(plain(host));
        names.extend(allowed.iter().map(|name| plain(name)));
        Self { token, names, any_address: address.is_unspecified(), cookie: format!("sweep_token_{port}") }
    }

    /// Whether a request addresses this server by a name that is allowed; its port does not matter.
    pub(crate) fn allows_host(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next(), uri.authority()) {
            (Some(host), None, _) => host.to_str().ok(),
            (None, _, Some(authority)) => Some(authority.as_str()),
            _ => None,
        };
        let Some(host) = host.and_then(without_port) else { return false };
        let host = plain(host);
        self.names.contains(&host) || (self.any_address && host.parse::<IpAddr>().is_ok())
    }

    /// Where a request has the token.
    pub(crate) fn find(&self, headers: &HeaderMap, query: Option<&str>) -> Found {
        let Some(token) = &self.token else { return Found::Header };
        let text = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let bearer = |value: &str| {
            let (scheme, given) = value.split_once(' ').unwrap_or_default();
            scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim())
        };
        if text(header::AUTHORIZATION).any(bearer) {
            return Found::Header;
        }
        let cookies = text(header::COOKIE).flat_map(|value| value.split(';'));
        let mut own =
            cookies.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| *name == self.cookie);
        let has_cookie = own.any(|(_, value)| token.is(value));
        let in_address = query.into_iter().flat_map(|query| query.split('&'));
        let mut given = in_address.filter_map(|pair| pair.strip_prefix("token="));
        match given.next() {
            Some(text) if token.is(text) => Found::Address,
            _ if has_cookie => Found::Header,
            _ => Found::Nowhere,
        }
    }
}

/// A query without the token.
pub(crate) fn without_token(query: Option<&str>) -> String {
    let rest = query.into_iter().flat_map(|query| query.split('&'));
    let rest: Vec<&str> = rest.filter(|pair| !pair.is_empty() && !pair.starts_with("token=")).collect();
    if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) }
}

/// A host without its port; `None` if it is not `HOST` or `HOST:PORT`.
fn without_port(host: &str) -> Option<&str> {
    let (name, rest) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => {
            host.split_once(':').map_or((host, ""), |(name, _)| (name, host.get(name.len()..).unwrap_or("")))
        }
    };
    let port = rest.strip_prefix(':');
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (!name.is_empty() && (rest.is_empty() || port.is_some_and(is_port))).then_some(name)
}

/// A name in lower case, without brackets and the final dot.
fn plain(name: &str) -> String {
    name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn access(address: &str, host: &str, allowed: &[&str]) -> Access {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        Access::new(None, host, &allowed, (address.parse().expect("an address"), 8080))
    }

    #[test]
    fn hosts_are_compared_without_their_port() {
        let local = access("127.0.0.1", "127.0.0.1", &["Box.example"]);
        let allows = |access: &Access, host: &str| {
            access.allows_host(&headers(&[("host", host)]), &Uri::from_static("/"))
        };
        for host in [
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "127.0.0.1:8080",
            "[::1]:9",
            "[::1]",
            "box.example:443",
        ] {
            assert!(allows(&local, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            ":8080",
            "localhost:80:80",
            "localhost:8x",
            "[::1",
            "user@localhost",
        ] {
            assert!(!allows(&local, host), "{host}");
        }
        assert!(!local.allows_host(&HeaderMap::new(), &Uri::from_static("/")));
        let twice = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert!(!local.allows_host(&twice, &Uri::from_static("/")));
        let all = access("0.0.0.0", "0.0.0.0", &[]);
        assert!(allows(&all, "10.1.2.3:8080") && !allows(&all, "evil.example"));
        assert!(allows(&access("10.1.2.3", "node7", &[]), "node7:8080"));
    }

    #[test]
    fn a_token_is_in_a_header_a_cookie_or_once_in_the_address() {
        let mut access = access("127.0.0.1", "127.0.0.1", &[]);
        assert_eq!(access.find(&HeaderMap::new(), None), Found::Header, "no token is needed");
        access.token = Some("secret-1".parse().expect("a token"));
        for (pairs, query, found) in [
            (&[][..], None, Found::Nowhere),
            (&[], Some("token=secret-1"), Found::Address),
            (&[], Some("sweep=a&token=secret-1"), Found::Address),
            (&[], Some("token=secret-2"), Found::Nowhere),
            (&[], Some("token=secret-1x"), Found::Nowhere),
            (&[], Some("token="), Found::Nowhere),
            (&[("authorization", "Bearer secret-1")], None, Found::Header),
            (&[("authorization", "bearer secret-1")], None, Found::Header),
            (&[("authorization", "Basic secret-1")], None, Found::Nowhere),
            (&[("cookie", "a=b; sweep_token_8080=secret-1")], None, Found::Header),
            (&[("cookie", "sweep_token_8081=secret-1")], None, Found::Nowhere),
            (&[("cookie", "sweep_token_8080=secret-1")], Some("token=wrong-00"), Found::Header),
        ] {
            assert_eq!(access.find(&headers(pairs), query), found, "{pairs:?} {query:?}");
        }
        assert_eq!(without_token(Some("sweep=a&token=x&b=c")), "?sweep=a&b=c");
        assert_eq!(without_token(Some("token=x")), "");
    }

    #[test]
    fn a_token_is_plain_and_not_short() {
        for wrong in ["", "short", "with space", "semi;colon1", "quote\"12345", "ünicode1"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
        let token = Token::random().expect("random numbers");
        assert_eq!(token.text().len(), 32);
        assert_ne!(token, Token::random().expect("random numbers"));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
