//! Prints what a running sweep reports: decisions, the start of each round, progress.

use std::collections::BTreeSet;

use orchestrator::{Missing, Options, SharingChecked, Verified};
use schedule::problem::counted;
use search::{Generation, Stage};
use spec::looks::Rule;
use spec::protocol::{AtLook, Look, Outcome, Screened};
use spec::searched::schedule_of;
use store::TrialRecord;
use sweep::rounds::Decision;
use sweep::{Event, Round};
use verdict::ranking::Edge;

use crate::exit::say;
use crate::progress::Progress;
use crate::words::title;

/// An observer that prints on stderr. A quiet one prints only the failures of trials.
pub(crate) fn printer(quiet: bool) -> impl FnMut(Event<'_>) {
    let mut progress = None;
    let mut steps = 0;
    let mut repeats = false;
    move |event| match event {
        Event::RoundStarted(round) => {
            if !quiet && !repeats && !is_announced(round) {
                say(opening(round));
            }
            (progress, repeats) = (started(round, steps, quiet), true);
        }
        Event::Trial(event) => progress.iter_mut().for_each(|progress: &mut Progress| progress.on(event)),
        Event::EndedElsewhere(ended) => progress.iter_mut().for_each(|progress| progress.elsewhere(ended)),
        Event::RoundEnded => steps = progress.take().map_or(steps, Progress::finish),
        Event::Decided(_) | Event::Verified(_) | Event::SharingChecked(_) if quiet => {}
        Event::SharingChecked(checked) => match &progress {
            Some(progress) => progress.say(&sharing_text(checked)),
            None => say(sharing_text(checked)),
        },
        // The next round has one more seed of the same schedules.
        Event::Decided(decision) if is_unchanged(decision) => {}
        Event::Decided(decision) => {
            repeats = false;
            say(decided(decision));
        }
        Event::Retraining(row) => retraining(quiet)(row),
        Event::Verified(verified) => verified_text(verified).iter().for_each(say),
    }
}

/// Prints which stored trial is trained again for its weights.
pub(crate) fn retraining(quiet: bool) -> impl FnMut(&TrialRecord) {
    move |row| {
        if !quiet {
            say(format_args!("training again: {}", title(row)));
        }
    }
}

/// `before`: steps of the earlier rounds.
fn started(round: &Round<'_>, before: u64, quiet: bool) -> Option<Progress> {
    (!round.missing.is_empty()).then(|| Progress::new(round, before, quiet))
}

/// Whether the decision before the round has announced it, as that of a search's generation does.
fn is_announced(round: &Round<'_>) -> bool {
    let decisions = &round.plan.decisions;
    let is_generation = decisions.chosen.is_empty() && !decisions.generations.is_empty();
    is_generation && round.options.workers > 0
}

/// Whether one more seed has decided nothing: after each seed that would be a line too many.
pub(crate) fn is_unchanged(decision: &Decision) -> bool {
    match decision {
        Decision::Looked { rule: Rule::AnyTime, look, .. } => {
            look.outcomes.iter().all(|at| at.outcome == Outcome::Continued)
        }
        _ => false,
    }
}

/// A decision as text.
pub(crate) fn decided(decision: &Decision) -> String {
    match decision {
        Decision::Extended { extension, times, limit } => {
            let end = if extension.edge == Edge::Low { "lowest" } else { "highest" };
            format!(
                "{}: the best lr {} is the {end} of its grid; adding {} (extension {times} of at most {limit}, `extend: false` \
                 disables this)",
                extension.added.schedule,
                report::short(extension.from),
                report::short(extension.added.base_lr),
            )
        }
        Decision::Halved { halving, next, saved } => report::halving::decided(halving, *next, *saved),
        Decision::Refined { refinement, times, limit } => report::refine::adding(refinement, *times, *limit),
        Decision::RefineEnded { schedule, steps, why, cost } => {
            report::refine::ended(schedule, *steps, why, cost.as_ref())
        }
        Decision::Chosen { configs, tuning_seeds, deciding_seeds, looks } => {
            let each = configs
                .iter()
                .map(|config| format!("{} at lr {}", config.schedule, report::short(config.base_lr)));
            let each: Vec<String> = each.collect();
            format!(
                "chosen on {}: {}; {}{deciding_seeds} fresh seeds decide{}",
                counted(tuning_seeds, "tuning seed"),
                each.join(", "),
                if looks.is_some() { "at most " } else { "" },
                looks.as_ref().map(|looks| format!(", {}", report::looks::with(looks))).unwrap_or_default()
            )
        }
        Decision::Looked { look, next, saved, .. } => looked(look, *next, *saved),
        Decision::Screened { screened, laws, refused } => screened_text(screened, laws, refused),
        Decision::Proposed { generation, number, trials } => proposed(generation, *number, *trials),
        Decision::Found { found, compared, deciding_seeds } => {
            let others: Vec<&str> = compared.iter().skip(1).map(|config| config.schedule.as_str()).collect();
            format!(
                "search: found {} at lr {}; {} compare it with {}",
                schedule_of(found),
                report::short(found.base_lr),
                counted(deciding_seeds, "fresh seed"),
                others.join(", ")
            )
        }
    }
}

