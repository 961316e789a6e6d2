//! Parses the reports of a program, one JSON object per line. `run` decides what a report means for a run.

use std::collections::BTreeMap;

use schedule::metric_name::{REPORT_KEYS, check_name};
use serde_json::{Map, Value as Json};

/// Maximum length of a line in bytes.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 10;

/// A parsed line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Report {
    /// Metrics of a step.
    Step {
        step: u64,
        metrics: Metrics,
        /// A checkpoint that was written after the step.
        checkpoint: Option<String>,
    },
    /// A request for the lr of a step.
    LrRequest { step: u64, metrics: Metrics },
    /// Files that the program has loaded.
    Loaded(Vec<String>),
}

/// The lr that a program used for an update.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum UsedLr {
    /// That of the first parameter group, or of all parameters.
    One(f64),
    /// That of each parameter group, by its name.
    ByGroup(BTreeMap<String, f64>),
}

/// The metrics in a report.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metrics {
    /// The lr that the program used for the update.
    pub(crate) lr: Option<UsedLr>,
    pub(crate) train_loss: Option<f64>,
    pub(crate) grad_norm: Option<f64>,
    pub(crate) valid_loss: Option<f64>,
    pub(crate) valid_accuracy: Option<f64>,
    pub(crate) test_loss: Option<f64>,
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) weights_hash: Option<String>,
    /// Metrics under other names.
    pub(crate) own: BTreeMap<String, f64>,
}

impl Metrics {
    /// Whether it has validation metrics of the weights after the update.
    pub(crate) fn is_evaluated(&self) -> bool {
        self.valid_loss.is_some() || self.valid_accuracy.is_some()
    }

    /// Adds the metrics of a later line on the same step, which replace earlier ones.
    pub(crate) fn add(&mut self, more: Self) {
        let later = |old: &mut Option<f64>, new: Option<f64>| *old = new.or(*old);
        self.lr = more.lr.or(self.lr.take());
        later(&mut self.train_loss, more.train_loss);
        later(&mut self.grad_norm, more.grad_norm);
        later(&mut self.valid_loss, more.valid_loss);
        later(&mut self.valid_accuracy, more.valid_accuracy);
        later(&mut self.test_loss, more.test_loss);
        later(&mut self.test_accuracy, more.test_accuracy);
        self.weights_hash = more.weights_hash.or(self.weights_hash.take());
        self.own.extend(more.own);
    }
}

/// The keys of an lr request.
const REQUEST_KEYS: [&str; 3] = ["ask", "train_loss", "grad_norm"];

/// The key of a report of loaded files.
const LOADED: &str = "loaded";

/// Parses a line as a JSON object.
///
/// # Errors
/// The problem, as part of a sentence.
pub(crate) fn object(line: &str) -> Result<Map<String, Json>, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("longer than {MAX_LINE_BYTES} bytes"));
    }
    let json = serde_json::from_str::<Json>(line).or_else(|error| {
        // Python writes NaN and Infinity, which are not valid JSON.
        serde_json::from_str(&spec::json::python_numbers(line, "\"NaN\"")).map_err(|_| error)
    });
    match json {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(format!("not valid JSON: {error}")),
    }
}

