//! The outputs of verbs with `--format json`: the names, types and meanings of all fields. `sweep schema --of OUTPUT` prints the JSON
//! Schema that follows; docs/reference/outputs.md is made from this list. Fields are only ever added.

use serde_json::{Map, Value as Json, json};
use spec::record::{COLUMNS, ENVIRONMENT_COLUMNS, Kind, Source};

use self::Type::{Boolean, Integer, Number, Numbers, Object, Objects, Text, Texts};

/// A document that a verb prints.
pub(crate) struct Output {
    /// Its name for `sweep schema --of`.
    pub name: &'static str,
    /// The command that prints it.
    pub command: &'static str,
    /// Its content.
    pub summary: &'static str,
    /// Whether it is a list of objects with these fields, or one object.
    pub is_list: bool,
    /// The fields of each object.
    pub fields: fn() -> Vec<Field>,
    /// The meaning of further fields, whose names depend on the sweep; all are numbers.
    pub others: Option<&'static str>,
}

/// A field of an object.
pub(crate) struct Field {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub ty: Type,
    /// Whether it may be null.
    pub may_be_null: bool,
    /// Its meaning.
    pub meaning: &'static str,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of numbers.
    Numbers,
    /// A list of texts.
    Texts,
    /// An object whose keys depend on the sweep.
    Object,
    /// A list of objects, each like an element of this output; empty: of keys that depend on the sweep.
    Objects(&'static str),
}

const fn field(name: &'static str, ty: Type, meaning: &'static str) -> Field {
    Field { name, ty, may_be_null: false, meaning }
}

const fn maybe(name: &'static str, ty: Type, meaning: &'static str) -> Field {
    Field { name, ty, may_be_null: true, meaning }
}

const fn list(
    name: &'static str,
    command: &'static str,
    summary: &'static str,
    fields: fn() -> Vec<Field>,
) -> Output {
    Output { name, command, summary, is_list: true, fields, others: None }
}

const fn object(
    name: &'static str,
    command: &'static str,
    summary: &'static str,
    fields: fn() -> Vec<Field>,
) -> Output {
    Output { name, command, summary, is_list: false, fields, others: None }
}

/// All outputs.
pub(crate) const OUTPUTS: &[Output] = &[
    list(
        "ranking",
        "sweep rank",
        "The schedules, best first. `sweep run` prints the same at its end.",
        ranking,
    ),
    list("configs", "sweep rank --by config", "The configs of the grid, best first.", configs),
    list("runs", "sweep rank --by trial", "The runs of the ranked length, best first.", runs),
    object("comparison", "sweep compare A B", "The comparison of two schedules.", comparison),
    object("plan", "sweep plan FILE", "The runs of a sweep file, and those that are left to train.", plan),
    list(
        "screening",
        "sweep plan FILE --screen",
        "The schedules of a file that were not trained, the lowest predicted loss first.",
        untried,
    ),
    list("status", "sweep status", "The sweeps of a store, with numbers of trials by state.", status),
    list("processes", "sweep status --processes", "The processes that train.", processes),
    list("jobs", "sweep status --jobs", "The Slurm jobs of the store.", jobs),
    list("trial", "sweep show TRIAL", "One trial; the list has one element.", trial),
    Output {
        others: Some("other metrics of the step under their names"),
        ..list("steps", "sweep show TRIAL --metrics", "The steps of a trial, in order.", steps)
    },
    list(
        "audit",
        "sweep audit",
        "The savings and losses of rules of early stopping and of screening.",
        audit,
    ),
    list(
        "lr_laws",
        "sweep lr-law",
        "The laws of the best lr over the number of steps, one for each schedule.",
        lr_laws,
    ),
    list("expectations", "sweep expect FILE", "Expected losses of a task with a closed form.", expectations),
    list(
        "generations",
        "sweep search FILE --history",
        "The generations of a search that have ended, in order.",
        generations,
    ),
    list(
        "predictions",
        "sweep predict SCHEDULE...",
        "The predicted losses of schedules, the lowest first.",
        predictions,
    ),
    list("merge", "sweep merge SHARD...", "The results that were merged from each store.", merge),
    list("removal", "sweep rm", "The effect on each trial.", removal),
    list("checks", "sweep doctor", "The state of the machine, the data and the store.", checks),
    list("schedules", "sweep schedules", "All kinds of schedules.", schedules),
    object("schedule", "sweep schedules NAME", "One kind of schedule.", schedule),
    object("rates", "sweep lr SCHEDULE", "The learning rates of a schedule.", rates),
    object(
        "problems",
        "sweep check FILE",
        "Mistakes and warnings. Every verb with `--format json` prints this object on stdout if it fails without a result.",
        problems,
    ),
];

/// The JSON Schema of an output.
pub(crate) fn schema(output: &Output) -> Json {
    let object = objects(output);
    let mut schema = if output.is_list { json!({ "type": "array", "items": object }) } else { object };
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = output.name.into();
    schema["description"] =
        format!("{} Printed by `{} --format json`.", output.summary, output.command).into();
    schema
}

/// The JSON Schema of one object of an output. More fields may follow in later versions.
fn objects(output: &Output) -> Json {
    let fields = (output.fields)();
    let required: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let properties: Map<String, Json> =
        fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let mut schema = json!({ "type": "object", "required": required, "properties": properties });
    if let Some(meaning) = output.others {
        schema["additionalProperties"] = json!({ "type": ["number", "null"], "description": meaning });
    }
    schema
}

fn property(field: &Field) -> Json {
    let array = |items: Json| json!({ "type": "array", "items": items });
    let mut schema = match field.ty {
        Text => json!({ "type": "string" }),
        Integer => json!({ "type": "integer" }),
        Number => json!({ "type": "number" }),
        Boolean => json!({ "type": "boolean" }),
        Object => json!({ "type": "object" }),
        Numbers => array(json!({ "type": "number" })),
        Texts => array(json!({ "type": "string" })),
        Objects(of) => {
            let known = OUTPUTS.iter().find(|output| output.name == of);
            array(known.map_or_else(|| json!({ "type": "object" }), objects))
        }
    };
    if field.may_be_null {
        schema["type"] = json!([schema["type"], "null"]);
    }
    schema["description"] = field.meaning.into();
    schema
}

fn ranking() -> Vec<Field> {
    vec![
        maybe("rank", Integer, "position by mean, from 1; null without results"),
        maybe("rank_low", Integer, "best rank that the data allow"),
        maybe("rank_high", Integer, "worst rank that the data allow"),
        maybe("tie_group", Integer, "group of tied schedules, from 1"),
        field("schedule", Text, "name of the schedule in the sweep file"),
        field("config_id", Text, "its best config"),
        maybe("base_lr", Number, "base lr of that config"),
        maybe("edge", Text, "`lowest` or `highest` if the best base lr is at an edge of the grid"),
        maybe("axis_edges", Text, "other axes whose best value is at an edge"),
        field("n", Integer, "number of finished runs that judge it"),
        maybe("mean", Number, "their mean"),
        maybe("sd", Number, "their standard deviation"),
        maybe("diff", Number, "mean difference to the first schedule over the seeds of both"),
        maybe("diff_low", Number, "lower end of its 95 % interval, adjusted for all pairs"),
        maybe("diff_high", Number, "upper end"),
        maybe("p_raw", Number, "p-value of the pair with the first schedule"),
        maybe("p", Number, "the same, adjusted for all pairs"),
        maybe(
            "e",
            Number,
            "e-value, adjusted for all pairs, if seeds are added until all is decided; then p is 1 / e",
        ),
        maybe("p_floor", Number, "lowest p-value that this number of seeds can give"),
        maybe(
            "wins",
            Number,
            "number of seeds on which it is better than the first schedule; equal values count half",
        ),
        maybe(
            "verdict",
            Text,
            "against the first schedule: `first`, `better`, `worse`, `equivalent`, `undecided` or `same`",
        ),
        field("diverged", Integer, "number of diverged runs of the config"),
        field("unreported", Integer, "number of its finished runs without the metric"),
        field("unreached", Integer, "number of its runs that did not reach the target"),
        field("missing", Integer, "number of its runs that are not trained yet"),
        field("diverged_in_grid", Integer, "number of diverged runs of the schedule"),
        maybe("seconds", Number, "mean seconds until the target was reached, if the metric has a target"),
        maybe("test_loss", Number, "mean test loss"),
        maybe("test_accuracy", Number, "mean test accuracy, from 0 to 1"),
        field("steps", Integer, "length of the runs in steps"),
        field("metric", Text, "the ranked metric, a value of --metric"),
    ]
}

fn configs() -> Vec<Field> {
    vec![
        field("schedule", Text, "name of the schedule"),
        field("config_id", Text, "the config"),
        field("base_lr", Number, "its base lr"),
        maybe("axes", Text, "its values of the other axes"),
        field("steps", Integer, "length of its runs in steps"),
        field("n", Integer, "number of finished runs"),
        maybe("mean", Number, "their mean"),
        maybe("sd", Number, "their standard deviation"),
        field("diverged", Integer, "number of diverged runs"),
        field("missing", Integer, "number of runs that are not trained yet"),
        field("failed", Integer, "number of failed runs"),
        field("tuning_runs", Integer, "number of runs on tuning seeds"),
    ]
}

fn runs() -> Vec<Field> {
    vec![
        field("schedule", Text, "name of the schedule"),
        field("trial_id", Text, "the trial"),
        field("config_id", Text, "its config"),
        field("base_lr", Number, "its base lr"),
        maybe("axes", Text, "its values of the other axes"),
        field("seed", Integer, "its seed"),
        field("purpose", Text, "`all`, `tune` or `decide`"),
        field("status", Text, "state of the trial"),
        field("steps", Integer, "length of the run in steps"),
        maybe("value", Number, "the ranked metric; null for a run that diverged or is not trained yet"),
        maybe("test_loss", Number, "test loss"),
        maybe("test_accuracy", Number, "test accuracy, from 0 to 1"),
    ]
}

fn comparison() -> Vec<Field> {
    vec![
        field("a", Text, "the first schedule"),
        field("b", Text, "the second schedule"),
        field("verdict", Text, "on the first: `better`, `worse`, `equivalent`, `undecided` or `same`"),
        field("sentence", Text, "the verdict and its numbers in words"),
        field("metric", Text, "the compared metric, a value of --metric"),
        field("n", Integer, "number of seeds with ended runs of both"),
        maybe("diff", Number, "mean difference, first minus second"),
        maybe("diff_low", Number, "lower end of its 95 % interval, adjusted for all pairs of the sweep"),
        maybe("diff_high", Number, "upper end"),
        maybe("p_raw", Number, "p-value of the pair"),
        maybe("p", Number, "the same, adjusted for all pairs of the sweep"),
        maybe(
            "e",
            Number,
            "e-value, adjusted for all pairs, if seeds are added until all is decided; then p is 1 / e",
        ),
        maybe("p_floor", Number, "lowest p-value that this number of seeds can give"),
        field("comparisons", Integer, "number of pairs that were tested together"),
        maybe("wins", Number, "number of seeds on which the first is better; equal values count half"),
        maybe("win_share_low", Number, "lower end of the 95 % interval of the share of seeds it wins"),
        maybe("win_share_high", Number, "upper end"),
        maybe("correlation", Number, "correlation of the two over seeds"),
        maybe("variance_ratio", Number, "variance of the difference over that of unpaired runs"),
        maybe(
            "retuned_ahead",
            Number,
            "share of resampled seeds on which the first is ahead if lrs are chosen again",
        ),
        maybe("retuned_keeps_lr_a", Number, "share of them on which the first keeps its lr"),
        maybe("retuned_keeps_lr_b", Number, "the same for the second"),
        maybe("detectable", Number, "true difference that is found with a probability of 80 %"),
        maybe(
            "seeds_needed",
            Integer,
            "number of seeds that find the seen difference with a probability of 80 %",
        ),
        field("expected_runs", Objects(""), "expected number of runs with looks, by true difference"),
        field("ranking", Objects("ranking"), "the two schedules in the ranking"),
        field("seeds", Objects(""), "`seed`, the value of each schedule under its name, `difference`"),
        field(
            "lrs",
            Objects(""),
            "`base_lr`, the mean of each schedule under its name, `difference`, `seeds`",
        ),
        field("warnings", Objects(""), "`kind`, `schedules`, `text` and `advice` of each"),
    ]
}

fn plan() -> Vec<Field> {
    vec![
        field("sweep", Text, "name of the sweep"),
        field("schedules", Integer, "number of schedules"),
        field("seeds", Integer, "number of seeds of the first round"),
        field(
            "tuning_trials",
            Integer,
            "largest number of trials with more tuning seeds that follow with `halving`",
        ),
        field("added_trials", Integer, "largest number of trials of lrs that `extend` and `refine` may add"),
        field("search_trials", Integer, "largest number of trials of a search"),
        field("deciding_trials", Integer, "number of trials that follow when the best configs are known"),
        maybe(
            "expected_deciding_trials",
            Objects(""),
            "their expected number with looks, by true difference",
        ),
        field("runs_asked", Integer, "number of runs of the grid"),
        field("trials", Integer, "number of distinct trials among them"),
        field("merged", Integer, "number of runs that are the same as another one"),
        field("steps_asked", Integer, "number of steps of all runs"),
        field("steps_trained", Integer, "number of steps that are trained, since trials share steps"),
        field("trials_stored", Integer, "number of trials whose results are stored"),
        field("trials_left", Integer, "number of trials that are left to train"),
        maybe("estimate_seconds", Number, "estimated duration in seconds"),
        field("warnings", Texts, "warnings about the sweep file"),
        field(
            "runs",
            Objects(""),
            "`trial_id`, `schedule`, `config_id`, `base_lr`, `seed`, `steps` and `axes` of each trial",
        ),
    ]
}

fn status() -> Vec<Field> {
    vec![
        field("sweep", Text, "name of the sweep"),
        field("trials", Integer, "number of its trials"),
        field("done", Integer, "trained to the end"),
        field("diverged", Integer, "diverged"),
        field("running", Integer, "in progress"),
        field("queued", Integer, "not started"),
        field("stopped", Integer, "stopped on request"),
        field("left", Integer, "in progress when their process ended; the next run resumes them"),
        field("failed", Integer, "failed"),
        field("processes", Integer, "number of processes that train it"),
        field("stuck", Integer, "number of processes that died or do not respond"),
        field("updated_at", Text, "when it was last run: UTC, RFC 3339"),
    ]
}

fn processes() -> Vec<Field> {
    vec![
        field("runner", Integer, "its number in the store"),
        field("host", Text, "the machine"),
        field("pid", Integer, "process id there"),
        maybe("job", Text, "its Slurm job"),
        maybe("sweep", Text, "the sweep that it trains"),
        field("state", Text, "`training`, `waiting`, `coordinating`, `silent` or `died`"),
        field("trials", Integer, "number of trials that it has leased"),
        field("running", Integer, "number of them in progress"),
        field("since", Text, "when it started: UTC, RFC 3339"),
        field("last_sign", Text, "when it last renewed its lease: UTC, RFC 3339"),
    ]
}

fn jobs() -> Vec<Field> {
    vec![
        field("job", Text, "job and task"),
        field("name", Text, "name of the job"),
        field("state", Text, "state in Slurm"),
        field("node", Text, "its node"),
        field("reason", Text, "why it waits"),
    ]
}

/// The columns of a trial and of its environment.
fn trial() -> Vec<Field> {
    let ty = |kind: Kind| match kind {
        Kind::Integer => Integer,
        Kind::Real => Number,
        Kind::Text | Kind::Time | Kind::Axes | Kind::Files | Kind::Metrics | Kind::Json => Text,
    };
    let shown =
        || COLUMNS.iter().filter(|c| c.output != spec::record::Output::Database && c.source != Source::Cell);
    let of_trial = |is_long: bool| {
        let own = shown().filter(move |column| (column.kind == Kind::Json) == is_long);
        own.map(move |column| maybe(column.name, ty(column.kind), column.meaning))
    };
    let environment = ENVIRONMENT_COLUMNS.iter().map(|c| maybe(c.name, ty(c.kind), c.meaning));
    let outputs =
        maybe("outputs", Text, "folder of the files that its program kept, if it is on this machine");
    of_trial(false).chain(environment).chain(of_trial(true)).chain([outputs]).collect()
}

fn steps() -> Vec<Field> {
    vec![
        field("step", Integer, "the step, from 0"),
        maybe("lr", Number, "learning rate of this update"),
        maybe("train_loss", Number, "training loss before this update"),
        maybe("valid_loss", Number, "validation loss after this update; null if it was not evaluated"),
        maybe("grad_norm", Number, "norm of the gradient before clipping"),
    ]
}

fn audit() -> Vec<Field> {
    vec![
        field("rule", Text, "the rule of early stopping, or `screening, keep N`"),
        field("runs", Integer, "number of runs"),
        field("stopped", Integer, "number of runs that it would have stopped"),
        field("steps", Integer, "number of steps of all runs"),
        field("steps_saved", Integer, "number of steps that it would have saved"),
        field("share_saved", Number, "share of the steps, from 0 to 1"),
        field(
            "keeps_winner",
            Boolean,
            "whether the best config is trained to the end on at least half of the seeds",
        ),
        field("regret", Number, "mean loss of its best run minus that of the best run"),
        field(
            "dropped",
            Integer,
            "number of schedules whose best config it would have stopped on most seeds",
        ),
        field("dropped_schedules", Text, "their names"),
    ]
}

fn lr_laws() -> Vec<Field> {
    vec![
        field("schedule", Text, "name of the schedule"),
        field("seeds", Integer, "number of seeds with results at every lr and length"),
        field(
            "budgets",
            Objects(""),
            "`steps`, `lr` (estimate of the best lr, or null), `low` and `high` (its 95 % interval, or null) of each length of the runs",
        ),
        maybe("b", Number, "B of the law lr = B T^-beta; null without a law"),
        maybe("beta", Number, "beta of the law"),
        maybe("beta_low", Number, "lower end of its 95 % interval; null with fewer than 5 seeds"),
        maybe("beta_high", Number, "upper end"),
        maybe("bends", Boolean, "whether the estimates bend away from a power law"),
        maybe("farthest_steps", Integer, "length whose estimate is farthest from the law"),
        maybe("farthest_factor", Number, "that estimate, divided by the law's lr"),
        maybe("at", Integer, "number of steps of --at"),
        maybe("lr", Number, "the law's lr there"),
        maybe("lr_low", Number, "lower end of its 95 % interval"),
        maybe("lr_high", Number, "upper end"),
        maybe("refused", Text, "why the schedule has no law"),
        field("warnings", Texts, "what limits the law"),
    ]
}

fn expectations() -> Vec<Field> {
    vec![
        field("schedule", Text, "name of the schedule"),
        field("base_lr", Number, "base lr of the config"),
        field("steps", Integer, "length of its runs in steps"),
        field("axes", Text, "its values of the other axes"),
        maybe("expected", Number, "expected loss after the last step, by the closed form"),
        field("runs", Integer, "number of finished runs"),
        field("diverged", Integer, "number of diverged runs"),
        maybe("mean", Number, "mean loss of the finished runs"),
        maybe("standard_error", Number, "standard error of the mean"),
        maybe("z", Number, "(mean - expected) / standard error"),
    ]
}

fn generations() -> Vec<Field> {
    vec![
        field("generation", Integer, "its number, from 0"),
        field(
            "stage",
            Text,
            "`start` (shapes of the named schedules), `search`, or `last` (the candidates for the result)",
        ),
        field("shapes", Integer, "number of its shapes"),
        field("seeds", Integer, "number of seeds of each shape"),
        field("trials", Integer, "trials of the search up to its end"),
        field("base_lr", Number, "highest lr of the shape that the search would choose after it"),
        field("schedule", Text, "this shape as a schedule"),
        maybe("expected", Number, "its expected final loss, if the task has a closed form"),
    ]
}

fn predictions() -> Vec<Field> {
    vec![
        field("schedule", Text, "the schedule"),
        maybe("base_lr", Number, "its base lr"),
        field("steps", Integer, "length of the run in steps"),
        maybe("predicted", Number, "predicted final loss; null if it is refused"),
        maybe("low", Number, "lower end of its 95 % interval; null if no run could be left out"),
        maybe("high", Number, "upper end"),
        field("law", Text, "`tissue` or `multi-power`"),
        maybe("held_out_error", Number, "mean error of the final losses of runs that were left out"),
        maybe("observed", Number, "the recorded final loss, if there is one"),
        maybe("refused", Text, "why the schedule can't be predicted"),
        field("curve", Objects(""), "`step` and `predicted` of each point of the curve"),
    ]
}

fn untried() -> Vec<Field> {
    vec![
        field("schedule", Text, "the schedule"),
        field("base_lr", Number, "its base lr with the lowest predicted loss"),
        field("steps", Integer, "length of the run in steps"),
        maybe("predicted", Number, "predicted final loss; null if it is refused"),
        maybe("low", Number, "lower end of its 95 % interval; null if no run could be left out"),
        maybe("high", Number, "upper end"),
        maybe("law", Text, "`tissue` or `multi-power`; null if it is refused"),
        maybe("held_out_error", Number, "mean error of the final losses of runs that were left out"),
        maybe("refused", Text, "why the schedule can't be predicted"),
    ]
}

fn merge() -> Vec<Field> {
    vec![
        field("shard", Text, "the store that was merged"),
        field("new", Integer, "number of results that are new here"),
        field("known", Integer, "number of results that were stored already"),
        field("unfinished", Integer, "number of trials without a result"),
        field(
            "in_training",
            Integer,
            "number of results that were skipped, since a process trains these trials",
        ),
        field("conflicts", Integer, "number of results that differ from the stored ones, which were kept"),
    ]
}

fn removal() -> Vec<Field> {
    vec![
        field("trial_id", Text, "the trial"),
        field("schedule", Text, "schedule for which it was first trained"),
        field("base_lr", Number, "its base lr"),
        field("seed", Integer, "its seed"),
        field("status", Text, "its state"),
        field("steps_done", Integer, "number of its stored steps"),
        field("fate", Text, "`removed`, `queued`, or `kept` with the reason"),
        maybe("because_of", Text, "sweeps or trials that need it"),
    ]
}

fn checks() -> Vec<Field> {
    vec![
        field("check", Text, "what was checked"),
        field("state", Text, "`ok`, `warning` or `error`"),
        field("found", Text, "what was found"),
        field("mend", Text, "how to fix it; empty if nothing is wrong"),
    ]
}

fn schedules() -> Vec<Field> {
    vec![
        field("family", Text, "family of schedules"),
        field("name", Text, "name of the kind"),
        field("summary", Text, "what it does"),
        field("example", Text, "an example, as in a sweep file"),
        maybe("formula", Text, "its formula"),
        field("source", Text, "paper or library that it comes from"),
        field("aliases", Text, "its names in other libraries"),
    ]
}

fn schedule() -> Vec<Field> {
    vec![
        field("name", Text, "name of the kind"),
        field("family", Text, "family of schedules"),
        field("summary", Text, "what it does"),
        field("example", Text, "an example, as in a sweep file"),
        maybe("formula", Text, "its formula"),
        field("symbols", Object, "meaning of each symbol of the formula"),
        field("ends", Object, "`before`, `last_step` and `after`: what it does at its ends"),
        maybe("note", Text, "what else to know"),
        field("source", Text, "paper or library that it comes from"),
        field("aliases", Texts, "its names in other libraries"),
        field(
            "parameters",
            Objects(""),
            "`in` (group of keys or null), `name`, `type`, `required`, `default` and `doc` of each parameter",
        ),
    ]
}

fn rates() -> Vec<Field> {
    vec![
        field("lr", Numbers, "the learning rate of each step, from step 0"),
        maybe("momentum", Numbers, "the momentum of each step; null if the schedule does not change it"),
        maybe("groups", Object, "`lr` and `momentum` of each parameter group; null without groups"),
    ]
}

fn problems() -> Vec<Field> {
    vec![
        field("exit_code", Integer, "exit code of the program: 0, 1, 2 or 130"),
        field(
            "problems",
            Objects(""),
            "`severity` (`error` or `warning`), `message`, and where they are known `file`, `path` (of keys), `line`, `column`, \
             `hint` and `lint`",
        ),
    ]
}
