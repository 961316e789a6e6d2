//! Where a store is: a folder with an SQLite database, or a database on a PostgreSQL server. Neither `Display` nor
//! `Debug` shows a password.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::{Host, Url};

/// Schemes of a server's address.
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// The query parameters of an address that are allowed.
const PARAMETERS: [&str; 11] = [
    "user",
    "password",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "options",
];

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Location {
    /// `DIR/sweep.db`, on a local disk.
    Folder(PathBuf),
    /// A PostgreSQL server.
    Server(Box<Server>),
    /// A text that is neither. Opening it returns the error.
    Unusable {
        /// The text, without anything that may be a password.
        text: String,
        /// The problem.
        message: String,
    },
}

/// A database on a PostgreSQL server.
#[derive(Clone)]
pub struct Server {
    pub(crate) options: PgConnectOptions,
    address: String,
    has_password: bool,
}

impl Server {
    /// Whether the address contains a password.
    pub fn has_password(&self) -> bool {
        self.has_password
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.address).finish()
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Location {
    /// Parses `postgres://user@host/database` or the name of a folder. Never fails: opening an unusable location
    /// returns the error, whose message contains no password.
    pub fn parse(text: OsString) -> Self {
        let Some((scheme, rest)) = text.to_str().and_then(|text| text.split_once(':')) else {
            return Self::Folder(PathBuf::from(text));
        };
        let is_server = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let unusable =
            |message: &str| Self::Unusable { text: format!("{scheme}://…"), message: message.to_owned() };
        match (is_server, rest.starts_with("//")) {
            (false, false) => return Self::Folder(PathBuf::from(text)),
            (false, true) => return unusable(&format!("unknown scheme `{scheme}`, expected `postgres`")),
            (true, false) => return unusable("expected `//` after the colon"),
            (true, true) => {}
        }
        let Some(Ok(url)) = text.to_str().map(Url::parse) else { return unusable("not a valid URL") };
        match server(url) {
            Ok(server) => Self::Server(Box::new(server)),
            Err(message) => unusable(&message),
        }
    }

    /// The folder. `None` for a server.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(dir) => Some(dir),
            Self::Server(_) | Self::Unusable { .. } => None,
        }
    }
}

impl Location {
    /// The folder of this store's checkpoints: next to the database by default, or in `dir`. For a server the default
    /// is in `runs`. Two stores never share one.
    pub fn checkpoints(&self, dir: Option<&Path>) -> PathBuf {
        self.side_folder("checkpoints", dir)
    }

    /// The folder of files that custom programs write, in the same place.
    pub fn trials(&self, dir: Option<&Path>) -> PathBuf {
        self.side_folder("trials", dir)
    }

    fn side_folder(&self, name: &str, dir: Option<&Path>) -> PathBuf {
        match (dir, self) {
            (None, Self::Folder(dir)) => dir.join(name),
            (dir, _) => dir.unwrap_or(Path::new("runs")).join(format!("{name}-{}", self.fingerprint())),
        }
    }

    /// 8 hex digits that identify this store. They depend on the folder, or on the server and the name of the
    /// database, but not on the user.
    pub fn fingerprint(&self) -> String {
        let text = match self {
            Self::Folder(dir) => {
                std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).display().to_string()
            }
            Self::Server(server) => {
                let options = &server.options;
                let place = options
                    .get_socket()
                    .map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
                let database = options.get_database().unwrap_or(options.get_username());
                format!("{place}:{}/{database}", options.get_port())
            }
            Self::Unusable { text, .. } => text.clone(),
        };
        blake3::hash(text.as_bytes()).to_hex().chars().take(8).collect()
    }
}

