//! Renders a report as one HTML page that needs no network: the page of the dashboard with its data inside. Where scripts are off
//! it shows the text and the pictures that are drawn here. The same data give the same bytes.

mod chart;

use std::fmt::Write;

use self::chart::{look, svg};
use crate::assets::offline_page;
use crate::chart::report_charts::{self, drawn_curves};
use crate::chart::{Chart, NoChart};
use crate::document::Document;
use crate::escape::escape;
use crate::markdown::{head, row};
use crate::views::{Overview, Snapshot};
use verdict::numbers::{capital, short};

/// The style of the page where scripts are off.
const STYLE: &str = include_str!("style.css");

/// The page of a report: the page of the dashboard with all its data. Where scripts are off it shows the document.
pub fn html(document: &Document, snapshot: &Snapshot) -> String {
    let title = format!("{}: learning-rate schedules compared", document.sweep);
    // Plain data always have a text.
    let data = serde_json::to_string(snapshot).unwrap_or_default();
    offline_page(&title, &data, &body(document, &snapshot.overview))
}

/// The document as text with pictures.
fn body(document: &Document, overview: &Overview) -> String {
    let mut page = String::new();
    let sweep = escape(&document.sweep);
    let _ = write!(page, "<style>\n{STYLE}</style>\n<header>\n<h1>{sweep}</h1>\n");
    if !document.question.is_empty() {
        let _ = writeln!(page, "<p class=\"question\">{}</p>", escape(&document.question));
    }
    page.push_str("</header>\n<main>\n");
    let _ = writeln!(page, "<p class=\"verdict\">{}</p>", escape(&document.verdict));
    page.push_str(&pairs(&overview.about));
    section(&mut page, "warnings", "Warnings", &warnings(document));
    section(&mut page, "ranking", "Ranking", &ranking(document));
    section(&mut page, "first", "The first schedule", &first(overview));
    section(&mut page, "legend", "Schedules", &legend(document));
    section(&mut page, "forest", "Differences to the first schedule", &forest(document));
    section(&mut page, "curves", "Loss and learning rate", &curves(document));
    section(&mut page, "sensitivity", "Sensitivity to the learning rate", &sensitivity(document));
    section(&mut page, "budgets", "Results over budgets", &budgets(document));
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
    section(&mut page, "again", "Reproduce it", &again);
    let file = format!("<pre><code>{}</code></pre>\n", escape(&document.file_text));
    section(&mut page, "file", "Sweep file", &file);
    let _ = write!(page, "</main>\n<footer><p>{}</p></footer>\n", escape(&document.generated_by));
    page
}

/// Appends a section with its heading, unless it is empty.
fn section(page: &mut String, id: &str, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(
            page,
            "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
            escape(title)
        );
    }
}

/// The best trial of the first schedule, and that schedule as code.
fn first(overview: &Overview) -> String {
    let Some(line) = overview.ranking.first().filter(|line| !line.yaml.is_empty()) else {
        return String::new();
    };
    let trial = line.trial_id.as_ref().map(|id| format!("<p>Best trial: <code>{}</code></p>\n", escape(id)));
    let code = |text: &str| format!("<pre><code>{}</code></pre>\n", escape(text));
    let pytorch = line.pytorch.as_ref().map(|text| format!("<p>In PyTorch:</p>\n{}", code(text)));
    format!(
        "{}<p>In a sweep file:</p>\n{}{}",
        trial.unwrap_or_default(),
        code(&line.yaml),
        pytorch.unwrap_or_default()
    )
}

