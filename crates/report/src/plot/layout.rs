//! Lays out a figure in pixels: axes, labels, curves and legend. SVG and PNG share this layout.

use super::palette::{AXIS, Colour, FAINT, GRID, INK, style};
use super::scale::Scale;
use super::ticks::{self, Tick};
use super::{Curve, Figure, Scale as Requested, Size, font};

/// A picture in pixels, x to the right and y downwards.
#[derive(Debug)]
pub struct Page {
    pub(crate) title: String,
    /// The size of the layout.
    pub(crate) size: Size,
    /// The size of the output, to which the layout is scaled.
    pub(crate) output: Size,
    /// Left, top, right and bottom of the plotting area.
    pub(crate) plot: [f32; 4],
    pub(crate) marks: Vec<Mark>,
}

impl Page {
    /// The page, scaled to fit into an output size.
    #[must_use]
    pub fn scaled_to(self, output: Size) -> Self {
        Self { output, ..self }
    }

    /// Its output size in pixels.
    pub fn pixels(&self) -> Size {
        self.output
    }

    /// Characters of its texts that the PNG's font does not have and draws as boxes. An SVG uses the viewer's fonts.
    pub fn letters_without_glyph(&self) -> Vec<char> {
        let texts = self.marks.iter().filter_map(|mark| match mark {
            Mark::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let mut letters: Vec<char> = texts.flat_map(str::chars).filter(|c| !font::has(*c)).collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    }
}

/// One element to draw.
#[derive(Debug)]
pub(crate) enum Mark {
    /// A straight line.
    Line { from: (f32, f32), to: (f32, f32), colour: Colour, width: f32, dash: &'static [f32] },
    /// A curve, clipped to the plotting area, with a tooltip.
    Curve { points: Vec<(f32, f32)>, colour: Colour, dash: &'static [f32], tip: String },
    /// Text whose base line starts, is centred or ends at a point; vertical text runs upwards.
    Text { at: (f32, f32), text: String, size: f32, colour: Colour, anchor: Anchor, vertical: bool },
    /// A translucent filled area, clipped to the plotting area.
    Area { points: Vec<(f32, f32)>, colour: Colour, opacity: f32 },
    /// A filled circle, with a tooltip.
    Dot { at: (f32, f32), radius: f32, colour: Colour, tip: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Width of a curve.
pub(super) const STROKE: f32 = 1.8;

const TITLE: f32 = 15.0;
const LABEL: f32 = 12.0;
const NOTE: f32 = 11.0;
const MARGIN: f32 = 12.0;
const NOTE_LINE: f32 = 15.0;
pub(crate) const LEGEND_LINE: f32 = 18.0;
/// Length of the sample of a curve in the legend, and the gap after it.
const SAMPLE: (f32, f32) = (30.0, 7.0);
/// Leaving out points moves a curve by less than this many pixels.
const TOLERANCE: f32 = 0.15;
/// The largest range of a log axis, as a ratio, unless many points are below it.
const DECADES: f64 = 1e6;
/// The fraction of an axis that is left free beyond its values.
const AIR: f64 = 0.05;

pub(super) fn fitting_size(figure: &Figure) -> Size {
    let width = 960.0;
    let legend = if figure.curves.len() > 1 { figure.curves.len() as f32 * LEGEND_LINE } else { 0.0 };
    let above = heading(&figure.title, &notes(figure), width).1;
    let height = (above + legend + 60.0).clamp(540.0, 6000.0);
    Size { width: width as u32, height: height as u32 }
}

pub(super) fn lay_out(figure: &Figure, size: Size) -> Page {
    let (width, height) = (size.width as f32, size.height as f32);
    let (mut marks, top) = heading(&figure.title, &notes(figure), width);
    let range = Range::of(figure);
    let names: Vec<&str> = figure.curves.iter().map(|curve| curve.name.as_str()).collect();
    let (legend, right) = legend(&names, 0.36 * width, (width, top, height - MARGIN));
    marks.extend(legend);

    let bottom = height - 46.0;
    let ticks = range.ticks(((bottom - top) / 45.0) as usize);
    let labels = ticks.iter().map(|(_, text)| font::width(text, LABEL)).fold(0.0, f32::max);
    let left = (MARGIN + 20.0 + labels + 8.0).round() + 0.5;
    let plot =
        [left, top.round() + 0.5, right.max(left + 40.0).round() + 0.5, bottom.max(top + 30.0).round() + 0.5];
    let frame = Frame { plot, range, total: figure.total as f64 };

    marks.extend(y_axis(&frame, &ticks, &figure.y_title));
    marks.extend(x_axis(&frame, figure));
    marks.extend(figure.curves.iter().enumerate().map(|(i, curve)| frame.curve(i, curve)));
    Page { title: figure.title.clone(), size, output: size, plot, marks }
}

/// The range of the vertical axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// The range with some free space at both ends, but none below a lowest value of 0.
    fn of(figure: &Figure) -> Self {
        let Self { scale, low, high } = Self::tight(figure);
        let below = if low == 0.0 { 0.0 } else { -AIR };
        Self { scale, low: scale.at(below, low, high), high: scale.at(1.0 + AIR, low, high) }
    }

    /// From the lowest to the highest value, including 0 unless the axis is logarithmic.
    pub(super) fn tight(figure: &Figure) -> Self {
        let (low, high) = figure.values().fold((0.0, 0.0), |(low, high), x| (x.min(low), x.max(high)));
        let largest = high.max(-low);
        let least = figure.values().map(f64::abs).filter(|x| *x > 0.0).min_by(f64::total_cmp);
        match (figure.scale, least) {
            (_, None) => Self { scale: Scale::Linear, low: 0.0, high: 1.0 },
            (Requested::Linear, _) => Self { scale: Scale::Linear, low, high },
            (Requested::Log, Some(least)) => {
                let unit = if spans_more(figure, largest) { least } else { least.max(largest / DECADES) };
                if figure.values().any(|x| x < unit) {
                    Self { scale: Scale::Symlog { unit }, low, high }
                } else if least == high {
                    Self { scale: Scale::Log, low: high / 3.0, high: high * 3.0 }
                } else {
                    Self { scale: Scale::Log, low: rounded_down(least), high }
                }
            }
        }
    }

    fn ticks(&self, number: usize) -> Vec<Tick> {
        let limit = if self.scale == Scale::Linear { 8 } else { 12 };
        self.scale.ticks(self.low, self.high, number.clamp(2, limit))
    }

    /// The height of a value: 0 at the lower edge, 1 at the upper edge.
    pub(super) fn height(&self, value: f64) -> f64 {
        self.scale.share(value, self.low, self.high)
    }
}

/// Whether more than 5 % of a curve's points are below the usual range of a log axis. The last steps of a ramp to 0 are fewer:
/// showing their full range would leave no room for the rest.
fn spans_more(figure: &Figure, largest: f64) -> bool {
    figure.curves.iter().any(|curve| {
        let sizes = curve.points.iter().map(|(_, value)| value.abs());
        20 * sizes.filter(|size| *size > 0.0 && *size < largest / DECADES).count() > curve.points.len()
    })
}

/// Rounds down to one significant digit, so that the label is exact.
fn rounded_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let rounded = (value / power + 1e-9).floor() * power;
    if rounded > 0.0 { rounded } else { value }
}

/// Maps steps and values to pixels.
struct Frame {
    plot: [f32; 4],
    range: Range,
    total: f64,
}

impl Frame {
    fn x(&self, step: f64) -> f32 {
        let [left, _, right, _] = self.plot;
        left + (step / self.total) as f32 * (right - left)
    }

    fn y(&self, value: f64) -> f32 {
        let [_, top, _, bottom] = self.plot;
        bottom - self.range.height(value) as f32 * (bottom - top)
    }

    fn curve(&self, i: usize, curve: &Curve) -> Mark {
        let points: Vec<(f32, f32)> =
            curve.points.iter().map(|(step, value)| (self.x(*step), self.y(*value))).collect();
        let (colour, dash) = style(i);
        let end = |point: Option<&(f64, f64)>| point.map_or(0.0, |(_, value)| *value);
        let tip = format!(
            "{}: from {} to {}",
            curve.name,
            crate::short(end(curve.points.first())),
            crate::short(end(curve.points.last()))
        );
        Mark::Curve { points: simplified(&points), colour, dash, tip }
    }
}

/// Title and notes, and the top of the area below them.
pub(crate) fn heading(title: &str, notes: &[String], width: f32) -> (Vec<Mark>, f32) {
    let room = width - 2.0 * MARGIN;
    let mut marks = Vec::new();
    let mut y = MARGIN;
    if !title.is_empty() {
        y += TITLE;
        marks.push(text((MARGIN, y), font::shortened(title, TITLE, room), TITLE, INK, Anchor::Start));
        y += 6.0;
    }
    for note in notes {
        for line in wrapped(note, room) {
            y += NOTE_LINE;
            marks.push(text((MARGIN, y), line, NOTE, FAINT, Anchor::Start));
        }
    }
    let gap = if marks.is_empty() { 0.0 } else { 14.0 };
    (marks, y + gap)
}

/// The figure's notes, and a note on its scale if it is not the requested one.
pub(super) fn notes(figure: &Figure) -> Vec<String> {
    let scale = match Range::tight(figure).scale {
        Scale::Symlog { unit } => Some(format!(
            "a log axis can't show 0: this axis is symlog, linear within about {} of 0",
            crate::short(unit)
        )),
        Scale::Linear if figure.scale == Requested::Log => {
            Some("a log axis can't show 0: this axis is linear".to_owned())
        }
        Scale::Linear | Scale::Log => None,
    };
    figure.notes.iter().cloned().chain(scale).collect()
}

/// Wraps a note into lines that fit.
fn wrapped(note: &str, room: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split_whitespace() {
        match lines.last_mut() {
            Some(line) if font::width(&format!("{line} {word}"), NOTE) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(font::shortened(word, NOTE, room)),
        }
    }
    lines
}

/// The width of [`legend`] at full size. No name is wider than `max_name`.
pub(crate) fn legend_width(names: &[&str], max_name: f32) -> f32 {
    if names.len() < 2 {
        return MARGIN + 8.0;
    }
    let widths = names.iter().map(|name| font::width(&font::shortened(name, LABEL, max_name), LABEL));
    MARGIN + widths.fold(0.0, f32::max) + SAMPLE.0 + SAMPLE.1 + 18.0
}

/// The legend at the right of a page of width `width`, between `top` and `bottom`, and the right end of the plotting area. No
/// name is wider than `max_name`. A single curve needs no legend.
pub(crate) fn legend(
    names: &[&str],
    max_name: f32,
    (width, top, bottom): (f32, f32, f32),
) -> (Vec<Mark>, f32) {
    if names.len() < 2 {
        return (Vec::new(), width - legend_width(names, max_name));
    }
    // With little room, the lines are closer together; the last line counts the names that do not fit.
    let room = (bottom - top).max(LEGEND_LINE);
    let line = (room / names.len() as f32).clamp(11.0, LEGEND_LINE);
    let letters = LABEL.min(line - 2.0);
    let fit = (room / line) as usize;
    let visible = if names.len() > fit { fit.saturating_sub(1) } else { names.len() };
    let hidden = names.len() - visible;
    let names: Vec<String> =
        names.iter().take(visible).map(|name| font::shortened(name, letters, max_name)).collect();
    let rest = format!("and {hidden} more");
    let widest = names.iter().chain((hidden > 0).then_some(&rest)).map(|name| font::width(name, letters));
    let left = width - MARGIN - widest.fold(0.0, f32::max) - SAMPLE.0 - SAMPLE.1;
    let mut marks = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let y = (top + (i as f32 + 0.5) * line).round() + 0.5;
        let (colour, dash) = style(i);
        marks.push(Mark::Line {
            from: (left, y),
            to: (left + SAMPLE.0, y),
            colour,
            width: STROKE + 0.2,
            dash,
        });
        let at = (left + SAMPLE.0 + SAMPLE.1, y + 0.36 * letters);
        marks.push(text(at, name, letters, INK, Anchor::Start));
    }
    if hidden > 0 {
        let y = top + (visible as f32 + 0.5) * line + 0.36 * letters;
        marks.push(text((left + SAMPLE.0 + SAMPLE.1, y), rest, letters, FAINT, Anchor::Start));
    }
    (marks, left - 18.0)
}

fn y_axis(frame: &Frame, ticks: &[Tick], title: &str) -> Vec<Mark> {
    let [left, top, right, bottom] = frame.plot;
    let mut marks = Vec::new();
    for (value, label) in ticks {
        let y = frame.y(*value).floor() + 0.5;
        if y <= bottom + 1.0 && y >= top - 1.0 {
            marks.push(line((left, y), (right, y), GRID));
            marks.push(text((left - 7.0, y + 0.36 * LABEL), label.clone(), LABEL, INK, Anchor::End));
        }
    }
    marks.push(line((left, top), (left, bottom), AXIS));
    let title = font::shortened(title, LABEL, bottom - top + 8.0);
    let at = (MARGIN + LABEL - 2.0, (top + bottom) / 2.0);
    marks.push(Mark::Text {
        at,
        text: title,
        size: LABEL,
        colour: INK,
        anchor: Anchor::Middle,
        vertical: true,
    });
    marks
}

fn x_axis(frame: &Frame, figure: &Figure) -> Vec<Mark> {
    let [left, _, right, bottom] = frame.plot;
    let mut marks = vec![line((left, bottom), (right, bottom), AXIS)];
    for (step, label) in ticks::steps(figure.total, ((right - left) / 75.0).clamp(2.0, 12.0) as usize) {
        let x = frame.x(step).floor() + 0.5;
        marks.push(line((x, bottom), (x, bottom + 4.0), AXIS));
        marks.push(text((x, bottom + 17.0), label, LABEL, INK, Anchor::Middle));
    }
    let title = font::shortened(&figure.x_title, LABEL, right - left + 40.0);
    marks.push(text(((left + right) / 2.0, bottom + 36.0), title, LABEL, INK, Anchor::Middle));
    marks
}

fn line(from: (f32, f32), to: (f32, f32), colour: Colour) -> Mark {
    Mark::Line { from, to, colour, width: 1.0, dash: &[] }
}

fn text(at: (f32, f32), text: String, size: f32, colour: Colour, anchor: Anchor) -> Mark {
    Mark::Text { at, text, size, colour, anchor, vertical: false }
}

/// Removes points that hardly change the line (Ramer 1972; Douglas and Peucker 1973).
fn simplified(points: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let mut keep = vec![false; points.len()];
    let mut segments = vec![(0, points.len().saturating_sub(1))];
    while let Some((first, last)) = segments.pop() {
        for end in [first, last] {
            if let Some(keep) = keep.get_mut(end) {
                *keep = true;
            }
        }
        let (Some(a), Some(b)) = (points.get(first), points.get(last)) else { continue };
        let between = points.iter().enumerate().take(last).skip(first + 1);
        let far = between.map(|(i, point)| (i, distance(*point, *a, *b))).max_by(|x, y| x.1.total_cmp(&y.1));
        if let Some((i, distance)) = far
            && distance > TOLERANCE
        {
            segments.push((first, i));
            segments.push((i, last));
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

/// Distance from a point to the segment between two others.
fn distance(point: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((point.0 - a.0) * dx + (point.1 - a.1) * dy) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    (point.0 - a.0 - along * dx).hypot(point.1 - a.1 - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_that_matter_are_kept() {
        let straight: Vec<(f32, f32)> = (0..100).map(|i| (i as f32, 2.0 * i as f32)).collect();
        assert_eq!(simplified(&straight), [(0.0, 0.0), (99.0, 198.0)]);
        let step = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 9.0), (3.0, 9.0)];
        assert_eq!(simplified(&step), [(0.0, 0.0), (2.0, 0.0), (2.0, 9.0), (3.0, 9.0)]);
        assert_eq!(simplified(&[]), []);
    }

    fn figure(scale: Requested, values: &[f64]) -> Figure {
        let points = values.iter().enumerate().map(|(i, value)| (i as f64, *value)).collect();
        Figure {
            title: "a".to_owned(),
            notes: Vec::new(),
            x_title: "step".to_owned(),
            y_title: "lr".to_owned(),
            scale,
            total: values.len() as u64,
            curves: vec![Curve { name: "a".to_owned(), points }],
        }
    }

    #[test]
    fn every_mark_is_on_the_page_for_extreme_values() {
        let max = f64::from(f32::MAX);
        for values in [
            &[0.0, 0.0][..],
            &[1e-300, 0.0],
            &[max, 1.0],
            &[0.1, 0.1],
            &[1.0],
            &[5e-324, max],
            &[-max, max],
            &[-1.0],
        ] {
            for scale in [Requested::Linear, Requested::Log] {
                for size in [Size { width: 200, height: 200 }, Size { width: 960, height: 540 }] {
                    let page = lay_out(&figure(scale, values), size);
                    page.marks.iter().for_each(|mark| is_on_the_page(mark, size));
                }
            }
        }
    }

    fn is_on_the_page(mark: &Mark, size: Size) {
        let points = match mark {
            Mark::Line { from, to, .. } => vec![*from, *to],
            Mark::Text { at, .. } | Mark::Dot { at, .. } => vec![*at],
            Mark::Curve { points, .. } | Mark::Area { points, .. } => {
                assert!(points.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
                return;
            }
        };
        for (x, y) in points {
            assert!((0.0..=size.width as f32).contains(&x), "{size:?} {mark:?}");
            assert!((0.0..=size.height as f32).contains(&y), "{size:?} {mark:?}");
        }
    }

    #[test]
    fn a_value_of_any_sign_is_within_the_plot_on_every_scale() {
        for values in
            [&[1.0, 0.5, 0.0][..], &[0.1, -0.05], &[-0.1, -0.2], &[1.0, 1e-9, -1e-12], &[0.0], &[-1e38, 1e38]]
        {
            for scale in [Requested::Linear, Requested::Log] {
                let figure = figure(scale, values);
                let page = lay_out(&figure, figure.fitting_size());
                let curve = page.marks.iter().find_map(|mark| match mark {
                    Mark::Curve { points, .. } => Some(points),
                    _ => None,
                });
                let [_, top, _, bottom] = page.plot;
                assert!(curve.is_some_and(|points| points.iter().all(|(_, y)| (top..=bottom).contains(y))));
                let has_note = page
                    .marks
                    .iter()
                    .any(|mark| matches!(mark, Mark::Text { text, .. } if text.contains("can't show 0")));
                assert_eq!(has_note, scale == Requested::Log, "{values:?}");
            }
        }
    }

    #[test]
    fn a_legend_that_does_not_fit_counts_the_hidden_names() {
        let mut figure = figure(Requested::Linear, &[1.0, 0.5]);
        figure.curves =
            (0..60).map(|i| Curve { name: format!("s{i}"), ..figure.curves[0].clone() }).collect();
        let texts = |size| {
            let texts = lay_out(&figure, size).marks.into_iter().filter_map(|mark| match mark {
                Mark::Text { text, .. } => Some(text),
                _ => None,
            });
            texts.collect::<Vec<_>>()
        };
        let fitting = texts(figure.fitting_size());
        assert!((0..60).all(|i| fitting.contains(&format!("s{i}"))));
        assert!(texts(Size { width: 400, height: 300 }).iter().any(|text| text.ends_with(" more")));
    }
}
