//! Images and rows of numbers with labels, in memory.

use kernels::sparse::ByteRows;

use super::{Batch, Form, Part};

/// Size of the validation set of a published data set: its last training images.
const VALID_SIZE: usize = 10_000;

/// Images count as sparse up to this fraction of non-zero pixels: then skipping zeros is faster.
const SPARSE_LIMIT: f64 = 0.3;

/// The examples of a run.
#[derive(Debug)]
pub struct Labelled {
    train: Split,
    valid: Split,
    test: Split,
    /// Numbers per example.
    inputs: usize,
    scale: Scale,
    /// Names of the classes, for data of the user.
    labels: Vec<String>,
    /// Whether so few pixels are non-zero that skipping zeros is faster.
    sparse: bool,
}

/// How numbers are scaled before a model sees them.
#[derive(Debug)]
enum Scale {
    /// Bytes: mean and standard deviation of the training part.
    Bytes { mean: f32, deviation: f32 },
    /// Columns that are already scaled: mean and standard deviation of each.
    Columns(Vec<(f64, f64)>),
}

/// The numbers of some examples, one after another.
#[derive(Debug)]
enum Values {
    Bytes(Vec<u8>),
    /// Bytes of which most are 0.
    Sparse(ByteRows),
    Numbers(Vec<f32>),
}

/// One part of a data set.
#[derive(Debug)]
pub struct Split {
    values: Values,
    labels: Vec<u32>,
}

impl Split {
    /// Bytes and labels.
    pub(crate) fn bytes(values: Vec<u8>, labels: Vec<u32>) -> Self {
        Self { values: Values::Bytes(values), labels }
    }

    /// Numbers that are already scaled, and labels.
    pub(super) fn numbers(values: Vec<f32>, labels: Vec<u32>) -> Self {
        Self { values: Values::Numbers(values), labels }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The examples `from..to`, of `inputs` numbers each. The range is cut to the existing examples.
    fn slice(&self, from: usize, to: usize, inputs: usize) -> Self {
        fn slice<T: Clone>(all: &[T], from: usize, to: usize) -> Vec<T> {
            all.get(from..to).unwrap_or_default().to_vec()
        }
        let (from, to) = (from.min(self.len()), to.min(self.len()));
        let values = match &self.values {
            Values::Bytes(bytes) => Values::Bytes(slice(bytes, from * inputs, to * inputs)),
            Values::Sparse(rows) => Values::Sparse(rows.slice(from..to)),
            Values::Numbers(numbers) => Values::Numbers(slice(numbers, from * inputs, to * inputs)),
        };
        Self { values, labels: slice(&self.labels, from, to) }
    }

    /// Stores bytes without their zeros.
    fn without_zeros(self, inputs: usize) -> Self {
        let values = match self.values {
            Values::Bytes(bytes) => Values::Sparse(ByteRows::new(&bytes, inputs)),
            other => other,
        };
        Self { values, ..self }
    }
}

impl Labelled {
    /// Splits published files: the last 10,000 training examples are the validation set. The sizes limit each part to its first
    /// examples.
    pub(super) fn from_published(
        train: &Split,
        test: &Split,
        [train_size, valid_size, test_size]: [usize; 3],
    ) -> Self {
        const INPUTS: usize = 28 * 28;
        let valid_start = train.len().saturating_sub(VALID_SIZE);
        let valid = train.slice(valid_start, valid_start + valid_size, INPUTS);
        let train = train.slice(0, train_size.min(valid_start), INPUTS);
        Self::new(train, valid, test.slice(0, test_size, INPUTS), INPUTS)
    }

    /// Adds the names of the classes, and the scaling of the columns.
    pub(super) fn with_labels(mut self, labels: Vec<String>, columns: Option<Vec<(f64, f64)>>) -> Self {
        self.labels = labels;
        self.scale = columns.map_or(self.scale, Scale::Columns);
        self
    }

