//! The base lr of the optimizer in a program: the lr of its call, or the library's default.

use super::Program;
use crate::entry::LibraryEntry;
use crate::python::{Argument, Expr, ExprKind};
use schedule::number::Number;
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};

/// The lr that a program sets for the optimizer of its schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum BaseLr {
    /// The program does not create an optimizer.
    Unstated,
    /// The lr of the first parameter group, and the lrs of all groups.
    Known(f64, Vec<f64>),
    /// The lr is unknown, with the reason.
    Unknown(Problem),
}

impl BaseLr {
    /// The lr, if it is known.
    pub fn known(&self) -> Option<f64> {
        match self {
            BaseLr::Known(lr, _) => Some(*lr),
            BaseLr::Unstated | BaseLr::Unknown(_) => None,
        }
    }
}

/// The default lr of an optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lr {
    Is(f64),
    /// The call must set it.
    Required,
    /// The optimizer has no fixed lr.
    Varies,
}

use Lr::{Is, Required, Varies};

/// Optimizers of torch 2.15. Their second argument is the lr.
const TORCH: &[(&str, Lr)] = &[
    ("ASGD", Is(0.01)),
    ("Adadelta", Is(1.0)),
    ("Adafactor", Is(0.01)),
    ("Adagrad", Is(0.01)),
    ("Adam", Is(0.001)),
    ("AdamW", Is(0.001)),
    ("Adamax", Is(0.002)),
    ("LBFGS", Is(1.0)),
    ("Muon", Is(0.001)),
    ("NAdam", Is(0.002)),
    ("RAdam", Is(0.001)),
    ("RMSprop", Is(0.01)),
    ("Rprop", Is(0.01)),
    ("SGD", Is(0.001)),
    ("SparseAdam", Is(0.001)),
];

/// Classes of timm 1.0.31 that torch does not have, or has with another lr.
const TIMM: &[(&str, Lr)] = &[
    ("AdaBelief", Is(0.001)),
    ("Adafactor", Varies),
    ("AdafactorBigVision", Is(1.0)),
    ("Adahessian", Is(0.1)),
    ("AdamP", Is(0.001)),
    ("AdamWLegacy", Is(0.001)),
    ("Adan", Is(0.001)),
    ("Adopt", Is(0.001)),
    ("Kron", Is(0.001)),
    ("LaProp", Is(0.0004)),
    ("Lamb", Is(0.001)),
    ("Lars", Is(1.0)),
    ("Lion", Is(0.0001)),
    ("MADGRAD", Is(0.01)),
    ("Mars", Is(0.003)),
    ("Muon", Is(0.02)),
    ("NAdamLegacy", Is(0.002)),
    ("NAdamW", Is(0.001)),
    ("NvNovoGrad", Is(0.001)),
    ("RAdamLegacy", Is(0.001)),
    ("RMSpropTF", Is(0.01)),
    ("SGDP", Required),
    ("SGDW", Is(0.001)),
];

/// The names of timm's `create_optimizer_v2`, by class.
const TIMM_NAMES: &[(&str, &[&str])] = &[
    ("AdaBelief", &["adabelief", "radabelief"]),
    ("Adadelta", &["adadelta"]),
    ("Adafactor", &["adafactor", "cadafactor"]),
    ("AdafactorBigVision", &["adafactorbv", "adafactorbvc", "cadafactorbv", "cadafactorbvc"]),
    ("Adagrad", &["adagrad"]),
    ("Adahessian", &["adahessian"]),
    ("Adam", &["adam"]),
    ("Adamax", &["adamax"]),
    ("AdamWLegacy", &["adamc", "adamwlegacy", "cadamc", "cadamw"]),
    ("AdamP", &["adamp", "cadamp"]),
    ("Muon", &["muon", "nmuon", "adamuon", "nadamuon"]),
    ("AdamW", &["adamw"]),
    ("Adan", &["adan", "adanw", "cadan", "cadanw"]),
    ("Adopt", &["adopt", "adoptc", "adoptw", "cadopt", "cadoptc", "cadoptw"]),
    ("Kron", &["kron", "kronc", "kronw"]),
    ("Lamb", &["lamb", "lambc", "lambcd", "lambcw", "lambw", "clamb", "clambw"]),
    ("LaProp", &["laprop", "lapropc", "claprop"]),
    ("Lars", &["lars", "larc", "nlars", "nlarc"]),
    ("Lion", &["lion", "lionc", "clion", "clionc"]),
    ("MADGRAD", &["madgrad", "madgradw"]),
    ("Mars", &["mars", "cmars"]),
    ("NAdam", &["nadam"]),
    ("NAdamLegacy", &["nadamlegacy"]),
    ("NAdamW", &["nadamw", "nadamc", "cnadamw", "cnadamc"]),
    ("NvNovoGrad", &["novograd", "novogradc", "novogradw"]),
    ("RAdam", &["radam", "radamw"]),
    ("RAdamLegacy", &["radamlegacy"]),
    ("RMSprop", &["rmsprop"]),
    ("RMSpropTF", &["rmsproptf", "rmsproptfc", "rmsproptfw", "crmsproptf"]),
    ("SGD", &["sgd", "momentum", "nesterov"]),
    ("SGDP", &["sgdp", "csgdp"]),
    ("SGDW", &["sgdw", "sgdc", "nesterovw", "csgdw", "csgdc"]),
];

