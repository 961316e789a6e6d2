//! Schedules by parameter group as code: one function for each group in the library's own form of groups. Only closed forms: each group's
//! schedule by itself may have a class of the library.

use schedule::Feedback;

use crate::input::{ExportInput, head};
use crate::writer::{Body, Dialect, number, real};

/// A group with the body of its function.
struct GroupCode {
    name: String,
    base_lr: f64,
    keeps_ratio: bool,
    body: Body,
}

fn all(subject: &ExportInput<'_>, dialect: Dialect) -> Result<Vec<GroupCode>, String> {
    let of = |(i, group): (usize, schedule::groups::GroupInfo<'_>)| {
        let schedule = subject.schedule.of_group(i).ok_or_else(|| format!("no group `{}`", group.name))?;
        if schedule.feedback() == Feedback::ClosedLoop {
            return Err(format!(
                "the lr of the parameter group `{}` depends on training, so it can't be exported together with the others",
                group.name
            ));
        }
        if schedule.momentum(0).is_some() {
            return Err(format!(
                "the parameter group `{}` cycles the momentum, which this code can't",
                group.name
            ));
        }
        let body = ExportInput { title: subject.title, schedule: &schedule }.body(dialect, "        ")?;
        let (name, base_lr, keeps_ratio) = (group.name.to_owned(), group.base_lr, group.keeps_ratio);
        Ok(GroupCode { name, base_lr, keeps_ratio, body })
    };
    subject.schedule.groups().enumerate().map(of).collect()
}

/// A text as a literal in Python.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Indented lines.
fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

/// A `LambdaLR` with one function for each `param_groups` entry, by its name.
///
/// # Errors
/// The lrs of a group are not known before training.
pub(crate) fn pytorch(subject: &ExportInput<'_>) -> Result<String, String> {
    let groups = all(subject, Dialect::Math)?;
    let params: String = groups
        .iter()
        .map(|group| {
            let note =
                if group.keeps_ratio { "  # this lr, or another one, whose ratio is kept" } else { "" };
            let (name, lr) = (literal(&group.name).replace('\\', ""), number(group.base_lr));
            format!("            {{\"name\": {name}, \"lr\": {lr}, \"params\": ...}},{note}\n")
        })
        .collect();
    let usage = format!(
        "    optimizer = torch.optim.SGD(\n        [\n{params}        ],\n        lr={},\n    )\n    \
             scheduler = make_scheduler(optimizer)\n    \
             for batch in batches:\n        ...\n        optimizer.step()\n        \
             scheduler.step()  # after each update, not after each epoch\n",
        number(groups.first().map_or(1.0, |group| group.base_lr))
    );
    let mut imports = String::new();
    if groups.iter().any(|group| group.body.math) {
        imports.push_str("import math\n");
    }
    if groups.iter().any(|group| group.body.bisect) {
        imports.push_str("from bisect import bisect_right\n");
    }
    let gap = if imports.is_empty() { "" } else { "\n" };
    let mut text = format!(
        "{}{imports}{gap}import torch\nfrom torch.optim.lr_scheduler import LambdaLR\n\n",
        head(subject, &usage)
    );
    let mut table = String::new();
    for (i, group) in groups.iter().enumerate() {
        let last = subject.last();
        text.push_str(&format!(
            "\ndef group_{i}():\n{}    def lr(t):\n        \"\"\"Learning rate of update t = 0, 1, ..., {last}.\"\"\"\n        \
             t = min(t, {last})  # the lr stays constant after the last update\n{}    return lr\n\n",
            indented(&group.body.tables),
            group.body.lines
        ));
        table.push_str(&format!("    {}: ({}, group_{i}()),\n", literal(&group.name), real(group.base_lr)));
    }
    text.push_str(&format!("\n# The base lr and the lrs of each group.\nGROUPS = {{\n{table}}}\n{MAKE}"));
    Ok(text)
}

const MAKE: &str = "

def make_scheduler(optimizer: torch.optim.Optimizer):
    \"\"\"Call it for each optimizer, if several have the groups.\"\"\"
    names = [group.get(\"name\") for group in optimizer.param_groups]
    if not set(names) <= set(GROUPS):
        raise ValueError(f\"the names of the param_groups are {names}, expected those of {list(GROUPS)}\")

    def factor(name):
        base, lr = GROUPS[name]
        return lambda t: lr(t) / base

    return LambdaLR(optimizer, [factor(name) for name in names])
";

/// A schedule for each group, for `optax.multi_transform`.
///
/// # Errors
/// The lrs of a group are not known before training, or need double precision.
pub(crate) fn optax(subject: &ExportInput<'_>) -> Result<String, String> {
    let groups = all(subject, Dialect::Jax)?;
    if let Some(group) = groups.iter().find(|group| group.body.needs_double) {
        return Err(format!(
            "the schedule of the parameter group `{}` gives other lrs in single precision: export the schedule of each group by itself",
            group.name
        ));
    }
    let usage = "    optimizer = optax.multi_transform(\n        \
                 {name: optax.sgd(learning_rate=schedule) for name, schedule in schedules.items()},  # or any other\n        \
                 labels,  # the name of the group of each parameter\n    )\n    \
                 updates, state = optimizer.update(grads, state, params)  # counts the updates itself\n\n\
                 jax uses single precision unless jax_enable_x64 is set; then the last digits differ near 0.\n";
    let mut text = format!("{}import jax.numpy as jnp\n\n", head(subject, usage));
    let mut table = String::new();
    for (i, group) in groups.iter().enumerate() {
        let last = subject.last();
        text.push_str(&format!(
            "\ndef group_{i}():\n{}    def schedule(count):\n        \
             \"\"\"Learning rate of update count = 0, 1, ..., {last}; may be traced.\"\"\"\n        \
             t = jnp.minimum(jnp.asarray(count, float), {last})  # the lr stays constant after the last update\n{}    \
             return schedule\n\n",
            indented(&group.body.tables),
            group.body.lines
        ));
        table.push_str(&format!("    {}: group_{i}(),\n", literal(&group.name)));
    }
    text.push_str(&format!("\nschedules = {{\n{table}}}\n"));
    Ok(text)
}
