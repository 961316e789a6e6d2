//! `sweep export`: what other programs take from here, one file for each subject.

mod axes;
#[cfg(feature = "parquet")]
mod parquet;
mod results;
mod schedule;
mod table;
mod tensorboard;
mod weights;

use crate::args::{Export, Global};
use crate::exit::Outcome;

pub(crate) fn run(export: &Export, global: &Global) -> Outcome {
    match export {
        Export::Schedule(args) => schedule::run(args, global),
        Export::Results(args) => results::run(args, global),
        Export::Weights(args) => weights::run(args, global),
    }
}
