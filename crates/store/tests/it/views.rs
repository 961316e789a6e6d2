//! The views for users: a grid calculated by hand, and random grids compared with `verdict`.

use std::path::Path;

use spec::Plan;
use sqlx::Connection;
use store::{Reader, Status, Store, TrialRecord, Value};
use verdict::ranking::{Options, rank};
use verdict::results::{RunResult, RunState};
use verdict::score::{Direction, Score};

use crate::support::*;

const SCHEDULES: [&str; 7] = [
    "a: {kind: constant}",
    "same: {kind: constant}",
    "fixed: 0.05",
    "cosine: {kind: cosine, to: 0}",
    "linear: {kind: linear, to: 0}",
    "broken: {kind: cosine, to: 0.5x}",
    "late: {kind: cosine, to: 0.1x}",
];

fn grid() -> Plan {
    plan(&sweep_file("grid", "4", "[0.1, 0.2]", &SCHEDULES))
}

/// The result of one seed of a schedule at an lr.
enum SeedResult {
    Loss(f64),
    Diverged,
    Failed,
    Queued,
}

use SeedResult::{Diverged, Failed, Loss, Queued};

/// The grid with its results:
///
/// | schedule | at 0.1                   | at 0.2                 |
/// |----------|--------------------------|------------------------|
/// | a, same  | 1, 2, 3, 4               | 0.1, 0.1, 0.1, diverged |
/// | fixed    | 2.5 four times; does not follow the lr            ||
/// | cosine   | 1, 1, diverged twice     | 8, diverged, 9, 10     |
/// | linear   | 0.5, 0.75, failed, queued | queued                |
/// | broken   | diverged                 | diverged               |
/// | late     | queued                   | queued                 |
async fn filled() -> (tempfile::TempDir, Store, Vec<TrialRecord>) {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut store, environment) = store_with(dir.path(), &grid()).await;
    let rows = Reader::open(dir.path()).await.expect("a store").results("grid").await.expect("rows");
    assert_eq!(rows.len(), 7 * 2 * 4);
    let results: [(&str, f64, [SeedResult; 4]); 8] = [
        ("a", 0.1, [Loss(1.0), Loss(2.0), Loss(3.0), Loss(4.0)]),
        ("a", 0.2, [Loss(0.1), Loss(0.1), Loss(0.1), Diverged]),
        ("fixed", 0.1, [Loss(2.5), Loss(2.5), Loss(2.5), Loss(2.5)]),
        ("cosine", 0.1, [Loss(1.0), Loss(1.0), Diverged, Diverged]),
        ("cosine", 0.2, [Loss(8.0), Diverged, Loss(9.0), Loss(10.0)]),
        ("linear", 0.1, [Loss(0.5), Loss(0.75), Failed, Queued]),
        ("broken", 0.1, [Diverged, Diverged, Diverged, Diverged]),
        ("broken", 0.2, [Diverged, Diverged, Diverged, Diverged]),
    ];
    for (schedule, base_lr, seeds) in results {
        for (result, seed) in seeds.into_iter().zip(0..) {
            let id = &find(&rows, schedule, base_lr, seed).trial_id;
            let outcome = match result {
                Loss(loss) => done(loss),
                Diverged => diverged(3, f64::NAN),
                Failed => failed(),
                Queued => continue,
            };
            let number = store.next_stage().await.expect("a number");
            let events =
                [started(&[id], 0), stage(number, 0, &[id]), steps(number, 0..4), ended(id, outcome)];
            store.write(&events, environment).await.expect("written");
        }
    }
    let rows = Reader::open(dir.path()).await.expect("a store").results("grid").await.expect("rows");
    (dir, store, rows)
}

fn real(x: f64) -> Value {
    Value::Real(x)
}

