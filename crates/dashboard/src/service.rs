//! The two threads that read the store for all tabs. Each answers one request after another: the quick one follows the sweeps that
//! tabs show and answers what takes milliseconds, the slow one ranks. Nothing else reads the store, so a hundred tabs cost as much as
//! one, and a ranking that takes seconds delays nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde::Serialize;
use store::{Reader, now};
use sweep::ranked::{RankBy, Ranked, ranked_rows};
use sweep::{Context, logs};
use tokio::sync::{mpsc, oneshot};

use crate::error::ApiError;
use crate::exported;
use crate::feed::Tab;
use crate::gather::curves::{CurveMetric, Samples, curves};
use crate::gather::document::{document, material};
use crate::gather::overview::overview;
use crate::gather::run::run;
use crate::gather::snapshot::report;
use crate::gather::stages::stages;
use crate::gather::sweeps::{Verdicts, sweeps};
use crate::gather::trials::Configs;
use crate::watched::{Watched, rest};

/// Longest wait for a lock of another program.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most sweeps that are kept in memory.
const MOST_SWEEPS: usize = 4;
/// A sweep that no tab shows is forgotten after this time.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// Bytes of a log that are shown.
const LOG_BYTES: u64 = 64 << 10;

/// A question about the store.
#[derive(Debug)]
pub(crate) enum Question {
    Sweeps,
    Overview { sweep: String, how: RankBy },
    Trials { sweep: String },
    Curves { sweep: String, how: RankBy, metric: CurveMetric, points: u64 },
    Stages { sweep: String },
    Run { trial: String, points: u64 },
    Log { trial: String },
    Report { sweep: String, how: RankBy },
    Csv { sweep: String },
}

impl Question {
    /// Whether the answer needs a ranking.
    fn is_slow(&self) -> bool {
        matches!(self, Self::Overview { .. } | Self::Curves { .. } | Self::Report { .. })
    }
}

/// A request to a thread.
#[derive(Debug)]
enum Request {
    Ask(Question, oneshot::Sender<Result<Bytes, ApiError>>),
    Watch(String, Option<String>, oneshot::Sender<Result<Tab, ApiError>>),
}

/// Sends requests to the threads.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    quick: mpsc::Sender<Request>,
    slow: mpsc::Sender<Request>,
}

impl Service {
    /// Starts the threads. They end when the last sender is dropped.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(crate) fn start(context: Context) -> std::io::Result<Self> {
        let work = Arc::new(AtomicU64::new(0));
        let start = |name: &str, is_quick: bool| {
            let (sender, requests) = mpsc::channel(64);
            let (context, work) = (context.clone(), Arc::clone(&work));
            let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
            thread.spawn(move || {
                yield_to_training();
                match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime.block_on(Thread::new(context, is_quick, work).serve(requests)),
                    Err(error) => tracing::warn!("the dashboard can't read the store: {error}"),
                }
            })?;
            Ok::<_, std::io::Error>(sender)
        };
        Ok(Self { quick: start("dashboard-quick", true)?, slow: start("dashboard-slow", false)? })
    }

    /// The answer to a question, as a body.
    ///
    /// # Errors
    /// There is none; the error says why.
    pub(crate) async fn ask(&self, question: Question) -> Result<Bytes, ApiError> {
        let to = if question.is_slow() { &self.slow } else { &self.quick };
        send(to, |reply| Request::Ask(question, reply)).await
    }

    /// The changes of a sweep, for a tab that has the data of `cursor`.
    ///
    /// # Errors
    /// There is no such sweep, or the store can't be read.
    pub(crate) async fn watch(&self, sweep: String, cursor: Option<String>) -> Result<Tab, ApiError> {
        send(&self.quick, |reply| Request::Watch(sweep, cursor, reply)).await
    }
}

async fn send<T>(
    to: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<Result<T, ApiError>>) -> Request,
) -> Result<T, ApiError> {
    let (reply, answer) = oneshot::channel();
    let gone = || ApiError::unavailable("the thread that reads the store has ended; restart the dashboard");
    let sent = async {
        to.send(request(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    };
    match tokio::time::timeout(LONGEST_ANSWER, sent).await {
        Ok(answer) => answer,
        Err(_) => Err(ApiError::unavailable("this takes longer than usual; try again in a while")),
    }
}

/// Longest time until an answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// Expressions of schedules may be deep.
const STACK_BYTES: usize = 16 << 20;

/// Lets threads that train go first: only this thread and those that it starts get a lower priority.
fn yield_to_training() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!("the dashboard keeps its priority: {error}");
    }
}

