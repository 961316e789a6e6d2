//! The exact messages for bad parameters of every kind: position, key, what was expected, and a suggestion if there is one. A new
//! wording must be reviewed here.

use schedule::Horizon;
use schedule::problem::Problem;

/// The problems of a node in a run of 20 steps with unknown epochs and base lr 0.1.
fn messages_for(text: &str) -> String {
    let horizon = Horizon { base_lr: 0.1, total: 20, steps_per_epoch: None };
    let mut problems = Vec::new();
    let read =
        spec::yaml::read(text).and_then(|tree| interop::parse(&tree, "s", &mut problems).ok_or(problems));
    let found = read.and_then(|node| node.resolve(&horizon)).err().unwrap_or_default();
    found.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_bad_parameter_has_this_message() {
    for (text, words) in REFUSALS {
        assert_eq!(messages_for(text), *words, "{text}");
    }
}

/// It costs little time and memory, and its message is short.
#[test]
fn an_expression_of_a_megabyte_is_refused() {
    for piece in ["1+", "(", "t", "-", "sin(", "1if 1 else "] {
        let text = format!("{{kind: lambda, expr: \"{}1\"}}", piece.repeat(1_000_000 / piece.len()));
        let message = messages_for(&text);
        let words = ["more than 500 numbers, names and operators", "unknown name"];
        assert!(words.iter().any(|words| message.contains(words)), "{piece}: {message:.300}");
    }
    let longer = format!("{{kind: lambda, expr: \"{}\"}}", "1+".repeat(600_000));
    assert_eq!(messages_for(&longer), "1:1: the text has 1200024 bytes, at most 1048576 are allowed");
}

const REFUSALS: &[(&str, &str)] = &[
    (
        "{kind: cosine, to: [0, 0.1x]}",
        "1:20: s.to: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found a list (to try several values, write {values: [0, \"0.1x\"]})",
    ),
    (
        "{kind: cosine, to: {value: [0, 0.1x]}}",
        "1:20: s.to: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found a mapping (did you mean `values` instead of `value`?)",
    ),
    (
        "{kind: cosine, to: {vals: [0, 0.1x]}}",
        "1:20: s.to: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found a mapping (did you mean `values` instead of `vals`?)",
    ),
    (
        "{kind: cosine, to: {range: [0, 1]}}",
        "1:20: s.to: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found a mapping (write an axis as {values: [...]}, {linspace: [low, high, n]} or {logspace: [low, high, n]})",
    ),
    (
        "{kind: cosine, over: \"100\"}",
        "1:22: s.over: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found the text \"100\" (write 100 without quotes)",
    ),
    (
        "{kind: cosine, to: \"0.1\"}",
        "1:20: s.to: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found the text \"0.1\" (write 0.1 without quotes)",
    ),
    (
        "{kind: step, every: [1, 2]}",
        "1:21: s.every: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found a list (to try several values, write {values: [1, 2]})",
    ),
    ("{kind: plateau, watch: train}", "1:24: s.watch: `train` is ambiguous: write `train_loss`"),
    ("{kind: cosine, to: .inf}", "1:20: to: expected a finite number"),
    (
        "{kind: cosine, to: 99999999999999999999}",
        "1:20: to: this number is too large: the largest whole number is 9223372036854775807",
    ),
    (
        "{kind: one_cycle, pct_start: 0.05}",
        "1:30: s.pct_start: the rise would be 0 steps long: pct_start * N = 0.05 * 20 = 1 (choose a `pct_start` above 0.05, as in 0.3)",
    ),
    (
        "{kind: one_cycle, over: 2, pct_start: 0.5}",
        "1:39: s.pct_start: the rise would be 0 steps long: pct_start * N = 0.5 * 2 = 1 (choose a `pct_start` above 0.5, as in 0.3)",
    ),
    ("{kind: one_cycle, over: 0}", "1:25: s.over: expected a length of at least 1, found 0"),
    ("{kind: one_cycle, div: 0}", "1:24: s.div: expected a number above 0, found `0`"),
    ("{kind: one_cycle, div: -1}", "1:24: s.div: expected a number above 0, found `-1`"),
    ("{kind: one_cycle, final_div: 0}", "1:30: s.final_div: expected a number above 0, found `0`"),
    (
        "{kind: one_cycle, max: -0.1}",
        "1:24: s.max: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-0.1`",
    ),
    ("{kind: one_cycle, pct_start: -0.1}", "1:30: s.pct_start: expected a number from 0 to 1, found `-0.1`"),
    ("{kind: one_cycle, pct_start: 2}", "1:30: s.pct_start: expected a number from 0 to 1, found `2`"),
    (
        "{kind: one_cycle, anneal: coss}",
        "1:27: s.anneal: expected one of `cos` and `linear`, found the text \"coss\" (did you mean `cos`?)",
    ),
    (
        "{restart: {kind: cosine}, every: 5, mult: 0}",
        "1:43: s.mult: expected a number of at least 1, found `0`",
    ),
    (
        "{restart: {kind: cosine}, every: 5, mult: -1}",
        "1:43: s.mult: expected a number of at least 1, found `-1`",
    ),
    (
        "{restart: {kind: cosine}, every: 5, mult: 0.9}",
        "1:43: s.mult: expected a number of at least 1, found `0.9`",
    ),
    ("{restart: {kind: cosine}, every: 0}", "1:34: s.every: expected a length of at least 1, found 0"),
    ("{restart: {kind: cosine}, every: -5}", "1:34: s.every: expected a length of at least 1, found -5"),
    ("{restart: {kind: cosine}}", "1:1: s: missing key `every`"),
    (
        "{kind: multistep, at: [10, 5]}",
        "1:28: s.at[1]: expected milestones in rising order, found 5 after 10",
    ),
    ("{kind: multistep, at: [-1]}", "1:24: s.at[0]: expected a length of at least 0, found -1"),
    ("{kind: multistep, at: 5}", "1:23: s.at: expected a list of lengths, found `5`"),
    ("{kind: multistep, at: [5], gamma: -0.1}", "1:35: s.gamma: expected a number above 0, found `-0.1`"),
    ("{kind: multistep, at: [5], gamma: 0}", "1:35: s.gamma: expected a number above 0, found `0`"),
    ("{kind: multistep}", "1:1: s: missing key `at`"),
    (
        "{kind: lambda, expr: \"1 / t\"}",
        "1:22: s.expr: the expression has no value at t = 0: division by 0 (t starts at 0; t + 1 is never 0)",
    ),
    ("{kind: lambda, expr: \"tt\"}", "1:22: s.expr: unknown name `tt` at character 1 (did you mean `t`?)"),
    ("{kind: lambda, expr: \"1 +\"}", "1:22: s.expr: expected a number, a name or `(`, found the end"),
    ("{kind: lambda, expr: \"\"}", "1:22: s.expr: expected a number, a name or `(`, found the end"),
    (
        "{kind: lambda, expr: \"-1\"}",
        "1:22: s.expr: expected a finite number of at least 0 at every step, found -1 at t = 0 (max(0, ...) is never below 0)",
    ),
    ("{kind: lambda, expr: \"__import__('os')\"}", "1:22: s.expr: `'` at character 12 is not an operator"),
    (
        "{kind: lambda, expr: \"t ** t ** t\"}",
        "1:22: s.expr: the expression has no value at t = 5: a number beyond the largest float",
    ),
    (
        "{kind: lambda, expr: \"9**9**9**9\"}",
        "1:22: s.expr: the expression has no value at t = 0: a whole number of more than 131,072 binary digits",
    ),
    (
        "{kind: lambda, expr: \"log(t)\"}",
        "1:22: s.expr: the expression has no value at t = 0: the logarithm of 0 or less (t starts at 0; t + 1 is never 0)",
    ),
    ("{kind: lambda, expr: \"0/0\"}", "1:22: s.expr: the expression has no value at t = 0: division by 0"),
    ("{kind: lambda, expr: \"t % 0\"}", "1:22: s.expr: the expression has no value at t = 0: division by 0"),
    ("{kind: lambda, expr: \"1 if t < 5\"}", "1:22: s.expr: expected `else`, found the end"),
    (
        "{kind: lambda, expr: \"sin()\"}",
        "1:22: s.expr: expected a number, a name or `(`, found `)` at character 5",
    ),
    ("{kind: lambda, expr: \"sin(1, 2)\"}", "1:22: s.expr: `sin` at character 1 takes 1 value, not 2"),
    (
        "{kind: lambda, expr: [1]}",
        "1:22: s.expr: expected an expression, as in \"0.95 ** t\", found a list (to try several values, write {values: [1]})",
    ),
    (
        "{kind: lambda, expr: \"lambda t: 0.9**t\"}",
        "1:22: s.expr: expected an expression, found a Python lambda (write the part after the colon, as a function of t)",
    ),
    (
        "{kind: lambda, expr: \"t = 5\"}",
        "1:22: s.expr: `=` at character 3 is not an operator (write equality with `==`)",
    ),
    (
        "{kind: lambda, expr: \"sqrt(-1)\"}",
        "1:22: s.expr: the expression has no value at t = 0: an argument outside the domain of the function",
    ),
    (
        "{kind: lambda, expr: \"(-8) ** 0.5\"}",
        "1:22: s.expr: the expression has no value at t = 0: a negative number to a fractional power, which is complex",
    ),
    ("{kind: polynomial, power: -1}", "1:27: s.power: expected a number above 0, found `-1`"),
    ("{kind: polynomial, power: abc}", "1:27: s.power: expected a number above 0, found the text \"abc\""),
    ("{kind: cosine, cycles: -1}", "1:24: s.cycles: expected a number above 0, found `-1`"),
    ("{kind: linear, over: -5}", "1:22: s.over: expected a length of at least 1, found -5"),
    (
        "{kind: linear, from: -1}",
        "1:22: s.from: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    ("{kind: linear, over: 0%}", "1:22: s.over: 0% is too short: it is 0 of 20 here"),
    (
        "{kind: linear, over: 1.5}",
        "1:22: s.over: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found `1.5` (write 2, or \"1.5 epochs\" if epochs are meant)",
    ),
    (
        "{kind: linear, over: 2 hours}",
        "1:22: s.over: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found the text \"2 hours\"",
    ),
    ("{kind: linear, over: 1e400}", "1:22: over: this number is too large: the largest number is 1.8e308"),
    ("{kind: geometric, to: 0}", "1:23: s.to: expected a learning rate above 0, found `0`"),
    ("{kind: exp_norm, ratio: 0}", "1:25: s.ratio: expected a number above 0 and below 1, found `0`"),
    ("{kind: exp_norm, ratio: 1.5}", "1:25: s.ratio: expected a number above 0 and below 1, found `1.5`"),
    ("{kind: one_minus_power, power: 0}", "1:32: s.power: expected a number above 0, found `0`"),
    ("{kind: rex, d: 1}", "1:16: s.d: expected a number of at least 0 and below 1, found `1`"),
    ("{kind: rex, d: -0.1}", "1:16: s.d: expected a number of at least 0 and below 1, found `-0.1`"),
    ("{kind: tanh, lb: 3, ub: 1}", "1:25: s.ub: `ub` (1) must be above `lb` (3)"),
    (
        "{kind: constant, value: -1}",
        "1:25: s.value: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    (
        "{kind: constant, value: nan}",
        "1:25: s.value: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found the text \"nan\"",
    ),
    ("{kind: step, every: 0}", "1:21: s.every: expected a length of at least 1, found 0"),
    ("{kind: step, every: 5, gamma: -1}", "1:31: s.gamma: expected a number above 0, found `-1`"),
    ("{kind: step}", "1:1: s: missing key `every`"),
    (
        "{kind: piecewise, points: [[0, 1x], [0, 0]]}",
        "1:38: s.points[1]: expected knots in strictly rising order, found 0 after 0",
    ),
    (
        "{kind: piecewise, points: [[5, 1x], [2, 0]]}",
        "1:38: s.points[1]: expected knots in strictly rising order, found 2 after 5",
    ),
    (
        "{kind: piecewise, points: [[0, -1]]}",
        "1:32: s.points[0]: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    (
        "{kind: piecewise, points: [0, 1]}",
        "1:28: s.points[0]: expected a [length, learning rate] pair, found `0`; 1:31: s.points[1]: expected a [length, learning rate] pair, found `1`",
    ),
    (
        "{kind: piecewise, points: 5}",
        "1:27: s.points: expected a list of [length, learning rate] pairs, found `5`",
    ),
    ("{kind: exponential}", "1:1: s: missing key `gamma`"),
    ("{kind: exponential, gamma: -0.5}", "1:28: s.gamma: expected a number above 0, found `-0.5`"),
    ("{kind: inverse_time, power: 0}", "1:29: s.power: expected a number above 0, found `0`"),
    ("{kind: inverse_time, every: 0}", "1:29: s.every: expected a length of at least 1, found 0"),
    ("{kind: inverse_sqrt}", "1:1: s: missing key `timescale`"),
    ("{kind: inverse_sqrt, timescale: -1}", "1:33: s.timescale: expected a length of at least 1, found -1"),
    (
        "{kind: noam, model_dim: 0, warmup: 5}",
        "1:25: s.model_dim: expected a whole number of at least 1, found `0`",
    ),
    (
        "{kind: noam, model_dim: 2.5, warmup: 5}",
        "1:25: s.model_dim: expected a whole number of at least 1, found `2.5`",
    ),
    ("{kind: noam, model_dim: 8, warmup: 0}", "1:36: s.warmup: expected a length of at least 1, found 0"),
    ("{kind: power, b: 0.5}", "1:18: s.b: expected a number below 0, found `0.5`"),
    ("{kind: power, a: 0}", "1:18: s.a: expected a number above 0, found `0`"),
    ("{kind: power, a: -1}", "1:18: s.a: expected a number above 0, found `-1`"),
    ("{kind: power, tokens_per_step: 0}", "1:32: s.tokens_per_step: expected a number above 0, found `0`"),
    ("{kind: cyclic}", "1:1: s: missing key `min`"),
    ("{kind: cyclic, min: 2x, max: 1x}", "1:30: s.max: `max` is below `min`"),
    ("{kind: cyclic, min: 0, up: 0}", "1:28: s.up: expected a length of at least 1, found 0"),
    ("{kind: cyclic, min: 0, down: 0}", "1:30: s.down: expected a length of at least 1, found 0"),
    ("{kind: cyclic, min: 0, gamma: 0}", "1:31: s.gamma: expected a number above 0, found `0`"),
    (
        "{kind: cyclic, min: 0, mode: tri}",
        "1:30: s.mode: expected one of `triangular`, `triangular2` and `exp_range`, found the text \"tri\"",
    ),
    (
        "{kind: cyclic, min: 0, momentum: {min: 0.9, max: 0.8}}",
        "1:34: s.momentum: `min` (0.9) is above `max` (0.8)",
    ),
    ("{kind: cyclic, min: 0, momentum: 0.9}", "1:34: s.momentum: expected a mapping, found `0.9`"),
    ("{kind: cyclic, min: 0, momentum: {min: 0.9}}", "1:34: s.momentum: missing key `max`"),
    ("{kind: chebyshev}", "1:1: s: missing key `epochs`"),
    ("{kind: chebyshev, epochs: 0}", "1:27: s.epochs: expected a whole number of at least 1, found `0`"),
    ("{kind: chebyshev, epochs: -1}", "1:27: s.epochs: expected a whole number of at least 1, found `-1`"),
    ("{kind: plateau, factor: 1.5}", "1:25: s.factor: expected a number above 0 and below 1, found `1.5`"),
    ("{kind: plateau, factor: 0}", "1:25: s.factor: expected a number above 0 and below 1, found `0`"),
    (
        "{kind: plateau, patience: 1.5}",
        "1:27: s.patience: expected a whole number of at least 0, found `1.5`",
    ),
    ("{kind: plateau, cooldown: -1}", "1:27: s.cooldown: expected a whole number of at least 0, found `-1`"),
    ("{kind: plateau, every: 0}", "1:24: s.every: expected a length of at least 1, found 0"),
    ("{kind: plateau, threshold: -1}", "1:28: s.threshold: expected a number of at least 0, found `-1`"),
    ("{kind: plateau, mode: abs}", "1:23: s.mode: expected one of `min` and `max`, found the text \"abs\""),
    ("{kind: greedy, factor: 1}", "1:24: s.factor: expected a number above 0 and below 1, found `1`"),
    ("{kind: greedy, smooth: 0}", "1:24: s.smooth: expected a whole number of at least 1, found `0`"),
    ("{kind: greedy, min: 1, max: 0.1}", "1:29: s.max: `max` is below `min`"),
    ("{kind: adaptive, divide: 1}", "1:26: s.divide: expected a number above 1, found `1`"),
    ("{kind: adaptive, patience: -1}", "1:28: s.patience: expected a whole number of at least 0, found `-1`"),
    ("{kind: bold_driver, up: 0.5}", "1:25: s.up: expected a number of at least 1, found `0.5`"),
    ("{kind: bold_driver, down: 1.5}", "1:27: s.down: expected a number above 0 and below 1, found `1.5`"),
    ("{kind: adagrad_norm, eps: -1}", "1:27: s.eps: expected a number above 0, found `-1`"),
    ("{kind: adagrad_norm, b0: -1}", "1:26: s.b0: expected a number of at least 0, found `-1`"),
    (
        "{kind: polyak, max: -1}",
        "1:21: s.max: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    ("{kind: polyak, eps: -1}", "1:21: s.eps: expected a number of at least 0, found `-1`"),
    ("{warmup: {over: 30}, body: 1x}", "1:17: s.warmup.over: the warmup takes 30, but only 20 is available"),
    ("{warmup: {over: -1}, body: 1x}", "1:17: s.warmup.over: expected a length of at least 0, found -1"),
    ("{warmup: {}, body: 1x}", "1:10: s.warmup: missing key `over`"),
    ("{warmup: 5, body: 1x}", "1:10: s.warmup: expected a mapping, found `5`"),
    (
        "{warmup: {over: 5, shape: geometric}, body: 1x}",
        "1:27: s.warmup.shape: expected one of `linear`, `cosine`, `one_minus_sqrt`, `exponential`, `constant`, `log` and `power`, found the text \"geometric\"",
    ),
    (
        "{warmup: {over: 5, shape: exponential}, body: 1x}",
        "1:10: s.warmup.from: expected `from` above 0: an exponential warmup can't start at 0",
    ),
    (
        "{warmup: {over: 5, power: 0, shape: power}, body: 1x}",
        "1:27: s.warmup.power: expected a number above 0, found `0`",
    ),
    (
        "{body: 1x, cooldown: {over: 5, shape: step}}",
        "1:39: s.cooldown.shape: expected one of `linear`, `polynomial`, `cosine`, `geometric`, `exp_norm`, `one_minus_sqrt`, `one_minus_power`, `rex` and `tanh`, found the text \"step\"",
    ),
    (
        "{body: 1x, cooldown: {over: 5, mode: multiplicative}}",
        "1:38: s.cooldown.mode: expected one of `anchor` and `multiply`, found the text \"multiplicative\"",
    ),
    ("{body: 1x, cooldown: {over: 5, k: 0}}", "1:35: s.cooldown.k: expected a number above 0, found `0`"),
    (
        "{warmup: {over: 12}, body: 1x, cooldown: {over: 12}}",
        "1:49: s.cooldown.over: warmup (12) and cooldown (12) take more than the 20 available",
    ),
    (
        "{phases: [{for: -3, kind: linear}, {kind: linear}]}",
        "1:17: s.phases[0].for: expected a length of at least 0, found -3",
    ),
    ("{phases: [{kind: linear}, {kind: linear}]}", "1:11: s.phases[0]: missing key `for`"),
    (
        "{phases: {for: 3}}",
        "1:10: s.phases: expected a list of schedules, each with a length `for`, found a mapping",
    ),
    (
        "{phases: [1x]}",
        "1:11: s.phases[0]: expected a phase, as in {for: 10%, value: 1x}, found the text \"1x\"",
    ),
    ("{chain: []}", "1:9: s.chain: expected a list of schedules, found an empty list"),
    ("{chain: 1x}", "1:9: s.chain: expected a list of schedules, found the text \"1x\""),
    ("{scale: -1, of: 1x}", "1:9: s.scale: expected a number of at least 0, found `-1`"),
    ("{scale: 1x, of: 1x}", "1:9: s.scale: expected a number of at least 0, found the text \"1x\""),
    ("{scale: 2}", "1:1: s: missing key `of`"),
    ("{clamp: {min: 1, max: 0.1}, of: 1x}", "1:9: s.clamp: `min` (1) is above `max` (0.1)"),
    ("{clamp: {}, of: 1x}", "1:9: s.clamp: expected `min`, `max` or both"),
    ("{clamp: 0.1, of: 1x}", "1:9: s.clamp: expected a mapping, found `0.1`"),
    ("{shift: -1, of: 1x}", "1:9: s.shift: expected a length of at least 0, found -1"),
    (
        "{shift: 1.5, of: 1x}",
        "1:9: s.shift: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found `1.5` (write 2, or \"1.5 epochs\" if epochs are meant)",
    ),
    ("{restart: 1x, every: 5, decay: 0}", "1:32: s.decay: expected a number above 0, found `0`"),
    ("{restart: 1x, every: 5, limit: 0}", "1:32: s.limit: expected a whole number of at least 1, found `0`"),
    (
        "{restart: 1x, every: 5, decay_on: base}",
        "1:35: s.decay_on: expected one of `peak`, `amplitude` and `all`, found the text \"base\"",
    ),
    (
        "{clock: epoch, kind: linear}",
        "1:9: s.clock: this clock counts epochs, but the length of an epoch is unknown (pass --steps-per-epoch, or remove `clock`)",
    ),
    (
        "{clock: epochs, kind: linear}",
        "1:9: s.clock: expected one of `step`, `epoch` and `epoch_fraction`, found the text \"epochs\" (did you mean `epoch`?)",
    ),
    ("{kind: linear, to: 0, to: 1}", "1:23: duplicate key `to`"),
    ("{kind: linear, too: 0}", "1:16: s.too: unknown key `too` (did you mean `to`?)"),
    ("{kind: linear, tto: 0}", "1:16: s.tto: unknown key `tto` (did you mean `to`?)"),
    ("{kind: lin}", "1:8: s.kind: unknown schedule `lin` (did you mean `linear`?)"),
    ("{kind: 5}", "1:8: s.kind: expected the name of a schedule, found `5`"),
    ("{kind: [linear]}", "1:8: s.kind: expected the name of a schedule, found a list"),
    ("[]", "1:1: s: expected a schedule, as in {kind: cosine, to: 0}, found a list"),
    (
        "''",
        "1:1: s: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found the text \"\"",
    ),
    (
        "cosine",
        "1:1: s: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found the text \"cosine\" (write {kind: cosine})",
    ),
    (
        "-1",
        "1:1: s: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    ("1e400", "1:1: this number is too large: the largest number is 1.8e308"),
    ("{kind: cosine, kind: linear}", "1:16: duplicate key `kind`"),
    (
        "{kind: cosine, allow: 5}",
        "1:23: s.allow: expected a list of names of lints, as in [mid-cycle], found `5`",
    ),
    (
        "{kind: cosine, allow: [5]}",
        "1:23: s.allow: expected a list of names of lints, as in [mid-cycle], found a list",
    ),
    (
        "{kind: linear, sample: center}",
        "1:24: s.sample: expected one of `left`, `right`, `closed` and `open`, found the text \"center\"",
    ),
    ("{kind: linear, k: 0}", "1:19: s.k: expected a number above 0, found `0`"),
    (
        "{kind: linear, after: error, over: 5}",
        "1:36: s.over: the ramp ends after 5 of 20 and has no lr after its end",
    ),
    (
        "{kind: linear, after: stop}",
        "1:23: s.after: expected one of `hold`, `continue`, `stretch` and `error`, found the text \"stop\"",
    ),
    ("{kind: cosine, exponent: 0}", "1:26: s.exponent: expected a number above 0, found `0`"),
    (
        "{kind: multistep, at: [5], gammas: [0.1, 0.2]}",
        "1:36: s.gammas: expected one factor per milestone, found 2 factors for 1 milestones",
    ),
    ("{kind: multistep, at: [5], values: [1x]}", "1:36: s.values: 1 milestones need 2 values, found 1"),
    ("{kind: multistep, at: [5], gammas: [0]}", "1:37: s.gammas[0]: expected a number above 0, found `0`"),
    (
        "{kind: multistep, at: [5], gamma: 0.1, gammas: [0.1]}",
        "1:23: s.at: expected only one of `gamma`, `gammas` and `values`",
    ),
    ("{kind: multistep, at: [5], offset: 0.5}", "1:36: s.offset: expected a whole number, found `0.5`"),
    ("{kind: multistep, at: []}", "1:23: s.at: expected a list of lengths, found an empty list"),
    (
        "{kind: multistep, at: [\"150%\"]}",
        "1:24: s.at[0]: expected a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\", found the text \"150%\"",
    ),
    (
        "{kind: exponential, gamma: 1e60}",
        "1:1: s: the lr overflows single precision (use a smaller factor, or wrap it in `clamp: {max: ...}`)",
    ),
    ("{kind: exponential, gamma: 0.5, every: 0}", "1:40: s.every: expected a length of at least 1, found 0"),
    (
        "{kind: exponential, gamma: 0.5, staircase: 1}",
        "1:44: s.staircase: expected `true` or `false`, found `1`",
    ),
    ("{kind: cyclic, min: 0, down: -3}", "1:30: s.down: expected a length of at least 1, found -3"),
    (
        "{kind: one_cycle, momentum: {min: 0.9, max: 1}}",
        "1:45: s.momentum.max: expected a number of at least 0 and below 1, found `1`",
    ),
    (
        "{kind: one_cycle, three_phase: yes}",
        "1:32: s.three_phase: expected `true` or `false`, found the text \"yes\" (write true)",
    ),
    (
        "{kind: polyak, variant: plus}",
        "1:25: s.variant: expected one of `sps` and `sps+`, found the text \"plus\"",
    ),
    ("{kind: lambda}", "1:1: s: missing key `expr`"),
    (
        "{kind: lambda, expr: \"epoch\"}",
        "1:22: s.expr: the expression uses `epoch`, but the length of an epoch is unknown (pass --steps-per-epoch, or use `t` and `T`)",
    ),
    (
        "{kind: lambda, expr: \"1 / (t - 5)\"}",
        "1:22: s.expr: expected a finite number of at least 0 at every step, found -0.2 at t = 0 (max(0, ...) is never below 0)",
    ),
    (
        "{kind: lambda, expr: \"cos(pi * t)\"}",
        "1:22: s.expr: expected a finite number of at least 0 at every step, found -1 at t = 1 (max(0, ...) is never below 0)",
    ),
    ("{kind: lambda, expr: \"((((1\"}", "1:22: s.expr: expected `)`, found the end"),
    ("{kind: lambda, expr: \"1))\"}", "1:22: s.expr: expected an operator, found `)` at character 2"),
    (
        "{kind: lambda, expr: \"t^2\"}",
        "1:22: s.expr: `^` at character 2 is not an operator (write a power with `**`)",
    ),
    (
        "{kind: lambda, expr: \"Expr.t\"}",
        "1:22: s.expr: `.` at character 5 is not an operator (write names without a module, as in `cos` and `pi`)",
    ),
    ("{kind: CosineAnnealing}", "1:8: s.kind: unknown schedule `CosineAnnealing` (did you mean `cosine`?)"),
    (
        "{warmup: {over: 5, target: up}, body: 1x}",
        "1:28: s.warmup.target: expected a learning rate of at least 0, or the word `body`, found the text \"up\"",
    ),
    ("{phases: []}", "1:10: s.phases: expected at least one phase, found an empty list"),
    (
        "{phases: [{for: 3, value: -1}, {value: 1x}]}",
        "1:27: s.phases[0].value: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    (
        "{restart: {warmup: {over: 6}, body: 1x}, every: 5}",
        "1:27: s.restart.warmup.over: the warmup takes 6, but only 5 is available",
    ),
    (
        "{chain: [{kind: cosin}, {kind: step, every: 0}]}",
        "1:17: s.chain[0].kind: unknown schedule `cosin` (did you mean `cosine`?); 1:45: s.chain[1].every: expected a length of at least 1, found 0",
    ),
    (
        "{clamp: {min: -1}, of: 1x}",
        "1:15: s.clamp.min: expected a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x, found `-1`",
    ),
    (
        "{clamp: {mn: 0.1}, of: 1x}",
        "1:10: s.clamp.mn: unknown key `mn` (did you mean `min`?); 1:9: s.clamp: expected `min`, `max` or both",
    ),
];
