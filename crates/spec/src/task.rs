//! Reads the sweep file's sections on the run itself: optimiser, budget and what goes with them. Each reader collects problems
//! and gives `None` after one. Data, models and programs of the user's own have readers of their own.

use schedule::fields::{Field, Fields, boolean, choice, number_where, whole};
use schedule::length::length;
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};

use crate::transfer::{self, Transfer};
use crate::trial::{Data, Learner, Model, Network, Optimizer, Task};
use crate::world::World;
use crate::{data, model, program};

/// The longest run, in steps.
const MOST_STEPS: u64 = 100_000_000;

/// Reads everything that determines a run besides its schedule, base lr and seed.
pub(crate) fn read(fields: &mut Fields<'_>, world: &World<'_>, problems: &mut Vec<Problem>) -> Option<Task> {
    let (learner, epoch) = match fields.optional("trainer") {
        Some(field) => {
            program::refuse_ours(fields, problems);
            let trainer = program::read(&field, world, problems);
            let epoch = Epoch::Stated("an epoch of this program");
            (trainer.map(|trainer| Learner::Program { trainer }), Some(epoch))
        }
        None => {
            let learns = learns(fields, world, problems);
            let epoch = learns.as_ref().map(epoch);
            (network(learns, fields, world, problems).map(|net| Learner::Network(Box::new(net))), epoch)
        }
    };
    let budget = fields.required("budget", problems);
    let diverge_above = fields.read_or(
        "diverge_above",
        100.0,
        problems,
        number_where("a multiple of the first loss, above 1", |x| x > 1.0),
    );
    let evaluate = fields.optional("evaluate");

    let epoch = epoch?;
    let (steps, steps_per_epoch) = budget.and_then(|field| steps(&field, epoch, problems))?;
    let evaluate_every = match evaluate {
        None => Some(steps.div_ceil(10)),
        Some(field) => evaluate_every(&field, steps, steps_per_epoch, problems),
    };
    Some(Task {
        learner: learner?,
        steps,
        steps_per_epoch,
        evaluate_every: evaluate_every?,
        diverge_above: diverge_above?,
    })
}

