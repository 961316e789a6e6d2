//! A report as one HTML page that needs no network and no script: the pictures are drawn here, the script only adds a
//! cursor, a legend that hides and the choice of a theme. The same document gives the same bytes.

mod chart;

use std::fmt::Write;

use serde_json::json;

use self::chart::{look, svg};
use crate::chart::figures::{self, CURSOR, drawn_curves};
use crate::chart::{Absent, Chart, LEFT, RIGHT};
use crate::document::Document;
use crate::escape::{escape, turns};
use crate::markdown::{head, row};
use verdict::numbers::{capital, lr, short};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The document as a page.
pub fn html(document: &Document) -> String {
    let mut page = String::new();
    let sweep = escape(&document.sweep);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{sweep}: learning-rate schedules compared</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the verdict</a>\n<header>\n<h1>{sweep}</h1>\n"
    );
    if !document.question.is_empty() {
        let _ = writeln!(page, "<p class=\"question\">{}</p>", escape(&document.question));
    }
    page.push_str(
        "<button type=\"button\" id=\"theme\" hidden>Dark</button>\n</header>\n<main id=\"main\">\n",
    );
    let _ = writeln!(page, "<p class=\"verdict\">{}</p>", escape(&document.verdict));
    section(&mut page, "warnings", "What to know before believing it", &warnings(document));
    section(&mut page, "ranking", "Ranking", &ranking(document));
    section(&mut page, "legend", "Schedules", &legend(document));
    section(&mut page, "forest", "Differences to the first", &forest(document));
    section(&mut page, "curves", "Loss and learning rate", &curves(document));
    section(&mut page, "sensitivity", "How much the learning rate matters", &sensitivity(document));
    section(&mut page, "budgets", "Over budgets", &budgets(document));
    let method: String = document.method.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    section(&mut page, "method", "How it was computed", &format!("<ul>\n{method}</ul>\n"));
    section(&mut page, "environment", "Where it was trained", &pairs(&document.environment));
    let again = document
        .reproduce
        .iter()
        .map(|(command, what)| {
            format!("<p>{}</p>\n<pre><code>{}</code></pre>\n", escape(what), escape(command))
        })
        .collect::<String>();
    section(&mut page, "again", "Again", &again);
    let file = format!("<pre><code>{}</code></pre>\n", escape(&document.file_text));
    section(&mut page, "file", "The sweep file", &file);
    let _ = write!(
        page,
        "</main>\n<footer><p>{}</p></footer>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        escape(&document.generated_by),
        data(document)
    );
    page
}

/// A section with its heading, where there is something in it.
fn section(page: &mut String, id: &str, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(
            page,
            "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
            escape(title)
        );
    }
}

fn warnings(document: &Document) -> String {
    let items: String = document
        .warnings
        .iter()
        .map(|warning| {
            format!(
                "<li data-kind=\"{}\">{}. <strong>{}.</strong></li>\n",
                escape(&warning.kind),
                escape(&warning.text),
                escape(&capital(&warning.advice))
            )
        })
        .collect();
    if items.is_empty() { items } else { format!("<ul class=\"warnings\">\n{items}</ul>\n") }
}

fn pairs(pairs: &[(String, String)]) -> String {
    let rows: String = pairs
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)))
        .collect();
    if rows.is_empty() { rows } else { format!("<dl>\n{rows}</dl>\n") }
}

/// A table in a box of its own, which scrolls where the screen is narrow.
fn table(caption: &str, head: &[&str], rows: &str) -> String {
    let head: String = head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\n<caption><span>{0}</span></caption>\n<thead><tr>{head}</tr>\
         </thead>\n{rows}</table></div>\n",
        escape(caption)
    )
}

