//! Prints closed-loop rules as code of the libraries that have them. Arguments are adapted to the counting of
//! each library, and the usage text says which metric it needs and when.

use schedule::known::{Known, KnownGreedy, KnownPlateau, KnownWatch, Metric, Way};

use crate::input::{ExportInput, head};
use crate::segments::same;
use crate::writer::real;

/// The metric that the rule watches, and how often.
fn metric(watch: &KnownWatch) -> String {
    let what = match &watch.metric {
        Metric::TrainLoss => "the loss of the batch".to_owned(),
        Metric::ValidLoss => "the validation loss".to_owned(),
        Metric::ValidAccuracy => "the validation accuracy, from 0 to 1".to_owned(),
        Metric::Own(name) => format!("your metric {name}"),
    };
    let when = match &watch.every {
        Some(every) => format!("each {every}"),
        None => "whenever you evaluate".to_owned(),
    };
    format!("{what}, {when}")
}

/// The lines of a training loop with `call` in the right place for the rule.
fn steps(watch: &KnownWatch, call: &str) -> String {
    let call = format!("        {call}  # with {}\n", metric(watch));
    let update = "        optimizer.step()\n";
    if watch.before { format!("{call}{update}") } else { format!("{update}{call}") }
}

fn mode(max: bool) -> &'static str {
    if max { "max" } else { "min" }
}

/// The note for a rule that uses means of metrics.
fn means(accumulate: u64) -> String {
    match accumulate {
        1 => String::new(),
        n => format!("\nThe rule uses the mean of {n} metrics: pass it that mean, once per {n} metrics.\n"),
    }
}

/// The lowest lr that the rule reaches, because further changes would be below its `eps`; for libraries with
/// a lowest lr but no `eps`.
fn floor(rule: &KnownPlateau) -> f64 {
    let mut lr = rule.lr;
    // No run has more than 100,000 reductions.
    for _ in 0..100_000 {
        let lower = (lr * rule.factor).max(rule.min);
        if lr - lower <= rule.eps || lower <= 0.0 {
            return lr;
        }
        lr = lower;
    }
    lr
}

pub(crate) fn pytorch(subject: &ExportInput<'_>, rule: &KnownPlateau) -> String {
    let usage = format!(
        "    optimizer = torch.optim.SGD(model.parameters(), lr=BASE_LR)  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             for batch in batches:\n        \
                 ...\n{}{}",
        steps(&rule.watch, "scheduler.step(metric)"),
        means(rule.accumulate)
    );
    // torch has one threshold; the rule may have two.
    let both = rule.relative && rule.threshold != 0.0 && rule.threshold_abs != 0.0;
    let (mode_name, threshold) = match rule.relative && rule.threshold_abs == 0.0 {
        true => ("rel", rule.threshold),
        false if rule.relative => ("abs", rule.threshold_abs),
        false => ("abs", rule.threshold + rule.threshold_abs),
    };
    let class = if both { "Plateau" } else { "ReduceLROnPlateau" };
    let subclass = if both {
        let better = if rule.max_mode {
            format!("a > best * {} + {}", real(1.0 + rule.threshold), real(rule.threshold_abs))
        } else {
            format!("a < best * {} - {}", real(1.0 - rule.threshold), real(rule.threshold_abs))
        };
        format!(
            "class Plateau(ReduceLROnPlateau):\n    def _is_better(self, a, best):\n        \
             return {better}  # both thresholds\n\n\n"
        )
    } else {
        String::new()
    };
    format!(
        "{}import torch\nfrom torch.optim.lr_scheduler import ReduceLROnPlateau\n\nBASE_LR = {}\n\n\n{subclass}\
         def make_scheduler(optimizer: torch.optim.Optimizer) -> ReduceLROnPlateau:\n    return {class}(\n        \
         optimizer,\n        mode=\"{}\",\n        factor={},\n        patience={},\n        threshold={},\n        \
         threshold_mode=\"{mode_name}\",\n        cooldown={},\n        min_lr={},\n        eps={},\n    )\n",
        head(subject, &usage),
        real(rule.lr),
        mode(rule.max_mode),
        real(rule.factor),
        rule.patience,
        real(threshold),
        rule.cooldown,
        real(rule.min),
        real(rule.eps)
    )
}

pub(crate) fn transformers(subject: &ExportInput<'_>, rule: &KnownPlateau) -> String {
    // `reduce_lr_on_plateau` of transformers is torch's class; Trainer passes it the metric.
    let usage = format!(
        "    optimizer = torch.optim.AdamW(model.parameters(), lr=BASE_LR)  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             trainer = Trainer(model, args, optimizers=(optimizer, scheduler))\n\n\
         Trainer passes it metric_for_best_model after each evaluation if args also name the scheduler: \
         lr_scheduler_type=\"reduce_lr_on_plateau\".\nThe metric must be {}.\n{}",
        metric(&rule.watch),
        means(rule.accumulate)
    );
    let torch = pytorch(subject, rule);
    let program = torch.split_once("import torch").map_or("", |(_, program)| program);
    format!("{}import torch{program}", head(subject, &usage))
}

