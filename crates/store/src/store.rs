//! A writer: opening, transactions, closing. What is written stands in `register`, `event` and `runner`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spec::Plan;
use spec::event::Event;
use sqlx::{Connection, SqliteConnection};

use crate::connection::{Access, connect, connect_to_read};
use crate::error::{Fault, StoreError};
use crate::rows::{Environment, Tended, Unfinished};
use crate::runner::Runner;
use crate::{event, files, lock, register, schema};

/// A sweep database, open for writing. Several processes may have it open; each is a *runner* and writes of the trials only
/// that it has claimed. One that is ended by another, because it seemed dead, can write nothing any more.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    path: PathBuf,
    connection: SqliteConnection,
    /// A transaction was begun and its end is not known.
    in_transaction: bool,
    /// After the connection, so that this ends first.
    runner: Runner,
}

impl Store {
    /// Opens `DIR/sweep.db` for writing. Folder and database are made where they are missing, and brought
    /// up to date. Runners of this host that have died are ended, and their trials are free again.
    ///
    /// # Errors
    /// It can't be written, is not a sweep database of this version or an older one, or is being opened by
    /// another process all the time.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = files::database(dir);
        files::prepare_to_write(dir, &path)?;
        files::has_content(&path)?;
        let _gate = lock::gate(dir, &path).await?;
        // Looked at before it is opened for writing: that alone would change another program's file.
        if files::has_content(&path)? {
            let mut reading = connect_to_read(&path).await?;
            let found = schema::inspect(&mut reading, &path).await;
            reading.close().await.map_err(|error| StoreError::at(&path, error))?;
            found?;
        }
        let at = |error: sqlx::Error| StoreError::at(&path, error);
        let mut connection = connect(&path, Access::Write).await.map_err(at)?;
        schema::migrate(&mut connection, &path).await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.map_err(at)?;
        // What fails here drops the connection, which takes back what was begun.
        let mut runner = Runner::join(&mut connection, dir, &path).await?;
        let ended = runner.end_the_dead(&mut connection, dir, Duration::MAX).await;
        ended.map_err(|fault| StoreError::at(&path, fault))?;
        sqlx::query("COMMIT").execute(&mut connection).await.map_err(at)?;
        Ok(Self { dir: dir.to_owned(), path, connection, in_transaction: false, runner })
    }

    /// The number of this process in the store, which no other process has or will have.
    pub fn runner(&self) -> i64 {
        self.runner.id
    }

    /// Says that this runner lives, and sees to the others: ends those that have died, those of this host at once, the
    /// rest when their beat has been the same for longer than `patience`, by this process' own clock. Their trials are free
    /// then. `idle`: this one has nothing to train and waits for what others may give back.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn tend(&mut self, sweep: &str, patience: Duration, idle: bool) -> Result<Tended, StoreError> {
        self.begin().await?;
        let (runner, connection) = (&mut self.runner, &mut self.connection);
        let outcome = async {
            let (dead, living) = runner.end_the_dead(connection, &self.dir, patience).await?;
            let alone = dead == 0 && living == 0;
            if idle {
                runner.tell(connection, sweep, Some(!alone)).await?;
            }
            let left = if idle { runner.left(connection, sweep).await? } else { 0 };
            let waiting = if alone || idle { 0 } else { runner.idle_others(connection, sweep).await? };
            let ended = if alone { None } else { Some(register::ended(connection, sweep).await?) };
            Ok(Tended { dead, left, waiting, ended })
        };
        let outcome = outcome.await;
        self.end(outcome).await
    }

    /// Numbers of the other runners that may write.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn others(&mut self) -> Result<Vec<i64>, StoreError> {
        let found = self.runner.others(&mut self.connection).await;
        let found = found.map_err(|error| StoreError::at(&self.path, error))?;
        Ok(found.into_iter().map(|(id, ..)| id).collect())
    }

    /// Takes the trials of a sweep that are not over and that nobody has, those that failed only `with_failed`. In the
    /// sweep's order.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn claim(&mut self, sweep: &str, with_failed: bool) -> Result<Vec<Unfinished>, StoreError> {
        self.begin().await?;
        let outcome = async {
            let claimed = self.runner.claim(&mut self.connection, sweep, with_failed).await?;
            let has_work = (!claimed.is_empty()).then_some(false);
            self.runner.tell(&mut self.connection, sweep, has_work).await?;
            if claimed.is_empty() {
                return Ok(Vec::new());
            }
            let claimed: HashSet<String> = claimed.into_iter().collect();
            let mut unfinished = register::unfinished(&mut self.connection, sweep).await?;
            unfinished.retain(|trial| claimed.contains(&trial.trial_id));
            Ok(unfinished)
        };
        let outcome = outcome.await;
        self.end(outcome).await
    }

    /// Gives trials back that it has not begun, so that another runner takes them.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn release(&mut self, trial_ids: &[String]) -> Result<(), StoreError> {
        self.begin().await?;
        let outcome = self.runner.release(&mut self.connection, trial_ids).await;
        self.end(outcome).await
    }

    /// How many trials of a sweep are done or have diverged, whoever trained them.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn ended(&mut self, sweep: &str) -> Result<usize, StoreError> {
        let ended = register::ended(&mut self.connection, sweep).await;
        ended.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Writes what a sweep asks for. Trials that exist stay as they are; what the sweep asked for before
    /// is forgotten. A second call changes nothing. Where another runner has the same sweep file and has decided more by
    /// now, all that is asked for is there already, and nothing is written.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn register(&mut self, plan: &Plan) -> Result<(), StoreError> {
        self.begin().await?;
        let outcome = async {
            if self.runner.is_behind(&mut self.connection, plan).await? {
                return Ok(());
            }
            register::write(&mut self.connection, plan).await
        };
        let outcome = outcome.await;
        self.end(outcome).await
    }

    /// The trials that a sweep asks for and that are neither done nor diverged, in the sweep's order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn unfinished(&mut self, sweep: &str) -> Result<Vec<Unfinished>, StoreError> {
        let found = register::unfinished(&mut self.connection, sweep).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// The number of an environment, which is written where it is new.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn environment(&mut self, environment: &Environment) -> Result<i64, StoreError> {
        self.begin().await?;
        let outcome = register::environment(&mut self.connection, environment).await;
        self.end(outcome).await
    }

    /// Writes a batch of events, all or none of it. Gives the checkpoint files that nobody needs any more
    /// because of it: those of trials that are over, and those that a newer one replaces.
    ///
    /// # Errors
    /// The database can't be written. What was stored before stays, and a later call may succeed.
    pub async fn write(&mut self, batch: &[Event], environment: i64) -> Result<Vec<String>, StoreError> {
        self.begin().await?;
        let outcome = event::write(&mut self.connection, batch, environment).await;
        self.end(outcome).await
    }

    /// A number from which on no stage is numbered yet, nor will be by another runner.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn next_stage(&mut self) -> Result<u64, StoreError> {
        let next = self.runner.next_stage(&mut self.connection).await;
        next.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Names of all checkpoint files that an unfinished trial may go on from, of whatever sweep. Other
    /// files in the folder of checkpoints are left over from a kill.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn checkpoint_files(&mut self) -> Result<Vec<String>, StoreError> {
        let files = sqlx::query_scalar("SELECT DISTINCT file FROM checkpoints ORDER BY file");
        files.fetch_all(&mut self.connection).await.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Forgets the checkpoints of all trials that no runner has: they start over. Gives how many trials.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn drop_checkpoints(&mut self) -> Result<u64, StoreError> {
        self.begin().await?;
        let sql = "
            DELETE FROM checkpoints WHERE NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = checkpoints.trial_id)";
        let outcome = sqlx::query(sql).execute(&mut self.connection).await;
        self.end(outcome.map(|done| done.rows_affected()).map_err(Fault::Sql)).await
    }

    /// Gives the pages of the database that hold nothing back to the system, where no other runner is at work, and removes
    /// what runners that have ended left in the folder. Gives how many files went, and how many bytes with them.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn compact(&mut self) -> Result<(usize, u64), StoreError> {
        let others = self.others().await?;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let before = size(&self.path);
        if others.is_empty() {
            let sql = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);";
            let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
            done.map_err(|error| StoreError::at(&self.path, error))?;
        }
        let mut files = 0;
        for entry in std::fs::read_dir(self.dir.join("runners")).into_iter().flatten().flatten() {
            let path = entry.path();
            let id =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i64>().ok());
            let at_work = |id| id == self.runner.id || others.contains(&id);
            if id.is_some_and(|id| !at_work(id)) && std::fs::remove_file(&path).is_ok() {
                files += 1;
            }
        }
        Ok((files, before.saturating_sub(size(&self.path))))
    }

    /// Frees the trials that it still has, and closes the database so that all of it is in one file.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn close(mut self) -> Result<(), StoreError> {
        let left = async {
            self.begin().await?;
            let outcome = self.runner.leave(&mut self.connection).await;
            self.end(outcome).await
        };
        match left.await {
            // Then it was ended before.
            Ok(()) | Err(StoreError::TakenOver { .. }) => {}
            Err(error) => return Err(error),
        }
        let Self { path, mut connection, runner, .. } = self;
        let closed = async {
            // Statistics for the query planner, then the log into the file, as far as no reader needs it;
            // PASSIVE waits for none.
            let sql = "PRAGMA optimize; PRAGMA wal_checkpoint(PASSIVE);";
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await
        };
        closed.await.map_err(|error| StoreError::at(&path, error))?;
        runner.forget();
        Ok(())
    }

    /// Begins a transaction. SQL of our own instead of sqlx's transactions: when SQLite has ended one by
    /// itself, as it does when the disk is full, those lose count.
    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.in_transaction {
            // Left by a call whose future was dropped.
            self.roll_back().await;
        }
        fault::point("store.begin").map_err(|error| StoreError::io(&self.path, &error))?;
        self.in_transaction = true;
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await;
        if let Err(error) = begun {
            self.in_transaction = false;
            return Err(StoreError::at(&self.path, error));
        }
        // From here on nobody else writes: who was not ended by now is not ended before the commit.
        let lives = self.runner.beat(&mut self.connection).await;
        if let Err(fault) = lives {
            self.roll_back().await;
            return Err(StoreError::at(&self.path, fault));
        }
        Ok(())
    }

    /// Commits what went well and takes back what did not.
    async fn end<T>(&mut self, outcome: Result<T, Fault>) -> Result<T, StoreError> {
        let committed = match outcome {
            Ok(value) => {
                let ready = fault::point("store.commit").map_err(sqlx::Error::from);
                let commit = match ready {
                    Ok(()) => sqlx::query("COMMIT").execute(&mut self.connection).await.map(|_| value),
                    Err(error) => Err(error),
                };
                commit.map_err(Fault::Sql)
            }
            Err(fault) => Err(fault),
        };
        match committed {
            Ok(value) => {
                self.in_transaction = false;
                fault::point("store.committed").map_err(|error| StoreError::io(&self.path, &error))?;
                Ok(value)
            }
            Err(fault) => {
                self.roll_back().await;
                Err(StoreError::at(&self.path, fault))
            }
        }
    }

    async fn roll_back(&mut self) {
        // Fails where SQLite has done it already, which is as well.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!("rollback: {error}");
        }
        self.in_transaction = false;
    }
}

