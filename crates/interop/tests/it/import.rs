//! Names of other libraries: the table is complete, and calls are read as in Python.

use std::collections::BTreeMap;

use interop::{BaseLr, ExtraType, entries, is_program, parse_program};
use proptest::prelude::*;
use schedule::catalogue::{Default, ParamType};
use schedule::tree::{Key, Place, Tree, Value};
use schedule::{AfterUpdate, Horizon, Node};

fn text(text: &str) -> Tree {
    Tree::new(Value::Text(text.to_owned()))
}

fn map<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let key = |name: &str| Key { place: Place::default(), name: name.to_owned() };
    Tree::new(Value::Map(entries.map(|(name, tree)| (key(name), tree)).into()))
}

pub(crate) const HORIZON: Horizon = Horizon { base_lr: 0.5, total: 100, steps_per_epoch: Some(5) };

pub(crate) fn read(call: &str) -> Result<Node, String> {
    let parsed = parse_program(call).map_err(|problem| problem.to_string())?;
    let mut problems = Vec::new();
    interop::parse(&parsed.schedule, "", &mut problems)
        .ok_or_else(|| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn lrs(node: &Node) -> Vec<f64> {
    let schedule = node.resolve(&HORIZON).expect("it fits");
    let state = schedule.start();
    (0..100).map(|t| schedule.lr(t, &state)).collect()
}

fn of(call: &str) -> Vec<f64> {
    lrs(&read(call).unwrap_or_else(|problem| panic!("{call}: {problem}")))
}

#[test]
fn every_example_is_read_and_fits() {
    for entry in entries() {
        let node = read(entry.example).unwrap_or_else(|problem| panic!("{}: {problem}", entry.name));
        node.resolve(&HORIZON).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.example));
        let bare = entry.name.rsplit('.').next().expect("a name");
        assert!(entry.example.contains(bare), "{}", entry.example);
    }
}

#[test]
fn the_table_is_complete() {
    let mut seen = std::collections::HashSet::new();
    for entry in entries() {
        for name in entry.names() {
            assert!(seen.insert(name), "duplicate name {name}");
        }
        assert!(!entry.expansion.is_empty() && !entry.note.ends_with('.'), "{}", entry.name);
        let required = |name: &str| entry.arguments().any(|argument| argument == (name, false));
        let with_default = |name: &str| entry.arguments().any(|argument| argument == (name, true));
        for param in entry.params {
            let known = required(param.name) || with_default(param.name);
            // The interval and the metric of a rule are parameters of sweep, not of the library.
            assert!(known || ["watch", "every"].contains(&param.name), "{}: {}", entry.name, param.name);
            let may_be_left_out = param.default != Default::Required;
            let lr = matches!(param.ty, ParamType::Lr) && param.default == Default::Is("1x");
            assert!(
                !known || lr || may_be_left_out != required(param.name),
                "{}: {}",
                entry.name,
                param.name
            );
        }
        for extra in entry.extra {
            assert_eq!(extra.required, required(extra.name), "{}: {}", entry.name, extra.name);
        }
        for (name, reason) in entry.refused {
            assert!(!reason.is_empty() && with_default(name), "{name}");
        }
    }
}

/// Writing the defaults explicitly changes nothing.
#[test]
fn defaults_written_out_are_the_same_schedule() {
    for entry in entries() {
        let parsed = parse_program(entry.example).expect(entry.name).schedule;
        let Value::Map(mut written) = parsed.value.clone() else { panic!("a mapping") };
        let plain = interop::parse(&parsed, "", &mut Vec::new()).expect(entry.name);
        for param in entry.params {
            let given = written.iter().any(|(key, _)| key.name == param.name);
            // These two parameters enable the cycling of the momentum.
            let asks = ["base_momentum", "max_momentum"].contains(&param.name);
            if let (Default::Is(default), false, false) = (param.default, given, asks) {
                let value = match (default.parse::<bool>(), default.parse::<i64>(), default.parse::<f64>()) {
                    (Ok(b), ..) => Value::Bool(b),
                    (_, Ok(i), _) => Value::Int(i),
                    (_, _, Ok(x)) => Value::Float(x),
                    _ => Value::Text(default.to_owned()),
                };
                let key = Key { place: Place::default(), name: param.name.to_owned() };
                written.push((key, Tree::new(value)));
            }
        }
        let written = Tree::new(Value::Map(written));
        let mut problems = Vec::new();
        let same = interop::parse(&written, "", &mut problems)
            .unwrap_or_else(|| panic!("{}: {problems:?}", entry.name));
        assert_eq!(lrs(&plain), lrs(&same), "{}", entry.name);
    }
}