pub(crate) fn greedy(subject: &ExportInput<'_>, rule: &KnownGreedy) -> String {
    let usage = format!(
        "    optimizer = torch.optim.AdamW(model.parameters(), lr=BASE_LR)  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             for batch in batches:\n        \
                 ...\n{}",
        steps(&rule.watch, "scheduler.step(metric)")
    );
    format!(
        "{}import torch\nfrom transformers import get_scheduler\n\nBASE_LR = {}\n\n\n\
         def make_scheduler(optimizer: torch.optim.Optimizer):\n    return get_scheduler(\n        \"greedy\",\n        \
         optimizer,\n        scheduler_specific_kwargs={{\n            \"mode\": \"{}\",\n            \
         \"factor\": {},\n            \"patience\": {},\n            \"threshold\": {},\n            \
         \"threshold_mode\": \"{}\",\n            \"cooldown\": {},\n            \"warmup\": {},\n            \
         \"min_lr\": {},\n            \"max_lr\": {},\n            \"smooth\": {},\n            \
         \"window_size\": {},\n            \"reset_start\": {},\n            \"eps\": {},\n        }},\n    )\n",
        head(subject, &usage),
        real(rule.lr),
        mode(rule.max_mode),
        real(rule.factor),
        rule.patience,
        real(rule.threshold),
        if rule.relative { "rel" } else { "abs" },
        rule.cooldown,
        rule.warmup,
        real(rule.min),
        real(rule.max),
        if rule.smooth > 1 { "True" } else { "False" },
        rule.smooth,
        rule.reset_after,
        real(rule.eps)
    )
}

/// timm's class wraps torch's with a relative threshold and an optional warmup to the optimizer's lr.
pub(crate) fn timm(subject: &ExportInput<'_>) -> Option<String> {
    let known = subject.known();
    let (warmup, rule) = match &known {
        Known::Plateau(rule) => (None, rule),
        Known::Warmup { ramp, body } => match body.as_ref() {
            Known::Plateau(rule) => (Some(ramp), rule),
            _ => return None,
        },
        _ => return None,
    };
    let straight = warmup.is_none_or(|ramp| {
        ramp.way == Way::Linear && !ramp.ahead && same(ramp.to, rule.lr) && ramp.over.fract() == 0.0
    });
    let relative = rule.relative || rule.threshold == 0.0;
    // timm's class does not set torch's eps and only takes metrics after the update.
    if !straight || !relative || rule.threshold_abs != 0.0 || rule.accumulate != 1 || rule.watch.before {
        return None;
    }
    let warmup = warmup.map_or(String::new(), |ramp| {
        format!("        warmup_t={},\n        warmup_lr_init={},\n", real(ramp.over), real(ramp.from))
    });
    let looks = match rule.watch.every {
        None => "here an epoch is the time between two evaluations, also for the warmup",
        Some(_) => "here an epoch is the time between two checks, also for the warmup",
    };
    let usage = format!(
        "    optimizer = timm.optim.create_optimizer_v2(model, opt=\"sgd\", lr=BASE_LR)  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             for t in range(...):\n        \
                 ...\n        \
                 scheduler.step(epoch=t + 1, metric=metric)  # with {}\n\n\
         timm counts epochs: {looks}.\n",
        metric(&rule.watch)
    );
    Some(format!(
        "{}import torch\nfrom timm.scheduler import PlateauLRScheduler\n\nBASE_LR = {}\n\n\n\
         def make_scheduler(optimizer: torch.optim.Optimizer) -> PlateauLRScheduler:\n    \
         scheduler = PlateauLRScheduler(\n        optimizer,\n        mode=\"{}\",\n        decay_rate={},\n        \
         patience_t={},\n        threshold={},\n        cooldown_t={},\n        lr_min={},\n{warmup}    )\n    \
         scheduler.lr_scheduler.eps = {}  # eps of torch's class inside\n    return scheduler\n",
        head(subject, &usage),
        real(rule.lr),
        mode(rule.max_mode),
        real(rule.factor),
        rule.patience,
        real(rule.threshold),
        rule.cooldown,
        real(rule.min),
        real(rule.eps)
    ))
}

