//! `sweep search FILE`: trains a sweep with a search, then prints the found schedule and the verdict on it; or the course of the search.

use report::{Cell, Format, Rows};
use schedule::problem::counted;
use schedule::tree::{Key, Place, Tree, Value};
use search::{Ask, Proposal, Stage};
use spec::Spec;
use spec::searched::{config_of, schedule_of};
use spec::trial::Trial;
use sweep::plan::{self, Aim};
use sweep::ranked::{RankBy, ranked};
use sweep::rounds::search_progress;
use sweep::search::{Ended, Progress};
use sweep::stored::{open, results_so_far};
use sweep::{Error, wait_for};
use verdict::Ranking;
use verdict::family::Verdict;

use super::run;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub run: run::Args,
    /// Train nothing, and print the generations so far
    #[arg(long)]
    pub history: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (spec, plan) = plan::of_file(&args.run.file, Aim::LookUp, &global.context)?;
    if spec.search.is_none() {
        return Err(Failure::usage(format_args!(
            "{}: this file has no section `search`: add one, as in `search: {{knots: 4, trials: 4000}}`, or use `sweep run`",
            args.run.file.display()
        )));
    }
    if !args.history {
        run::run(&args.run, global)?;
    }
    let (rows, values) = wait_for(results_so_far(&plan.name, &spec.metric, &global.context))?;
    let progress = search_progress(&spec, &plan, (&rows, &values))?;
    let format = Format::from(&args.run.format);
    if args.history {
        let ended = progress.as_ref().map(|progress| progress.ended.as_slice()).unwrap_or_default();
        return print(&history(&spec, ended).render(format));
    }
    if format != Format::Table {
        return Ok(());
    }
    let Some(progress) = progress else {
        return print("\nthe search has not begun: runs of named schedules are missing\n");
    };
    let name = plan.name.as_str();
    let ranking = wait_for(async {
        let mut reader = open(&global.context).await?;
        Ok::<_, Error>(ranked(&mut reader, name, &RankBy::default()).await?.ranking)
    })?;
    print(&format!("\n{}", result(&spec, &progress, &ranking)))
}

/// The result of a search, as text.
fn result(spec: &Spec, progress: &Progress, ranking: &Ranking) -> String {
    let Some(search) = &spec.search else { return String::new() };
    let spent = progress.ended.last().map_or(0, |ended| ended.spent);
    let Ask::Found(found) = &progress.next else {
        return format!("the search has not ended: {spent} of {} trials\n", search.settings.trials);
    };
    let shapes: usize = progress.ended.iter().map(|ended| ended.generation.proposals.len()).sum();
    format!(
        "{}\nfound by {} of {}, for another sweep file:\n  {}: {}\n",
        verdict(ranking, &search.name),
        counted(spent, "trial"),
        counted(shapes, "shape"),
        search.name,
        with_lr(found)
    )
}

/// The verdict on the found schedule against the named one that it is compared with.
fn verdict(ranking: &Ranking, name: &str) -> String {
    let at = ranking.lines.iter().position(|line| line.schedule == name);
    let other = ranking.lines.iter().position(|line| line.schedule != name);
    let (Some(at), Some(other)) = (at, other) else {
        return "the found schedule is not judged yet".to_owned();
    };
    let against = ranking.lines.get(other).map_or("", |line| line.schedule.as_str());
    let verdict = match ranking.family.verdict(at, other) {
        Verdict::Better => "is significantly better than",
        Verdict::Worse => "is significantly worse than",
        Verdict::Equivalent => "is equivalent to",
        Verdict::Same => "has the same losses as",
        Verdict::First | Verdict::Undecided => "is not significantly different from",
    };
    format!("{name} {verdict} {against}, the best named schedule")
}

/// The found schedule with its lr, as it can be written into a sweep file.
fn with_lr(found: &Proposal) -> Tree {
    let mut tree = schedule_of(found);
    if let Value::Map(entries) = &mut tree.value {
        let key = Key { place: Place::default(), name: "lr".to_owned() };
        entries.push((key, Tree::new(Value::Float(found.base_lr))));
    }
    tree
}

/// One row for each generation that has ended.
fn history(spec: &Spec, ended: &[Ended]) -> Rows {
    let mut rows =
        Rows::new(["generation", "stage", "shapes", "seeds", "trials", "base_lr", "schedule", "expected"]);
    for (number, Ended { generation, spent, center }) in ended.iter().enumerate() {
        let stage = match generation.stage {
            Stage::Start => "start",
            Stage::Search => "search",
            Stage::Last => "last",
        };
        rows.rows.push(vec![
            number.into(),
            stage.into(),
            generation.proposals.len().into(),
            generation.seeds.len().into(),
            (*spent).into(),
            center.base_lr.into(),
            schedule_of(center).to_string().as_str().into(),
            expected(spec, center).map_or(Cell::Null, Cell::Real),
        ]);
    }
    rows
}

/// The expected final loss of a shape, for tasks that have a closed form.
fn expected(spec: &Spec, shape: &Proposal) -> Option<f64> {
    let trial = Trial { id: String::new(), config: config_of(spec, shape).ok()?, seed: 0 };
    let (_, loss) = *trainer::expected::losses(&trial).ok()?.last()?;
    loss.is_finite().then_some(loss)
}
