//! `sweep doctor`: looks at machine, settings, data, store and space, and says what to mend. Exit code 1 if something
//! would keep a sweep from running.

use std::path::{Path, PathBuf};

use report::{Format, Rows};
use schedule::problem::counted;
use spec::trial::Dataset;
use store::{Reader, StoreError};
use sweep::wait_for;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub format: FormatArg,
}

/// What is left on the disk of a store should be this at least.
const ROOM: u64 = 1 << 30;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// It works, though not as well as it could.
    Warning,
    /// A sweep would not run.
    Error,
}

struct Check {
    what: &'static str,
    state: State,
    found: String,
    mend: String,
}

fn check(what: &'static str, state: State, found: impl Into<String>, mend: impl Into<String>) -> Check {
    Check { what, state, found: found.into(), mend: mend.into() }
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
        1 => Err(Failure::failed("1 check failed")),
        n => Err(Failure::failed(format_args!("{n} checks failed"))),
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
    let mut rows = Rows::new(["check", "state", "found", "mend"]);
    for Check { what, state, found, mend } in checks {
        rows.rows.push(vec![
            (*what).into(),
            state.name().into(),
            found.as_str().into(),
            mend.as_str().into(),
        ]);
    }
    rows
}

/// A line for each check, and below it what to do.
fn text(checks: &[Check], width: usize) -> String {
    let mut text = String::new();
    let column = 28;
    for Check { what, state, found, mend } in checks {
        let mut start = format!("{:<8} {what}", state.name());
        for (words, mark) in [(found, ""), (mend, "-> ")] {
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
            "other programs use it; sweeps will take longer than `sweep plan` says",
        ),
        _ => ok("processor", format!("{cores} cores")),
    }
}

fn memory() -> Check {
    let free = orchestrator::available_memory();
    let found = format!("{} can be had", bytesize::ByteSize::b(free).display().iec());
    if free < 512 << 20 {
        check("memory", State::Warning, found, "close other programs, or train with fewer --workers")
    } else {
        ok("memory", found)
    }
}

fn instructions() -> Check {
    match trainer::kernels::simd::selected_level() {
        Ok(level) => ok("kernels", level.name()),
        Err(error) => check("kernels", State::Error, error, "unset SWEEP_CPU"),
    }
}

/// Settings that would make trials that are trained side by side slow each other down.
fn threads() -> Vec<Check> {
    let names = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];
    let many = names.into_iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        (value.trim() != "1").then(|| format!("{name}={value}"))
    });
    let many: Vec<String> = many.collect();
    if many.is_empty() {
        return vec![ok("threads", "one for each trial")];
    }
    let mend =
        "unset it: each worker trains with one thread, and more threads than cores make all of them slower";
    vec![check("threads", State::Warning, many.join(" "), mend)]
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
            // Who trains programs or data of their own needs none of them.
            let missing = matches!(error, trainer::data::DataError::Missing { .. });
            let state = if missing { State::Warning } else { State::Error };
            let text = error.to_string();
            let (found, mend) = text.split_once("; ").unwrap_or((&text, ""));
            check(what, state, found, mend)
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
        let whole = reader.is_whole().await?;
        Ok(Some((whole, reader.sweeps().await?.len(), reader.runners().await?)))
    });
    match found {
        Ok(None) => checks
            .push(ok("store", format!("none yet in {}: the first sweep makes it", global.context.store))),
        Ok(Some((whole, sweeps, runners))) => {
            let name = reader_name(&global.context.store);
            checks.push(if whole {
                ok("store", format!("{name}: whole, {}", counted(sweeps, "sweep")))
            } else {
                check(
                    "store",
                    State::Error,
                    format!("{name} is damaged"),
                    "`sqlite3 FILE .recover` may save what is left; name another folder with --store",
                )
            });
            let dead = runners.iter().filter(|runner| runner.dead == Some(true)).count();
            if dead > 0 {
                let mend = "`sweep FILE` goes on with their trials; `sweep status` shows them";
                checks.push(check(
                    "processes",
                    State::Warning,
                    format!("{dead} died while they trained"),
                    mend,
                ));
            }
        }
        Err(Failure::Failed(error) | Failure::Usage(error)) => {
            let (found, mend) = error.split_once("; ").unwrap_or((&error, ""));
            checks.push(check("store", State::Error, found, mend));
        }
        Err(_) => {}
    }
    checks
}

/// What holds the results.
fn reader_name(location: &store::Location) -> String {
    location.folder().map_or_else(|| location.to_string(), |dir| dir.join("sweep.db").display().to_string())
}

/// Whether the folder of a store can be written.
fn folder(dir: &Path) -> Check {
    let place = existing(dir);
    match tempfile::Builder::new().prefix(".sweep-doctor-").tempfile_in(&place) {
        Err(error) => {
            let mend = "allow writing, or name another folder with --store";
            check("folder", State::Error, format!("{}: {error}", place.display()), mend)
        }
        Ok(_) => ok("folder", format!("{} can be written", place.display())),
    }
}

/// The folder itself, or the nearest one above it that is there.
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
                "{} left on the disk of {}",
                bytesize::ByteSize::b(free).display().iec(),
                place.display()
            );
            if free < ROOM {
                check(
                    "space",
                    State::Warning,
                    text,
                    "make room (`sweep gc` removes what no run needs); a full disk stops a sweep",
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
    ok("space", "not looked at on this system")
}

/// SQLite's locks don't hold on network file systems.
fn file_system(dir: &Path) -> Check {
    match store::network_file_system(dir) {
        Some(kind) => {
            let mend = "use a folder on a local disk, or a server: SQLite databases get damaged on network file systems";
            check("file system", State::Error, kind, mend)
        }
        None => ok("file system", "local"),
    }
}
