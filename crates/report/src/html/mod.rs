//! A report as one HTML page that needs no network and no script: the pictures are drawn here, the script only adds a
//! cursor, a legend that hides and the choice of a theme. The same document gives the same bytes.

mod chart;

use std::fmt::Write;

use serde_json::json;

use self::chart::{Axis, Chart, LEFT, RIGHT, look};
use crate::document::{Document, Sensitivity};
use crate::format::{decimals, lr};
use crate::markdown::row;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Text within an element or an attribute. Controls and marks that turn the direction of writing are made visible.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || turns(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether it turns the direction of writing.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

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

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
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
    let mut rows = String::new();
    let mut group = None;
    for (i, line) in document.ranking.iter().enumerate() {
        if group != Some(line.tie_group) {
            let _ = writeln!(rows, "{}<tbody>", if group.is_some() { "</tbody>\n" } else { "" });
            group = Some(line.tie_group);
        }
        let config: Vec<String> =
            line.config.iter().map(|(path, value)| format!("{path} = {value}")).collect();
        let full = [
            format!("verdict: {}", line.verdict),
            config.join(", "),
            format!("config {}", line.config_id),
            full("base lr", Some(line.base_lr)),
            full("mean", line.mean),
            full("difference", line.diff),
            full("p", line.p),
        ];
        let full: Vec<String> = full.into_iter().filter(|text| !text.is_empty()).collect();
        let _ = write!(rows, "<tr data-s=\"{i}\" title=\"{}\">", escape(&full.join("; ")));
        for (column, cell) in row(document, i, line).iter().enumerate() {
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
    if group.is_some() {
        rows.push_str("</tbody>\n");
    }
    let caption = format!(
        "Schedules by {}, {} is better, each at its best lr. Those that can't be told from the first of their group share its \
         place (=).",
        document.metric,
        if document.lower_is_better { "lower" } else { "higher" }
    );
    let head = [
        "#",
        "schedule",
        "best lr",
        document.metric.as_str(),
        "vs first",
        "95 % interval",
        "p",
        "wins",
        "seeds",
        "diverged",
        "test acc.",
    ];
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

fn forest(document: &Document) -> String {
    let rows: Vec<_> = document.ranking.iter().enumerate().filter(|(_, line)| line.diff.is_some()).collect();
    let ends = rows.iter().flat_map(|(_, line)| {
        let (low, high) = line.interval.or(line.diff.zip(line.diff)).unwrap_or((0.0, 0.0));
        [low, high, 0.0]
    });
    let Some(axis) = Axis::over(ends, false, (LEFT + 170.0, RIGHT)) else { return String::new() };
    let bottom = 14.0 + 26.0 * rows.len() as f64;
    let mut chart = Chart::new(bottom + 44.0);
    chart.x(
        &axis,
        (6.0, bottom),
        &format!("difference in {} to the first, with its 95 % interval", document.metric),
    );
    let zero = axis.at(0.0);
    let _ = write!(
        chart.body,
        "<line class=\"zero\" x1=\"{zero:.1}\" x2=\"{zero:.1}\" y1=\"6\" y2=\"{bottom}\"/>"
    );
    for (at, (i, line)) in rows.iter().enumerate() {
        let y = 22.0 + 26.0 * at as f64;
        let told = if line.verdict == "worse" { "told" } else { "tied" };
        let name: String = if line.schedule.chars().count() > 26 {
            line.schedule.chars().take(25).chain(['…']).collect()
        } else {
            line.schedule.clone()
        };
        let _ = write!(
            chart.body,
            "<g class=\"{told}\" data-s=\"{i}\"><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + 160.0,
            y + 4.0,
            escape(&name)
        );
        if let Some((low, high)) = line.interval {
            let _ = write!(
                chart.body,
                "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"/>",
                axis.at(low),
                axis.at(high)
            );
        }
        if let Some(diff) = line.diff {
            let words = format!("{}: {diff:+}", line.schedule);
            chart.dot(*i, (axis.at(diff), y), false, &words);
        }
        chart.body.push_str("</g>");
    }
    let description = "Each schedule's paired difference to the first; the table above has the numbers.";
    let svg = chart.svg("forest", "Paired differences to the first schedule", description, "");
    format!("<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n<p>Faint: can't be told from the first.</p>\n")
}

fn curves(document: &Document) -> String {
    let curves: Vec<_> = document
        .curves
        .iter()
        .filter_map(|curve| {
            let place = document.ranking.iter().position(|line| line.schedule == curve.schedule)?;
            Some((place, curve))
        })
        .collect();
    let last = curves.iter().flat_map(|(_, curve)| curve.steps.iter().chain(&curve.lr_steps)).max();
    let (Some(last), means) = (last, curves.iter().flat_map(|(_, curve)| curve.mean.iter().copied())) else {
        return String::new();
    };
    let x = Axis::exactly(0.0, *last as f64, (LEFT, RIGHT));
    // A rate that is far above the others for a few steps would flatten all of them.
    let mut rates: Vec<f64> =
        curves.iter().flat_map(|(_, curve)| curve.lr.iter().copied()).filter(|lr| lr.is_finite()).collect();
    rates.sort_by(f64::total_cmp);
    let (usual, highest) = (rates.get(rates.len() * 97 / 100), rates.last().copied().unwrap_or(0.0));
    let is_cut = usual.is_some_and(|usual| *usual > 0.0 && highest > 2.5 * usual);
    let most = usual.filter(|_| is_cut).map_or(highest, |usual| 2.0 * usual);
    let (Some(y), Some(rate)) = (
        Axis::over(means, true, (330.0, 10.0)),
        Axis::over([0.0, 1.05 * most].into_iter(), false, (480.0, 362.0)),
    ) else {
        return String::new();
    };
    let mut chart = Chart::new(528.0);
    chart.y(&y, 9, &document.curve_metric);
    chart.y(&rate, 4, if is_cut { "lr (cut)" } else { "lr" });
    chart.x(&x, (10.0, 480.0), "step");
    for (i, curve) in curves.iter().rev() {
        let steps: Vec<f64> = curve.steps.iter().map(|step| *step as f64).collect();
        chart.band(*i, &steps, &curve.low, &curve.high, (&x, &y));
    }
    for (i, curve) in curves.iter().rev() {
        let steps = curve.steps.iter().map(|step| *step as f64);
        chart.line(*i, steps.zip(curve.mean.iter().copied()), (&x, &y), &curve.schedule);
        let steps = curve.lr_steps.iter().map(|step| *step as f64);
        chart.line(*i, steps.zip(curve.lr.iter().copied()), (&x, &rate), &curve.schedule);
    }
    chart.body.push_str("<line id=\"cursor\" y1=\"10\" y2=\"480\" x1=\"0\" x2=\"0\" visibility=\"hidden\"/>");
    let title = format!("{} and learning rate over the run", capital(&document.curve_metric));
    let description = "Mean over seeds with a band of one standard deviation; below, the learning rates. The table has the numbers.";
    let more = format!(" tabindex=\"0\" data-left=\"{LEFT}\" data-right=\"{RIGHT}\" data-last=\"{last}\"");
    let svg = chart.svg("plot-curves", &title, description, &more);
    let rows: String = curves
        .iter()
        .map(|(_, curve)| {
            let ends = curve.mean.first().zip(curve.mean.last());
            let (first, end) = ends.map(|(a, b)| (format!("{a:.4}"), format!("{b:.4}"))).unwrap_or_default();
            let lrs = curve.lr.iter().copied().fold(0.0, f64::max);
            let last = curve.lr.last().copied().map(lr).unwrap_or_default();
            format!(
                "<tr><th scope=\"row\">{}</th><td>{first}</td><td>{end}</td><td>{}</td><td>{last}</td></tr>\n",
                escape(&curve.schedule),
                lr(lrs)
            )
        })
        .collect();
    let head = ["schedule", "first point", "last point", "highest lr", "last lr"];
    format!(
        "<p>Mean over seeds with a band of one standard deviation. Point at the picture, or use the arrow keys in it, to read \
         values.</p>\n<div class=\"scroll\">{svg}</div>\n<output id=\"read\" aria-live=\"polite\"></output>\n\
         <details><summary>As a table</summary>\n{}</details>\n",
        table(&format!("Mean {}", document.curve_metric), &head, &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn sensitivity(document: &Document) -> String {
    let place = |name: &str| document.ranking.iter().position(|line| line.schedule == name);
    let all: Vec<(usize, &Sensitivity)> =
        document.sensitivity.iter().filter_map(|own| Some((place(&own.schedule)?, own))).collect();
    if all.iter().all(|(_, own)| own.points.len() < 2) {
        return String::new();
    }
    let points = || all.iter().flat_map(|(_, own)| &own.points);
    let (Some(x), Some(y)) = (
        Axis::over(points().map(|point| point.0), true, (LEFT, RIGHT)),
        Axis::over(points().filter_map(|point| point.1), document.lower_is_better, (330.0, 10.0)),
    ) else {
        return String::new();
    };
    let mut chart = Chart::new(378.0);
    chart.y(&y, 9, &document.metric);
    chart.x(&x, (10.0, 330.0), "base lr");
    let mut rows = String::new();
    for (i, own) in all.iter().rev() {
        let drawn = own.points.iter().map(|(lr, mean, _)| (*lr, mean.unwrap_or(f64::NAN)));
        chart.line(*i, drawn, (&x, &y), &own.schedule);
        for (at, mean, diverged) in &own.points {
            let words = format!("{} at lr {}, {} diverged", own.schedule, lr(*at), diverged);
            if let Some(mean) = mean {
                chart.dot(*i, (x.at(*at), y.at(*mean)), *at == own.chosen, &words);
            }
        }
    }
    for (_, own) in &all {
        let cells: Vec<String> = own
            .points
            .iter()
            .map(|(at, mean, diverged)| {
                let mean = mean.map_or("—".to_owned(), |mean| format!("{mean:.*}", decimals(None)));
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
    let description =
        "Means over each schedule's lr grid, each lr at its best variant. The table has the numbers.";
    let svg = chart.svg("plot-lrs", "Metric over the base learning rate", description, "");
    let caption = format!("Mean {} by base lr; ◀ the one that was chosen", document.metric);
    format!(
        "<p>Large dots: the lr that was chosen. All runs count here, those that chose and those that judged.</p>\n<div class=\"scroll\" \
         tabindex=\"0\">{svg}</div>\n<details><summary>As a table</summary>\n{}</details>\n",
        table(&caption, &["schedule", "lr: mean", "edge"], &format!("<tbody>\n{rows}</tbody>\n"))
    )
}

fn budgets(document: &Document) -> String {
    if document.budgets.is_empty() {
        return String::new();
    }
    let place = |name: &str| document.ranking.iter().position(|line| line.schedule == name);
    let points = || document.budgets.iter().flat_map(|own| &own.points);
    let (Some(x), Some(y)) = (
        Axis::over(points().map(|point| point.0 as f64), true, (LEFT, RIGHT)),
        Axis::over(points().map(|point| point.1), document.lower_is_better, (330.0, 10.0)),
    ) else {
        return String::new();
    };
    let mut chart = Chart::new(378.0);
    chart.y(&y, 9, &document.metric);
    chart.x(&x, (10.0, 330.0), "length of the run in steps");
    let mut rows = String::new();
    for own in document.budgets.iter().rev() {
        let Some(i) = place(&own.schedule) else { continue };
        chart.line(i, own.points.iter().map(|(steps, mean)| (*steps as f64, *mean)), (&x, &y), &own.schedule);
        for (steps, mean) in &own.points {
            let words = format!("{} at {steps} steps", own.schedule);
            chart.dot(i, (x.at(*steps as f64), y.at(*mean)), false, &words);
        }
    }
    for own in &document.budgets {
        let cells: Vec<String> =
            own.points.iter().map(|(steps, mean)| format!("{steps}: {mean:.4}")).collect();
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            escape(&own.schedule),
            escape(&cells.join("; "))
        );
    }
    let svg =
        chart.svg("plot-budgets", "Metric over the length of the run", "Each schedule at its best lr.", "");
    let caption = format!("Mean {} by length of the run in steps, each at its best lr", document.metric);
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{svg}</div>\n<details><summary>As a table</summary>\n{}</details>\n",
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
                "mean": line.mean, "sd": line.sd, "diff": line.diff, "p": line.p, "tie_group": line.tie_group,
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
