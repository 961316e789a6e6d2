//! Keys that users often write in the wrong place or under another name, with the right place or the
//! alternative.

/// Keys, the section that they belong to (empty: no section, or the top of the file), and the advice.
type Row = (&'static [&'static str], &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        &[
            "epochs",
            "num_epochs",
            "max_epochs",
            "num_train_epochs",
            "steps",
            "max_steps",
            "num_steps",
            "max_iters",
            "iterations",
        ],
        "budget",
        "set the length of a run with `budget: {epochs: 2}` or `budget: {steps: 500}`, and lengths inside a schedule \
         with `over`, `for` or `every`",
    ),
    (&["steps_per_epoch"], "budget", "it belongs in `budget`"),
    (
        &["dataset", "batch_size", "train_batch_size", "per_device_train_batch_size", "limit"],
        "data",
        "it belongs in `data: {dataset: mnist, batch_size: 64}`; for a program use `trainer: {params: {...}}`",
    ),
    (
        &[
            "hidden",
            "hidden_size",
            "hidden_sizes",
            "hidden_dim",
            "activation",
            "layers",
            "heads",
            "width",
            "context",
            "dropout",
        ],
        "model",
        "it belongs in `model: {kind: mlp, hidden: [128]}`; for a program use `trainer: {params: {...}}`",
    ),
    (
        &["momentum", "nesterov", "weight_decay", "betas", "beta1", "beta2", "eps"],
        "optimizer",
        "it belongs in `optimizer: {kind: sgd, momentum: 0.9}`",
    ),
    (
        &["grad_clip", "clip_grad_norm", "max_grad_norm", "gradient_clip_val", "gradient_clip"],
        "",
        "write `clip_norm: 1` at the top of the file",
    ),
    (&["clip_norm"], "", "it belongs at the top of the file"),
    (
        &[
            "evaluate_every",
            "eval_every",
            "eval_interval",
            "eval_steps",
            "val_interval",
            "val_check_interval",
        ],
        "evaluate",
        "write `evaluate: {every: 100}` at the top of the file",
    ),
    (
        &["learning_rate", "learning_rates", "base_lr", "initial_lr", "init_lr"],
        "",
        "write the base lr as `lr` at the top of the file, as in lr: {values: [0.01, 0.1]}, and as `1x` in a schedule",
    ),
    (
        &["warmup", "warmup_steps", "warmup_ratio", "warmup_epochs", "num_warmup_steps", "cooldown"],
        "",
        "write a schedule with a warmup as {warmup: {over: \"5%\", from: 0.01x}, body: {kind: cosine, to: 0}}",
    ),
    (
        &["scheduler", "lr_scheduler", "schedulers", "lr_schedule"],
        "",
        "write named schedules, as in `schedules: {cosine: {kind: cosine, to: 0}}`",
    ),
    (
        &["command", "params", "files", "silence", "time_limit", "grace", "slots", "share"],
        "trainer",
        "it belongs in `trainer`",
    ),
    (
        &["program", "script", "entrypoint"],
        "trainer",
        "write a custom program as `trainer: {command: [python3, train.py]}`",
    ),
    (
        &["parameters", "hyperparameters", "search_space", "param_space", "grid"],
        "",
        "write {values: [...]} instead of a value to make it an axis, as in lr: {values: [0.01, 0.1]}; parameters \
         of a program belong in `trainer: {params: {...}}`",
    ),
    (&["method", "strategy", "sampler", "search"], "", "remove it: the whole grid is trained"),
    (
        &["metric", "metrics", "objective", "goal", "direction"],
        "",
        "remove it: schedules are ranked by the final validation loss; use `sweep rank --metric` for other metrics",
    ),
    (
        &["trials", "n_trials", "num_samples", "run_cap", "count", "max_trials"],
        "",
        "remove it: the grid and `seeds` set the number of trials",
    ),
    (
        &["project", "entity", "experiment"],
        "",
        "set the name of a sweep with `name`, and the store with the option `--store`",
    ),
    (
        &["early_stopping", "early_stop", "early_terminate", "early_termination", "pruner", "stopper"],
        "",
        "remove it: each run is trained to its end for a fair comparison, and a diverged run stops by itself \
         (`diverge_above`); `sweep audit` shows what early stopping would have saved and lost",
    ),
    (
        &["precision", "dtype", "amp", "fp16", "bf16", "mixed_precision", "autocast", "half"],
        "",
        "built-in models are trained in single precision; for a custom program use `trainer: {params: {precision: bf16}}`",
    ),
    (
        &[
            "accumulate",
            "accumulation",
            "accumulation_steps",
            "grad_accum",
            "grad_accumulation",
            "gradient_accumulation",
            "gradient_accumulation_steps",
            "accumulate_grad_batches",
        ],
        "",
        "a step is one batch: write a larger `data: {batch_size: 256}`; for a custom program use `trainer: {params: \
         {accumulate: 4}}`",
    ),
    (
        &["device", "devices", "gpu", "gpus", "cuda", "accelerator"],
        "",
        "set the device with the option `--device`",
    ),
    (
        &["workers", "num_workers", "threads", "jobs", "n_jobs", "parallel", "max_concurrent"],
        "",
        "set the number of parallel trials with the option `--workers`",
    ),
    (
        &["store", "output", "output_dir", "out_dir", "save_dir", "log_dir", "logdir", "results"],
        "",
        "set the location of the results with the option `--store`",
    ),
    (
        &["checkpoint", "checkpoints", "checkpoint_every", "save_steps"],
        "",
        "set checkpoints with options: see `sweep run --help`",
    ),
    (&["resume"], "", "remove it: the same command resumes where it stopped"),
];

/// The advice for an unknown key in the mapping at `path`.
pub(crate) fn advice(key: &str, path: &str) -> Option<&'static str> {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let (_, home, advice) = ROWS.iter().find(|(keys, ..)| keys.contains(&plain.as_str()))?;
    // In the right section the key is simply unknown for this kind.
    (home.is_empty() || *home != path).then_some(*advice)
}
