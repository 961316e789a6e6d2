//! What is learnt from: data sets by name, and files of the user's own with the sizes that they were found to have. Reading them
//! is the trainer's.

/// Data set and batches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Data {
    /// Which set.
    pub dataset: Dataset,
    /// Examples in a batch, at least 1.
    pub batch_size: usize,
    /// Only the first so many training examples (and at most as many validation and test examples).
    pub limit: Option<usize>,
}

/// The data sets that ship with the tool or are found on the machine, and those of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// MNIST's 28x28 digits: 50,000 training, 10,000 validation, 10,000 test images.
    Mnist,
    /// Fashion-MNIST: the same sizes.
    FashionMnist,
    /// The first 2,000 training images of MNIST, for tests and first tries.
    Digits,
    /// Jane Austen's novel Emma, as text.
    Emma,
    /// Labelled rows or images in files of the user's own.
    Table(Table),
    /// A text in a file of the user's own.
    Text(Text),
}

/// Labelled examples in files of the user's own, with the sizes that they were found to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Table {
    /// What is read.
    pub source: Source,
    /// The blake3 hash of the files' bytes in hex: what the result depends on.
    pub blake3: String,
    /// Numbers of an example.
    pub inputs: usize,
    /// Different labels, 2 at least.
    pub classes: usize,
    /// Whether the numbers are bytes, as in images: these are scaled together, columns of a table each for itself.
    pub bytes: bool,
    /// Training examples, 1 at least.
    pub train: usize,
    /// Validation examples, 1 at least.
    pub valid: usize,
    /// Test examples.
    pub test: usize,
}

/// Files of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Source {
    /// A table of numbers with a line of column names; one column is the label.
    Csv {
        /// The file.
        file: String,
        /// Name of the column.
        label: String,
    },
    /// NumPy arrays by name.
    Npz {
        /// The file.
        file: String,
        /// Name of the examples, (examples, ...).
        x: String,
        /// Name of the labels, (examples).
        y: String,
    },
    /// Two IDX files, as MNIST's.
    Idx {
        /// The examples, (examples, ...).
        file: String,
        /// The labels, (examples).
        labels: String,
    },
}

/// What was found in [`Source`] files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The blake3 hash of the files' bytes in hex.
    pub blake3: String,
    /// Examples in all.
    pub examples: usize,
    /// Numbers of an example.
    pub inputs: usize,
    /// Different labels.
    pub classes: usize,
    /// Whether the numbers are bytes.
    pub bytes: bool,
}

/// A text of the user's own, with the sizes that it was found to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// The file, UTF-8.
    pub file: String,
    /// The blake3 hash of its bytes in hex: what the result depends on.
    pub blake3: String,
    /// Different characters.
    pub alphabet: usize,
    /// Characters that are trained on.
    pub train: usize,
    /// Characters of the validation part, which follows.
    pub valid: usize,
    /// Characters of the test part, which is the end.
    pub test: usize,
}

impl Dataset {
    /// Its different characters, and how many characters are for training, validation and test.
    pub const EMMA: (usize, [usize; 3]) = (75, [705_844, 88_230, 88_230]);

    /// Training, validation and test examples (of a text: characters) that there are.
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

    /// Numbers of an example, and classes; of a text the different characters stand for both.
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Digits => (784, 10),
            Self::Emma => (Self::EMMA.0, Self::EMMA.0),
            Self::Table(table) => (table.inputs, table.classes),
            Self::Text(text) => (text.alphabet, text.alphabet),
        }
    }

    /// Training, validation and test examples that a run with this `limit` sees. An example of a text is a window of
    /// `context` characters and the one that follows it.
    pub fn sizes(&self, context: usize, limit: Option<usize>) -> [usize; 3] {
        let limit = limit.unwrap_or(usize::MAX);
        let windows = |n: usize| if self.is_text() { n / context.max(1) } else { n };
        // A text's training windows begin at another place in each epoch, for which one of them is left out.
        let [train, valid, test] = self.all();
        let train = if self.is_text() { windows(train).saturating_sub(1) } else { train };
        let windows = |n: usize| if self.is_text() { windows(n.saturating_sub(1)) } else { n };
        [train, windows(valid), windows(test)].map(|n| n.min(limit))
    }

    /// Where files lie is no part of what a result depends on.
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
