//! The record of a trial: a plain struct and the list of its columns. Both databases, merges, exports, `sweep show` and the page
//! docs/reference/database.md follow from the list. A new column is one entry here and one migration for each database.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::protocol::Purpose;

/// A column of the records `R`.
#[derive(Debug)]
pub struct Column<R: 'static> {
    /// Its name in the databases and in all outputs.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its values; empty if the kind makes it clear.
    pub unit: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
    /// Where its values come from.
    pub source: Source,
    /// Which outputs have it.
    pub output: Output,
    /// Its value in a record.
    pub get: fn(&R) -> Value,
    /// Sets its value in a record. The error says why the value does not fit the column.
    pub set: fn(&mut R, Value) -> Result<(), String>,
}

/// The kind of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// A number; a NaN is stored as NULL.
    Real,
    /// Text.
    Text,
    /// A whole number: milliseconds since 1970, UTC.
    Time,
    /// A JSON object: path and value of each axis.
    Axes,
    /// A JSON object: hash by file.
    Files,
    /// A JSON object: number by name.
    Metrics,
    /// A JSON object.
    Json,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The plan. Written when the trial is registered, and never changed afterwards.
    Plan,
    /// The plan, per sweep: the table `cells` has the value of each sweep, the table `trials` that of the first sweep.
    PerSweep,
    /// Only the table `cells`.
    Cell,
    /// The worker that starts or resumes the trial.
    Start,
    /// Training.
    Training,
    /// The end of the trial.
    End,
}

/// Which outputs have a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Only the database.
    Database,
    /// `sweep show`.
    Show,
    /// `sweep show` and `sweep export results`.
    Export,
    /// `sweep show` and `sweep export results`, which puts it after all other columns.
    Fingerprint,
}

/// A value as both databases store it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(Option<i64>),
    /// A number; a NaN is stored as NULL.
    Real(Option<f64>),
    /// Text.
    Text(Option<String>),
}

/// `TYPE = KIND, to an option, from an option`: makes TYPE a type of columns, by conversions to and from the kind's plain value.
macro_rules! field {
    ($type:ty = $kind:ident($plain:ty), $to:expr, $back:expr) => {
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let to: fn($type) -> Option<$plain> = $to;
                Self::$kind(to(value))
            }
        }

        impl TryFrom<Value> for $type {
            type Error = String;

            fn try_from(value: Value) -> Result<Self, String> {
                let back: fn(Option<$plain>) -> Result<Self, String> = $back;
                if let Value::$kind(value) = value {
                    back(value)
                } else {
                    Err("has the wrong type".to_owned())
                }
            }
        }
    };
}

fn required<T>(value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| "is missing".to_owned())
}

fn object(entries: impl IntoIterator<Item = (String, String)>) -> String {
    serde_json::Value::Object(entries.into_iter().map(|(name, value)| (name, value.into())).collect())
        .to_string()
}

fn axes(text: Option<String>) -> Result<Axes, String> {
    Axes::try_from(required(text)?).map_err(|error| error.to_string())
}

fn files(text: Option<String>) -> Result<Option<BTreeMap<String, String>>, String> {
    text.as_deref().map(serde_json::from_str).transpose().map_err(|error| error.to_string())
}

field!(Option<i64> = Integer(i64), |x| x, Ok);
field!(i64 = Integer(i64), Some, required);
field!(Option<f64> = Real(f64), |x| x, Ok);
field!(f64 = Real(f64), Some, |x| Ok(x.unwrap_or(f64::NAN)));
field!(Option<String> = Text(String), |x| x, Ok);
field!(String = Text(String), Some, required);
field!(Status = Text(String), |x| Some(x.name().to_owned()), |x| required(x)?.try_into());
field!(Purpose = Text(String), |x| Some(x.name().to_owned()), |x| Ok(Purpose::from_name(&required(x)?)));
field!(Axes = Text(String), |x| Some(object(x.0)), axes);
field!(Metrics = Text(String), |x| x.to_text(), |x| Ok(x
    .as_deref()
    .map(Metrics::of_text)
    .unwrap_or_default()));
field!(Option<BTreeMap<String, String>> = Text(String), |x| x.map(object), files);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

