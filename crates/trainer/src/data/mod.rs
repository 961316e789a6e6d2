//! Data sets: where their files are looked for, and images in memory as a run sees them.

mod files;
pub mod idx;

use std::path::{Path, PathBuf};

use spec::trial::Dataset;

pub use files::DataError;

use crate::kernels::sparse::Rows;
use crate::model::PIXELS;

/// The last so many training images are the validation set.
const VALID: usize = 10_000;

/// Up to this share of pixels that are not zero images count as sparse: where it pays to leave out the rest.
const SPARSE: f64 = 0.3;

/// What an image takes in memory: its pixels and its label, a byte each.
pub(crate) const PIXEL_BYTES: usize = PIXELS + 1;

/// The images of a run.
#[derive(Debug)]
pub struct Images {
    /// What is trained on.
    pub train: Split,
    /// What schedules are compared on.
    pub valid: Split,
    /// Never used to choose.
    pub test: Split,
    /// Mean of the training part's pixels, 0 to 255.
    mean: f32,
    /// Their standard deviation.
    deviation: f32,
    /// Whether so few of them are not zero that it pays to look at those alone.
    sparse: bool,
}

/// One part of a data set.
#[derive(Debug)]
pub struct Split {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images `from..to`, and no more than there are.
    fn part(&self, from: usize, to: usize) -> Self {
        let (from, to) = (from.min(self.len()), to.min(self.len()));
        Self {
            pixels: self.pixels.get(from * PIXELS..to * PIXELS).unwrap_or_default().to_vec(),
            labels: self.labels.get(from..to).unwrap_or_default().to_vec(),
        }
    }
}

impl Images {
    /// Splits the files' images: of the training file the last 10,000 are the validation set; of each part
    /// the first ones, as many as the data set and `limit` allow.
    fn new(train: &Split, test: &Split, dataset: Dataset, limit: Option<usize>) -> Self {
        let (train_size, valid_size, test_size) = dataset.sizes(limit);
        let cut = train.len().saturating_sub(VALID);
        let valid = train.part(cut, cut + valid_size);
        let train = train.part(0, train_size.min(cut));
        let test = test.part(0, test_size);
        let (mean, deviation) = moments(&train.pixels);
        let inked = train.pixels.iter().filter(|pixel| **pixel != 0).count();
        let sparse = inked as f64 <= SPARSE * train.pixels.len() as f64;
        Self { train, valid, test, mean, deviation, sparse }
    }

    /// What a model sees of a pixel from 0 to 255: the pixel less the first number, over the second. Mean and
    /// standard deviation of the training part.
    pub fn moments(&self) -> (f32, f32) {
        (self.mean, self.deviation)
    }

    /// Whether most pixels are zero.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Puts some images of a split into a batch. An index beyond the split is left out.
    pub fn gather(&self, split: &Split, indices: impl Iterator<Item = usize>, batch: &mut Batch) {
        let scale = 1.0 / self.deviation;
        batch.clear(self.mean * scale);
        for i in indices {
            let image = split.pixels.get(i * PIXELS..(i + 1) * PIXELS);
            let (Some(image), Some(label)) = (image, split.labels.get(i)) else { continue };
            batch.labels.push(u32::from(*label));
            match batch.form {
                Form::Dense => {
                    let filled = batch.pixels.len();
                    batch.pixels.resize(filled + PIXELS, 0.0);
                    normalise(image, &mut batch.pixels[filled..], self.mean, scale);
                }
                Form::Sparse { .. } => batch.by_image.push(image, scale),
            }
        }
        if batch.form == (Form::Sparse { transposed: true }) {
            batch.by_image.transpose_into(&mut batch.by_pixel);
        }
    }
}

/// How images are handed to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// All pixels.
    #[default]
    Dense,
    /// Those that are not zero.
    Sparse {
        /// By pixel too, as the gradient of a first layer needs it.
        transposed: bool,
    },
}

/// Images as a model sees them. Kept from batch to batch, so that nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) form: Form,
    /// As many as there are images.
    pub labels: Vec<u32>,
    /// In the dense form: one image after another, shifted and scaled to mean 0 and deviation 1 over the
    /// training part.
    pub pixels: Vec<f32>,
    /// In the sparse form: (images, pixels), scaled but not shifted.
    pub(crate) by_image: Rows,
    /// The same by pixel.
    pub(crate) by_pixel: Rows,
    /// By how much each pixel of the sparse form is too high.
    pub(crate) shift: f32,
}

impl Batch {
    /// An empty one.
    pub fn new(form: Form) -> Self {
        Self { form, ..Self::default() }
    }

