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

/// The built-in models and optimizers.
pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// A world with the built-in models and optimizers and nothing else.
struct BuiltIn;

impl World for BuiltIn {
    fn catalogue(&self) -> &Catalogue {
        catalogue()
    }
}

/// Reads a sweep file that refers only to built-in models and optimizers, not to files, custom tasks or stored trials.
/// `default_name` is used if the file has no name.
///
/// # Errors
/// All problems of the text.
pub fn read(text: &str, default_name: &str) -> Result<Spec, Vec<Problem>> {
    spec::read_with(text, default_name, &BuiltIn)
}
