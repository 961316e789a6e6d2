//! Plots of lr curves: a [`Figure`] and its three formats (SVG, PNG, text for a terminal). `sample` samples the curves and
//! `layout` lays them out once, so that SVG and PNG show the same. No I/O here.

pub mod bowl;
mod example;
mod font;
pub(crate) mod layout;
pub(crate) mod palette;
mod png;
mod sample;
pub(crate) mod scale;
mod svg;
mod terminal;
pub(crate) mod ticks;

pub use example::{RUN, RUN_WORDS, example};
pub use layout::Page;
pub use palette::STYLES;
pub use sample::{COLUMNS, curve};

/// Curves over the steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Title above the plot; may be empty.
    pub title: String,
    /// Notes under the title, as on what was fixed and what was left out.
    pub notes: Vec<String>,
    /// Title of the horizontal axis, with its unit.
    pub x_title: String,
    /// Title of the vertical axis, with its unit.
    pub y_title: String,
    /// Requested scale of the vertical axis.
    pub scale: Scale,
    /// Length of the run in steps, at least 1: the range of the horizontal axis.
    pub total: u64,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

/// Requested scale of the vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Linear, including 0.
    Linear,
    /// Logarithmic; symlog if values are 0 or below, or come close to 0 only briefly.
    Log,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Step and value, in the order of the steps.
    pub points: Vec<(f64, f64)>,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Allowed widths and heights of a picture, in pixels.
pub const SIZES: std::ops::RangeInclusive<u32> = 200..=6000;

impl Figure {
    /// A size with enough room for the curves and all lines of the legend.
    pub fn fitting_size(&self) -> Size {
        layout::fitting_size(self)
    }

    /// The figure laid out for a size.
    pub fn page(&self, size: Size) -> Page {
        layout::lay_out(self, size)
    }

    /// The figure in braille characters, at most `width` columns wide, without colours. Several curves get one panel
    /// each, with the same scale.
    pub fn text(&self, width: usize) -> String {
        terminal::write(self, width)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.curves.iter().flat_map(|curve| curve.points.iter().map(|(_, value)| *value))
    }
}
