//! A page must be complete and well formed, and escape all text of the document.

use super::*;
use crate::chart::Axis;
use crate::document::{BudgetLine, Curve, DocumentWarning, RankedSchedule, Sensitivity};
use crate::figure::{Figure, figure};
use crate::plot::Size;

const HOSTILE: &str = "</script><script>alert('1')</script>&\"\u{202e}";

/// Made-up results of `schedules` schedules.
fn document(schedules: usize) -> Document {
    let name = |i: usize| if i == 1 { HOSTILE.to_owned() } else { format!("schedule {i}") };
    let ranked = |i: usize| RankedSchedule {
        schedule: name(i),
        config_id: format!("{i:012x}"),
        base_lr: 0.1,
        n: 8,
        requested: 8,
        mean: Some(0.1 + i as f64 / 100.0),
        sd: Some(0.01),
        diff: (i > 0).then_some(i as f64 / 100.0),
        interval: (i > 0).then_some((i as f64 / 100.0 - 0.02, i as f64 / 100.0 + 0.02)),
        p: (i > 0).then_some(1.0 / (1 + i) as f64),
        p_raw: (i > 0).then_some(1.0 / (2 + i) as f64),
        ranks: format!("{}", 1 + i),
        verdict: if i == 0 { "first" } else { "undecided" }.to_owned(),
        wins: (i > 0).then_some((1.0, 8)),
        tie_group: 1 + i / 3,
        steps: 100,
        ..RankedSchedule::default()
    };
    let curve = |i: usize| Curve {
        schedule: name(i),
        steps: vec![10, 50, 100],
        mean: vec![1.0, 0.5, 0.2 + i as f64],
        low: vec![0.9, 0.4, 0.1],
        high: vec![1.1, 0.6, f64::INFINITY],
        lr_steps: vec![0, 50, 99],
        lr: vec![0.1, 0.05, 0.0],
        runs: (8, 8),
    };
    let sensitivity = |i: usize| Sensitivity {
        schedule: name(i),
        points: vec![(0.01, Some(0.3), 0), (0.1, Some(0.2), 1), (1.0, None, 8)],
        chosen: 0.1,
        edge: None,
    };
    Document {
        sweep: HOSTILE.to_owned(),
        question: HOSTILE.to_owned(),
        verdict: HOSTILE.to_owned(),
        file_text: HOSTILE.to_owned(),
        metric: "valid loss".to_owned(),
        curve_metric: "validation loss".to_owned(),
        lower_is_better: true,
        pairs_tested: schedules * schedules.saturating_sub(1) / 2,
        warnings: vec![DocumentWarning { text: HOSTILE.to_owned(), ..DocumentWarning::default() }],
        ranking: (0..schedules).map(ranked).collect(),
        curves: (0..schedules).map(curve).collect(),
        sensitivity: (0..schedules).map(sensitivity).collect(),
        budgets: vec![BudgetLine { schedule: name(0), points: vec![(50, 0.4), (100, 0.2)] }],
        ..Document::default()
    }
}

/// The SVG elements of a page.
fn pictures(page: &str) -> Vec<&str> {
    page.split("<svg").skip(1).filter_map(|rest| Some(&rest[..rest.find("</svg>")?])).collect()
}

/// The page of a document, with its name in the data.
fn html(document: &Document) -> String {
    let mut snapshot = Snapshot::default();
    snapshot.overview.sweep.clone_from(&document.sweep);
    super::html(document, &snapshot)
}

#[test]
fn hostile_text_is_escaped() {
    let page = html(&document(3));
    assert_eq!(page.matches("</script>").count(), 2, "the data and the script");
    assert!(!page.contains("<script>alert") && !page.contains('\u{202e}'));
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)"));
    let start = page.find("id=\"snapshot\">").expect("data") + "id=\"snapshot\">".len();
    let end = start + page[start..].find("</script>").expect("the end of the data");
    let data: serde_json::Value = serde_json::from_str(&page[start..end]).expect("JSON");
    assert_eq!(data["overview"]["sweep"], HOSTILE);
}

#[test]
fn every_picture_is_well_formed_and_finite() {
    for schedules in [1, 3, 60] {
        let page = html(&document(schedules));
        for picture in pictures(&page) {
            let picture = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"{picture}</svg>");
            roxmltree::Document::parse(&picture).expect("well-formed XML");
            assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        }
        let lines = page.matches("<path class=\"line").count();
        // One line each in the legend, the losses, the lrs and the sensitivity, and one in the budgets.
        assert_eq!(lines, 4 * schedules + 1);
    }
}

