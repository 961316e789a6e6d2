//! The JSON Schema: it is complete, consistent, and agrees with the readers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::tree::Tree;
use serde_json::{Value as Json, json};
use spec::{json, schema, yaml};

use crate::generate;
use crate::round_trip::config;
use crate::validator::{target, valid};

static SCHEMA: LazyLock<Json> = LazyLock::new(|| schema::sweep_file(trainer::catalogue()));

/// Whether the schema accepts a sweep file.
pub(crate) fn takes_file(tree: &Tree) -> bool {
    valid(&SCHEMA, &SCHEMA, &json::tree_to_json(tree))
}

fn takes_node(tree: &Tree) -> bool {
    valid(&SCHEMA, &SCHEMA["$defs"]["node"], &json::tree_to_json(tree))
}

fn read(text: &str) -> Tree {
    yaml::read(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Every schema inside a schema.
fn visit<'a>(schema: &'a Json, visitor: &mut dyn FnMut(&'a Json)) {
    visitor(schema);
    let Some(schema) = schema.as_object() else { return };
    for (keyword, inside) in schema {
        match keyword.as_str() {
            "properties" | "$defs" => {
                inside.as_object().expect("schemas").values().for_each(|one| visit(one, visitor))
            }
            "anyOf" | "oneOf" | "prefixItems" => {
                inside.as_array().expect("schemas").iter().for_each(|one| visit(one, visitor))
            }
            "items" | "propertyNames" => visit(inside, visitor),
            "additionalProperties" if inside.is_object() => visit(inside, visitor),
            _ => {}
        }
    }
}

#[test]
fn every_nested_schema_is_consistent() {
    let mut used = BTreeSet::from(["node".to_owned()]);
    visit(&SCHEMA, &mut |one| {
        let one = one.as_object().expect("a schema");
        if let Some(reference) = one.get("$ref") {
            target(&SCHEMA, reference);
            used.insert(reference.as_str().expect("a path").trim_start_matches("#/$defs/").to_owned());
        }
        let keys = |keyword: &str| one.get(keyword).and_then(Json::as_array).cloned().unwrap_or_default();
        for key in keys("required") {
            assert!(
                one["properties"].get(key.as_str().expect("a key")).is_some(),
                "{key} is required, but unknown"
            );
        }
        if one.contains_key("additionalProperties") {
            assert_eq!(one["type"], "object");
        }
        if let Some(default) = one.get("default") {
            assert!(valid(&SCHEMA, &Json::Object(one.clone()), default), "the default {default} of {one:?}");
        }
        if let Some(doc) = one.get("description") {
            assert!(doc.as_str().is_some_and(|doc| !doc.is_empty() && !doc.ends_with('.')), "{doc}");
        }
    });
    let defined: BTreeSet<String> = SCHEMA["$defs"].as_object().expect("forms").keys().cloned().collect();
    assert_eq!(defined, used, "defined and used schemas");
}

#[test]
fn every_kind_and_combinator_has_its_keys() {
    for phase in ["kind", "phase"] {
        for entry in ENTRIES {
            let form = &SCHEMA["$defs"][format!("{phase}_{}", entry.kind)];
            assert_eq!(form["properties"]["kind"]["const"], entry.kind);
            for param in entry.all_params() {
                let property = &form["properties"][param.name];
                assert_eq!(property["description"], param.doc, "{}: {}", entry.kind, param.name);
            }
            assert!(form["description"].as_str().is_some_and(|doc| doc.contains(entry.formula)));
        }
        for each in COMBINATORS {
            let form = &SCHEMA["$defs"][format!("{phase}_{}", each.key)];
            let names = each.nodes.iter().copied().chain(each.params.iter().map(|param| param.name));
            for name in names.chain(each.groups.iter().map(|group| group.key)) {
                assert!(form["properties"].get(name).is_some(), "{}: {name}", each.key);
            }
        }
    }
}

#[test]
fn every_example_is_accepted() {
    let examples =
        ENTRIES.iter().map(|entry| entry.example).chain(COMBINATORS.iter().map(|each| each.example));
    for example in examples {
        assert!(takes_node(&read(example)), "{example}");
    }
}

#[test]
fn every_experiment_is_accepted() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let mut files = 0;
    let folders = [folder.join("replications"), folder];
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder")) {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).expect("a text");
            assert!(takes_file(&read(&text)), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 0);
}

const RUN: &str =
    "data: {dataset: digits}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\nbudget: {steps: 10}\nlr: 0.1\n";

#[test]
fn axes_are_accepted_where_the_reader_accepts_them() {
    for text in [
        "schedules: {a: {values: [1x, {kind: linear}]}}",
        "schedules: {a: {kind: {values: [linear, cosine]}, to: 0}}",
        "schedules: {a: {kind: linear, to: {values: [0, 0.1x]}}}",
        "schedules: {a: {kind: linear, to: {linspace: [0, 0.1, 3]}}}",
        "schedules: {a: {kind: step, every: {values: [3, \"25%\"]}, gamma: {logspace: [0.1, 1, 3]}}}",
        "schedules: {a: {kind: multistep, at: {values: [[3], [4, 5]]}}}",
        "schedules: {a: {kind: multistep, at: [3, {values: [4, 5]}]}}",
        "schedules: {a: {kind: piecewise, points: [[0, 0], [{values: [3, 4]}, {values: [1x, 2x]}]]}}",
        "schedules: {a: {chain: [{values: [1x, 0.5x]}, {kind: linear}]}}",
        "schedules: {a: {phases: [{for: {values: [3, 4]}, value: 1x}, {values: [{value: 1x}, {kind: linear}]}]}}",
        "schedules: {a: {warmup: {values: [{over: 2}, {over: 3}]}, body: 1x}}",
        "schedules: {a: {body: 1x, cooldown: {over: 2, shape: {values: [linear, cosine]}}}}",
        "schedules: {a: {warmup: {over: 2, target: {values: [1x, body]}}, body: {kind: linear}}}",
        "schedules: {a: {kind: one_cycle, momentum: {min: {values: [0.8, 0.85]}, max: 0.9}}}",
        "schedules: {a: 1x}\nclip_norm: {values: [1, 2]}\nevaluate: {values: [{every: 2}, {every: 3}]}",
        "schedules: {a: 1x}\ndiverge_above: {linspace: [5, 10, 2]}",
    ] {
        let text = format!("{RUN}{text}\n");
        if let Err(problems) = trainer::read(&text, "x") {
            panic!("{text}: {problems:?}");
        }
        assert!(takes_file(&read(&text)), "{text}");
    }
}

/// A part of a good file, and its replacement, which makes the file bad.
const MISTAKES: &[(&str, &str)] = &[
    ("lr: 0.1", "lr: 0"),
    ("lr: 0.1", "lr: 0.1x"),
    ("lr: 0.1", "lr: {values: []}"),
    ("lr: 0.1", "lr: {values: [1, 1]}"),
    ("lr: 0.1", "lr: {linspace: [1, 2]}"),
    ("lr: 0.1", "lr: {linspace: [1, 2, 3], values: [1]}"),
    ("lr: 0.1", "lr: {logspace: [1, 2, 3.5]}"),
    ("lr: 0.1", ""),
    ("lr: 0.1", "lr: 0.1\nlrr: 2"),
    ("lr: 0.1", "lr: 0.1\nseeds: 0"),
    ("lr: 0.1", "lr: 0.1\nseeds: [1, 1]"),
    ("lr: 0.1", "lr: 0.1\nrefine: 21"),
    ("lr: 0.1", "lr: 0.1\nrefine: maybe"),
    ("lr: 0.1", "lr: 0.1\nname: ''"),
    ("lr: 0.1", "lr: 0.1\nclip_norm: 0"),
    ("lr: 0.1", "lr: 0.1\ndiverge_above: 1"),
    ("lr: 0.1", "lr: 0.1\nevaluate: 3"),
    ("digits", "imagenet"),
    ("digits", "digits, batch_size: 0"),
    ("digits", "digits, batch: 1"),
    ("kind: mlp", "kind: lenet, hidden: [3]"),
    ("kind: mlp", "kind: mlp, hidden: [0]"),
    ("kind: mlp", "hidden: [3]"),
    ("kind: sgd", "kind: sgd, momentum: 1"),
    ("kind: sgd", "kind: sgd, betas: [0.9, 0.99]"),
    ("kind: sgd", "kind: adamw, betas: [0.9]"),
    ("steps: 10", "steps: 0"),
    ("steps: 10", "steps: 10, epochs: 1"),
    ("a: 1x", ""),
    ("a: 1x", "a: cosine"),
    ("a: 1x", "a: -1"),
    ("a: 1x", "a: {kind: cosin}"),
    ("a: 1x", "a: {kind: cosine, too: 0}"),
    ("a: 1x", "a: {kind: cosine, to: -1}"),
    ("a: 1x", "a: {kind: cosine, to: 1y}"),
    ("a: 1x", "a: {kind: cosine, for: 3}"),
    ("a: 1x", "a: {kind: geometric}"),
    ("a: 1x", "a: {kind: geometric, to: 0x}"),
    ("a: 1x", "a: {kind: step, every: 0}"),
    ("a: 1x", "a: {kind: step, every: 110%}"),
    ("a: 1x", "a: {kind: step, every: 1.5 steps}"),
    ("a: 1x", "a: {kind: step}"),
    ("a: 1x", "a: {clamp: {}, of: 1x}"),
    ("a: 1x", "a: {clamp: {min: 0}}"),
    ("a: 1x", "a: {chain: []}"),
    ("a: 1x", "a: {warmup: {over: 2}}"),
    ("a: 1x", "a: {warmup: {from: 0}, body: 1x}"),
    ("a: 1x", "a: {body: 1x, cooldown: {over: 2, shape: linear, power: 2}}"),
    ("a: 1x", "a: {body: 1x, cooldown: {over: 2, shape: geometric}}"),
    ("a: 1x", "a: {phases: [{for: 3, value: 1x, kind: linear}]}"),
    ("a: 1x", "a: {phases: [{for: 3}]}"),
    ("a: 1x", "a: {kind: linear, clock: hours}"),
    ("a: 1x", "a: {kind: one_cycle, momentum: {min: 0.9}}"),
    ("a: 1x", "a: {kind: multistep, at: [3], offset: 0.5}"),
];

#[test]
fn bad_files_are_rejected() {
    let good = format!("{RUN}schedules: {{a: 1x}}\n");
    assert!(takes_file(&read(&good)));
    for &(from, to) in MISTAKES {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(!takes_file(&read(&bad)), "{bad}");
        assert!(trainer::read(&bad, "x").is_err(), "{bad}");
    }
}

/// The keys that the reader of a mapping knows: it lists them in the hint for an unknown key.
fn known_by_the_reader(text: &str, path: &str) -> BTreeSet<String> {
    let problems = trainer::read(text, "x").expect_err(text);
    let problem =
        problems.iter().find(|problem| problem.path == path).unwrap_or_else(|| panic!("{problems:?}"));
    let hint = problem.hint.clone().expect("a hint");
    let names = hint.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn keys(form: &Json) -> BTreeSet<String> {
    form["properties"].as_object().expect("properties").keys().cloned().collect()
}

#[test]
fn the_keys_of_the_run_are_those_of_the_readers() {
    let good = format!("{RUN}schedules: {{a: 1x}}\n");
    // Unlike every known key, so that the hint lists all of them.
    let odd = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq: 1";
    let key = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    let top = known_by_the_reader(&format!("{good}{odd}\n"), key);
    assert_eq!(top, keys(&SCHEMA));
    let form = |name: &str| SCHEMA["properties"][name]["anyOf"][0].clone();
    let inside = |from: &str, to: &str, path: &str| {
        known_by_the_reader(&good.replacen(from, &format!("{to}, {odd}"), 1), &format!("{path}.{key}"))
    };
    assert_eq!(inside("dataset: digits", "dataset: digits", "data"), keys(&form("data")));
    let catalogue = trainer::catalogue();
    for (i, kind) in catalogue.with_data().map(|model| model.name).enumerate() {
        assert_eq!(inside("kind: mlp", &format!("kind: {kind}"), "model"), keys(&form("model")["anyOf"][i]));
    }
    for (i, kind) in catalogue.optimizers.iter().map(|optimizer| optimizer.name).enumerate() {
        assert_eq!(
            inside("kind: sgd", &format!("kind: {kind}"), "optimizer"),
            keys(&form("optimizer")["anyOf"][i])
        );
    }
    let budget: BTreeSet<String> =
        form("budget")["oneOf"].as_array().expect("two").iter().flat_map(keys).collect();
    assert_eq!(inside("steps: 10", "steps: 10", "budget"), budget);
    let evaluate =
        known_by_the_reader(&format!("{good}evaluate: {{every: 3, {odd}}}\n"), &format!("evaluate.{key}"));
    assert_eq!(evaluate, keys(&form("evaluate")));
}

#[test]
fn the_defaults_of_the_run_are_those_of_the_readers() {
    let node = "schedules: {a: 1x}\n";
    for (i, optimizer) in trainer::catalogue().optimizers.iter().map(|optimizer| optimizer.name).enumerate() {
        let plain = format!("{RUN}{node}").replace("kind: sgd", &format!("kind: {optimizer}"));
        let mut written = json::tree_to_json(&read(&plain));
        let mut add = |path: &str, form: &Json| {
            for (key, property) in form["properties"].as_object().expect("properties") {
                if let Some(default) = property.get("default") {
                    written.pointer_mut(path).expect(path)[key] = default.clone();
                }
            }
        };
        let form = |name: &str, i: usize| {
            let form = &SCHEMA["properties"][name]["anyOf"][0];
            form.get("anyOf").map_or_else(|| form.clone(), |each| each[i].clone())
        };
        add("", &SCHEMA);
        add("/data", &form("data", 0));
        add("/model", &form("model", 0));
        add("/optimizer", &form("optimizer", i));
        assert_ne!(written, json::tree_to_json(&read(&plain)));
        let read =
            |text: &str| trainer::read(text, "x").unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let (plain, same) = (read(&plain), read(&json::json_to_tree(&written).to_string()));
        assert_eq!((&plain.points[0].task, &plain.seeds), (&same.points[0].task, &same.seeds));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 12_000, ..config(6000) })]

    /// If the schema rejected what the reader accepts, editors would show false errors.
    #[test]
    fn the_schema_accepts_what_the_reader_accepts(node in generate::node(2)) {
        let read = interop::parse(&node, "", &mut Vec::new());
        prop_assume!(read.is_some());
        prop_assert!(takes_node(&node), "{}", node);
    }
}

