//! Renders a report as GitHub-flavoured Markdown: the document without its charts.

use std::fmt::Write;

use crate::document::{Document, RankedSchedule};
use crate::ranking_rows::{ACCURACY, Center, TOO_FEW, e_value, evidence, p_value, wins};
use verdict::numbers::{Rounding, accuracy, capital, short};

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
    for line in &document.ranking {
        let cells: Vec<String> = row(document, line).iter().map(|cell| text(cell)).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    if !document.warnings.is_empty() {
        let _ = writeln!(page, "\n## Warnings\n");
        for warning in &document.warnings {
            let _ =
                writeln!(page, "- {}. {}.", text(&capital(&warning.text)), text(&capital(&warning.advice)));
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
    let _ = writeln!(page, "\n## Reproduce it\n");
    for (command, what) in &document.reproduce {
        let _ = writeln!(page, "{}\n\n{}", text(what), fenced("sh", command));
    }
    let _ = writeln!(page, "## Sweep file\n\n{}", fenced("yaml", &document.file_text));
    let _ = writeln!(page, "{}", text(&document.generated_by));
    page
}

/// Whether several pairs were tested, so that unadjusted and adjusted p-values differ.
fn has_family(document: &Document) -> bool {
    document.pairs_tested > 1
}

/// Whether e-values judge.
fn is_any_time(document: &Document) -> bool {
    document.ranking.iter().any(|line| line.e.is_some())
}

fn has_accuracy(document: &Document) -> bool {
    document.ranking.iter().any(|line| line.accuracy.is_some())
}

/// The column headings. The accuracy is the last column, if there is one.
pub(crate) fn head(document: &Document) -> Vec<&str> {
    let mut head = vec!["rank", "schedule", "best lr", &document.metric, "vs first", "95 % interval"];
    head.extend(evidence(has_family(document), is_any_time(document)));
    head.extend(["wins", "seeds", "diverged"]);
    if has_accuracy(document) {
        head.push(ACCURACY);
    }
    head
}

fn center(line: &RankedSchedule) -> Center {
    let RankedSchedule { mean, sd, diverged, unreported, unreached, .. } = *line;
    Center { mean, sd, diverged, unreported, unreached }
}

/// The cells of a line of the ranking, for the columns of `head`.
pub(crate) fn row(document: &Document, line: &RankedSchedule) -> Vec<String> {
    let rounding = Rounding::of(line.mean, line.sd);
    let signed = |x: f64| rounding.signed(x);
    let edge = line.edge.map(|edge| format!(" {}", edge.flag())).unwrap_or_default();
    let ended = line.n + line.diverged + line.unreported;
    let seeds = if ended == line.requested {
        line.requested.to_string()
    } else {
        format!("{ended} of {}", line.requested)
    };
    let mut cells = vec![
        line.ranks.clone(),
        line.schedule.clone(),
        if line.tie_group == 0 { "—".to_owned() } else { format!("{}{edge}", short(line.base_lr)) },
        center(line).shown(rounding),
        line.diff.map(signed).unwrap_or_default(),
        line.interval.map(|(low, high)| format!("{} to {}", signed(low), signed(high))).unwrap_or_default(),
    ];
    if is_any_time(document) {
        cells.push(e_value(line.e));
    } else if has_family(document) {
        cells.push(p_value(line.p_raw));
    }
    cells.push(if line.p_raw.is_some() && line.p.is_none() { TOO_FEW.to_owned() } else { p_value(line.p) });
    cells.extend([
        line.wins.map(|(won, n)| wins(won, n)).unwrap_or_default(),
        seeds,
        if line.diverged == 0 { "0".to_owned() } else { format!("{}/{}", line.diverged, line.requested) },
    ]);
    if has_accuracy(document) {
        cells.push(line.accuracy.map(accuracy).unwrap_or_default());
    }
    cells
}

/// Escapes text for Markdown and HTML.
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

/// A code block, fenced by more backticks than the code has in a row.
fn fenced(language: &str, code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", code.trim_end())
}
