//! The numbers of the answers are those of the database.

use std::time::{Duration, Instant};

use dashboard::Options;
use serde_json::Value as Json;
use store::{Reader, Value};

use crate::support::{Made, Running, STEPS, serve};

/// A cell of the database.
async fn cell(reader: &mut Reader, sql: &str) -> Value {
    reader.query(sql).await.expect(sql).rows[0][0].clone()
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Real(x) => *x,
        Value::Integer(x) => *x as f64,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_ranking_is_that_of_the_database() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut made = Made::new(dir.path()).await;
    made.train(0..8).await;
    made.close().await;
    let server = serve(dir.path(), Options::default());
    let overview = server.json("/api/sweep?sweep=made");
    assert_eq!(overview["state"], "finished");
    assert_eq!(overview["question"], "Which one?");
    assert_eq!(overview["verdict"]["complete"], true);
    assert_eq!((&overview["verdict"]["seeds_done"], &overview["verdict"]["seeds"]), (&8.into(), &8.into()));
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let lines = overview["ranking"].as_array().expect("lines");
    assert_eq!(lines.len(), 2);
    for (i, line) in lines.iter().enumerate() {
        let sql = |column: &str| format!("select {column} from ranking where rank = {}", i + 1);
        assert_eq!(
            Value::Text(line["schedule"].as_str().expect("a name").into()),
            cell(&mut reader, &sql("schedule")).await
        );
        for column in ["base_lr", "n", "diverged", "mean_test_loss", "mean_test_accuracy"] {
            let ours = line[column.trim_start_matches("mean_")].as_f64().expect("a number");
            assert!((ours - number(&cell(&mut reader, &sql(column)).await)).abs() < 1e-12, "{column}");
        }
        let (mean, sd) = (sql("mean_valid_loss"), sql("sd_valid_loss"));
        assert!(
            (line["mean"].as_f64().expect("a mean") - number(&cell(&mut reader, &mean).await)).abs() < 1e-12
        );
        assert!((line["sd"].as_f64().expect("an sd") - number(&cell(&mut reader, &sd).await)).abs() < 1e-12);
        let seeds = line["seeds"].as_array().expect("seeds");
        assert_eq!(seeds.len(), 8);
        for seed in seeds {
            let sql = format!(
                "select final_valid_loss from trials where trial_id = '{}'",
                seed["trial_id"].as_str().expect("an id")
            );
            assert_eq!(seed["value"].as_f64(), Some(number(&cell(&mut reader, &sql).await)));
        }
        assert_eq!(line["wall_ms"], 1000.0);
    }
    let second = &lines[1];
    assert!(second["p"].as_f64().is_some_and(|p| p < 0.05) && second["verdict"] == "worse", "{second}");
    assert_eq!(second["differences"].as_array().map(Vec::len), Some(8));
    assert!(
        lines[0]["yaml"].as_str().is_some_and(|yaml| yaml.contains("kind: cosine")),
        "{}",
        lines[0]["yaml"]
    );
    assert!(lines[0]["pytorch"].as_str().is_some_and(|code| code.contains("CosineAnnealingLR")));
    assert_eq!(server.get("/api/sweep?sweep=made&metric=best").status, 200);
    assert_eq!(server.json("/api/sweeps")["sweeps"][0]["verdict"], overview["verdict"]["sentence"]);
}

#[tokio::test]
async fn there_is_no_verdict_while_runs_are_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut made = Made::new(dir.path()).await;
    let server = serve(dir.path(), Options::default());
    let overview = server.json("/api/sweep?sweep=made");
    assert_eq!((&overview["verdict"]["phase"], &overview["state"]), (&"none".into(), &"running".into()));
    made.train(0..5).await;
    // An answer may be some seconds old.
    let overview = eventually(&server, |overview| overview["verdict"]["phase"] == "deciding");
    let verdict = &overview["verdict"];
    assert_eq!((&verdict["complete"], &verdict["phase"]), (&false.into(), &"deciding".into()), "{verdict}");
    let sentence = verdict["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("5 of 8 seeds: no verdict yet"), "{sentence}");
    assert_eq!(verdict["missing"], "6 of 16 runs of constant, 6 of 16 runs of <b>cosine");
    for line in overview["ranking"].as_array().expect("lines") {
        for withheld in ["verdict", "tie_group", "ranks", "interval", "p_raw", "p"] {
            assert_eq!(line[withheld], Json::Null, "{withheld}");
        }
        assert_eq!((&line["n"], line["mean"].is_number()), (&5.into(), true));
    }
    let page = server.get("/report.html?sweep=made").body;
    let text = page
        .split("</noscript>")
        .find(|part| part.contains("class=\"verdict\""))
        .expect("text for readers without scripts");
    assert!(text.contains("5 of 8 seeds: no verdict yet") && !text.contains("is significantly"), "{text}");
    assert!(!page.contains("<b>cosine"), "names are text");
    made.train(5..8).await;
    made.close().await;
    eventually(&server, |overview| overview["verdict"]["complete"] == true);
}

