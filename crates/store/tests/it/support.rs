//! Helpers: plans from sweep files, events, and direct access to the database.

use std::path::Path;

use spec::Plan;
use spec::event::{Evaluated, Event, Final, Outcome, StepRow};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use store::{Environment, Location, MetricRow, Reader, Store, Table, TrialRecord, Value};

/// A sweep file with this name, these seeds and lrs, and these lines of schedules.
pub(crate) fn sweep_file(name: &str, seeds: &str, lrs: &str, schedules: &[&str]) -> String {
    let schedules: String = schedules.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "name: {name}\n\
         data: {{dataset: digits, batch_size: 50}}\n\
         model: {{kind: mlp, hidden: [8]}}\n\
         optimizer: {{kind: sgd, momentum: 0.9}}\n\
         budget: {{steps: 20}}\n\
         seeds: {seeds}\n\
         lr: {{values: {lrs}}}\n\
         schedules:\n{schedules}"
    )
}

pub(crate) fn plan(text: &str) -> Plan {
    let spec = trainer::read(text, "unnamed").expect("a good sweep file");
    spec::plan(&spec).expect("schedules that fit")
}

/// The store of a test. A folder is removed when the value is dropped.
pub(crate) struct TestStore {
    location: Location,
    _dir: Option<tempfile::TempDir>,
}

impl TestStore {
    pub(crate) fn folder() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self { location: Location::from(dir.path()), _dir: Some(dir) }
    }

    /// A new database on a server.
    pub(crate) fn server() -> Self {
        let url = pgtest::shared().database();
        Self { location: Location::parse(url.into()), _dir: None }
    }

    pub(crate) fn path(&self) -> &Location {
        &self.location
    }
}

/// Tests that run on both databases.
macro_rules! contract {
    ($($name:ident,)*) => {
        mod on_sqlite {
            use $crate::support::TestStore;
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&TestStore::folder()).await;
                }
            )*
        }

        mod on_postgres {
            use $crate::support::TestStore;
            $(
                #[tokio::test]
                #[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
                async fn $name() {
                    super::$name(&TestStore::server()).await;
                }
            )*
        }
    };
}
pub(crate) use contract;

/// Two schedules, two lrs, two seeds.
pub(crate) fn small() -> Plan {
    plan(&sweep_file(
        "small",
        "2",
        "[0.1, 0.2]",
        &["constant: {kind: constant}", "cosine: {kind: cosine, to: 0}"],
    ))
}

pub(crate) fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        git_commit: "abc".into(),
        cpu: "a processor".into(),
        cpu_features: "avx2 fma".into(),
        threads: 2,
        device: "cpu".into(),
        os: "linux x86_64".into(),
    }
}

/// A new store with this plan registered, and the number of its environment.
pub(crate) async fn store_with(dir: impl Into<Location>, plan: &Plan) -> (Store, i64) {
    let mut store = Store::open(dir).await.expect("a new store");
    store.register(plan, false).await.expect("registered");
    let environment = store.environment(&environment()).await.expect("an environment");
    (store, environment)
}

fn owned(trials: &[&str]) -> Vec<String> {
    trials.iter().map(|id| (*id).to_owned()).collect()
}

pub(crate) fn started(trials: &[&str], step: u64) -> Event {
    let at = 1_000 + i64::try_from(step).expect("small");
    Event::Started { trial_ids: owned(trials), step, bits: Some(1), at }
}

pub(crate) fn stage(stage: u64, first: u64, trials: &[&str]) -> Event {
    Event::Stage { stage, first, trial_ids: owned(trials) }
}

pub(crate) fn step_row(step: u64, train_loss: f64) -> StepRow {
    StepRow { step, lr: 0.1, train_loss, grad_norm: 1.5 }
}

pub(crate) fn rows(stage: u64, rows: Vec<StepRow>) -> Event {
    Event::Steps { stage, rows, evaluated: Vec::new() }
}

pub(crate) fn steps(stage: u64, steps: std::ops::Range<u64>) -> Event {
    rows(stage, steps.map(|step| step_row(step, 2.0)).collect())
}

pub(crate) fn evaluated(stage: u64, trial: &str, step: u64, valid_loss: f64) -> Event {
    let evaluated = vec![Evaluated { trial_id: trial.into(), step, valid_loss }];
    Event::Steps { stage, rows: Vec::new(), evaluated }
}

pub(crate) fn checkpoint(trials: &[&str], step: u64, file: &str) -> Event {
    Event::Checkpoint { trial_ids: owned(trials), step, file: file.into(), at: 5_000 }
}

/// A step as the store returns it.
pub(crate) fn metric_row(step: u64, train_loss: f64, valid_loss: Option<f64>) -> MetricRow {
    let StepRow { step, lr, train_loss, grad_norm } = step_row(step, train_loss);
    MetricRow { step, lr, train_loss, valid_loss, grad_norm }
}

pub(crate) fn ended(trial_id: &str, outcome: Outcome) -> Event {
    Event::Ended { trial_id: trial_id.into(), outcome, at: 9_000 }
}

pub(crate) fn done(valid_loss: f64) -> Outcome {
    Outcome::Done(Final {
        train_loss: 0.5,
        valid_loss,
        valid_accuracy: Some(0.75),
        test_loss: Some(10.0 * valid_loss),
        test_accuracy: Some(0.625),
        metrics: Default::default(),
        digest: "d".repeat(64),
        weights_hash: Some("e".repeat(64)),
    })
}

pub(crate) fn diverged(at: u64, loss: f64) -> Outcome {
    Outcome::Diverged { at, loss, digest: "f".repeat(64) }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed { reason: "the machine caught fire".into() }
}

/// The cell of a schedule, lr and seed.
pub(crate) fn find<'a>(rows: &'a [TrialRecord], schedule: &str, base_lr: f64, seed: i64) -> &'a TrialRecord {
    let mut rows = rows.iter();
    let found = rows.find(|row| row.schedule == schedule && row.base_lr == base_lr && row.seed == seed);
    found.expect("the sweep has this cell")
}

/// A separate connection that can also write.
pub(crate) async fn shell(dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.join("sweep.db"));
    options.create_if_missing(true).connect().await.expect("a connection")
}

pub(crate) async fn execute(dir: &Path, sql: &str) {
    use sqlx::Connection;
    let mut shell = shell(dir).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut shell).await.expect("good SQL");
    shell.close().await.expect("closed");
}

/// Rows of a query.
pub(crate) async fn query(dir: impl Into<Location>, sql: &str) -> Vec<Vec<Value>> {
    let mut reader = Reader::open(dir).await.expect("a store");
    let Table { rows, .. } = reader.query(sql).await.expect("good SQL");
    rows
}

/// The single value of a query that returns a whole number.
pub(crate) async fn count(dir: impl Into<Location>, sql: &str) -> i64 {
    match query(dir, sql).await.first().and_then(|row| row.first()) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Fails the test if the database is damaged.
pub(crate) async fn check_integrity(dir: impl Into<Location>) {
    let dir = &dir.into();
    // A server always checks foreign keys, and checks its pages itself.
    if dir.folder().is_none() {
        return;
    }
    assert_eq!(query(dir, "PRAGMA integrity_check").await, [[text("ok")]]);
    assert_eq!(query(dir, "PRAGMA foreign_key_check").await, Vec::<Vec<Value>>::new());
}