#[test]
fn programs_are_read() {
    let step = of("torch.StepLR(opt, step_size=30, gamma=0.1)");
    for program in [
        "torch.optim.lr_scheduler.StepLR(optimizer, 30)",
        "lr_scheduler.StepLR(opt, 30)",
        "optim.lr_scheduler.StepLR(opt, 30, 0.1, -1)",
        "StepLR(opt, 30)",
        "scheduler = StepLR(opt, 30)  # every 30 steps",
        "self.scheduler = StepLR(\n    self.optimizer,\n    step_size=30,  # steps\n    gamma=1e-1,\n)\n",
        "from torch.optim.lr_scheduler import StepLR as Steps\n\nsched = Steps(opt, 3 * 10)",
        "import torch.optim.lr_scheduler as S; s = S.StepLR(opt, 3_0)",
        "every = 30\nsched = StepLR(opt, step_size=every, gamma=1 / 10)",
        "sched = StepLR(opt, \\\n  30)",
        "model = Net(3)\nsched = StepLR(optim.SGD(model.parameters(), lr=0.3), 30)",
        "sched = StepLR(opt, step_size=(30), gamma=+.1, last_epoch=-1)",
    ] {
        assert!(is_program(program), "{program}");
        assert_eq!(of(program), step, "{program}");
    }
    let warm = of("SequentialLR(opt, [LinearLR(opt, 0.1, total_iters=5), CosineAnnealingLR(opt, 95)], [5])");
    let written_out = "a = LinearLR(opt, start_factor=0.1, total_iters=5)\nb = CosineAnnealingLR(opt, T_max=95)\n\
                       c = SequentialLR(opt, schedulers=[a, b], milestones=[5])";
    assert_eq!(of(written_out), warm);
    let wave = of("keras.optimizers.schedules.CosineDecay(0.1, 50)");
    for program in [
        "tf.keras.optimizers.schedules.CosineDecay(initial_learning_rate=0.1, decay_steps=50, name='wave')",
        "opt = keras.optimizers.SGD(learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 50))",
        "CosineDecay(1e-1, 50, alpha=0.0, warmup_target=None)",
    ] {
        assert_eq!(of(program), wave, "{program}");
    }
    let scales = of("optax.piecewise_constant_schedule(0.1, {20: 0.5, 40: 0.1})");
    assert_eq!(of("piecewise_constant_schedule(0.1, boundaries_and_scales={40: 0.1, 20: 0.5,})"), scales);
}

#[test]
fn a_yaml_document_is_not_a_program() {
    for document in [
        "{kind: cosine}",
        "kind: lambda\nexpr: cos(t)",
        "1x",
        "[f(x)]",
        "# f(x)\nlr: 0.1",
        "'f(x)'",
        "",
        "# f(x)",
    ] {
        assert!(!is_program(document), "{document}");
    }
}

#[test]
fn lambdas_are_expressions() {
    let powers = of("torch.LambdaLR(opt, lambda t: 0.95 ** t)");
    for program in [
        "LambdaLR(opt, lr_lambda=lambda epoch: 0.95 ** epoch)",
        "LambdaLR(opt, lr_lambda=[lambda T: 0.95 ** T])",
        "decay = 0.95\nLambdaLR(opt, lambda step: decay ** step)",
        "fall = lambda step: 0.9_5 ** step\nLambdaLR(opt, fall)",
        "LambdaLR(opt, lambda step: 0.95 ** float(int(step)))",
        "LambdaLR(opt, lambda step: max(0.95 ** step, 0.0), last_epoch=-1)",
    ] {
        assert_eq!(of(program), powers, "{program}");
    }
    let wave = of(
        "LambdaLR(opt, lambda t: 0.5 * (1 + math.cos(math.pi * min(t, 20) / 20)) if t < 30 else np.exp(-t))",
    );
    assert_eq!(
        wave,
        of("LambdaLR(opt, lambda t: 0.5 * (1 + cos(pi * min(t, 20) / 20)) if t < 30 else exp(-t))")
    );
    let kind = |expr: &str| {
        let node = map([("kind", text("torch.LambdaLR")), ("lr_lambda", text(expr))]);
        lrs(&interop::parse(&node, "", &mut Vec::new()).expect(expr))
    };
    assert_eq!(kind("lambda s: 0.95 ** s"), powers);
    assert_eq!(kind("0.95 ** t"), powers);
}

