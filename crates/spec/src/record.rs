//! What a trial records: one plain struct and the list of its columns. The list drives both databases, merging, exports, `sweep
//! show` and the page about the columns: a new column is one entry here and one migration for each database.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::protocol::Purpose;

/// A column of the records `R`.
#[derive(Debug)]
pub struct Column<R: 'static> {
    /// Its name in the databases and in all outputs.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What its values are measured in, where that is not clear from the kind.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Where its values come from.
    pub source: Source,
    /// Which outputs have it.
    pub output: Output,
    /// Its value in a record.
    pub get: fn(&R) -> Value,
    /// Puts a value into a record. The error says why the value is not one of this column.
    pub set: fn(&mut R, Value) -> Result<(), String>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// A number; a NaN is stored as NULL.
    Real,
    /// Text.
    Text,
    /// A whole number: UTC, milliseconds since 1970.
    Time,
    /// A JSON object: path and value of each axis.
    Axes,
    /// A JSON object: hash by file.
    Files,
    /// A JSON object.
    Json,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The plan. Written when the trial is registered, and never changed.
    Plan,
    /// The plan as well: the table `trials` has the value of the sweep that asked first, the table `cells` that of each sweep.
    Asked,
    /// The table `cells` only.
    Cell,
    /// The worker that takes the trial up.
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
    /// The same, and an export has it behind all others.
    Fingerprint,
}

/// A value as both databases hold it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(Option<i64>),
    /// A number; a NaN is stored as NULL.
    Real(Option<f64>),
    /// Text.
    Text(Option<String>),
}

/// `TYPE = KIND, to its option, from its option`: a type that a column can have.
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
                    Err("is of another type".to_owned())
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
field!(Purpose = Text(String), |x| Some(x.name().to_owned()), |x| Ok(Purpose::named(&required(x)?)));
field!(Axes = Text(String), |x| Some(object(x.0)), axes);
field!(Option<BTreeMap<String, String>> = Text(String), |x| x.map(object), files);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

