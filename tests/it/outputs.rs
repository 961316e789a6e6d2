//! The JSON outputs of verbs: each output has exactly the fields of its schema, errors are objects, and the page
//! docs/reference/outputs.md is made from the schemas.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::generated::hold;
use crate::support::{Sandbox, root};

/// One of the lrs diverges.
const FILE: &str = "\
name: outputs
data: {dataset: digits, batch_size: 100}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd}
budget: {steps: 12}
seeds: 2
extend: false
evaluate: {every: 4}
lr: {values: [0.1, 1e6]}
schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
  mapped: {warmup: {over: 3}, body: {kind: linear, to: {values: [0, 0.1x]}}}
";

const QUADRATIC: &str = "\
name: bowl
task: {kind: quadratic}
optimizer: {kind: sgd}
budget: {steps: 200}
seeds: 2
lr: {values: [0.1]}
schedules: {constant: {kind: constant}, linear: {kind: linear, to: 0}}
";

const LAWS: &str = "\
name: laws
task: {kind: quadratic, dimensions: 10}
optimizer: {kind: sgd}
budget: {steps: {values: [20, 40, 80]}}
seeds: 5
lr: {logspace: [0.02, 1.28, 7]}
schedules: {constant: {kind: constant}, linear: {kind: linear, to: 0}}
";

const SEARCH: &str = "\
name: shapes
task: {kind: quadratic}
optimizer: {kind: sgd}
budget: {steps: 20}
seeds: {tune: 2, decide: 2}
lr: 0.1
search: {knots: 2, trials: 32, population: 4, seeds: 2}
schedules: {linear: {kind: linear, to: 0}}
";

/// The arguments that print each output; `None` if that needs something that a test does not have.
fn arguments(name: &str) -> Option<Vec<&'static str>> {
    let words = match name {
        "ranking" => "rank outputs --format json",
        "configs" => "rank outputs --by config --format json",
        "runs" => "rank outputs --by trial --format json",
        "comparison" => "compare constant cosine --sweep outputs --format json",
        "plan" => "plan outputs.yaml --format json",
        "screening" => "plan more.yaml --screen --sweep bowl --format json",
        "status" => "status --format json",
        "processes" => "status --processes --format json",
        "trial" => "show best --sweep outputs --format json",
        "steps" => "show best --sweep outputs --metrics --format json",
        "audit" => "audit outputs --format json",
        "lr_laws" => "lr-law laws --at 160 --format json",
        "expectations" => "expect bowl.yaml --format json",
        "generations" => "search shapes.yaml --history --format json",
        "predictions" => {
            "predict {\"kind\":\"cosine\"} --curves constant_24000.csv wsdcon_9.csv --format json"
        }
        "merge" => "merge other --format json",
        "removal" => "rm bowl --format json",
        "checks" => "doctor --format json",
        "schedules" => "schedules --format json",
        "schedule" => "schedules cosine --format json",
        "rates" => "lr {\"kind\":\"cosine\"} --total 5 --format json",
        "problems" => "check outputs.yaml --format json",
        // Slurm.
        "jobs" => return None,
        other => panic!("the output `{other}` needs arguments in this test"),
    };
    Some(words.split(' ').collect())
}

fn schemas(sandbox: &Sandbox) -> serde_json::Map<String, Json> {
    let all = sandbox.run(&["schema", "--of", "all"]).exits(0).json();
    all["$defs"].as_object().expect("schemas").clone()
}