fn ranking(document: &Document) -> String {
    let mut rows = String::from("<tbody>\n");
    let head = head(document);
    for (i, line) in document.ranking.iter().enumerate() {
        let config: Vec<String> =
            line.config.iter().map(|(path, value)| format!("{path} = {value}")).collect();
        let full = [
            format!("verdict: {}", line.verdict),
            config.join(", "),
            format!("config {}", line.config_id),
            full("base lr", Some(line.base_lr)),
            full("mean", line.mean),
            full("difference", line.diff),
            full("p raw", line.p_raw),
            full("p adjusted", line.p),
        ];
        let full: Vec<String> = full.into_iter().filter(|text| !text.is_empty()).collect();
        let leads = if line.tie_group == 1 { " class=\"leads\"" } else { "" };
        let _ = write!(rows, "<tr{leads} data-s=\"{i}\" title=\"{}\">", escape(&full.join("; ")));
        for (column, cell) in row(document, line).iter().enumerate() {
            let (tag, scope) = if column == 1 { ("th", " scope=\"row\"") } else { ("td", "") };
            let config = if column == 1 && !config.is_empty() {
                format!("<small>{}</small>", escape(&config.join(", ")))
            } else {
                String::new()
            };
            let _ = write!(rows, "<{tag}{scope}>{}{config}</{tag}>", escape(cell));
        }
        rows.push_str("</tr>\n");
    }
    rows.push_str("</tbody>\n");
    let caption = format!(
        "Schedules by {}, {} is better, each at its best lr. #: the ranks that the data allow. Shaded: not significantly worse \
         than the first.",
        document.metric,
        if document.lower_is_better { "lower" } else { "higher" }
    );
    table(&caption, &head, &rows)
}

fn full(name: &str, number: Option<f64>) -> String {
    number.map(|number| format!("{name} {number}")).unwrap_or_default()
}

fn legend(document: &Document) -> String {
    let items: String = document
        .ranking
        .iter()
        .enumerate()
        .map(|(i, line)| {
            format!(
                "<li><button type=\"button\" data-s=\"{i}\" aria-pressed=\"true\"><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\">\
                 <path {} d=\"M1 5L33 5\"/></svg>{}</button></li>\n",
                look(i),
                escape(&line.schedule)
            )
        })
        .collect();
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// What is said where there is no chart: nothing where the sweep does not ask for one.
fn absent(why: Absent) -> String {
    match why {
        Absent::Unasked(_) => String::new(),
        Absent::Empty(why) => format!("<p>Nothing is drawn: {}.</p>\n", escape(why)),
    }
}

/// What a chart leaves out, in words.
fn undrawn(chart: &Chart) -> String {
    chart.undrawn.iter().map(|words| format!("<p class=\"undrawn\">{}</p>\n", escape(words))).collect()
}

fn forest(document: &Document) -> String {
    let chart = match figures::forest(document) {
        Ok(chart) => chart,
        Err(why) => return absent(why),
    };
    let svg = svg(&chart, "forest", "", "");
    let undrawn = undrawn(&chart);
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n<p>Faint: not significantly different from the first.</p>\n{undrawn}"
    )
}

