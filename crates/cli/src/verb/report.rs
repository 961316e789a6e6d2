//! `sweep report`: a sweep's verdict, ranking, curves and warnings as one page.

use std::path::Path;

use crate::args::{Global, Page, Report};
use crate::document::document;
use crate::exit::{Failure, Outcome, print, say};
use crate::output::Output;

pub(crate) fn run(args: &Report, global: &Global) -> Outcome {
    let page = page(args)?;
    let document = document(global, args.sweep.as_deref(), &args.how)?;
    let text = match page {
        Page::Html => report::html(&document),
        Page::Md => report::markdown(&document),
    };
    let Some(path) = &args.output else { return print(&text) };
    Output::file(path)?.write_whole(text.as_bytes())?;
    if !global.quiet {
        say(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

/// The form that is asked for, or that the file's name says.
fn page(args: &Report) -> Result<Page, Failure> {
    let named = args.output.as_deref().and_then(Path::extension).and_then(|end| end.to_str());
    match (args.format, named) {
        (Some(page), _) => Ok(page),
        (None, Some("md" | "markdown")) => Ok(Page::Md),
        (None, Some("html" | "htm") | None) => Ok(Page::Html),
        (None, Some(other)) => Err(Failure::usage(format_args!(
            "a report ends in .html or .md, not .{other}; --format says which one is meant"
        ))),
    }
}
