//! Holds the language of strings, comments, names and pages: `words/ruled-out.txt` is the list of words that the project does not use,
//! `words/kept.txt` that of uses which stay. `scripts/plain-words` reads the same lists without a build.
//! It also writes the page of all messages: `SWEEP_UPDATE=1 cargo test --release --workspace --test it -- page picture`.

mod page;
mod rules;
mod tokens;

use std::process::Command;

use regex::Regex;

use crate::generated::hold;
use crate::support::root;
use rules::{Rules, pieces_of_code, pieces_of_text};

const CHECKED: &str = r"(?x)^(
    (crates|examples|tests|benches)/.*\.rs | python/.*\.(py|md) | scripts/[^/]+ | docs/.*\.md | [A-Z]+\.md | experiments/.*\.yaml
    | crates/report/.*\.(html|js|css)
)$";

/// The page that is made here repeats other files; the lists are about the words.
const NOT_CHECKED: [&str; 3] = ["docs/reference/messages.md", "scripts/plain-words", "tests/it/words/"];

/// The paths and texts of all files that git tracks and a pattern matches, in the order of paths.
fn sources(pattern: &str) -> Vec<(String, String)> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(output.status.success(), "the sources are not in a git repository");
    let pattern = Regex::new(pattern).expect("a pattern");
    let paths = String::from_utf8(output.stdout).expect("paths in UTF-8");
    let mut paths: Vec<&str> = paths.split('\0').filter(|path| pattern.is_match(path)).collect();
    paths.sort_unstable();
    // Files that are removed and not committed yet are in git's list.
    let texts = paths.into_iter().filter_map(|path| Some((path, std::fs::read(root().join(path)).ok()?)));
    texts.map(|(path, text)| (path.to_owned(), String::from_utf8_lossy(&text).into_owned())).collect()
}

#[test]
fn no_ruled_out_word_is_used() {
    let mut rules = Rules::read(include_str!("words/ruled-out.txt"), include_str!("words/kept.txt"));
    let mut found = Vec::new();
    for (path, text) in sources(CHECKED) {
        if NOT_CHECKED.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        let is_python =
            path.ends_with(".py") || text.lines().next().is_some_and(|line| line.ends_with("python3"));
        let pieces = match path.ends_with(".rs") {
            true => pieces_of_code(&tokens::rust(&text)),
            false if is_python => pieces_of_code(&tokens::python(&text)),
            false => pieces_of_text(&text),
        };
        found.extend(pieces.iter().flat_map(|piece| rules.check(&path, piece)));
    }
    let unused = rules.unused();
    assert!(
        found.is_empty() && unused.is_empty(),
        "{} ruled-out words; reword, or add a line with the reason to tests/it/words/kept.txt:\n{}\n\
         {} entries of kept.txt match nothing:\n{}",
        found.len(),
        found.join("\n"),
        unused.len(),
        unused.join("\n"),
    );
}

#[test]
fn the_page_of_messages_lists_every_string() {
    let page = page::page(&sources(r"^(crates/.*\.rs|python/src/.*\.py)$"));
    hold(&root().join("docs/reference/messages.md"), &page);
}
