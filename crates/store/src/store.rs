//! The writer: opening, transactions, closing. The data that it writes is handled in `register`, `runner`, `merge`
//! and, where the databases differ, in the implementations of [`Backend`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use spec::Plan;
use spec::event::Event;
use spec::protocol::Screened;
use spec::record::{Environment, TrialRecord};

use crate::backend::{Backend, on};
use crate::error::{Fault, StoreError, timed_out};
use crate::location::Location;
use crate::records::{self, Which};
use crate::rows::{Activity, JoinOptions, OtherRunners, Unfinished};
use crate::runner::Runner;
use crate::values::{self, Wanted};
use crate::{event, postgres, register, screening, sqlite};

/// After this time without an answer the connection to a server counts as lost. Far longer than any transaction
/// takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The same for operations that read or write many rows.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

/// With this many other runners, only runners that watch count the ended trials: each count reads every trial of the
/// sweep.
const MANY_RUNNERS: i64 = 30;

/// A sweep database, open for writing. Several processes may have it open; each is a *runner* and writes only the
/// results of trials that it has claimed. A runner that another one ended, because it seemed dead, can no longer
/// write.
#[derive(Debug)]
pub struct Store {
    pub(crate) writer: Writer,
    /// Whether a transaction was begun and has not ended.
    in_transaction: bool,
}

/// The state that transactions use.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) runner: Runner,
}

