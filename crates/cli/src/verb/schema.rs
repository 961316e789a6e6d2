//! `sweep schema`: the JSON Schema of the sweep file.

use crate::exit::{Outcome, print};

pub(crate) fn run() -> Outcome {
    print(&format!("{:#}\n", spec::schema::sweep_file(trainer::catalogue())))
}
