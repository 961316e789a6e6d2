//! `sweep schema`: prints the JSON Schema of sweep files.

use crate::exit::{Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, _: &Global) -> Outcome {
    print(&format!("{:#}\n", spec::schema::sweep_file(trainer::catalogue())))
}
