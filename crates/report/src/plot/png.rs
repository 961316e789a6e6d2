//! Renders a page as a PNG file, with the embedded font.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};

use super::font;
use super::layout::{Anchor, Mark, Page, STROKE};
use super::palette::{Colour, PAPER};

impl Page {
    /// The page as a PNG file; `None` if there is not enough memory.
    pub fn png(&self) -> Option<Vec<u8>> {
        write(self)
    }
}

fn write(page: &Page) -> Option<Vec<u8>> {
    let (width, height) = (page.output.width, page.output.height);
    let mut image = Pixmap::new(width, height)?;
    image.fill(Color::from_rgba8(PAPER[0], PAPER[1], PAPER[2], 255));
    let to_fit = to_fit(page);
    let [left, top, right, bottom] = page.plot;
    let mut plot = Mask::new(width, height)?;
    let inside = Rect::from_ltrb(left, top - STROKE, right + STROKE, bottom + STROKE)?;
    plot.fill_path(&PathBuilder::from_rect(inside), FillRule::Winding, true, to_fit);
    for mark in &page.marks {
        draw(&mut image, &plot, to_fit, mark);
    }
    encode(&image)
}

/// Scales the page to the output size and centres it, as SVG viewers do.
fn to_fit(page: &Page) -> Transform {
    let (width, height) = (page.size.width as f32, page.size.height as f32);
    let (output_width, output_height) = (page.output.width as f32, page.output.height as f32);
    let scale = (output_width / width).min(output_height / height);
    let (x, y) = ((output_width - scale * width) / 2.0, (output_height - scale * height) / 2.0);
    Transform::from_row(scale, 0.0, 0.0, scale, x, y)
}

fn draw(image: &mut Pixmap, plot: &Mask, to_fit: Transform, mark: &Mark) {
    let fill = FillRule::Winding;
    match mark {
        Mark::Line { from, to, colour, width, dash } => {
            stroke(image, None, to_fit, &[*from, *to], *colour, *width, dash);
        }
        Mark::Curve { points, colour, dash, .. } => {
            stroke(image, Some(plot), to_fit, points, *colour, STROKE, dash);
        }
        Mark::Area { points, colour, opacity } => {
            if let Some(path) = polyline(points) {
                image.fill_path(&path, &paint(*colour, *opacity), fill, to_fit, Some(plot));
            }
        }
        Mark::Dot { at: (x, y), radius, colour, .. } => {
            if let Some(path) = PathBuilder::from_circle(*x, *y, *radius) {
                image.fill_path(&path, &paint(*colour, 1.0), fill, to_fit, None);
            }
        }
        Mark::Text { at: (x, y), text, size, colour, anchor, vertical } => {
            let before = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => font::width(text, *size) / 2.0,
                Anchor::End => font::width(text, *size),
            };
            let rotation =
                if *vertical { Transform::from_rotate_at(-90.0, *x, *y) } else { Transform::identity() };
            if let Some(path) = font::outline(text, *size, x - before, *y) {
                image.fill_path(&path, &paint(*colour, 1.0), fill, rotation.post_concat(to_fit), None);
            }
        }
    }
}

fn stroke(
    image: &mut Pixmap,
    clip: Option<&Mask>,
    to_fit: Transform,
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
    image.stroke_path(&path, &paint(colour, 1.0), &stroke, to_fit, clip);
}

fn polyline(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    rest.iter().for_each(|(x, y)| path.line_to(*x, *y));
    path.finish()
}

fn paint(colour: Colour, opacity: f32) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], (255.0 * opacity).round() as u8);
    paint
}

/// Encodes the image without an alpha channel: the page is opaque.
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