#[tokio::test]
async fn the_ranking_equals_the_one_calculated_by_hand() {
    let (dir, _store, rows) = filled().await;
    let sql = "SELECT sweep, rank, schedule, base_lr, n, mean_valid_loss, diverged, missing, mean_test_loss,
        mean_test_accuracy FROM ranking WHERE sweep = 'grid'";
    let expected = [
        ("linear", 0.1, 2, Some(0.625), 0, 2),
        ("a", 0.1, 4, Some(2.5), 0, 0),
        ("same", 0.1, 4, Some(2.5), 0, 0),
        ("fixed", 0.1, 4, Some(2.5), 0, 0),
        ("cosine", 0.2, 3, Some(9.0), 1, 0),
        ("broken", 0.1, 0, None, 4, 0),
        ("late", 0.1, 0, None, 0, 4),
    ];
    let expected: Vec<Vec<Value>> = (1..)
        .zip(expected)
        .map(|(rank, (schedule, base_lr, n, mean, diverged, missing))| {
            let mean_value = mean.map_or(Value::Null, real);
            let test_loss = mean.map_or(Value::Null, |mean| real(10.0 * mean));
            let accuracy = mean.map_or(Value::Null, |_| real(0.625));
            let (n, diverged, missing) =
                (Value::Integer(n), Value::Integer(diverged), Value::Integer(missing));
            let head = [text("grid"), Value::Integer(rank), text(schedule), real(base_lr)];
            [&head[..], &[n, mean_value, diverged, missing, test_loss, accuracy]].concat()
        })
        .collect();
    assert_eq!(query(dir.path(), sql).await, expected);

    let sds = query(dir.path(), "SELECT sd_valid_loss FROM ranking").await;
    let expected = [0.03125_f64.sqrt(), (5.0_f64 / 3.0).sqrt(), (5.0_f64 / 3.0).sqrt(), 0.0, 1.0];
    for (sd, expected) in sds.iter().zip(expected) {
        let [Value::Real(sd)] = sd[..] else { panic!("{sd:?}") };
        assert!((sd - expected).abs() <= 2.0 * f64::EPSILON * expected, "{sd} and {expected}");
    }
    assert_eq!(sds[5..], [[Value::Null], [Value::Null]]);
    let ids = query(dir.path(), "SELECT config_id FROM ranking WHERE schedule IN ('a', 'same')").await;
    let id = &find(&rows, "a", 0.1, 0).config_id;
    assert_eq!(ids, [[text(id)], [text(id)]]);
}

#[tokio::test]
async fn the_best_run_of_each_schedule_and_of_the_sweep_is_found() {
    let (dir, _store, rows) = filled().await;
    let best =
        query(dir.path(), "SELECT rank, schedule, seed, final_valid_loss, trial_id FROM best_per_schedule")
            .await;
    let expected = [
        (1, "linear", 0.1, 0, 0.5),
        (2, "a", 0.1, 0, 1.0),
        (3, "same", 0.1, 0, 1.0),
        (4, "fixed", 0.1, 0, 2.5),
        (5, "cosine", 0.2, 0, 8.0),
    ];
    let expected = expected.map(|(rank, schedule, base_lr, seed, loss)| {
        let id = &find(&rows, schedule, base_lr, seed).trial_id;
        vec![Value::Integer(rank), text(schedule), Value::Integer(seed), real(loss), text(id)]
    });
    assert_eq!(best, expected);
    let times = query(dir.path(), "SELECT started_at, finished_at FROM best_per_schedule LIMIT 1").await;
    assert_eq!(times, [[text("1970-01-01 00:00:01"), text("1970-01-01 00:00:09")]]);

    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let best = reader.best("grid").await.expect("readable");
    assert_eq!(best.as_ref(), Some(&find(&rows, "linear", 0.1, 0).trial_id));
    assert_eq!(reader.best("unknown").await.expect("readable"), None);
}

#[tokio::test]
async fn a_sweep_without_results_has_a_ranking_and_no_best() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_store, _) = store_with(dir.path(), &grid()).await;
    let ranking = query(dir.path(), "SELECT schedule, missing FROM ranking").await;
    let names = ["a", "same", "fixed", "cosine", "linear", "broken", "late"];
    assert_eq!(ranking, names.map(|name| vec![text(name), Value::Integer(4)]));
    assert_eq!(Reader::open(dir.path()).await.expect("a store").best("grid").await.expect("readable"), None);
}