#[test]
fn every_output_has_exactly_the_fields_of_its_schema() {
    let sandbox = Sandbox::new();
    sandbox.write("outputs.yaml", FILE);
    sandbox.write("bowl.yaml", QUADRATIC);
    sandbox.write("laws.yaml", LAWS);
    sandbox.write(
        "more.yaml",
        QUADRATIC
            .replace("name: bowl", "name: more")
            .replace("{constant:", "{cosine: {kind: cosine}, constant:"),
    );
    sandbox.write("shapes.yaml", SEARCH);
    for curve in ["constant_24000.csv", "wsdcon_9.csv"] {
        let recorded = std::fs::read(root().join("data/loss-curves/25M").join(curve)).expect("a curve");
        sandbox.write(curve, recorded);
    }
    sandbox.run(&["bowl.yaml", "--quiet", "--store", "other"]).exits(0);
    for file in ["bowl.yaml", "laws.yaml", "shapes.yaml", "outputs.yaml"] {
        sandbox.run(&[file, "--quiet"]).exits(0);
    }
    let schemas = schemas(&sandbox);
    for (name, schema) in &schemas {
        let single = sandbox.run(&["schema", "--of", name]).exits(0).json();
        assert_eq!(single, *schema, "{name}");
        let Some(arguments) = arguments(name) else { continue };
        let printed = sandbox.run(&arguments).exits(0).json();
        let is_filled = name == "processes" || printed.as_array().is_none_or(|rows| !rows.is_empty());
        assert!(is_filled, "{name} has no rows");
        if let Err(error) = matches(&printed, schema, name) {
            panic!("{error} of {printed:#}");
        }
    }
    let ranking = sandbox.run(&["outputs.yaml", "--quiet", "--format", "json"]).exits(0).json();
    matches(&ranking, &schemas["ranking"], "run").expect("the ranking");
}

/// Whether a value is as its schema says, with no field that the schema does not name, in the same order.
fn matches(value: &Json, schema: &Json, at: &str) -> Result<(), String> {
    let name = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let allows = |allowed: &Json| allowed == name || (name == "integer" && allowed == "number");
    let types = &schema["type"];
    if !types.as_array().map_or_else(|| allows(types), |types| types.iter().any(allows)) {
        return Err(format!("{at}: {value} is {name}, not {types}"));
    }
    match (value, schema.get("items"), schema.get("properties").and_then(Json::as_object)) {
        (Json::Array(items), Some(own), _) => {
            items.iter().enumerate().try_for_each(|(i, item)| matches(item, own, &format!("{at}[{i}]")))
        }
        (Json::Object(fields), _, Some(known)) => {
            let (own, named): (Vec<_>, Vec<_>) = (fields.keys().collect(), known.keys().collect());
            let (first, more) = own.split_at_checked(named.len()).unwrap_or((&own, &[]));
            let others = schema.get("additionalProperties");
            if first != named || (!more.is_empty() && others.is_none()) {
                return Err(format!("{at}: the fields {own:?} are not {named:?}"));
            }
            fields.iter().try_for_each(|(key, value)| {
                let of = known.get(key).or(others).unwrap_or(&Json::Null);
                matches(value, of, &format!("{at}.{key}"))
            })
        }
        _ => Ok(()),
    }
}

#[test]
fn programs_get_errors_as_objects_with_the_exit_code() {
    let sandbox = Sandbox::new();
    sandbox
        .write("outputs.yaml", FILE.replace("kind: cosine", "kind: cosin").replace("seeds: 2", "seeds: x"));
    let schema = schemas(&sandbox)["problems"].clone();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["rank", "--format", "json"], 2, "sweep database not found"),
        (&["rank", "nope", "--format=json", "--metric", "valid_los"], 2, "--metric"),
        (&["plan", "outputs.yaml", "--format", "json"], 2, ""),
        (&["check", "outputs.yaml", "--format", "json"], 2, ""),
        (&["check", "nope.yaml", "--format", "json"], 2, "not found"),
        (&["status", "--format", "json", "--all"], 2, "--all"),
    ];
    for (arguments, code, words) in cases {
        let output = sandbox.run(arguments).exits(code);
        let printed = output.json();
        matches(&printed, &schema, "problems").expect("problems");
        assert_eq!(printed["exit_code"], code);
        let first = &printed["problems"][0];
        assert!(first["message"].as_str().is_some_and(|text| text.contains(words)), "{printed:#}");
        assert_eq!(first["severity"], "error");
        // People read the same on stderr.
        assert!(output.stderr.contains("error"), "{}", output.stderr);
    }
    let printed = sandbox.run(&["check", "outputs.yaml", "--format", "json"]).json();
    let problems = printed["problems"].as_array().expect("a list");
    let places: Vec<_> = problems.iter().map(|one| (one["path"].as_str(), one["line"].as_i64())).collect();
    assert_eq!(places, [(Some("seeds"), Some(6)), (Some("schedules.cosine.kind"), Some(12))]);
    // Without --format json, stdout stays empty.
    assert_eq!(sandbox.run(&["plan", "outputs.yaml"]).exits(2).stdout, "");
    assert_eq!(sandbox.run(&["check", "outputs.yaml"]).exits(2).stdout, "");
}

