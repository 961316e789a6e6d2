//! `sweep schedules`: lists the schedules, or describes one with a plot of its example.

use report::{Format, page, plot};
use schedule::Feedback;
use schedule::index::{self, Item};
use sweep::source::Source;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kind, combinator or preset, or its name in another library
    pub name: Option<String>,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, _: &Global) -> Outcome {
    let format = Format::from(&args.format);
    let Some(name) = &args.name else {
        return match format {
            Format::Table => print(&page::list(screen::width())),
            Format::Json | Format::Csv => print(&page::rows().render(format)),
        };
    };
    let item = find(name)?;
    match format {
        Format::Json => print(&format!("{:#}\n", page::json(&item))),
        Format::Csv => {
            let mut rows = page::rows();
            rows.rows.retain(|row| row.get(1) == Some(&item.name().into()));
            print(&rows.render(format))
        }
        Format::Table => {
            // A test resolves every example.
            let source = Source { name: item.name().to_owned(), text: item.example().to_owned() };
            let run = plot::RUN;
            let fitted = super::lr::fit(&source, Some(run.base_lr), Some(run.total), run.steps_per_epoch)?;
            let schedule = fitted.schedule;
            let run = match schedule.feedback() {
                Feedback::OpenLoop => format!("the example over {}", plot::RUN_WORDS),
                Feedback::ClosedLoop => {
                    format!("the example over {}: {}", plot::RUN_WORDS, plot::bowl::WORDS)
                }
            };
            print(&page::page(&item, &plot::example(&schedule), &run, screen::width()))
        }
    }
}

fn find(name: &str) -> Result<Item, Failure> {
    index::find(name).map_err(|near| {
        let shown: String = name.chars().filter(|c| !c.is_control()).collect();
        match near {
            Some(near) => Failure::usage(format_args!("unknown schedule `{shown}`; did you mean `{near}`?")),
            None => Failure::usage(format_args!(
                "unknown schedule `{shown}`; `sweep schedules` lists all schedules"
            )),
        }
    })
}