/// optax's transformation scales the updates. With the same patience it reduces one check earlier.
pub(crate) fn optax(subject: &ExportInput<'_>, rule: &KnownPlateau) -> Result<String, String> {
    if rule.max_mode {
        return Err("optax's reduce_on_plateau only supports metrics that should fall, and this rule has `mode: max`; \
                    PyTorch, Keras and timm support it"
            .to_owned());
    }
    if rule.accumulate != 1 && !rule.watch.before {
        return Err("optax's reduce_on_plateau takes the metric with the update, and this rule uses means of metrics \
                    after the update; PyTorch supports it"
            .to_owned());
    }
    let (rtol, atol) = match rule.relative {
        true => (rule.threshold, rule.threshold_abs),
        false => (0.0, rule.threshold + rule.threshold_abs),
    };
    // One of them must be above 0.
    let atol = if rtol == 0.0 && atol == 0.0 { 1e-300 } else { atol };
    let which = if rule.watch.before {
        "the loss of this update's batch"
    } else {
        "the metric after the previous update; at the first update any large number"
    };
    let usage = format!(
        "    state = optimizer.init(params)\n    \
             updates, state = optimizer.update(grads, state, params, value=metric)\n\n\
         The metric is {}.\nPass as `value` {which}.\n{}",
        metric(&rule.watch),
        if rule.watch.every.is_some() || rule.watch.metric != Metric::TrainLoss {
            "Between two checks, scale the gradient's updates by optax.tree.get(state, \"scale\") without calling update.\n"
        } else {
            ""
        }
    );
    Ok(format!(
        "{}import optax\n\nLEARNING_RATE = {}  # times the scale of the rule\n\n\
         optimizer = optax.chain(\n    optax.sgd(learning_rate=LEARNING_RATE),  # or any other\n    \
         optax.contrib.reduce_on_plateau(\n        factor={},\n        patience={},  # one more than in PyTorch\n        \
         rtol={},\n        atol={},\n        cooldown={},\n        accumulation_size={},\n        min_scale={},\n    ),\n)\n",
        head(subject, &usage).replace("import optax\n", ""),
        real(rule.lr),
        real(rule.factor),
        rule.patience + 1,
        real(rtol),
        real(atol),
        rule.cooldown,
        rule.accumulate,
        real(floor(rule) / rule.lr)
    ))
}

pub(crate) fn polyak(subject: &ExportInput<'_>, max: f64, f_min: f64, eps: f64) -> String {
    let usage = "    updates, state = optimizer.update(grads, state, params, value=loss)  # the loss of this batch\n\n\
                 It does plain gradient descent. In PyTorch, before optimizer.step(): \
                 lr = max(0, min((loss - f_min) / (norm ** 2 + eps), max_lr)).\n";
    format!(
        "{}import optax\n\noptimizer = optax.polyak_sgd(\n    max_learning_rate={},\n    scaling=1.0,\n    f_min={},\n    \
         eps={},\n    variant=\"sps+\",  # never below 0\n)\n",
        head(subject, usage),
        real(max),
        real(f_min),
        real(eps)
    )
}

/// Keras includes the reducing check in patience and cooldown, and its threshold is absolute.
pub(crate) fn keras(subject: &ExportInput<'_>, rule: &KnownPlateau) -> Result<String, String> {
    if rule.watch.before || rule.accumulate != 1 {
        return Err("Keras' ReduceLROnPlateau checks each metric after an epoch, and this rule checks before the update \
                    or uses means: there is no counterpart"
            .to_owned());
    }
    let relative = rule.relative && rule.threshold != 0.0;
    let delta = if rule.relative { rule.threshold_abs } else { rule.threshold + rule.threshold_abs };
    let better = if rule.max_mode {
        format!("a > b * {} + self.min_delta", real(1.0 + rule.threshold))
    } else {
        format!("a < b * {} - self.min_delta", real(1.0 - rule.threshold))
    };
    let (class, subclass) = match relative {
        false => ("keras.callbacks.ReduceLROnPlateau", String::new()),
        true => (
            "ReduceLROnPlateau",
            format!(
                "class ReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):\n    \
                 \"\"\"With a relative threshold, which Keras' class does not have.\"\"\"\n\n    \
                 def _reset(self):\n        super()._reset()\n        self.monitor_op = lambda a, b: {better}\n\n\n"
            ),
        ),
    };
    let monitor = match &rule.watch.metric {
        Metric::TrainLoss => "loss",
        Metric::ValidLoss => "val_loss",
        Metric::ValidAccuracy => "val_accuracy",
        Metric::Own(name) => name,
    };
    let usage = format!(
        "    optimizer = keras.optimizers.SGD(learning_rate={})  # or any other, with this lr\n    \
             model.fit(..., callbacks=[callback])\n\n\
         Keras checks at the end of each epoch; the metric of the rule is {}.\n\
         Keras stores the lr in single precision.\n",
        real(rule.lr),
        metric(&rule.watch)
    );
    Ok(format!(
        "{}import keras\n\n\n{subclass}callback = {class}(\n    monitor=\"{monitor}\",\n    mode=\"{}\",\n    factor={},\n    \
         patience={},  # one more than in PyTorch\n    min_delta={},\n    cooldown={},\n    min_lr={},\n)\n",
        head(subject, &usage),
        mode(rule.max_mode),
        real(rule.factor),
        rule.patience + 1,
        real(delta),
        if rule.cooldown == 0 { 0 } else { rule.cooldown + 1 },
        real(floor(rule))
    ))
}
