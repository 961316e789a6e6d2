//! Problems with the lines of text that they are about.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schedule::problem::Problem;

/// How serious a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A problem as text: `file:line:column`, the line, what is wrong, what to do.
pub(crate) fn render(severity: Severity, problem: &Problem, file: &str, text: &str) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    let title = printable(&format!("{path}{}", problem.message));
    let place = problem.place;
    // A lint by its name, as compilers do, so that one knows what to silence.
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

/// Text from outside must not move the terminal's cursor, nor fill the screen.
fn printable(text: &str) -> String {
    const MOST: usize = 1000;
    let cut = if text.chars().nth(MOST).is_some() { "..." } else { "" };
    let shown = text.chars().take(MOST);
    shown.map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).chain(cut.chars()).collect()
}
