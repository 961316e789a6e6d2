//! Training data: where data sets are searched, examples in memory, and batches.

mod files;
pub mod idx;
mod labelled;
mod table;
mod text;

use std::path::{Path, PathBuf};

use spec::trial::{Dataset, Model, Network};

pub use files::DataError;
pub use labelled::{Labelled, Split};
pub use table::{columns as table_columns, inspect_table, row_numbers};
pub use text::{Text, inspect as inspect_text};

use crate::contained::first_line;
use crate::custom::{BuiltTask, Picked, Tasks};
use crate::model::Arch;
use crate::model::closed_form::Synthetic;
use kernels::sparse::Rows;

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Used for training.
    Train,
    /// Used to compare schedules.
    Valid,
    /// Only reported, never used to choose.
    Test,
}

impl Part {
    /// Name of its random stream. A change would change the numbers that are drawn.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "Train",
            Self::Valid => "Valid",
            Self::Test => "Test",
        }
    }
}

/// The examples of a run.
#[derive(Debug)]
pub enum Examples {
    /// Images or rows of numbers, with labels.
    Labelled(Box<Labelled>),
    /// Windows of a text.
    Text(Text),
    /// Examples that are generated anew for each step.
    Synthetic(Synthetic),
    /// The examples of a custom task.
    Custom(BuiltTask),
}

impl Examples {
    /// Number of examples in a part.
    pub fn len(&self, part: Part) -> usize {
        match self {
            Self::Labelled(labelled) => labelled.split(part).len(),
            Self::Text(text) => text.len(part),
            // The expected loss is computed without examples, so the evaluation counts as one.
            Self::Synthetic(_) => usize::from(part == Part::Valid),
            Self::Custom(task) => task.len(part),
        }
    }

    /// Whether a part is empty.
    pub fn is_empty(&self, part: Part) -> bool {
        self.len(part) == 0
    }

    /// The custom task that they belong to.
    pub(crate) fn custom(&self) -> Option<&BuiltTask> {
        if let Self::Custom(task) = self { Some(task) } else { None }
    }

    /// Writes examples of a part into a batch. Indices beyond the part are skipped. `offset`: shift of the windows of a text, in
    /// characters.
    pub fn gather(&self, part: Part, indices: impl Iterator<Item = usize>, offset: usize, batch: &mut Batch) {
        match self {
            Self::Labelled(labelled) => labelled.gather(part, indices, batch),
            Self::Text(text) => text.gather(part, indices, offset, batch),
            Self::Synthetic(_) => batch.clear(0, 0.0),
            Self::Custom(_) => {
                batch.picked.examples.clear();
                batch.picked.examples.extend(indices);
            }
        }
    }
}

/// The form in which a model gets its examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// All numbers, shifted and scaled.
    #[default]
    Dense,
    /// Bytes as numbers from 0 to 1.
    Unit,
    /// As `Unit`, and the non-zero numbers separately.
    UnitAndSparse {
        /// As for `Sparse`.
        transposed: bool,
    },
    /// Only non-zero numbers.
    Sparse {
        /// Whether they are stored by pixel too, which the gradient of a first layer needs.
        transposed: bool,
    },
}

/// Examples as a model gets them. Reused from batch to batch to avoid allocations.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) form: Form,
    /// One label per example. For text one per character: the next character.
    pub labels: Vec<u32>,
    /// In dense forms: the numbers of the examples, one example after another.
    pub pixels: Vec<f32>,
    /// For text: the characters, window after window.
    pub tokens: Vec<u32>,
    /// Random numbers for the model.
    pub(crate) noise: Vec<f32>,
    /// In sparse forms: (examples, pixels), scaled but not shifted.
    pub(crate) by_image: Rows,
    /// The transposed matrix: (pixels, examples).
    pub(crate) by_pixel: Rows,
    /// In the sparse form: the number to subtract from each pixel.
    pub(crate) shift: f32,
    /// For a custom task: which examples.
    pub(crate) picked: Picked,
}

impl Batch {
    /// An empty batch.
    pub fn new(form: Form) -> Self {
        Self { form, ..Self::default() }
    }

    pub(crate) fn clear(&mut self, inputs: usize, shift: f32) {
        self.labels.clear();
        self.pixels.clear();
        self.tokens.clear();
        self.by_image.clear(inputs);
        self.shift = shift;
    }
}