/// Defines a struct and the list of its columns. Each entry is `name: type = kind(unit), source, output`; its doc comment is the
/// meaning of the column. Fields after `and` are not columns.
macro_rules! record {
    (
        $(#[doc = $about:literal])+
        $record:ident, $columns:ident {
            $($(#[doc = $meaning:literal])+ $name:ident: $type:ty = $kind:ident($unit:literal), $source:ident, $output:ident;)+
        }
        $(and { $($(#[doc = $extra:literal])+ $field:ident: $plain:ty,)+ })?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $record {
            $($(#[doc = $meaning])+ pub $name: $type,)+
            $($($(#[doc = $extra])+ pub $field: $plain,)+)?
        }

        #[doc = concat!("The columns of [`", stringify!($record), "`].")]
        pub const $columns: &[Column<$record>] = &[$(Column {
            name: stringify!($name),
            kind: Kind::$kind,
            unit: $unit,
            meaning: concat!($($meaning),+).trim_ascii(),
            source: Source::$source,
            output: Output::$output,
            get: |record| record.$name.clone().into(),
            set: |record, value| value.try_into().map(|value| record.$name = value),
        },)+];
    };
}

record! {
    /// Everything that is stored of one trial except its steps. `config` is long: it is empty in the records of a complete sweep.
    TrialRecord, COLUMNS {
        /// Hash of everything that determines the result.
        trial_id: String = Text("32 hex digits"), Plan, Fingerprint;
        /// The sweep that the trial belongs to; in `trials` the first such sweep.
        sweep: String = Text(""), PerSweep, Show;
        /// Name of the schedule in the sweep.
        schedule: String = Text(""), PerSweep, Export;
        /// Identifies the configuration without the seed: the same for all seeds.
        config_id: String = Text("32 hex digits"), Plan, Export;
        /// The base lr in the sweep.
        base_lr: f64 = Real(""), PerSweep, Export;
        /// The seed.
        seed: i64 = Integer(""), Plan, Export;
        /// Purpose of the run in the sweep: `tune` chooses a config, `decide` judges the chosen config, `all` does both;
        /// `dropped`: its lr was dropped by halving, and it is not compared.
        purpose: Purpose = Text(""), Cell, Export;
        /// Value of each axis, as in the first sweep with this trial.
        axes: Axes = Axes("JSON object"), Plan, Show;
        /// State of the trial: `queued`, `running`, `done`, `diverged`, `failed` or `stopped`.
        status: Status = Text(""), Training, Export;
        /// Length of the run.
        steps: i64 = Integer("steps"), Plan, Export;
        /// Number of stored steps.
        steps_done: i64 = Integer("steps"), Training, Export;
        /// Training loss of the last batch.
        final_train_loss: Option<f64> = Real(""), End, Export;
        /// Validation loss after the last step: the default metric of the ranking. NULL in a `done` trial means NaN.
        final_valid_loss: Option<f64> = Real(""), End, Export;
        /// Fraction of validation examples that are classified correctly after the last step.
        valid_accuracy: Option<f64> = Real("0 to 1"), End, Export;
        /// Test loss after the last step; never used to choose configs.
        test_loss: Option<f64> = Real(""), End, Export;
        /// Fraction of test examples that are classified correctly after the last step; never used to choose configs.
        test_accuracy: Option<f64> = Real("0 to 1"), End, Export;
        /// Last value of each metric that a custom program reported under its own name. NULL without any.
        metrics: Metrics = Metrics("JSON object"), End, Show;
        /// The step at which the trial diverged.
        diverged_at: Option<i64> = Integer("step"), End, Export;
        /// The loss at that step, possibly infinite. NULL in a `diverged` trial means NaN.
        diverged_loss: Option<f64> = Real(""), End, Show;
        /// Why the trial failed.
        error: Option<String> = Text(""), End, Show;
        /// How often a worker started or resumed the trial.
        attempts: i64 = Integer(""), Start, Show;
        /// When a worker first started the trial.
        started_at: Option<i64> = Time("ms since 1970, UTC"), Start, Export;
        /// When the trial ended.
        finished_at: Option<i64> = Time("ms since 1970, UTC"), End, Export;
        /// Fingerprint of the lr and the loss of every step.
        digest: Option<String> = Text("64 hex digits"), End, Fingerprint;
        /// Fingerprint of the final weights.
        weights_hash: Option<String> = Text("64 hex digits"), End, Fingerprint;
        /// Version of the arithmetic that trained it. NULL if a custom program trained it, or if training has not started.
        bits: Option<i64> = Integer(""), Start, Show;
        /// Files that a custom program loaded in addition to those that `config` names, each with its blake3 hash. NULL if
        /// unknown.
        loaded: Option<BTreeMap<String, String>> = Files("JSON object"), Training, Show;
        /// Number of the environment that last trained it: a row of `environments`.
        environment_id: Option<i64> = Integer(""), Start, Database;
        /// The machine that last trained it.
        host: Option<String> = Text(""), Start, Database;
        /// The complete configuration without the seed.
        config: String = Json("JSON object"), Plan, Show;
    }
    and {
        /// The environment that last trained it.
        environment: Option<Arc<Environment>>,
    }
}

record! {
    /// The environment of a training run: the bits of a result may depend on it in addition to the configuration.
    Environment, ENVIRONMENT_COLUMNS {
        /// Version of sweep.
        version: String = Text(""), Start, Show;
        /// The commit that sweep was built from; empty if unknown.
        git_commit: String = Text(""), Start, Show;
        /// Name of the processor.
        cpu: String = Text(""), Start, Show;
        /// Vector instructions of the processor that the kernels use.
        cpu_features: String = Text(""), Start, Show;
        /// Number of hardware threads.
        threads: i64 = Integer(""), Start, Show;
        /// The device that trained, as in `cpu`.
        device: String = Text(""), Start, Show;
        /// Operating system and architecture.
        os: String = Text(""), Start, Show;
    }
}

/// The columns of `sweep export results`, in order: fingerprints are last.
pub fn exported() -> impl Iterator<Item = &'static Column<TrialRecord>> {
    let with = |output| COLUMNS.iter().filter(move |column| column.output == output);
    with(Output::Export).chain(with(Output::Fingerprint))
}

impl TrialRecord {
    /// Whether it has a final result.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Status::Done | Status::Diverged)
    }

    /// Device, processor and system that trained it, as in `cpu, AMD EPYC 9354, linux x86_64`; `None` if unknown.
    pub fn hardware(&self) -> Option<String> {
        self.environment.as_ref().map(|e| format!("{}, {}, {}", e.device, e.cpu, e.os))
    }
}

/// The state of a trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Not started.
    #[default]
    Queued,
    /// A worker trains it, or was killed while training it.
    Running,
    /// All steps trained.
    Done,
    /// Its loss was NaN, infinite or above `diverge_above`. This is a result, which ranks last.
    Diverged,
    /// It could not be trained.
    Failed,
    /// Stopped on request before its end.
    Stopped,
}

impl Status {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let all = [Self::Queued, Self::Running, Self::Done, Self::Diverged, Self::Failed, Self::Stopped];
        all.into_iter().find(|status| status.name() == name).ok_or_else(|| format!("unknown status `{name}`"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The last value of each metric of a program's own, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    /// As a JSON object; infinite values and NaN are null. `None` without metrics.
    fn to_text(&self) -> Option<String> {
        let number =
            |value: f64| serde_json::Number::from_f64(value).map_or(serde_json::Value::Null, Into::into);
        let entries = self.0.iter().map(|(name, value)| (name.clone(), number(*value)));
        (!self.0.is_empty()).then(|| serde_json::Value::Object(entries.collect()).to_string())
    }

    /// From a JSON object; null is NaN.
    fn of_text(text: &str) -> Self {
        let values: BTreeMap<String, Option<f64>> = serde_json::from_str(text).unwrap_or_default();
        Self(values.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
    }
}

/// Path and value of each axis of a config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Axes(pub Vec<(String, String)>);

impl Axes {
    /// Path and value of each axis for display: values are stored as JSON, and texts are shown without quotes.
    pub fn plain(&self) -> impl Iterator<Item = (&str, String)> {
        let plain = |value: &String| serde_json::from_str(value).unwrap_or_else(|_| value.clone());
        self.0.iter().map(move |(path, value)| (path.as_str(), plain(value)))
    }
}

impl fmt::Display for Axes {
    /// As in `schedule.cooldown.over: 10%, data.batch_size: 64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.plain().map(|(path, value)| format!("{path}: {value}")).collect();
        f.write_str(&each.join(", "))
    }
}

impl TryFrom<String> for Axes {
    type Error = serde_json::Error;

    /// From a JSON object.
    fn try_from(text: String) -> Result<Self, serde_json::Error> {
        let axes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)?;
        let value = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self(axes.into_iter().map(|(path, found)| (path, value(found))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_reads_what_it_writes() {
        let environment = Environment { version: "1".to_owned(), threads: 8, ..Environment::default() };
        let record = TrialRecord {
            trial_id: "0f".to_owned(),
            base_lr: 0.1,
            purpose: Purpose::Decide,
            status: Status::Diverged,
            axes: Axes(vec![("data.batch_size".to_owned(), "64".to_owned())]),
            diverged_loss: Some(f64::INFINITY),
            attempts: 2,
            digest: Some("ab".to_owned()),
            metrics: Metrics(BTreeMap::from([("bleu".to_owned(), 31.5)])),
            loaded: Some(BTreeMap::from([("a.py".to_owned(), "cd".to_owned())])),
            config: "{}".to_owned(),
            ..TrialRecord::default()
        };
        assert_eq!(copied(&record, COLUMNS), record);
        assert_eq!(copied(&environment, ENVIRONMENT_COLUMNS), environment);
    }

    fn copied<R: Default>(record: &R, columns: &[Column<R>]) -> R {
        let mut copy = R::default();
        for column in columns {
            (column.set)(&mut copy, (column.get)(record)).expect(column.name);
        }
        copy
    }
}
