//! Looks of a stored sweep: planned ones are fixed before the first deciding run, and so is whether e-values judge.

use spec::Spec;
use spec::looks::Looks;
use spec::protocol::{Purpose, Seeds, seeds_of};
use store::{Store, TrialRecord};

use crate::Error;

/// Refuses a file with other seeds than those that the sweep began to judge with, if one of the two has planned looks: what a look may
/// spend depends on all looks. If e-values judge, only the number of seeds may change.
///
/// # Errors
/// The seeds differ, or the store can't be read.
pub(crate) async fn check_unchanged(
    spec: &Spec,
    rows: &[TrialRecord],
    store: &mut Store,
) -> Result<(), Error> {
    let judges = |row: &TrialRecord| matches!(row.purpose, Purpose::All | Purpose::Decide);
    let judged = rows.iter().filter(|row| judges(row) && row.is_over()).count();
    if judged == 0 {
        return Ok(());
    }
    let sweeps = store.sweeps().await?;
    let stored = sweeps.iter().find(|(name, ..)| *name == spec.name).and_then(|(_, text, _)| seeds_of(text));
    match stored {
        Some(stored) if stored == spec.seeds || stored.may_become(&spec.seeds) => Ok(()),
        Some(stored) if (stored.looks().or(spec.seeds.looks())).is_some() => {
            Err(changed(&spec.name, &stored, &spec.seeds))
        }
        _ => Ok(()),
    }
}

fn changed(name: &str, stored: &Seeds, now: &Seeds) -> Error {
    let is_any_time = |seeds: &Seeds| seeds.looks().is_some_and(Looks::is_any_time);
    let why = match (is_any_time(stored), is_any_time(now)) {
        (false, false) => {
            "planned looks can't be changed after that, because what each look may decide depends on all of them"
        }
        (true, true) => {
            "e-values hold for more seeds of the same sweep, but not after other seeds have chosen the configs"
        }
        _ => {
            "e-values and p-values can't be exchanged after that, because to choose between two tests after seeing results makes both \
             wrong"
        }
    };
    Error::usage(format_args!(
        "the seeds of `{name}` were {} when its first results could be seen, and are {} now: {why}. Restore them, or give the sweep \
         another name and deciding seeds that it has not used",
        described(stored),
        described(now)
    ))
}

fn described(seeds: &Seeds) -> String {
    match (seeds.looks(), seeds) {
        (Some(looks), seeds) if looks.is_any_time() => {
            let rope = looks.rope.map(|rope| format!(", rope: {rope}")).unwrap_or_default();
            format!(
                "{{tune: {}, decide: {{until: decided, at_most: {}{rope}}}}}",
                seeds.choosing(),
                looks.most()
            )
        }
        (Some(looks), seeds) => {
            let numbers: Vec<String> = looks.seeds.iter().map(u64::to_string).collect();
            let rope = looks.rope.map(|rope| format!(", rope: {rope}")).unwrap_or_default();
            let looks = format!("{{looks: [{}]{rope}}}", numbers.join(", "));
            match seeds {
                Seeds::Each { .. } => format!("{{each: {looks}}}"),
                _ => format!("{{tune: {}, decide: {looks}}}", seeds.choosing()),
            }
        }
        (None, Seeds::Split { .. }) => {
            format!("{{tune: {}, decide: {}}}", seeds.choosing(), seeds.deciding())
        }
        (None, Seeds::All(all)) => all.len().to_string(),
        (None, Seeds::Each { seeds, .. }) => format!("{{each: {seeds}}}"),
    }
}
