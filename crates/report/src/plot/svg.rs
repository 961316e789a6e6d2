//! Renders a page as an SVG file.

use std::fmt::Write;

use super::layout::{Anchor, Mark, Page, STROKE};
use super::palette::{Colour, PAPER};
use crate::escape::escape;

impl Page {
    /// The page as an SVG file. It embeds no font: the viewer's sans-serif font is used.
    pub fn svg(&self) -> String {
        write(self)
    }
}

fn write(page: &Page) -> String {
    let (width, height) = (page.size.width, page.size.height);
    let [left, top, right, bottom] = page.plot;
    let mut svg = String::new();
    // Writing to memory does not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"Helvetica, Arial, sans-serif\" role=\"img\">\n\
         <title>{}</title>\n\
         <clipPath id=\"plot\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        page.output.width,
        page.output.height,
        escape(&page.title),
        short(left),
        short(top - STROKE),
        short(right - left + STROKE),
        short(bottom - top + 2.0 * STROKE),
        hex(PAPER),
    );
    for mark in &page.marks {
        draw(&mut svg, mark);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, mark: &Mark) {
    let _ = match mark {
        Mark::Line { from, to, colour, width, dash } => writeln!(
            svg,
            "<path d=\"M{} {}L{} {}\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1),
            hex(*colour),
            short(*width),
            dashed(dash)
        ),
        Mark::Curve { points: curve, colour, dash, tip } => writeln!(
            svg,
            "<polyline clip-path=\"url(#plot)\" fill=\"none\" stroke=\"{}\" stroke-width=\"{STROKE}\" \
             stroke-linejoin=\"round\"{} points=\"{}\"><title>{}</title></polyline>",
            hex(*colour),
            dashed(dash),
            points(curve),
            escape(tip)
        ),
        Mark::Area { points: area, colour, opacity } => writeln!(
            svg,
            "<polygon clip-path=\"url(#plot)\" fill=\"{}\" fill-opacity=\"{opacity}\" points=\"{}\"/>",
            hex(*colour),
            points(area)
        ),
        Mark::Dot { at: (x, y), radius, colour, tip } => writeln!(
            svg,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"><title>{}</title></circle>",
            short(*x),
            short(*y),
            short(*radius),
            hex(*colour),
            escape(tip)
        ),
        Mark::Text { at: (x, y), text, size, colour, anchor, vertical } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let (x, y) = (short(*x), short(*y));
            let rotation =
                if *vertical { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{anchor}{rotation}>{}</text>",
                short(*size),
                hex(*colour),
                escape(text)
            )
        }
    };
}

fn points(points: &[(f32, f32)]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
    points.join(" ")
}

fn dashed(dash: &[f32]) -> String {
    if dash.is_empty() {
        return String::new();
    }
    let lengths: Vec<String> = dash.iter().map(|length| short(*length)).collect();
    format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A coordinate, rounded to a tenth of a pixel.
fn short(x: f32) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
