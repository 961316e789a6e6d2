//! `sweep plot`: the content of images, and its errors.

use std::path::Path;

use crate::support::{Output, Sandbox, root};

const SWEEP: &str = "\
name: <b>&\"small\"
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 20}
lr: {values: [0.1, 0.2, 0.4]}
schedules:
  constant: {kind: constant}
  'a <b> & \"c\"': {kind: linear, to: {values: [0, 0.5x]}}
  step: {kind: multistep, at: [10], gamma: 0.5}
  plateau: {kind: plateau}
";

fn plotted(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.write("small.yaml", SWEEP);
    sandbox.run(&[&["plot"], args].concat())
}

/// A parsed SVG image.
struct Picture {
    /// Name and points of each curve, in steps and lr.
    curves: Vec<(String, Vec<(f64, f64)>)>,
    texts: Vec<String>,
}

/// Reads an SVG. Pixels are converted to values by the ticks of the axes.
fn read(path: &Path) -> Picture {
    let svg = std::fs::read_to_string(path).expect("a picture");
    let document = roxmltree::Document::parse(&svg).expect("an SVG is XML");
    let number = |node: &roxmltree::Node<'_, '_>, name: &str| -> f64 {
        node.attribute(name).and_then(|text| text.parse().ok()).expect("a number")
    };
    let texts: Vec<_> = document.descendants().filter(|node| node.has_tag_name("text")).collect();
    let marks = |anchor: &str, place: &str| -> Vec<(f64, f64)> {
        let labels = texts.iter().filter(|text| text.attribute("text-anchor") == Some(anchor));
        labels.filter_map(|text| Some((text.text()?.parse().ok()?, number(text, place)))).collect()
    };
    let line = |marks: Vec<(f64, f64)>, shift: f64| {
        let (first, last) = (marks[0], marks[marks.len() - 1]);
        move |pixel: f64| first.0 + (pixel - first.1 + shift) * (last.0 - first.0) / (last.1 - first.1)
    };
    // The baseline of a label is slightly below its tick.
    let (x, y) = (line(marks("middle", "x"), 0.0), line(marks("end", "y"), 0.36 * 12.0));
    let curves = document.descendants().filter(|node| node.has_tag_name("polyline")).map(|curve| {
        let points = curve.attribute("points").expect("points").split(' ').map(|point| {
            let (px, py) = point.split_once(',').expect("a pair");
            (x(px.parse().expect("x")), y(py.parse().expect("y")))
        });
        let tip = curve.children().find_map(|child| child.text()).unwrap_or_default();
        (tip.rsplit_once(": from").expect("a name").0.to_owned(), points.collect())
    });
    let texts = texts.iter().filter_map(|text| text.text().map(str::to_owned)).collect();
    Picture { curves: curves.collect(), texts }
}

#[track_caller]
fn near(found: (f64, f64), expected: (f64, f64)) {
    let close = (found.0 - expected.0).abs() < 0.05 && (found.1 - expected.1).abs() < 0.003;
    assert!(close, "{found:?} instead of {expected:?}");
}

#[test]
fn every_open_loop_schedule_of_a_sweep_file_is_drawn() {
    let sandbox = Sandbox::new();
    let output = plotted(&sandbox, &["small.yaml", "-o", "out.svg"]).exits(0);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("not drawn: plateau"), "{}", output.stderr);
    let picture = read(&sandbox.path("out.svg"));
    let names: Vec<&str> = picture.curves.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["constant", "a <b> & \"c\", to 0", "a <b> & \"c\", to 0.5x", "step"]);
    for (name, _) in &picture.curves {
        assert!(picture.texts.contains(name), "the legend has {name}");
    }
    // The median base lr, which the image names.
    for ((_, points), (first, last)) in
        picture.curves.iter().zip([(0.2, 0.2), (0.2, 0.01), (0.2, 0.105), (0.2, 0.1)])
    {
        near(points[0], (0.0, first));
        near(points[points.len() - 1], (19.0, last));
    }
    let step: Vec<_> = picture.curves[3].1.iter().filter(|(step, _)| (step - 10.0).abs() < 0.05).collect();
    assert_eq!(step.len(), 2, "a drop at step 10 is upright");
    assert!(picture.texts.iter().any(|text| text == "at base lr 0.2, one of 0.1, 0.2, 0.4; 20 steps"));
    assert!(picture.texts.iter().any(|text| text.starts_with("not drawn: plateau")));
    assert!(picture.texts.contains(&"<b>&\"small\": learning rates".to_owned()));
}

