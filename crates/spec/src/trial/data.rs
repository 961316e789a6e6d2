//! Training data: data sets by name, and the user's own files with their sizes. The trainer reads the data.

/// Data set and batches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Data {
    /// The data set.
    pub dataset: Dataset,
    /// Examples per batch, at least 1.
    pub batch_size: usize,
    /// Only the first N training examples are used, and at most N validation and N test examples.
    pub limit: Option<usize>,
}

/// The data sets that ship with the tool or are installed on the machine, and the user's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// MNIST's 28x28 digits: 50,000 training, 10,000 validation, 10,000 test images.
    Mnist,
    /// Fashion-MNIST, with the sizes of MNIST.
    FashionMnist,
    /// The first 2,000 training images of MNIST, for tests and first experiments.
    Digits,
    /// Jane Austen's novel Emma, as text.
    Emma,
    /// Labelled rows or images in the user's own files.
    Table(Table),
    /// A text in the user's own file.
    Text(Text),
}

/// Labelled examples in the user's own files, with their sizes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Table {
    /// The files.
    pub source: Source,
    /// The blake3 hash of the files' bytes in hex: what the result depends on.
    pub blake3: String,
    /// Numbers per example.
    pub inputs: usize,
    /// Number of distinct labels, at least 2.
    pub classes: usize,
    /// Whether the numbers are bytes, as in images. Bytes share one scale; each column of a table has its own.
    pub bytes: bool,
    /// Number of training examples, at least 1.
    pub train: usize,
    /// Number of validation examples, at least 1.
    pub valid: usize,
    /// Number of test examples.
    pub test: usize,
}

/// The user's own files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Source {
    /// A table of numbers with a header line; one column is the label.
    Csv {
        /// The file.
        file: String,
        /// Name of the label column.
        label: String,
    },
    /// Named NumPy arrays.
    Npz {
        /// The file.
        file: String,
        /// Name of the array of examples, of shape (examples, ...).
        x: String,
        /// Name of the array of labels, of shape (examples,).
        y: String,
    },
    /// Two IDX files, as those of MNIST.
    Idx {
        /// The file of examples, of shape (examples, ...).
        file: String,
        /// The file of labels, of shape (examples,).
        labels: String,
    },
}

/// Hash and sizes of the user's own data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataInfo {
    /// The blake3 hash of the files' bytes in hex.
    pub blake3: String,
    /// Number of examples.
    pub examples: usize,
    /// Numbers per example.
    pub inputs: usize,
    /// Number of distinct labels.
    pub classes: usize,
    /// Whether the numbers are bytes.
    pub bytes: bool,
}

/// The user's own text, with its sizes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// The file, UTF-8.
    pub file: String,
    /// The blake3 hash of its bytes in hex: what the result depends on.
    pub blake3: String,
    /// Number of distinct characters.
    pub alphabet: usize,
    /// Number of characters for training, from the start of the text.
    pub train: usize,
    /// Number of characters for validation, which follow.
    pub valid: usize,
    /// Number of characters for the test, at the end.
    pub test: usize,
}

impl Dataset {
    /// Emma's number of distinct characters, and its numbers of characters for training, validation and test.
    pub const EMMA: (usize, [usize; 3]) = (75, [705_844, 88_230, 88_230]);

    /// Numbers of training, validation and test examples (for a text: characters).
    fn all(&self) -> [usize; 3] {
        match self {
            Self::Mnist | Self::FashionMnist => [50_000, 10_000, 10_000],
            Self::Digits => [2_000; 3],
            Self::Emma => Self::EMMA.1,
            Self::Table(table) => [table.train, table.valid, table.test],
            Self::Text(text) => [text.train, text.valid, text.test],
        }
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Emma | Self::Text(_))
    }

    /// Numbers per example, and number of classes. For a text, both are the number of distinct characters.
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Digits => (784, 10),
            Self::Emma => (Self::EMMA.0, Self::EMMA.0),
            Self::Table(table) => (table.inputs, table.classes),
            Self::Text(text) => (text.alphabet, text.alphabet),
        }
    }

    /// Numbers of training, validation and test examples for a run with this `limit`. An example of a text is a window of
    /// `context` characters and the next character.
    pub fn sizes(&self, context: usize, limit: Option<usize>) -> [usize; 3] {
        let limit = limit.unwrap_or(usize::MAX);
        let windows = |n: usize| if self.is_text() { n / context.max(1) } else { n };
        // The training windows of a text start at a different offset in each epoch, which costs one window.
        let [train, valid, test] = self.all();
        let train = if self.is_text() { windows(train).saturating_sub(1) } else { train };
        let windows = |n: usize| if self.is_text() { windows(n.saturating_sub(1)) } else { n };
        [train, windows(valid), windows(test)].map(|n| n.min(limit))
    }

    /// Clears file names: a result depends on what files contain, not on where they are.
    pub(super) fn forget_files(&mut self) {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Digits | Self::Emma => {}
            Self::Text(text) => text.file.clear(),
            Self::Table(table) => match &mut table.source {
                Source::Csv { file, .. } | Source::Npz { file, .. } => file.clear(),
                Source::Idx { file, labels } => {
                    file.clear();
                    labels.clear();
                }
            },
        }
    }
}
