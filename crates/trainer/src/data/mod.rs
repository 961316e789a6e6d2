//! What is learnt from: where data sets are looked for, examples in memory as a run sees them, and batches of them.

mod files;
pub mod idx;
mod labelled;
mod table;
mod text;

use std::path::{Path, PathBuf};

use spec::trial::{Dataset, Model, Network};

pub use files::DataError;
pub use labelled::{Labelled, Split};
pub use table::look;
pub use text::{Text, look as look_at_text};

use crate::contain::first_line;
use crate::kernels::sparse::Rows;
use crate::model::Arch;
use crate::model::closed_form::Synthetic;
use crate::own::{OwnTask, Picked, Tasks};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is trained on.
    Train,
    /// What schedules are compared on.
    Valid,
    /// Never used to choose.
    Test,
}

impl Part {
    /// What the numbers that are drawn for it are named by: they change with this.
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
    Labelled(Labelled),
    /// Windows of a text.
    Text(Text),
    /// Always new ones.
    Synthetic(Synthetic),
    /// Those of a task that a program of the user's own brought along.
    Own(OwnTask),
}

impl Examples {
    /// Number of examples in a part.
    pub fn len(&self, part: Part) -> usize {
        match self {
            Self::Labelled(labelled) => labelled.part(part).len(),
            Self::Text(text) => text.len(part),
            // The expected loss is known without any.
            Self::Synthetic(_) => usize::from(part == Part::Valid),
            Self::Own(own) => own.len(part),
        }
    }

    /// Whether a part is empty.
    pub fn is_empty(&self, part: Part) -> bool {
        self.len(part) == 0
    }

    /// The task of the user's own that these are of.
    pub(crate) fn own(&self) -> Option<&OwnTask> {
        if let Self::Own(own) = self { Some(own) } else { None }
    }

    /// Puts some examples of a part into a batch. An index beyond the part is left out. `offset`: by so many characters
    /// windows of a text begin later.
    pub fn gather(&self, part: Part, indices: impl Iterator<Item = usize>, offset: usize, batch: &mut Batch) {
        match self {
            Self::Labelled(labelled) => labelled.gather(part, indices, batch),
            Self::Text(text) => text.gather(part, indices, offset, batch),
            Self::Synthetic(_) => batch.clear(0, 0.0),
            Self::Own(_) => {
                batch.own.examples.clear();
                batch.own.examples.extend(indices);
            }
        }
    }
}

/// How examples are handed to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// All numbers, shifted and scaled.
    #[default]
    Dense,
    /// Bytes as numbers from 0 to 1.
    Unit,
    /// Those that are not zero.
    Sparse {
        /// By pixel too, as the gradient of a first layer needs it.
        transposed: bool,
    },
}

/// Examples as a model sees them. Kept from batch to batch, so that nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) form: Form,
    /// As many as there are examples; of text as many as there are characters: those that follow.
    pub labels: Vec<u32>,
    /// In the dense forms: one example after another.
    pub pixels: Vec<f32>,
    /// The characters of a text, window after window.
    pub tokens: Vec<u32>,
    /// Random numbers that a model asks for.
    pub(crate) noise: Vec<f32>,
    /// In the sparse form: (examples, pixels), scaled but not shifted.
    pub(crate) by_image: Rows,
    /// The same by pixel.
    pub(crate) by_pixel: Rows,
    /// By how much each pixel of the sparse form is too high.
    pub(crate) shift: f32,
    /// Of a task of the user's own: which examples.
    pub(crate) own: Picked,
}

impl Batch {
    /// An empty one.
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

/// Where a data set's files are looked for, in this order. With `data_dir`: `DIR/NAME` and `DIR` itself.
/// Without: `data/NAME` here and beside the program (in each folder above it). Then where Debian's
/// package puts it. Nowhere for files that are named by their paths.
pub fn search_dirs(dataset: &Dataset, data_dir: Option<&Path>) -> Vec<PathBuf> {
    let Some(name) = folder(dataset) else { return Vec::new() };
    let mut dirs = match data_dir {
        Some(dir) => vec![dir.join(name), dir.to_owned()],
        None => {
            let program = std::env::current_exe().unwrap_or_default();
            let above = program.ancestors().skip(1).map(|dir| dir.join("data").join(name));
            // Of those only folders that are there: the others would only make the error message long.
            std::iter::once(Path::new("data").join(name)).chain(above.filter(|dir| dir.is_dir())).collect()
        }
    };
    if *dataset == Dataset::FashionMnist {
        dirs.push(PathBuf::from("/usr/share/datasets/fashion-mnist"));
    }
    dirs
}

/// Whether a published data set is here, and what was published.
///
/// # Errors
/// A file is missing, can't be read, or holds other bytes.
pub fn published(dataset: &Dataset, data_dir: Option<&Path>) -> Result<(), DataError> {
    let dirs = search_dirs(dataset, data_dir);
    match dataset {
        Dataset::Mnist | Dataset::FashionMnist | Dataset::Digits => {
            files::of(dataset).into_iter().try_for_each(|file| files::read(dataset, file, &dirs).map(|_| ()))
        }
        Dataset::Emma => files::emma(&dirs).map(|_| ()),
        Dataset::Table(_) | Dataset::Text(_) => Ok(()),
    }
}

/// Reads what a network learns from. `data_dir`: see [`search_dirs`]; `tasks`: those of the program itself.
///
/// # Errors
/// A file is missing, can't be read, or is another one than was published or planned with; a task is not known.
pub fn load(network: &Network, data_dir: Option<&Path>, tasks: &Tasks) -> Result<Examples, DataError> {
    let Some(data) = &network.data else {
        return Ok(match &network.model {
            Model::Custom(own) => Examples::Own(tasks.build_planned(own).map_err(DataError::Task)?),
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
            let [train_images, train_labels, test_images, test_labels] = files::of(&data.dataset);
            let read = |images, labels| -> Result<Split, DataError> {
                let pixels = files::read(&data.dataset, images, &dirs)?;
                let labels = files::read(&data.dataset, labels, &dirs)?;
                Ok(Split::bytes(pixels, labels.into_iter().map(u32::from).collect()))
            };
            let train = read(train_images, train_labels)?;
            let test = read(test_images, test_labels)?;
            Ok(Examples::Labelled(Labelled::published(&train, &test, sizes)))
        }
        Dataset::Table(table) => table::read(table, sizes).map(Examples::Labelled),
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