    /// Examples whose parts are already split.
    pub(crate) fn new(train: Split, valid: Split, test: Split, inputs: usize) -> Self {
        let (scale, sparse) = match &train.values {
            Values::Bytes(bytes) => {
                let (mean, deviation) = moments(bytes);
                let non_zero = bytes.iter().filter(|pixel| **pixel != 0).count();
                let sparse = non_zero as f64 <= SPARSE_LIMIT * bytes.len() as f64;
                (Scale::Bytes { mean, deviation }, sparse && inputs <= ByteRows::MAX_WIDTH)
            }
            Values::Sparse(_) | Values::Numbers(_) => (Scale::Columns(Vec::new()), false),
        };
        // Three bytes for each non-zero pixel: less memory than all pixels, and the rows of a batch are copied as they are.
        let stored = |split: Split| if sparse { split.without_zeros(inputs) } else { split };
        let [train, valid, test] = [train, valid, test].map(stored);
        Self { train, valid, test, inputs, scale, labels: Vec::new(), sparse }
    }

    /// A part.
    pub fn split(&self, part: Part) -> &Split {
        match part {
            Part::Train => &self.train,
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        }
    }

    /// Mean and standard deviation of the training part, for bytes: a model sees (byte - mean) / deviation.
    pub fn moments(&self) -> Option<(f32, f32)> {
        match self.scale {
            Scale::Bytes { mean, deviation } => Some((mean, deviation)),
            Scale::Columns(_) => None,
        }
    }

    /// Mean and standard deviation of each column, with which a table was scaled.
    pub fn columns(&self) -> Option<&[(f64, f64)]> {
        match &self.scale {
            Scale::Bytes { .. } => None,
            Scale::Columns(columns) => Some(columns),
        }
    }

    /// Names of the classes, for data of the user; otherwise empty.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether most numbers are zero.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Numbers in a copy of an example without its zeros, on average at most: index and value of each pixel, and where the example
    /// starts.
    pub(crate) fn numbers_in_copy(inputs: usize) -> usize {
        1 + (SPARSE_LIMIT * (2 * inputs) as f64).ceil() as usize
    }

    /// Writes examples of a part into a batch. Indices beyond the part are skipped.
    pub fn gather(&self, part: Part, indices: impl Iterator<Item = usize>, batch: &mut Batch) {
        let (mean, deviation) = match (batch.form, self.moments()) {
            (Form::Unit | Form::UnitAndSparse { .. }, _) => (0.0, 255.0),
            (_, moments) => moments.unwrap_or((0.0, 1.0)),
        };
        let scale = 1.0 / deviation;
        let split = self.split(part);
        batch.clear(self.inputs, mean * scale);
        for i in indices {
            let Some(label) = split.labels.get(i) else { continue };
            batch.labels.push(*label);
            let range = i * self.inputs..(i + 1) * self.inputs;
            match (&split.values, batch.form) {
                (Values::Numbers(numbers), _) => {
                    batch.pixels.extend(numbers.get(range).unwrap_or_default());
                }
                (Values::Sparse(rows), Form::Sparse { .. }) => batch.by_image.push(rows.row(i), scale),
                (Values::Sparse(rows), form) => {
                    if matches!(form, Form::UnitAndSparse { .. }) {
                        batch.by_image.push(rows.row(i), scale);
                    }
                    let filled = batch.pixels.len();
                    batch.pixels.resize(filled + self.inputs, (0.0 - mean) * scale);
                    let (columns, bytes) = rows.row(i);
                    for (column, byte) in columns.iter().zip(bytes) {
                        batch.pixels[filled + usize::from(*column)] = (f32::from(*byte) - mean) * scale;
                    }
                }
                (Values::Bytes(bytes), _) => {
                    let example = bytes.get(range).unwrap_or_default();
                    let filled = batch.pixels.len();
                    batch.pixels.resize(filled + self.inputs, 0.0);
                    normalise(example, &mut batch.pixels[filled..], mean, scale);
                }
            }
        }
        if let Form::Sparse { transposed: true } | Form::UnitAndSparse { transposed: true } = batch.form {
            batch.by_image.transpose_into(&mut batch.by_pixel);
        }
    }
}

kernels::multiversioned! {
fn normalise(from: &[u8], to: &mut [f32], mean: f32, scale: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (f32::from(*from) - mean) * scale;
    }
}
}

