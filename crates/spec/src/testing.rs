//! Helpers for the tests of the reader. The models here are made up; the trainer's models are tested in the trainer.

use std::sync::LazyLock;

use crate::World;
use crate::catalogue::{Catalogue, Kind, ModelKind, Param, ParamType, Reads, fits_all, no_check};
use crate::trial::Task;

static ROWS: ModelKind = ModelKind {
    kind: Kind { name: "rows", doc: "", example: "", params: &[], check: no_check },
    reads: Reads::Rows,
    loss: "",
    accuracy: true,
    fits: fits_all,
};
static TEXT: ModelKind = ModelKind {
    kind: Kind {
        name: "reader",
        doc: "",
        example: "",
        params: &[Param::new("context", ParamType::Count(500), "64", "")],
        check: no_check,
    },
    reads: Reads::Text,
    loss: "",
    accuracy: true,
    fits: fits_all,
};
static OPTIMIZER: Kind = Kind { name: "plain", doc: "", example: "", params: &[], check: no_check };

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue { models: vec![&ROWS, &TEXT], optimizers: vec![&OPTIMIZER] });

/// The catalogue of these tests.
pub(crate) fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// A world that has only these files.
pub(crate) struct Files(pub(crate) &'static [&'static str]);

impl World for Files {
    fn catalogue(&self) -> &Catalogue {
        catalogue()
    }

    fn hash(&self, file: &str) -> Option<String> {
        self.0.contains(&file).then(|| format!("hash of {file}"))
    }
}

/// The task of the first trial of a sweep file, or its problems, one per line.
pub(crate) fn task(text: &str, world: &dyn World) -> Result<Task, String> {
    let plan = crate::read_with(text, "x", world).and_then(|spec| crate::plan(&spec));
    plan.map(|plan| plan.trials[0].config.task.clone()).map_err(|found| {
        let lines = found.iter().map(|p| format!("{}: {} ({:?})", p.path, p.message, p.hint));
        lines.collect::<Vec<_>>().join("\n")
    })
}
