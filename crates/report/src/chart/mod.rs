//! Charts of results as plain shapes: axes, lines, bands, points. `report_charts` builds them; `html` renders them within the
//! report, `page` as standalone pictures.

mod page;
pub(crate) mod report_charts;

use crate::plot::scale::Scale;
use crate::plot::ticks::Tick;

/// Width of a chart in its own units.
pub(crate) const WIDTH: f64 = 900.0;
/// Left and right end of the plotting area.
pub(crate) const LEFT: f64 = 84.0;
/// See `LEFT`.
pub(crate) const RIGHT: f64 = 880.0;
/// The fraction of an axis that is left free beyond its values.
const AIR: f64 = 0.04;

/// An axis of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    /// Coordinates of `low` and `high`.
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis over the finite values, with some free space at both ends; `None` if there are none.
    pub(crate) fn over(values: impl Iterator<Item = f64>, log: bool, (from, to): (f64, f64)) -> Option<Self> {
        let values: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        if low > high {
            return None;
        }
        let scale = if log { Scale::logarithmic(&values) } else { Scale::Linear };
        let (low, high) = if low < high {
            (scale.at(-AIR, low, high), scale.at(1.0 + AIR, low, high))
        } else {
            let around = low.abs().max(1e-3) * 0.1;
            (low - around, high + around)
        };
        Some(Self { low, high, scale, from, to })
    }

    /// An axis from exactly `low` to `high`.
    pub(crate) fn exactly(low: f64, high: f64, span: (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, scale: Scale::Linear, from: span.0, to: span.1 }
    }

    /// The coordinate of a value.
    pub(crate) fn at(&self, x: f64) -> f64 {
        let share = self.scale.share(x, self.low, self.high);
        self.from + share.clamp(-0.02, 1.02) * (self.to - self.from)
    }

    pub(crate) fn marks(&self, number: usize) -> Vec<Tick> {
        self.scale.ticks(self.low, self.high, number)
    }
}

/// A point of a chart, x to the right and y downwards.
pub(crate) type Point = (f64, f64);

/// One shape to draw. `i` is the schedule's index in the ranking, which determines its colour and dash.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A straight line.
    Rule { kind: Rule, from: Point, to: Point },
    /// A text that is centred at a point or ends there; a vertical title is rotated and runs upwards.
    Text { kind: Text, at: Point, text: String },
    /// A schedule's line, in pieces if it has gaps.
    Line { i: usize, pieces: Vec<Vec<Point>>, name: String },
    /// A schedule's band.
    Band { i: usize, points: Vec<Point> },
    /// A value of a schedule, with a label that a pointer shows; a chosen value is large.
    Dot { i: usize, at: Point, chosen: bool, label: String },
    /// The shapes of a schedule; faint if it is not significantly different from the first.
    Row { i: usize, faint: bool, shapes: Vec<Shape> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Grid,
    /// The line of no difference.
    Zero,
    /// A confidence interval.
    Whisker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// Label below a mark of the horizontal axis.
    MarkX,
    /// Label left of a mark of the vertical axis.
    MarkY,
    /// Title of the horizontal axis.
    TitleX,
    /// Title of the vertical axis, which runs upwards.
    TitleY,
    /// Name of a schedule, which ends at its point.
    Name,
}

/// A chart.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// The title.
    pub(crate) title: String,
    /// The description for screen readers.
    pub(crate) description: String,
    /// Height; the width is [`WIDTH`].
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
    /// Sentences about recorded values that are not in the chart, and why.
    pub(crate) undrawn: Vec<String>,
}

/// Why there is no chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoChart {
    /// The chart does not apply to the sweep.
    NotApplicable(&'static str),
    /// The chart applies, but there is nothing to draw.
    Empty(&'static str),
}

impl NoChart {
    /// The reason.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::NotApplicable(why) | Self::Empty(why) => why,
        }
    }
}

impl Chart {
    fn new(height: f64, title: impl Into<String>, description: &str) -> Self {
        Self {
            title: title.into(),
            description: description.to_owned(),
            height,
            shapes: Vec::new(),
            undrawn: Vec::new(),
        }
    }

    /// Adds labels, grid and title of the horizontal axis.
    fn x(&mut self, axis: &Axis, (top, bottom): (f64, f64), title: &str) {
        for (value, text) in axis.marks(8) {
            let x = axis.at(value);
            self.shapes.push(Shape::Rule { kind: Rule::Grid, from: (x, top), to: (x, bottom) });
            self.shapes.push(Shape::Text { kind: Text::MarkX, at: (x, bottom + 16.0), text });
        }
        let at = (f64::midpoint(LEFT, RIGHT), bottom + 34.0);
        self.shapes.push(Shape::Text { kind: Text::TitleX, at, text: axis.scale.titled(title) });
    }

    /// Adds labels, grid and title of the vertical axis.
    fn y(&mut self, axis: &Axis, number: usize, title: &str) {
        for (value, text) in axis.marks(number) {
            let y = axis.at(value);
            self.shapes.push(Shape::Rule { kind: Rule::Grid, from: (LEFT, y), to: (RIGHT, y) });
            self.shapes.push(Shape::Text { kind: Text::MarkY, at: (LEFT - 6.0, y + 4.0), text });
        }
        let at = (14.0, f64::midpoint(axis.from, axis.to));
        self.shapes.push(Shape::Text { kind: Text::TitleY, at, text: axis.scale.titled(title) });
    }

    /// Adds a line through points. Values that are not finite leave gaps; a point between two gaps becomes a dot.
    fn line(&mut self, i: usize, points: impl Iterator<Item = Point>, axes: (&Axis, &Axis), name: &str) {
        let mut pieces: Vec<Vec<Point>> = vec![Vec::new()];
        for (x, y) in points {
            match pieces.last_mut() {
                Some(piece) if x.is_finite() && y.is_finite() => piece.push((axes.0.at(x), axes.1.at(y))),
                _ => pieces.push(Vec::new()),
            }
        }
        for piece in &pieces {
            if let [at] = piece.as_slice() {
                self.shapes.push(Shape::Dot { i, at: *at, chosen: false, label: name.to_owned() });
            }
        }
        pieces.retain(|piece| piece.len() > 1);
        if !pieces.is_empty() {
            self.shapes.push(Shape::Line { i, pieces, name: name.to_owned() });
        }
    }

    /// Adds the area between two lines.
    fn band(&mut self, i: usize, x: &[f64], low: &[f64], high: &[f64], axes: (&Axis, &Axis)) {
        let lower = x.iter().zip(low).map(|(x, y)| (*x, *y));
        let upper = x.iter().zip(high).map(|(x, y)| (*x, *y)).rev();
        let points: Vec<Point> = lower
            .chain(upper)
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| (axes.0.at(x), axes.1.at(y.max(axes.1.low))))
            .collect();
        if points.len() > 3 {
            self.shapes.push(Shape::Band { i, points });
        }
    }
}