/// torch's ConstantLR of length 0 stays at its factor, except after a milestone.
#[test]
fn a_constant_of_length_0_matches_torch() {
    assert_eq!(of("ConstantLR(opt, 0.5, total_iters=0)"), vec![0.25; 100]);
    let late = of("SequentialLR(opt, [ConstantLR(opt, 0.5, 0), ConstantLR(opt, 0.1, 0)], milestones=[3])");
    assert_eq!(late[..5], [0.25, 0.25, 0.25, 0.5, 0.5]);
}

#[test]
fn depth_and_length_are_bounded() {
    for program in [
        format!("StepLR(opt, {}1{})", "(".repeat(10_000), ")".repeat(10_000)),
        format!("StepLR(opt, {}1)", "-".repeat(10_000)),
        format!("StepLR(opt, {}1)", "2**".repeat(10_000)),
        format!("StepLR(opt, 1{})", "+1".repeat(10_000)),
        format!("{}StepLR(opt, 1{}", "ChainedScheduler([".repeat(60), "])".repeat(60)),
        format!("StepLR(opt, 1{})", " ".repeat(1_000_000)),
        format!(
            "a0 = [1]\n{}MultiStepLR(opt, a99)",
            (1..100).map(|i| format!("a{i} = a{} + a{}\n", i - 1, i - 1)).collect::<String>()
        ),
    ] {
        assert!(read(&program).is_err());
    }
}

/// The lrs of the first parameter group, as torch 2.15, timm 1.0.31 and Keras 3.15 print them.
#[test]
fn the_base_lr_comes_from_the_optimizer_of_the_schedule() {
    for (program, lr) in [
        ("opt = torch.optim.SGD([p], lr=0.3, momentum=0.9); s = StepLR(opt, 3)", 0.3),
        ("opt = AdamW(net.parameters(), 3e-4)\ns = StepLR(opt, 3)", 3e-4),
        ("g = Adam(a.parameters(), lr=1e-4)\nd = Adam(b.parameters(), lr=4e-4)\ns = StepLR(g, 2)", 1e-4),
        ("g = Adam(p, lr=1e-4)\nd = Adam(q, lr=4e-4)\ns = StepLR(g, 2)\ns = StepLR(d, 2)", 4e-4),
        ("StepLR(torch.optim.SGD(model.parameters(), lr=0.02), 2)", 0.02),
        ("self.opt = SGD(p, lr=0.1)\nself.s = StepLR(optimizer=self.opt, step_size=2)", 0.1),
        ("opt = SGD([{'params': a, 'lr': 1e-2}], lr=1e-3)\ns = StepLR(opt, 2)", 1e-2),
        ("opt = SGD([{'params': a, 'lr': 1e-2}])\ns = StepLR(opt, 2)", 1e-2),
        ("opt = SGD([{'params': a}, dict(params=b, lr=5)], 0.2)\ns = StepLR(opt, 2)", 0.2),
        ("groups = [dict(params=a, lr=0.5)]\nopt = SGD(groups)\ns = StepLR(opt, 2)", 0.5),
        ("opt = timm.optim.create_optimizer_v2(model, 'sgd', lr=0.05)\ns = StepLR(opt, 2)", 0.05),
        ("opt = timm.optim.create_optimizer_v2(model, opt='lookahead_lion')\ns = StepLR(opt, 2)", 1e-4),
        ("opt = timm.optim.Muon(p)\ns = StepLR(opt, 2)", 0.02),
        ("opt = torch.optim.Muon(p)\ns = StepLR(opt, 2)", 1e-3),
        ("opt = accelerator.prepare(torch.optim.NAdam(p))\ns = StepLR(opt, 2)", 2e-3),
        ("opt = NAdam(p)\nmodel, opt = accelerator.prepare(model, opt)\ns = StepLR(opt, 2)", 2e-3),
        ("opt = Rprop(p)\ns = ChainedScheduler([StepLR(opt, 2)])", 0.01),
        ("a = b = 0.1\na *= 0.5\nopt = SGD(p, lr=a)\na = 3\ns = StepLR(opt, 2)", 0.05),
        ("model.compile(keras.optimizers.SGD())\nkeras.callbacks.ReduceLROnPlateau()", 0.01),
    ] {
        assert_eq!(parse_program(program).expect(program).lr.known(), Some(lr), "{program}");
    }
    for (program, reason) in [
        ("opt = SGD([p], lr=args.lr)\ns = StepLR(opt, 3)", "the lr of the optimizer is `args.lr`"),
        ("opt = SGD([p], lr=torch.tensor(0.01))\ns = StepLR(opt, 3)", "is `torch.tensor(0.01)`"),
        ("opt = make_optimizer(model)\ns = StepLR(opt, 3)", "the default lr of `make_optimizer` is unknown"),
        ("opt = timm.optim.SGDP(p)\ns = StepLR(opt, 3)", "has no default lr"),
        ("opt = transformers.Adafactor(p)\ns = StepLR(opt, 3)", "computes it itself"),
        ("opt = SGD([{'params': a, 'lr': lr}], 1)\ns = StepLR(opt, 3)", "is `lr`"),
        (
            "for g in opt.param_groups:\n    g['lr'] = 1\ns = StepLR(opt, 3)",
            "the program sets the lr directly",
        ),
    ] {
        let BaseLr::Unknown(problem) = parse_program(program).expect(program).lr else { panic!("{program}") };
        assert!(problem.message.contains(reason), "{program}: {problem}");
    }
    assert_eq!(parse_program("s = StepLR(opt, 3)").expect("a call").lr, BaseLr::Unstated);
}

