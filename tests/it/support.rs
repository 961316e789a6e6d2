//! Helpers: a temporary folder, the binary, processes and signals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository")
}

/// The binaries, built once. Cargo builds binaries only for tests of the same crate.
struct Binaries {
    /// The binary for users.
    plain: PathBuf,
    /// A copy of the binary with fault points, which fails at the point in `SWEEP_FAULT`.
    inject: PathBuf,
}

static BINARIES: OnceLock<Binaries> = OnceLock::new();

fn binaries() -> &'static Binaries {
    BINARIES.get_or_init(|| {
        // Cargo gives both binaries the same name, so the first is copied.
        let inject = build(&["--features", "inject"]);
        let copy = inject.with_file_name("sweep-inject");
        std::fs::copy(&inject, &copy).expect("the binary can be copied");
        Binaries { plain: build(&[]), inject: copy }
    })
}

fn build(args: &[&str]) -> PathBuf {
    build_of("sweep-lr", args)
}

/// The binary of a package.
pub(crate) fn build_of(package: &str, args: &[&str]) -> PathBuf {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let common = ["build", "--package", package, "--bins", "--profile", profile, "--message-format", "json"];
    let output = Command::new(env!("CARGO"))
        .args(common)
        .args(args)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the binary does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back();
    executable.expect("cargo names the binary")
}

/// The binary.
pub(crate) fn binary() -> &'static Path {
    &binaries().plain
}

/// The binary with fault points.
pub(crate) fn inject_binary() -> &'static Path {
    &binaries().inject
}

/// The exit code of a process that was ended by a signal.
pub(crate) const KILLED: i32 = -1;
/// The exit code of a process that stopped on request.
pub(crate) const INTERRUPTED: i32 = 130;

/// The output and exit code of a run of the binary.
#[derive(Debug)]
pub(crate) struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Fails the test unless the exit code is as expected.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

/// An empty folder to run the binary in. Dropping the value removes it.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and returns its name.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).expect("the folder can be written");
        name.to_owned()
    }

    /// The command of the binary, with the data of the repository and an environment that does not depend on the machine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(binary(), args)
    }

    /// The same for another binary.
    pub(crate) fn command_of(&self, binary: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("SWEEP_DATA_DIR", root().join("data")).env_remove("SWEEP_STORE").env("NO_COLOR", "1");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        finish(self.command(args))
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    /// Trains a sweep file in two processes at once.
    #[track_caller]
    pub(crate) fn run_in_two_processes(&self, file: &str) {
        let args = [file, "-q", "--workers", "1", "--lanes", "1"];
        let mut first = self.start(&args);
        wait("the first one begins", || self.run(&["query", "select 1 from sweeps"]).code == 0);
        let mut second = self.start(&args);
        for process in [&mut first, &mut second] {
            assert!(process.wait().expect("the process ends").success());
        }
    }

    /// Asserts that the store answers these queries as that of `other` does. `after` is what was done to this one.
    #[track_caller]
    pub(crate) fn answers_like(&self, other: &Sandbox, queries: &[&str], after: &str) {
        for sql in queries {
            assert_eq!(self.query(sql), other.query(sql), "{after}: {sql}");
        }
    }

    /// Runs the binary with a fault, such as `store.commit:3:kill`. The fault must happen: `kill` ends the process like `kill -9`,
    /// `term` like a request to stop, and other faults write a message at their point.
    #[track_caller]
    pub(crate) fn run_with_fault(&self, args: &[&str], fault: &str) -> Output {
        let log = self.path("fault.log");
        let _ = std::fs::remove_file(&log);
        let mut command = self.command_of(inject_binary(), args);
        let output = finish({
            command.env("SWEEP_FAULT", fault).env("SWEEP_FAULT_LOG", &log);
            command
        });
        let passed = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(passed.lines().any(|line| line == fault), "{fault} did not come about: {output:?}");
        match fault.rsplit(':').next() {
            Some("kill") => output.exits(KILLED),
            Some("term") => output.exits(INTERRUPTED),
            _ => output,
        }
    }

    /// Changes the database without the program.
    pub(crate) fn sql(&self, sql: &str) {
        self.shell(async |connection| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.expect("good SQL");
        });
    }

    /// Whether no writing transaction is open.
    pub(crate) fn can_be_written(&self) -> bool {
        self.shell(async |connection| {
            sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK").execute(connection).await.is_ok()
        })
    }

    /// The rows of a query with one text column.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        self.shell(async |connection| {
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await.expect("good SQL")
        })
    }

    /// The results by trial that must not depend on how a sweep was run.
    pub(crate) fn fingerprints(&self) -> BTreeMap<String, String> {
        let rows = self.texts(
            "select json_array(t.trial_id, status, digest, weights_hash, final_valid_loss, count(m.step), \
             sum(m.train_loss)) from trials t join metrics m using (trial_id) group by t.trial_id",
        );
        rows.into_iter().map(|row| (row[2..34].to_owned(), row)).collect()
    }

    /// Opens the database without the program.
    fn shell<T>(&self, f: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
        let url = format!("sqlite://{}", self.path("runs/sweep.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.expect("a database");
            let found = f(&mut connection).await;
            connection.close().await.expect("it closes");
            found
        })
    }

    /// Rows of a query, as JSON.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> serde_json::Value {
        self.run(&["query", sql, "--format", "json"]).exits(0).json()
    }

    /// Number of rows of a table, which may have a condition: `trials where status = 'done'`.
    #[track_caller]
    pub(crate) fn count(&self, what: &str) -> i64 {
        self.query(&format!("select count(*) as n from {what}"))[0]["n"].as_i64().expect("a number")
    }
}

/// Sends a signal, such as `-TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Kills a process like `kill -9`. Fails if it has already ended.
#[track_caller]
pub(crate) fn kill(child: &mut Child) {
    child.kill().expect("it can be killed");
    assert_eq!(child.wait().expect("the process ends").code(), None, "it was over before it was killed");
}

/// Waits until a condition is true; fails after a long time.
pub(crate) fn wait(what: &str, holds: impl FnMut() -> bool) {
    within(120, what, holds);
}

/// The same, with a limit in seconds.
pub(crate) fn within(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: never");
        std::thread::sleep(Duration::from_millis(30));
    }
}

pub(crate) fn finish(mut command: Command) -> Output {
    let output = command.output().expect("the binary starts");
    Output {
        code: output.status.code().unwrap_or(KILLED),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}
