//! timm's factory function, which creates a scheduler by a short name.

use super::parameters::{CYCLE_LIMIT, CYCLE_MUL, K, NOISE_PCT, NOISE_SEED, NOISE_STD, OVERLAY};
use crate::arguments::Arguments;
use crate::entry::{Extra, ExtraType, LibraryEntry, PLAIN};
use crate::trees::{constant_lr, entry, float, list, text, ticks, whole};
use schedule::catalogue::{ABOVE_0, ParamType, optional, param};
use schedule::tree::{Key, Tree, Value};

pub(crate) const CREATE: LibraryEntry = LibraryEntry {
    name: "timm.create_scheduler_v2",
    signature: "optimizer, sched=, num_epochs=, decay_epochs=, decay_milestones=, cooldown_epochs=, \
            patience_epochs=, decay_rate=, min_lr=, warmup_lr=, warmup_epochs=, warmup_prefix=, noise=, \
            noise_pct=, noise_std=, noise_seed=, cycle_mul=, cycle_decay=, cycle_limit=, k_decay=, decay_fn=, \
            stable_timescale=, plateau_mode=, step_on_epochs=, updates_per_epoch=",
    params: &[
        param("sched", ParamType::Choice(SCHEDS), "cosine", "which scheduler"),
        param("num_epochs", ParamType::Whole(1), "300", "its length in epochs"),
        optional(
            "decay_epochs",
            ParamType::Number(ABOVE_0),
            "interval of step (default 90) or decay of wsd and rsqrt (default 0.2; below 1 a fraction)",
        ),
        optional(
            "decay_milestones",
            ParamType::Lengths,
            "milestones of multistep; 90, 180 and 270 by default",
        ),
        param("cooldown_epochs", ParamType::Whole(0), "0", "epochs at the last lr after the schedule"),
        param("patience_epochs", ParamType::Whole(0), "10", "patience of plateau"),
        param(
            "decay_rate",
            ParamType::Number(ABOVE_0),
            "0.1",
            "factor of step, multistep and plateau; power of poly",
        ),
        param("min_lr", ParamType::Lr, "0.0", "lower bound"),
        param("warmup_lr", ParamType::Lr, "1e-5", "lr at the start of the warmup"),
        param("warmup_epochs", ParamType::Whole(0), "0", "length of the warmup"),
        OVERLAY,
        CYCLE_MUL,
        param("cycle_decay", ParamType::Number(ABOVE_0), "0.1", "factor per cycle on the highest lr"),
        CYCLE_LIMIT,
        K,
        optional(
            "decay_fn",
            ParamType::Choice(&["linear", "1-sqrt", "cosine", "power", "exp"]),
            "decay of wsd (default 1-sqrt) and rsqrt (default linear)",
        ),
        optional(
            "stable_timescale",
            ParamType::Number(ABOVE_0),
            "timescale of rsqrt in epochs; warmup_epochs by default",
        ),
        NOISE_PCT,
        NOISE_STD,
        NOISE_SEED,
        param("plateau_mode", ParamType::Choice(&["min", "max"]), "max", "mode of plateau"),
        param(
            "step_on_epochs",
            ParamType::Flag,
            "true",
            "change the lr once per epoch, otherwise at each step",
        ),
        param(
            "updates_per_epoch",
            ParamType::Whole(0),
            "0",
            "steps per epoch; required if step_on_epochs is false",
        ),
    ],
    extra: &[Extra {
        name: "noise",
        ty: ExtraType::Shares,
        required: false,
        doc: "the range with noise: `from` or `[from, to]`, as fractions of num_epochs; no noise by default",
    }],
    expansion: "the scheduler that `sched` names, as above",
    note: "It returns the scheduler and a number of epochs; the call may be followed by `[0]`",
    example: "timm.scheduler.create_scheduler_v2(optimizer, 'cosine', num_epochs=100, warmup_epochs=5)[0]",
    expand: create,
    ..PLAIN
};

