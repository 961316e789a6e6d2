//! The zoo: one sweep file with every kind of schedule.

use std::collections::BTreeSet;

use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;

use crate::support::{Sandbox, root};

fn zoo() -> String {
    std::fs::read_to_string(root().join("experiments/zoo.yaml")).expect("the zoo")
}

#[test]
fn the_zoo_has_every_kind() {
    let text = zoo();
    let kinds = ENTRIES.iter().map(|entry| format!("kind: {}", entry.kind));
    let keys = COMBINATORS.iter().map(|combinator| format!("{}: ", combinator.key));
    let missing: Vec<String> = kinds
        .chain(keys)
        .filter(|what| !text.contains(&format!("{what},")) && !text.contains(&format!("{what}}}")))
        .filter(|what| !what.ends_with(": ") || !text.contains(&format!("{{{what}")))
        .filter(|what| !what.ends_with(": ") || !text.contains(&format!(", {what}")))
        .collect();
    assert!(missing.is_empty(), "experiments/zoo.yaml lacks {missing:?}");
}

/// On fewer images: each schedule has a rank, and each rule moves its lr.
#[test]
fn every_schedule_trains_and_every_rule_moves_its_lr() {
    let text = [
        ("{dataset: mnist, batch_size: 64}", "{dataset: digits, batch_size: 16}"),
        ("hidden: [64]", "hidden: [16]"),
        ("{epochs: 2}", "{steps: 150}"),
        ("seeds: 2", "seeds: 1"),
        ("1562", "150"),
    ]
    .iter()
    .fold(zoo(), |text, (from, to)| text.replace(from, to));
    let sandbox = Sandbox::new();
    sandbox.write("zoo.yaml", text);
    sandbox.run(&["zoo.yaml"]).exits(0);
    let names = |sql: &str| -> BTreeSet<String> {
        let rows = sandbox.query(sql);
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| row["schedule"].as_str().expect("a name").to_owned()).collect()
    };
    let ranked = names("select schedule from ranking");
    let moved = names(
        "select schedule from trials join metrics using (trial_id) group by schedule having count(distinct lr) > 1",
    );
    for entry in ENTRIES.iter().filter(|entry| entry.is_rule()) {
        assert!(ranked.contains(entry.kind), "{} is not ranked", entry.kind);
        assert!(moved.contains(entry.kind), "{} never moved its lr", entry.kind);
    }
    assert!(ranked.len() >= ENTRIES.len() + COMBINATORS.len() - 1, "{ranked:?}");
}