/// Interprets a line as a report.
///
/// # Errors
/// The problem, as part of a sentence.
pub(crate) fn read(object: &Map<String, Json>) -> Result<Report, String> {
    if let Some(files) = object.get(LOADED) {
        return loaded(object, files);
    }
    let is_request = object.contains_key("ask");
    let step_key = if is_request { "ask" } else { "step" };
    let own = if is_request { check_request(object).map(|()| BTreeMap::new()) } else { own_metrics(object) }?;
    let step = match object.get(step_key) {
        Some(step) => {
            step.as_u64().ok_or_else(|| format!("`{step_key}`: expected a whole number, at least 0"))?
        }
        None => return Err("missing key `step`".to_owned()),
    };
    let number = |key: &str| number(object, key);
    let text = |key: &str| match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{key}`: expected a non-empty string")),
    };
    let metrics = Metrics {
        lr: used_lr(object)?,
        train_loss: number("train_loss")?,
        grad_norm: number("grad_norm")?,
        valid_loss: number("valid_loss")?,
        valid_accuracy: number("valid_accuracy")?,
        test_loss: number("test_loss")?,
        test_accuracy: number("test_accuracy")?,
        weights_hash: text("weights_hash")?,
        own,
    };
    let fractions = [("valid_accuracy", metrics.valid_accuracy), ("test_accuracy", metrics.test_accuracy)];
    for (key, share) in fractions {
        if let Some(share) = share.filter(|share| *share < 0.0 || *share > 1.0) {
            return Err(format!(
                "`{key}`: expected a fraction from 0 to 1, found {share} (write 78.2 percent as 0.782)"
            ));
        }
    }
    if let Some(norm) = metrics.grad_norm.filter(|norm| *norm < 0.0) {
        return Err(format!("`grad_norm`: expected a number of at least 0, found {norm}"));
    }
    if is_request {
        return Ok(Report::LrRequest { step, metrics });
    }
    let checkpoint = text("checkpoint")?;
    if metrics == Metrics::default() && checkpoint.is_none() {
        return Err("no metrics and no checkpoint".to_owned());
    }
    Ok(Report::Step { step, metrics, checkpoint })
}

/// Checks the keys of an lr request.
fn check_request(object: &Map<String, Json>) -> Result<(), String> {
    let Some(unknown) = object.keys().find(|key| !REQUEST_KEYS.contains(&key.as_str())) else {
        return Ok(());
    };
    Err(match schedule::problem::nearest(unknown, REQUEST_KEYS) {
        Some(near) => format!("unknown key `{unknown}` (did you mean `{near}`?)"),
        None => format!("unknown key `{unknown}`, expected one of {}", REQUEST_KEYS.join(", ")),
    })
}

/// The metrics under names of the program's own.
fn own_metrics(object: &Map<String, Json>) -> Result<BTreeMap<String, f64>, String> {
    let mut own = BTreeMap::new();
    for key in object.keys().filter(|key| !REPORT_KEYS.contains(&key.as_str())) {
        check_name(key)?;
        own.extend(number(object, key)?.map(|value| (key.clone(), value)));
    }
    Ok(own)
}

/// A report of loaded files, which must not have other keys.
fn loaded(object: &Map<String, Json>, files: &Json) -> Result<Report, String> {
    if let Some(other) = object.keys().find(|key| *key != LOADED) {
        return Err(format!("`{LOADED}` must be the only key in its line, found `{other}` too"));
    }
    let name = |file: &Json| file.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let names = files.as_array().and_then(|files| files.iter().map(name).collect());
    names.map(Report::Loaded).ok_or_else(|| format!("`{LOADED}`: expected a list of file names"))
}

/// A number. Null is the same as a missing key.
fn number(object: &Map<String, Json>, key: &str) -> Result<Option<f64>, String> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => match text.as_str() {
            "NaN" | "nan" => Ok(Some(f64::NAN)),
            "Infinity" | "inf" => Ok(Some(f64::INFINITY)),
            "-Infinity" | "-inf" => Ok(Some(f64::NEG_INFINITY)),
            _ => Err(format!("`{key}`: expected a number")),
        },
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{key}`: expected a number")),
    }
}

/// The lr: a number, or an object with a number for each parameter group.
fn used_lr(object: &Map<String, Json>) -> Result<Option<UsedLr>, String> {
    let Some(Json::Object(groups)) = object.get("lr") else {
        return Ok(number(object, "lr")?.map(UsedLr::One));
    };
    let lr = |name: &String| {
        let lr = number(groups, name).map_err(|error| format!("`lr`: {error}"))?;
        lr.map(|lr| (name.clone(), lr)).ok_or_else(|| format!("`lr`: `{name}`: expected a number"))
    };
    groups.keys().map(lr).collect::<Result<_, _>>().map(|groups| Some(UsedLr::ByGroup(groups)))
}

