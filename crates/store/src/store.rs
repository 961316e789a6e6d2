//! A writer: opening, transactions, closing. What is written stands in `register`, `runner`, `merge` and, where the databases
//! differ, behind [`Backend`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use spec::Plan;
use spec::event::Event;
use spec::record::{Environment, TrialRecord};

use crate::backend::{Backend, on};
use crate::error::{Fault, StoreError, no_answer};
use crate::location::Location;
use crate::records::{self, Which};
use crate::rows::{Attention, Joining, Tended, Unfinished};
use crate::runner::Runner;
use crate::{event, postgres, register, sqlite};

/// A server that gives no answer for so long has lost the connection. Far longer than any transaction takes.
const ANSWER: Duration = Duration::from_secs(120);

/// The same where much is read or written at once.
pub(crate) const LONG_ANSWER: Duration = Duration::from_secs(3600);

/// Where there are so many others, only who watches counts what they have done: each count looks at every trial.
const MANY: i64 = 30;

/// A sweep database, open for writing. Several processes may have it open; each is a *runner* and writes of the trials only
/// that it has claimed. One that is ended by another, because it seemed dead, can write nothing any more.
#[derive(Debug)]
pub struct Store {
    pub(crate) writer: Writer,
    /// A transaction was begun and its end is not known.
    in_transaction: bool,
}

