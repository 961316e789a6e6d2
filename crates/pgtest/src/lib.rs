//! Temporary PostgreSQL servers for tests. Each has its own folder with a socket, no durability, and ends when the process that
//! started it ends, even if that process is killed. This crate does not depend on the rest of the project.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A server, running or stopped.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    dir: tempfile::TempDir,
    /// A shell that stops the server when its stdin closes, which happens even if this process is killed.
    running: Option<Child>,
    databases: AtomicU32,
}

/// The server that all tests of a process share. Tests that use it are ignored if PostgreSQL is not installed (`has_postgres`).
///
/// # Panics
/// PostgreSQL is not installed, or does not start.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

/// Command prefix to run a program as another user than root, because the server refuses to run as root.
fn user_prefix() -> Vec<&'static str> {
    if is_root() {
        vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    } else {
        Vec::new()
    }
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    /// PostgreSQL is not installed, or does not start.
    pub fn start() -> Self {
        let bin = needs::find_postgres().expect("PostgreSQL is installed");
        // In /tmp, because the path of a socket must be short.
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a folder");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(dir.path()).status();
            assert!(owned.expect("chown runs").success());
        }
        let mut server = Self { bin, dir, running: None, databases: AtomicU32::new(0) };
        let data = server.data();
        let initdb = server.bin.join("initdb");
        let args = ["-U", "sweep", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
        server.run(initdb.to_str().expect("UTF-8"), &[&args[..], &[&data]].concat());
        server.restart();
        server
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let mut words = user_prefix();
        words.push(program);
        words.extend(args);
        let (first, rest) = words.split_first().expect("a program");
        let output = Command::new(first).args(rest).current_dir(self.dir.path()).output().expect("it starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts the server again after [`Server::stop`].
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        let socket = self.dir.path().display();
        let postgres = self.bin.join("postgres").display().to_string();
        let settings = [
            "listen_addresses=",
            &format!("unix_socket_directories={socket}"),
            "port=5433",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "shared_buffers=32MB",
            "max_connections=60",
        ];
        let settings: Vec<String> = settings.iter().map(|setting| format!("-c {setting}")).collect();
        let script = format!(
            "{} {postgres} -D {} {} >>{socket}/log 2>&1 & pid=$!; cat >/dev/null; kill -INT $pid; wait $pid",
            user_prefix().join(" "),
            self.data(),
            settings.join(" ")
        );
        let shell = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn();
        self.running = Some(shell.expect("a shell starts"));
        let started_at = Instant::now();
        while !self.is_ready() {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(started_at.elapsed() < Duration::from_secs(60), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new(self.bin.join("pg_isready"));
        command.args(["-q", "-p", "5433", "-h"]).arg(self.dir.path());
        command.status().is_ok_and(|status| status.success())
    }

    /// Stops the server and closes its connections. The data stays.
    pub fn stop(&mut self) {
        if let Some(mut shell) = self.running.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// The database can't be created.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.url("sweep", &name)
    }

    /// The URL of a database for a user.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@localhost:5433/{database}?host={}", self.socket().display())
    }

    /// The name of the database in a URL of [`Server::url`].
    ///
    /// # Panics
    /// The URL names no database.
    pub fn database_name(url: &str) -> &str {
        let (place, _) = url.split_once('?').expect("a query");
        place.rsplit('/').next().expect("a path")
    }

    /// The folder of the socket.
    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    /// Runs SQL as the superuser, and returns the rows as lines.
    ///
    /// # Panics
    /// The SQL fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let psql = self.bin.join("psql").display().to_string();
        let socket = self.socket().display().to_string();
        let args =
            ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", &socket, "-p", "5433", "-U", "sweep"];
        self.run(&psql, &[&args[..], &["-d", database, "-c", sql]].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if is_root() {
            // The folder belongs to another user, so `TempDir` can't remove it.
            let _ = Command::new("rm").arg("-rf").arg(self.dir.path()).status();
        }
    }
}
