//! A page as a PNG file, drawn with the embedded font.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};

use super::font;
use super::layout::{Anchor, Mark, Page, STROKE};
use super::palette::{Colour, PAPER};

pub(super) fn write(page: &Page) -> Option<Vec<u8>> {
    let (width, height) = (page.size.width, page.size.height);
    let mut image = Pixmap::new(width, height)?;
    image.fill(Color::from_rgba8(PAPER[0], PAPER[1], PAPER[2], 255));
    let [left, top, right, bottom] = page.plot;
    let mut plot = Mask::new(width, height)?;
    let inside = Rect::from_ltrb(left, top - STROKE, right + STROKE, bottom + STROKE)?;
    plot.fill_path(&PathBuilder::from_rect(inside), FillRule::Winding, true, Transform::identity());
    for mark in &page.marks {
        draw(&mut image, &plot, mark);
    }
    encode(&image)
}

fn draw(image: &mut Pixmap, plot: &Mask, mark: &Mark) {
    match mark {
        Mark::Line { from, to, colour, width, dash } => {
            stroke(image, None, &[*from, *to], *colour, *width, dash);
        }
        Mark::Curve { points, colour, dash, .. } => stroke(image, Some(plot), points, *colour, STROKE, dash),
        Mark::Text { at: (x, y), text, size, colour, anchor, turned } => {
            let before = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => font::width(text, *size) / 2.0,
                Anchor::End => font::width(text, *size),
            };
            let turn = if *turned { Transform::from_rotate_at(-90.0, *x, *y) } else { Transform::identity() };
            if let Some(path) = font::outline(text, *size, x - before, *y) {
                image.fill_path(&path, &paint(*colour), FillRule::Winding, turn, None);
            }
        }
    }
}

fn stroke(
    image: &mut Pixmap,
    clip: Option<&Mask>,
    points: &[(f32, f32)],
    colour: Colour,
    width: f32,
    dash: &[f32],
) {
    let Some(path) = polyline(points) else { return };
    let stroke = Stroke {
        width,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash: StrokeDash::new(dash.to_vec(), 0.0),
        ..Stroke::default()
    };
    image.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), clip);
}

fn polyline(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    rest.iter().for_each(|(x, y)| path.line_to(*x, *y));
    path.finish()
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 255);
    paint
}

/// The page is opaque: red, green and blue are all there is to store.
fn encode(image: &Pixmap) -> Option<Vec<u8>> {
    let rgb: Vec<u8> = image.data().chunks_exact(4).flat_map(|pixel| pixel.iter().take(3).copied()).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&rgb).ok()?;
    writer.finish().ok()?;
    Some(file)
}
