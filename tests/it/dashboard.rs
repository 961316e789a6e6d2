//! The dashboard in a real browser: it follows a sweep to its verdict, shows the numbers of the database, survives a restart of the
//! server, and is accessible.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::browser::Browser;
use crate::support::{Sandbox, kill, root, signal, wait};

/// Long enough to be watched, in two rounds, with a schedule that diverges.
const FILE: &str = "\
# Which one?
name: watched
data: {dataset: digits, batch_size: 20}
model: {kind: mlp, hidden: [64]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {epochs: 12}
evaluate: {every: \"1 epochs\"}
seeds: {tune: 2, decide: 8}
extend: false
lr: {values: [0.01, 0.03, 0.1]}
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0}
  cosine: {kind: cosine, to: 0}
  lost: {kind: constant, value: 1e9}
";

/// A server of the dashboard. Dropping it stops the process.
struct Dashboard {
    process: Child,
    url: String,
}

impl Dashboard {
    fn start(sandbox: &Sandbox, port: &str) -> Self {
        let mut command = sandbox.command(&["dashboard", "--port", port]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = process.stderr.take().expect("a pipe");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("dashboard: ").map(str::to_owned));
        // The process must not stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: url.expect("it prints its address") }
    }

    fn port(&self) -> String {
        let port = self.url.split(':').next_back().expect("a port");
        port.chars().take_while(char::is_ascii_digit).collect()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Shows a view with the selection that is in the address.
fn show(browser: &mut Browser, view: &str) {
    browser.value(&format!("location.hash = '#sweep=watched&view={view}'"));
    browser.wait_for(&format!("document.querySelector('.view.of-{view}')"));
}

/// The numbers behind the curves.
const CURVES: &str = "document.querySelector('main details table')?.textContent";

#[test]
#[cfg_attr(not(has_chromium), ignore = "needs the browser chromium")]
fn a_browser_follows_a_sweep_to_its_verdict() {
    let sandbox = Sandbox::new();
    sandbox.write("watched.yaml", FILE);
    let mut sweep = sandbox.start(&["watched.yaml", "--workers", "1", "--lanes", "1", "--quiet"]);
    wait("the sweep begins", || {
        sandbox.run(&["query", "select 1"]).code == 0 && sandbox.count("trials where status = 'done'") > 0
    });
    let mut dashboard = Dashboard::start(&sandbox, "0");
    let mut browser = Browser::start(1440, 900);
    browser.open(&dashboard.url);
    browser.wait_for("document.querySelector('.chip.running')");

    // Nothing that reads as a test is shown before all seeds are there.
    let text = browser.text("main");
    assert!(text.contains("no verdict yet"), "{text}");
    for word in ["95 % interval of the difference", "significant", "Tie group", "p, corrected"] {
        assert!(!text.contains(word), "{word} in {text}");
    }

    // The curves grow, and the keyboard moves their cursor.
    show(&mut browser, "curves");
    browser.wait_for("document.querySelector('[role=slider]')");
    browser.wait_for(CURVES);
    let before = browser.value(CURVES);
    browser.value("document.querySelector('[role=slider]').focus()");
    browser.press("Home");
    browser.press("ArrowRight");
    let step = browser.text(".readout .step");
    assert!(step.starts_with("At step "), "{step}");
    browser.wait_for(&format!("{CURVES} !== {before}"));

    // A filter keeps the trials that it names.
    show(&mut browser, "table");
    browser.wait_for("document.getElementById('find')");
    browser.value("document.getElementById('find').focus()");
    browser.write("linear");
    browser.wait_for("/^\\d+ of \\d+ trial/.test(document.querySelector('.count').textContent)");
    let linear = "trials where schedule = 'linear'";
    wait("the table has the trials of the filter", || {
        browser.text(".count").starts_with(&format!("{} of ", sandbox.count(linear)))
    });
    assert_eq!(browser.errors, [""; 0]);

    // The page notices that the server is gone, and uses the next one.
    let port = dashboard.port();
    kill(&mut dashboard.process);
    browser.wait_for("document.querySelector('.live.lost')");
    let _dashboard = Dashboard::start(&sandbox, &port);
    browser.wait_for("document.querySelector('.live') && !document.querySelector('.live.lost')");
    browser.errors.clear();

    assert!(sweep.wait().expect("the sweep ends").success());
    show(&mut browser, "verdict");
    browser.wait_for("document.querySelector('.chip.finished')");
    browser.wait_for("document.getElementById('ranking-title')?.textContent === 'Ranking'");
    same_numbers(&sandbox, &mut browser);
    assert_eq!(browser.errors, [""; 0]);
}

/// Compares the page and its data with `sweep rank` and the database.
fn same_numbers(sandbox: &Sandbox, browser: &mut Browser) {
    let overview = browser.value("fetch('api/sweep?sweep=watched').then(answer => answer.json())");
    let cells = browser.value(
        "Array.from(document.querySelectorAll('.ranking tbody tr'), row => \
         [row.querySelector('th').textContent, row.querySelector('td.strong').textContent])",
    );
    let (page, cells) = (overview["ranking"].as_array().expect("a list"), cells.as_array().expect("a list"));
    let rank = sandbox.run(&["rank", "watched", "--format", "json"]).exits(0).json();
    let rank = rank.as_array().expect("a list");
    assert_eq!((page.len(), cells.len()), (rank.len(), rank.len()));
    for ((page, cells), rank) in page.iter().zip(cells).zip(rank) {
        assert_eq!(page["schedule"], rank["schedule"]);
        assert!(
            cells[0].as_str().is_some_and(|name| name.contains(rank["schedule"].as_str().expect("a name")))
        );
        for number in ["base_lr", "mean", "sd", "p_raw", "p"] {
            same(&page[number], &rank[number], number, 1e-9);
        }
        let shown: Option<f64> = cells[1].as_str().and_then(|text| text.parse().ok());
        same(&shown.into(), &rank["mean"], "the mean in the table", 1e-3);
    }
    let sentence = browser.text(".verdict .sentence");
    let report = sandbox.run(&["report", "watched", "--format", "md"]).exits(0).stdout;
    assert!(report.contains(&sentence), "{sentence} in {report}");
    assert_eq!(overview["progress"]["done"].as_i64(), Some(sandbox.count("trials where status = 'done'")));
    assert!(browser.text("main").contains("Tie group"));
}

#[track_caller]
fn same(a: &Value, b: &Value, what: &str, share: f64) {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => assert!((a - b).abs() <= share * b.abs(), "{what}: {a} {b}"),
        (None, None) => {}
        _ => panic!("{what}: {a} {b}"),
    }
}

/// A short sweep that has ended.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("watched.yaml", FILE.replace("epochs: 12", "epochs: 2"));
    sandbox.run(&["watched.yaml", "--quiet"]).exits(0);
    sandbox
}

const VIEWS: [&str; 7] = ["verdict", "curves", "lr", "differences", "stages", "table", "sweeps"];

#[test]
#[cfg_attr(not(has_chromium), ignore = "needs the browser chromium")]
fn every_view_fits_every_window() {
    let sandbox = trained();
    let dashboard = Dashboard::start(&sandbox, "0");
    let mut browser = Browser::start(1440, 900);
    browser.open(&dashboard.url);
    for width in [1440, 820, 390] {
        browser.resize((width, 900), "light");
        for view in VIEWS {
            show(&mut browser, view);
            browser.wait_for("!document.querySelector('main .loading')");
            let wide = browser.value("document.documentElement.scrollWidth").as_u64().expect("a width");
            assert!(wide <= u64::from(width), "{view} is {wide} wide in a window of {width}");
        }
    }
    assert_eq!(browser.errors, [""; 0]);
}

#[test]
#[cfg_attr(
    not(all(has_chromium, has_axe)),
    ignore = "needs the browser chromium, and axe-core in target/axe"
)]
fn no_view_has_a_serious_accessibility_violation() {
    let sandbox = trained();
    let dashboard = Dashboard::start(&sandbox, "0");
    let axe = std::fs::read_to_string(needs::axe()).expect("axe-core");
    let mut browser = Browser::start(1440, 900);
    browser.open(&dashboard.url);
    browser.value(&format!("{axe}; null"));
    for (width, scheme) in [(1440, "light"), (1440, "dark"), (390, "light")] {
        browser.resize((width, 900), scheme);
        for view in VIEWS {
            show(&mut browser, view);
            browser.wait_for("!document.querySelector('main .loading')");
            let found = browser.value(
                "axe.run().then(found => found.violations.filter(v => ['serious', 'critical'].includes(v.impact))\
                 .map(v => v.id + ' ' + v.nodes.map(n => n.html).join(' ')))",
            );
            assert_eq!(found, serde_json::json!([]), "{view} at {width}, {scheme}");
        }
    }
}