/// What transactions work with.
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
        Self::join(location, &Joining::default()).await
    }

    /// Opens a store for writing. Folder, database and tables are made where they are missing, and brought up to date.
    /// Runners that have died are ended, and their trials are free again.
    ///
    /// # Errors
    /// It can't be reached or written, is not a sweep database of this version or an older one, or is being opened by
    /// another process all the time.
    pub async fn join(location: impl Into<Location>, joining: &Joining) -> Result<Self, StoreError> {
        match location.into() {
            Location::Folder(dir) => {
                let (backend, _gate) = sqlite::open(&dir).await?;
                Self::enter(Box::new(backend), joining).await
            }
            Location::Server(server) => {
                let backend = postgres::open(*server, joining.lease).await?;
                Self::enter(Box::new(backend), joining).await
            }
            Location::Unusable { shown, message } => Err(StoreError::Location { shown, message }),
        }
    }

    async fn enter(mut backend: Box<dyn Backend>, joining: &Joining) -> Result<Self, StoreError> {
        let entered = async {
            backend.begin().await?;
            // What fails here drops the connection, which takes back what was begun.
            let runner = Runner::join(backend.conn(), joining).await?;
            Ok(runner)
        };
        let entered: Result<Runner, Fault> = entered.await;
        let runner = entered.map_err(|fault| StoreError::at(backend.name(), fault))?;
        // Nobody sees it before it holds its lock.
        backend.enter(runner.id)?;
        let settled = async {
            runner.end_the_dead(&mut *backend).await?;
            backend.commit().await
        };
        let settled: Result<(), Fault> = settled.await;
        settled.map_err(|fault| StoreError::at(backend.name(), fault))?;
        Ok(Self { writer: Writer { backend, runner }, in_transaction: false })
    }

    /// The number of this process in the store, which no other process has or will have.
    pub fn runner(&self) -> i64 {
        self.writer.runner.id
    }

    /// Once this is true it is not waited for long for a server that does not answer.
    pub fn give_up_on(&mut self, stop: Arc<AtomicBool>) {
        self.writer.backend.give_up_on(stop);
    }

    /// Whether others write from other machines: then transactions are dear, and should be few.
    pub fn is_remote(&self) -> bool {
        self.writer.backend.is_remote()
    }

    /// Says that this runner lives, and sees to the others: ends those that were silent for longer than their lease, and
    /// those of this host whose process has ended. Their trials are free then.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn tend(&mut self, sweep: &str, attention: Attention) -> Result<Tended, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            let dead = runner.end_the_dead(&mut **backend).await?;
            let others = runner.count_others(backend.conn(), MANY).await?;
            let alone = dead == 0 && others == 0;
            if attention == Attention::Waiting {
                runner.tell(backend.conn(), sweep, Some(!alone)).await?;
            }
            let left = attention != Attention::Busy && runner.is_left(backend.conn(), sweep).await?;
            let waiting =
                attention == Attention::Busy && !alone && runner.others_wait(backend.conn(), sweep).await?;
            let counts = attention == Attention::Watching || (!alone && others < MANY);
            let ended = if counts { Some(register::ended(backend.conn(), sweep).await?) } else { None };
            Ok(Tended { dead, left, waiting, ended })
        })
        .await
    }

    /// Numbers of the other runners that may write.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn others(&mut self) -> Result<Vec<i64>, StoreError> {
        self.look(async |Writer { backend, runner }| runner.others(backend.conn()).await).await
    }

    /// Takes trials of a sweep that are not over and that nobody has, those that failed only `with_failed`. Whole stage
    /// groups: all there are for one that is alone, at most `groups` for one of many. In no order.
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
            runner.tell(backend.conn(), sweep, has_work).await?;
            if claimed.is_empty() {
                return Ok(Vec::new());
            }
            register::begun(backend.conn(), &claimed).await
        })
        .await
    }

    /// Has trials of a sweep that failed and that nobody has tried again by whoever claims them next. Gives how many.
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

    /// Gives trials back that it has not begun, so that another runner takes them.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn release(&mut self, trial_ids: &[String]) -> Result<(), StoreError> {
        self.transact(async |Writer { backend, runner }| runner.release(backend.conn(), trial_ids).await)
            .await
    }

    /// How many trials of a sweep are done or have diverged, whoever trained them.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn ended(&mut self, sweep: &str) -> Result<usize, StoreError> {
        self.look(async |Writer { backend, .. }| register::ended(backend.conn(), sweep).await).await
    }

    /// Writes what a sweep asks for. Trials that exist stay as they are; what the sweep asked for before
    /// is forgotten. A second call changes nothing. Where another runner has the same sweep file and has decided more by
    /// now, all that is asked for is there already, and nothing is written. `again`: nobody has just asked for the sweep,
    /// so that it does not count as the one that was run last.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn register(&mut self, plan: &Plan, again: bool) -> Result<(), StoreError> {
        let written = self.transact_within(LONG_ANSWER, async |Writer { backend, runner }| {
            backend.lock_register().await?;
            if runner.is_behind(backend.conn(), plan).await? {
                return Ok(false);
            }
            register::write(backend.conn(), plan, again).await
        });
        if written.await? {
            self.writer.backend.registered().await;
        }
        Ok(())
    }

    /// Says that this runner lives, where there is nothing else to write.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn sign_of_life(&mut self) -> Result<(), StoreError> {
        self.transact(async |_| Ok(())).await
    }

    /// Says which sweep this runner is for, before it claims any of its trials.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn tell(&mut self, sweep: &str) -> Result<(), StoreError> {
        self.transact(async |Writer { backend, runner }| runner.tell(backend.conn(), sweep, None).await).await
    }

    /// The sweeps, the one that was run last first: name, file, and whether it has trials that are neither over nor failed.
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
        self.look(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_as(sql).fetch_all(c).await)?)
        })
        .await
    }

    /// The trials that a sweep asks for and that are neither done nor diverged, in the sweep's order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn unfinished(&mut self, sweep: &str) -> Result<Vec<Unfinished>, StoreError> {
        self.look(async |Writer { backend, .. }| register::unfinished(backend.conn(), sweep).await).await
    }

    /// Every run that a sweep asks for, as [`Reader::results`](crate::Reader::results) gives them.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn results(&mut self, sweep: &str) -> Result<Vec<TrialRecord>, StoreError> {
        self.look(
            async |Writer { backend, .. }| Ok(records::read(backend.conn(), Which::Cells(sweep)).await?),
        )
        .await
    }

    /// The number of an environment, which is written where it is new.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn environment(&mut self, environment: &Environment) -> Result<i64, StoreError> {
        self.transact(async |Writer { backend, .. }| register::environment(backend.conn(), environment).await)
            .await
    }

    /// Writes a batch of events, all or none of it. Gives the checkpoint files that nobody needs any more
    /// because of it: those of trials that are over, and those that a newer one replaces.
    ///
    /// # Errors
    /// The database can't be written. What was stored before stays, and a later call may succeed.
    pub async fn write(&mut self, batch: &[Event], environment: i64) -> Result<Vec<String>, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            event::write(&mut **backend, batch, environment, &runner.host).await
        })
        .await
    }

    /// A number from which on no stage is numbered yet, nor will be by another runner.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn next_stage(&mut self) -> Result<u64, StoreError> {
        self.look(async |Writer { backend, runner }| runner.next_stage(backend.conn()).await).await
    }

    /// Names of all checkpoint files that an unfinished trial may go on from, of whatever sweep. Other
    /// files in the folder of checkpoints are left over from a kill.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn checkpoint_files(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT file FROM checkpoints ORDER BY file";
        self.look(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_scalar(sql).fetch_all(c).await)?)
        })
        .await
    }

    /// Forgets the checkpoints of all trials that no runner has: they start over. Gives how many trials.
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

    /// Gives room that the database does not need any more back to the system, as far as that disturbs no other runner.
    /// Gives how many files went, and how many bytes with them.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn compact(&mut self) -> Result<(usize, u64), StoreError> {
        let others = self.others().await?;
        self.writer.backend.compact(self.writer.runner.id, &others).await
    }

    /// Frees the trials that it still has, and closes the database.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn close(mut self) -> Result<(), StoreError> {
        match self.transact(async |Writer { backend, runner }| runner.leave(backend.conn()).await).await {
            // Then it was ended before.
            Ok(()) | Err(StoreError::TakenOver { .. }) => {}
            Err(error) => return Err(error),
        }
        let Writer { mut backend, runner } = self.writer;
        backend.forget(runner.id);
        backend.close().await
    }

    /// How long an answer may take: a file always gives one.
    fn patience(&self, limit: Duration) -> Duration {
        if self.is_remote() { limit } else { Duration::MAX }
    }

    /// Does some work in one transaction: all or none of it, and only once, also where the connection was lost before its
    /// end was heard of.
    pub(crate) async fn transact<T>(
        &mut self,
        work: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.transact_within(ANSWER, work).await
    }

    /// The same for what may take longer.
    pub(crate) async fn transact_within<T>(
        &mut self,
        limit: Duration,
        mut work: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // What the work gave, and the beat that was written with it.
        let mut outcome: Option<(T, i64)> = None;
        loop {
            let fault =
                match tokio::time::timeout(self.patience(limit), self.attempt(&mut work, &mut outcome)).await
                {
                    Ok(Ok(())) => match outcome.take() {
                        Some((value, _)) => return Ok(value),
                        None => continue,
                    },
                    Ok(Err(fault)) => fault,
                    Err(_) => {
                        // What was begun ends with its connection, which is given up.
                        self.in_transaction = false;
                        no_answer().into()
                    }
                };
            let backend = &mut self.writer.backend;
            if !backend.recover(&fault).await? {
                return Err(StoreError::at(backend.name(), fault));
            }
            tracing::debug!(runner = self.writer.runner.id, "a transaction is tried again");
        }
    }

    /// One attempt. Leaves an outcome there where it has happened, and where the end of it is not known: then the next one sees.
    async fn attempt<T>(
        &mut self,
        work: &mut impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
        outcome: &mut Option<(T, i64)>,
    ) -> Result<(), Fault> {
        if self.in_transaction {
            // Left by a call whose future was dropped.
            self.roll_back().await;
        }
        fault::point("store.begin")?;
        self.in_transaction = true;
        if let Err(fault) = self.writer.backend.begin().await {
            self.in_transaction = false;
            return Err(fault);
        }
        let worked = async {
            // From here on nobody ends this runner before the commit, and what it had begun before has come to its end.
            let beat = self.writer.runner.beat(self.writer.backend.conn()).await?;
            // Every transaction makes the beat grow: it tells whether the last one has happened.
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

    /// Reads, without a transaction.
    pub(crate) async fn look<T>(
        &mut self,
        mut read: impl AsyncFnMut(&mut Writer) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        loop {
            let limit = self.patience(LONG_ANSWER);
            let read = tokio::time::timeout(limit, read(&mut self.writer)).await;
            match read.unwrap_or_else(|_| Err(no_answer().into())) {
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

    /// SQLite's own connection.
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
    async fn after_a_full_disk_the_store_is_whole_and_goes_on() {
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

    /// The result of a future within N polls; it is dropped then.
    async fn polled<F: Future>(future: F, most: u64) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut polls = 0;
        std::future::poll_fn(|context| {
            polls += 1;
            if polls > most { Poll::Ready(None) } else { future.as_mut().poll(context).map(Some) }
        })
        .await
    }

    #[tokio::test]
    async fn a_write_that_is_cancelled_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        // However far it comes before its future is dropped.
        for patience in 0..40 {
            let before = rows(&mut store).await;
            let range = 100 * patience..100 * patience + 100;
            let events = batch(range);
            let outcome = polled(store.write(&events, environment), patience).await;
            // The next transaction takes back what was left open.
            store.write(&[], environment).await.expect("written");
            let after = rows(&mut store).await;
            match outcome {
                Some(written) => {
                    written.expect("written");
                    assert_eq!(after, before + 100);
                }
                // The last step may have been done all the same.
                None => assert!(after == before || after == before + 100, "{before} and {after}"),
            }
        }
    }

    #[tokio::test]
    async fn another_program_with_the_lock_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        let path = dir.path().join("sweep.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut other = sqlx::ConnectOptions::connect(&options).await.expect("a connection");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
        sqlx::raw_sql("PRAGMA busy_timeout = 10").execute(sqlite(&mut store)).await.expect("impatient");
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
        // Its beat is stored, or one after it.
        let mut outcome = Some(("before", beat));
        store.attempt(&mut work, &mut outcome).await.expect("well");
        assert_eq!(outcome, Some(("before", beat)));
        // It never came to its end.
        let mut outcome = Some(("before", beat + 1));
        store.attempt(&mut work, &mut outcome).await.expect("well");
        assert_eq!(outcome, Some(("again", beat + 1)));
    }

    /// A process that is suspended in the middle of a transaction holds the locks of it.
    #[tokio::test]
    #[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
    async fn one_that_sleeps_within_a_transaction_is_taken_for_dead() {
        let url = Location::parse(pgtest::shared().database().into());
        let joining = Joining { lease: std::time::Duration::from_secs(1), ..Joining::default() };
        let mut asleep = Store::join(&url, &joining).await.expect("a store");
        let mut other = Store::join(&url, &joining).await.expect("a store");
        let sleep = tokio::sync::Notify::new();
        let sleeping = asleep.transact(async |_| {
            sleep.notified().await;
            Ok(())
        });
        let watching = async {
            while other.tend("x", Attention::Waiting).await.expect("tended").dead == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            sleep.notify_one();
        };
        let (slept, ()) = tokio::join!(sleeping, watching);
        assert!(matches!(slept, Err(StoreError::TakenOver { .. })), "{slept:?}");
    }
}
