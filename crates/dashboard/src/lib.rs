//! The live page of a sweep: a web server that only reads the store, and the same data for offline reports.
//!
//! `service` is the thread that reads the store; `watched` is what it knows of a sweep; `gather` reads and composes single views;
//! `feed` passes changes to tabs; `routes` and `access` are the HTTP side; `server` listens. The front end and the plain types of
//! the data are in the crate `report`.

mod access;
mod error;
pub mod exported;
mod feed;
mod gather;
mod routes;
mod server;
mod service;
mod watched;

use report::document::Document;
use sweep::lookup::{Found, found};
use sweep::ranked::{RankBy, ranked};
use sweep::stored::open;
use sweep::{Context, Error};

pub use access::Token;
pub use gather::snapshot::Report;
pub use server::{ListenError, Options, Server};

/// The report of a sweep, which is named by `word` (default: the most recent sweep), and how the sweep differs from a file that
/// the word names.
///
/// # Errors
/// There is no such sweep, or the store can't be read.
pub async fn report(
    word: Option<&str>,
    how: &RankBy,
    context: &Context,
) -> Result<(Report, Option<String>), Error> {
    let mut reader = open(context).await?;
    let Found { name, note } = found(&mut reader, word, context).await?;
    Ok((gather::snapshot::report(&mut reader, &name, how, context).await?, note))
}

/// The document of a sweep, for Markdown and single figures.
///
/// # Errors
/// There is no such sweep, or the store can't be read.
pub async fn document(
    word: Option<&str>,
    how: &RankBy,
    context: &Context,
) -> Result<(Document, Option<String>), Error> {
    let mut reader = open(context).await?;
    let Found { name, note } = found(&mut reader, word, context).await?;
    let ranked = ranked(&mut reader, &name, how).await?;
    let material = gather::document::material(&mut reader, &name, &ranked, context).await?;
    let runs = gather::document::runs(&mut reader, &ranked).await?;
    Ok((gather::document::document(&ranked, how, material, runs), note))
}
