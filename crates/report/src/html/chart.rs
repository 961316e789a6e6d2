//! Renders the report's charts as SVG within its page; they are complete without the script. Colours are classes of the style
//! sheet, so that they follow the theme. Lines differ by dash as well as by colour.

use std::fmt::Write;

use crate::chart::{Chart, Point, Rule, Shape, Text, WIDTH};
use crate::escape::escape;
use crate::plot::palette::{STYLES, style};

/// Attributes with the colour class and the dash of schedule `i` of the ranking.
pub(super) fn look(i: usize) -> String {
    let (_, dashes) = style(i);
    let dashes: Vec<String> = dashes.iter().map(ToString::to_string).collect();
    let dash =
        if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", dashes.join(" ")) };
    format!("class=\"line {}\" data-s=\"{i}\"{dash}", colour(i))
}

/// The class of a schedule's colour.
fn colour(i: usize) -> String {
    format!("k{}", i % STYLES % 7)
}

/// The SVG element, with title and description for screen readers.
pub(super) fn svg(chart: &Chart, id: &str) -> String {
    let mut shapes = String::new();
    chart.shapes.iter().for_each(|shape| draw(&mut shapes, shape));
    format!(
        "<svg id=\"{id}\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{shapes}</svg>",
        chart.height,
        escape(&chart.title),
        escape(&chart.description)
    )
}

fn draw(svg: &mut String, shape: &Shape) {
    // Writing to memory does not fail.
    let _ = match shape {
        Shape::Rule { kind, from, to } => {
            let class = match kind {
                Rule::Grid => "grid",
                Rule::Zero => "zero",
                Rule::Whisker => "whisker",
            };
            write!(
                svg,
                "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                from.0, to.0, from.1, to.1
            )
        }
        Shape::Text { kind, at: (x, y), text } => {
            let (class, anchor) = match kind {
                Text::MarkX => (" class=\"mark\"", "middle"),
                Text::MarkY => (" class=\"mark\"", "end"),
                Text::TitleX | Text::TitleY => (" class=\"axis\"", "middle"),
                Text::Name => ("", "end"),
            };
            let at = if *kind == Text::TitleY {
                format!("transform=\"translate({x} {y:.1}) rotate(-90)\"")
            } else {
                format!("x=\"{x:.1}\" y=\"{y:.1}\"")
            };
            write!(svg, "<text{class} {at} text-anchor=\"{anchor}\">{}</text>", escape(text))
        }
        Shape::Line { i, pieces, name } => {
            let path: Vec<String> =
                pieces.iter().map(|piece| format!("M{}", points(piece, " ", "L"))).collect();
            write!(svg, "<path {} d=\"{}\"><title>{}</title></path>", look(*i), path.concat(), escape(name))
        }
        Shape::Band { i, points: band } => {
            let (colour, points) = (colour(*i), points(band, ",", " "));
            write!(svg, "<polygon class=\"band {colour}\" data-s=\"{i}\" points=\"{points}\"/>")
        }
        Shape::Dot { i, at: (x, y), chosen, label } => {
            let (class, r) = if *chosen { ("chosen", 6) } else { ("dot", 3) };
            write!(
                svg,
                "<circle class=\"{class} {}\" data-s=\"{i}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"><title>{}</title></circle>",
                colour(*i),
                escape(label)
            )
        }
        Shape::Row { i, faint, shapes } => {
            let class = if *faint { "tied" } else { "worse" };
            let _ = write!(svg, "<g class=\"{class}\" data-s=\"{i}\">");
            shapes.iter().for_each(|shape| draw(svg, shape));
            write!(svg, "</g>")
        }
    };
}

fn points(points: &[Point], within: &str, between: &str) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1}{within}{y:.1}")).collect();
    points.join(between)
}
