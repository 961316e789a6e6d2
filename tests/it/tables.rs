//! A schedule, a model and an optimizer are one file and one line in one table. No other source names them.

use std::path::{Path, PathBuf};

use crate::support::root;

/// Exceptions: other files that name a model or an optimizer.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("crates/cli/src/verb/new/tasks.rs", "some models have a file to start from in `sweep new`"),
    ("crates/schedule/src/misplaced.rs", "a hint shows how a section is written"),
    ("crates/store/src/measurements/mod.rs", "tests"),
    ("crates/trainer/src/expected.rs", "the closed form is that of one optimizer"),
];

/// Crates that name optimizers of other libraries.
const OTHERS: [&str; 2] = ["interop", "schedule"];

#[test]
fn a_model_is_one_file_and_one_line() {
    for model in &trainer::catalogue().models {
        assert_named_only_by(model.name, "crates/trainer/src/model", &sources(&[]));
    }
}

#[test]
fn an_optimizer_is_one_file_and_one_line() {
    for optimizer in &trainer::catalogue().optimizers {
        assert_named_only_by(optimizer.name, "crates/trainer/src/optimizer", &sources(&OTHERS));
    }
}

/// Asserts that only its own file and the table contain a name.
fn assert_named_only_by(name: &str, folder: &str, sources: &[PathBuf]) {
    let own = format!("{folder}/{}.rs", name.replace('-', "_"));
    let table = format!("{folder}/mod.rs");
    let naming = sources.iter().filter(|path| names(&code(path), name));
    let found: Vec<String> = naming
        .map(|path| relative_path(path))
        .filter(|path| EXCEPTIONS.iter().all(|(file, _)| path != file))
        .collect();
    let mut expected = vec![own, table];
    expected.sort();
    assert_eq!(found, expected, "the files that name `{name}`");
}

/// The path of a file in the workspace.
fn relative_path(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the workspace").display().to_string()
}

/// Whether code contains a name in any case: `char-gpt`, `char_gpt` or `CharGpt`.
fn names(code: &str, name: &str) -> bool {
    let camel: String =
        name.split('-').map(|part| format!("{}{}", part[..1].to_uppercase(), &part[1..])).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let words = code.split(|c| !is_word(c));
    let forms = [name.to_owned(), name.replace('-', "_"), camel];
    words.into_iter().any(|word| forms.iter().any(|form| word.trim_matches('-') == form))
}

/// The code of a file without comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a text");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The sorted sources of the crates, except tests and the crates in `without`.
fn sources(without: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if !without.contains(&name) {
            collect(&path.join("src"), &mut found);
        }
    }
    found.sort();
    assert!(found.len() > 100, "{} files", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, found);
        } else if name.ends_with(".rs") && !name.contains("test") {
            found.push(path);
        }
    }
}

/// The table of schedules.
const SCHEDULES: &str = "crates/schedule/src/catalogue.rs";
const CONSTANT: [&str; 2] = ["crates/schedule/src/combine/phases.rs", "crates/schedule/src/node.rs"];

#[test]
fn a_schedule_is_one_file_and_one_line() {
    let sources: Vec<(String, String)> =
        sources(&[]).iter().map(|path| (relative_path(path), code(path))).collect();
    for entry in schedule::catalogue::ENTRIES {
        let kind = format!("kind: \"{}\",", entry.kind);
        let own: Vec<&str> = sources
            .iter()
            .filter(|(path, code)| path.starts_with("crates/schedule/src/") && code.contains(&kind))
            .map(|(path, _)| path.as_str())
            .collect();
        let [own] = own[..] else { panic!("`{}` is in {own:?}", entry.kind) };
        let mut parts = own.trim_end_matches(".rs").rsplit('/');
        let (module, folder) = (parts.next().expect("a file"), parts.next().expect("a folder"));
        let path = format!("{folder}::{module}::");
        let naming = sources.iter().filter(|(_, code)| code.contains(&path)).map(|(path, _)| path.as_str());
        let found: Vec<&str> =
            naming.filter(|path| module != "constant" || !CONSTANT.contains(path)).collect();
        assert_eq!(found, [SCHEDULES], "the files that name `{path}`");
    }
}

#[test]
fn names_are_found_in_code() {
    assert!(names("use super::char_gpt::x;", "char-gpt") && names("struct CharGpt;", "char-gpt"));
    assert!(names("\"{kind: vae}\"", "vae") && !names("let vaeish = 1;", "vae"));
}
