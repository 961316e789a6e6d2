//! `sweep doctor`: checks machine, settings, data, store and disk space, and says what to fix. Exit code 1 if a sweep could not
//! run.

use std::path::{Path, PathBuf};

use report::{Format, Rows};
use schedule::problem::counted;
use spec::trial::Dataset;
use store::{Reader, StoreError};
use sweep::wait_for;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, after_output, print};
use crate::global::Global;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub format: FormatArg,
}

/// Free disk space below this is a warning.
const LEAST_SPACE: u64 = 1 << 30;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// A sweep runs, but slowly or not with everything.
    Warning,
    /// A sweep can't run.
    Error,
}

struct Check {
    what: &'static str,
    state: State,
    found: String,
    fix: String,
}

fn check(what: &'static str, state: State, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { what, state, found: found.into(), fix: fix.into() }
}

fn ok(what: &'static str, found: impl Into<String>) -> Check {
    check(what, State::Ok, found, "")
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let mut checks = vec![processor(), memory(), instructions()];
    checks.extend(threads());
    checks
        .extend([Dataset::Mnist, Dataset::FashionMnist, Dataset::Emma].map(|dataset| data(dataset, global)));
    checks.extend(store(global));
    if let Some(dir) = global.context.store.folder() {
        checks.extend([folder(dir), space(dir), file_system(dir)]);
    }
    match Format::from(&args.format) {
        Format::Table => print(&text(&checks, screen::width()))?,
        format => print(&rows(&checks).render(format))?,
    }
    match checks.iter().filter(|check| check.state == State::Error).count() {
        0 => Ok(()),
        n => Err(after_output(Failure::failed(format_args!("{} failed", counted(n, "check"))))),
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

fn rows(checks: &[Check]) -> Rows {
    // Scripts read these names.
    let mut rows = Rows::new(["check", "state", "found", "mend"]);
    for Check { what, state, found, fix } in checks {
        rows.rows.push(vec![(*what).into(), state.name().into(), found.as_str().into(), fix.as_str().into()]);
    }
    rows
}

/// One line per check, followed by what to fix.
fn text(checks: &[Check], width: usize) -> String {
    let mut text = String::new();
    let column = 28;
    for Check { what, state, found, fix } in checks {
        let mut start = format!("{:<8} {what}", state.name());
        for (words, mark) in [(found, ""), (fix, "-> ")] {
            let words = if words.is_empty() { continue } else { format!("{mark}{words}") };
            for line in report::wrap::wrapped(&words, width.saturating_sub(column).max(30)) {
                text.push_str(&format!("{start:<column$}{line}\n"));
                start.clear();
            }
        }
    }
    text
}

fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Option<f64> = load.split_whitespace().next().and_then(|load| load.parse().ok());
    match load {
        Some(load) if load > 0.5 * cores as f64 => check(
            "processor",
            State::Warning,
            format!("{cores} cores, load {load}"),
            "other programs are running; sweeps will take longer than `sweep plan` estimates",
        ),
        _ => ok("processor", format!("{cores} cores")),
    }
}

fn memory() -> Check {
    let free = orchestrator::available_memory();
    let found = format!("{} available", bytesize::ByteSize::b(free).display().iec());
    if free < 512 << 20 {
        check("memory", State::Warning, found, "close other programs, or use fewer --workers")
    } else {
        ok("memory", found)
    }
}

fn instructions() -> Check {
    match trainer::selected_level() {
        Ok(level) => ok("kernels", level.name()),
        Err(error) => check("kernels", State::Error, error, "unset SWEEP_CPU"),
    }
}

/// Settings that slow down trials that are trained in parallel.
fn threads() -> Vec<Check> {
    let names = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];
    let many = names.into_iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        (value.trim() != "1").then(|| format!("{name}={value}"))
    });
    let many: Vec<String> = many.collect();
    if many.is_empty() {
        return vec![ok("threads", "one per worker")];
    }
    let fix =
        "unset it: each worker trains with one thread, and more threads than cores slow down all of them";
    vec![check("threads", State::Warning, many.join(" "), fix)]
}