/// The lrs are those of torch 2.15 for the same text, at base lr 0.5.
#[test]
fn a_whole_script_is_read() {
    let step = of("torch.StepLR(opt, 3)");
    for program in [
        "StepLR(opt, 3, verbose=True)",
        "EPOCHS, STEPS = 5, 3\nStepLR(opt, STEPS)",
        "(a, b) = (3, 0.1)\ns = StepLR(opt, a, gamma=b)",
        "s: LRScheduler = StepLR(opt, 3)",
        "n: int = 3\ns = StepLR(opt, n)",
        "StepLR(opt, int(0.06 * 50))",
        "StepLR(opt, max(1, 3), round(0.123, 1))",
        "import math as m\nStepLR(opt, m.ceil(2.5))",
        "StepLR(opt, len([1, 2, 3]))",
        "cfg = dict(step=3)\nStepLR(opt, cfg['step'])",
        "for epoch in range(9):\n    loss = 1\n    scheduler.step()\nscheduler = StepLR(opt, 3)",
        "x = [i for i in y]\nprint(f'{x}')\nz = x if y\nStepLR(opt, 3)",
        "class Lit(Module):\n    def configure(self):\n        return [opt], [StepLR(opt, 3)]",
        "if __name__ == '__main__':\n    s = StepLR(opt, 3)",
        "\"\"\"A docstring: it is\n long.\"\"\"\nStepLR(opt, 3)",
    ] {
        assert!(is_program(program), "{program}");
        assert_eq!(of(program), step, "{program}");
    }
    assert_eq!(of("MultiStepLR(opt, list(range(3, 10, 3)))"), of("MultiStepLR(opt, [3, 6, 9])"));
    assert_eq!(of("MultiStepLR(opt, [3] + [6] * 2)"), of("MultiStepLR(opt, [3, 6, 6])"));
    let piecewise = of("LambdaLR(opt, lambda e: (e + 1) / 3 if e < 3 else 1 if e < 6 else 0.5 ** (e - 6))");
    let function = "def f(epoch):\n    'as text'\n    if epoch < 3:\n        return (epoch + 1) / 3\n    elif epoch < 6:\n        \
                    k = 0\n    else:\n        k = epoch - 6\n    return 0.5 ** k\ns = LambdaLR(opt, f)";
    assert_eq!(of(function), piecewise);
    let drops = of("LambdaLR(opt, lambda e: 0.1 if e >= 7 else 0.5 if e >= 3 else 1)");
    for program in [
        "from bisect import bisect_right as b\nm = [3, 7]\nf = [1, 0.5, 0.1]\nLambdaLR(opt, lambda e: f[b(m, e)])",
        "LambdaLR(opt, lambda e: [1, 0.5, 0.1][sum([e >= 3, e >= 7])])",
        "def f(e): return 1 if 0 <= e < 3 else 0.5 if e in (3, 4, 5, 6) else np.power(10, -1.0)\nLambdaLR(opt, f)",
    ] {
        assert_eq!(of(program), drops, "{program}");
    }
    for (program, words) in [
        ("for lr in [1, 2]:\n    s = StepLR(opt, 2)", "a schedule inside a `for` block is not supported"),
        ("if x:\n    n = 3\nStepLR(opt, n)", "it is set inside the `if` block of line 1"),
        ("def f(a, b): return a\nLambdaLR(opt, f)", "expected a function of one number"),
        (
            "def f(a):\n    for i in x: pass\n    return a\nLambdaLR(opt, f)",
            "this function can't be converted",
        ),
        ("LambdaLR(opt, lambda t: torch.cos(t))", "works on tensors in single precision: write `math.cos`"),
        ("LambdaLR(opt, lambda t: math.remainder(t, 3))", "the value of `math.remainder` is unknown"),
        ("StepLR(opt, 10 ** 30)", "expected a whole number below 2^63"),
        ("a, b = f(x)\nStepLR(opt, a)", "this value is unknown before the program runs"),
    ] {
        let problem = read(program).expect_err(program);
        assert!(problem.contains(words), "{program}: {problem}");
    }
}

