//! `sweep rm`: removes a sweep, or the results of trials, from the store. Without `--yes` it prints what it would remove.

use std::collections::BTreeMap;
use std::path::PathBuf;

use report::{Cell, Format, Rows};
use store::{AffectedTrial, Reader, RemovalEffect, RemovalTarget, Store};
use sweep::lookup::sweep;
use sweep::stored::{by_id, open};
use sweep::wait_for;

use crate::args::{FormatArg, path};
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep to remove, with the runs that no other sweep uses
    #[arg(required_unless_present = "trial", conflicts_with = "trial")]
    pub sweep: Option<String>,
    /// Remove the results of these trials instead (start of each id); sweeps that use them train them again
    #[arg(long, num_args = 1.., value_name = "TRIAL")]
    pub trial: Vec<String>,
    /// Really remove; without it, only print what would be removed
    #[arg(long, short)]
    pub yes: bool,
    /// Folder of the checkpoints, as given to `run --checkpoints`
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints_in: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let folder = global.context.store.trials(args.checkpoints_in.as_deref());
    let (selection, affected, files) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let selection = selection(&mut reader, args, global).await?;
        if !args.yes {
            let affected = reader.removal(selection.target()).await?;
            let files = orchestrator::trial_files(&folder, &lost(&affected));
            return Ok((selection, affected, files));
        }
        drop(reader);
        let mut store = Store::open(&global.context.store).await?;
        let removed = store.remove(selection.target()).await;
        let affected = match removed {
            Ok(affected) => affected,
            Err(error) => {
                store.close().await?;
                return Err(Failure::from(error));
            }
        };
        // The database first: after a kill, `sweep gc` removes the remaining files.
        let checkpoints = global.context.store.checkpoints(args.checkpoints_in.as_deref());
        let stale = orchestrator::remove_stale(&mut store, &checkpoints, false).await?;
        let own = orchestrator::remove_trials(&folder, &lost(&affected));
        store.close().await?;
        Ok::<_, Failure>((selection, affected, (stale.0 + own.0, stale.1 + own.1)))
    })?;
    match Format::from(&args.format) {
        Format::Table => print(&text(&selection, &affected, files, args.yes)),
        format => print(&rows(&affected).render(format)),
    }
}

/// The sweep or the trials to remove, by full names.
enum Selection {
    Sweep(String),
    Trials(Vec<String>),
}

impl Selection {
    fn target(&self) -> RemovalTarget<'_> {
        match self {
            Self::Sweep(name) => RemovalTarget::Sweep(name),
            Self::Trials(ids) => RemovalTarget::Trials(ids),
        }
    }
}

async fn selection(reader: &mut Reader, args: &Args, global: &Global) -> Result<Selection, Failure> {
    if let Some(word) = &args.sweep {
        return Ok(Selection::Sweep(sweep(reader, Some(word), &global.context).await?));
    }
    let mut ids = Vec::new();
    for word in &args.trial {
        ids.push(by_id(reader, word).await?.trial_id);
    }
    Ok(Selection::Trials(ids))
}

/// The trials whose results are removed.
fn lost(affected: &[AffectedTrial]) -> Vec<String> {
    let lost = affected.iter().filter(|trial| trial.effect.loses_results());
    lost.map(|trial| trial.trial_id.clone()).collect()
}

/// One row per trial.
fn rows(affected: &[AffectedTrial]) -> Rows {
    let mut rows =
        Rows::new(["trial_id", "schedule", "base_lr", "seed", "status", "steps_done", "fate", "because_of"]);
    for trial in affected {
        let (effect, because) = match &trial.effect {
            RemovalEffect::Removed => ("removed", None),
            RemovalEffect::Requeued(sweeps) => ("queued", Some(sweeps)),
            RemovalEffect::UsedBySweeps(sweeps) => ("kept: used by other sweeps", Some(sweeps)),
            RemovalEffect::UsedByTrials(trials) => {
                ("kept: other trials start from its weights", Some(trials))
            }
        };
        rows.rows.push(vec![
            trial.trial_id.as_str().into(),
            trial.schedule.as_str().into(),
            trial.base_lr.into(),
            trial.seed.into(),
            trial.status.name().into(),
            trial.steps_done.into(),
            effect.into(),
            because.map_or(Cell::Null, |names| Cell::Text(names.join(" "))),
        ]);
    }
    rows
}

/// The removal as text.
fn text(selection: &Selection, affected: &[AffectedTrial], files: (usize, u64), yes: bool) -> String {
    let mut text = match selection {
        Selection::Sweep(name) => format!("sweep {name}: {}\n", removed(affected, yes)),
        Selection::Trials(_) => format!("{}\n", removed(affected, yes)),
    };
    let because = |names: fn(&RemovalEffect) -> Option<&Vec<String>>| -> Option<(usize, String)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let found: Vec<_> = affected.iter().filter_map(|trial| names(&trial.effect)).collect();
        found.iter().flat_map(|names| names.iter()).for_each(|name| *counts.entry(name).or_default() += 1);
        let named: Vec<String> = counts.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        (!found.is_empty()).then(|| (found.len(), named.join(", ")))
    };
    let asked =
        because(|effect| if let RemovalEffect::UsedBySweeps(names) = effect { Some(names) } else { None });
    if let Some((count, names)) = asked {
        text.push_str(&format!("{} kept, used by other sweeps: {names}\n", runs(count)));
    }
    let begun =
        because(|effect| if let RemovalEffect::UsedByTrials(names) = effect { Some(names) } else { None });
    if let Some((count, names)) = begun {
        text.push_str(&format!("{} kept, these trials start from their weights: {names}\n", runs(count)));
    }
    let queued =
        because(|effect| if let RemovalEffect::Requeued(names) = effect { Some(names) } else { None });
    if let Some((count, names)) = queued {
        text.push_str(&format!(
            "{} will be trained again by the sweeps that use them: {names}\n",
            runs(count)
        ));
    }
    if files.0 > 0 {
        let size = bytesize::ByteSize::b(files.1).display().iec();
        text.push_str(&format!("files of these runs (output, checkpoints, weights): {}, {size}\n", files.0));
    }
    // A sweep is removed even if all its runs are kept.
    let nothing = matches!(selection, Selection::Trials(_)) && lost(affected).is_empty();
    text.push_str(match (nothing, yes) {
        (true, _) => "",
        (_, true) => "`sweep gc` shrinks the database\n",
        (_, false) => "nothing was removed; repeat with --yes to remove\n",
    });
    text
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

/// Counts the runs that lose their results, by status.
fn removed(affected: &[AffectedTrial], yes: bool) -> String {
    let lost: Vec<&AffectedTrial> = affected.iter().filter(|trial| trial.effect.loses_results()).collect();
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    lost.iter().for_each(|trial| *by_status.entry(trial.status.name()).or_default() += 1);
    let each: Vec<String> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let steps: i64 = lost.iter().map(|trial| trial.steps_done).sum();
    match lost.len() {
        0 => "no results are removed".to_owned(),
        count => {
            let what = if yes { "removed" } else { "would remove" };
            format!("{what} the results of {} ({}), {steps} steps", runs(count), each.join(", "))
        }
    }
}
