//! The text of the progress line. It fits its width: the least important parts are dropped first.

use std::time::Duration;

use crate::words::span;

/// The state of a round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// Trials of the round.
    pub all: usize,
    /// Trials that have ended, by any process.
    pub finished: usize,
    /// Trials whose steps are being trained in a lane of this process.
    pub running: usize,
    /// Trials that ended in other processes.
    pub elsewhere: usize,
    pub diverged: usize,
    pub failed: usize,
    /// Steps per second, as soon as they can be estimated.
    pub rate: Option<f64>,
    /// Time left, later rounds included.
    pub left: Option<Duration>,
    /// Whether lrs may still be added, which the time left does not include.
    pub may_extend: bool,
    /// The best validation loss so far, and the trial that has it.
    pub best: Option<(f64, String)>,
}

/// A part of the line. Parts of a higher rank are dropped first.
struct Part {
    rank: u8,
    separator: &'static str,
    text: String,
}

impl Status {
    /// The line, in at most `width` columns if its first part fits.
    pub(crate) fn text(&self, width: usize) -> String {
        let mut parts = self.parts();
        loop {
            let line: String = parts.iter().flat_map(|part| [part.separator, &part.text]).collect();
            if line.chars().count() <= width || parts.len() < 2 {
                return line;
            }
            let last = parts.iter().map(|part| part.rank).max();
            parts.retain(|part| Some(part.rank) != last);
        }
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut add = |rank, separator, text| parts.push(Part { rank, separator, text });
        add(0, "", format!("{}/{} finished", self.finished, self.all));
        let waiting = self.all.saturating_sub(self.finished + self.running);
        for (rank, count, name) in [
            (3, self.running, "running"),
            (4, waiting, "waiting"),
            (2, self.failed, "failed"),
            (5, self.diverged, "diverged"),
            (8, self.elsewhere, "by other processes"),
        ] {
            if count > 0 {
                add(rank, ", ", format!("{count} {name}"));
            }
        }
        if let Some(left) = self.left {
            add(1, ", ", format!("{} left", span(left)));
            if self.may_extend {
                add(10, " ", "+ added lrs".to_owned());
            }
        }
        if let Some(rate) = self.rate {
            let digits = if rate < 10.0 { 1 } else { 0 };
            add(7, ", ", format!("{rate:.digits$} steps/s"));
        }
        if let Some((loss, label)) = &self.best {
            add(6, ", ", format!("best {}", report::Rounding::Significant.number(*loss)));
            add(9, " ", format!("({label})"));
        }
        parts
    }
}

/// Columns of the bar in a terminal of this width; none in a narrow one.
pub(crate) fn bar_width(width: usize) -> usize {
    if width < 50 { 0 } else { (width / 6).min(30) }
}

/// Columns of the text after the bar and the percentage.
pub(crate) fn text_width(width: usize) -> usize {
    let bar = bar_width(width);
    // The bar and a space, `100%` and a space.
    width.saturating_sub(if bar > 0 { bar + 1 } else { 0 } + 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            all: 120,
            finished: 41,
            running: 16,
            diverged: 3,
            rate: Some(5123.4),
            left: Some(Duration::from_secs(83)),
            may_extend: true,
            best: Some((0.081_34, "wsd at lr 0.03".to_owned())),
            ..Status::default()
        }
    }

    #[test]
    fn the_line_at_several_widths() {
        let lines = [60, 80, 120, 200].map(|width| status().text(text_width(width)));
        assert_eq!(
            lines,
            [
                "41/120 finished, 16 running, 1m23s left",
                "41/120 finished, 16 running, 63 waiting, 1m23s left",
                "41/120 finished, 16 running, 63 waiting, 3 diverged, 1m23s left, 5123 steps/s, best 0.08134",
                "41/120 finished, 16 running, 63 waiting, 3 diverged, 1m23s left + added lrs, 5123 steps/s, \
                 best 0.08134 (wsd at lr 0.03)",
            ]
        );
    }

    #[test]
    fn the_line_fits_every_width() {
        let large = Status {
            all: 1_000_000,
            finished: 999_000,
            running: 512,
            elsewhere: 800_000,
            diverged: 12_345,
            failed: 6789,
            left: Some(Duration::from_secs(1_000_000_000)),
            best: Some((
                1.5e-7,
                "a schedule with a very long name, to the power of 2 at lr 0.0003".to_owned(),
            )),
            ..status()
        };
        for status in [Status::default(), status(), large] {
            for width in 30..=250 {
                let (bar, text) = (bar_width(width), status.text(text_width(width)));
                let all = bar + usize::from(bar > 0) + 5 + text.chars().count();
                assert!(all <= width, "{width}: {text}");
                assert!(text.contains(" finished"), "{width}: {text}");
            }
        }
    }

    #[test]
    fn nothing_is_dropped_without_a_terminal() {
        let text = status().text(usize::MAX);
        assert!(text.ends_with("5123 steps/s, best 0.08134 (wsd at lr 0.03)"), "{text}");
    }
}
