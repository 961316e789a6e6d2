//! `sweep schema`: prints the JSON Schema of sweep files, or of what a verb prints.

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value as Json, json};

use crate::exit::{Outcome, print};
use crate::global::Global;
use crate::json_outputs::{OUTPUTS, schema};

/// Sweep files.
const SWEEP_FILE: &str = "sweep-file";
/// All outputs.
const ALL: &str = "all";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The subject of the schema: sweep files, or the JSON that a verb prints
    #[arg(long, value_name = "WHAT", default_value = SWEEP_FILE, value_parser = names())]
    pub of: String,
}

fn names() -> PossibleValuesParser {
    [SWEEP_FILE, ALL].into_iter().chain(OUTPUTS.iter().map(|output| output.name)).collect::<Vec<_>>().into()
}

pub(crate) fn run(args: &Args, _: &Global) -> Outcome {
    let printed = match OUTPUTS.iter().find(|output| output.name == args.of) {
        Some(output) => schema(output),
        None if args.of == ALL => all(),
        None => spec::schema::sweep_file(trainer::catalogue()),
    };
    print(&format!("{printed:#}\n"))
}

/// The schemas of all outputs.
fn all() -> Json {
    let schemas: Map<String, Json> =
        OUTPUTS.iter().map(|output| (output.name.to_owned(), schema(output))).collect();
    json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": schemas })
}