#[test]
fn lengths_and_rates_have_the_syntax_of_the_reader() {
    let node = |key: &str, value: &str| {
        format!("{{kind: step, every: 3, {key}: {value}}}").replacen("every: 3, every", "every", 1)
    };
    let lengths = [
        "1",
        "1.0",
        "0",
        "-1",
        "1.5",
        "\"10%\"",
        "\"100%\"",
        "\"100.0%\"",
        "\"100.1%\"",
        "\"0100%\"",
        "\".5%\"",
        "\"5.%\"",
        "\".%\"",
        "\"10 %\"",
        "\" 10% \"",
        "\"1e2%\"",
        "\"-1%\"",
        "\"2 epochs\"",
        "\"2epochs\"",
        "\"0.5 epoch\"",
        "\"1.5 steps\"",
        "\"2.0 steps\"",
        "\"3 step\"",
        "\"3\"",
        "\"steps\"",
        "\"3 stepss\"",
        "\"%\"",
        "true",
        "null",
    ];
    for length in lengths {
        let text = node("every", length);
        let read = interop::parse(&read(&text), "", &mut Vec::new()).is_some();
        assert_eq!(takes_node(&self::read(&text)), read, "{text}");
    }
    let rates = [
        "1x", "0x", "0.1x", ".5x", "5.x", "1e-3x", "1E+3x", "+1x", "-1x", "x", "1 x", "1xx", "1e x", "infx",
        "nanx", "0x1f", "\"\"", "\" 1x\"", "0", "0.0", "-0.1", "1", "\"1\"", "true", "null", "1.2.3x",
        "0.0x", "00.0e5x", "0.01x",
    ];
    for rate in rates {
        for kind in ["linear", "geometric"] {
            let text = format!("{{kind: {kind}, to: {rate}}}");
            let read = interop::parse(&read(&text), "", &mut Vec::new()).is_some();
            assert_eq!(takes_node(&self::read(&text)), read, "{text}");
        }
    }
    assert!(!valid(&SCHEMA, &SCHEMA, &json!({})));
}
