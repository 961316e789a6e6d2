//! Reads the sections of the sweep file that describe the run: optimizer, budget, evaluation. Each reader collects problems, and
//! returns `None` after one. Other modules read data, models and custom programs.

use schedule::fields::{Field, Fields, number_where, whole};
use schedule::length::length;
use schedule::problem::Problem;

use crate::transfer::{self, Transfer};
use crate::trial::{Data, Model, Network, Task, Workload};
use crate::world::World;
use crate::{choice, data, model, program};

/// The longest run, in steps.
const MAX_STEPS: u64 = 100_000_000;

/// Reads everything that determines a run except its schedule, base lr and seed.
pub(crate) fn read(fields: &mut Fields<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Task> {
    let (workload, epoch) = match fields.optional("trainer") {
        Some(field) => {
            program::refuse_network_keys(fields, problems);
            let trainer = program::read(&field, world, problems);
            (trainer.map(|trainer| Workload::Program { trainer }), Epoch::Stated("an epoch of this program"))
        }
        None => {
            let model = model_and_data(fields, world, problems);
            let epoch = model.as_ref().map_or(Epoch::Unknown, epoch);
            (network(model, fields, world, problems).map(|net| Workload::Network(Box::new(net))), epoch)
        }
    };
    let budget = fields.required("budget", problems);
    let diverge_above = fields.read_or(
        "diverge_above",
        100.0,
        problems,
        number_where("a multiple of the initial loss, above 1", |x| x > 1.0),
    );
    let evaluate = fields.optional("evaluate");

    let length = budget.and_then(|field| steps(&field, epoch, problems));
    let evaluate_every = match evaluate {
        None => length.map(|(steps, _)| steps.div_ceil(10)),
        Some(field) => evaluate_every(&field, length, problems),
    };
    let (steps, steps_per_epoch) = length?;
    Some(Task {
        workload: workload?,
        steps,
        steps_per_epoch,
        evaluate_every: evaluate_every?,
        diverge_above: diverge_above?,
    })
}

/// The length of an epoch.
#[derive(Clone, Copy)]
enum Epoch {
    /// The data determines it, in steps.
    Known(u64),
    /// Only `steps_per_epoch` of the budget gives it. The text names what the epoch belongs to.
    Stated(&'static str),
    /// The model or its data could not be read.
    Unknown,
}

/// A model, and its data unless it has its own examples.
type ModelAndData = (Option<Data>, Model);

fn epoch((data, model): &ModelAndData) -> Epoch {
    let sizes = |data: &Data| data.dataset.sizes(model.context(), data.limit)[0] / data.batch_size.max(1);
    match (data, model) {
        (Some(data), _) => Epoch::Known(sizes(data) as u64),
        (None, Model::Custom(task)) => Epoch::Known((task.examples / task.batch_size.max(1)) as u64),
        (None, _) => Epoch::Stated("an epoch of a task that generates its examples"),
    }
}

fn model_and_data(
    fields: &mut Fields<'_>,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<ModelAndData> {
    if let Some(field) = fields.optional("task") {
        for name in ["data", "model"] {
            if let Some(field) = fields.optional(name) {
                problems
                    .push(field.problem(format!(
                        "`{name}` can't be combined with `task`, which has its own {name}"
                    )));
            }
        }
        return model::task(&field, world, problems).map(|model| (None, model));
    }
    let data_field = fields.required("data", problems);
    let data = data_field.as_ref().and_then(|field| data::read(field, world, problems));
    let model_field = fields.required("model", problems);
    let model = model_field.as_ref().and_then(|field| model::read(field, world.catalogue(), problems));
    let (mut data, data_field) = (data?, data_field?);
    // The batch size is checked even if the model could not be read; only texts need the window length.
    let context = model.as_ref().and_then(|model| model.integer("context")).unwrap_or(1);
    let fit = data::check_sizes(&mut data, &data_field, context, problems);
    let (model, model_field) = (model?, model_field?);
    let model_fits = model::fits(&model, &data, world.catalogue(), &model_field, problems);
    (fit && model_fits).then_some((Some(data), Model::BuiltIn(model)))
}

fn network(
    model: Option<ModelAndData>,
    fields: &mut Fields<'_>,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<Network> {
    let optimizer = fields.required("optimizer", problems);
    let optimizer = optimizer.and_then(|field| choice::read(&field, &world.catalogue().optimizers, problems));
    let clip_norm = fields.read_or("clip_norm", None, problems, |field| {
        number_where("a number above 0", |x| x > 0.0)(field).map(Some)
    });
    let transfer = transfer::read(fields, world, problems);
    let ((data, model), optimizer, clip_norm) = (model?, optimizer?, clip_norm?);
    let Transfer { init_from, freeze, lr_multipliers, param_groups } = transfer?;
    let network =
        Network { data, model, optimizer, clip_norm, init_from, freeze, lr_multipliers, param_groups };
    let before = problems.len();
    let names_parameters =
        !network.freeze.is_empty() || !network.lr_multipliers.is_empty() || !network.param_groups.is_empty();
    if network.init_from.is_some() || names_parameters {
        let transfer_errors = world.transfer_errors(&network);
        for key in ["init_from", "freeze", "lr_multipliers", "param_groups"] {
            let of_key =
                transfer_errors.iter().filter(|(of, _)| *of == key).map(|(_, message)| message.as_str());
            let messages: Vec<&str> = of_key.collect();
            let field = fields.optional(key).filter(|_| !messages.is_empty());
            problems.extend(field.map(|field| misfit(&field, key, &messages)));
        }
    }
    (problems.len() == before).then_some(network)
}

/// Where a key that names parameters or weights does not fit the model.
fn misfit(field: &Field<'_>, key: &str, messages: &[&str]) -> Problem {
    let problem = field.problem(messages.join("; "));
    match messages.iter().any(|message| message.contains("has shape") || message.contains("has no tensor")) {
        true if key == "init_from" => problem.with_hint(
            "give `model` the sizes of the file, or list these parameters in `init_from.fresh`, which initializes them from the seed",
        ),
        _ => problem,
    }
}

/// The budget in steps, and the length of an epoch if it is known.
fn steps(field: &Field<'_>, epoch: Epoch, problems: &mut Vec<Problem>) -> Option<(u64, Option<u64>)> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let steps = fields.optional("steps");
    let epochs = fields.optional("epochs");
    let per_epoch = match epoch {
        Epoch::Known(steps) => {
            if let Some(field) = fields.optional("steps_per_epoch") {
                problems.push(field.problem(format!(
                    "not needed: the data determines the length of an epoch, {steps} steps"
                )));
            }
            Some(steps)
        }
        Epoch::Stated(_) | Epoch::Unknown => {
            let read = |field: &Field<'_>| whole(1)(field).map(Some);
            fields.read_or("steps_per_epoch", None, problems, read).flatten()
        }
    };
    let (steps, epochs) =
        (steps.map(|field| whole(1)(&field)), epochs.map(|field| in_steps(&field, epoch, per_epoch)));
    let both = steps.is_some() && epochs.is_some();
    let mut read = |steps: Option<Result<Option<u64>, Problem>>| {
        steps.transpose().map_err(|problem| problems.push(problem)).ok().flatten().flatten()
    };
    let (steps, epochs) = (read(steps.map(|steps| steps.map(Some))), read(epochs));
    if both {
        let problem = field.problem("`epochs` and `steps` are both given");
        problems.push(problem.with_hint("give only one of them, as in {epochs: 2}"));
    } else if field.tree.get("steps").or(field.tree.get("epochs")).is_none() {
        problems.push(field.problem("expected one of `epochs` and `steps`, as in {epochs: 2}"));
    }
    fields.finish(problems);
    match steps.or(epochs).filter(|_| !both)? {
        steps if steps > MAX_STEPS => {
            problems.push(field.problem(format!("a run can have at most {MAX_STEPS} steps, found {steps}")));
            None
        }
        steps => Some((steps, per_epoch)),
    }
}

/// A number of epochs in steps; `None` if the model or its data could not be read.
fn in_steps(field: &Field<'_>, epoch: Epoch, per_epoch: Option<u64>) -> Result<Option<u64>, Problem> {
    let epochs = number_where("a number above 0", |x| x > 0.0)(field)?;
    let Some(steps_per_epoch) = per_epoch else {
        let Epoch::Stated(of) = epoch else { return Ok(None) };
        let problem = field.problem(format!("the number of steps in {of} is unknown"));
        return Err(
            problem.with_hint("add `steps_per_epoch: 500`, or give the budget in steps, as in {steps: 1500}")
        );
    };
    // A product beyond u64 saturates, and the caller refuses it.
    match (epochs * steps_per_epoch as f64).round() as u64 {
        0 => Err(field.problem(format!("{epochs} epochs of {steps_per_epoch} steps are less than one step"))),
        steps => Ok(Some(steps)),
    }
}

/// `of`: the lengths of the run and of an epoch in steps, if the budget could be read.
fn evaluate_every(
    field: &Field<'_>,
    of: Option<(u64, Option<u64>)>,
    problems: &mut Vec<Problem>,
) -> Option<u64> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let every = fields.read("every", problems, |field| {
        let every = length(field)?;
        of.map(|(steps, steps_per_epoch)| every.steps(steps, steps_per_epoch)).transpose()
    });
    fields.finish(problems);
    every.flatten()
}