fn curves(document: &Document) -> String {
    let chart = match figures::curves(document) {
        Ok(chart) => chart,
        Err(why) => return absent(why),
    };
    let last = figures::last_step(document).unwrap_or_default();
    let (top, bottom) = CURSOR;
    let cursor =
        format!("<line id=\"cursor\" y1=\"{top}\" y2=\"{bottom}\" x1=\"0\" x2=\"0\" visibility=\"hidden\"/>");
    let more = format!(" tabindex=\"0\" data-left=\"{LEFT}\" data-right=\"{RIGHT}\" data-last=\"{last}\"");
    let svg = svg(&chart, "plot-curves", &more, &cursor);
    let rows: String = drawn_curves(document)
        .iter()
        .map(|(_, curve)| {
            let ends = curve.mean.first().zip(curve.mean.last());
            let (first, end) = ends.map(|(a, b)| (short(*a), short(*b))).unwrap_or_default();
            let highest = curve.lr.iter().copied().max_by(f64::total_cmp).map(short).unwrap_or_default();
            let last = curve.lr.last().copied().map(short).unwrap_or_default();
            format!(
                "<tr><th scope=\"row\">{}</th><td>{first}</td><td>{end}</td><td>{highest}</td><td>{last}</td></tr>\n",
                escape(&curve.schedule)
            )
        })
        .collect();
    let head = ["schedule", "first point", "last point", "highest lr", "last lr"];
    format!(
        "<p>Mean over seeds with a band of one standard deviation, at up to 80 points. Point at the picture, or use the arrow keys in it, to read \
         values.</p>\n<div class=\"scroll\">{svg}</div>\n<output id=\"read\" aria-live=\"polite\"></output>\n{}\
         <details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&format!("Mean {}", document.curve_metric), &head, &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn sensitivity(document: &Document) -> String {
    let chart = match figures::sensitivity(document) {
        Ok(chart) => chart,
        Err(why) => return absent(why),
    };
    let mut rows = String::new();
    for own in &document.sensitivity {
        let cells: Vec<String> = own
            .points
            .iter()
            .map(|(at, mean, diverged)| {
                let mean = mean.map_or("—".to_owned(), short);
                let diverged = if *diverged > 0 { format!(" ({diverged} diverged)") } else { String::new() };
                let mark = if *at == own.chosen { " ◀" } else { "" };
                format!("{}: {mean}{diverged}{mark}", lr(*at))
            })
            .collect();
        let edge = own.edge.map(|edge| {
            format!("EDGE: the {} that was tried", if edge.name() == "low" { "lowest" } else { "highest" })
        });
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escape(&own.schedule),
            escape(&cells.join("; ")),
            escape(&edge.unwrap_or_default())
        );
    }
    let svg = svg(&chart, "plot-lrs", "", "");
    let caption = format!("Mean {} by base lr; ◀ the one that was chosen", document.metric);
    format!(
        "<p>Large dots: the lr that was chosen. All runs count here, those that chose and those that judged.</p>\n<div class=\"scroll\" \
         tabindex=\"0\">{svg}</div>\n{}<details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&caption, &["schedule", "lr: mean", "edge"], &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn budgets(document: &Document) -> String {
    let chart = match figures::budgets(document) {
        Ok(chart) => chart,
        Err(why) => return absent(why),
    };
    let mut rows = String::new();
    for own in &document.budgets {
        let cells: Vec<String> =
            own.points.iter().map(|(steps, mean)| format!("{steps}: {}", short(*mean))).collect();
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            escape(&own.schedule),
            escape(&cells.join("; "))
        );
    }
    let svg = svg(&chart, "plot-budgets", "", "");
    let caption = format!("Mean {} by length of the run in steps, each at its best lr", document.metric);
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n{}<details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&caption, &["schedule", "steps: mean"], &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

/// What the script reads, safe within a script element.
fn data(document: &Document) -> String {
    let curves: Vec<_> = document
        .curves
        .iter()
        .map(|curve| {
            let place = document.ranking.iter().position(|line| line.schedule == curve.schedule);
            json!({
                "s": place,
                "name": curve.schedule,
                "steps": curve.steps,
                "mean": curve.mean,
                "lr_steps": curve.lr_steps,
                "lr": curve.lr,
            })
        })
        .collect();
    let ranking: Vec<_> = document
        .ranking
        .iter()
        .map(|line| {
            json!({
                "schedule": line.schedule, "config_id": line.config_id, "base_lr": line.base_lr, "n": line.n,
                "mean": line.mean, "sd": line.sd, "diff": line.diff, "p_raw": line.p_raw, "p": line.p, "tie_group": line.tie_group,
                "verdict": line.verdict, "diverged": line.diverged,
            })
        })
        .collect();
    let text = json!({ "sweep": document.sweep, "ranking": ranking, "curves": curves }).to_string();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '<' || turns(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests;