/// Optimizers of transformers 5.24.
const TRANSFORMERS: &[(&str, Lr)] = &[("Adafactor", Varies)];

/// Optimizers of Keras 3.15. Their first argument is the learning rate.
const KERAS: &[(&str, Lr)] = &[
    ("Adadelta", Is(0.001)),
    ("Adafactor", Is(0.001)),
    ("Adagrad", Is(0.001)),
    ("Adam", Is(0.001)),
    ("AdamW", Is(0.001)),
    ("Adamax", Is(0.001)),
    ("Ftrl", Is(0.001)),
    ("Lamb", Is(0.001)),
    ("Lion", Is(0.001)),
    ("Muon", Is(0.001)),
    ("Nadam", Is(0.001)),
    ("RMSprop", Is(0.001)),
    ("SGD", Is(0.01)),
    ("ScheduleFreeAdamW", Is(0.0025)),
];

/// Optimizers of optax 0.2.8 and its `contrib` with a default. All others require the learning rate, which is
/// their first argument.
const OPTAX: &[(&str, Lr)] = &[
    ("adadelta", Varies),
    ("adafactor", Varies),
    ("lbfgs", Varies),
    ("cocob", Is(1.0)),
    ("dadapt_adamw", Is(1.0)),
    ("dog", Is(1.0)),
    ("dowg", Is(1.0)),
    ("momo", Is(1.0)),
    ("momo_adam", Is(0.01)),
    ("prodigy", Is(1.0)),
    ("schedule_free_adamw", Is(0.0025)),
    ("schedule_free_sgd", Is(1.0)),
];

/// Optimizers of optax that require the learning rate.
const OPTAX_REQUIRED: &[&str] = &[
    "acprop",
    "adabelief",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "dpsgd",
    "fromage",
    "galore",
    "lamb",
    "lars",
    "lion",
    "madgrad",
    "muon",
    "nadam",
    "nadamw",
    "noisy_sgd",
    "novograd",
    "optimistic_adam",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "radam",
    "rmsprop",
    "rprop",
    "scale_by_learning_rate",
    "sgd",
    "sign_sgd",
    "signum",
    "simplified_ademamix",
    "sm3",
    "sophia",
    "yogi",
    "scale_by_schedule",
];

/// The properties of an optimizer.
struct Known {
    default: Lr,
    /// The index of the lr among positional arguments.
    place: usize,
}

/// Finds an optimizer by its path. `library` is the library of its schedule, for names without a module.
fn known(path: &[String], library: &str) -> Option<Known> {
    let (name, modules) = path.split_last()?;
    let has_module = |known: &[&str]| modules.iter().any(|module| known.contains(&module.as_str()));
    let find = |table: &[(&str, Lr)], place| {
        let (_, default) = table.iter().find(|(known, _)| known == name)?;
        Some(Known { default: *default, place })
    };
    let optax = || {
        let required = OPTAX_REQUIRED.contains(&name.as_str());
        find(OPTAX, 0).or_else(|| required.then_some(Known { default: Required, place: 0 }))
    };
    let plain = modules.iter().all(|module| matches!(module.as_str(), "optim" | "optimizers" | "contrib"));
    match () {
        () if has_module(&["keras", "tf", "tensorflow", "tf_keras"]) => find(KERAS, 0),
        () if has_module(&["optax"]) => optax(),
        () if has_module(&["timm"]) => find(TIMM, 1).or_else(|| find(TORCH, 1)),
        () if has_module(&["transformers"]) => find(TRANSFORMERS, 1),
        () if has_module(&["torch"]) => find(TORCH, 1),
        () if !plain => None,
        () if library == "keras" => find(KERAS, 0),
        () if library == "optax" => optax(),
        () => find(TORCH, 1).or_else(|| find(TIMM, 1)),
    }
}

