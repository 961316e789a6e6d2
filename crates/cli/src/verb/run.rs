//! `sweep run FILE`: trains the missing trials of a sweep, stores their results and ranks the schedules.

use std::path::PathBuf;

use report::Format;
use sweep::ranked::{RankBy, ranked};
use sweep::stored::open;
use sweep::{Error, Shard, Training, origins, programs, train, wait_for};
use verdict::Ranking;
use verdict::ranking::Line;

use crate::args::{FormatArg, TrainingArgs, Warnings, path, whole};
use crate::exit::{Outcome, print, say};
use crate::global::Global;
use crate::input::{show_note, sweep_file, warn_of_stored};
use crate::live;
use crate::observer::printer;
use crate::shell::{quoted, store_option};
use crate::signals::stoppable;
use crate::training::ended;
use crate::verb::rank;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep file (`-` reads standard input)
    #[arg(value_parser = path())]
    pub file: PathBuf,
    /// Number of threads that train; with 0 this process only coordinates and `sweep worker` processes train [default: one per
    /// core]
    #[arg(long, short, value_name = "N", value_parser = whole(0..=usize::MAX))]
    pub workers: Option<usize>,
    /// Train only part I of N parts of the sweep, in a separate store; `sweep merge` merges the parts
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Show the sweep live in a browser while it is trained [default address: 127.0.0.1:8080]
    #[arg(
        long, value_name = "HOST:PORT", num_args = 0..=1, require_equals = true,
        default_missing_value = "127.0.0.1:8080", value_parser = live::address
    )]
    pub dashboard: Option<live::Address>,
    #[command(flatten)]
    pub training: TrainingArgs,
    #[command(flatten)]
    pub warnings: Warnings,
    #[command(flatten)]
    pub format: FormatArg,
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    let shard = parts.filter(|(number, of)| (1..=*of).contains(number) && *of <= 1_000_000);
    let shard = shard.map(|(number, of)| Shard { number, of });
    shard.ok_or_else(|| "expected I/N with I from 1 to N, as in 2/4".to_owned())
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let context = &global.context;
    let (spec, plan) = sweep_file(&args.file, args.warnings, global)?;
    let stored = wait_for(origins::stored(&spec, &plan, context))?;
    warn_of_stored(&stored, &args.file, args.warnings, global)?;
    show_note(stored.note().as_deref(), global);
    let workers = args.workers.unwrap_or_else(|| programs::workers(&plan));
    let options = args.training.options(workers, true, context)?;
    let name = plan.name.clone();
    let (all, shard) = (plan.trials.len(), args.shard);
    let dashboard = args.dashboard.as_ref().map(|at| live::start(at, &name, context)).transpose()?.flatten();
    let (summary, ranked) = wait_for(async {
        let summary = stoppable(async |stop| {
            let training = Training { context, options: &options, stop };
            train::run(&training, (&spec, plan), shard, &mut printer(global.quiet)).await
        });
        let summary = summary.await?;
        let mut reader = open(context).await?;
        Ok::<_, Error>((summary, ranked(&mut reader, &name, &RankBy::default()).await?))
    })?;
    drop(dashboard);
    if let Some(shard) = shard {
        if !global.quiet && summary.stopped + summary.not_started == 0 {
            say(format_args!(
                "{name}: shard {shard} of {all} trials is done; merge all shards with `sweep merge`"
            ));
        }
        return ended(&summary, global);
    }
    let format = Format::from(&args.format);
    if format == Format::Table && !ranked.ranking.lines.iter().any(Line::has_results) {
        // An empty table would hide the errors above it.
        return ended(&summary, global);
    }
    rank::show(&name, &ranked, format, global.quiet)?;
    if format == Format::Table {
        print(&next(&ranked.ranking, global))?;
    }
    ended(&summary, global)
}

/// The next commands, ready to be pasted: with the program's name from the command line, and with the store.
fn next(ranking: &Ranking, global: &Global) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "sweep".into());
    let sweep = format!("{}{}", quoted(&program.to_string_lossy()), store_option(global));
    let query = format!("{sweep} query \"select * from ranking\"");
    let mut lines = vec![(query, "query the database")];
    if ranking.lines.iter().any(|line| line.mean.is_some()) {
        if let [first, second, ..] = ranking.lines.as_slice()
            && second.has_results()
        {
            let both = format!("{} {}", quoted(&first.schedule), quoted(&second.schedule));
            lines.push((
                format!("{sweep} compare {both}"),
                "compare any two, and see how many seeds a difference needs",
            ));
        }
        lines.push((format!("{sweep} show best"), "show the best run"));
        let data = global.context.data_dir.as_ref();
        let data = data.map(|dir| format!(" --data-dir {}", quoted(&dir.display().to_string())));
        lines.push((
            format!("{sweep} reproduce best{}", data.unwrap_or_default()),
            "train it again and compare every bit",
        ));
    }
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let lines: String =
        lines.iter().map(|(command, what)| format!("  {command:<width$}   {what}\n")).collect();
    format!("\nnext:\n{lines}")
}
