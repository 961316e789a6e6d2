//! Problems for people, together with the source lines they point at, and as objects for programs.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schedule::problem::Problem;
use schedule::tree::Place;
use serde_json::{Value as Json, json};

/// How serious a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A problem as text: `file:line:column`, the source line, the message, the suggestion.
pub(crate) fn render(severity: Severity, problem: &Problem, file: &str, text: &str) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    let title = printable(&format!("{path}{}", problem.message));
    let place = problem.place;
    // The name of the lint, so that users know which one to silence.
    let group = match problem.lint {
        Some(lint) => level.primary_title(title).id(lint),
        None => level.primary_title(title),
    };
    let hint = problem.hint.as_deref().map(printable);
    let report = if place.line > 0 && place.end <= text.len() {
        let annotation = AnnotationKind::Primary.span(place.start..place.end);
        let snippet = Snippet::source(text).path(file).annotation(match &hint {
            Some(hint) => annotation.label(hint.as_str()),
            None => annotation,
        });
        vec![group.element(snippet)]
    } else {
        let mut groups = vec![annotate_snippets::Group::with_title(group)];
        if let Some(hint) = &hint {
            groups.push(annotate_snippets::Group::with_title(Level::HELP.secondary_title(hint.as_str())));
        }
        groups
    };
    Renderer::styled().render(&report)
}

/// A problem as an object.
pub(crate) fn object(severity: Severity, problem: &Problem, file: &str) -> Json {
    let counted = |number: usize| (number > 0).then_some(number);
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    json!({
        "severity": match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
        "file": named(file),
        "path": named(&problem.path),
        "line": counted(problem.place.line),
        "column": counted(problem.place.column),
        "hint": problem.hint,
        "lint": problem.lint,
    })
}

/// An error without a place as an object.
pub(crate) fn sentence(message: &str) -> Json {
    object(Severity::Error, &Problem::new(Place::default(), "", message), "")
}

/// The document that a program reads instead of results.
pub(crate) fn document(problems: Vec<Json>, exit_code: u8) -> String {
    format!("{:#}\n", json!({ "exit_code": exit_code, "problems": problems }))
}

/// Removes control characters and cuts long texts: untrusted text must not move the cursor or fill the screen.
fn printable(text: &str) -> String {
    const MOST: usize = 1000;
    let cut = if text.chars().nth(MOST).is_some() { "..." } else { "" };
    let shown = text.chars().take(MOST);
    shown.map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).chain(cut.chars()).collect()
}