/// Parses the address of a server.
///
/// # Errors
/// What is wrong with the address. The message contains no values: a value may be a misplaced password.
fn server(mut url: Url) -> Result<Server, String> {
    if let Some((key, _)) = url.query_pairs().find(|(key, _)| !PARAMETERS.contains(&&**key)) {
        // A key that does not look like a name may be the end of a password.
        let is_name = key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let key = if is_name { format!("`{key}`") } else { "the text after `?`".to_owned() };
        return Err(format!("{key} is not a known parameter ({})", PARAMETERS.join(", ")));
    }
    let path = url.path().trim_start_matches('/');
    if url.fragment().is_some() || path.contains(['/', '@']) {
        return Err("expected the name of one database after the host; in a password write / as %2F, # as %23, ? as %3F and @ as %40".to_owned());
    }
    let has_parameter = |names: &[&str]| url.query_pairs().any(|(key, _)| names.contains(&&*key));
    // The parser's message may contain the invalid value, which may be a password.
    let options = PgConnectOptions::from_str(url.as_str());
    let mut options = options.map_err(|_| "a part of the address is invalid".to_owned())?;
    let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if url.username().is_empty()
        && !has_parameter(&["user"])
        && var("PGUSER").is_none()
        && let Some(user) = var("USER").or_else(|| var("LOGNAME"))
    {
        options = options.username(&user);
    }
    // The URL has brackets around an IPv6 address; the option must not.
    if let (Some(Host::Ipv6(address)), false) = (url.host(), has_parameter(&["host", "hostaddr"])) {
        options = options.host(&address.to_string());
    }
    let has_password = url.password().is_some() || has_parameter(&["password"]);
    without_password(&mut url);
    Ok(Server { options: options.application_name("sweep"), address: url.to_string(), has_password })
}

/// Removes the password from a URL, in both places that can contain it.
fn without_password(url: &mut Url) {
    // Fails only for URLs that can't contain a password.
    let _ = url.set_password(None);
    if url.query().is_some() {
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| key != "password")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        for (key, value) in kept {
            // Keeps paths readable; escapes what would end the query.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,~".contains(c);
            let pair = if value.chars().all(plain) {
                format!("{key}={value}")
            } else {
                url::form_urlencoded::Serializer::new(String::new()).append_pair(&key, &value).finish()
            };
            let query = url.query().map_or(pair.clone(), |before| format!("{before}&{pair}"));
            url.set_query(Some(&query));
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(dir) => dir.display().fmt(f),
            Self::Server(server) => server.fmt(f),
            Self::Unusable { text, .. } => f.write_str(text),
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Location {
    fn from(dir: &P) -> Self {
        Self::Folder(dir.as_ref().to_owned())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for (text, display) in [
            ("postgres://me:secret@host:5433/sweeps", "postgres://me@host:5433/sweeps"),
            ("postgresql://host/x?user=me&password=secret", "postgresql://host/x?user=me"),
            (
                "postgres://me@localhost/x?host=/run/pg&password=secret",
                "postgres://me@localhost/x?host=/run/pg",
            ),
            ("postgres://me:secret@host:99999999/x", "postgres://…"),
            ("mysql://me:secret@host/x", "mysql://…"),
            ("postgres://me@host/x?passwrod=secret", "postgres://…"),
            ("postgres:/me:secret@host/x", "postgres://…"),
            ("postgres://me:a/secret@host/x", "postgres://…"),
            ("postgres://me:1#secret@host/x", "postgres://…"),
            ("postgres://me:1?secret@host/x", "postgres://…"),
            ("postgres://me:p@a/secret@host/x", "postgres://…"),
            ("Postgres://me:secret@[::1]/x", "postgres://me@[::1]/x"),
        ] {
            let location = Location::parse(text.into());
            assert_eq!(location.to_string(), display);
            assert!(!format!("{location:?}").contains("secret"), "{location:?}");
        }
        for folder in ["runs", "a:b", "C:\\runs", ""] {
            assert!(matches!(Location::parse(folder.into()), Location::Folder(_)), "{folder}");
        }
        let Location::Server(server) = Location::parse("postgres://me@[::1]/x".into()) else {
            panic!("a server")
        };
        assert_eq!(server.options.get_host(), "::1");
        assert!(matches!(Location::parse("postgres://me@host/x".into()), Location::Server(_)));
        assert!(matches!(Location::parse("mysql://host/x".into()), Location::Unusable { .. }));
    }
}
