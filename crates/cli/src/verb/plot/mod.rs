//! `sweep plot`: the lr curves of a sweep file or of one schedule, or a figure of a stored sweep's report, as a picture.

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
    // A name that can't be written to is told before the work is done.
    let output = match args.output.as_deref() {
        Some(path) => Some((path, form(path)?)),
        None => None,
    };
    let curves = match (args.figure, output) {
        (Some(which), Some((path, form))) => {
            let document = crate::document::document(global, args.what.as_deref(), &(&args.how).into())?;
            let page = figure(&document, which.into())
                .map_err(|why| Failure::usage(format_args!("there is nothing to draw: {why}")))?;
            let size = args.size.unwrap_or(page.pixels());
            warn_of_styles(document.ranking.len(), "", global);
            return write(&page.scaled_to(size), path, form, global);
        }
        (Some(_), None) => {
            return Err(Failure::usage("--figure needs --output FILE, a name ending in .svg or .png"));
        }
        (None, _) if args.how.is_given() => {
            return Err(Failure::usage(
                "--metric, --budget and --rope are for --figure, which draws results",
            ));
        }
        (None, _) => rates::figure(args, args.what.as_deref().unwrap_or("-"), global)?,
    };
    let Some((path, form)) = output else { return print(&curves.text(screen::width())) };
    warn_of_styles(curves.curves.len(), "; --select draws some of them", global);
    write(&curves.page(args.size.unwrap_or_else(|| curves.fitting_size())), path, form, global)
}

fn warn_of_styles(curves: usize, advice: &str, global: &Global) {
    if curves > STYLES && !global.quiet {
        say(format_args!("{curves} curves share {STYLES} styles of line{advice}"));
    }
}

#[derive(Clone, Copy)]
enum Form {
    Svg,
    Png,
}

/// The form that a file's name asks for.
fn form(path: &Path) -> Result<Form, Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Form::Svg),
        "png" => Ok(Form::Png),
        _ => Err(Failure::usage(format_args!(
            "--output {}: a picture is written as .svg or .png, by the ending of its name",
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
                say(format_args!(
                    "the font of the PNG has no {letters}: boxes stand for them; an SVG shows them"
                ));
            }
            page.png().ok_or_else(|| Failure::failed("no memory for a picture of this size"))?
        }
    };
    Output::file(path)?.write_whole(&bytes)
}