#[test]
fn the_base_lr_and_the_schedules_can_be_chosen() {
    let sandbox = Sandbox::new();
    plotted(&sandbox, &["small.yaml", "-o", "out.svg", "--lr", "0.4", "--select", "step,constant"]).exits(0);
    let picture = read(&sandbox.path("out.svg"));
    assert_eq!(picture.curves.len(), 2);
    near(picture.curves[0].1[0], (0.0, 0.4));
    let output = plotted(&sandbox, &["small.yaml", "--select", "stpe"]).exits(2);
    assert!(output.stderr.contains("did you mean `step`?"), "{}", output.stderr);
    let output = plotted(&sandbox, &["small.yaml", "--select", "plateau"]).exits(2);
    assert!(output.stderr.contains("not known before training"), "{}", output.stderr);
}

#[test]
fn one_schedule_is_drawn_over_a_given_run() {
    let sandbox = Sandbox::new();
    let node = "{kind: cosine, to: 0.1x}";
    plotted(&sandbox, &[node, "--total", "100", "--lr", "0.5", "-o", "out.svg"]).exits(0);
    let picture = read(&sandbox.path("out.svg"));
    let [(_, points)] = picture.curves.as_slice() else { panic!("one curve") };
    near(points[0], (0.0, 0.5));
    near(points[points.len() - 1], (99.0, 0.0501));
    assert!(picture.texts.contains(&node.to_owned()));
    // A schedule from a file, with its own base lr.
    sandbox.write("node.yaml", "lr: 0.5\nschedule: {kind: linear, to: 0}\n");
    plotted(&sandbox, &["node.yaml", "--total", "100", "-o", "out.svg"]).exits(0);
    near(read(&sandbox.path("out.svg")).curves[0].1[0], (0.0, 0.5));
    let output = plotted(&sandbox, &[node]).exits(2);
    assert!(output.stderr.contains("--total"), "{}", output.stderr);
    let output = plotted(&sandbox, &["{kind: plateau}", "--total", "9"]).exits(2);
    assert!(output.stderr.contains("sweep lr --metrics"), "{}", output.stderr);
    let output = plotted(&sandbox, &["{kind: cosin}", "--total", "9"]).exits(2);
    assert!(output.stderr.contains("did you mean `cosine`?"), "{}", output.stderr);
}

#[test]
fn short_cycles_of_a_long_run_are_visible_in_a_small_file() {
    let sandbox = Sandbox::new();
    let node = "{kind: cyclic, min: 0, up: 3}";
    plotted(&sandbox, &[node, "--total", "1000000", "-o", "out.svg"]).exits(0);
    let length = std::fs::metadata(sandbox.path("out.svg")).expect("a file").len();
    assert!(length < 120_000, "{length}");
    let svg = std::fs::read_to_string(sandbox.path("out.svg")).expect("a picture");
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let curve = document.descendants().find(|node| node.has_tag_name("polyline")).expect("a curve");
    let heights: Vec<f64> = curve
        .attribute("points")
        .expect("points")
        .split(' ')
        .map(|point| point.split_once(',').expect("a pair").1.parse().expect("a number"))
        .collect();
    let (top, bottom) =
        (heights.iter().copied().fold(f64::MAX, f64::min), heights.iter().copied().fold(0.0, f64::max));
    let at = |edge: f64| heights.iter().filter(|y| (**y - edge).abs() < 0.2).count();
    assert!(at(top) > 600 && at(bottom) > 600, "{} {}", at(top), at(bottom));
}

#[test]
fn a_log_axis_of_a_curve_that_reaches_zero_is_symlog() {
    let sandbox = Sandbox::new();
    let zero = "{kind: linear, to: 0, sample: closed}";
    let says_so = |args: &[&str]| {
        plotted(&sandbox, &[args, &["-o", "out.svg"]].concat()).exits(0);
        read(&sandbox.path("out.svg")).texts.iter().any(|text| text.contains("a log axis can't show 0"))
    };
    assert!(says_so(&[zero, "--total", "10", "--log"]));
    assert!(!says_so(&[zero, "--total", "10"]));
    assert!(says_so(&["{kind: polynomial, power: 4}", "--total", "200", "--log"]), "near 0 at its end");
    assert!(!says_so(&["{kind: exponential, gamma: 1.5}", "--total", "200", "--log"]), "many decades");
    let text = plotted(&sandbox, &["0", "--total", "10", "--log"]).exits(0).stdout;
    assert!(text.contains("a log axis can't show 0"), "{text}");
}

