//! A report as GitHub-flavoured Markdown: all of the document but its pictures.

use std::fmt::Write;

use crate::document::{Document, RankedSchedule};
use crate::format::{accuracy, decimals, lr};
use crate::ranking::Edge;
use crate::ranking_rows::wins;

/// The document as Markdown, ending with a line break.
pub fn markdown(document: &Document) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "# {}\n", text(&document.sweep));
    if !document.question.is_empty() {
        let _ = writeln!(page, "{}\n", text(&document.question));
    }
    let _ = writeln!(page, "**{}**\n", text(&document.verdict));
    let head = head(document);
    let names: Vec<String> = head.iter().map(|name| text(name)).collect();
    let _ = writeln!(page, "| {} |\n|{}", names.join(" | "), "---|".repeat(head.len()));
    for (i, line) in document.ranking.iter().enumerate() {
        let cells: Vec<String> =
            row(document, i, line).iter().take(head.len()).map(|cell| text(cell)).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    if !document.warnings.is_empty() {
        let _ = writeln!(page, "\n## What to know\n");
        for warning in &document.warnings {
            let _ = writeln!(page, "- {}: {}.", text(&warning.text), text(&warning.advice));
        }
    }
    let _ = writeln!(page, "\n## How it was computed\n");
    for sentence in &document.method {
        let _ = writeln!(page, "- {}", text(sentence));
    }
    let _ = writeln!(page, "\n## Where it was trained\n");
    for (name, value) in &document.environment {
        let _ = writeln!(page, "- {}: {}", text(name), text(value));
    }
    let _ = writeln!(page, "\n## Again\n");
    for (command, what) in &document.reproduce {
        let _ = writeln!(page, "{}\n\n{}", text(what), fenced("sh", command));
    }
    let _ = writeln!(page, "## The sweep file\n\n{}", fenced("yaml", &document.file_text));
    let _ = writeln!(page, "{}", text(&document.generated_by));
    page
}

/// What stands over the cells of a line; the accuracy, which comes last, only where there is one.
pub(crate) fn head(document: &Document) -> Vec<&str> {
    let mut head = vec![
        "#",
        "schedule",
        "best lr",
        &document.metric,
        "vs first",
        "95 % interval",
        "p",
        "wins",
        "seeds",
        "diverged",
    ];
    if document.ranking.iter().any(|line| line.accuracy.is_some()) {
        head.push("test acc.");
    }
    head
}

/// The cells of a line of the ranking, as the page and the terminal have them.
pub(crate) fn row(document: &Document, i: usize, line: &RankedSchedule) -> [String; 11] {
    let digits = decimals(line.sd);
    let group = |group: usize| document.ranking.iter().filter(move |other| other.tie_group == group);
    let place = match line.tie_group {
        0 => "—".to_owned(),
        own => {
            let before = document.ranking.iter().filter(|other| (1..own).contains(&other.tie_group)).count();
            format!("{}{}", if group(own).count() > 1 { "=" } else { "" }, before + 1)
        }
    };
    let edge = match line.edge {
        Some(Edge::Low) => " ↓EDGE",
        Some(Edge::High) => " ↑EDGE",
        None => "",
    };
    let mean = match (line.mean, line.sd) {
        (Some(mean), Some(sd)) => format!("{mean:.digits$} ± {sd:.digits$}"),
        (Some(mean), None) => format!("{mean:.digits$}"),
        (None, _) if line.diverged > 0 => "diverged".to_owned(),
        (None, _) => "—".to_owned(),
    };
    let comparisons = document.ranking.iter().filter(|line| line.p.is_some()).count();
    let p = match (line.p, line.p_floor) {
        (Some(_), Some(floor)) if floor * comparisons as f64 >= document.alpha => {
            format!("cannot be significant with {} seeds", line.asked)
        }
        (Some(p), _) if p < 0.001 => format!("{p:.1e}"),
        (Some(p), _) => format!("{p:.3}"),
        (None, _) if i == 0 => String::new(),
        (None, _) => "—".to_owned(),
    };
    let seeds = if line.n + line.diverged == line.asked {
        line.asked.to_string()
    } else {
        format!("{} of {}", line.n + line.diverged, line.asked)
    };
    [
        place,
        line.schedule.clone(),
        if line.tie_group == 0 { "—".to_owned() } else { format!("{}{edge}", lr(line.base_lr)) },
        mean,
        line.diff.map(|diff| format!("{diff:+.digits$}")).unwrap_or_default(),
        line.interval.map(|(low, high)| format!("{low:+.digits$} to {high:+.digits$}")).unwrap_or_default(),
        p,
        line.wins.map(|(won, n)| wins(won, n)).unwrap_or_default(),
        seeds,
        if line.diverged == 0 { "0".to_owned() } else { format!("{}/{}", line.diverged, line.asked) },
        line.accuracy.map(accuracy).unwrap_or_default(),
    ]
}

/// Text that means nothing to Markdown or HTML.
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// A block of code, fenced by more backticks than it has in a row.
fn fenced(language: &str, code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", code.trim_end())
}