/// Whether transformers divides an absolute lr of the schedule by the lr of the optimizer.
fn divides_by_optimizer_lr(written: &Tree) -> bool {
    let is = |tree: &Tree, key: &str, of: fn(&str) -> bool| match tree.get(key).map(|tree| &tree.value) {
        Some(Value::Text(word)) => of(word),
        _ => false,
    };
    let given = |tree: &Tree| tree.get("min_lr").is_some_and(|lr| lr.value != Value::Null);
    let waves = is(written, "kind", |kind| kind.starts_with("transformers.get_cosine_with_min_lr"));
    is(written, "kind", |kind| kind == "transformers.get_polynomial_decay_schedule_with_warmup")
        || (waves && given(written))
        || (is(written, "kind", |kind| kind == "transformers.get_scheduler")
            && (is(written, "name", |name| name == "polynomial")
                || is(written, "name", |name| name.contains("min_lr"))
                    && written.get("scheduler_specific_kwargs").is_some_and(given)))
}

/// Optimizers of torch without momentum or betas. Schedules that cycle the momentum fail with them.
const WITHOUT_MOMENTUM: &[&str] = &["ASGD", "Adadelta", "Adafactor", "Adagrad", "LBFGS", "Rprop"];

impl Program<'_> {
    /// Refuses a schedule that cycles the momentum of an optimizer without momentum, as torch does.
    pub(crate) fn check_momentum(&self, call: &Expr, entry: &LibraryEntry) -> Result<(), Problem> {
        let ExprKind::Call(_, arguments) = &call.kind else { return Ok(()) };
        let Some(place) = entry.arguments().position(|(name, _)| name == "cycle_momentum") else {
            return Ok(());
        };
        let named =
            |argument: &&Argument| argument.name.as_ref().is_some_and(|(name, _)| name == "cycle_momentum");
        let positional = arguments.get(place).filter(|argument| argument.name.is_none());
        let given = arguments.iter().find(named).or(positional);
        let off = given.is_some_and(|given| self.resolve(&given.value).kind == ExprKind::Bool(false));
        let Some(optimizer) = self.optimizer_of(call).filter(|_| !off) else { return Ok(()) };
        let ExprKind::Call(callee, _) = &self.resolve(optimizer).kind else { return Ok(()) };
        match &callee.kind {
            ExprKind::Path(path)
                if path.last().is_some_and(|name| WITHOUT_MOMENTUM.contains(&name.as_str())) =>
            {
                let message = format!("`{}` has no momentum to cycle, so torch fails", path.join("."));
                let problem = self.source.problem(call.start, call.end, message);
                Err(problem.with_hint("write cycle_momentum=False"))
            }
            _ => Ok(()),
        }
    }

    /// The base lr of the schedule of a call.
    pub(crate) fn base_lr(&self, call: &Expr) -> BaseLr {
        if let Some(problem) = &self.sets_lr {
            return BaseLr::Unknown(problem.clone());
        }
        let library = self.library_of(call);
        match self.optimizer_of(call) {
            Some(optimizer) => self.lr_of(optimizer, library),
            None => self.only_lr(library),
        }
    }

    /// The optimizer argument of a schedule, or of its first child schedule.
    fn optimizer_of<'e>(&'e self, call: &'e Expr) -> Option<&'e Expr> {
        let ExprKind::Call(callee, arguments) = &self.resolve(call).kind else { return None };
        let entry = self.entry(callee, arguments).ok().flatten()?;
        let place = entry.arguments().position(|(name, _)| name == "optimizer");
        let named =
            |argument: &&Argument| argument.name.as_ref().is_some_and(|(name, _)| name == "optimizer");
        let positional = || arguments.get(place?).filter(|argument| argument.name.is_none());
        let given = arguments.iter().find(named).or_else(positional).map(|argument| &argument.value);
        given.or_else(|| {
            let list = arguments.iter().find_map(|argument| match &self.resolve(&argument.value).kind {
                ExprKind::List(items) => items.first(),
                _ => None,
            })?;
            self.optimizer_of(list)
        })
    }

    /// The lr of the only optimizer in the program, for schedules without an optimizer argument.
    fn only_lr(&self, library: &str) -> BaseLr {
        let mut found: Vec<BaseLr> = Vec::new();
        for call in self.others() {
            self.optimizers_in(call, library, &mut found);
        }
        found.dedup();
        match found.as_slice() {
            [] => BaseLr::Unstated,
            [one] => one.clone(),
            _ => BaseLr::Unknown(
                self.source
                    .problem(
                        0,
                        self.source.text.len(),
                        "the program has several optimizers, and that of the schedule is unknown",
                    )
                    .with_hint("pass the base lr with --lr"),
            ),
        }
    }

    fn optimizers_in(&self, expr: &Expr, library: &str, found: &mut Vec<BaseLr>) {
        let ExprKind::Call(callee, arguments) = &expr.kind else { return };
        match &callee.kind {
            ExprKind::Path(path) if known(path, library).is_some() => found.push(self.lr_of(expr, library)),
            _ => arguments.iter().for_each(|argument| self.optimizers_in(&argument.value, library, found)),
        }
    }

    /// The lr argument of an optimizer's call, for any library.
    pub(crate) fn lr_argument<'e>(&self, callee: &Expr, arguments: &'e [Argument]) -> Option<&'e Expr> {
        let ExprKind::Path(path) = &callee.kind else { return None };
        let known = known(path, "keras").or_else(|| known(path, "optax"))?;
        lr_argument(arguments, known.place)
    }

    fn lr_of(&self, optimizer: &Expr, library: &str) -> BaseLr {
        let optimizer = self.resolve(optimizer);
        let unknown = |message: String| {
            let problem = self.source.problem(optimizer.start, optimizer.end, message);
            BaseLr::Unknown(problem.with_hint("pass the base lr with --lr"))
        };
        let (callee, arguments) = match &optimizer.kind {
            ExprKind::Call(callee, arguments) => (callee, arguments),
            ExprKind::Path(_) => return BaseLr::Unstated,
            ExprKind::Unknown(reason) => {
                return unknown(format!("the lr of the optimizer is unknown: {reason}"));
            }
            _ => return unknown("the lr of this optimizer is unknown".to_owned()),
        };
        let path = match &callee.kind {
            ExprKind::Path(path) => path.as_slice(),
            _ => &[],
        };
        let name = path.join(".");
        let factory = path.last().is_some_and(|name| name == "create_optimizer_v2");
        let known = if factory { self.known_by_factory(arguments) } else { known(path, library) };
        // A wrapper of an optimizer does not change its lr.
        if known.is_none()
            && lr_argument(arguments, usize::MAX).is_none()
            && let Some(inner) = arguments.first().map(|argument| self.resolve(&argument.value))
            && matches!(inner.kind, ExprKind::Call(..))
            && !factory
            && let BaseLr::Known(lr, groups) = self.lr_of(inner, library)
        {
            return BaseLr::Known(lr, groups);
        }
        let lr = self.own_lr(&name, known, arguments);
        self.lr_of_groups(arguments, lr).unwrap_or_else(unknown)
    }

    /// The lr of parameter groups without their own lr: that of the call, or the default.
    fn own_lr(&self, name: &str, known: Option<Known>, arguments: &[Argument]) -> Result<f64, String> {
        let place = known.as_ref().map_or(usize::MAX, |known| known.place);
        match (lr_argument(arguments, place).map(|lr| self.resolve(lr)), known.map(|known| known.default)) {
            (Some(Expr { kind: ExprKind::None, .. }) | None, Some(Is(lr))) => Ok(lr),
            (Some(Expr { kind: ExprKind::None, .. }) | None, Some(Varies)) => {
                Err(format!("`{name}` without an lr computes it itself"))
            }
            (None, Some(Required)) => Err(format!("`{name}` has no default lr, and the call sets none")),
            (Some(lr), _) => self.lr_number(lr),
            (None, None) => Err(format!("the default lr of `{name}` is unknown")),
        }
    }

    /// Refuses a schedule that transformers divides by the optimizer's lr if the first parameter group has
    /// another lr.
    pub(crate) fn check_optimizer_lr(&self, call: &Expr, written: &Tree) -> Result<(), Problem> {
        if !divides_by_optimizer_lr(written) {
            return Ok(());
        }
        let Some(optimizer) = self.optimizer_of(call).map(|optimizer| self.resolve(optimizer)) else {
            return Ok(());
        };
        let ExprKind::Call(callee, arguments) = &optimizer.kind else { return Ok(()) };
        let ExprKind::Path(path) = &callee.kind else { return Ok(()) };
        let own = self.own_lr(&path.join("."), known(path, "transformers"), arguments);
        match (own, self.lr_of(optimizer, "transformers").known()) {
            (Ok(own), Some(first)) if own != first => {
                let message = format!(
                    "transformers uses the optimizer's lr ({own}), but its first parameter group has {first}"
                );
                let problem = self.source.problem(optimizer.start, optimizer.end, message);
                Err(problem.with_hint(format!("pass lr={first} to the optimizer too")))
            }
            _ => Ok(()),
        }
    }

    /// The optimizer that timm's factory creates.
    fn known_by_factory(&self, arguments: &[Argument]) -> Option<Known> {
        let named = |argument: &&Argument| argument.name.as_ref().is_some_and(|(name, _)| name == "opt");
        let given = arguments.iter().find(named);
        let given = given.or_else(|| arguments.get(1).filter(|argument| argument.name.is_none()));
        let ExprKind::Text(name) = &self.resolve(&given?.value).kind else { return None };
        let name = name.to_lowercase();
        let name = name.rsplit('_').next().unwrap_or_default();
        let (class, _) = TIMM_NAMES.iter().find(|(_, names)| names.contains(&name))?;
        let table = TIMM.iter().chain(TORCH);
        let (_, default) = table.into_iter().find(|(known, _)| known == class)?;
        Some(Known { default: *default, place: 2 })
    }

    /// The value of an lr, or why it is unknown.
    fn lr_number(&self, lr: &Expr) -> Result<f64, String> {
        let written = self.source.text.get(lr.start..lr.end).unwrap_or_default();
        match self.number(lr, 0).map(|number: Number| number.float()) {
            Ok(Ok(lr)) => Ok(lr),
            _ => Err(format!("the lr of the optimizer is `{written}`, whose value is unknown")),
        }
    }

    /// The lrs of the parameter groups: their own, or that of the optimizer.
    fn lr_of_groups(&self, arguments: &[Argument], outer: Result<f64, String>) -> Result<BaseLr, String> {
        let named = |argument: &&Argument| {
            argument
                .name
                .as_ref()
                .is_some_and(|(name, _)| matches!(name.as_str(), "params" | "model_or_params"))
        };
        let first = || arguments.first().filter(|argument| argument.name.is_none());
        let params = arguments.iter().find(named).or_else(first).map(|argument| &argument.value);
        let groups = match params.map(|params| self.list(params, 0)) {
            Some(Ok(Some(groups))) => groups,
            _ => Vec::new(),
        };
        let mut lrs = Vec::new();
        for group in &groups {
            let Ok(Some(entries)) = self.entries(group) else { continue };
            let own = entries.iter().rev().find(|(key, _)| key.kind == ExprKind::Text("lr".to_owned()));
            lrs.push(match own {
                Some((_, lr)) => self.lr_number(self.resolve(lr))?,
                None => outer.clone()?,
            });
        }
        match lrs.first() {
            Some(lr) => Ok(BaseLr::Known(*lr, lrs)),
            None => outer.map(|lr| BaseLr::Known(lr, vec![lr])),
        }
    }
}

/// The lr argument, by its name or its position.
fn lr_argument(arguments: &[Argument], place: usize) -> Option<&Expr> {
    let named = |argument: &&Argument| {
        argument.name.as_ref().is_some_and(|(name, _)| matches!(name.as_str(), "lr" | "learning_rate"))
    };
    let positional = || arguments.get(place).filter(|argument| argument.name.is_none());
    arguments.iter().find(named).or_else(positional).map(|argument| &argument.value)
}
