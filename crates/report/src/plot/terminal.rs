//! Renders a figure as text: curves in braille characters of 2 x 4 dots. Each curve has its own panel instead of a colour, so the
//! text works on every background and in files.

use super::layout::{self, Range};
use super::{Curve, Figure, ticks};

/// The bits of the dots of a braille character: rows from the top, left and right column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

pub(super) fn write(figure: &Figure, width: usize) -> String {
    let width = width.max(24);
    let mut text = String::new();
    if !figure.title.is_empty() {
        push(&mut text, &truncated(&figure.title, width));
    }
    for note in layout::notes(figure) {
        crate::wrap::wrapped(&printable(&note), width).iter().for_each(|line| push(&mut text, line));
    }
    if !text.is_empty() && !figure.curves.is_empty() {
        text.push('\n');
    }
    let range = Range::tight(figure);
    let many = figure.curves.len() > 3;
    let panels_per_row = if many && width >= 70 { 2 } else { 1 };
    let rows = match figure.curves.len() {
        1 => 12,
        2 | 3 => 7,
        _ => 5,
    };
    let panel_width = (width - 3 * (panels_per_row - 1)) / panels_per_row;
    for row in figure.curves.chunks(panels_per_row) {
        let panels: Vec<Vec<String>> =
            row.iter().map(|curve| panel(figure, curve, range, panel_width, rows)).collect();
        for i in 0..panels.iter().map(Vec::len).max().unwrap_or(0) {
            let line: Vec<String> = panels
                .iter()
                .map(|panel| format!("{:panel_width$}", panel.get(i).map_or("", String::as_str)))
                .collect();
            push(&mut text, line.join("   ").trim_end());
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The panel of one curve, with its name and axes.
fn panel(figure: &Figure, curve: &Curve, range: Range, width: usize, rows: usize) -> Vec<String> {
    let (high, low) = (crate::short(range.high), crate::short(range.low));
    let margin = high.chars().count().max(low.chars().count());
    let columns = width.saturating_sub(margin + 2).max(8);
    let mut lines = Vec::new();
    let is_single = figure.curves.len() == 1;
    lines.push(truncated(if is_single { &figure.y_title } else { &curve.name }, width));
    for (i, row) in dots(curve, range, figure.total, columns, rows).into_iter().enumerate() {
        let (label, edge) = match i {
            0 => (high.as_str(), '┤'),
            i if i + 1 == rows => (low.as_str(), '┤'),
            _ => ("", '│'),
        };
        lines.push(format!("{label:>margin$} {edge}{row}"));
    }
    lines.push(format!("{:margin$} └{}", "", "─".repeat(columns)));
    lines.push(format!("{:margin$}  {}", "", below(figure, columns)));
    if !is_single {
        lines.push(String::new());
    }
    lines
}

/// The labels of the horizontal axis: 0, the title if there is room, the last step.
fn below(figure: &Figure, columns: usize) -> String {
    let last = figure.total.saturating_sub(1).max(1);
    let end = ticks::count(last);
    let title = figure.x_title.split(' ').next().unwrap_or_default();
    let inner = columns.saturating_sub(1 + end.chars().count());
    format!("0{title:^inner$}{end}")
}

/// The curve in braille characters.
fn dots(curve: &Curve, range: Range, total: u64, columns: usize, rows: usize) -> Vec<String> {
    let (across, down) = (2 * columns, 4 * rows);
    let last = total.saturating_sub(1).max(1) as f64;
    let mut cells = vec![vec![0_u32; columns]; rows];
    let mut set = |x: i64, y: i64| {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        let dot = DOTS.get(y % 4).and_then(|row| row.get(x % 2));
        if let (Some(cell), Some(dot)) = (cells.get_mut(y / 4).and_then(|row| row.get_mut(x / 2)), dot) {
            *cell |= dot;
        }
    };
    let position = |(step, value): &(f64, f64)| {
        let x = (step / last * (across - 1) as f64).round() as i64;
        let y = ((1.0 - range.height(*value)) * (down - 1) as f64).round() as i64;
        (x, y)
    };
    for pair in curve.points.windows(2) {
        if let [a, b] = pair {
            draw_line(position(a), position(b), &mut set);
        }
    }
    cells
        .into_iter()
        .map(|row| {
            let letters = row.into_iter().map(|cell| match cell {
                0 => ' ',
                cell => char::from_u32(0x2800 + cell).unwrap_or(' '),
            });
            letters.collect::<String>()
        })
        .collect()
}

/// Sets all dots of the line from `a` to `b`.
fn draw_line(a: (i64, i64), b: (i64, i64), set: &mut impl FnMut(i64, i64)) {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let steps = dx.abs().max(dy.abs());
    for i in 0..=steps {
        let fraction = if steps == 0 { 0.0 } else { i as f64 / steps as f64 };
        set(a.0 + (dx as f64 * fraction).round() as i64, a.1 + (dy as f64 * fraction).round() as i64);
    }
}

/// At most `limit` characters, without control characters that a terminal would execute.
fn truncated(text: &str, limit: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= limit {
        return text;
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use super::*;

    fn figure(names: &[&str]) -> Figure {
        let points = (0..9).map(|t| (f64::from(t), 1.0 - f64::from(t) / 8.0)).collect::<Vec<_>>();
        Figure {
            title: "a \u{1b}[2J title".to_owned(),
            notes: Vec::new(),
            x_title: "step".to_owned(),
            y_title: "lr".to_owned(),
            scale: Scale::Linear,
            total: 9,
            curves: names
                .iter()
                .map(|name| Curve { name: (*name).to_owned(), points: points.clone() })
                .collect(),
        }
    }

    #[test]
    fn a_line_falls_from_the_upper_left_to_the_lower_right() {
        let text = write(&figure(&["a"]), 30);
        let rows: Vec<&str> = text.lines().filter(|line| line.contains(['┤', '│'])).collect();
        assert_eq!(rows.len(), 12);
        assert!(
            rows[0].starts_with("1 ┤⠑") || rows[0].starts_with("1 ┤⠉") || rows[0].starts_with("1 ┤⠙"),
            "{text}"
        );
        assert!(rows[11].starts_with("0 ┤") && rows[11].chars().count() == 30, "{text}");
        assert!(text.ends_with("8\n"), "{text}");
    }

    #[test]
    fn lines_fit_the_width_and_have_no_control_characters() {
        for names in [&["a"][..], &["a", "b"], &["a", "b", "c", "d", &"long ".repeat(50)]] {
            for width in [24, 79, 80, 120] {
                let text = write(&figure(names), width);
                assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
                assert!(!text.contains('\u{1b}'));
            }
        }
    }
}
