//! Files of a crate must not import each other in circles, because they can then only be read together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::support::root;

/// A module by its path inside the crate.
type Module = Vec<String>;

/// Crates with circles that are not resolved yet: files of one subject use each other's types.
const NOT_YET: [&str; 4] = ["interop", "schedule", "spec", "trainer"];

#[test]
fn files_import_each_other_in_one_direction() {
    let mut circles = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let imports = imports(&path.join("src"));
        assert!(imports.len() > 1 || ["fault", "kit", "needs", "pgtest"].contains(&name.as_str()), "{name}");
        if NOT_YET.contains(&name.as_str()) {
            continue;
        }
        circles.extend(
            imports
                .keys()
                .filter(|module| is_in_circle(module, &imports))
                .map(|module| format!("{name}: {}", module.join("/"))),
        );
    }
    assert!(circles.is_empty(), "in circles: {circles:?}");
}

/// Whether a module imports itself through other modules.
fn is_in_circle(module: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Module> = imports[module].iter().collect();
    while let Some(other) = next.pop() {
        if other == module {
            return true;
        }
        if seen.insert(other) {
            next.extend(&imports[other]);
        }
    }
    false
}

/// The modules of a crate with their imports. A table (`mod.rs`) and its entries in the same folder may import each other.
fn imports(src: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut texts = BTreeMap::new();
    read(src, &mut Vec::new(), &mut texts);
    let known: BTreeSet<Module> = texts.keys().cloned().collect();
    let is_table = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
    let of = |module: &Module, text: &str| {
        let found = paths(module, text).into_iter().filter_map(|path| {
            (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|module| known.contains(module))
        });
        found.filter(|other| !is_table(module, other)).collect()
    };
    texts.iter().map(|(module, text)| (module.clone(), of(module, text))).collect()
}

/// Reads the text of each file except tests.
fn read(folder: &Path, module: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name.contains("test") || name == "main" {
            continue;
        }
        if path.is_dir() {
            module.push(name);
            read(&path, module, texts);
            module.pop();
        } else {
            let mut module = module.clone();
            module.extend((name != "mod" && name != "lib").then_some(name));
            texts.insert(module, std::fs::read_to_string(&path).expect("a text"));
        }
    }
}

/// The paths in a text that start with `crate::` or `super::`, as paths from the root of the crate.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = Regex::new("//[^\n]*").expect("a pattern").replace_all(code, "");
    let path = r"\b(crate|super)\b((?:::\w+)*)(?:::\{((?:[^{}]|\{[^{}]*\})*)\})?";
    let mut paths = Vec::new();
    for found in Regex::new(path).expect("a pattern").captures_iter(&code) {
        let mut base = if &found[1] == "crate" { Vec::new() } else { module[..module.len() - 1].to_vec() };
        for word in found[2].split("::").filter(|word| !word.is_empty()) {
            match word {
                "super" => drop(base.pop()),
                word => base.push(word.to_owned()),
            }
        }
        match found.get(3) {
            None => paths.push(base),
            Some(items) => paths.extend(items.as_str().split(',').map(|item| {
                let words = item.trim().split("::").map(|word| word.trim_matches(['{', '}', ' ']).to_owned());
                base.iter().cloned().chain(words).collect()
            })),
        }
    }
    paths
}