/// optax 0.2.8 and Keras 3.15 accept a schedule instead of a learning rate.
#[test]
fn the_learning_rate_of_an_optimizer_may_be_the_schedule() {
    let fall = of("optax.exponential_decay(0.1, 9, 0.5)");
    for program in [
        "tx = optax.adam(optax.exponential_decay(0.1, 9, 0.5))",
        "s = optax.exponential_decay(0.1, 9, 0.5)\ntx = optax.adamw(learning_rate=s)",
        "a = optax.exponential_decay(0.1, 9, 0.5)\nb = optax.constant_schedule(1.0)\ntx = optax.sgd(a)",
        "tx = optax.chain(optax.clip(1.0), optax.lion(optax.exponential_decay(0.1, 9, 0.5)))",
        "opt = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5))",
    ] {
        assert_eq!(of(program), fall, "{program}");
    }
    assert!(read("ReduceLROnPlateau(optimizer, patience=2)").is_ok());
}

#[test]
fn a_call_sets_the_length_of_the_run() {
    for (program, steps) in [
        ("OneCycleLR(opt, 0.1, total_steps=40)", Some(40)),
        ("OneCycleLR(opt, 0.1, epochs=4, steps_per_epoch=7)", Some(28)),
        ("CosineAnnealingLR(opt, 30)", Some(30)),
        ("LinearLR(opt, total_iters=9)", Some(9)),
        ("LinearLR(opt)", None),
        ("StepLR(opt, 30)", None),
        ("SequentialLR(opt, [LinearLR(opt), CosineAnnealingLR(opt, 15)], [5])", Some(20)),
        ("ChainedScheduler([StepLR(opt, 3), CosineAnnealingLR(opt, 15)])", Some(15)),
        ("optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 50)", Some(50)),
        ("optax.linear_schedule(0.1, 0.0, 20, 5)", Some(25)),
        ("optax.cosine_onecycle_schedule(33, 0.1)", Some(33)),
        (
            "optax.join_schedules([optax.linear_schedule(0.0, 0.1, 4), optax.cosine_decay_schedule(0.1, 6)], [4])",
            Some(10),
        ),
        ("optax.exponential_decay(0.1, 20, 0.5)", None),
        ("keras.CosineDecay(0.0, 40, warmup_target=0.1, warmup_steps=10)", Some(50)),
        ("keras.CosineDecay(0.0, 40, warmup_steps=10)", Some(40)),
        ("get_linear_schedule_with_warmup(opt, 5, 70)", Some(70)),
        ("get_wsd_schedule(opt, 5, 20, num_stable_steps=10)", Some(35)),
        ("get_scheduler('cosine', opt, 5, 70)", Some(70)),
        ("timm.scheduler.CosineLRScheduler(opt, t_initial=15)", Some(75)),
        (
            "timm.scheduler.CosineLRScheduler(opt, 15, cycle_limit=2, warmup_t=3, warmup_prefix=True, t_in_epochs=False)",
            Some(33),
        ),
        ("timm.scheduler.create_scheduler_v2(opt, num_epochs=8)[0]", Some(40)),
    ] {
        let node = read(program).unwrap_or_else(|problem| panic!("{program}: {problem}"));
        assert_eq!(node.stated_length(Some(5)), steps, "{program}");
    }
}