    fn clear(&mut self, shift: f32) {
        self.labels.clear();
        self.pixels.clear();
        self.by_image.clear(PIXELS);
        self.shift = shift;
    }
}

crate::kernels::simd::leveled! {
fn normalise(from: &[u8], to: &mut [f32], mean: f32, scale: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (f32::from(*from) - mean) * scale;
    }
}
}

/// Mean and deviation by whole-number sums, which are exact; 0 and 1 where nothing can be said.
fn moments(pixels: &[u8]) -> (f32, f32) {
    let n = pixels.len() as f64;
    let (mut sum, mut squares) = (0u64, 0u64);
    for pixel in pixels {
        sum += u64::from(*pixel);
        squares += u64::from(*pixel) * u64::from(*pixel);
    }
    let mean = sum as f64 / n;
    let deviation = (squares as f64 / n - mean * mean).sqrt();
    if deviation > 0.0 { (mean as f32, deviation as f32) } else { (0.0, 1.0) }
}

/// The folder of a data set within a folder of data sets.
fn folder(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Mnist | Dataset::Digits => "mnist",
        Dataset::FashionMnist => "fashion-mnist",
    }
}

/// Where a data set's files are looked for, in this order. With `data_dir`: `DIR/NAME` and `DIR` itself.
/// Without: `data/NAME` here and beside the program (in each folder above it). Then where Debian's
/// package puts it.
pub fn search_dirs(dataset: Dataset, data_dir: Option<&Path>) -> Vec<PathBuf> {
    let name = folder(dataset);
    let mut dirs = match data_dir {
        Some(dir) => vec![dir.join(name), dir.to_owned()],
        None => {
            let program = std::env::current_exe().unwrap_or_default();
            let above = program.ancestors().skip(1).map(|dir| dir.join("data").join(name));
            // Of those only folders that are there: the others would only make the error message long.
            std::iter::once(Path::new("data").join(name)).chain(above.filter(|dir| dir.is_dir())).collect()
        }
    };
    if dataset == Dataset::FashionMnist {
        dirs.push(PathBuf::from("/usr/share/datasets/fashion-mnist"));
    }
    dirs
}

/// Reads a data set from the first of `dirs` that has its files.
///
/// # Errors
/// A file is missing, can't be read, or holds other bytes than the published ones.
pub fn load(dataset: Dataset, limit: Option<usize>, dirs: &[PathBuf]) -> Result<Images, DataError> {
    let [train_images, train_labels, test_images, test_labels] = files::of(dataset);
    let read = |images, labels| -> Result<Split, DataError> {
        let pixels = files::read(dataset, images, dirs)?;
        let labels = files::read(dataset, labels, dirs)?;
        Ok(Split { pixels, labels })
    };
    let train = read(train_images, train_labels)?;
    let test = read(test_images, test_labels)?;
    Ok(Images::new(&train, &test, dataset, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(n: usize, pixel: impl Fn(usize) -> u8) -> Split {
        let pixels = (0..n).flat_map(|i| std::iter::repeat_n(pixel(i), PIXELS)).collect();
        Split { pixels, labels: (0..n).map(|i| (i % 10) as u8).collect() }
    }

    #[test]
    fn the_last_training_images_are_the_validation_set_and_parts_are_cut_from_the_front() {
        let train = split(60_000, |i| if i < 50_000 { 100 } else { 200 });
        let test = split(10_000, |_| 7);
        let all = Images::new(&train, &test, Dataset::Mnist, None);
        assert_eq!((all.train.len(), all.valid.len(), all.test.len()), (50_000, 10_000, 10_000));
        assert!(all.train.pixels.iter().all(|x| *x == 100) && all.valid.pixels.iter().all(|x| *x == 200));
        let digits = Images::new(&train, &test, Dataset::Digits, Some(30));
        assert_eq!((digits.train.len(), digits.valid.len(), digits.test.len()), (30, 30, 30));
        assert_eq!(digits.valid.pixels[0], 200);
    }

    #[test]
    fn pixels_are_normalised_by_the_training_part() {
        let train = split(20_000, |i| if i % 2 == 0 { 50 } else { 150 });
        let images = Images::new(&train, &split(10, |_| 100), Dataset::Mnist, None);
        let mut batch = Batch::default();
        images.gather(&images.train, [0, 99_999, 1].into_iter(), &mut batch);
        assert_eq!((batch.pixels[0], batch.pixels[PIXELS], batch.pixels.len()), (-1.0, 1.0, 2 * PIXELS));
        assert_eq!(batch.labels, [0, 1]);
        images.gather(&images.test, 0..1, &mut batch);
        assert_eq!((batch.pixels[0], batch.pixels.len(), &batch.labels[..]), (0.0, PIXELS, &[0][..]));
    }
}