/// The first overview with this property.
fn eventually(server: &Running, is_wanted: impl Fn(&Json) -> bool) -> Json {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let overview = server.json("/api/sweep?sweep=made");
        if is_wanted(&overview) {
            return overview;
        }
        assert!(Instant::now() < until, "still {}", overview["verdict"]);
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test]
async fn trials_runs_and_curves_are_those_of_the_database() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut made = Made::new(dir.path()).await;
    made.train(0..4).await;
    made.close().await;
    let server = serve(dir.path(), Options::default());
    let trials = server.json("/api/trials?sweep=made");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let rows = reader.runs("made").await.expect("runs");
    let columns = &trials["columns"];
    assert_eq!(columns["trial_id"].as_array().map(Vec::len), Some(rows.len()));
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(columns["trial_id"][i], row.trial_id);
        assert_eq!(columns["final_valid_loss"][i].as_f64(), row.final_valid_loss);
        assert_eq!(columns["steps_done"][i], row.steps_done);
        let status = columns["status"][i].as_u64().expect("an index") as usize;
        assert_eq!(trials["statuses"][status], row.status.name());
        let schedule = columns["schedule"][i].as_u64().expect("an index") as usize;
        assert_eq!(trials["schedules"][schedule], row.schedule);
    }
    let done = rows.iter().find(|row| row.is_over()).expect("one is done");
    let run = server.json(&format!("/api/run?trial={}", done.trial_id));
    let steps = reader.steps(&done.trial_id).await.expect("steps");
    assert_eq!(run["x"].as_array().map(Vec::len), Some(steps.len()));
    for (i, step) in steps.iter().enumerate() {
        assert_eq!((run["train"][i].as_f64(), run["lr"][i].as_f64()), (Some(step.train_loss), Some(step.lr)));
    }
    assert_eq!(run["valid_x"], serde_json::json!([10, 20, 30, 40]));
    assert_eq!(run["trial"]["trial_id"], done.trial_id);
    let curves = server.json("/api/curves?sweep=made&points=400");
    let curve = &curves["schedules"][0];
    assert_eq!(
        (&curve["x"], &curve["n"]),
        (&serde_json::json!([10, 20, 30, 40]), &serde_json::json!([4, 4, 4, 4]))
    );
    let overview = server.json("/api/sweep?sweep=made");
    let (last, mean) = (curve["mean"][3].as_f64(), overview["ranking"][0]["mean"].as_f64());
    assert!((last.expect("a mean") - mean.expect("a mean")).abs() < 1e-12);
    let train = server.json("/api/curves?sweep=made&metric=train&points=10");
    assert_eq!(train["schedules"][0]["x"].as_array().map(Vec::len), Some(10));
    assert_eq!(train["last_step"], STEPS);
    let csv = server.get("/results.csv?sweep=made");
    assert_eq!((csv.status, csv.body.lines().count()), (200, rows.len() + 1));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"made.csv\"");
    let stages = server.json("/api/stages?sweep=made");
    assert_eq!(
        stages["stages"].as_array().map(Vec::len),
        Some(rows.iter().filter(|row| row.is_over()).count())
    );
    assert_eq!(stages["stages"][0]["trained"], STEPS);
    let log = server.json(&format!("/api/logs?trial={}", done.trial_id));
    assert!(log["reason"].as_str().is_some_and(|why| why.contains("has no log")), "{log}");
}

#[tokio::test]
async fn a_store_may_appear_break_and_be_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = serve(dir.path(), Options::default());
    let missing = server.get("/api/sweeps");
    assert_eq!(missing.status, 503);
    let message = missing.json()["error"].as_str().expect("a message").to_owned();
    assert!(message.contains("database not found"), "{message}");
    assert_eq!(server.get("/api/events?sweep=made").status, 503);
    let mut made = Made::new(dir.path()).await;
    made.train(0..1).await;
    made.close().await;
    assert_eq!(server.json("/api/sweep?sweep=made")["progress"]["done"], 4);
    // Another store with the same name.
    for file in ["sweep.db", "sweep.db-wal", "sweep.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    assert_eq!(server.get("/api/sweep?sweep=made").status, 503);
    std::fs::write(dir.path().join("sweep.db"), "not a database, but long enough to be read as one")
        .expect("written");
    let broken = server.get("/api/sweeps");
    assert_eq!(broken.status, 503, "{}", broken.body);
    std::fs::remove_file(dir.path().join("sweep.db")).expect("removed");
    let mut made = Made::new(dir.path()).await;
    made.train(0..2).await;
    made.close().await;
    assert_eq!(server.json("/api/sweep?sweep=made")["progress"]["done"], 8);
}
