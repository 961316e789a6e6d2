//! Finds configs that are the same run: two schedules that are equal, or an axis that changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use schedule::lint::{IDLE_AXIS, SAME_SCHEDULE, SHARED_RUNS};
use schedule::problem::Problem;
use schedule::tree::Key;

use crate::group_lrs::AXIS;
use crate::trial::Config;

/// One variant of a schedule at every point of the grid: each config and its hash.
pub(crate) type Fitted = Vec<(Arc<Config>, blake3::Hash)>;

/// The variants that were checked so far.
#[derive(Default)]
pub(crate) struct Duplicates {
    /// The first config of each run.
    runs: HashMap<blake3::Hash, Arc<Config>>,
    /// For each list of runs: the first config of the first variant with these runs.
    variants: HashMap<blake3::Hash, Arc<Config>>,
}

impl Duplicates {
    /// Adds the next variant, and returns warnings about runs that it shares with earlier ones.
    pub(crate) fn check(&mut self, schedule: &Key, fitted: &Fitted) -> Vec<Problem> {
        let Some((first, _)) = fitted.first() else { return Vec::new() };
        let mut hasher = blake3::Hasher::new();
        for (_, hash) in fitted {
            hasher.update(hash.as_bytes());
        }
        let all = hasher.finalize();
        if let Some(owner) = self.variants.get(&all) {
            return vec![same_variant(schedule, first, owner)];
        }
        self.variants.insert(all, Arc::clone(first));
        // One entry for each schedule that had such a run first.
        let mut shared: Vec<Shared> = Vec::new();
        for (config, hash) in fitted {
            let Some(owner) = self.runs.get(hash) else {
                self.runs.insert(*hash, Arc::clone(config));
                continue;
            };
            match shared.iter_mut().find(|(known, ..)| known.schedule_name == owner.schedule_name) {
                Some((.., more)) => *more += 1,
                None => shared.push((Arc::clone(owner), Arc::clone(config), 0)),
            }
        }
        shared.iter().map(|shared| same_run(schedule, shared)).collect()
    }
}

/// Two configs that are the same run, and the number of further such pairs.
type Shared = (Arc<Config>, Arc<Config>, usize);

/// The values of a schedule's own axes.
fn variant(config: &Config) -> String {
    let own = config.axes.iter().filter_map(|(path, value)| match path.strip_prefix("schedule") {
        Some("") => Some(value.clone()),
        Some(within) => Some(format!("{}: {value}", within.trim_start_matches('.'))),
        None => path.starts_with(AXIS).then(|| format!("{path}: {value}")),
    });
    own.collect::<Vec<_>>().join(", ")
}

/// Describes a config by the values that distinguish it from the others of its schedule.
fn described(config: &Config) -> String {
    let outer =
        config.axes.iter().filter(|(path, _)| !path.starts_with("schedule") && !path.starts_with(AXIS));
    let outer = outer.map(|(path, value)| format!("{path}: {value}"));
    let own = Some(variant(config)).filter(|own| !own.is_empty());
    let lr = format!("lr: {}", config.base_lr);
    own.into_iter().chain(outer).chain([lr]).collect::<Vec<_>>().join(", ")
}

/// All runs of a variant are those of an earlier one.
fn same_variant(schedule: &Key, config: &Config, owner: &Config) -> Problem {
    let path = format!("schedules.{}", schedule.name);
    let (own, other) = (variant(config), variant(owner));
    if owner.schedule_name == schedule.name {
        let message = format!("`{own}` and `{other}` are the same schedule in every run");
        let problem = Problem::new(schedule.place, path, message).with_lint(IDLE_AXIS);
        return problem.with_hint(format!("remove `{own}`"));
    }
    let named = |name: &str, variant: &str| match variant {
        "" => format!("`{name}`"),
        variant => format!("`{name}` with `{variant}`"),
    };
    let this = if own.is_empty() { String::new() } else { format!("with `{own}` ") };
    let message = format!("{this}this is the same as {} in every run", named(&owner.schedule_name, &other));
    let problem = Problem::new(schedule.place, path, message).with_lint(SAME_SCHEDULE);
    problem.with_hint("remove one of them: each run is trained once and counted for both")
}

/// Some runs of a variant are those of an earlier one.
fn same_run(schedule: &Key, (owner, config, more): &Shared) -> Problem {
    let path = format!("schedules.{}", schedule.name);
    let more = match more {
        0 => String::new(),
        1 => " (1 more pair)".to_owned(),
        n => format!(" ({n} more pairs)"),
    };
    let (own, other) = (described(config), described(owner));
    if owner.schedule_name == schedule.name {
        let message = format!("`{other}` and `{own}` are the same run, trained once{more}");
        let problem = Problem::new(schedule.place, path, message).with_lint(IDLE_AXIS);
        return problem.with_hint("the difference between them has no effect: remove one of the values");
    }
    let message = format!("`{own}` is the same run as `{}` with `{other}`{more}", owner.schedule_name);
    let problem = Problem::new(schedule.place, path, message).with_lint(SHARED_RUNS);
    problem.with_hint("the run is trained once and counted for both schedules")
}
