//! The stream of changes.

use dashboard::Options;

use crate::support::{Made, serve};

#[tokio::test]
async fn a_tab_receives_changes_and_catches_up_after_a_sleep() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut made = Made::new(dir.path()).await;
    let server = serve(dir.path(), Options::default());
    let first = server.json("/api/trials?sweep=made");
    let mut tab = server.events(None);
    made.train(0..1).await;
    let (_, id, data) = tab.next_named("trials");
    assert!(data["version"].as_u64() > first["version"].as_u64() && data["reset"] == false, "{data}");
    let changed = data["rows"]["columns"]["trial_id"].as_array().expect("rows");
    assert!(!changed.is_empty() && changed.len() <= 4, "only changed rows: {data}");
    let mut progress = tab.next_named("progress").2;
    while progress["progress"]["done"] != 4 {
        progress = tab.next_named("progress").2;
    }
    assert_eq!((&progress["state"], &progress["verdict"]["complete"]), (&"running".into(), &false.into()));
    drop(tab);
    // It sleeps while more is trained; another tab keeps the sweep in view.
    let mut other = server.events(None);
    made.train(1..2).await;
    while other.next_named("progress").2["progress"]["done"] != 8 {}
    let mut again = server.events(Some(&id));
    let mut seen = 0;
    while seen < 4 {
        let (name, _, data) = again.next();
        assert_ne!(data["reset"], true, "nothing was forgotten");
        if name == "trials" {
            seen += data["rows"]["columns"]["trial_id"].as_array().map_or(0, Vec::len);
        }
    }
    assert!(
        again.next_named("changed").2["what"]
            .as_array()
            .is_some_and(|what| what.contains(&"overview".into()))
    );
    made.close().await;
}

#[tokio::test]
async fn after_a_restart_a_tab_reads_everything_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut made = Made::new(dir.path()).await;
    let server = serve(dir.path(), Options::default());
    let mut tab = server.events(None);
    made.train(0..1).await;
    let id = tab.next_named("trials").1;
    drop(server);
    let restarted = serve(dir.path(), Options::default());
    let (name, new, data) = restarted.events(Some(&id)).next();
    assert_eq!((name.as_str(), &data["reset"]), ("trials", &true.into()));
    assert_ne!(id.split('.').next(), new.split('.').next(), "another log");
    let trials = restarted.json("/api/trials?sweep=made");
    assert_eq!(trials["columns"]["trial_id"].as_array().map(Vec::len), Some(made.plan.trials.len()));
    made.close().await;
}
