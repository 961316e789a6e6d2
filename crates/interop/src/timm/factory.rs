//! timm's function that makes one of its schedulers by a short name.

use super::parameters::{CYCLE_LIMIT, CYCLE_MUL, K, NOISE_PCT, NOISE_SEED, NOISE_STD, OVERLAY};
use crate::entry::{Extra, Named, PLAIN, Within};
use crate::given::Given;
use crate::trees::{entry, float, held, list, text, ticks, whole};
use schedule::catalogue::{ABOVE_0, Holds, optional, param};
use schedule::tree::{Tree, Value};

pub(crate) const CREATE: Named = Named {
    name: "timm.create_scheduler_v2",
    signature: &[
        "optimizer",
        "sched=",
        "num_epochs=",
        "decay_epochs=",
        "decay_milestones=",
        "cooldown_epochs=",
        "patience_epochs=",
        "decay_rate=",
        "min_lr=",
        "warmup_lr=",
        "warmup_epochs=",
        "warmup_prefix=",
        "noise=",
        "noise_pct=",
        "noise_std=",
        "noise_seed=",
        "cycle_mul=",
        "cycle_decay=",
        "cycle_limit=",
        "k_decay=",
        "decay_fn=",
        "stable_timescale=",
        "plateau_mode=",
        "step_on_epochs=",
        "updates_per_epoch=",
    ],
    params: &[
        param("sched", Holds::Choice(SCHEDS), "cosine", "which scheduler"),
        param("num_epochs", Holds::Whole(1), "300", "its length in epochs"),
        optional(
            "decay_epochs",
            Holds::Number(ABOVE_0),
            "of step (90) and of wsd and rsqrt (0.2, a share below 1)",
        ),
        optional("decay_milestones", Holds::Lengths, "of multistep; 90, 180 and 270 if not given"),
        param("cooldown_epochs", Holds::Whole(0), "0", "epochs at the last lr behind the schedule"),
        param("patience_epochs", Holds::Whole(0), "10", "of plateau"),
        param(
            "decay_rate",
            Holds::Number(ABOVE_0),
            "0.1",
            "of step, multistep and plateau; the power of poly",
        ),
        param("min_lr", Holds::Lr, "0.0", "lower bound"),
        param("warmup_lr", Holds::Lr, "1e-5", "lr at the start of the warmup"),
        param("warmup_epochs", Holds::Whole(0), "0", "length of the warmup"),
        OVERLAY,
        CYCLE_MUL,
        param("cycle_decay", Holds::Number(ABOVE_0), "0.1", "factor on the highest lr from cycle to cycle"),
        CYCLE_LIMIT,
        K,
        optional(
            "decay_fn",
            Holds::Choice(&["linear", "1-sqrt", "cosine", "power", "exp"]),
            "of wsd (1-sqrt) and rsqrt (linear)",
        ),
        optional(
            "stable_timescale",
            Holds::Number(ABOVE_0),
            "of rsqrt, in epochs; warmup_epochs if not given",
        ),
        NOISE_PCT,
        NOISE_STD,
        NOISE_SEED,
        param("plateau_mode", Holds::Choice(&["min", "max"]), "max", "of plateau"),
        param("step_on_epochs", Holds::Flag, "true", "change the lr once in an epoch; else at each step"),
        param("updates_per_epoch", Holds::Whole(0), "0", "steps in an epoch; needed if not step_on_epochs"),
    ],
    extra: &[Extra {
        name: "noise",
        holds: Within::Shares,
        required: false,
        doc: "where there is noise, `from` or `[from, to]` as shares of num_epochs; none if not given",
    }],
    expansion: "the scheduler that `sched` names, as above",
    note: "It returns the scheduler and a number of epochs; `[0]` may stand behind the call",
    example: "timm.scheduler.create_scheduler_v2(optimizer, 'cosine', num_epochs=100, warmup_epochs=5)[0]",
    expand: create,
    ..PLAIN
};

const SCHEDS: &[&str] =
    &["cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant", "plateau", "none"];

