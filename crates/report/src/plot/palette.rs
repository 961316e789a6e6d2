//! Colours that people with any kind of colour vision can distinguish (Okabe and Ito, "Color universal design", 2008; without
//! the yellow, which is too light on white), and dashes for further curves.

/// A colour: red, green, blue.
pub(crate) type Colour = [u8; 3];

pub(crate) const INK: Colour = [0x22, 0x22, 0x22];
pub(crate) const FAINT: Colour = [0x59, 0x59, 0x59];
pub(super) const AXIS: Colour = [0x80, 0x80, 0x80];
pub(crate) const GRID: Colour = [0xe3, 0xe3, 0xe3];
pub(super) const PAPER: Colour = [0xff, 0xff, 0xff];

const COLOURS: [Colour; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0x00, 0x00, 0x00],
];

const DASHES: [&[f32]; 4] = [&[], &[7.0, 3.0], &[2.0, 2.5], &[9.0, 3.0, 2.0, 3.0]];

/// Number of distinct styles. Further curves reuse the styles of earlier ones.
pub const STYLES: usize = COLOURS.len() * DASHES.len();

/// Colour and dash of curve `i`.
pub(crate) fn style(i: usize) -> (Colour, &'static [f32]) {
    let colour = COLOURS.get(i % COLOURS.len()).copied().unwrap_or(INK);
    (colour, DASHES.get(i / COLOURS.len() % DASHES.len()).copied().unwrap_or(&[]))
}
