//! The report: Markdown, HTML, and the page in a real browser.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Sandbox;

const FILE: &str = "\
# Which one?
name: \"<script>alert(1)</script>\"
data: {dataset: digits, limit: 600, batch_size: 25}
model: {kind: mlp, hidden: [12]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: {values: [20, 40]}}
evaluate: {every: 5}
seeds: 4
extend: false
lr: {values: [0.01, 0.1]}
schedules:
  \"<b>constant\": {kind: constant}
  cosine: {kind: cosine, to: {values: [0, 0.1x]}}
  lost: {kind: constant, value: 1e9}
";

fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("v.yaml", FILE);
    sandbox.run(&["v.yaml", "--quiet"]).exits(0);
    sandbox
}

/// The text of the element with this id.
fn element<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("id=\"{id}\">")).expect(id) + id.len() + 6;
    let end = page[start..].find('<').expect("an end");
    &page[start..start + end]
}

#[test]
fn the_same_data_give_the_same_report_in_each_form() {
    let sandbox = trained();
    let text = sandbox.run(&["report", "-o", "report.html"]).exits(0);
    assert!(text.stderr.contains("wrote report.html"), "{}", text.stderr);
    let page = std::fs::read_to_string(sandbox.path("report.html")).expect("the page");
    assert_eq!(sandbox.run(&["report"]).exits(0).stdout, page);
    assert!(!page.contains("<b>constant") && !page.contains("<script>alert"), "names are text");
    for id in ["forest", "plot-curves", "plot-lrs", "plot-budgets"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(!page.contains(" src=") && !page.contains("href=\"http"), "nothing is fetched");
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src"));
    sandbox.run(&["report", "-o", "report.md"]).exits(0);
    let page = std::fs::read_to_string(sandbox.path("report.md")).expect("the page");
    assert!(page.starts_with("# \\<script\\>") && page.contains("| cosine |"), "{page}");
    let wrong = sandbox.run(&["report", "-o", "report.docx"]).exits(2);
    assert!(wrong.stderr.contains(".html or .md"), "{}", wrong.stderr);
    sandbox.run(&["report", "-o", "nowhere/report.html"]).exits(2);
}

#[test]
fn single_figures_are_separate_images() {
    let sandbox = trained();
    for figure in ["forest", "curves", "sensitivity", "budgets"] {
        let name = format!("{figure}.svg");
        sandbox.run(&["plot", "--figure", figure, "-o", &name]).exits(0);
        let svg = std::fs::read_to_string(sandbox.path(&name)).expect("the picture");
        let picture = roxmltree::Document::parse(&svg).expect("an SVG is XML");
        let texts: Vec<&str> = picture.descendants().filter_map(|node| node.text()).collect();
        // A schedule whose runs all diverged is in the legend, but not in the forest plot.
        for schedule in ["cosine", "lost"].iter().take(if figure == "forest" { 1 } else { 2 }) {
            assert!(texts.contains(schedule), "{figure}: {texts:?}");
        }
        let name = format!("{figure}.png");
        sandbox.run(&["plot", "v.yaml", "--figure", figure, "-o", &name, "--size", "640x480"]).exits(0);
        let file = std::fs::File::open(sandbox.path(&name)).expect("the picture");
        let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
        assert_eq!((reader.info().width, reader.info().height), (640, 480));
    }
    for (args, message) in [
        (&["plot", "--figure", "forest"][..], "needs --output FILE"),
        (&["plot", "--figure", "forrest", "-o", "x.svg"], "'forest'"),
        (&["plot", "--figure", "curves", "-o", "x.jpg"], ".svg or .png"),
        (&["plot", "--figure", "curves", "--budget", "7", "-o", "x.svg"], "no run of"),
        (&["plot", "--figure", "curves", "--log", "-o", "x.svg"], "cannot be used with"),
        (&["plot", "v.yaml", "--metric", "best"], "need --figure"),
        (&["plot", "nothing", "--figure", "curves", "-o", "x.svg"], "unknown sweep `nothing`"),
        (&["plot"], "required"),
    ] {
        let output = sandbox.run(args).exits(2);
        assert!(output.stderr.contains(message), "{args:?}: {}", output.stderr);
        assert!(!sandbox.path("x.svg").exists());
    }
}

/// A shell program that minimizes a parabola with its minimum `off` below 0.
const DESCENT: &str = r#"
number() { sed -n "s/.*\"$1\": *\([0-9.eE+-]*\).*/\1/p" "$SWEEP_TRIAL" | head -n 1; }
awk -v lr="$(number base_lr)" -v off="$(number off)" 'BEGIN {
    for (x = 2; t < 20; t++) { x -= lr * x / 2; printf "{\"step\": %d, \"valid_loss\": %.17g}\n", t, x * x / 4 - off }
}' >"$SWEEP_REPORT"
"#;