/// Quotes a line in a message: at most `limit` characters, without control characters.
pub(crate) fn quote(line: &str, limit: usize) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match line.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Report, String> {
        object(line).and_then(|object| super::read(&object))
    }

    #[test]
    fn valid_lines_are_parsed() {
        let step = |line: &str| match read(line) {
            Ok(Report::Step { step, metrics, checkpoint }) => (step, metrics, checkpoint),
            other => panic!("{line}: {other:?}"),
        };
        let (t, metrics, _) = step(r#"{"step": 3, "train_loss": 0.1, "valid_loss": null}"#);
        assert_eq!((t, metrics.train_loss, metrics.valid_loss), (3, Some(0.1), None));
        let (_, metrics, _) = step(r#"{"step": 3, "train_loss": NaN, "valid_loss": -Infinity}"#);
        assert!(metrics.train_loss.is_some_and(f64::is_nan));
        assert_eq!(metrics.valid_loss, Some(f64::NEG_INFINITY));
        let (_, metrics, _) = step(r#"{"step": 3, "bleu": 31.5, "eval/f1": null, "ppl": NaN}"#);
        assert_eq!((metrics.own.get("bleu"), metrics.own.len()), (Some(&31.5), 2));
        let (.., checkpoint) = step(r#"{"step": 3, "checkpoint": "a NaN.pt"}"#);
        assert_eq!(checkpoint.as_deref(), Some("a NaN.pt"));
        assert_eq!(
            read(r#"{"ask": 7, "grad_norm": 2}"#),
            Ok(Report::LrRequest {
                step: 7,
                metrics: Metrics { grad_norm: Some(2.0), ..Metrics::default() }
            })
        );
    }

    #[test]
    fn invalid_lines_are_explained() {
        for (line, expected) in [
            ("loss: 3", "not valid JSON"),
            ("[1]", "not a JSON object"),
            ("{}", "missing key `step`"),
            (r#"{"step": 1}"#, "no metrics and no checkpoint"),
            (r#"{"step": -1, "train_loss": 1}"#, "expected a whole number"),
            (r#"{"step": 1.5, "train_loss": 1}"#, "expected a whole number"),
            (r#"{"step": 1, "train_loss": "low"}"#, "`train_loss`: expected a number"),
            (r#"{"step": 1, "train_los": 1}"#, "did you mean `train_loss`?"),
            (r#"{"step": 1, "bleu": "high"}"#, "`bleu`: expected a number"),
            (r#"{"step": 1, "val_loss": 1}"#, "did you mean `valid_loss`?"),
            (r#"{"step": 1, "loss": 1}"#, "write `train_loss` or `valid_loss`"),
            (r#"{"step": 1, "b l": 1}"#, "can't be the name of a metric"),
            (r#"{"step": 1, "valid_accuracy": 85}"#, "a fraction from 0 to 1"),
            (r#"{"step": 1, "train_loss": 1, "grad_norm": -1}"#, "expected a number of at least 0"),
            (r#"{"ask": 1, "valid_loss": 1}"#, "unknown key `valid_loss`"),
            (r#"{"step": 1, "checkpoint": 3}"#, "`checkpoint`: expected a non-empty string"),
            (r#"{"step": 1, "lr": {"rest": "low"}}"#, "`lr`: `rest`: expected a number"),
            (r#"{"step": 1, "lr": {"rest": null}}"#, "`lr`: `rest`: expected a number"),
            (r#"{"loaded": "model.py"}"#, "`loaded`: expected a list of file names"),
            (r#"{"loaded": [""]}"#, "`loaded`: expected a list of file names"),
            (r#"{"step": 1, "loaded": []}"#, "`loaded` must be the only key in its line, found `step` too"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