#[tokio::test]
async fn pairs_are_over_common_seeds_in_the_order_of_the_file() {
    let (dir, _store, _) = filled().await;
    let pair = |a: &str, b: &str| {
        format!(
            "SELECT seed, loss_a, loss_b, difference FROM pairs WHERE schedule_a = '{a}' AND schedule_b = '{b}'"
        )
    };
    let found = query(dir.path(), &pair("a", "linear")).await;
    let expected = [(0, 1.0, 0.5, 0.5), (1, 2.0, 0.75, 1.25)];
    assert_eq!(found, expected.map(|(seed, a, b, d)| vec![Value::Integer(seed), real(a), real(b), real(d)]));
    assert_eq!(query(dir.path(), &pair("linear", "a")).await, Vec::<Vec<Value>>::new());
    let found = query(dir.path(), &pair("a", "cosine")).await;
    assert_eq!(found.len(), 4);
    assert_eq!(found[1], [Value::Integer(1), real(2.0), Value::Null, Value::Null]);
    // Six schedules with results: four seeds each, but two of `linear`.
    assert_eq!(count(dir.path(), "SELECT count(*) FROM pairs").await, 10 * 4 + 5 * 2);
}

#[tokio::test]
async fn curves_have_each_step_once_for_each_schedule() {
    let (dir, _store, _) = filled().await;
    for (schedule, seeds) in [("a", 8), ("same", 8), ("fixed", 4), ("cosine", 8), ("linear", 3), ("late", 0)]
    {
        let sql = format!("SELECT count(*) FROM curves WHERE sweep = 'grid' AND schedule = '{schedule}'");
        assert_eq!(count(dir.path(), &sql).await, 4 * seeds, "{schedule}");
    }
    let sql = "SELECT base_lr, step, lr, train_loss, valid_loss FROM curves WHERE schedule = 'a' AND seed = 1 LIMIT 1";
    let row = [real(0.1), Value::Integer(0), real(0.1), real(2.0), Value::Null];
    assert_eq!(query(dir.path(), sql).await, [row]);
}

/// The `sqlite3` shell, which is older than the SQLite of this program and built differently.
#[tokio::test]
async fn the_views_work_in_the_shell_of_sqlite() {
    let (dir, _store, _) = filled().await;
    for (sql, rows) in [
        ("SELECT rank, schedule, n, round(1e9 * sd_valid_loss) FROM ranking", 7),
        ("SELECT rank, schedule, started_at, trial_id FROM best_per_schedule", 5),
        ("SELECT seed, schedule_a, schedule_b, difference FROM pairs", 50),
        ("SELECT schedule, seed, step, valid_loss FROM curves ORDER BY 1, 2, 3", 156),
        ("SELECT schedule, place, config_id, missing FROM configs", 13),
        ("SELECT schedule, status, finished_at FROM runs ORDER BY position", 52),
    ] {
        let mut command = std::process::Command::new("sqlite3");
        command.args(["-readonly", "-separator", " "]).arg(dir.path().join("sweep.db")).arg(sql);
        let output = command.output();
        let output = output.expect("the sqlite3 command line is needed for this test");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        let shown = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(shown.lines().count(), rows, "{sql}");
        let ours: String = query(dir.path(), sql).await.iter().map(|row| line(row)).collect();
        assert_eq!(shown, ours, "{sql}");
    }
}

fn line(row: &[Value]) -> String {
    let fields = row.iter().map(|value| match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(_) => "blob".to_owned(),
    });
    format!("{}\n", fields.collect::<Vec<_>>().join(" "))
}

