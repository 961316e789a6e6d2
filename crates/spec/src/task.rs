//! Reads the sweep file's sections on the run itself: data, model, optimiser, budget and what goes with
//! them. Each reader collects problems and gives `None` after one. What a program of the user's own is told is
//! read by `program`.

use schedule::fields::{Field, Fields, boolean, choice, number_where, whole};
use schedule::length::length;
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};

use crate::program::{self, Find};
use crate::transfer::{self, Transfer};
use crate::trial::{Activation, Data, Dataset, Learner, Model, Network, Optimizer, Task};

/// The longest run, in steps.
const MOST_STEPS: u64 = 100_000_000;

/// Reads everything that determines a run besides its schedule, base lr and seed.
pub(crate) fn read(fields: &mut Fields<'_>, find: &Find<'_>, problems: &mut Vec<Problem>) -> Option<Task> {
    let (learner, epoch) = match fields.optional("trainer") {
        Some(field) => {
            program::refuse_ours(fields, problems);
            let trainer = program::read(&field, find, problems);
            (trainer.map(|trainer| Learner::Program { trainer }), Some(Epoch::Stated))
        }
        None => {
            let data = fields.required("data", problems).and_then(|field| data(&field, problems));
            let epoch = data.as_ref().map(|data| {
                let (images, _, _) = data.dataset.sizes(data.limit);
                Epoch::Known((images / data.batch_size) as u64)
            });
            (network(data, fields, find, problems).map(Learner::Network), epoch)
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
    /// The budget says so, or nobody.
    Stated,
}

fn network(
    data: Option<Data>,
    fields: &mut Fields<'_>,
    find: &Find<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Network> {
    let model = fields.required("model", problems).and_then(|field| model(&field, problems));
    let optimizer = fields.required("optimizer", problems).and_then(|field| optimizer(&field, problems));
    let clip_norm = fields.read_or("clip_norm", None, problems, |field| {
        number_where("a number above 0", |x| x > 0.0)(field).map(Some)
    });
    let transfer = transfer::read(fields, find, problems);
    let (data, model, optimizer, clip_norm) = (data?, model?, optimizer?, clip_norm?);
    let Transfer { init_from, freeze, lr_multipliers } = transfer?;
    Some(Network { data, model, optimizer, clip_norm, init_from, freeze, lr_multipliers })
}

fn data(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Data> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let datasets =
        [("mnist", Dataset::Mnist), ("fashion-mnist", Dataset::FashionMnist), ("digits", Dataset::Digits)];
    let dataset = fields.read("dataset", problems, choice(&datasets));
    let size = fields.read_or("batch_size", 64, problems, whole(1));
    let limit = fields.read_or("limit", None, problems, |field| whole(1)(field).map(Some));
    let size_place = field.tree.get("batch_size").unwrap_or(field.tree).place;
    let (path, limit_path) = (fields.path_of("batch_size"), fields.path_of("limit"));
    fields.finish(problems);
    let (dataset, batch_size, limit) = (dataset?, size?, limit?);
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (all, _, _) = dataset.sizes(None);
    if limit.is_some_and(|limit| limit > all) {
        let place = field.tree.get("limit").unwrap_or(field.tree).place;
        let message = format!("expected at most {all}, the number of training images");
        problems.push(Problem::new(place, limit_path, message));
        return None;
    }
    // The same images, so the same runs.
    let limit = limit.filter(|limit| dataset.sizes(Some(*limit)) != dataset.sizes(None));
    let (images, _, _) = dataset.sizes(limit);
    match usize::try_from(batch_size) {
        Ok(batch_size) if batch_size <= images => Some(Data { dataset, batch_size, limit }),
        _ => {
            let message = format!("a batch of {batch_size} is larger than the {images} training images");
            problems.push(Problem::new(size_place, path, message));
            None
        }
    }
}

fn model(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let kind = fields.read("kind", problems, choice(&[("mlp", true), ("lenet", false)]));
    let model = match kind {
        Some(true) => {
            let hidden = fields.read_or("hidden", vec![128], problems, widths);
            let activation = fields.read_or("activation", Activation::Relu, problems, choice(&ACTIVATIONS));
            hidden.zip(activation).map(|(hidden, activation)| Model::Mlp { hidden, activation })
        }
        Some(false) => Some(Model::Lenet),
        // The other keys can't be judged without a kind.
        None => return None,
    };
    fields.finish(problems);
    model
}

/// The activations by name.
pub(crate) const ACTIVATIONS: [(&str, Activation); 3] =
    [("relu", Activation::Relu), ("gelu", Activation::Gelu), ("tanh", Activation::Tanh)];

/// Layer widths: a list of whole numbers.
fn widths(field: &Field<'_>) -> Result<Vec<usize>, Problem> {
    const FORM: &str = "a list of at most 16 layer widths from 1 to 65536";
    let items = match &field.tree.value {
        Value::List(items) => items,
        Value::Int(width) => return Err(field.expected(FORM).with_hint(format!("one layer is [{width}]"))),
        Value::Text(text) if text.trim().parse::<u64>().is_ok() => {
            return Err(field.expected(FORM).with_hint(format!("one layer is [{}]", text.trim())));
        }
        _ => return Err(field.expected(FORM)),
    };
    let widths: Option<Vec<usize>> = items
        .iter()
        .map(|item| match item.value {
            Value::Int(width @ 1..=65_536) => usize::try_from(width).ok(),
            _ => None,
        })
        .collect();
    widths.filter(|widths| widths.len() <= 16).ok_or_else(|| {
        let found = field.problem(format!("expected {FORM}, found {}", field.tree));
        if found.message.len() > 300 { field.expected(FORM) } else { found }
    })
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
        Epoch::Stated => {
            fields.read_or("steps_per_epoch", None, problems, |field| whole(1)(field).map(Some))?
        }
    };
    let read = match (&steps, &epochs) {
        (Some(steps), None) => whole(1)(steps),
        (None, Some(epochs)) => {
            number_where("a number above 0", |x| x > 0.0)(epochs).and_then(|epochs_asked| {
                let Some(steps_per_epoch) = per_epoch else {
                    let problem = epochs.problem("how many steps an epoch of this program has is not known");
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