#[test]
fn every_figure_is_drawn_as_a_standalone_picture() {
    let document = document(4);
    for which in [Figure::Forest, Figure::Curves, Figure::Sensitivity, Figure::Budgets] {
        let page = figure(&document, which).expect("something to draw");
        let svg = page.svg();
        roxmltree::Document::parse(&svg).expect("well-formed XML");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<script"), "{svg}");
        assert!(svg.contains("&lt;/script&gt;"), "{which:?} has the names");
        assert!(page.png().is_some_and(|png| png.starts_with(b"\x89PNG")));
        let size = Size { width: 300, height: 900 };
        let small = page.scaled_to(size).svg();
        assert!(small.contains("width=\"300\" height=\"900\""), "{small}");
    }
    let single = self::document(1);
    assert_eq!(
        figure(&single, Figure::Forest).expect_err("nothing to compare"),
        "no two schedules have finished runs of the same seed"
    );
}

/// A document with `by` added to every loss.
fn shifted(schedules: usize, by: f64) -> Document {
    let mut document = document(schedules);
    for curve in &mut document.curves {
        [&mut curve.mean, &mut curve.low, &mut curve.high].into_iter().flatten().for_each(|loss| *loss += by);
    }
    for own in &mut document.sensitivity {
        own.points.iter_mut().filter_map(|point| point.1.as_mut()).for_each(|loss| *loss += by);
    }
    document.budgets.iter_mut().flat_map(|own| &mut own.points).for_each(|point| point.1 += by);
    document
}

#[test]
fn losses_of_any_sign_are_drawn_on_the_page_and_in_figures() {
    // Circles, bands, lines, and the points of the lines.
    let page = |by: f64| {
        let drawn = pictures(&html(&shifted(3, by))).concat();
        ["<circle", "<polygon", "<path class=\"line", "L"].map(|shape| drawn.matches(shape).count())
    };
    let standalone = |by: f64, which| {
        let svg = figure(&shifted(3, by), which).expect("something to draw").svg();
        let points = svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        let points = points.map(|points| points.split(' ').count()).collect::<Vec<_>>();
        (svg.matches("<circle").count(), points)
    };
    for by in [-0.25, -1.0, -3.0, -1e6] {
        assert_eq!(page(by), page(0.0), "{by}");
        for which in [Figure::Curves, Figure::Sensitivity, Figure::Budgets] {
            assert_eq!(standalone(by, which), standalone(0.0, which), "{which:?} {by}");
        }
    }
}

#[test]
fn values_that_are_not_drawn_are_listed() {
    let mut document = document(4);
    document.curves.remove(2);
    document.curves[0].runs = (32, 40);
    document.ranking[1].diff = Some(f64::INFINITY);
    let page = html(&document);
    for words in [
        "Not drawn: schedule 2 (no finite loss",
        "at lr 1, 8 diverged (runs diverged or are missing",
        "(no finite difference to the first",
    ] {
        assert!(page.contains(words), "{words} in {page}");
    }
    for curve in &mut document.curves {
        curve.mean.fill(f64::NAN);
    }
    assert!(html(&document).contains("No chart: no run has recorded a finite loss"));
    assert!(figure(&document, Figure::Curves).is_err());
}

#[test]
fn a_point_without_neighbours_is_a_dot() {
    let mut document = document(1);
    document.curves[0].mean = vec![1.0, f64::NAN, 0.5];
    let circles = |document: &Document| {
        figure(document, Figure::Curves).expect("a picture").svg().matches("<circle").count()
    };
    assert_eq!((circles(&document), circles(&self::document(1))), (2, 0));
}

#[test]
fn a_log_axis_within_one_decade_has_ticks() {
    for (low, high) in [(0.068, 0.13), (0.011, 0.012), (1.0, 1000.0)] {
        let axis = Axis::over([low, high].into_iter(), true, (0.0, 1.0)).expect("an axis");
        assert!(axis.marks(9).len() > 2, "{low} to {high}");
    }
}

#[test]
fn pages_are_deterministic_and_work_with_few_results() {
    assert_eq!(html(&document(5)), html(&document(5)));
    let empty = html(&Document::default());
    assert!(empty.contains("<main") && !empty.contains("id=\"plot-curves\""));
    let lost = Document {
        ranking: vec![RankedSchedule {
            schedule: "a".into(),
            diverged: 3,
            unreported: 0,
            unreached: 0,
            requested: 3,
            tie_group: 1,
            ..RankedSchedule::default()
        }],
        ..Document::default()
    };
    assert!(html(&lost).contains("3/3") && crate::markdown(&lost).contains("3/3"));
}

#[test]
fn markdown_escapes_markup_in_text() {
    let page = crate::markdown(&document(2));
    assert!(!page.contains("<script>alert") || page.contains("\\<script\\>"), "{page}");
    assert!(page.lines().filter(|line| line.starts_with("| ")).count() == 3, "{page}");
}
