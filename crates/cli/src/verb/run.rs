//! `sweep run FILE`: trains what is missing, stores it, ranks.

use report::Format;
use store::Reader;
use verdict::Ranking;

use crate::args::{Global, Metric, RankBy, Run};
use crate::exit::{Outcome, print, say};
use crate::input::sweep_file;
use crate::origins;
use crate::shell::{quoted, store_option};
use crate::stored::{ranked, wait_for};
use crate::training;
use crate::verb::rank;

pub(crate) fn run(args: &Run, global: &Global) -> Outcome {
    let (spec, plan) = sweep_file(&args.file, args.warnings, global.quiet, global)?;
    origins::look(&spec, &plan, global)?.warn(&args.file.display().to_string(), args.warnings, global)?;
    let workers = args.workers.unwrap_or_else(|| training::workers_for(&plan));
    let options = training::options(&args.training, workers, true, global)?;
    let name = plan.name.clone();
    let (all, shard) = (plan.trials.len(), args.shard);
    let (summary, ranked) = wait_for(async {
        let all = training::joined(&options, global, async |store, stop| {
            training::rounds(&spec, plan, shard, store, &options, stop, global).await
        });
        let all = all.await?;
        let mut reader = Reader::open(&global.store).await?;
        let how = RankBy { metric: Metric::Final, budget: None, rope: None };
        Ok((all, ranked(&mut reader, &name, &how).await?))
    })?;
    if let Some(shard) = shard {
        if !global.quiet && summary.stopped == 0 {
            say(format_args!(
                "{name}: shard {shard} of {all} trials has ended; `sweep merge` puts all shards into one store"
            ));
        }
        return training::ended(&summary, global);
    }
    let format = Format::from(&args.format);
    rank::show(&name, &ranked, format, global.quiet)?;
    if format == Format::Table {
        print(&next(&ranked.ranking, global))?;
    }
    training::ended(&summary, global)
}

/// The commands that make sense now, ready to be pasted: the program as it was called, and the options
/// that say where things are.
fn next(ranking: &Ranking, global: &Global) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "sweep".into());
    let sweep = format!("{}{}", quoted(&program.to_string_lossy()), store_option(global));
    let query = format!("{sweep} query \"select * from ranking\"");
    let mut lines = vec![(query, "ask the database")];
    if ranking.lines.iter().any(|line| line.mean.is_some()) {
        if let [first, second, ..] = ranking.lines.as_slice()
            && second.has_results()
        {
            let both = format!("{} {}", quoted(&first.schedule), quoted(&second.schedule));
            lines.push((
                format!("{sweep} compare {both}"),
                "any two of them, and how many seeds would tell them apart",
            ));
        }
        lines.push((format!("{sweep} show best"), "the best run"));
        let data = global.data_dir.as_ref();
        let data = data.map(|dir| format!(" --data-dir {}", quoted(&dir.display().to_string())));
        lines.push((
            format!("{sweep} reproduce best{}", data.unwrap_or_default()),
            "train it again, compare every bit",
        ));
    }
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let lines: String =
        lines.iter().map(|(command, what)| format!("  {command:<width$}   {what}\n")).collect();
    format!("\nnext:\n{lines}")
}