/// Mean and standard deviation, from exact integer sums; 0 and 1 if all pixels are equal or there are none.
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

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: usize = 784;

    fn split(n: usize, pixel: impl Fn(usize) -> u8) -> Split {
        let pixels = (0..n).flat_map(|i| std::iter::repeat_n(pixel(i), PIXELS)).collect();
        Split::bytes(pixels, (0..n).map(|i| (i % 10) as u32).collect())
    }

    fn first(split: &Split) -> u8 {
        match &split.values {
            Values::Bytes(bytes) => bytes[0],
            Values::Sparse(_) | Values::Numbers(_) => panic!("bytes were expected"),
        }
    }

    #[test]
    fn the_last_training_images_are_the_validation_set_and_limits_keep_the_first_examples() {
        let train = split(60_000, |i| if i < 50_000 { 100 } else { 200 });
        let test = split(10_000, |_| 7);
        let all = Labelled::from_published(&train, &test, [50_000, 10_000, 10_000]);
        assert_eq!([&all.train, &all.valid, &all.test].map(Split::len), [50_000, 10_000, 10_000]);
        assert_eq!([&all.train, &all.valid, &all.test].map(first), [100, 200, 7]);
        let digits = Labelled::from_published(&train, &test, [30, 30, 30]);
        assert_eq!([&digits.train, &digits.valid, &digits.test].map(Split::len), [30; 3]);
        assert_eq!([&digits.train, &digits.valid, &digits.test].map(first), [100, 200, 7]);
    }

    #[test]
    fn images_without_their_zeros_are_the_same_images() {
        let pixel = |at: usize| if at.is_multiple_of(5) { (at % 251) as u8 } else { 0 };
        let bytes: Vec<u8> = (0..40 * PIXELS).map(pixel).collect();
        let split = |bytes: &[u8]| Split::bytes(bytes.to_vec(), (0..40).collect());
        let images = Labelled::new(split(&bytes), split(&bytes), split(&bytes), PIXELS);
        assert!(images.is_sparse());
        let (mean, deviation) = images.moments().expect("bytes");
        let (mut dense, mut unit) = (Batch::new(Form::Dense), Batch::new(Form::Unit));
        images.gather(Part::Train, [7, 39].into_iter(), &mut dense);
        images.gather(Part::Train, [7, 39].into_iter(), &mut unit);
        let picked = [7, 39].into_iter().flat_map(|i| &bytes[i * PIXELS..(i + 1) * PIXELS]);
        for ((byte, dense), unit) in picked.zip(&dense.pixels).zip(&unit.pixels) {
            assert_eq!(*dense, (f32::from(*byte) - mean) * (1.0 / deviation));
            assert_eq!(*unit, f32::from(*byte) * (1.0 / 255.0));
        }
        assert_eq!(images.split(Part::Valid).slice(3, 99, PIXELS).labels, (3..40).collect::<Vec<u32>>());
    }

    #[test]
    fn pixels_are_normalised_by_the_training_part() {
        let train = split(20_000, |i| if i % 2 == 0 { 50 } else { 150 });
        let images = Labelled::from_published(&train, &split(10, |_| 100), [50_000, 10_000, 10_000]);
        let mut batch = Batch::default();
        images.gather(Part::Train, [0, 99_999, 1].into_iter(), &mut batch);
        assert_eq!((batch.pixels[0], batch.pixels[PIXELS], batch.pixels.len()), (-1.0, 1.0, 2 * PIXELS));
        assert_eq!(batch.labels, [0, 1]);
        images.gather(Part::Test, 0..1, &mut batch);
        assert_eq!((batch.pixels[0], batch.pixels.len(), &batch.labels[..]), (0.0, PIXELS, &[0][..]));
        let mut unit = Batch::new(Form::Unit);
        images.gather(Part::Test, 0..1, &mut unit);
        assert!((unit.pixels[0] - 100.0 / 255.0).abs() < 1e-6);
    }
}