/// Identifies the file of a database, to notice that it was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileId {
    file: (u64, u64),
    /// A new file may have the number of a removed one.
    created: Option<std::time::SystemTime>,
    /// Length and time of a file that is read as a copy.
    copied: Option<(u64, Option<std::time::SystemTime>)>,
}

impl FileId {
    fn of(path: &Path, is_copy: bool) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Some(Self {
            file,
            created: metadata.created().ok(),
            copied: is_copy.then(|| (metadata.len(), metadata.modified().ok())),
        })
    }
}

struct Opened {
    reader: Reader,
    file: Option<FileId>,
}

/// Most rankings that are kept.
const MOST_RANKED: usize = 4;

/// The state of a thread.
struct Thread {
    context: Context,
    /// Whether it follows the sweeps that tabs show.
    is_quick: bool,
    /// How many milliseconds the slow thread needs for its answers on a sweep.
    work: Arc<AtomicU64>,
    /// Rankings, each with its sweep and the version of the data.
    ranked: Vec<(String, RankBy, u64, Arc<Ranked>)>,
    opened: Option<Opened>,
    /// The file that was opened last.
    last_file: Option<Option<FileId>>,
    watched: HashMap<String, Watched>,
    epochs: u32,
    verdicts: Verdicts,
    configs: Configs,
    samples: Samples,
    /// The list of sweeps, when it was made, and how long that took.
    list: Option<(Bytes, Instant, Duration)>,
}

impl Thread {
    fn new(context: Context, is_quick: bool, work: Arc<AtomicU64>) -> Self {
        Self {
            context,
            is_quick,
            work,
            ranked: Vec::new(),
            opened: None,
            last_file: None,
            watched: HashMap::new(),
            // Cursors of an earlier server are not valid here.
            epochs: u32::try_from(now() & 0x7fff_ffff).unwrap_or(1),
            verdicts: Verdicts::default(),
            configs: Configs::default(),
            samples: Samples::default(),
            list: None,
        }
    }

