//! The page of the texts that users see: docs/reference/messages.md.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;

use super::tokens::{Kind, Token, python, rust};

const HEAD: &str = "\
# Messages

All texts that `sweep` and the Python package `sweep_trial` show, for reviews of their language and to find where a message is made.

The test `tests/it/words.rs` writes this page from the sources: `SWEEP_UPDATE=1 cargo test --release --workspace --test it -- page picture`. It lists the string
literals of each file with at least two words, in the order of the file, and the help texts of the command line. SQL, markup and
generated code are left out. `{...}` is replaced by a value.
";

/// Crates that only tests and build scripts use.
const NOT_FOR_USERS: [&str; 3] = ["fault", "needs", "pgtest"];

/// The page, from the paths and texts of all sources.
pub(crate) fn page(sources: &[(String, String)]) -> String {
    let mut page = String::from(HEAD);
    let mut section = String::new();
    for (path, source) in sources {
        let Some((name, file)) = place(path) else { continue };
        let texts = match path.ends_with(".py") {
            true => messages_of_python(&python(source)),
            false => texts_of_rust(&without_tests(rust(source)), path.starts_with("crates/cli/")),
        };
        if texts.is_empty() {
            continue;
        }
        if section != name {
            write!(page, "\n## {name}\n").expect("memory");
            section = name;
        }
        write!(
            page,
            "\n### {file}\n\n```text\n{}\n```\n",
            texts.iter().map(|text| text.trim()).collect::<Vec<_>>().join("\n")
        )
        .expect("memory");
    }
    page
}

/// The section of a source on the page, and its name there.
fn place(path: &str) -> Option<(String, &str)> {
    if let Some(file) = path.strip_prefix("python/src/sweep_trial/") {
        return file.ends_with(".py").then_some(("sweep_trial (Python)".to_owned(), file));
    }
    let (name, file) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let is_shown = file.ends_with(".rs")
        && !file.contains("test")
        && !file.starts_with("measurements")
        && !NOT_FOR_USERS.contains(&name);
    is_shown.then_some((format!("`{name}`"), file))
}

/// Drops items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut kept = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        let is_test = ["#", "[", "cfg", "(", "test", ")", "]"];
        if rest.len() > is_test.len() && rest.iter().zip(is_test).all(|(token, text)| token.is(text)) {
            rest = &rest[item_end(rest)..];
        } else {
            kept.push(*token);
            rest = after;
        }
    }
    kept
}

/// The number of tokens up to the end of the first item: its `;`, or the end of its first pair of braces.
fn item_end(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token.is("}") || token.is(";")) {
            return i + 1;
        }
    }
    tokens.len()
}

/// The number of tokens of an attribute that begins here.
fn attribute_end(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(1) {
        depth += i32::from(token.is("[")) - i32::from(token.is("]"));
        if depth == 0 && !token.is("!") {
            return i + 1;
        }
    }
    tokens.len()
}

/// Strings that users may see, and the documentation of the command line's arguments.
fn texts_of_rust(tokens: &[Token<'_>], is_command_line: bool) -> Vec<String> {
    let mut texts = Vec::new();
    let (mut i, mut help_until) = (0, 0);
    while let Some(token) = tokens.get(i) {
        // Users see the attributes of errors and of the command line.
        let is_attribute =
            token.is("#") && tokens.get(i + 1).is_some_and(|next| next.is("[") || next.is("!"));
        if is_attribute {
            let end = i + attribute_end(&tokens[i..]);
            let names = |name: &str| tokens[i..end].iter().any(|token| token.is(name));
            if names("derive") && ["Args", "Parser", "Subcommand", "ValueEnum"].into_iter().any(names) {
                help_until = end + item_end(&tokens[end..]);
            }
            if !["error", "arg", "command", "value"].into_iter().any(names) {
                i = end;
                continue;
            }
        }
        if token.is("verbs") && tokens.get(i + 1).is_some_and(|next| next.is("!")) {
            help_until = i + item_end(&tokens[i..]);
        }
        match token.kind {
            Kind::String => texts.extend(Some(token.string()).filter(|text| is_prose(text))),
            Kind::Comment { outer: true } if is_command_line && i < help_until => {
                add_help(&mut texts, token, tokens.get(i.wrapping_sub(1)));
            }
            _ => {}
        }
        i += 1;
    }
    texts
}

/// Adds a line of documentation, to the line before it where it continues that.
fn add_help(texts: &mut Vec<String>, token: &Token<'_>, before: Option<&Token<'_>>) {
    let text = token.comment().trim();
    let is_continued =
        before.is_some_and(|before| before.kind == token.kind && !before.comment().trim().is_empty());
    match texts.last_mut().filter(|_| is_continued) {
        Some(last) => *last = format!("{last} {text}").trim_end().to_owned(),
        None if text.is_empty() => {}
        None => texts.push(text.to_owned()),
    }
}

/// Strings but documentation; strings that follow each other are one.
fn messages_of_python(tokens: &[Token<'_>]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut was_string = false;
    for token in tokens {
        let is_string = token.kind == Kind::String && !token.text.contains("\"\"\"");
        match texts.last_mut().filter(|_| was_string) {
            Some(last) if is_string => last.push_str(&token.string()),
            _ if is_string => texts.push(token.string()),
            _ => {}
        }
        was_string = is_string;
    }
    texts.retain(|text| is_prose(text));
    texts
}

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| regex(r"\{[^{}]*\}"));

static WORDS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b\p{L}[\p{L}'’-]+,?\s+`?\p{L}[\p{L}'’-]*\b|\bX \p{L}{2,}|\p{L}{2,}:? `?X"));

/// SQL, markup, code of other languages, and examples of sweep files.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?x) \b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|JOIN|VALUES|ORDER\ BY|GROUP\ BY|CREATE|DROP|EXISTS|RETURNING)\b
            | \b(CASE\ WHEN|ON\ CONFLICT|IS\ NULL|PRAGMA|ANALYZE|VACUUM)\b | ^\s*select\ \*
            | ^\s*< | </ | class=" | ^\#SBATCH
            | ^\s*(import|from|def|class|return|optimizer\ =|if)\ [^`]*(\\n|$) | \\n\s*(def|class|import|from|return|optimizer\ =)\ 
            | \$\{ | \$\( | \$! | ^[\w.]+\([^()`]*\)$ | ^\s*[.\#]?[\w-]*(:\s*|\s*)\{\{?\w+:\s | ^\w+:\ \{\{"#,
    )
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// Whether a string has two words in a row, and is not SQL, markup or code.
fn is_prose(text: &str) -> bool {
    WORDS.is_match(&PLACEHOLDER.replace_all(text, "X")) && !CODE.is_match(text)
}
