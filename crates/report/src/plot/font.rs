//! The embedded font: text widths for the layout, and outlines for the PNG. Pictures do not depend on the fonts of the
//! machine.

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, OutlineBuilder};

/// A subset of DejaVu Sans; licence in `crates/report/fonts/LICENSE`.
const FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans-subset.ttf");

/// Whether the font has a glyph for a character.
pub(super) fn has(c: char) -> bool {
    Face::parse(FONT, 0).is_ok_and(|face| face.glyph_index(c).is_some())
}

/// Width of a text in pixels. The sans-serif fonts of most SVG viewers are narrower, so the text fits there too.
pub(super) fn width(text: &str, size: f32) -> f32 {
    let Ok(face) = Face::parse(FONT, 0) else { return 0.0 };
    let units: u32 = text.chars().map(|c| u32::from(advance(&face, c))).sum();
    units as f32 * size / f32::from(face.units_per_em())
}

fn advance(face: &Face<'_>, c: char) -> u16 {
    let glyph = face.glyph_index(c).unwrap_or_default();
    face.glyph_hor_advance(glyph).unwrap_or_else(|| face.units_per_em() / 2)
}

/// The outlines of a text whose base line begins at `(x, y)`; `None` if nothing is visible.
pub(super) fn outline(text: &str, size: f32, x: f32, y: f32) -> Option<Path> {
    let face = Face::parse(FONT, 0).ok()?;
    let scale = size / f32::from(face.units_per_em());
    let mut pen = Pen { path: PathBuilder::new(), x, y, scale };
    for c in text.chars() {
        face.outline_glyph(face.glyph_index(c).unwrap_or_default(), &mut pen);
        pen.x += f32::from(advance(&face, c)) * scale;
    }
    pen.path.finish()
}

/// Converts font units (y upwards) to pixels (y downwards).
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

/// Shortens a text to `max_width` pixels with an ellipsis in the middle, because names often differ at their ends.
pub(super) fn shortened(text: &str, size: f32, max_width: f32) -> String {
    if width(text, size) <= max_width {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    for kept in (0..letters.len()).rev() {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let ends =
            letters.iter().take(head).chain(['…'].iter()).chain(letters.iter().skip(letters.len() - tail));
        let short: String = ends.collect();
        if width(&short, size) <= max_width {
            return short;
        }
    }
    String::new()
}
