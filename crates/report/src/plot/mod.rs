//! Pictures of lr curves: what is drawn ([`Figure`]), and its three forms (SVG, PNG, text for a
//! terminal). Curves are sampled by `sample`, laid out once by `layout`, and only then written, so that
//! SVG and PNG show the same. No files and no terminals are touched here.

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

/// A picture of curves over the steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Above the picture; may be empty.
    pub title: String,
    /// Under the title: what was held fixed, what was left out. One line each.
    pub notes: Vec<String>,
    /// Title of the horizontal axis, with its unit.
    pub x_title: String,
    /// Title of the vertical axis, with its unit.
    pub y_title: String,
    /// The scale of the vertical axis.
    pub scale: Scale,
    /// Length of the run in steps, at least 1: the horizontal axis.
    pub total: u64,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

/// The scale of the vertical axis that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// With 0 on it.
    Linear,
    /// Powers of ten; symlog where values are 0 or below, or near it for a moment only.
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
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// The sizes that a picture may have, in pixels each way.
pub const SIZES: std::ops::RangeInclusive<u32> = 200..=6000;

impl Figure {
    /// A size that gives the curves room and the legend all its lines.
    pub fn fitting_size(&self) -> Size {
        layout::fitting_size(self)
    }

    /// The picture laid out in so many pixels.
    pub fn page(&self, size: Size) -> Page {
        layout::lay_out(self, size)
    }

    /// The picture in braille dots, at most `width` columns wide, without colours. Several curves get a
    /// panel each, on one scale.
    pub fn text(&self, width: usize) -> String {
        terminal::write(self, width)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.curves.iter().flat_map(|curve| curve.points.iter().map(|(_, value)| *value))
    }
}