#[test]
fn momentum_is_cycled_only_if_configured() {
    for (arguments, configured) in [
        ("", false),
        (", cycle_momentum=False, base_momentum=0.5", false),
        (", cycle_momentum=True", true),
        (", base_momentum=0.5", true),
        (", max_momentum=0.97", true),
    ] {
        for call in ["OneCycleLR(opt, max_lr=0.1, total_steps=100", "CyclicLR(opt, 0.01, 0.1"] {
            let node = read(&format!("{call}{arguments})")).expect(arguments);
            let schedule = node.resolve(&HORIZON).expect("it fits");
            assert_eq!(schedule.momentum(3).is_some(), configured, "{call}{arguments}");
        }
    }
}

#[test]
fn a_learning_rate_is_optional_only_in_a_mapping() {
    for entry in entries() {
        let Some(lr) = entry.params.iter().find(|param| param.default == Default::Is("1x")) else { continue };
        assert!(entry.extra.iter().all(|extra| extra.ty != ExtraType::Schedules));
        let Value::Map(mut given) = parse_program(entry.example).expect(entry.name).schedule.value else {
            panic!("a mapping")
        };
        given.retain(|(key, _)| key.name != lr.name);
        let mut problems = Vec::new();
        let without = interop::parse(&Tree::new(Value::Map(given.clone())), "", &mut problems);
        let without = without.unwrap_or_else(|| panic!("{}: {problems:?}", entry.name));
        let key = Key { place: Place::default(), name: lr.name.to_owned() };
        given.push((key, text("1x")));
        let with = interop::parse(&Tree::new(Value::Map(given)), "", &mut Vec::new()).expect(entry.name);
        assert_eq!(lrs(&without), lrs(&with), "{}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text is either read or refused with a place in the text.
    #[test]
    fn any_text_is_read_or_refused(words in proptest::collection::vec(prop::sample::select(WORDS), 0..14)) {
        let program = words.concat();
        if let Err(problem) = parse_program(&program) {
            prop_assert!(problem.place.start <= problem.place.end && problem.place.end <= program.len(), "{program:?}");
            prop_assert!(program.is_char_boundary(problem.place.start) && program.is_char_boundary(problem.place.end));
        }
    }
}

const WORDS: &[&str] = &[
    "StepLR",
    "torch.",
    "LambdaLR",
    "lambda ",
    "t",
    ": ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "=",
    "opt",
    "0.1",
    "3",
    "\n",
    "# ä\n",
    "'ü'",
    "\"",
    "-",
    "**",
    "if ",
    "x = ",
    "import ",
    "for ",
    ".",
    "1x",
    "None",
    "\\",
    "é",
    "gamma=",
    "SequentialLR",
    "milestones=",
    "optax.sgdr_schedule(",
    "1_0",
    "9e999",
    "*",
    "/",
    "0",
];

/// Compares the lrs of a call with the expected ones.
fn given_by(call: &str, base_lr: f64, wanted: &[f64], program: &str) {
    let node = read(call).unwrap_or_else(|problem| panic!("{call}: {problem}"));
    let horizon = Horizon { base_lr, total: wanted.len() as u64, steps_per_epoch: Some(1) };
    let schedule = node.resolve(&horizon).unwrap_or_else(|problems| panic!("{call}: {problems:?}"));
    let state = schedule.start();
    for (t, wanted) in wanted.iter().enumerate() {
        let found = schedule.lr(t as u64, &state);
        let close = (found - wanted).abs() <= 1e-9 * wanted.abs() + 1e-15;
        assert!(close, "{call}: at {t} {found} instead of {wanted}, which {program} prints");
    }
}

/// Printed by torch 2.15.0: a nested schedule in the first place of a SequentialLR is one step ahead per
/// level.
#[test]
fn nested_schedules_in_the_first_place_match_torch() {
    for (call, wanted) in [
        (
            "SequentialLR(o, [SequentialLR(o, [LinearLR(o, 0.1, total_iters=4), CosineAnnealingLR(o, 6)], [4]), \
             ConstantLR(o, 0.1, 100)], [8])",
            &[0.01, 0.0325, 0.055, 0.1, 0.0933012701892219, 0.075, 0.05, 0.025, 0.01, 0.01][..],
        ),
        (
            "SequentialLR(o, [ChainedScheduler([LinearLR(o, 0.5, total_iters=4), StepLR(o, 3, 0.1)]), \
             ExponentialLR(o, 0.5)], [5])",
            &[0.05, 0.0625, 0.075, 0.00875, 0.01, 0.1, 0.05],
        ),
        (
            "SequentialLR(o, [SequentialLR(o, [SequentialLR(o, [StepLR(o, 2, 0.5), ConstantLR(o, 0.1, 9)], [5]), \
             LambdaLR(o, lambda t: 0.9 ** t)], [6])], [])",
            &[0.1, 0.1, 0.05, 0.01, 0.01, 0.1, 0.09, 0.081],
        ),
    ] {
        given_by(call, 0.1, wanted, "torch");
    }
}

/// Printed by torch 2.15.0.
#[test]
fn a_nested_chain_matches_torch() {
    let call = "ChainedScheduler([ConstantLR(o, 0.5, 3), ChainedScheduler([ExponentialLR(o, 0.9), StepLR(o, 4, 0.1)])])";
    given_by(call, 0.1, &[0.05, 0.045, 0.0405, 0.0729, 0.006561, 0.0059049], "torch");
    let call = "ChainedScheduler([StepLR(o, 3), CosineAnnealingLR(o, 5)])";
    given_by(call, 0.1, &[0.1, 0.09045084971874738, 0.06545084971874738, 0.003454915028125263], "torch");
    let beyond = read(call)
        .expect("a chain")
        .resolve(&HORIZON)
        .expect_err("a run after the end of the product is refused");
    assert!(beyond[0].to_string().contains("the ramp ends after 5 of 100"), "{beyond:?}");
}

/// Printed by timm 1.0.31. Its noise is in single precision, and some of its lengths may be fractional.
#[test]
fn lrs_match_timm() {
    for (call, wanted) in [
        (
            "timm.scheduler.CosineLRScheduler(o, t_initial=10, noise_range_t=2)",
            &[
                0.1,
                0.09755282581475769,
                0.09578247742963557,
                0.08186428310844578,
                0.05682287532670749,
                0.07878394722938538,
            ][..],
        ),
        (
            "timm.scheduler.StepLRScheduler(o, decay_t=2.4, decay_rate=0.97)",
            &[0.1, 0.1, 0.1, 0.097, 0.097, 0.09409],
        ),
        (
            "timm.scheduler.create_scheduler_v2(o, 'step', decay_epochs=2.4, decay_rate=0.97)[0]",
            &[0.1, 0.1, 0.1, 0.097, 0.097, 0.09409],
        ),
        (
            "timm.scheduler.WSDLRScheduler(o, 6, 2.5, decay_fn='linear')",
            &[0.1, 0.1, 0.1, 0.1, 0.08, 0.04, 0.0, 0.0],
        ),
        (
            "timm.scheduler.TanhLRScheduler(o, 10, warmup_t=8, warmup_lr_init=0.01)",
            &[0.01, 0.010240036525276467, 0.010480073050552936],
        ),
    ] {
        given_by(call, 0.1, wanted, "timm");
    }
    for name in ["CosineLRScheduler(o, 10", "TanhLRScheduler(o, 10", "PlateauLRScheduler(o"] {
        let node = read(&format!("timm.scheduler.{name}, warmup_t=500)")).expect(name);
        node.resolve(&HORIZON).expect("a warmup may be longer than the run");
    }
    let shares =
        |noise: &str| of(&format!("timm.scheduler.create_scheduler_v2(o, num_epochs=20, noise={noise})[0]"));
    assert_eq!(shares("[0.4]"), shares("0.4"));
}

/// If boundaries do not rise, optax uses the later one. Printed by optax 0.2.8.
#[test]
fn falling_boundaries_match_optax() {
    let call = "optax.join_schedules([optax.constant_schedule(0.1), optax.constant_schedule(0.2), \
                optax.constant_schedule(0.3)], [4, 2])";
    given_by(call, 1.0, &[0.1, 0.1, 0.3, 0.3, 0.3, 0.3], "optax");
}

/// A call inside a mapping is checked like a standalone call.
#[test]
fn calls_inside_mappings_are_checked() {
    let inside = |call: &str| {
        let list = Tree::new(Value::List(vec![text("torch.StepLR(o, 2)"), text(call)]));
        let node = map([
            ("kind", text("torch.SequentialLR")),
            ("schedulers", list),
            ("milestones", Tree::new(Value::List(vec![Tree::new(Value::Int(3))]))),
        ]);
        let mut problems = Vec::new();
        interop::parse(&node, "", &mut problems);
        problems.iter().map(ToString::to_string).collect::<String>()
    };
    assert!(inside("torch.OneCycleLR(o, 0.1, 9)").contains("`torch.OneCycleLR` is not supported inside"));
    assert_eq!(inside("torch.StepLR(o, 3)"), "");
}

/// timm 1.0.31 begins the sixth cycle of `CosineLRScheduler(o, 1, cycle_mul=3.0, cycle_limit=8)` at 122, not at 121:
/// math.log(243, 3) is 4.999999999999999.
#[test]
fn a_cycle_that_timm_starts_late_is_refused() {
    let fitted = |call: &str, total| {
        read(call).expect(call).resolve(&Horizon { base_lr: 0.1, total, steps_per_epoch: Some(1) })
    };
    let call = "timm.scheduler.CosineLRScheduler(o, 1, cycle_mul=3.0, cycle_limit=8)";
    assert!(fitted(call, 121).is_ok());
    let problems = fitted(call, 122).expect_err("timm begins late");
    assert!(problems[0].to_string().contains("timm starts cycle 5 one step late, at 122"), "{problems:?}");
    assert!(fitted("timm.scheduler.CosineLRScheduler(o, 1, cycle_mul=2.0, cycle_limit=9)", 5000).is_ok());
}

/// The lrs of torch 2.15's `ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=0)` for these accuracies
/// at lr 0.1.
#[test]
fn the_default_mode_of_torch_is_min() {
    let accuracies = [0.5, 0.6, 0.6, 0.59, 0.7, 0.7, 0.7, 0.65];
    let max = [0.1, 0.1, 0.1, 0.05, 0.025, 0.025, 0.0125, 0.00625];
    // The default is `min` for any metric.
    let min = [0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625];
    for (mode, wanted) in [("mode='max', ", max), ("", min)] {
        let call = format!("ReduceLROnPlateau(o, {mode}factor=0.5, patience=0, watch='valid_accuracy')");
        let horizon = Horizon { base_lr: 0.1, total: 8, steps_per_epoch: None };
        let schedule = read(&call).expect("a schedule").resolve(&horizon).expect("it fits");
        let mut state = schedule.start();
        let shown = |(t, accuracy): (u64, f64)| {
            let lr = schedule.lr(t, &state);
            let valid_loss = Some(1.0 / (1.0 + t as f64));
            let (valid_accuracy, own) = (Some(accuracy), &BTreeMap::new());
            let after = AfterUpdate { train_loss: 1.0, valid_loss, valid_accuracy, own, evaluated: true };
            schedule.after_update(&mut state, t, &after);
            lr
        };
        let found: Vec<f64> = (0..).zip(accuracies).map(shown).collect();
        assert_eq!(found, wanted, "{mode}");
    }
}
