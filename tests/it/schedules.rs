//! `sweep schedules`: the list, the pages, and unknown names.

use schedule::index::{FAMILIES, Family};

use crate::support::Sandbox;

#[test]
fn the_list_has_one_line_for_each_schedule_under_its_family() {
    let sandbox = Sandbox::new();
    let list = sandbox.run(&["schedules"]).exits(0).stdout;
    assert!(!list.contains('\u{1b}'));
    let mut lines = list.lines();
    for family in FAMILIES {
        assert!(lines.any(|line| line == family.title()), "{}", family.title());
        for item in family.items() {
            let line = lines.next().unwrap_or_default();
            assert_eq!(line.split_whitespace().next(), Some(item.name()));
            assert!(line.ends_with(item.summary()) && line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn the_list_is_available_as_json() {
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["schedules", "--format", "json"]).exits(0).json();
    let names: Vec<&str> =
        json.as_array().expect("a list").iter().filter_map(|row| row["name"].as_str()).collect();
    let known: Vec<&str> = FAMILIES.into_iter().flat_map(Family::items).map(|item| item.name()).collect();
    assert_eq!(names, known);
    let csv = sandbox.run(&["schedules", "wsd", "--format", "csv"]).exits(0).stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.starts_with("family,name,summary,example,formula,source,aliases\npreset,wsd,"), "{csv}");
    let page = sandbox.run(&["schedules", "cosine", "--format", "json"]).exits(0).json();
    assert_eq!(page["parameters"][0]["name"], "from");
    assert_eq!(page["parameters"][0]["default"], "1x");
    assert!(page["ends"]["after"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn a_page_has_all_sections() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.run(&["schedules", "rex"]).exits(0).stdout);
}

#[test]
fn every_schedule_has_a_page_with_a_plot() {
    let sandbox = Sandbox::new();
    for item in FAMILIES.into_iter().flat_map(Family::items) {
        let page = sandbox.run(&["schedules", item.name()]).exits(0).stdout;
        assert!(page.starts_with(&format!("{}\n", item.name())), "{page}");
        assert!(page.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "no plot in\n{page}");
        assert!(!page.contains('\u{1b}'));
        let long = page.lines().find(|line| line.chars().count() > 80 && !line.starts_with("  {"));
        assert_eq!(long, None, "{}", item.name());
    }
}

#[test]
fn a_rule_is_plotted_over_an_example_run() {
    let sandbox = Sandbox::new();
    let page = sandbox.run(&["schedules", "plateau"]).exits(0).stdout;
    assert!(page.contains("synthetic loss") && page.contains("loss, on its own scale: "), "{page}");
}

#[test]
fn names_of_other_libraries_lead_to_the_page() {
    let sandbox = Sandbox::new();
    for (name, page) in [
        ("CosineAnnealingLR", "cosine\n"),
        ("torch.optim.lr_scheduler.ReduceLROnPlateau", "plateau\n"),
        ("trapezoid", "wsd\n"),
        ("SequentialLR", "phases\n"),
        ("warmup", "body\n"),
    ] {
        let found = sandbox.run(&["schedules", name]).exits(0).stdout;
        assert!(found.starts_with(page), "{name}: {found}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_a_suggestion() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["schedules", "cosin"]).exits(2);
    assert_eq!(output.stderr, "error: unknown schedule `cosin`; did you mean `cosine`?\n");
    let output = sandbox.run(&["schedules", "\u{1b}[2Jbananas"]).exits(2);
    assert!(
        output.stderr.contains("`sweep schedules` lists all schedules") && !output.stderr.contains('\u{1b}')
    );
}

/// A preset is not a kind. The error shows its expansion.
#[test]
fn a_preset_as_a_kind_is_refused_with_its_expansion() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["lr", "--total", "9", "{kind: wsd}"]).exits(2);
    assert!(output.stderr.contains("{warmup: {over: \"5%\", from: 0.01x}, body: 1x"), "{}", output.stderr);
}