#[test]
fn a_sweep_with_a_dashboard_gives_the_same_bits() {
    let wanted = trained().fingerprints();
    let sandbox = Sandbox::new();
    sandbox.write("watched.yaml", FILE.replace("epochs: 12", "epochs: 2"));
    let output = sandbox.run(&["run", "watched.yaml", "--dashboard=127.0.0.1:0"]).exits(0);
    assert!(output.stderr.contains("dashboard: http://127.0.0.1:"), "{}", output.stderr);
    assert_eq!(sandbox.fingerprints(), wanted);
}

#[test]
fn a_request_to_stop_ends_the_server() {
    let sandbox = trained();
    let mut dashboard = Dashboard::start(&sandbox, "0");
    signal(&dashboard.process, "-INT");
    let status = dashboard.process.wait().expect("it ends");
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

/// Writes docs/images: the dashboard after experiments/mnist.yaml. Look at them afterwards.
#[test]
#[ignore = "trains the main experiment and writes docs/images; scripts/pictures runs it"]
fn pictures_of_the_documentation() {
    let sandbox = Sandbox::new();
    let file = root().join("experiments/mnist.yaml");
    sandbox.run(&[file.to_str().expect("UTF-8"), "--quiet"]).exits(0);
    let dashboard = Dashboard::start(&sandbox, "0");
    let mut browser = Browser::start(1280, 800);
    browser.open(&dashboard.url);
    for (name, view, size, scheme) in [
        ("report", "differences", (1280, 560), "light"),
        ("dashboard", "verdict", (1280, 760), "light"),
        ("dashboard-curves", "curves&curve=train", (1280, 620), "dark"),
        ("dashboard-phone", "lr", (390, 760), "light"),
    ] {
        browser.resize(size, scheme);
        browser.value(&format!("location.hash = '#sweep=mnist&view={view}'"));
        browser.wait_for("document.querySelector('main') && !document.querySelector('main .loading')");
        std::thread::sleep(std::time::Duration::from_secs(1));
        let picture = browser.picture();
        assert!(picture.len() < 200_000, "{name} has {} bytes", picture.len());
        std::fs::write(root().join(format!("docs/images/{name}.png")), picture).expect("it can be written");
    }
}