/// How long an epoch is.
#[derive(Clone, Copy)]
enum Epoch {
    /// It follows from the data.
    Known(u64),
    /// The budget says so, or nobody: of what.
    Stated(&'static str),
}

/// What learns from what.
type Learns = (Option<Data>, Model);

fn epoch((data, model): &Learns) -> Epoch {
    let sizes = |data: &Data| data.dataset.sizes(model.context(), data.limit)[0] / data.batch_size.max(1);
    match (data, model) {
        (Some(data), _) => Epoch::Known(sizes(data) as u64),
        (None, Model::Own(task)) => Epoch::Known((task.examples / task.batch_size.max(1)) as u64),
        (None, _) => Epoch::Stated("an epoch of a task whose examples are always new"),
    }
}

fn learns(fields: &mut Fields<'_>, world: &World<'_>, problems: &mut Vec<Problem>) -> Option<Learns> {
    if let Some(field) = fields.optional("task") {
        for name in ["data", "model"] {
            if let Some(field) = fields.optional(name) {
                problems.push(
                    field.problem(format!("with a `task` the file has no `{name}`: the task brings its own")),
                );
            }
        }
        return model::task(&field, world, problems).map(|model| (None, model));
    }
    let data_field = fields.required("data", problems);
    let data = data_field.as_ref().and_then(|field| data::read(field, world, problems));
    let model_field = fields.required("model", problems);
    let model = model_field.as_ref().and_then(|field| model::read(field, problems));
    let (mut data, data_field) = (data?, data_field?);
    // The batch size is judged whatever the model: what a window of text is does not change images.
    let context = model.as_ref().map_or(1, Model::context);
    let fit = data::fit(&mut data, &data_field, context, problems);
    let (model, model_field) = (model?, model_field?);
    let goes = model::fits(&model, &data, &model_field, problems);
    (fit && goes).then_some((Some(data), model))
}

fn network(
    learns: Option<Learns>,
    fields: &mut Fields<'_>,
    world: &World<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Network> {
    let optimizer = fields.required("optimizer", problems).and_then(|field| optimizer(&field, problems));
    let clip_norm = fields.read_or("clip_norm", None, problems, |field| {
        number_where("a number above 0", |x| x > 0.0)(field).map(Some)
    });
    let transfer = transfer::read(fields, world, problems);
    let ((data, model), optimizer, clip_norm) = (learns?, optimizer?, clip_norm?);
    let Transfer { init_from, freeze, lr_multipliers } = transfer?;
    let network = Network { data, model, optimizer, clip_norm, init_from, freeze, lr_multipliers };
    let before = problems.len();
    if network.init_from.is_some() || !network.freeze.is_empty() || !network.lr_multipliers.is_empty() {
        let misfits = (world.misfits)(&network);
        for key in ["init_from", "freeze", "lr_multipliers"] {
            let of_key = misfits.iter().filter(|(of, _)| *of == key).map(|(_, message)| message.as_str());
            let messages: Vec<&str> = of_key.collect();
            let field = fields.optional(key).filter(|_| !messages.is_empty());
            problems.extend(field.map(|field| field.problem(messages.join("; "))));
        }
    }
    (problems.len() == before).then_some(network)
}

fn optimizer(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Optimizer> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let kind = fields.read("kind", problems, choice(&[("sgd", true), ("adamw", false)]))?;
    let decay = number_where("a number of at least 0", |x| x >= 0.0);
    let optimizer = if kind {
        let fraction = number_where("a number of at least 0 and below 1", |x| (0.0..1.0).contains(&x));
        let momentum = fields.read_or("momentum", 0.0, problems, fraction);
        let nesterov = fields.read_or("nesterov", false, problems, boolean);
        let weight_decay = fields.read_or("weight_decay", 0.0, problems, decay);
        if let (Some(0.0), Some(true)) = (momentum, nesterov) {
            let place = field.tree.get("nesterov").unwrap_or(field.tree).place;
            let problem =
                Problem::new(place, fields.path_of("nesterov"), "`nesterov` needs a momentum above 0");
            problems.push(problem.with_hint("add `momentum: 0.9`"));
            None
        } else {
            momentum.zip(nesterov).zip(weight_decay).map(|((momentum, nesterov), weight_decay)| {
                Optimizer::Sgd { momentum, nesterov, weight_decay }
            })
        }
    } else {
        let betas = fields.read_or("betas", (0.9, 0.999), problems, betas);
        let eps = fields.read_or("eps", 1e-8, problems, number_where("a number above 0", |x| x > 0.0));
        let weight_decay = fields.read_or("weight_decay", 0.01, problems, decay);
        betas.zip(eps).zip(weight_decay).map(|(((beta1, beta2), eps), weight_decay)| Optimizer::Adamw {
            beta1,
            beta2,
            eps,
            weight_decay,
        })
    };
    fields.finish(problems);
    optimizer
}

/// AdamW's two decay rates.
fn betas(field: &Field<'_>) -> Result<(f64, f64), Problem> {
    let read = |tree: &Tree| match tree.value {
        Value::Float(x) if (0.0..1.0).contains(&x) => Some(x),
        Value::Int(0) => Some(0.0),
        _ => None,
    };
    match &field.tree.value {
        Value::List(items) => match items.as_slice() {
            [first, second] => read(first).zip(read(second)),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| field.expected("a list of two numbers of at least 0 and below 1, as in [0.9, 0.999]"))
}

/// The budget in steps, and the length of an epoch as far as it is known.
fn steps(field: &Field<'_>, epoch: Epoch, problems: &mut Vec<Problem>) -> Option<(u64, Option<u64>)> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let steps = fields.optional("steps");
    let epochs = fields.optional("epochs");
    let per_epoch = match epoch {
        Epoch::Known(steps) => {
            if let Some(field) = fields.optional("steps_per_epoch") {
                problems.push(
                    field.problem(format!("how long an epoch is follows from the data: {steps} steps")),
                );
            }
            Some(steps)
        }
        Epoch::Stated(_) => {
            fields.read_or("steps_per_epoch", None, problems, |field| whole(1)(field).map(Some))?
        }
    };
    let read = match (&steps, &epochs) {
        (Some(steps), None) => whole(1)(steps),
        (None, Some(epochs)) => {
            number_where("a number above 0", |x| x > 0.0)(epochs).and_then(|epochs_asked| {
                let Some(steps_per_epoch) = per_epoch else {
                    let of = if let Epoch::Stated(of) = epoch { of } else { "an epoch" };
                    let problem = epochs.problem(format!("how many steps {of} has is not known"));
                    return Err(problem.with_hint("add `steps_per_epoch: 500`, or write {steps: 1500}"));
                };
                // A product beyond u64 saturates and is refused below.
                match (epochs_asked * steps_per_epoch as f64).round() as u64 {
                    0 => Err(epochs
                        .problem(format!("{epochs_asked} epochs of {steps_per_epoch} steps are no step"))),
                    steps => Ok(steps),
                }
            })
        }
        _ => Err(field.problem("expected one of `epochs` and `steps`, as in {epochs: 2}")),
    };
    fields.finish(problems);
    match read {
        Ok(steps) if steps > MOST_STEPS => {
            problems.push(field.problem(format!("a run has at most {MOST_STEPS} steps, these are {steps}")));
            None
        }
        Ok(steps) => Some((steps, per_epoch)),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn evaluate_every(
    field: &Field<'_>,
    steps: u64,
    steps_per_epoch: Option<u64>,
    problems: &mut Vec<Problem>,
) -> Option<u64> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let every = fields.read("every", problems, |field| length(field)?.steps(steps, steps_per_epoch));
    fields.finish(problems);
    every
}