fn create(given: &mut Given<'_, '_>) -> Option<Tree> {
    let sched = given.choice("sched")?;
    let by_epoch = given.flag("step_on_epochs")?;
    let updates = given.whole("updates_per_epoch")?;
    if !by_epoch && updates == 0 {
        return given.refuse("updates_per_epoch", "expected at least 1 where `step_on_epochs` is false");
    }
    let tick = if by_epoch { 1.0 } else { updates as f64 };
    let length = given.whole("num_epochs")? as f64 * tick;
    let warm = given.whole("warmup_epochs")? as f64 * tick;
    let prefix = given.flag("warmup_prefix")?;
    let share = matches!(sched, "wsd" | "rsqrt");
    let decay = given.maybe_number("decay_epochs").unwrap_or(if share { 0.2 } else { 90.0 });
    let mut entries = Vec::new();
    let mut set = |name: &str, tree: Tree| entries.push(entry(name, tree));
    set("warmup_t", given.placed("warmup_epochs", whole(warm)));
    set("warmup_lr_init", given.tree("warmup_lr")?);
    if sched != "plateau" {
        set("t_in_epochs", Tree::new(Value::Bool(by_epoch)));
    }
    if let Some(noise) = given.maybe_tree("noise") {
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
            return given.refuse("noise", "expected a share of num_epochs or two of them, and no plateau");
        };
        set("noise_range_t", given.placed("noise", range));
        for name in ["noise_pct", "noise_std", "noise_seed"] {
            set(name, given.tree(name)?);
        }
    }
    if !share && sched != "plateau" {
        set("warmup_prefix", Tree::new(Value::Bool(prefix)));
    }
    let kind = match sched {
        "none" => return Some(held(text("1x"))),
        "cosine" | "tanh" | "poly" => {
            set("t_initial", given.placed("num_epochs", whole(length)));
            set("lr_min", given.tree("min_lr")?);
            for name in ["cycle_mul", "cycle_decay", "cycle_limit"] {
                set(name, given.tree(name)?);
            }
            if sched != "tanh" {
                set("k_decay", given.tree("k_decay")?);
            }
            if sched == "poly" {
                set("power", given.tree("decay_rate")?);
            }
            match sched {
                "cosine" => "timm.CosineLRScheduler",
                "tanh" => "timm.TanhLRScheduler",
                _ => "timm.PolyLRScheduler",
            }
        }
        "step" | "constant" => {
            let constant = sched == "constant";
            let every = float(if constant { 1.0 } else { decay * tick });
            set("decay_t", given.placed("decay_epochs", every));
            set("decay_rate", if constant { float(1.0) } else { given.tree("decay_rate")? });
            "timm.StepLRScheduler"
        }
        "multistep" => {
            let at = if given.has("decay_milestones") {
                given.items("decay_milestones")
            } else {
                [90.0, 180.0, 270.0].map(whole).to_vec()
            };
            let scaled = at.into_iter().map(|tree| match ticks(&tree) {
                Some(m) => Tree { place: tree.place, ..whole(m * tick) },
                None => tree,
            });
            set("decay_t", list(scaled.collect()));
            set("decay_rate", given.tree("decay_rate")?);
            "timm.MultiStepLRScheduler"
        }
        "plateau" => {
            if !by_epoch {
                return given.refuse("step_on_epochs", "plateau looks once in an epoch: expected true");
            }
            for (name, own) in [
                ("decay_rate", "decay_rate"),
                ("patience_epochs", "patience_t"),
                ("min_lr", "lr_min"),
                ("plateau_mode", "mode"),
            ] {
                set(own, given.tree(name)?);
            }
            "timm.PlateauLRScheduler"
        }
        _ => {
            let length = if prefix { length } else { length - warm };
            let down = if decay < 1.0 { decay * length } else { decay * tick };
            // As Python rounds: halves go to the even number.
            let down = down.round_ties_even();
            if !(down > 0.0 && down <= length) {
                let message =
                    format!("the decay would take {down} of {length}: expected more than 0 and at most all");
                return given.refuse("decay_epochs", message);
            }
            set("t_initial", given.placed("num_epochs", whole(length)));
            set("decay_t", given.placed("decay_epochs", whole(down)));
            set("lr_min", given.tree("min_lr")?);
            let rsqrt = sched == "rsqrt";
            set("stable_fn", text(if rsqrt { "rsqrt" } else { "constant" }));
            if let Some(timescale) = given.maybe_number("stable_timescale") {
                set("stable_timescale", given.placed("stable_timescale", float(timescale * tick)));
            }
            let way = given.maybe_tree("decay_fn");
            set("decay_fn", way.unwrap_or_else(|| text(if rsqrt { "linear" } else { "1-sqrt" })));
            "timm.WSDLRScheduler"
        }
    };
    set("kind", text(kind));
    Some(Tree::new(Value::Map(entries)))
}