impl Store {
    /// Opens a store for writing, with a lease of 30 s. See [`Store::join`].
    ///
    /// # Errors
    /// See [`Store::join`].
    pub async fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::join(location, &JoinOptions::default()).await
    }

    /// Opens a store for writing. Creates the folder, the database and the tables if they are missing, and applies
    /// migrations. Ends runners that have died, which frees their trials.
    ///
    /// # Errors
    /// The database can't be reached or written, is not a sweep database of this version or an older one, or other
    /// processes keep its lock for opening.
    pub async fn join(location: impl Into<Location>, options: &JoinOptions) -> Result<Self, StoreError> {
        match location.into() {
            Location::Folder(dir) => {
                let (backend, _open_lock) = sqlite::open(&dir).await?;
                Self::enter(Box::new(backend), options).await
            }
            Location::Server(server) => {
                let backend = postgres::open(*server, options.lease).await?;
                Self::enter(Box::new(backend), options).await
            }
            Location::Unusable { text, message } => Err(StoreError::Location { text, message }),
        }
    }

    async fn enter(mut backend: Box<dyn Backend>, options: &JoinOptions) -> Result<Self, StoreError> {
        let entered = async {
            backend.begin().await?;
            // An error drops the connection, which rolls the transaction back.
            let runner = Runner::join(backend.conn(), options).await?;
            Ok(runner)
        };
        let entered: Result<Runner, Fault> = entered.await;
        let runner = entered.map_err(|fault| StoreError::at(backend.name(), fault))?;
        // The runner takes its lock before other runners can see it.
        backend.mark_alive(runner.id)?;
        let settled = async {
            runner.end_dead_runners(&mut *backend).await?;
            backend.commit().await
        };
        let settled: Result<(), Fault> = settled.await;
        settled.map_err(|fault| StoreError::at(backend.name(), fault))?;
        Ok(Self { writer: Writer { backend, runner }, in_transaction: false })
    }

    /// The number of this process in the store. It is never used again.
    pub fn runner(&self) -> i64 {
        self.writer.runner.id
    }

    /// Sets the flag that, once true, shortens the wait for a server that does not answer.
    pub fn set_stop_flag(&mut self, stop: Arc<AtomicBool>) {
        self.writer.backend.set_stop_flag(stop);
    }

    /// Whether the store is on a server. Transactions are expensive there and should be few.
    pub fn is_remote(&self) -> bool {
        self.writer.backend.is_remote()
    }

    /// Renews this runner's lease. Ends the runners that were silent for longer than their lease, and those of this
    /// host whose process has ended, which frees their trials. Returns what the other runners do.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn heartbeat(&mut self, sweep: &str, activity: Activity) -> Result<OtherRunners, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            let dead = runner.end_dead_runners(&mut **backend).await?;
            let others = runner.count_others(backend.conn(), MANY_RUNNERS).await?;
            let is_only_runner = dead == 0 && others == 0;
            if activity == Activity::Waiting {
                runner.set_activity(backend.conn(), sweep, Some(!is_only_runner)).await?;
            }
            let left =
                activity != Activity::Training && runner.has_trials_left(backend.conn(), sweep).await?;
            let waiting = activity == Activity::Training
                && !is_only_runner
                && runner.another_waits(backend.conn(), sweep).await?;
            let counts = activity == Activity::Watching || (!is_only_runner && others < MANY_RUNNERS);
            let ended = if counts { Some(register::count_ended(backend.conn(), sweep).await?) } else { None };
            Ok(OtherRunners { dead, trials_left: left, waiting, trials_ended: ended })
        })
        .await
    }

    /// Numbers of the other active runners.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn other_runners(&mut self) -> Result<Vec<i64>, StoreError> {
        self.read(async |Writer { backend, runner }| runner.others(backend.conn()).await).await
    }

    /// Claims unfinished, unclaimed trials of a sweep; failed ones only `with_failed`. Takes whole stage groups: all
    /// of them if there is no other runner, else at most `groups`. The result is unordered.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn claim(
        &mut self,
        sweep: &str,
        with_failed: bool,
        groups: usize,
    ) -> Result<Vec<Unfinished>, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            let claimed = runner.claim(&mut **backend, sweep, with_failed, groups).await?;
            let has_work = (!claimed.is_empty()).then_some(false);
            runner.set_activity(backend.conn(), sweep, has_work).await?;
            if claimed.is_empty() {
                return Ok(Vec::new());
            }
            register::with_checkpoints(backend.conn(), &claimed).await
        })
        .await
    }

    /// Queues the failed, unclaimed trials of a sweep again. Returns their number.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn retry(&mut self, sweep: &str) -> Result<u64, StoreError> {
        let sql = "
            UPDATE trials SET status = 'queued', error = NULL, steps_done = 0
            WHERE status = 'failed' AND trial_id IN (SELECT c.trial_id FROM cells AS c WHERE c.sweep = $1)
                AND NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = trials.trial_id)";
        self.transact(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|done| done.rows_affected()))?)
        })
        .await
    }

    /// Releases trials that this runner has not begun, so that other runners can claim them.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn release(&mut self, trial_ids: &[String]) -> Result<(), StoreError> {
        self.transact(async |Writer { backend, runner }| runner.release(backend.conn(), trial_ids).await)
            .await
    }

    /// Number of trials of a sweep that are done or have diverged, whoever trained them.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn count_ended(&mut self, sweep: &str) -> Result<usize, StoreError> {
        self.read(async |Writer { backend, .. }| register::count_ended(backend.conn(), sweep).await).await
    }

    /// Writes a plan: its trials and its runs. Existing trials are not changed; runs of an earlier plan of the same
    /// sweep are dropped. A second call changes nothing. Writes nothing if another runner has the same sweep file and
    /// has already made more decisions, as all trials of the plan exist then. `keep_recency`: the call is not a
    /// user's request, so the sweep does not become the one that was run last.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn register(&mut self, plan: &Plan, keep_recency: bool) -> Result<(), StoreError> {
        let written = self.transact_within(LONG_TIMEOUT, async |Writer { backend, runner }| {
            backend.lock_register().await?;
            if runner.is_behind(backend.conn(), plan).await? {
                return Ok(false);
            }
            register::write(backend.conn(), plan, keep_recency).await
        });
        if written.await? {
            self.writer.backend.after_register().await;
        }
        Ok(())
    }

    /// Renews this runner's lease. Other writes renew it too.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn renew_lease(&mut self) -> Result<(), StoreError> {
        self.transact(async |_| Ok(())).await
    }

    /// Stores which sweep this runner trains, before it claims any trials.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn set_sweep(&mut self, sweep: &str) -> Result<(), StoreError> {
        self.transact(async |Writer { backend, runner }| {
            runner.set_activity(backend.conn(), sweep, None).await
        })
        .await
    }

    /// The sweeps, the one that was run last first: name, file, and whether it has trials that have neither ended nor
    /// failed.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sweeps(&mut self) -> Result<Vec<(String, String, bool)>, StoreError> {
        let sql = "
            SELECT s.sweep, s.file_text, EXISTS (
                SELECT 1 FROM trials AS t JOIN cells AS c ON c.trial_id = t.trial_id
                WHERE c.sweep = s.sweep AND t.status NOT IN ('done', 'diverged', 'failed')
            )
            FROM sweeps AS s ORDER BY s.updated_at DESC, s.sweep";
        self.read(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_as(sql).fetch_all(c).await)?)
        })
        .await
    }

    /// The trials of a sweep that are neither done nor diverged, in the sweep's order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn unfinished(&mut self, sweep: &str) -> Result<Vec<Unfinished>, StoreError> {
        self.read(async |Writer { backend, .. }| register::unfinished(backend.conn(), sweep).await).await
    }

    /// Every run of a sweep, as [`Reader::results`](crate::Reader::results) returns it.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn results(&mut self, sweep: &str) -> Result<Vec<TrialRecord>, StoreError> {
        self.read(
            async |Writer { backend, .. }| Ok(records::read(backend.conn(), Which::Cells(sweep)).await?),
        )
        .await
    }

    /// The runs of a sweep from this one on, counted from 0.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn results_from(&mut self, sweep: &str, first: usize) -> Result<Vec<TrialRecord>, StoreError> {
        let first = i64::try_from(first).unwrap_or(i64::MAX);
        self.read(async |Writer { backend, .. }| {
            Ok(records::read(backend.conn(), Which::CellsFrom(sweep, first)).await?)
        })
        .await
    }

    /// Which schedules of a sweep predictions kept and left out, as [`Reader::screened`](crate::Reader::screened) returns it.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn screened(&mut self, sweep: &str) -> Result<Option<Screened>, StoreError> {
        self.read(async |Writer { backend, .. }| Ok(screening::read(backend.conn(), sweep).await?)).await
    }

    /// A value of each run of a sweep, as [`Reader::values`](crate::Reader::values) returns it.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn values(
        &mut self,
        sweep: &str,
        wanted: &Wanted<'_>,
    ) -> Result<HashMap<String, f64>, StoreError> {
        self.read(async |Writer { backend, .. }| Ok(values::read(backend.conn(), sweep, wanted).await?)).await
    }

    /// The number of an environment. Writes the environment if it is new.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn environment(&mut self, environment: &Environment) -> Result<i64, StoreError> {
        self.transact(async |Writer { backend, .. }| register::environment(backend.conn(), environment).await)
            .await
    }

    /// Writes a batch of events, all of it or nothing. Returns the checkpoint files that are no longer needed: those
    /// of trials that have ended, and those that a newer checkpoint replaces.
    ///
    /// # Errors
    /// The database can't be written. Results that were stored before are kept, and a later call may succeed.
    pub async fn write(&mut self, batch: &[Event], environment: i64) -> Result<Vec<String>, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            event::write(&mut **backend, batch, environment, &runner.host).await
        })
        .await
    }

    /// The first unused stage number of this runner. No other runner uses it or the numbers after it.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn next_stage(&mut self) -> Result<u64, StoreError> {
        self.read(async |Writer { backend, runner }| runner.next_stage(backend.conn()).await).await
    }

    /// Names of all checkpoint files from which unfinished trials of any sweep can resume. Other files in the folder
    /// of checkpoints are leftovers of killed processes.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn checkpoint_files(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT file FROM checkpoints ORDER BY file";
        self.read(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_scalar(sql).fetch_all(c).await)?)
        })
        .await
    }

    /// Deletes the checkpoint rows of all unclaimed trials, which then start over. Returns the number of trials.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn drop_checkpoints(&mut self) -> Result<u64, StoreError> {
        let sql = "
            DELETE FROM checkpoints WHERE NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = checkpoints.trial_id)";
        self.transact(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query(sql).execute(c).await.map(|done| done.rows_affected()))?)
        })
        .await
    }

    /// Returns unused space to the operating system, as far as that does not disturb other runners. Returns the
    /// number of removed files and of freed bytes.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn compact(&mut self) -> Result<(usize, u64), StoreError> {
        let others = self.other_runners().await?;
        self.writer.backend.compact(self.writer.runner.id, &others).await
    }

    /// Releases all trials of this runner and closes the database.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn close(mut self) -> Result<(), StoreError> {
        match self.transact(async |Writer { backend, runner }| runner.leave(backend.conn()).await).await {
            // `TakenOver`: another runner has already ended this one.
            Ok(()) | Err(StoreError::TakenOver { .. }) => {}
            Err(error) => return Err(error),
        }
        let Writer { mut backend, runner } = self.writer;
        backend.remove_traces(runner.id);
        backend.close().await
    }

    /// How long an answer may take: `limit` for a server, unlimited for a file.
    fn timeout(&self, limit: Duration) -> Duration {
        if self.is_remote() { limit } else { Duration::MAX }
    }

    /// Runs `work` in one transaction, exactly once, even if the connection is lost before the result of the commit
    /// arrives.
    pub(crate) async fn transact<T>(
        &mut self,
        work: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.transact_within(ANSWER_TIMEOUT, work).await
    }

    /// The same with another time limit.
    pub(crate) async fn transact_within<T>(
        &mut self,
        limit: Duration,
        mut work: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // The result of the work, and the beat that was written with it.
        let mut outcome: Option<(T, i64)> = None;
        loop {
            let fault = match tokio::time::timeout(self.timeout(limit), self.attempt(&mut work, &mut outcome))
                .await
            {
                Ok(Ok(())) => match outcome.take() {
                    Some((value, _)) => return Ok(value),
                    None => continue,
                },
                Ok(Err(fault)) => fault,
                Err(_) => {
                    // Dropping the connection rolls the transaction back.
                    self.in_transaction = false;
                    timed_out().into()
                }
            };
            let backend = &mut self.writer.backend;
            if !backend.recover(&fault).await? {
                return Err(StoreError::at(backend.name(), fault));
            }
            tracing::debug!(runner = self.writer.runner.id, "retrying a transaction");
        }
    }

    /// One attempt. Sets `outcome` when the work is done, also if the result of the commit is unknown: the next
    /// attempt finds out whether the commit happened.
    async fn attempt<T>(
        &mut self,
        work: &mut impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
        outcome: &mut Option<(T, i64)>,
    ) -> Result<(), Fault> {
        if self.in_transaction {
            // A call whose future was dropped left it open.
            self.roll_back().await;
        }
        fault::point("store.begin")?;
        self.in_transaction = true;
        if let Err(fault) = self.writer.backend.begin().await {
            self.in_transaction = false;
            return Err(fault);
        }
        let worked = async {
            // From here on no other runner can end this one before the commit, and earlier transactions of this
            // runner have finished.
            let beat = self.writer.runner.beat(self.writer.backend.conn()).await?;
            // Every transaction increases the beat, so the beat shows whether the last commit happened.
            if outcome.as_ref().is_some_and(|(_, written)| *written < beat) {
                return Ok(None);
            }
            let value = work(&mut self.writer).await?;
            fault::point("store.commit").map_err(sqlx::Error::from)?;
            Ok(Some((value, beat)))
        };
        match worked.await {
            Ok(Some(done)) => *outcome = Some(done),
            Ok(None) => {
                self.roll_back().await;
                return Ok(());
            }
            Err(fault) => {
                self.roll_back().await;
                return Err(fault);
            }
        }
        if let Err(fault) = self.writer.backend.commit().await {
            self.roll_back().await;
            return Err(fault);
        }
        self.in_transaction = false;
        fault::point("store.committed")?;
        Ok(())
    }

    /// Reads without a transaction.
    pub(crate) async fn read<T>(
        &mut self,
        mut work: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        loop {
            let limit = self.timeout(LONG_TIMEOUT);
            let outcome = tokio::time::timeout(limit, work(&mut self.writer)).await;
            match outcome.unwrap_or_else(|_| Err(timed_out().into())) {
                Ok(value) => return Ok(value),
                Err(fault) => {
                    if !self.writer.backend.recover(&fault).await? {
                        return Err(StoreError::at(self.writer.backend.name(), fault));
                    }
                }
            }
        }
    }

    async fn roll_back(&mut self) {
        self.writer.backend.roll_back().await;
        self.in_transaction = false;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::task::Poll;

    use spec::event::StepRow;
    use sqlx::SqliteConnection;

    use super::*;
    use crate::backend::Conn;

    /// The SQLite connection.
    fn sqlite(store: &mut Store) -> &mut SqliteConnection {
        match store.writer.backend.conn() {
            Conn::Sqlite(connection) => connection,
            Conn::Postgres(_) => panic!("a folder was opened"),
        }
    }

    /// A store in which stage 1 has begun.
    async fn store(dir: &Path) -> (Store, i64) {
        let text = "{name: x, data: {dataset: digits, batch_size: 50}, model: {kind: mlp, hidden: [8]}, \
             optimizer: {kind: sgd}, budget: {steps: 10000}, lr: 0.1, schedules: {a: {kind: constant}}}";
        let spec = trainer::read(text, "x").expect("a good sweep file");
        let plan = spec::plan(&spec).expect("a plan");
        let mut store = Store::open(dir).await.expect("a store");
        store.register(&plan, false).await.expect("registered");
        let environment = store.environment(&Environment::default()).await.expect("a number");
        let trial_ids = vec![plan.trials[0].id.clone()];
        let begin = [Event::Stage { stage: 1, first: 0, trial_ids }];
        store.write(&begin, environment).await.expect("written");
        (store, environment)
    }

    async fn rows(store: &mut Store) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM metrics").fetch_one(sqlite(store)).await;
        count.expect("readable")
    }

    fn batch(steps: std::ops::Range<u64>) -> Vec<Event> {
        let row = |step| StepRow { step, lr: 0.1, train_loss: 1.0, grad_norm: 1.0 };
        vec![Event::Steps { stage: 1, rows: steps.map(row).collect(), evaluated: Vec::new() }]
    }

    async fn allow_pages(store: &mut Store, pages: &'static str) {
        sqlx::raw_sql(pages).execute(sqlite(store)).await.expect("a setting");
    }

    #[tokio::test]
    async fn after_a_full_disk_the_store_is_intact_and_writable() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        store.write(&batch(0..10), environment).await.expect("written");
        allow_pages(&mut store, "PRAGMA max_page_count = 1").await;
        for _ in 0..3 {
            let error = store.write(&batch(10..10_000), environment).await.expect_err("no room");
            assert!(matches!(error, StoreError::Full { .. }) && !error.is_users_mistake(), "{error}");
            assert_eq!(rows(&mut store).await, 10);
        }
        allow_pages(&mut store, "PRAGMA max_page_count = 1000000").await;
        store.write(&batch(10..10_000), environment).await.expect("there is room again");
        assert_eq!(rows(&mut store).await, 10_000);
        store.close().await.expect("closed");
        let mut reader = crate::Reader::open(dir.path()).await.expect("a store");
        let check = reader.query("PRAGMA integrity_check").await.expect("good SQL");
        assert_eq!(check.rows, [[crate::Value::Text("ok".into())]]);
    }

    /// Polls a future at most N times, then drops it.
    async fn polled<F: Future>(future: F, limit: u64) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut polls = 0;
        std::future::poll_fn(|context| {
            polls += 1;
            if polls > limit { Poll::Ready(None) } else { future.as_mut().poll(context).map(Some) }
        })
        .await
    }

    #[tokio::test]
    async fn a_write_that_is_cancelled_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        // The future is dropped after each possible number of polls.
        for polls in 0..40 {
            let before = rows(&mut store).await;
            let range = 100 * polls..100 * polls + 100;
            let events = batch(range);
            let outcome = polled(store.write(&events, environment), polls).await;
            // The next transaction rolls the open one back.
            store.write(&[], environment).await.expect("written");
            let after = rows(&mut store).await;
            match outcome {
                Some(written) => {
                    written.expect("written");
                    assert_eq!(after, before + 100);
                }
                // The commit may have happened anyway.
                None => assert!(after == before || after == before + 100, "{before} and {after}"),
            }
        }
    }

    #[tokio::test]
    async fn a_lock_of_another_program_is_reported() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        let path = dir.path().join("sweep.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut other = sqlx::ConnectOptions::connect(&options).await.expect("a connection");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
        sqlx::raw_sql("PRAGMA busy_timeout = 10").execute(sqlite(&mut store)).await.expect("a short timeout");
        let error = store.write(&batch(0..10), environment).await.expect_err("locked");
        assert!(matches!(error, StoreError::Locked { .. }) && !error.is_users_mistake(), "{error}");
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("free");
        store.write(&batch(0..10), environment).await.expect("written");
    }

    #[tokio::test]
    async fn a_transaction_that_has_happened_is_not_done_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, _) = store(dir.path()).await;
        let beat = store.transact(async |writer| writer.runner.beat(writer.backend.conn()).await);
        let beat = beat.await.expect("a beat");
        let mut work = async |_: &mut Writer| Ok("again");
        // This beat or a later one is stored, so the commit happened.
        let mut outcome = Some(("before", beat));
        store.attempt(&mut work, &mut outcome).await.expect("well");
        assert_eq!(outcome, Some(("before", beat)));
        // A later beat than the stored one: the commit did not happen.
        let mut outcome = Some(("before", beat + 1));
        store.attempt(&mut work, &mut outcome).await.expect("well");
        assert_eq!(outcome, Some(("again", beat + 1)));
    }

    /// A process that is suspended during a transaction still holds its locks.
    #[tokio::test]
    #[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
    async fn a_runner_suspended_in_a_transaction_is_ended() {
        let url = Location::parse(pgtest::shared().database().into());
        let options = JoinOptions { lease: std::time::Duration::from_secs(1), ..JoinOptions::default() };
        let mut suspended = Store::join(&url, &options).await.expect("a store");
        let mut other = Store::join(&url, &options).await.expect("a store");
        let sleep = tokio::sync::Notify::new();
        let sleeping = suspended.transact(async |_| {
            sleep.notified().await;
            Ok(())
        });
        let watching = async {
            while other.heartbeat("x", Activity::Waiting).await.expect("a heartbeat").dead == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            sleep.notify_one();
        };
        let (slept, ()) = tokio::join!(sleeping, watching);
        assert!(matches!(slept, Err(StoreError::TakenOver { .. })), "{slept:?}");
    }
}
