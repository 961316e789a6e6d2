//! `sweep report`: writes a sweep's verdict, ranking, curves and warnings as one page.

use std::path::{Path, PathBuf};

use sweep::ranked::RankBy;
use sweep::wait_for;

use crate::args::{RankArgs, path};
use crate::document::document;
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::input::show_note;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep [default: the most recent sweep]
    pub sweep: Option<String>,
    /// File to write, ending in .html or .md [default: stdout]
    #[arg(long, short, value_name = "FILE", value_parser = path())]
    pub output: Option<PathBuf>,
    /// Format [default: from the ending of the file, else html]
    #[arg(long, value_enum)]
    pub format: Option<Page>,
    #[command(flatten)]
    pub how: RankArgs,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Page {
    /// A single HTML file that works offline
    Html,
    /// GitHub-flavoured Markdown
    Md,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let page = page(args)?;
    let (word, how) = (args.sweep.as_deref(), RankBy::from(&args.how));
    let text = match page {
        Page::Html => {
            let (made, note) = wait_for(dashboard::report(word, &how, &global.context))?;
            show_note(note.as_deref(), global);
            report::html(&made.document, &made.snapshot)
        }
        Page::Md => report::markdown(&document(global, word, &how)?),
    };
    let Some(path) = &args.output else { return print(&text) };
    Output::file(path)?.write_whole(text.as_bytes())?;
    if !global.quiet {
        say(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

/// The format: --format, or from the ending of the file name.
fn page(args: &Args) -> Result<Page, Failure> {
    let named = args.output.as_deref().and_then(Path::extension).and_then(|end| end.to_str());
    match (args.format, named) {
        (Some(page), _) => Ok(page),
        (None, Some("md" | "markdown")) => Ok(Page::Md),
        (None, Some("html" | "htm") | None) => Ok(Page::Html),
        (None, Some(other)) => Err(Failure::usage(format_args!(
            "expected a file ending in .html or .md, found .{other}; set the format with --format"
        ))),
    }
}
