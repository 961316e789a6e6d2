//! The report's charts as SVG, complete without a script: axes, lines, bands, points. Colours are classes of the style
//! sheet, so that they follow the theme; every line has a dash as well.

use std::fmt::Write;

use super::escape;
use crate::plot::palette::{STYLES, style};
use crate::plot::ticks::{self, round_step};

/// Size of the drawing in its own units; the page scales it.
pub(super) const WIDTH: f64 = 900.0;
/// Where the plotting area begins and ends.
pub(super) const LEFT: f64 = 70.0;
/// See `LEFT`.
pub(super) const RIGHT: f64 = 880.0;

/// One direction of a chart.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Where `low` and `high` are drawn.
    from: f64,
    to: f64,
}

impl Axis {
    /// Over all of these values that can be drawn, with some air; `None` if there is none.
    pub(super) fn over(values: impl Iterator<Item = f64>, log: bool, (from, to): (f64, f64)) -> Option<Self> {
        let drawn = values.filter(|x| x.is_finite() && (!log || *x > 0.0));
        let (low, high) =
            drawn.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return None;
        }
        let (low, high) = match (log, low == high) {
            (true, _) => (low / 1.15, high * 1.15),
            (false, true) => (low - low.abs().max(1e-3) * 0.1, high + high.abs().max(1e-3) * 0.1),
            (false, false) => (low - 0.04 * (high - low), high + 0.04 * (high - low)),
        };
        Some(Self { low, high, log, from, to })
    }

    /// From exactly here to there.
    pub(super) fn exactly(low: f64, high: f64, span: (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, log: false, from: span.0, to: span.1 }
    }

    /// Where a value is drawn.
    pub(super) fn at(&self, x: f64) -> f64 {
        let share = if self.log {
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            (x - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(-0.02, 1.02) * (self.to - self.from)
    }

    fn marks(&self, number: usize) -> Vec<(f64, String)> {
        if self.log {
            return ticks::log(self.low, self.high, number);
        }
        let step = round_step((self.high - self.low) / number as f64);
        if !step.is_finite() || step <= 0.0 {
            return Vec::new();
        }
        let first = (self.low / step).ceil() as i64;
        let decimals = usize::try_from(-(step.log10() + 1e-9).floor() as i32).unwrap_or(0).min(12);
        let text = |x: f64| {
            if x != 0.0 && !(1e-4..1e7).contains(&x.abs()) { crate::lr(x) } else { format!("{x:.decimals$}") }
        };
        (first..first + 3 * number as i64)
            .map(|i| i as f64 * step)
            .take_while(|x| *x <= self.high)
            .map(|x| (x, text(x)))
            .collect()
    }
}

/// A chart being drawn.
pub(super) struct Chart {
    pub(super) body: String,
    height: f64,
}

/// Class and dash of the schedule at this place of the ranking.
pub(super) fn look(i: usize) -> String {
    let (_, dashes) = style(i);
    let dashes: Vec<String> = dashes.iter().map(ToString::to_string).collect();
    let dash =
        if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", dashes.join(" ")) };
    format!("class=\"line k{}\" data-s=\"{i}\"{dash}", i % STYLES % 7)
}

impl Chart {
    pub(super) fn new(height: f64) -> Self {
        Self { body: String::new(), height }
    }

    /// Marks, grid and title of the horizontal axis.
    pub(super) fn x(&mut self, axis: &Axis, (top, bottom): (f64, f64), title: &str) {
        for (value, text) in axis.marks(8) {
            let x = axis.at(value);
            let _ = write!(
                self.body,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text class=\"mark\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                escape(&text)
            );
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        let _ = write!(
            self.body,
            "<text class=\"axis\" x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 34.0,
            escape(title)
        );
    }

    /// The same of the vertical axis.
    pub(super) fn y(&mut self, axis: &Axis, number: usize, title: &str) {
        for (value, text) in axis.marks(number) {
            let y = axis.at(value);
            let _ = write!(
                self.body,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                escape(&text)
            );
        }
        let middle = f64::midpoint(axis.from, axis.to);
        let _ = write!(
            self.body,
            "<text class=\"axis\" transform=\"translate(14 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(title)
        );
    }

    /// A line through points; what can't be drawn interrupts it.
    pub(super) fn line(
        &mut self,
        i: usize,
        points: impl Iterator<Item = (f64, f64)>,
        axes: (&Axis, &Axis),
        name: &str,
    ) {
        let mut path = String::new();
        let mut pen = false;
        for (x, y) in points {
            let draws = |axis: &Axis, value: f64| value.is_finite() && (!axis.log || value > 0.0);
            if draws(axes.0, x) && draws(axes.1, y) {
                let _ =
                    write!(path, "{}{:.1} {:.1}", if pen { "L" } else { "M" }, axes.0.at(x), axes.1.at(y));
                pen = true;
            } else {
                pen = false;
            }
        }
        if !path.is_empty() {
            let _ =
                write!(self.body, "<path {} d=\"{path}\"><title>{}</title></path>", look(i), escape(name));
        }
    }

    /// The area between two lines.
    pub(super) fn band(&mut self, i: usize, x: &[f64], low: &[f64], high: &[f64], axes: (&Axis, &Axis)) {
        let lower = x.iter().zip(low).map(|(x, y)| (*x, *y));
        let upper = x.iter().zip(high).map(|(x, y)| (*x, *y)).rev();
        let visible = |y: f64| if axes.1.log { y.max(axes.1.low) } else { y };
        let points: Vec<String> = lower
            .chain(upper)
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| format!("{:.1},{:.1}", axes.0.at(x), axes.1.at(visible(y))))
            .collect();
        if points.len() > 3 {
            let class = format!("band k{}", i % STYLES % 7);
            let _ = write!(
                self.body,
                "<polygon class=\"{class}\" data-s=\"{i}\" points=\"{}\"/>",
                points.join(" ")
            );
        }
    }

    /// A dot, with words that a pointer shows.
    pub(super) fn dot(&mut self, i: usize, (x, y): (f64, f64), chosen: bool, words: &str) {
        let (class, r) = if chosen { ("chosen", 6.0) } else { ("dot", 3.0) };
        let _ = write!(
            self.body,
            "<circle class=\"{class} k{}\" data-s=\"{i}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"><title>{}</title></circle>",
            i % STYLES % 7,
            escape(words)
        );
    }

    /// The picture, with words for those who don't see it.
    pub(super) fn svg(self, id: &str, title: &str, description: &str, more: &str) -> String {
        format!(
            "<svg id=\"{id}\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{more}>\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{}</svg>",
            self.height,
            escape(title),
            escape(description),
            self.body
        )
    }
}
