//! Reads the section `trainer`: a custom program that trains. This crate does not run it, and needs only the hashes of its files,
//! which the caller computes.

use std::collections::BTreeMap;
use std::time::Duration;

use schedule::fields::{Field, Fields, boolean};
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};
use serde_json::Value as Json;

use crate::json::tree_to_json;
use crate::trial::{Program, ProgramOptions};
use crate::world::World;

/// Keys of networks, which can't be combined with `trainer`.
const NETWORK_KEYS: [&str; 9] = [
    "data",
    "model",
    "task",
    "optimizer",
    "clip_norm",
    "init_from",
    "freeze",
    "lr_multipliers",
    "param_groups",
];

const FILES: &str = "a list of file names, as in [model.py]";

/// Arguments with these endings must be existing files.
const SCRIPTS: [&str; 7] = [".py", ".sh", ".jl", ".R", ".js", ".pl", ".rb"];

/// Reports keys that can't be combined with `trainer`.
pub(crate) fn refuse_network_keys(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) {
    for name in NETWORK_KEYS {
        if let Some(field) = fields.optional(name) {
            let problem =
                field.problem(format!("`{name}` can't be combined with `trainer`: the program defines it"));
            problems
                .push(problem.with_hint("pass parameters to the program with `trainer: {params: {...}}`"));
        }
    }
}

/// Reads the section.
pub(crate) fn read(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Program> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let command_field = fields.required("command", problems);
    let files_field = fields.optional("files");
    let command = command_field.as_ref().and_then(|field| or_report(command(field), problems));
    let named =
        files_field.as_ref().map_or(Some(Vec::new()), |field| or_report(texts(field, FILES), problems));
    let params = fields.read_or("params", Json::Object(serde_json::Map::new()), problems, params);
    let default = ProgramOptions::default();
    let silence = fields.read_or("silence", default.silence, problems, duration);
    let time_limit = fields.read_or("time_limit", None, problems, |field| duration(field).map(Some));
    let grace = fields.read_or("grace", default.grace, problems, duration);
    let slots = fields.read_or("slots", BTreeMap::new(), problems, slots);
    let share = fields.read_or("share", default.share, problems, boolean);
    fields.finish(problems);

    let before = problems.len();
    let mut files = BTreeMap::new();
    let arguments = command.iter().flatten().enumerate();
    let arguments = arguments.map(|(i, word)| (command_field.as_ref(), i, word, is_file(i, word)));
    let named = named.iter().flatten().enumerate().map(|(i, name)| (files_field.as_ref(), i, name, true));
    for (field, i, name, must) in arguments.chain(named) {
        // A program name without a path is found through PATH: it is not one of the user's files.
        let hash = if i > 0 || must { world.hash(name) } else { None };
        match (hash, field) {
            (Some(hash), _) => {
                files.insert(name.clone(), hash);
            }
            (None, Some(field)) if must => {
                let place = match &field.tree.value {
                    Value::List(items) => items.get(i).unwrap_or(field.tree).place,
                    _ => field.tree.place,
                };
                let problem =
                    Problem::new(place, format!("{}[{i}]", field.path), format!("file not found: `{name}`"));
                problems.push(problem.with_hint(tilde_hint(name).unwrap_or(
                    "paths are relative to the working directory of `sweep`, where the program runs",
                )));
            }
            (None, _) => {}
        }
    }
    let command = command.filter(|_| problems.len() == before)?;
    let (silence, time_limit, grace) = (silence?, time_limit?, grace?);
    let options = ProgramOptions { silence, time_limit, grace, slots: slots?, share: share? };
    Some(Program { command, files, params: params?, options })
}

/// Whether argument `i` of a command must be a file.
fn is_file(i: usize, argument: &str) -> bool {
    if i == 0 {
        argument.contains('/')
    } else {
        !argument.starts_with('-') && SCRIPTS.iter().any(|end| argument.ends_with(end))
    }
}

/// The value, or `None` after reporting the problem.
fn or_report<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

/// A hint for a file name that begins with `~`.
pub(crate) fn tilde_hint(name: &str) -> Option<&'static str> {
    name.starts_with('~').then_some("`~` is not expanded: write the full path of the home directory")
}