/// A random number generator with a fixed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random results. There are few different losses, so ties are common, and all are eighths, whose sums are exact in
/// any order.
async fn roll_results(dir: &Path, dice: &mut Dice) {
    let mut shell = shell(dir).await;
    let ids: Vec<String> = sqlx::query_scalar("SELECT trial_id FROM trials ORDER BY 1")
        .fetch_all(&mut shell)
        .await
        .expect("ids");
    let (finished, lost) = (dice.roll(10), dice.roll(5));
    for id in ids {
        let (status, loss) = match dice.roll(10) {
            roll if roll >= finished => {
                (["queued", "running", "failed", "stopped"][(roll % 4) as usize], None)
            }
            _ if dice.roll(10) < lost => ("diverged", None),
            _ if dice.roll(30) == 0 => ("done", Some(f64::INFINITY)),
            _ => ("done", Some(dice.roll(5) as f64 / 8.0)),
        };
        let sql =
            "UPDATE trials SET status = ?2, final_valid_loss = ?3, test_loss = ?3 * 2, test_accuracy = ?3 / 2
            WHERE trial_id = ?1";
        sqlx::query(sql).bind(id).bind(status).bind(loss).execute(&mut shell).await.expect("updated");
    }
    shell.close().await.expect("closed");
}

fn result(row: TrialRecord) -> RunResult {
    let loss = row.final_valid_loss.filter(|loss| loss.is_finite());
    let state = match (row.status, loss) {
        (Status::Done, Some(loss)) => RunState::Done(loss),
        (Status::Done, None) | (Status::Diverged, _) => RunState::Diverged,
        _ => RunState::Missing,
    };
    let score = loss.map(|value| Score { value, direction: Direction::LowerIsBetter });
    RunResult { trial: row, state, score }
}

#[tokio::test]
async fn the_ranking_equals_the_reports_for_random_grids() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_store, _) = store_with(dir.path(), &grid()).await;
    let mut dice = Dice(7);
    for round in 0..150 {
        roll_results(dir.path(), &mut dice).await;
        let mut reader = Reader::open(dir.path()).await.expect("a store");
        let results = reader.results("grid").await.expect("rows").into_iter().map(result).collect::<Vec<_>>();
        let sql =
            "SELECT rank, schedule, config_id, base_lr, n, diverged, missing, mean_valid_loss, sd_valid_loss,
            mean_test_loss, mean_test_accuracy FROM ranking WHERE sweep = 'grid' ORDER BY rank";
        let found = reader.query(sql).await.expect("good SQL").rows;
        let mut lines = rank(&results, &Options::default()).lines;
        // The program orders by tie groups first; the view orders by means only.
        lines.sort_by_key(|line| found.iter().position(|row| row[1] == text(&line.schedule)));
        assert_eq!(found.len(), lines.len());
        for ((row, line), rank) in found.iter().zip(&lines).zip(1..) {
            let number = |n: usize| Value::Integer(i64::try_from(n).expect("small"));
            let exact = [
                Value::Integer(rank),
                text(&line.schedule),
                text(&line.config_id),
                real(line.base_lr),
                number(line.n),
                number(line.diverged),
                number(line.missing),
            ];
            assert_eq!(row[..7], exact, "round {round}");
            let numbers = [line.mean, line.sd, line.test_loss, line.test_accuracy];
            for (value, expected) in row[7..].iter().zip(numbers) {
                assert!(is_near(value, expected), "round {round}: {value:?} and {expected:?}");
            }
        }
        let best = reader.best("grid").await.expect("readable");
        let first = &lines[0];
        let runs = reader.results("grid").await.expect("rows").into_iter();
        let best_runs = runs.filter(|row| row.status == Status::Done && row.config_id == first.config_id);
        let expected =
            best_runs.min_by(|a, b| a.final_valid_loss.partial_cmp(&b.final_valid_loss).expect("numbers"));
        assert_eq!(best, expected.map(|row| row.trial_id), "round {round}");
    }
}

/// Whether the view and the program have the same number up to rounding.
fn is_near(value: &Value, expected: Option<f64>) -> bool {
    match (value, expected) {
        (Value::Real(value), Some(expected)) => {
            *value == expected || (value - expected).abs() <= 4.0 * f64::EPSILON * expected.abs()
        }
        (Value::Null, None) => true,
        // The standard deviation of infinite losses.
        (Value::Null, Some(expected)) => expected.is_nan(),
        _ => false,
    }
}
