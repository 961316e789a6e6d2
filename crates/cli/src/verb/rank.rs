//! `sweep rank`: the schedules of a sweep, each at its best lr, and what to know before believing it.

use report::{Format, Ranking};

use crate::args::{Global, Rank};
use crate::exit::{Outcome, print, say};
use crate::stored::{open, ranking, sweep, wait_for};

pub(crate) fn run(args: &Rank, global: &Global) -> Outcome {
    let (name, ranking) = wait_for(async {
        let mut reader = open(global).await?;
        let name = sweep(&mut reader, args.sweep.as_deref()).await?;
        let ranking = ranking(&mut reader, &name).await?;
        Ok((name, ranking))
    })?;
    show(&name, &ranking, Format::from(&args.format), global.quiet)
}

/// Prints a ranking; the table with a title and its notes.
pub(crate) fn show(sweep: &str, ranking: &Ranking, format: Format, quiet: bool) -> Outcome {
    match format {
        Format::Table => {
            let title = format!(
                "{sweep}: schedules by validation loss, each at its best lr (mean ± deviation over seeds)"
            );
            let notes: String = ranking.notes().iter().map(|note| format!("  {note}\n")).collect();
            let gap = if notes.is_empty() { "" } else { "\n" };
            print(&format!("{title}\n\n{}{gap}{notes}", ranking.table().render(Format::Table)))
        }
        Format::Json | Format::Csv => {
            if !quiet {
                ranking.notes().iter().for_each(say);
            }
            print(&ranking.rows().render(format))
        }
    }
}
