//! The book in docs/ and the pages at the root: links and anchors resolve, no page is left out, and commands name verbs and
//! options that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::support::{Sandbox, root};

const SUMMARY: &str = "docs/SUMMARY.md";

/// Pages outside of the book, by their paths from the root.
const OUTSIDE: [&str; 6] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "python/README.md",
    "python/examples/README.md",
];

/// A page as the test needs it.
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    /// Command lines of code blocks: every line of `sh`, and the lines after `$ ` in `console`, where the rest is output.
    shell: Vec<String>,
}

fn read(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).expect("a page");
    let mut page = Page { links: Vec::new(), anchors: BTreeSet::new(), shell: Vec::new() };
    let (mut heading, mut language) = (None, String::new());
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let id = anchor(&heading.take().unwrap_or_default());
                let same = (1..).map(|n| format!("{id}-{n}")).find(|other| !page.anchors.contains(other));
                let is_new = page.anchors.insert(id);
                page.anchors.extend(same.filter(|_| !is_new));
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(name))) => language = name.into_string(),
            Event::End(TagEnd::CodeBlock) => language.clear(),
            Event::Text(text) if language == "sh" => page.shell.extend(text.lines().map(str::to_owned)),
            Event::Text(text) if language == "console" => {
                page.shell.extend(text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    page
}

/// The anchor of a heading, as mdBook and most hosts of repositories make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The pages of a folder and the folders in it.
fn pages_in(folder: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{folder}/{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            pages.extend(pages_in(&name));
        } else if name.ends_with(".md") {
            pages.push(name);
        }
    }
    pages.sort();
    pages
}

fn all_pages() -> BTreeMap<String, Page> {
    let outside = OUTSIDE.into_iter().map(str::to_owned);
    outside.chain(pages_in("docs")).map(|path| (path.clone(), read(&path))).collect()
}

/// The path from the root of a file that a page links to.
fn target(page: &str, link: &str) -> String {
    let mut parts: Vec<Component<'_>> = Path::new(page).components().collect();
    parts.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.iter().collect::<PathBuf>().to_string_lossy().into_owned()
}

#[test]
fn the_summary_lists_every_page_once() {
    let mut listed: Vec<String> = read(SUMMARY).links.iter().map(|link| target(SUMMARY, link)).collect();
    listed.sort();
    let pages: Vec<String> = pages_in("docs").into_iter().filter(|page| page != SUMMARY).collect();
    assert_eq!(listed, pages, "{SUMMARY} on the left, the pages in docs/ on the right");
}

#[test]
fn every_link_and_anchor_resolves() {
    let pages = all_pages();
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let file = if file.is_empty() { path.clone() } else { target(path, file) };
            let found = pages.get(&file);
            let is_anchor =
                anchor.is_none_or(|anchor| found.is_some_and(|page| page.anchors.contains(anchor)));
            // The book is built from docs/ only: a link out of it would be dead there.
            let leaves = path.starts_with("docs/") && !file.starts_with("docs/");
            if !root().join(&file).exists() || !is_anchor || leaves {
                broken.push(format!("{path}: {link}{}", if leaves { " leaves docs/" } else { "" }));
            }
        }
    }
    assert!(broken.is_empty(), "{} links:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn commands_on_pages_have_verbs_and_options_that_exist() {
    let sandbox = Sandbox::new();
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (path, page) in all_pages() {
        for line in page.shell.iter().filter(|line| line.starts_with("sweep ")) {
            let line = line.split(" #").next().unwrap_or_default();
            let mut words =
                line.split_whitespace().skip(1).take_while(|word| !matches!(*word, "|" | "&&" | ">"));
            let verbs = verbs(line);
            let help = helps.entry(verbs.clone()).or_insert_with(|| help(&sandbox, &verbs));
            let is_option = |word: &&str| word.starts_with("--") && word.len() > 2;
            let is_known = |word: &str| {
                let name = word.split('=').next().unwrap_or_default();
                help.split(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '['))
                    .any(|known| known == name)
            };
            if help.is_empty() || !words.by_ref().filter(is_option).all(is_known) {
                unknown.push(format!("{path}: {line}"));
            }
        }
    }
    assert!(unknown.is_empty(), "commands that the program does not know:\n{}", unknown.join("\n"));
}

/// The verb of a command line, with the verb inside it where there is one.
fn verbs(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace().skip(1).filter(|word| !word.starts_with('-'));
    match words.next() {
        Some(verb @ ("export" | "submit")) => {
            [Some(verb), words.next()].into_iter().flatten().map(str::to_owned).collect()
        }
        // `sweep FILE` is `sweep run FILE`.
        Some(file) if file.contains(['.', '/']) => vec!["run".to_owned()],
        Some(verb) => vec![verb.to_owned()],
        None => Vec::new(),
    }
}

/// The help of a verb; empty for one that does not exist.
fn help(sandbox: &Sandbox, verbs: &[String]) -> String {
    let words: Vec<&str> = verbs.iter().map(String::as_str).chain(["--help"]).collect();
    let output = sandbox.run(&words);
    if output.code == 0 { output.stdout } else { String::new() }
}