    async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let due = self.watched.values().filter(|one| one.feed.is_watched()).map(Watched::due).min();
            let wait = due.map_or(FORGOTTEN, |due| due.saturating_duration_since(Instant::now()));
            match tokio::time::timeout(wait, requests.recv()).await {
                Ok(None) => return,
                Ok(Some(request)) => self.answer(request).await,
                Err(_) => self.follow().await,
            }
        }
    }

    /// Reads what changed in the sweeps that tabs show, and forgets the others.
    async fn follow(&mut self) {
        self.watched.retain(|_, one| one.feed.is_watched() || one.used.elapsed() < FORGOTTEN);
        let due: Vec<String> = self
            .watched
            .values()
            .filter(|one| one.feed.is_watched() && one.due() <= Instant::now())
            .map(|one| one.sweep.clone())
            .collect();
        for sweep in due {
            if let Err(error) = self.refresh(&sweep).await.map(|_| ()) {
                tracing::debug!("{sweep}: {error}");
                self.reopen_after(&Err::<(), _>(error));
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Ask(question, reply) => {
                // The one who asked may be gone.
                if reply.is_closed() {
                    return;
                }
                let answer = self.ask(question).await;
                self.reopen_after(&answer);
                let _ = reply.send(answer);
            }
            Request::Watch(sweep, cursor, reply) => {
                // The tab is made here, so that this thread knows of it before it waits again.
                let watched = self.refresh(&sweep).await;
                let answer = watched.map(|watched| Tab::new(&watched.feed, cursor.as_deref()));
                self.reopen_after(&answer);
                let _ = reply.send(answer);
            }
        }
    }

    /// After an error of the store the next request opens it again.
    fn reopen_after<T>(&mut self, answer: &Result<T, ApiError>) {
        if answer.as_ref().is_err_and(|error| error.status.is_server_error()) {
            self.opened = None;
        }
    }

    /// The open store. If another file has replaced it, that one is opened, and everything that was known is forgotten.
    async fn open(&mut self) -> Result<(), ApiError> {
        if let Some(Opened { reader, file }) = &self.opened {
            let now = reader.file().and_then(|path| FileId::of(path, reader.is_copy()));
            if now == *file && (now.is_some() || reader.file().is_none()) {
                return Ok(());
            }
            self.opened = None;
        }
        let mut reader = Reader::open(&self.context.store).await?;
        reader.set_patience(PATIENCE).await?;
        let file = reader.file().and_then(|path| FileId::of(path, reader.is_copy()));
        if self.last_file.as_ref().is_some_and(|last| *last != file) {
            self.forget();
        }
        // Another connection counts changes from another number.
        self.watched.values_mut().for_each(Watched::read_soon);
        self.last_file = Some(file.clone());
        self.opened = Some(Opened { reader, file });
        Ok(())
    }

    fn forget(&mut self) {
        self.watched.values_mut().for_each(Watched::forget);
        (self.list, self.verdicts) = (None, Verdicts::default());
        (self.configs, self.samples) = (Configs::default(), Samples::default());
        self.ranked.clear();
    }

    /// The current state of a sweep.
    async fn refresh(&mut self, sweep: &str) -> Result<&mut Watched, ApiError> {
        self.open().await?;
        if !self.watched.contains_key(sweep) {
            self.make_room();
            self.epochs = self.epochs.wrapping_add(1);
            self.watched.insert(sweep.to_owned(), Watched::new(sweep, self.epochs));
        }
        let watched = self.watched.get_mut(sweep).ok_or_else(not_open)?;
        let reader = reader(&mut self.opened)?;
        watched.used = Instant::now();
        if self.is_quick {
            watched.work = Duration::from_millis(self.work.load(Ordering::Relaxed));
        } else {
            // A tab that asks after an announcement gets what was announced.
            watched.read_if_changed();
        }
        if watched.refresh(reader, &self.context).await? {
            return self.known(sweep);
        }
        // Tabs keep their stream: the sweep may be trained again.
        if watched.feed.is_watched() {
            watched.forget();
        } else {
            self.watched.remove(sweep);
        }
        Err(unknown(sweep))
    }

    /// Forgets the sweep that was used longest ago, if there are many and no tab shows it.
    fn make_room(&mut self) {
        if self.watched.len() < MOST_SWEEPS {
            return;
        }
        let unused = self.watched.values().filter(|one| !one.feed.is_watched());
        if let Some(oldest) = unused.min_by_key(|one| one.used).map(|one| one.sweep.clone()) {
            self.watched.remove(&oldest);
        }
    }

    async fn ask(&mut self, question: Question) -> Result<Bytes, ApiError> {
        match question {
            Question::Sweeps => self.sweeps().await,
            Question::Run { trial, points } => {
                self.open().await?;
                json(&run(reader(&mut self.opened)?, &trial, points).await?)
            }
            Question::Log { trial } => self.log(&trial).await,
            Question::Report { sweep, how } => {
                self.open().await?;
                let made = report(reader(&mut self.opened)?, &sweep, &how, &self.context).await?;
                Ok(report::html(&made.document, &made.snapshot).into())
            }
            Question::Csv { sweep } => {
                self.open().await?;
                Ok(exported::csv(&reader(&mut self.opened)?.runs(&sweep).await?).into())
            }
            Question::Overview { sweep, how } => {
                let key = format!("overview {how:?}");
                self.made(&sweep, key, async |thread, sweep| thread.overview(sweep, &how).await).await
            }
            Question::Trials { sweep } => {
                let make = async |thread: &mut Self, sweep: &str| json(&thread.known(sweep)?.trials());
                self.made(&sweep, "trials".to_owned(), make).await
            }
            Question::Curves { sweep, how, metric, points } => {
                let key = format!("curves {how:?} {metric:?} {points}");
                let make =
                    async |thread: &mut Self, sweep: &str| thread.curves(sweep, &how, &metric, points).await;
                self.made(&sweep, key, make).await
            }
            Question::Stages { sweep } => {
                let make = async |thread: &mut Self, sweep: &str| thread.stages(sweep).await;
                self.made(&sweep, "stages".to_owned(), make).await
            }
        }
    }

    /// An answer about a sweep, from those that were made before if it is still right.
    async fn made(
        &mut self,
        sweep: &str,
        key: String,
        make: impl AsyncFnOnce(&mut Self, &str) -> Result<Bytes, ApiError>,
    ) -> Result<Bytes, ApiError> {
        if let Some(body) = self.refresh(sweep).await?.known(&key) {
            return Ok(body);
        }
        let started = Instant::now();
        let body = make(self, sweep).await?;
        let watched = self.known(sweep)?;
        watched.keep(key, body.clone(), started);
        if !self.is_quick {
            let work = self.known(sweep)?.work_of_answers().as_millis();
            self.work.store(u64::try_from(work).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        Ok(body)
    }

    /// A sweep that was just read.
    fn known(&mut self, sweep: &str) -> Result<&mut Watched, ApiError> {
        self.watched.get_mut(sweep).ok_or_else(|| unknown(sweep))
    }

    async fn sweeps(&mut self) -> Result<Bytes, ApiError> {
        self.open().await?;
        if let Some((body, at, work)) = &self.list
            && at.elapsed() < rest(*work, Duration::from_secs(1))
        {
            return Ok(body.clone());
        }
        let started = Instant::now();
        let list = sweeps(reader(&mut self.opened)?, &mut self.verdicts, &self.context).await?;
        let body = json(&list)?;
        self.list = Some((body.clone(), Instant::now(), started.elapsed()));
        Ok(body)
    }

    /// The ranking of the current version.
    async fn ranked(&mut self, sweep: &str, how: &RankBy) -> Result<Arc<Ranked>, ApiError> {
        let version = self.known(sweep)?.version;
        let is_current = |known: &&(String, RankBy, u64, Arc<Ranked>)| {
            known.0 == sweep && known.1 == *how && known.2 == version
        };
        if let Some((.., known)) = self.ranked.iter().find(is_current) {
            return Ok(Arc::clone(known));
        }
        let rows = self.known(sweep)?.rows.clone();
        let ranked = Arc::new(ranked_rows(reader(&mut self.opened)?, sweep, rows, how).await?);
        self.ranked.retain(|known| known.0 != sweep || known.2 == version);
        if self.ranked.len() >= MOST_RANKED {
            self.ranked.remove(0);
        }
        self.ranked.push((sweep.to_owned(), how.clone(), version, Arc::clone(&ranked)));
        Ok(ranked)
    }

    async fn overview(&mut self, sweep: &str, how: &RankBy) -> Result<Bytes, ApiError> {
        let ranked = self.ranked(sweep, how).await?;
        let situation = self.known(sweep)?.situation();
        let reader = reader(&mut self.opened)?;
        let rows = self.watched.get(sweep).map_or(&[][..], |watched| watched.rows.as_slice());
        let all = (situation, rows, now());
        let material = material(reader, sweep, &ranked, &self.context).await?;
        let document = document(&ranked, how, material, Vec::new());
        json(&overview(reader, document, (&ranked, how), all, &mut self.configs, &self.context).await?)
    }

    async fn curves(
        &mut self,
        sweep: &str,
        how: &RankBy,
        metric: &CurveMetric,
        points: u64,
    ) -> Result<Bytes, ApiError> {
        let ranked = self.ranked(sweep, how).await?;
        let (configs, samples) = (&mut self.configs, &mut self.samples);
        let reader = reader(&mut self.opened)?;
        json(&curves(reader, &ranked, (metric, points), samples, configs, &self.context).await?)
    }

    async fn stages(&mut self, sweep: &str) -> Result<Bytes, ApiError> {
        let watched = self.watched.get(sweep).ok_or_else(|| unknown(sweep))?;
        let status = watched.counts.status(sweep);
        json(&stages(reader(&mut self.opened)?, &watched.rows, &status).await?)
    }

    async fn log(&mut self, trial: &str) -> Result<Bytes, ApiError> {
        self.open().await?;
        let row = sweep::stored::by_id(reader(&mut self.opened)?, trial).await?;
        let (text, truncated, reason) = match logs::open(&row, None, &self.context) {
            Ok((mut log, path)) => match logs::end(&mut log, LOG_BYTES) {
                Ok((text, truncated)) => (text, truncated, None),
                Err(error) => (String::new(), false, Some(format!("can't read {}: {error}", path.display()))),
            },
            Err(error) => (String::new(), false, Some(error.to_string())),
        };
        json(
            &serde_json::json!({ "trial_id": row.trial_id, "text": text, "truncated": truncated, "reason": reason }),
        )
    }
}

/// The reader of the store, once it is open.
fn reader(opened: &mut Option<Opened>) -> Result<&mut Reader, ApiError> {
    opened.as_mut().map(|opened| &mut opened.reader).ok_or_else(not_open)
}

fn not_open() -> ApiError {
    ApiError::unavailable("the store is not open")
}

fn unknown(sweep: &str) -> ApiError {
    ApiError::unknown(format_args!("unknown sweep `{sweep}`"))
}

fn json(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(ApiError::unavailable)
}