fn command(field: &Field<'_>) -> Result<Vec<String>, Problem> {
    const FORM: &str = "a list of the program and its arguments, as in [python3, train.py]";
    if matches!(&field.tree.value, Value::List(items) if items.is_empty()) {
        return Err(field.problem(format!("the command is empty: expected {FORM}")));
    }
    if let Value::Text(text) = &field.tree.value {
        let words: Vec<&str> = text.split_whitespace().collect();
        return Err(field
            .expected(FORM)
            .with_hint(format!("it is run without a shell: write [{}]", words.join(", "))));
    }
    match texts(field, FORM)? {
        words if words.first().is_none_or(|program| program.trim().is_empty()) => Err(field.expected(FORM)),
        words => Ok(words),
    }
}

/// A list of texts. Numbers and booleans are read as text.
fn texts(field: &Field<'_>, form: &str) -> Result<Vec<String>, Problem> {
    let Value::List(items) = &field.tree.value else { return Err(field.expected(form)) };
    let words: Option<Vec<String>> = items.iter().map(scalar_text).collect();
    words.filter(|words| words.iter().all(|word| !word.contains('\0'))).ok_or_else(|| field.expected(form))
}

fn scalar_text(item: &Tree) -> Option<String> {
    match &item.value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Some(item.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn params(field: &Field<'_>) -> Result<Json, Problem> {
    match &field.tree.value {
        Value::Map(_) => Ok(tree_to_json(field.tree)),
        _ => Err(field.expected("a mapping of parameters for the program, as in {width: 64}")),
    }
}

fn duration(field: &Field<'_>) -> Result<Duration, Problem> {
    const FORM: &str = "a time above 0, as in 90s, 30m or 2h";
    match &field.tree.value {
        Value::Text(text) => match humantime::parse_duration(text) {
            Ok(time) if !time.is_zero() => Ok(time),
            _ => Err(field.expected(FORM)),
        },
        Value::Int(seconds @ 1..) => {
            Err(field.expected(FORM).with_hint(format!("for seconds, write {seconds}s")))
        }
        _ => Err(field.expected(FORM)),
    }
}

fn slots(field: &Field<'_>) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    const FORM: &str = "a mapping from environment variables to lists of values, as in {CUDA_VISIBLE_DEVICES: [\"0\", \"1\"]}";
    let Value::Map(entries) = &field.tree.value else { return Err(field.expected(FORM)) };
    let mut slots = BTreeMap::new();
    for (key, tree) in entries {
        let entry = Field { tree, path: format!("{}.{}", field.path, key.name) };
        let values = texts(&entry, "a list of values, one for each worker")?;
        if values.is_empty() {
            return Err(entry.problem("expected at least one value"));
        }
        if key.name.is_empty() || key.name.contains(['=', '\0']) || key.name.starts_with("SWEEP_") {
            return Err(entry
                .problem(format!("`{}` can't be set as an environment variable of the program", key.name)));
        }
        slots.insert(key.name.clone(), values);
    }
    let mut lengths = slots.values().map(Vec::len);
    match lengths.next() {
        Some(first) if lengths.any(|length| length != first) => {
            Err(field.problem("all variables need the same number of values, one for each worker"))
        }
        _ => Ok(slots),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Files, task};
    use crate::trial::Task;

    fn read(trainer: &str, rest: &str) -> Result<Task, String> {
        let text = format!(
            "trainer: {trainer}\n{rest}\nlr: 0.1\nschedules: {{a: {{kind: constant}}, p: {{kind: plateau}}}}\n"
        );
        task(&text, &Files(&["train.py", "data/model.py"]))
    }

    const BUDGET: &str = "budget: {steps: 10}";

    #[test]
    fn a_program_has_its_command_files_and_parameters() {
        let text =
            "{command: [python3, -u, train.py, 3], files: [data/model.py], params: {width: 64, name: x}}";
        let task = read(text, BUDGET).expect(text);
        let program = task.program().expect("a program");
        assert_eq!(program.command, ["python3", "-u", "train.py", "3"]);
        let files: Vec<&str> = program.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["data/model.py", "train.py"]);
        assert_eq!(program.params, serde_json::json!({"width": 64, "name": "x"}));
        assert_eq!(task.steps_per_epoch, None);
        let json = serde_json::to_value(&task).expect("JSON");
        assert_eq!(serde_json::from_value::<Task>(json).expect("a task"), task);
    }

    #[test]
    fn a_trial_does_not_depend_on_how_the_program_is_run() {
        let ids = |trainer: &str| {
            let text =
                format!("trainer: {trainer}\n{BUDGET}\nlr: 0.1\nschedules: {{a: {{kind: constant}}}}\n");
            let spec = crate::read_with(&text, "x", &Files(&["b.py", "c.py"])).expect("a good file");
            crate::plan(&spec).expect("a plan").trials[0].id.clone()
        };
        let plain = ids("{command: [a, b.py]}");
        assert_eq!(
            plain,
            ids(
                "{command: [a, b.py], silence: 5s, time_limit: 1h, grace: 1s, slots: {A: [0, 1]}, share: true}"
            )
        );
        assert_ne!(plain, ids("{command: [a, b.py], params: {x: 1}}"));
        let [ab, ba] = ["{a: {c: 1, d: 2}, b: 3}", "{b: 3, a: {d: 2, c: 1}}"];
        let of = |params: &str| ids(&format!("{{command: [a, b.py], params: {params}}}"));
        assert_eq!(of(ab), of(ba), "a mapping has no order");
        assert_ne!(plain, ids("{command: [a, b.py], files: [c.py]}"));
        assert_ne!(plain, ids("{command: [a, c.py]}"));
    }

    #[test]
    fn epochs_need_steps_per_epoch_in_the_budget() {
        let task = read("{command: [a]}", "budget: {epochs: 3, steps_per_epoch: 50}").expect("known epochs");
        assert_eq!((task.steps, task.steps_per_epoch), (150, Some(50)));
        let refused = read("{command: [a]}", "budget: {epochs: 3}").expect_err("unknown");
        assert!(refused.contains("steps_per_epoch: 500"), "{refused}");
        let refused =
            read("{command: [a]}", "budget: {steps: 9}\nevaluate: {every: 1 epochs}").expect_err("unknown");
        assert!(refused.contains("length of an epoch"), "{refused}");
    }

    #[test]
    fn problems_name_the_key_and_the_mistake() {
        for (trainer, rest, words) in [
            (
                "{command: python3 train.py}",
                BUDGET,
                "trainer.command: expected a list of the program and its arguments",
            ),
            ("{command: python3 train.py}", BUDGET, "write [python3, train.py]"),
            ("{command: []}", BUDGET, "trainer.command"),
            ("{command: [python3, trian.py]}", BUDGET, "trainer.command[1]: file not found: `trian.py`"),
            ("{command: [./run]}", BUDGET, "trainer.command[0]: file not found: `./run`"),
            ("{command: [a], files: [train.py, b.py]}", BUDGET, "trainer.files[1]: file not found: `b.py`"),
            ("{command: [a], silence: 30}", BUDGET, "write 30s"),
            ("{command: [a], grace: soon}", BUDGET, "trainer.grace: expected a time above 0"),
            ("{command: [a], share: maybe}", BUDGET, "trainer.share: expected `true` or `false`"),
            ("{command: [a], params: [1]}", BUDGET, "trainer.params: expected a mapping"),
            ("{command: [a], slots: {A: [0], B: [0, 1]}}", BUDGET, "the same number of values"),
            ("{command: [a], slots: {SWEEP_X: [0]}}", BUDGET, "can't be set as an environment variable"),
            ("{comand: [a]}", BUDGET, "did you mean `command`"),
            (
                "{command: [a]}",
                "budget: {steps: 9}\nmodel: {kind: mlp}",
                "model: `model` can't be combined with `trainer`",
            ),
            (
                "{command: [a]}",
                "budget: {steps: 9}\nclip_norm: 1",
                "clip_norm: `clip_norm` can't be combined",
            ),
        ] {
            let message = read(trainer, rest).expect_err(trainer);
            assert!(message.contains(words), "{words} in\n{message}");
        }
    }

    #[test]
    fn schedules_that_need_the_weights_are_refused() {
        let plan = |kind: &str| {
            let text =
                format!("trainer: {{command: [a]}}\n{BUDGET}\nlr: 0.1\nschedules: {{a: {{kind: {kind}}}}}\n");
            crate::read(&text, "x").and_then(|spec| crate::plan(&spec)).map(|_| ())
        };
        for kind in ["prodigy", "dog", "d_adaptation", "hypergradient, beta: 1e-4", "schedule_free"] {
            let problems = plan(kind).expect_err(kind);
            assert!(
                problems[0].message.contains("needs access to the model's weights"),
                "{kind}: {problems:?}"
            );
            assert_eq!(problems[0].path, "schedules.a");
        }
        for kind in ["plateau", "polyak", "adagrad_norm", "bold_driver", "greedy"] {
            plan(kind).unwrap_or_else(|problems| panic!("{kind}: {problems:?}"));
        }
    }
}