/// The number of circles of chosen lrs, of all circles, and of points of the loss curves.
fn drawn(sandbox: &Sandbox, figure: &str) -> (usize, usize, usize) {
    sandbox.run(&["plot", "--figure", figure, "-o", "figure.svg"]).exits(0);
    let svg = std::fs::read_to_string(sandbox.path("figure.svg")).expect("the picture");
    let picture = roxmltree::Document::parse(&svg).expect("an SVG is XML");
    let circles: Vec<_> = picture.descendants().filter(|node| node.has_tag_name("circle")).collect();
    let chosen = circles.iter().filter(|circle| circle.attribute("r") == Some("6")).count();
    let lines = picture.descendants().filter_map(|node| node.attribute("points"));
    (chosen, circles.len(), lines.map(|points| points.split(' ').count()).sum())
}

/// Losses may have any sign (log-likelihoods of densities, ELBOs, `-accuracy`), and images show all of them.
#[test]
#[cfg(unix)]
fn losses_of_any_sign_are_drawn() {
    let mut all = Vec::new();
    for off in ["0", "0.5", "1", "3"] {
        let sandbox = Sandbox::new();
        sandbox.write("descent.sh", DESCENT);
        let file = format!(
            "trainer: {{command: [sh, descent.sh], params: {{off: {off}}}}}\nbudget: {{steps: 20}}\nseeds: 1\n\
             evaluate: {{every: 1}}\nextend: false\nlr: {{values: [0.01, 0.1, 0.3]}}\nschedules: {{a: {{kind: constant}}}}\n"
        );
        sandbox.write("v.yaml", file);
        sandbox.run(&["v.yaml", "-q"]).exits(0);
        let lowest = sandbox.query("select min(final_valid_loss) as loss from trials")[0]["loss"].clone();
        let expected = (1.0 - 0.15_f64).powi(40) - off.parse::<f64>().expect("a number");
        assert!((lowest.as_f64().expect("a loss") - expected).abs() < 1e-12, "{lowest} and {expected}");
        let page = sandbox.run(&["report"]).exits(0).stdout;
        assert!(page.contains("id=\"plot-curves\"") && page.contains("id=\"plot-lrs\""), "off {off}");
        all.push([drawn(&sandbox, "curves"), drawn(&sandbox, "sensitivity")]);
    }
    let [curves, sensitivity] = all[0];
    assert!(curves.2 > 20, "{curves:?}");
    assert_eq!((sensitivity.0, sensitivity.1), (1, 3), "each lr, and the one that was chosen");
    assert!(all.iter().all(|drawn| *drawn == all[0]), "as much is drawn of each sign: {all:?}");
}

/// The page in a browser after its script has run, and the errors of the browser.
fn in_chromium(sandbox: &Sandbox, name: &str, size: &str) -> (String, String) {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--window-size={size}"))
        .arg(format!("--user-data-dir={}", sandbox.path("browser").display()))
        .arg(format!("file://{}", sandbox.path(name).display()))
        .stdin(Stdio::null())
        .output()
        .expect("chromium starts");
    (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "needs the browser chromium")]
fn a_browser_shows_the_numbers_of_the_database() {
    let sandbox = trained();
    sandbox.run(&["report", "-q", "-o", "report.html"]).exits(0);
    for size in ["1280,2000", "390,2000"] {
        let (page, log) = in_chromium(&sandbox, "report.html", size);
        assert!(!log.contains("CONSOLE"), "{log}");
        // The script has run.
        assert!(!page.contains("<div id=\"app\"></div>"), "{page}");
        let data: Value = serde_json::from_str(element(&page, "snapshot")).expect("JSON");
        let database = sandbox
            .query("select schedule, base_lr, mean_valid_loss, n, diverged from ranking order by rank");
        for expected in database.as_array().expect("rows") {
            let rows = data["overview"]["ranking"].as_array().expect("rows");
            let row = rows.iter().find(|row| row["schedule"] == expected["schedule"]).expect("each is shown");
            assert_eq!(
                (&row["base_lr"], &row["diverged"]),
                (&expected["base_lr"], &expected["diverged"]),
                "{row}"
            );
            match expected["mean_valid_loss"].as_f64() {
                Some(mean) => assert!((row["mean"].as_f64().expect("a mean") - mean).abs() < 1e-12, "{row}"),
                None => assert!(row["mean"].is_null(), "{row}"),
            }
        }
        assert_eq!(data["curves"]["valid"]["schedules"].as_array().map(Vec::len), Some(3));
    }
}