/// The folder of a data set within a folder of data sets.
fn folder(dataset: &Dataset) -> Option<&'static str> {
    match dataset {
        Dataset::Mnist | Dataset::Digits => Some("mnist"),
        Dataset::FashionMnist => Some("fashion-mnist"),
        Dataset::Emma => Some("emma"),
        Dataset::Table(_) | Dataset::Text(_) => None,
    }
}

/// The folders where a data set's files are searched, in this order. With `data_dir`: `DIR/NAME` and `DIR`. Without: `data/NAME` in
/// the current folder and in each folder above the program. Then the folder of Debian's package. Empty for files that sweep files
/// name by path.
pub fn search_dirs(dataset: &Dataset, data_dir: Option<&Path>) -> Vec<PathBuf> {
    let Some(name) = folder(dataset) else { return Vec::new() };
    let mut dirs = match data_dir {
        Some(dir) => vec![dir.join(name), dir.to_owned()],
        None => {
            let program = std::env::current_exe().unwrap_or_default();
            let above = program.ancestors().skip(1).map(|dir| dir.join("data").join(name));
            // Only existing folders, to keep the error message short.
            std::iter::once(Path::new("data").join(name)).chain(above.filter(|dir| dir.is_dir())).collect()
        }
    };
    if *dataset == Dataset::FashionMnist {
        dirs.push(PathBuf::from("/usr/share/datasets/fashion-mnist"));
    }
    dirs
}

/// Checks that the files of a published data set exist and have the published bytes.
///
/// # Errors
/// A file is missing, can't be read, or has other bytes.
pub fn check_published(dataset: &Dataset, data_dir: Option<&Path>) -> Result<(), DataError> {
    let dirs = search_dirs(dataset, data_dir);
    match dataset {
        Dataset::Mnist | Dataset::FashionMnist | Dataset::Digits => files::files_of(dataset)
            .into_iter()
            .try_for_each(|file| files::read(dataset, file, &dirs).map(|_| ())),
        Dataset::Emma => files::emma(&dirs).map(|_| ()),
        Dataset::Table(_) | Dataset::Text(_) => Ok(()),
    }
}

/// Loads the examples of a network. `data_dir`: see [`search_dirs`]. `tasks`: the program's custom tasks.
///
/// # Errors
/// A file is missing, can't be read, or differs from the published or planned one; or a task is unknown.
pub fn load(network: &Network, data_dir: Option<&Path>, tasks: &Tasks) -> Result<Examples, DataError> {
    let Some(data) = &network.data else {
        return Ok(match &network.model {
            Model::Custom(task) => Examples::Custom(tasks.build_planned(task).map_err(DataError::Task)?),
            Model::BuiltIn(_) => {
                let arch = Arch::of(network).map_err(|error| DataError::Task(first_line(&error)))?;
                let task = arch.architecture.closed_form();
                Examples::Synthetic(task.ok_or_else(|| DataError::Task("this model needs data".to_owned()))?)
            }
        });
    };
    let sizes = data.dataset.sizes(network.model.context(), data.limit);
    match &data.dataset {
        Dataset::Mnist | Dataset::FashionMnist | Dataset::Digits => {
            let dirs = search_dirs(&data.dataset, data_dir);
            let [train_images, train_labels, test_images, test_labels] = files::files_of(&data.dataset);
            let read = |images, labels| -> Result<Split, DataError> {
                let pixels = files::read(&data.dataset, images, &dirs)?;
                let labels = files::read(&data.dataset, labels, &dirs)?;
                Ok(Split::bytes(pixels, labels.into_iter().map(u32::from).collect()))
            };
            let train = read(train_images, train_labels)?;
            let test = read(test_images, test_labels)?;
            Ok(Examples::Labelled(Box::new(Labelled::from_published(&train, &test, sizes))))
        }
        Dataset::Table(table) => {
            table::read(table, sizes).map(|labelled| Examples::Labelled(Box::new(labelled)))
        }
        Dataset::Emma => {
            let bytes = files::emma(&search_dirs(&data.dataset, data_dir))?;
            let parts = Dataset::EMMA.1;
            Ok(Examples::Text(Text::new(&bytes, parts, sizes, network.model.context())))
        }
        Dataset::Text(text) => {
            let found = text::read(text)?;
            let parts = [text.train, text.valid, text.test];
            Ok(Examples::Text(Text::new(&found, parts, sizes, network.model.context())))
        }
    }
}