#[cfg(test)]
mod tests {
    use spec::event::StepRow;

    use super::*;

    /// A store in which stage 1 has begun.
    async fn store(dir: &Path) -> (Store, i64) {
        let text = "{name: x, data: {dataset: digits, batch_size: 50}, model: {kind: mlp, hidden: [8]}, \
             optimizer: {kind: sgd}, budget: {steps: 10000}, lr: 0.1, schedules: {a: {kind: constant}}}";
        let spec = spec::read(text, "x").expect("a good sweep file");
        let plan = spec::plan(&spec).expect("a plan");
        let mut store = Store::open(dir).await.expect("a store");
        store.register(&plan).await.expect("registered");
        let environment = store.environment(&Environment::default()).await.expect("a number");
        let trial_ids = vec![plan.trials[0].id.clone()];
        let begin = [Event::Stage { stage: 1, first: 0, trial_ids }];
        store.write(&begin, environment).await.expect("written");
        (store, environment)
    }

    async fn rows(store: &mut Store) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM metrics").fetch_one(&mut store.connection).await;
        count.expect("readable")
    }

    fn batch(steps: std::ops::Range<u64>) -> Vec<Event> {
        let row = |step| StepRow { step, lr: 0.1, train_loss: 1.0, grad_norm: 1.0 };
        vec![Event::Steps { stage: 1, rows: steps.map(row).collect(), evaluated: Vec::new() }]
    }

    async fn allow_pages(store: &mut Store, pages: &'static str) {
        sqlx::raw_sql(pages).execute(&mut store.connection).await.expect("a setting");
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

    #[tokio::test]
    async fn a_write_that_is_cancelled_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut store, environment) = store(dir.path()).await;
        // However far it comes before its future is dropped.
        for patience in 0..40 {
            let before = rows(&mut store).await;
            let range = 100 * patience..100 * patience + 100;
            let events = batch(range);
            let outcome = {
                let mut write = std::pin::pin!(store.write(&events, environment));
                let mut polls = 0;
                std::future::poll_fn(|context| {
                    polls += 1;
                    if polls > patience {
                        return std::task::Poll::Ready(None);
                    }
                    write.as_mut().poll(context).map(Some)
                })
                .await
            };
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
        let mut other = connect(&store.path, Access::Write).await.expect("a connection");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
        sqlx::raw_sql("PRAGMA busy_timeout = 10").execute(&mut store.connection).await.expect("impatient");
        let error = store.write(&batch(0..10), environment).await.expect_err("locked");
        assert!(matches!(error, StoreError::Locked { .. }) && !error.is_users_mistake(), "{error}");
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("free");
        store.write(&batch(0..10), environment).await.expect("written");
    }
}
