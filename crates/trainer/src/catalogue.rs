//! The models and optimizers of this crate, for the reader of sweep files.

use std::sync::LazyLock;

use schedule::problem::Problem;
use spec::catalogue::Catalogue;
use spec::{Spec, World};

use crate::{model, optimizer};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
    models: model::TABLE.iter().map(|entry| &entry.kind).collect(),
    optimizers: optimizer::TABLE.iter().map(|entry| &entry.kind).collect(),
});

/// The models and optimizers that ship with the tool.
pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// What ships with the tool, and nothing else.
struct Shipped;

impl World for Shipped {
    fn catalogue(&self) -> &Catalogue {
        catalogue()
    }
}

/// Reads a sweep file that speaks of nothing outside its text but of models and optimizers. `default_name` is used where the file
/// gives no name.
///
/// # Errors
/// Every problem of the text.
pub fn read(text: &str, default_name: &str) -> Result<Spec, Vec<Problem>> {
    spec::read_with(text, default_name, &Shipped)
}
