//! Every entry of the table is imported, exported to its own library and imported again.

use std::collections::BTreeMap;

use interop::{ExportInput, Library, LibraryEntry, code, entries, parse_program};
use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Horizon, Schedule};

const RUN: Horizon = Horizon { base_lr: 0.5, total: 100, steps_per_epoch: Some(5) };

/// The tolerance between two lrs, relative to the base lr or a higher lr.
const SHARE: f64 = 1e-12;

/// Entries that the export of their library refuses, with the reason.
const REFUSED: [(&str, &str); 1] = [("optax.contrib.dog", "it is an optimizer in optax")];

/// Entries that are exported as a function or a class with the closed form, which can't be imported again,
/// with the message of the import. `scripts/check-exports` runs this code with the real library.
const CLOSED_FORM: [(&str, &str); 13] = [
    ("torch.LambdaLR", FUNCTION),
    ("torch.MultiplicativeLR", FUNCTION),
    ("torch.ChainedScheduler", FUNCTION),
    ("keras.CosineDecay", CLASS),
    ("keras.CosineDecayRestarts", CLASS),
    ("transformers.get_cosine_with_hard_restarts_schedule_with_warmup", FUNCTION),
    ("transformers.get_polynomial_decay_schedule_with_warmup", FUNCTION),
    ("timm.CosineLRScheduler", OF_TIMM),
    ("timm.TanhLRScheduler", OF_TIMM),
    ("timm.PolyLRScheduler", OF_TIMM),
    ("timm.StepLRScheduler", OF_TIMM),
    ("timm.WSDLRScheduler", OF_TIMM),
    ("timm.create_scheduler_v2", OF_TIMM),
];
const FUNCTION: &str = "the value of `lr` is unknown";
const CLASS: &str = "unknown schedule `Schedule`";
const OF_TIMM: &str = "expected the name of a schedule";

fn library(entry: &LibraryEntry) -> Library {
    match entry.name.split('.').next() {
        Some("torch") => Library::Pytorch,
        Some("optax") => Library::Optax,
        Some("keras") => Library::Keras,
        Some("transformers") => Library::Transformers,
        _ => Library::Timm,
    }
}

fn imported(call: &str) -> Result<Schedule, String> {
    let parsed = parse_program(call).map_err(|problem| problem.to_string())?;
    let mut problems = Vec::new();
    let node = interop::parse(&parsed.schedule, "", &mut problems).ok_or(format!("{problems:?}"))?;
    node.resolve(&RUN).map_err(|problems| format!("{problems:?}"))
}

/// The lr at every step, with metrics that fall, rise and stay.
fn lrs(schedule: &Schedule) -> Vec<f64> {
    let (mut state, mut vectors) = (schedule.start(), Plain::default());
    let shown = |t: u64| {
        let train_loss = 1.0 / (1.0 + (t % 30) as f64) + (t / 30) as f64 * 0.01;
        let before = BeforeUpdate { train_loss, grad_norm_squared: 1.0 };
        schedule.before_update(&mut state, t, &before, &mut vectors);
        let lr = schedule.lr(t, &state);
        let (valid_loss, valid_accuracy) = (Some(train_loss), Some(1.0 - train_loss / 2.0));
        let own = &BTreeMap::new();
        let after = AfterUpdate { train_loss, valid_loss, valid_accuracy, own, evaluated: true };
        schedule.after_update(&mut state, t, &after);
        lr
    };
    (0..RUN.total).map(shown).collect()
}

fn exported(entry: &LibraryEntry, schedule: &Schedule) -> Result<String, String> {
    code(library(entry), &ExportInput { title: entry.name, schedule })
}

/// The reason in a list for an entry.
fn listed(list: &[(&str, &'static str)], entry: &LibraryEntry) -> Option<&'static str> {
    list.iter().find(|(name, _)| *name == entry.name).map(|(_, reason)| *reason)
}

#[test]
fn an_exported_entry_is_imported_as_the_same_schedule() {
    let is_listed = |entry: &&LibraryEntry| listed(&REFUSED, entry).or(listed(&CLOSED_FORM, entry)).is_some();
    for entry in entries().filter(|entry| !is_listed(entry)) {
        let schedule = imported(entry.example).unwrap_or_else(|problem| panic!("{}: {problem}", entry.name));
        let text = exported(entry, &schedule).unwrap_or_else(|reason| panic!("{}: {reason}", entry.name));
        let again = imported(&text).unwrap_or_else(|problem| panic!("{}: {problem}\n{text}", entry.name));
        for (t, (lr, found)) in lrs(&schedule).into_iter().zip(lrs(&again)).enumerate() {
            let close = (found - lr).abs() <= SHARE * lr.max(RUN.base_lr);
            assert!(close, "{}: lr({t}) is {found}, not {lr}:\n{text}", entry.name);
        }
    }
}

/// Entries that no longer belong in the lists must be removed from them.
#[test]
fn listed_entries_are_still_refused() {
    for (name, reason) in REFUSED.into_iter().chain(CLOSED_FORM) {
        let entry = interop::find(name).expect(name);
        let schedule = imported(entry.example).expect(name);
        let found = match exported(entry, &schedule) {
            Err(found) => found,
            Ok(_) if listed(&REFUSED, entry).is_some() => panic!("{name} is exported now"),
            Ok(text) => imported(&text).err().unwrap_or_default(),
        };
        assert!(found.contains(reason), "{name}: {found}");
    }
}