#[test]
fn check_lists_warnings_and_denied_warnings() {
    let sandbox = Sandbox::new();
    let warned = FILE.replace("{over: 3}", "{over: 300}").replace("steps: 12", "steps: 400");
    sandbox.write("outputs.yaml", warned);
    let arguments = ["check", "outputs.yaml", "--format", "json"];
    let allowed = sandbox.run(&arguments).exits(0).json();
    let lints: Vec<&Json> =
        allowed["problems"].as_array().expect("a list").iter().map(|one| &one["lint"]).collect();
    assert!(!lints.is_empty() && lints.iter().all(|lint| lint.is_string()), "{allowed:#}");
    assert_eq!(allowed["exit_code"], 0);
    let denied = sandbox.run(&[&arguments[..], &["--deny-warnings"]].concat()).exits(2).json();
    assert_eq!(denied["exit_code"], 2);
    let last = denied["problems"].as_array().and_then(|all| all.last()).expect("a problem");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("--deny-warnings")), "{denied:#}");
}

#[test]
fn the_page_of_outputs_lists_every_field() {
    let mut page = String::from(
        "# JSON outputs\n\n<!-- Made from crates/cli/src/json_outputs.rs; a test holds it. -->\n\n\
         With `--format json` a verb prints one JSON document on stdout. `sweep schema --of NAME` prints its JSON Schema, and \
         `sweep schema --of all` the schemas of all outputs. Names, types and meanings of fields are stable; later versions only \
         add fields. A type with `?` may be null: a NaN, an infinity and a missing value are null. \
         [Drive sweep from a program](../how-to/drive-from-a-program.md) shows how to use them.\n",
    );
    for (name, schema) in schemas(&Sandbox::new()) {
        let text = |key: &str| schema[key].as_str().expect("text").to_owned();
        let of = if schema["type"] == "array" { "A list of objects" } else { "One object" };
        writeln!(
            page,
            "\n## `{name}`\n\n{} {of}:\n\n| field | type | meaning |\n|---|---|---|",
            text("description")
        )
        .expect("memory");
        let object = if schema["type"] == "array" { &schema["items"] } else { &schema };
        for (field, own) in object["properties"].as_object().expect("fields") {
            let meaning = own["description"].as_str().expect("text").replace('|', "\\|");
            writeln!(page, "| `{field}` | {} | {meaning} |", type_name(own)).expect("memory");
        }
        if let Some(own) = object.get("additionalProperties") {
            let meaning = own["description"].as_str().expect("text");
            writeln!(page, "| NAME | {} | {meaning} |", type_name(own)).expect("memory");
        }
    }
    hold(&root().join("docs/reference/outputs.md"), &page);
}

/// The type of a field, for people.
fn type_name(schema: &Json) -> String {
    let types: Vec<&str> = match &schema["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let name = match types.first() {
        Some(&"array") => format!("list of {}s", schema["items"]["type"].as_str().unwrap_or("value")),
        Some(&"string") => "text".to_owned(),
        Some(other) => (*other).to_owned(),
        None => String::new(),
    };
    let name = name.replace("list of strings", "list of texts");
    if types.contains(&"null") { format!("{name}?") } else { name }
}