fn data(dataset: Dataset, global: &Global) -> Check {
    let what = match dataset {
        Dataset::FashionMnist => "data fashion-mnist",
        Dataset::Emma => "data emma",
        _ => "data mnist",
    };
    match trainer::data::check_published(&dataset, global.context.data_dir.as_deref()) {
        Ok(_) => ok(what, "the published files"),
        Err(error) => {
            // Only a warning: custom programs and data do not need the data sets.
            let missing = matches!(error, trainer::data::DataError::Missing { .. });
            let state = if missing { State::Warning } else { State::Error };
            let text = error.to_string();
            let (found, fix) = text.split_once("; ").unwrap_or((&text, ""));
            check(what, state, found, fix)
        }
    }
}

fn store(global: &Global) -> Vec<Check> {
    let mut checks = Vec::new();
    let found = wait_for(async {
        let mut reader = match Reader::open(&global.context.store).await {
            Ok(reader) => reader,
            Err(StoreError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(Failure::failed(error)),
        };
        let whole = reader.is_intact().await?;
        Ok(Some((whole, reader.sweeps().await?.len(), reader.runners().await?)))
    });
    match found {
        Ok(None) => checks
            .push(ok("store", format!("none yet in {}: the first sweep creates it", global.context.store))),
        Ok(Some((whole, sweeps, runners))) => {
            let name = store_name(&global.context.store);
            checks.push(if whole {
                ok("store", format!("{name}: intact, {}", counted(sweeps, "sweep")))
            } else {
                check(
                    "store",
                    State::Error,
                    format!("{name} is damaged"),
                    "try to recover it with `sqlite3 FILE .recover`, or use another folder with --store",
                )
            });
            let dead = runners.iter().filter(|runner| runner.dead == Some(true)).count();
            if dead > 0 {
                let fix = "run `sweep FILE` to continue their trials; `sweep status` shows them";
                checks.push(check("processes", State::Warning, format!("{dead} died during training"), fix));
            }
        }
        Err(Failure::Failed(error) | Failure::Usage(error)) => {
            let (found, fix) = error.split_once("; ").unwrap_or((&error, ""));
            checks.push(check("store", State::Error, found, fix));
        }
        Err(_) => {}
    }
    checks
}

/// The store's database, for messages.
fn store_name(location: &store::Location) -> String {
    location.folder().map_or_else(|| location.to_string(), |dir| dir.join("sweep.db").display().to_string())
}

/// Whether the folder of a store can be written.
fn folder(dir: &Path) -> Check {
    let place = existing(dir);
    match tempfile::Builder::new().prefix(".sweep-doctor-").tempfile_in(&place) {
        Err(error) => {
            let fix = "make it writable, or use another folder with --store";
            check("folder", State::Error, format!("{}: {error}", place.display()), fix)
        }
        Ok(_) => ok("folder", format!("{} is writable", place.display())),
    }
}

/// The folder itself, or its nearest parent that exists.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(unix)]
fn space(dir: &Path) -> Check {
    let place = existing(dir);
    match rustix::fs::statvfs(&place) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let text = format!(
                "{} free on the disk of {}",
                bytesize::ByteSize::b(free).display().iec(),
                place.display()
            );
            if free < LEAST_SPACE {
                check(
                    "space",
                    State::Warning,
                    text,
                    "free some space (`sweep gc` removes unneeded files); a full disk stops a sweep",
                )
            } else {
                ok("space", text)
            }
        }
        Err(error) => check("space", State::Warning, format!("{}: {error}", place.display()), ""),
    }
}

#[cfg(not(unix))]
fn space(_: &Path) -> Check {
    ok("space", "not checked on this system")
}

/// Refuses network file systems, where SQLite's locks do not work.
fn file_system(dir: &Path) -> Check {
    match store::network_file_system(dir) {
        Some(kind) => {
            let fix = "use a folder on a local disk, or a PostgreSQL server: network file systems corrupt SQLite databases";
            check("file system", State::Error, kind, fix)
        }
        None => ok("file system", "local"),
    }
}