/// A struct and the list of its columns: each entry is `name: type = kind(unit), source, output`, and its documentation is what
/// the column means. Fields behind `and` are no columns.
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
    /// All that is known of one trial, apart from its steps. `config` is long: it is empty in the records of a whole sweep.
    TrialRecord, COLUMNS {
        /// Hash of everything that determines the result.
        trial_id: String = Text("32 hex digits"), Plan, Fingerprint;
        /// The sweep that asks for it; in `trials` the one that asked first.
        sweep: String = Text(""), Asked, Show;
        /// Name of its schedule in the sweep.
        schedule: String = Text(""), Asked, Export;
        /// The point of the grid without its seed: the same for all seeds.
        config_id: String = Text("32 hex digits"), Plan, Export;
        /// The base lr in the sweep.
        base_lr: f64 = Real(""), Asked, Export;
        /// The seed.
        seed: i64 = Integer(""), Plan, Export;
        /// What the sweep uses the run for: `tune` chooses a config, `decide` judges it, `all` does both.
        purpose: Purpose = Text(""), Cell, Export;
        /// Value of its config on each axis, as the schedule that asked first has them.
        axes: Axes = Axes("JSON object"), Plan, Show;
        /// How far the run is: `queued`, `running`, `done`, `diverged`, `failed` or `stopped`.
        status: Status = Text(""), Training, Export;
        /// Length of the run.
        steps: i64 = Integer("steps"), Plan, Export;
        /// Steps that are stored.
        steps_done: i64 = Integer("steps"), Training, Export;
        /// Loss of the last batch.
        final_train_loss: Option<f64> = Real(""), End, Export;
        /// Validation loss after the last step: what the ranking compares. NULL in a trial that is done is a NaN.
        final_valid_loss: Option<f64> = Real(""), End, Export;
        /// Share of validation examples that are classified correctly, after the last step.
        valid_accuracy: Option<f64> = Real("0 to 1"), End, Export;
        /// Test loss after the last step; never used to choose.
        test_loss: Option<f64> = Real(""), End, Export;
        /// Share of test examples that are classified correctly, after the last step; never used to choose.
        test_accuracy: Option<f64> = Real("0 to 1"), End, Export;
        /// The step whose loss showed that the run diverged.
        diverged_at: Option<i64> = Integer("step"), End, Export;
        /// That loss, which may be infinite. NULL in a trial that diverged is a NaN.
        diverged_loss: Option<f64> = Real(""), End, Show;
        /// Why the run failed.
        error: Option<String> = Text(""), End, Show;
        /// How often a worker took it up.
        attempts: i64 = Integer(""), Start, Show;
        /// When a worker took the run up first.
        started_at: Option<i64> = Time("ms since 1970, UTC"), Start, Export;
        /// When the run ended.
        finished_at: Option<i64> = Time("ms since 1970, UTC"), End, Export;
        /// Fingerprint of lr and loss of every step.
        digest: Option<String> = Text("64 hex digits"), End, Fingerprint;
        /// Fingerprint of the final weights.
        weights_hash: Option<String> = Text("64 hex digits"), End, Fingerprint;
        /// Version of the arithmetic that trained it. NULL where a program of the user's own did, or nobody has yet.
        bits: Option<i64> = Integer(""), Start, Show;
        /// The files that such a program has loaded beside those that `config` names, each with its blake3. NULL where that is
        /// not known.
        loaded: Option<BTreeMap<String, String>> = Files("JSON object"), Training, Show;
        /// Number of the environment that trained it, or took it up last: a row of `environments`.
        environment_id: Option<i64> = Integer(""), Start, Database;
        /// The machine that did that.
        host: Option<String> = Text(""), Start, Database;
        /// The whole configuration but the seed.
        config: String = Json("JSON object"), Plan, Show;
    }
    and {
        /// What trained it, or took it up last.
        environment: Option<Arc<Environment>>,
    }
}

record! {
    /// What a result's bits may depend on besides the configuration.
    Environment, ENVIRONMENT_COLUMNS {
        /// Version of this program.
        version: String = Text(""), Start, Show;
        /// The commit it was built from; empty where that is not known.
        git_commit: String = Text(""), Start, Show;
        /// Name of the processor.
        cpu: String = Text(""), Start, Show;
        /// Vector instructions that kernels choose by.
        cpu_features: String = Text(""), Start, Show;
        /// Threads that the machine runs at the same time.
        threads: i64 = Integer(""), Start, Show;
        /// What trained.
        device: String = Text(""), Start, Show;
        /// Operating system and architecture.
        os: String = Text(""), Start, Show;
    }
}

/// The columns that `sweep export results` has, in its order: fingerprints are last.
pub fn exported() -> impl Iterator<Item = &'static Column<TrialRecord>> {
    let with = |output| COLUMNS.iter().filter(move |column| column.output == output);
    with(Output::Export).chain(with(Output::Fingerprint))
}

impl TrialRecord {
    /// Whether it has its result.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Status::Done | Status::Diverged)
    }

    /// Device, processor and system that trained it, as in `cpu, AMD EPYC 9354, linux x86_64`.
    pub fn hardware(&self) -> Option<String> {
        self.environment.as_ref().map(|e| format!("{}, {}, {}", e.device, e.cpu, e.os))
    }
}

/// How far a trial is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    #[default]
    Queued,
    /// A worker has it, or had it when it was killed.
    Running,
    /// All steps trained.
    Done,
    /// Its loss left the finite numbers or the stated bound: a result, which ranks last.
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
        all.into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| format!("there is no status `{name}`"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Path and value of each axis of a config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Axes(pub Vec<(String, String)>);

impl Axes {
    /// Path and value of each axis for people: values are stored as JSON, and a text reads better without its quotes.
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
