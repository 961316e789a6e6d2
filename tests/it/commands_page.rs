//! The page of the commands, made from the help of the real binary: see `generated`.

use std::fmt::Write;

use crate::generated::{cell, hold};
use crate::support::{Sandbox, finish, root};

const PAGE: &str = "docs/reference/commands.md";

const HEAD: &str = "\
# Commands

<!-- Made from the help of the program; a test holds it. -->

`sweep FILE` is short for `sweep run FILE`. Results go to stdout, everything else to stderr. `sweep VERB -h` prints a short form of the help.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something failed |
| 2 | a mistake in the input |
| 130 | interrupted |

Training on an NVIDIA GPU (`--device cuda`) needs a build with `--features cuda` and nvcc.
";

#[test]
fn the_page_of_commands_shows_the_help_of_every_verb() {
    let sandbox = Sandbox::new();
    let mut page = HEAD.to_owned();
    for (group, verbs) in groups(&help(&sandbox, &["--help"])) {
        write!(page, "\n## {group}\n\n| command | what it does |\n|---|---|\n").expect("memory");
        for (verb, about) in &verbs {
            writeln!(page, "| [`sweep {verb}`](#sweep-{verb}) | {} |", cell(about)).expect("memory");
        }
        for (verb, _) in &verbs {
            let text = help(&sandbox, &[verb, "--help"]);
            write!(page, "\n### `sweep {verb}`\n\n```text\n{text}```\n").expect("memory");
            let inner = groups(&text).into_iter().filter(|(heading, _)| heading == "Commands");
            for (inner, _) in inner.flat_map(|(_, verbs)| verbs) {
                let text = help(&sandbox, &[verb, &inner, "--help"]);
                write!(page, "\n#### `sweep {verb} {inner}`\n\n```text\n{text}```\n").expect("memory");
            }
        }
    }
    hold(&root().join(PAGE), &page);
}

/// The help, at a width that does not depend on the terminal, without blanks at the ends of lines.
fn help(sandbox: &Sandbox, args: &[&str]) -> String {
    let mut command = sandbox.command(args);
    command.env("COLUMNS", "100").env_remove("SWEEP_DATA_DIR");
    let text = finish(command).exits(0).stdout;
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// Verbs and what each does.
type Verbs = Vec<(String, String)>;

/// The lists of verbs in a help text, each with its heading.
fn groups(help: &str) -> Vec<(String, Verbs)> {
    let mut groups: Vec<(String, Verbs)> = Vec::new();
    let mut is_list = false;
    for line in help.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|heading| !heading.starts_with(' ')) {
            is_list = !heading.contains("ptions") && !matches!(heading, "Examples" | "Arguments");
            if is_list {
                groups.push((heading.to_owned(), Vec::new()));
            }
        } else if let (true, Some((_, verbs))) = (is_list, groups.last_mut()) {
            match (line.strip_prefix("  "), verbs.last_mut()) {
                (Some(row), _) if row.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    let (verb, about) = row.split_once("  ").unwrap_or((row, ""));
                    verbs.push((verb.to_owned(), about.trim().to_owned()));
                }
                (Some(rest), Some((_, about))) => {
                    about.push(' ');
                    about.push_str(rest.trim());
                }
                _ => {}
            }
        }
    }
    groups.retain_mut(|(_, verbs)| {
        verbs.retain(|(verb, _)| verb != "help");
        !verbs.is_empty()
    });
    groups
}
