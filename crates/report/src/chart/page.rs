//! Lays out a chart as a standalone picture: with a title above it and a legend next to it, on white.

use super::{Chart, Point, Rule, Shape, Text, WIDTH};
use crate::plot::Size;
use crate::plot::layout::{self, Anchor, LEGEND_LINE, Mark, Page};
use crate::plot::palette::{Colour, FAINT, GRID, INK, style};

/// Font sizes of names, and of labels and titles of axes.
const LETTERS: (f32, f32) = (13.0, 12.0);
/// Opacity of schedules that are not significantly different from the first.
const FAINT_OPACITY: f32 = 0.45;
const BAND_OPACITY: f32 = 0.13;
/// The largest width of a name in the legend.
const NAME: f32 = 280.0;
const GAP: f32 = 12.0;

impl Chart {
    /// The picture with `notes` under its title and `names` in its legend, in the order of the ranking.
    pub(crate) fn page(&self, title: String, notes: &[String], names: &[&str]) -> Page {
        let legend = layout::legend_width(names, NAME);
        let width = (WIDTH as f32 + legend + GAP).ceil();
        let (mut marks, top) = layout::heading(&title, notes, width);
        let chart = self.height as f32;
        let height = (top + chart.max(names.len() as f32 * LEGEND_LINE) + GAP).ceil();
        marks.extend(layout::legend(names, NAME, (width, top, height - GAP)).0);
        let painter = Painter { top, opacity: 1.0 };
        self.shapes.iter().for_each(|shape| painter.shape(shape, &mut marks));
        let size = Size { width: width as u32, height: height as u32 };
        Page { title, size, output: size, plot: [0.0, top, WIDTH as f32, top + chart], marks }
    }
}

/// Converts shapes to marks.
struct Painter {
    top: f32,
    opacity: f32,
}

impl Painter {
    fn at(&self, (x, y): Point) -> (f32, f32) {
        (x as f32, y as f32 + self.top)
    }

    fn shape(&self, shape: &Shape, marks: &mut Vec<Mark>) {
        match shape {
            Shape::Rule { kind, from, to } => {
                let (colour, width) = match kind {
                    Rule::Grid => (GRID, 1.0),
                    Rule::Zero => (INK, 1.5),
                    Rule::Whisker => (INK, 2.0),
                };
                let (from, to) = (self.at(*from), self.at(*to));
                marks.push(Mark::Line { from, to, colour: self.faded(colour), width, dash: &[] });
            }
            Shape::Text { kind, at, text } => {
                let (size, colour, anchor) = match kind {
                    Text::MarkX | Text::TitleX | Text::TitleY => (LETTERS.1, FAINT, Anchor::Middle),
                    Text::MarkY => (LETTERS.1, FAINT, Anchor::End),
                    Text::Name => (LETTERS.0, INK, Anchor::End),
                };
                marks.push(Mark::Text {
                    at: self.at(*at),
                    text: text.clone(),
                    size,
                    colour: self.faded(colour),
                    anchor,
                    vertical: *kind == Text::TitleY,
                });
            }
            Shape::Line { i, pieces, name } => {
                let (colour, dash) = style(*i);
                for piece in pieces {
                    let points = piece.iter().map(|point| self.at(*point)).collect();
                    marks.push(Mark::Curve { points, colour: self.faded(colour), dash, tip: name.clone() });
                }
            }
            Shape::Band { i, points } => {
                let points = points.iter().map(|point| self.at(*point)).collect();
                marks.push(Mark::Area { points, colour: style(*i).0, opacity: BAND_OPACITY });
            }
            Shape::Dot { i, at, chosen, label } => {
                let radius = if *chosen { 6.0 } else { 3.0 };
                let colour = self.faded(style(*i).0);
                marks.push(Mark::Dot { at: self.at(*at), radius, colour, tip: label.clone() });
            }
            Shape::Row { faint, shapes, .. } => {
                let row = Painter { opacity: if *faint { FAINT_OPACITY } else { 1.0 }, ..*self };
                shapes.iter().for_each(|shape| row.shape(shape, marks));
            }
        }
    }

    /// The colour at the current opacity over white.
    fn faded(&self, colour: Colour) -> Colour {
        colour.map(|part| (255.0 - self.opacity * (255.0 - f32::from(part))).round() as u8)
    }
}
