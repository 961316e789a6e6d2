//! Problems of calls and their places.

use crate::import::{HORIZON, read};

/// A call, line and column of its first problem, and a part of the message.
type Mistake = (&'static str, &'static str, &'static str);

/// A call that the library refuses, and a part of the message.
type Refusal = (&'static str, &'static str);

const IN_CALLS: &[Mistake] = &[
    ("torch.StepRL(opt, 3)", "1:1", "unknown schedule `torch.StepRL` (did you mean `torch.StepLR`?)"),
    ("StepRL(opt, 3)", "1:1", "did you mean `torch.StepLR`?"),
    ("optax.cosine_decay(0.1, 3)", "1:1", "unknown schedule `optax.cosine_decay`"),
    ("mmengine.StepLR(opt, 3)", "1:1", "unknown schedule `mmengine.StepLR`"),
    (
        "ReduceLROnPlateau(opt, monitor='loss')",
        "1:1",
        "write one of `torch.ReduceLROnPlateau` and `keras.ReduceLROnPlateau`",
    ),
    ("torch.StepLR(opt, step_sise=3)", "1:19", "unknown argument `step_sise` (did you mean `step_size`?)"),
    ("torch.StepLR(opt, wholly=3)", "1:19", "known: `optimizer`, `step_size`, `gamma` and `last_epoch`"),
    ("torch.StepLR(opt)", "1:1", "missing argument `step_size`"),
    ("torch.OneCycleLR(opt, total_steps=9)", "1:1", "missing argument `max_lr` (write max_lr=1x"),
    (
        "torch.StepLR(30)",
        "1:14",
        "expected the optimizer as this argument of `torch.StepLR` (pass the others by name, as in step_size=...)",
    ),
    ("StepLR(opt, 2, 0.5, -1, 7)", "1:25", "takes at most 4 arguments"),
    ("StepLR(opt, 2, step_size=3)", "1:16", "the argument `step_size` is given twice"),
    ("StepLR(opt, gamma=2, 3)", "1:22", "expected a keyword argument, found `3`"),
    ("StepLR(opt,\n  step_size=n)", "2:13", "the value of the variable `n` is unknown: write a literal"),
    ("StepLR(opt, len(loader))", "1:13", "this value is unknown before the program runs: write a literal"),
    ("StepLR(opt, 3", "1:7", "this `(` is not closed"),
    ("StepLR(opt, 3))", "1:15", "unexpected `)`"),
    ("StepLR(opt, [3)", "1:15", "expected `]`, found `)`"),
    ("StepLR(opt, 'a", "1:13", "this string is not closed"),
    ("StepLR(opt, 3y)", "1:13", "`3y` is not a supported number"),
    ("StepLR(opt, 3 4)", "1:15", "expected `,` or `)`, found `4`"),
    ("StepLR(opt, 3) 4", "1:16", "expected the end of the call, found `4`"),
    ("StepLR(opt, **kwargs)", "1:13", "unpacked arguments are not supported"),
    ("MultiStepLR(opt, [i for i in range(3)])", "1:19", "write the values out"),
    ("StepLR(opt, 3 if x else 4)", "1:18", "the value of the variable `x` is unknown: write a literal"),
    ("StepLR(opt, 1 / 0)", "1:13", "this has no value"),
    ("StepLR(opt, 3 $ 4)", "1:15", "unexpected character `$`"),
    ("x = 3", "1:1", "expected a call of a schedule"),
    ("n = n\nStepLR(opt, n)", "2:13", "the variable `n` is unknown"),
    ("LambdaLR(opt, lambda a, b: 1)", "1:15", "a lambda of one parameter"),
    ("LambdaLR(opt, lambda t: t / T)", "1:25", "the variable `T` has another meaning here"),
    ("LambdaLR(opt, lambda t: t / total)", "1:25", "unknown name `total` at character 5"),
];

const IN_VALUES: &[Mistake] = &[
    ("StepLR(opt, 0)", "1:13", "step_size: expected a length of at least 1, found 0"),
    ("StepLR(opt, 3, last_epoch=5)", "1:27", "last_epoch: expected -1"),
    ("CosineAnnealingLR(opt, 0)", "1:24", "T_max: expected a length of at least 1"),
    (
        "CosineAnnealingWarmRestarts(opt, 3, T_mult=0)",
        "1:44",
        "T_mult: expected a whole number of at least 1",
    ),
    ("LinearLR(opt, start_factor=0)", "1:28", "start_factor: expected a number above 0 and at most 1"),
    (
        "OneCycleLR(opt, 0.1, 10, pct_start=0.1)",
        "1:36",
        "pct_start: pct_start * total_steps (0.1 * 10) must not be 1",
    ),
    (
        "OneCycleLR(opt, 0.1, epochs=3)",
        "1:29",
        "expected `total_steps`, or both `epochs` and `steps_per_epoch`",
    ),
    ("OneCycleLR(opt, [0.1, 0.2], 10)", "1:17", "only one parameter group is supported"),
    ("CyclicLR(opt, 0.1, 0.2, scale_fn=lambda x: 1)", "1:44", "`scale_fn` is not supported"),
    ("SequentialLR(opt, [StepLR(opt, 2)], [3])", "1:37", "1 schedules need 0 milestones, found 1"),
    ("SequentialLR(opt, [StepLR(opt, 2), StepLR(opt, 2), StepLR(opt, 2)], [9, 3])", "1:69", "rising values"),
    ("SequentialLR(opt, [StepLR(opt, 2), OneCycleLR(opt, 0.1, 9)], [3])", "1:19", "is not supported inside"),
    (
        "ChainedScheduler([StepLR(opt, 2), CosineAnnealingLR(opt, 9, 0.1)])",
        "1:18",
        "not a product of factors",
    ),
    ("SequentialLR(opt, [StepLR(opt, 2), LinearLR(opt, total_iters=0)], [3])", "1:19", "total_iters of 0"),
    ("optax.cosine_decay_schedule(0.1, 0)", "1:34", "decay_steps: expected a length of at least 1"),
    ("optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 5)", "1:49", "expected more than `warmup_steps`"),
    ("optax.piecewise_constant_schedule(0.1, {'a': 1})", "1:41", "expected a step"),
    ("optax.polyak_sgd(scaling=2)", "1:26", "scaling: expected 1"),
    ("optax.contrib.reduce_on_plateau(rtol=0.0)", "1:38", "expected `rtol` or `atol` above 0"),
    ("keras.callbacks.ReduceLROnPlateau('accuracy')", "1:1", "expected `min` or `max`"),
    ("get_scheduler('cosin', opt)", "1:15", "did you mean `cosine`?"),
    ("get_scheduler('cosine', opt, 3, 9, {'num_cycle': 1})", "1:37", "did you mean `num_cycles`?"),
    ("get_polynomial_decay_schedule_with_warmup(opt, 9, 9)", "1:48", "nothing is left to decay"),
    ("get_cosine_with_min_lr_schedule_with_warmup(opt, 1, 9)", "1:1", "expected `min_lr` or `min_lr_rate`"),
    ("timm.scheduler.StepLRScheduler(opt, 3, noise_range_t=[3])", "1:54", "a length, or [from, to]"),
    ("timm.scheduler.TanhLRScheduler(opt, 3, lb=3.0)", "1:1", "`ub` (3) must be above `lb` (3)"),
    ("timm.scheduler.WSDLRScheduler(opt, 3, 4)", "1:39", "expected at most `t_initial` (3), found 4"),
];

const REFUSED_BY_TORCH: &[Refusal] = &[
    ("OneCycleLR(o, 0.1, total_steps=100.0)", "total_steps: expected an `int`, as in 10, found 100.0"),
    ("OneCycleLR(o, 0.1, 100, pct_start=1)", "pct_start: expected a `float`, as in 1.0, found 1"),
    ("OneCycleLR(o, 0.1, total_steps=99)", "total_steps: the cycle ends after 99 of 100"),
    ("CosineAnnealingWarmRestarts(o, 5.0)", "T_0: expected an `int`"),
    ("CosineAnnealingLR(o, [3])", "T_max: expected a length"),
    (
        "o = torch.optim.Adagrad(p, lr=0.1)\nOneCycleLR(o, 0.1, 100)",
        "`torch.optim.Adagrad` has no momentum to cycle, so torch fails (write cycle_momentum=False)",
    ),
    ("LambdaLR(o, 1)", "lr_lambda: expected a lambda of the step"),
    ("LambdaLR(o, '0.95 ** t')", "expected a lambda of the step, found text"),
    (
        "CyclicLR(o, 0.1, 0.2, 5, mode='exp_range', gamma=1.1, cycle_momentum=True)",
        "gamma: the momentum falls below 0",
    ),
    (
        "SequentialLR(o, [SequentialLR(o, [ExponentialLR(o, 0.9)], [])], [])",
        "one step before the first update",
    ),
    ("SequentialLR(o, [StepLR(o, 3), ChainedScheduler([StepLR(o, 3)])], [3])", "torch fails at its start"),
    (
        "ChainedScheduler([StepLR(o, 3), ChainedScheduler([LambdaLR(o, lambda t: 1.0)])])",
        "`torch.LambdaLR` is not supported inside",
    ),
    ("ChainedScheduler([StepLR(o, 3), SequentialLR(o, [StepLR(o, 3)], [])])", "sets the lr and overrides"),
];

const REFUSED_BY_OTHERS: &[Refusal] = &[
    (
        "o = torch.optim.Adam([{'params': p, 'lr': 0.1}], lr=0.7)\nget_polynomial_decay_schedule_with_warmup(o, 4, 10)",
        "the optimizer's lr (0.7), but its first parameter group has 0.1 (pass lr=0.1 to the optimizer too)",
    ),
    (
        "o = torch.optim.RAdam([{'params': p, 'lr': 3e-4}])\n\
             get_scheduler('cosine_with_min_lr', o, 5, 25, scheduler_specific_kwargs={'min_lr': 1e-4})",
        "the optimizer's lr (0.001), but its first parameter group has 0.0003",
    ),
    ("keras.callbacks.ReduceLROnPlateau(monitor=None)", "monitor: expected a word"),
    ("keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5, name=2.5)", "expected a text"),
    (
        "get_polynomial_decay_schedule_with_warmup(o, 3, 9, lr_end=0.5)",
        "lr_end: `lr_end` (0.5) must be below the base lr (0.5)",
    ),
    (
        "get_polynomial_decay_schedule_with_warmup(o, 3, 9, lr_end=0.7)",
        "lr_end: `lr_end` (0.7) must be below the base lr (0.5)",
    ),
    (
        "keras.optimizers.schedules.CosineDecay(0, 8, warmup_target=0.1, warmup_steps=4)",
        "initial_learning_rate: expected a `float`",
    ),
    (
        "keras.optimizers.schedules.ExponentialDecay(1, 4, 0.5)",
        "expected a `float`, as in 1.0, found 1: Keras computes",
    ),
    ("keras.optimizers.schedules.PolynomialDecay(1, 4)", "initial_learning_rate: expected a `float`"),
    (
        "timm.scheduler.create_scheduler_v2(o, 'step', decay_epochs=-1.0)",
        "decay_epochs: expected a number above 0",
    ),
    ("timm.scheduler.create_scheduler_v2(o, 'wsd', num_epochs=5, warmup_epochs=5)", "decay_epochs: "),
    ("timm.scheduler.create_scheduler_v2(o, cycle_limit=2, min_lr=-0.1)", "min_lr: expected a learning rate"),
    ("timm.scheduler.StepLRScheduler(o, 3, noise_range_t=2, noise_pct=1e-9)", "noise_pct: `pct` ("),
];

#[test]
fn problems_have_their_place() {
    let mut misses = Vec::new();
    for (program, at, words) in IN_CALLS.iter().chain(IN_VALUES) {
        let problem = read(program).expect_err(program);
        if !(problem.starts_with(&format!("{at}: ")) && problem.contains(words)) {
            misses.push(format!("{program}\n    {problem}\n    is not {at}: {words}"));
        }
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

/// Calls that the library refuses, or computes differently because of the type of a number.
#[test]
fn calls_that_libraries_refuse_are_refused() {
    let mut accepted = Vec::new();
    for (call, words) in REFUSED_BY_TORCH.iter().chain(REFUSED_BY_OTHERS) {
        let refused = match read(call) {
            Err(problem) => problem,
            Ok(node) => match node.resolve(&HORIZON) {
                Err(problems) => problems.iter().map(ToString::to_string).collect(),
                Ok(_) => "nothing".to_owned(),
            },
        };
        if !refused.contains(words) {
            accepted.push(format!("{call}\n    {refused}\n    is not {words}"));
        }
    }
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}
