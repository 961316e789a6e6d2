//! Keys that people write where a sweep file does not have them: where each belongs, or what there is instead.

/// Keys, the section that they belong in (empty: none, or the top of the file), and what to write.
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
        "the length of a run is `budget: {epochs: 2}` or `budget: {steps: 500}`; that of a part of a schedule is `over`, `for` \
         or `every`",
    ),
    (&["steps_per_epoch"], "budget", "it belongs in `budget`"),
    (
        &["dataset", "batch_size", "train_batch_size", "per_device_train_batch_size", "limit"],
        "data",
        "it belongs in `data: {dataset: mnist, batch_size: 64}`; a program gets it in `trainer: {params: {...}}`",
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
        "what is learned belongs in `model: {kind: mlp, hidden: [128]}`; a program gets it in `trainer: {params: {...}}`",
    ),
    (
        &["momentum", "nesterov", "weight_decay", "betas", "beta1", "beta2", "eps"],
        "optimizer",
        "it belongs in `optimizer: {kind: sgd, momentum: 0.9}`",
    ),
    (
        &["grad_clip", "clip_grad_norm", "max_grad_norm", "gradient_clip_val", "gradient_clip"],
        "",
        "it is `clip_norm: 1` at the top of the file",
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
        "it is `evaluate: {every: 100}` at the top of the file",
    ),
    (
        &["learning_rate", "learning_rates", "base_lr", "initial_lr", "init_lr"],
        "",
        "the base lr is `lr` at the top of the file, as in lr: {values: [0.01, 0.1]}, and `1x` in a schedule",
    ),
    (
        &["warmup", "warmup_steps", "warmup_ratio", "warmup_epochs", "num_warmup_steps", "cooldown"],
        "",
        "a schedule with a warmup is written {warmup: {over: \"5%\", from: 0.01x}, body: {kind: cosine, to: 0}}",
    ),
    (
        &["scheduler", "lr_scheduler", "schedulers", "lr_schedule"],
        "",
        "schedules have names, in `schedules: {cosine: {kind: cosine, to: 0}}`",
    ),
    (
        &["command", "params", "files", "silence", "time_limit", "grace", "slots"],
        "trainer",
        "it belongs in `trainer`",
    ),
    (
        &["program", "script", "entrypoint"],
        "trainer",
        "a program of your own is `trainer: {command: [python3, train.py]}`",
    ),
    (
        &["parameters", "hyperparameters", "search_space", "param_space", "grid"],
        "",
        "each value is written in its own place, and {values: [...]} there makes it an axis: lr: {values: [0.01, 0.1]}; what is \
         a program's own is in `trainer: {params: {...}}`",
    ),
    (&["method", "strategy", "sampler", "search"], "", "leave it out: the whole grid is trained"),
    (
        &["metric", "metrics", "objective", "goal", "direction"],
        "",
        "leave it out: schedules are ranked by the final validation loss, and `sweep rank --metric` has others",
    ),
    (
        &["trials", "n_trials", "num_samples", "run_cap", "count", "max_trials"],
        "",
        "leave it out: the grid and `seeds` say how many trials there are",
    ),
    (
        &["project", "entity", "experiment"],
        "",
        "the name of a sweep is `name`, and the store is the option `--store`",
    ),
    (
        &["early_stopping", "early_stop", "early_terminate", "early_termination", "pruner", "stopper"],
        "",
        "leave it out: each run is trained to its end, so that all are compared fairly, and one that diverges stops by itself \
         (`diverge_above`); `sweep audit` says what stopping early would have saved and lost",
    ),
    (
        &["precision", "dtype", "amp", "fp16", "bf16", "mixed_precision", "autocast", "half"],
        "",
        "the models that ship with sweep are trained in single precision; a program of your own gets it in \
         `trainer: {params: {precision: bf16}}`",
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
        "a step is one batch: write a larger `data: {batch_size: 256}`; a program of your own gets it in \
         `trainer: {params: {accumulate: 4}}`",
    ),
    (
        &["device", "devices", "gpu", "gpus", "cuda", "accelerator"],
        "",
        "where to train is the option `--device`",
    ),
    (
        &["workers", "num_workers", "threads", "jobs", "n_jobs", "parallel", "max_concurrent"],
        "",
        "how many train at a time is the option `--workers`",
    ),
    (
        &["store", "output", "output_dir", "out_dir", "save_dir", "log_dir", "logdir", "results"],
        "",
        "where results are kept is the option `--store`",
    ),
    (
        &["checkpoint", "checkpoints", "checkpoint_every", "save_steps"],
        "",
        "checkpoints are options: `sweep run --help`",
    ),
    (&["resume"], "", "leave it out: the same command goes on where it stopped"),
];

/// What to write instead of a key, in a mapping at `path` that does not have it.
pub(crate) fn advice(key: &str, path: &str) -> Option<&'static str> {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let (_, home, advice) = ROWS.iter().find(|(keys, ..)| keys.contains(&plain.as_str()))?;
    // In its own section it is a key that this kind does not have.
    (home.is_empty() || *home != path).then_some(*advice)
}