const SCHEDS: &[&str] =
    &["cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant", "plateau", "none"];

/// The run of the scheduler, in ticks: epochs or steps.
struct Run {
    by_epoch: bool,
    /// Ticks in an epoch.
    tick: f64,
    length: f64,
    warmup: f64,
    /// Whether the schedule begins after the warmup.
    prefix: bool,
}

type Entries = Vec<(Key, Tree)>;

fn create(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let sched = given.choice("sched")?;
    let run = run(given)?;
    let mut entries = warmup(given, sched, &run)?;
    entries.extend(noise(given, sched, run.length)?);
    if !matches!(sched, "wsd" | "rsqrt" | "plateau") {
        entries.push(entry("warmup_prefix", Tree::new(Value::Bool(run.prefix))));
    }
    let (kind, own) = match sched {
        "none" => return Some(constant_lr(text("1x"))),
        "cosine" => ("timm.CosineLRScheduler", cosine(given, &run)?),
        "tanh" => ("timm.TanhLRScheduler", cycles(given, &run)?),
        "poly" => ("timm.PolyLRScheduler", poly(given, &run)?),
        "step" => ("timm.StepLRScheduler", step(given, &run)?),
        "constant" => ("timm.StepLRScheduler", constant(given)),
        "multistep" => ("timm.MultiStepLRScheduler", multistep(given, &run)?),
        "plateau" => ("timm.PlateauLRScheduler", plateau(given, &run)?),
        "rsqrt" => ("timm.WSDLRScheduler", stable(given, &run, "rsqrt", "linear")?),
        _ => ("timm.WSDLRScheduler", stable(given, &run, "constant", "1-sqrt")?),
    };
    entries.extend(own);
    entries.push(entry("kind", text(kind)));
    Some(Tree::new(Value::Map(entries)))
}

fn run(given: &mut Arguments<'_, '_>) -> Option<Run> {
    let by_epoch = given.flag("step_on_epochs")?;
    let updates = given.whole("updates_per_epoch")?;
    if !by_epoch && updates == 0 {
        given.problem("updates_per_epoch", "expected at least 1 if `step_on_epochs` is false");
        return None;
    }
    let tick = if by_epoch { 1.0 } else { updates as f64 };
    Some(Run {
        by_epoch,
        tick,
        length: given.whole("num_epochs")? as f64 * tick,
        warmup: given.whole("warmup_epochs")? as f64 * tick,
        prefix: given.flag("warmup_prefix")?,
    })
}

fn warmup(given: &mut Arguments<'_, '_>, sched: &str, run: &Run) -> Option<Entries> {
    let mut entries = vec![
        entry("warmup_t", given.at_place_of("warmup_epochs", whole(run.warmup))),
        entry("warmup_lr_init", given.tree("warmup_lr")?),
    ];
    if sched != "plateau" {
        entries.push(entry("t_in_epochs", Tree::new(Value::Bool(run.by_epoch))));
    }
    Some(entries)
}

/// The noise, if any. Its range is a fraction of the run.
fn noise(given: &mut Arguments<'_, '_>, sched: &str, length: f64) -> Option<Entries> {
    let Some(noise) = given.maybe_tree("noise") else { return Some(Vec::new()) };
    // t >= x for whole t is t >= ceil(x).
    let share = |tree: &Tree| match tree.value {
        Value::Int(i) => Some(whole((i as f64 * length).ceil())),
        Value::Float(x) => Some(whole((x * length).ceil())),
        _ => None,
    };
    let range = match &noise.value {
        Value::List(ends) => match ends.as_slice() {
            [from] => share(from),
            ends => ends.iter().map(share).collect::<Option<Vec<_>>>().map(list),
        },
        _ => share(&noise),
    };
    let Some(range) = range.filter(|_| sched != "plateau") else {
        given.problem(
            "noise",
            "expected one or two fractions of num_epochs, and another schedule than plateau",
        );
        return None;
    };
    let mut entries = vec![entry("noise_range_t", given.at_place_of("noise", range))];
    entries.extend(same(given, &["noise_pct", "noise_std", "noise_seed"])?);
    Some(entries)
}