fn warnings(document: &Document) -> String {
    let items: String = document
        .warnings
        .iter()
        .map(|warning| {
            format!(
                "<li data-kind=\"{}\">{}. <strong>{}.</strong></li>\n",
                escape(&warning.kind),
                escape(&capital(&warning.text)),
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

/// A table in its own box, which scrolls on narrow screens.
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
        let details = [
            format!("verdict: {}", line.verdict),
            config.join(", "),
            format!("config {}", line.config_id),
            exact("base lr", Some(line.base_lr)),
            exact("mean", line.mean),
            exact("difference", line.diff),
            exact("p raw", line.p_raw),
            exact("e", line.e),
            exact("p adjusted", line.p),
        ];
        let details: Vec<String> = details.into_iter().filter(|text| !text.is_empty()).collect();
        let leads = if line.tie_group == 1 { " class=\"leads\"" } else { "" };
        let _ = write!(rows, "<tr{leads} data-s=\"{i}\" title=\"{}\">", escape(&details.join("; ")));
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
        "Schedules by {} ({} is better), each at its best lr. Shaded: not significantly worse than the first schedule.",
        document.metric,
        if document.lower_is_better { "lower" } else { "higher" }
    );
    table(&caption, &head, &rows)
}

/// A number in full precision with its name; empty without a number.
fn exact(name: &str, number: Option<f64>) -> String {
    number.map(|number| format!("{name} {number}")).unwrap_or_default()
}

fn legend(document: &Document) -> String {
    let items: String = document
        .ranking
        .iter()
        .enumerate()
        .map(|(i, line)| {
            format!(
                "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path {} d=\"M1 5L33 5\"/></svg>{}</li>\n",
                look(i),
                escape(&line.schedule)
            )
        })
        .collect();
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// The text instead of a missing chart; empty if the chart does not apply to the sweep.
fn no_chart(why: NoChart) -> String {
    match why {
        NoChart::NotApplicable(_) => String::new(),
        NoChart::Empty(why) => format!("<p>No chart: {}.</p>\n", escape(why)),
    }
}

/// Sentences about what a chart leaves out.
fn undrawn(chart: &Chart) -> String {
    chart.undrawn.iter().map(|text| format!("<p class=\"undrawn\">{}</p>\n", escape(text))).collect()
}

fn forest(document: &Document) -> String {
    let chart = match report_charts::forest(document) {
        Ok(chart) => chart,
        Err(why) => return no_chart(why),
    };
    let svg = svg(&chart, "forest");
    let undrawn = undrawn(&chart);
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n<p>Faint: not significantly different from the first schedule.</p>\n{undrawn}"
    )
}

fn curves(document: &Document) -> String {
    let chart = match report_charts::curves(document) {
        Ok(chart) => chart,
        Err(why) => return no_chart(why),
    };
    let svg = svg(&chart, "plot-curves");
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
        "<p>Mean over seeds with a band of one standard deviation, at up to 80 points.</p>\n<div class=\"scroll\">{svg}</div>\n{}<details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&format!("Mean {}", document.curve_metric), &head, &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn sensitivity(document: &Document) -> String {
    let chart = match report_charts::sensitivity(document) {
        Ok(chart) => chart,
        Err(why) => return no_chart(why),
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
                format!("{}: {mean}{diverged}{mark}", short(*at))
            })
            .collect();
        let edge = own.edge.map(|edge| format!("EDGE: the {} lr that was tried", edge.word()));
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escape(&own.schedule),
            escape(&cells.join("; ")),
            escape(&edge.unwrap_or_default())
        );
    }
    let svg = svg(&chart, "plot-lrs");
    let caption = format!("Mean {} by base lr; ◀ marks the chosen lr", document.metric);
    format!(
        "<p>Large dots: the chosen lr. Means include all runs, those that choose and those that judge.</p>\n<div class=\"scroll\" \
         tabindex=\"0\">{svg}</div>\n{}<details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&caption, &["schedule", "lr: mean", "edge"], &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn budgets(document: &Document) -> String {
    let chart = match report_charts::budgets(document) {
        Ok(chart) => chart,
        Err(why) => return no_chart(why),
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
    let svg = svg(&chart, "plot-budgets");
    let caption = format!("Mean {} by run length in steps, each schedule at its best lr", document.metric);
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n{}<details><summary>As a table</summary>\n{}</details>\n",
        undrawn(&chart),
        table(&caption, &["schedule", "steps: mean"], &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

#[cfg(test)]
mod tests;