#[test]
fn a_png_has_the_requested_size_and_is_not_empty() {
    let sandbox = Sandbox::new();
    plotted(&sandbox, &["small.yaml", "-o", "out.PNG", "--size", "640x400"]).exits(0);
    let file = std::io::BufReader::new(std::fs::File::open(sandbox.path("out.PNG")).expect("a file"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("a picture");
    assert_eq!((info.width, info.height), (640, 400));
    let count = |colour: [u8; 3]| pixels.chunks_exact(3).filter(|pixel| **pixel == colour).count();
    assert!(count([255, 255, 255]) > 200_000, "white paper");
    assert!(count([0x00, 0x72, 0xb2]) > 100, "the first curve");
    for size in ["640", "0x400", "640x9000", "axb"] {
        let output = plotted(&sandbox, &["small.yaml", "--size", size]).exits(2);
        assert!(output.stderr.contains("from 200 to 6000"), "{}", output.stderr);
    }
}

#[test]
fn characters_missing_in_the_font_are_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.write("names.yaml", SWEEP.replace("  step:", "  学習:"));
    let output = sandbox.run(&["plot", "names.yaml", "-o", "out.png"]).exits(0);
    assert!(output.stderr.contains("学習"), "{}", output.stderr);
    sandbox.run(&["plot", "names.yaml", "-o", "out.svg"]).exits(0);
    assert!(read(&sandbox.path("out.svg")).texts.contains(&"学習".to_owned()));
}

#[test]
fn variants_have_different_labels() {
    let sandbox = Sandbox::new();
    let close = "{kind: linear, to: {values: [0.100001, 0.100002]}, k: {values: [1, 2]}}";
    sandbox.write("close.yaml", SWEEP.replace("{kind: constant}", close));
    sandbox.run(&["plot", "close.yaml", "-o", "out.svg", "--select", "constant"]).exits(0);
    let picture = read(&sandbox.path("out.svg"));
    let names: Vec<&str> = picture.curves.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["to 0.100001 k 1", "to 0.100001 k 2", "to 0.100002 k 1", "to 0.100002 k 2"];
    assert_eq!(names, expected.map(|axes| format!("constant, {axes}")));
}

#[test]
fn a_failed_write_leaves_no_file() {
    let sandbox = Sandbox::new();
    let output = plotted(&sandbox, &["small.yaml", "-o", "out.pdf"]).exits(2);
    assert!(output.stderr.contains(".svg or .png"), "{}", output.stderr);
    let output = plotted(&sandbox, &["small.yaml", "-o", "missing/out.svg"]).exits(2);
    assert!(output.stderr.contains("can't write missing/out.svg"), "{}", output.stderr);
    std::fs::create_dir(sandbox.path("folder.svg")).expect("a folder");
    let output = plotted(&sandbox, &["small.yaml", "-o", "folder.svg"]).exits(2);
    assert!(output.stderr.contains("it is a directory"), "{}", output.stderr);
    let mut left: Vec<String> = std::fs::read_dir(root_of(&sandbox))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["folder.svg", "small.yaml"]);
}

fn root_of(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.path(".")
}

#[test]
fn without_a_file_the_curves_are_drawn_as_text() {
    let sandbox = Sandbox::new();
    let output = plotted(&sandbox, &["small.yaml"]).exits(0);
    for words in ["at base lr 0.2", "constant", "a <b> & \"c\", to 0.5x", "not drawn: plateau"] {
        assert!(output.stdout.contains(words), "no {words} in\n{}", output.stdout);
    }
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80));
    let hostile = "{kind: constant, # \u{1b}]0;x\u{7}\n value: 1x}";
    let output = plotted(&sandbox, &[hostile, "--total", "5"]).exits(0);
    assert!(!output.stdout.contains('\u{1b}') && !output.stdout.contains('\u{7}'));
}

#[test]
fn a_mistake_in_the_sweep_file_is_shown_as_in_check() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.yaml", SWEEP.replace("kind: linear", "kind: linaer"));
    let output = sandbox.run(&["plot", "bad.yaml"]).exits(2);
    assert!(output.stderr.contains("bad.yaml:9:") && output.stderr.contains("`linear`"), "{}", output.stderr);
    let output = sandbox.run(&["plot", "cosine"]).exits(2);
    assert!(output.stderr.contains("'{kind: cosine}' not found: cosine"), "{}", output.stderr);
}

/// The image in the README equals the output of the command.
#[test]
fn the_readme_shows_the_main_experiment() {
    let sandbox = Sandbox::new();
    let experiment = root().join("experiments/mnist.yaml");
    let drawn = sandbox.path("mnist.svg");
    let (from, to) = (experiment.display().to_string(), drawn.display().to_string());
    sandbox.run(&["plot", &from, "-o", &to]).exits(0);
    let picture = root().join("docs/images/mnist.svg");
    if std::env::var_os("SWEEP_UPDATE").is_some() {
        std::fs::copy(&drawn, &picture).expect("the picture can be written");
    }
    let same = std::fs::read(&drawn).expect("a picture") == std::fs::read(&picture).unwrap_or_default();
    assert!(same, "docs/images/mnist.svg is not what `sweep plot` draws; SWEEP_UPDATE=1 writes it anew");
}