/// A generation of a search as text.
fn proposed(generation: &Generation, number: usize, (spent, most): (u64, u64)) -> String {
    let shapes = counted(generation.proposals.len(), "shape");
    let seeds = counted(generation.seeds.len(), "seed");
    let what = match generation.stage {
        Stage::Start => format!("begins with {shapes} of named schedules"),
        Stage::Search => format!("generation {number}: {shapes}"),
        Stage::Last => format!("chooses among {shapes}"),
    };
    format!("search: {what} on {seeds} ({spent} of {most} trials so far)")
}

/// A screening as text.
fn screened_text(screened: &Screened, laws: &[String], refused: &[(String, String)]) -> String {
    let each = |is_kept: bool| {
        let own = screened.outcomes.iter().filter(move |at| at.is_kept == is_kept);
        let own = own
            .filter_map(|at| Some(format!("{} ({})", at.chosen.schedule, report::short(at.predicted?.loss))));
        own.collect::<Vec<_>>().join(", ")
    };
    let learned: Vec<&str> = screened.learned.iter().map(|config| config.schedule.as_str()).collect();
    let mut text = format!("screening by the loss curves of {}", learned.join(", "));
    if !laws.is_empty() {
        text.push_str(&format!("; {}", laws.join("; ")));
    }
    let unknown = || screened.outcomes.iter().filter(|at| at.predicted.is_none());
    let (kept, left_out) = (each(true), each(false));
    if !kept.is_empty() {
        text.push_str(&format!("; trains the best by predicted loss: {kept}"));
    }
    let reasons: Vec<String> = unknown()
        .map(|at| match refused.iter().find(|(name, _)| *name == at.chosen.schedule) {
            Some((name, why)) => format!("{name} ({why})"),
            None => at.chosen.schedule.clone(),
        })
        .collect();
    if !reasons.is_empty() {
        text.push_str(&format!("; trains without a prediction: {}", reasons.join(", ")));
    }
    match screened.left_out().count() {
        0 => text,
        n => {
            let are = if n == 1 { "is" } else { "are" };
            format!(
                "{text}; {} {are} not trained, by prediction: {left_out}; a prediction is not a verdict",
                counted(n, "schedule")
            )
        }
    }
}

/// A look as text, one sentence for each budget.
fn looked(look: &Look, next: u64, saved: u64) -> String {
    let budgets: BTreeSet<u64> = look.outcomes.iter().map(|at| at.chosen.steps).collect();
    let mut parts = Vec::new();
    for steps in &budgets {
        let own: Vec<&AtLook> = look.outcomes.iter().filter(|at| at.chosen.steps == *steps).collect();
        let leader = own.first().map_or("", |at| at.chosen.schedule.as_str());
        let length = if budgets.len() > 1 { format!(" at {steps} steps") } else { String::new() };
        let mut part = format!("{leader} leads{length}");
        let stopped = [
            (Outcome::Worse, "significantly worse"),
            (Outcome::Equivalent, "equivalent to it"),
            (Outcome::Futile, "will hardly become different from it"),
        ];
        for (outcome, what) in stopped {
            let names = own.iter().filter(|at| at.outcome == outcome).map(|at| at.chosen.schedule.as_str());
            let names: Vec<&str> = names.collect();
            if !names.is_empty() {
                part.push_str(&format!(", {what}: {}", names.join(", ")));
            }
        }
        let continued = own.iter().filter(|at| at.outcome == Outcome::Continued).count();
        part.push_str(&match continued {
            0 => ", no schedule needs more seeds".to_owned(),
            n => format!(", {} to {next} seeds", report::looks::continued(n)),
        });
        parts.push(part);
    }
    let saved = if saved > 0 { format!("; {} saved", counted(saved, "run")) } else { String::new() };
    format!("look at {} seeds: {}{saved}", look.seeds, parts.join("; "))
}