/// Parameters with the same names in the scheduler.
fn same(given: &mut Arguments<'_, '_>, names: &[&'static str]) -> Option<Entries> {
    names.iter().map(|name| Some(entry(name, given.tree(name)?))).collect()
}

/// The parameters that all schedulers with cycles share.
fn cycles(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    let mut entries = vec![
        entry("t_initial", given.at_place_of("num_epochs", whole(run.length))),
        entry("lr_min", given.tree("min_lr")?),
    ];
    entries.extend(same(given, &["cycle_mul", "cycle_decay", "cycle_limit"])?);
    Some(entries)
}

fn cosine(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    let mut entries = cycles(given, run)?;
    entries.extend(same(given, &["k_decay"])?);
    Some(entries)
}

fn poly(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    let mut entries = cosine(given, run)?;
    entries.push(entry("power", given.tree("decay_rate")?));
    Some(entries)
}

fn step(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    let decay = given.maybe_number("decay_epochs").unwrap_or(90.0);
    let every = given.at_place_of("decay_epochs", float(decay * run.tick));
    Some(vec![entry("decay_t", every), entry("decay_rate", given.tree("decay_rate")?)])
}

/// A step schedule with factor 1.
fn constant(given: &mut Arguments<'_, '_>) -> Entries {
    vec![entry("decay_t", given.at_place_of("decay_epochs", float(1.0))), entry("decay_rate", float(1.0))]
}

fn multistep(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    let at = if given.has("decay_milestones") {
        given.items("decay_milestones")
    } else {
        [90.0, 180.0, 270.0].map(whole).to_vec()
    };
    let scaled = at.into_iter().map(|tree| match ticks(&tree) {
        Some(m) => Tree { place: tree.place, ..whole(m * run.tick) },
        None => tree,
    });
    Some(vec![entry("decay_t", list(scaled.collect())), entry("decay_rate", given.tree("decay_rate")?)])
}

fn plateau(given: &mut Arguments<'_, '_>, run: &Run) -> Option<Entries> {
    if !run.by_epoch {
        given.problem("step_on_epochs", "expected true: plateau checks once per epoch");
        return None;
    }
    [
        ("decay_rate", "decay_rate"),
        ("patience_epochs", "patience_t"),
        ("min_lr", "lr_min"),
        ("plateau_mode", "mode"),
    ]
    .into_iter()
    .map(|(name, own)| Some(entry(own, given.tree(name)?)))
    .collect()
}

/// A stable part and the decay after it; `way` is the default of `decay_fn`.
fn stable(given: &mut Arguments<'_, '_>, run: &Run, part: &str, way: &str) -> Option<Entries> {
    let length = if run.prefix { run.length } else { run.length - run.warmup };
    let decay = given.maybe_number("decay_epochs").unwrap_or(0.2);
    let down = if decay < 1.0 { decay * length } else { decay * run.tick };
    // Rounds halves to even, as in Python.
    let down = down.round_ties_even();
    if !(down > 0.0 && down <= length) {
        let message = format!("expected a decay of more than 0 and at most {length}, found {down}");
        given.problem("decay_epochs", message);
        return None;
    }
    let mut entries = vec![
        entry("t_initial", given.at_place_of("num_epochs", whole(length))),
        entry("decay_t", given.at_place_of("decay_epochs", whole(down))),
        entry("lr_min", given.tree("min_lr")?),
        entry("stable_fn", text(part)),
    ];
    if let Some(timescale) = given.maybe_number("stable_timescale") {
        let timescale = given.at_place_of("stable_timescale", float(timescale * run.tick));
        entries.push(entry("stable_timescale", timescale));
    }
    entries.push(entry("decay_fn", given.maybe_tree("decay_fn").unwrap_or_else(|| text(way))));
    Some(entries)
}
