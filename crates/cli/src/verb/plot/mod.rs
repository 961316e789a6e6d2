//! `sweep plot`: draws the lr curves of a sweep file or of one schedule, or a figure of a stored sweep's report.

mod args;
pub(crate) mod rates;

use std::path::Path;

use report::figure::figure;
use report::plot::{Page, STYLES};

use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::output::Output;
use crate::screen;

pub(crate) use args::Args;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    // A wrong file name is reported before the work.
    let output = match args.output.as_deref() {
        Some(path) => Some((path, form(path)?)),
        None => None,
    };
    let curves = match (args.figure, output) {
        (Some(which), Some((path, form))) => {
            let document = crate::document::document(global, args.what.as_deref(), &(&args.how).into())?;
            let page = figure(&document, which.into())
                .map_err(|why| Failure::usage(format_args!("nothing to draw: {why}")))?;
            let size = args.size.unwrap_or(page.pixels());
            warn_of_styles(document.ranking.len(), "", global);
            return write(&page.scaled_to(size), path, form, global);
        }
        (Some(_), None) => {
            return Err(Failure::usage("--figure needs --output FILE, ending in .svg or .png"));
        }
        (None, _) if args.how.is_given() => {
            return Err(Failure::usage(
                "--metric, --budget and --rope need --figure: lr curves do not depend on results",
            ));
        }
        (None, _) => rates::figure(args, args.what.as_deref().unwrap_or("-"), global)?,
    };
    let Some((path, form)) = output else { return print(&curves.text(screen::width())) };
    warn_of_styles(curves.curves.len(), "; draw fewer with --select", global);
    write(&curves.page(args.size.unwrap_or_else(|| curves.fitting_size())), path, form, global)
}

fn warn_of_styles(curves: usize, advice: &str, global: &Global) {
    if curves > STYLES && !global.quiet {
        say(format_args!("{curves} curves share {STYLES} line styles{advice}"));
    }
}

#[derive(Clone, Copy)]
enum Form {
    Svg,
    Png,
}

/// The format, from the ending of the file name.
fn form(path: &Path) -> Result<Form, Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Form::Svg),
        "png" => Ok(Form::Png),
        _ => Err(Failure::usage(format_args!(
            "--output {}: expected a name ending in .svg or .png",
            path.display()
        ))),
    }
}

fn write(page: &Page, path: &Path, form: Form, global: &Global) -> Outcome {
    let bytes = match form {
        Form::Svg => page.svg().into_bytes(),
        Form::Png => {
            let boxes = page.letters_without_glyph();
            if !boxes.is_empty() && !global.quiet {
                let letters: String = boxes.iter().filter(|c| !c.is_control()).take(20).collect();
                say(format_args!("the PNG's font lacks {letters}, drawn as boxes; an SVG shows them"));
            }
            page.png().ok_or_else(|| Failure::failed("not enough memory for a picture of this size"))?
        }
    };
    Output::file(path)?.write_whole(&bytes)
}