/// The result of the check of shared steps.
fn sharing_text(checked: &SharingChecked) -> String {
    format!(
        "checked sharing: trial {} was also trained separately, and its losses differ {}",
        checked.trial_id,
        checked.words()
    )
}

/// `None` if bits differ, which is an error.
fn verified_text(verified: &Verified) -> Option<String> {
    verified.different.is_empty().then(|| match verified.same {
        0 => "no trials of other machines left to verify".to_owned(),
        n => format!("trained {n} trials of other machines again: every bit is the same"),
    })
}

/// Describes what the round will train.
fn opening(round: &Round<'_>) -> String {
    let Round { plan, missing, ended: stored, later, shard, options, .. } = *round;
    let left = missing.len();
    let all = counted(plan.trials.len(), "trial");
    let name = &plan.name;
    if stored == plan.trials.len() {
        let are = if stored == 1 { "is" } else { "are" };
        return format!("{name}: all {all} {are} stored, nothing to train");
    }
    let of_shard = shard.map_or(String::new(), |shard| format!(" of shard {shard}"));
    if left == 0 {
        return format!("{name}: {all}, none{of_shard} left to train");
    }
    let merged = match plan.merged() {
        0 => String::new(),
        n => format!(", {n} runs are the same as another"),
    };
    let stored = match stored {
        0 => String::new(),
        n => format!(", {n} already stored"),
    };
    if options.workers == 0 {
        return format!("{name}: {all}{stored}{merged}; {left} left for `sweep worker` processes");
    }
    let workers = counted(options.workers, "worker");
    let screened = later.screened.map_or_else(String::new, |(kept, of)| {
        format!("; then the {kept} of {of} other schedules with the lowest predicted losses")
    });
    let tuning = match later.tuning {
        0 => String::new(),
        runs => format!("; then at most {runs} more tuning runs of the better lrs"),
    };
    let search = match later.searched {
        0 => String::new(),
        trials => format!("; then at most {trials} trials of the search"),
    };
    let then = match later.runs {
        0 => String::new(),
        runs if later.at_most => format!(
            "; then at most {runs} {}deciding runs",
            if round.plan.decisions.chosen.is_empty() { "" } else { "more " }
        ),
        runs => format!("; then {runs} deciding runs"),
    };
    format!(
        "{name}: {all}{stored}{merged}; training {left}{of_shard} on {workers} ({}){}{screened}{tuning}{search}{then}",
        trained_by(missing, options),
        sharing(missing, options)
    )
}

/// The device, or the program.
fn trained_by(missing: &[Missing], options: &Options) -> String {
    let programs = missing.iter().map(|missing| missing.trial.config.task.program());
    let commands: Option<BTreeSet<String>> =
        programs.map(|program| program.map(|program| program.command.join(" "))).collect();
    match commands {
        Some(commands) if commands.len() == 1 => commands.into_iter().collect(),
        Some(commands) => format!("{} programs", commands.len()),
        None => options.device.to_string(),
    }
}

/// Describes how many steps sharing saves. Empty if trials resume from checkpoints.
fn sharing(missing: &[Missing], options: &Options) -> String {
    if !options.share || missing.iter().any(|missing| missing.checkpoint.is_some()) {
        return String::new();
    }
    let trials: Vec<_> = missing.iter().map(|missing| &missing.trial).collect();
    let requested: u64 = trials.iter().map(|trial| trial.config.task.steps).sum();
    match spec::share::trained_steps(&trials) {
        steps if steps == requested => String::new(),
        steps => format!(", {steps} steps instead of {requested} ({})", fewer(requested, steps)),
    }
}

/// As in `9.3 times fewer` or `8 % fewer`.
pub(crate) fn fewer(requested: u64, steps: u64) -> String {
    match requested as f64 / steps.max(1) as f64 {
        times if times < 1.5 => format!("{} % fewer", report::rounded(100.0 * (1.0 - 1.0 / times), 1)),
        times => format!("{times:.1} times fewer"),
    }
}

#[cfg(test)]
mod tests {
    use super::fewer;

    #[test]
    fn a_small_saving_is_a_percentage() {
        for (requested, steps, text) in [
            (187_440, 173_208, "8 % fewer"),
            (720, 717, "0.4 % fewer"),
            (1490, 1000, "33 % fewer"),
            (1500, 1000, "1.5 times fewer"),
            (1_944_000, 209_280, "9.3 times fewer"),
        ] {
            assert_eq!(fewer(requested, steps), text);
        }
    }
}
