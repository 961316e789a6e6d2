//! The one writer: opening, transactions, closing. What is written stands in `register` and `event`.

use std::path::{Path, PathBuf};

use spec::Plan;
use spec::event::Event;
use sqlx::{Connection, SqliteConnection};

use crate::connection::{Access, connect, connect_to_read};
use crate::error::{Fault, StoreError};
use crate::lock::{self, Lock};
use crate::rows::{Environment, Unfinished};
use crate::{event, files, register, schema, stage};

/// A sweep database, open for writing. There is one at a time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: SqliteConnection,
    /// A transaction was begun and its end is not known.
    in_transaction: bool,
    /// After the connection, so that this ends first.
    _lock: Lock,
}

impl Store {
    /// Opens `DIR/sweep.db` for writing. Folder and database are made where they are missing, and brought
    /// up to date.
    ///
    /// # Errors
    /// It can't be written, is not a sweep database of this version or an older one, or is in use.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = files::database(dir);
        files::prepare_to_write(dir, &path)?;
        files::has_content(&path)?;
        let lock = lock::take(dir, &path)?;
        // Looked at before it is opened for writing: that alone would change another program's file.
        if files::has_content(&path)? {
            let mut reading = connect_to_read(&path).await?;
            let found = schema::inspect(&mut reading, &path).await;
            reading.close().await.map_err(|error| StoreError::at(&path, error))?;
            found?;
        }
        let mut connection =
            connect(&path, Access::Write).await.map_err(|error| StoreError::at(&path, error))?;
        schema::migrate(&mut connection, &path).await?;
        Ok(Self { path, connection, in_transaction: false, _lock: lock })
    }

    /// Writes what a sweep asks for. Trials that exist stay as they are; what the sweep asked for before
    /// is forgotten. A second call changes nothing.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn register(&mut self, plan: &Plan) -> Result<(), StoreError> {
        self.begin().await?;
        let outcome = register::write(&mut self.connection, plan).await;
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

    /// A number from which on no stage is numbered yet.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn next_stage(&mut self) -> Result<u64, StoreError> {
        let next = stage::next(&mut self.connection).await;
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

    /// Closes the database so that all of it is in one file.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn close(mut self) -> Result<(), StoreError> {
        let closed = async {
            if self.in_transaction {
                sqlx::query("ROLLBACK").execute(&mut self.connection).await.ok();
            }
            // Statistics for the query planner, then the log into the file, as far as no reader needs it;
            // PASSIVE waits for none.
            let sql = "PRAGMA optimize; PRAGMA wal_checkpoint(PASSIVE);";
            sqlx::raw_sql(sql).execute(&mut self.connection).await?;
            self.connection.close().await
        };
        closed.await.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Begins a transaction. SQL of our own instead of sqlx's transactions: when SQLite has ended one by
    /// itself, as it does when the disk is full, those lose count.
    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.in_transaction {
            // Left by a call whose future was dropped.
            self.roll_back().await;
        }
        self.in_transaction = true;
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await;
        if begun.is_err() {
            self.in_transaction = false;
        }
        begun.map(|_| ()).map_err(|error| StoreError::at(&self.path, error))
    }

    /// Commits what went well and takes back what did not.
    async fn end<T>(&mut self, outcome: Result<T, Fault>) -> Result<T, StoreError> {
        let committed = match outcome {
            Ok(value) => {
                let commit = sqlx::query("COMMIT").execute(&mut self.connection).await;
                commit.map(|_| value).map_err(Fault::Sql)
            }
            Err(fault) => Err(fault),
        };
        match committed {
            Ok(value) => {
                self.in_transaction = false;
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
