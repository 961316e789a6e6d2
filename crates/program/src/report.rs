//! What a program writes: one JSON object a line, and what is wrong with one. What a report means for a run is `run`'s
//! business.

use serde_json::{Map, Value as Json};

/// The longest line, in bytes.
pub(crate) const LONGEST: usize = 64 << 10;

/// A line, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Report {
    /// Of a step.
    Step {
        step: u64,
        seen: Seen,
        /// A checkpoint that was written after it.
        checkpoint: Option<String>,
    },
    /// A question for the lr of a step.
    Ask { step: u64, seen: Seen },
    /// Files that the program has loaded.
    Loaded(Vec<String>),
}

/// The numbers of a report.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    /// The lr that the update used, as the program has set it.
    pub(crate) lr: Option<f64>,
    pub(crate) train_loss: Option<f64>,
    pub(crate) grad_norm: Option<f64>,
    pub(crate) valid_loss: Option<f64>,
    pub(crate) valid_accuracy: Option<f64>,
    pub(crate) test_loss: Option<f64>,
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) weights_hash: Option<String>,
}

impl Seen {
    /// Whether it says how good the weights are after the update.
    pub(crate) fn is_evaluated(&self) -> bool {
        self.valid_loss.is_some() || self.valid_accuracy.is_some()
    }

    /// Takes in what a later line says of the same step.
    pub(crate) fn add(&mut self, more: Self) {
        let later = |old: &mut Option<f64>, new: Option<f64>| *old = new.or(*old);
        later(&mut self.lr, more.lr);
        later(&mut self.train_loss, more.train_loss);
        later(&mut self.grad_norm, more.grad_norm);
        later(&mut self.valid_loss, more.valid_loss);
        later(&mut self.valid_accuracy, more.valid_accuracy);
        later(&mut self.test_loss, more.test_loss);
        later(&mut self.test_accuracy, more.test_accuracy);
        self.weights_hash = more.weights_hash.or(self.weights_hash.take());
    }
}

/// The keys of a report on a step.
const KEYS: [&str; 10] = [
    "step",
    "lr",
    "train_loss",
    "grad_norm",
    "valid_loss",
    "valid_accuracy",
    "test_loss",
    "test_accuracy",
    "weights_hash",
    "checkpoint",
];

/// The keys of a question.
const ASKED: [&str; 3] = ["ask", "train_loss", "grad_norm"];

/// The key of a report on files.
const LOADED: &str = "loaded";

/// The JSON object that a line is.
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
pub(crate) fn object(line: &str) -> Result<Map<String, Json>, String> {
    if line.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let json = serde_json::from_str::<Json>(line).or_else(|error| {
        // Only what is no JSON is looked at a second time.
        serde_json::from_str(&spec::json::python_numbers(line, "\"NaN\"")).map_err(|_| error)
    });
    match json {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

/// What a line says.
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
pub(crate) fn read(object: &Map<String, Json>) -> Result<Report, String> {
    if let Some(files) = object.get(LOADED) {
        return loaded(object, files);
    }
    let (step_key, keys) = if object.contains_key("ask") { ("ask", &ASKED[..]) } else { ("step", &KEYS[..]) };
    if let Some(unknown) = object.keys().find(|key| !keys.contains(&key.as_str())) {
        let known = keys.join(", ");
        return Err(match schedule::problem::nearest(unknown, keys.iter().copied()) {
            Some(near) => format!("the key `{unknown}` is unknown (did you mean `{near}`?)"),
            None => format!("the key `{unknown}` is unknown (known are {known})"),
        });
    }
    let step = match object.get(step_key) {
        Some(step) => {
            step.as_u64().ok_or_else(|| format!("`{step_key}` is no whole number of at least 0"))?
        }
        None => return Err("it has no `step`".to_owned()),
    };
    let number = |key: &str| number(object, key);
    let text = |key: &str| match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{key}` is no text")),
    };
    let seen = Seen {
        lr: number("lr")?,
        train_loss: number("train_loss")?,
        grad_norm: number("grad_norm")?,
        valid_loss: number("valid_loss")?,
        valid_accuracy: number("valid_accuracy")?,
        test_loss: number("test_loss")?,
        test_accuracy: number("test_accuracy")?,
        weights_hash: text("weights_hash")?,
    };
    let shares = [("valid_accuracy", seen.valid_accuracy), ("test_accuracy", seen.test_accuracy)];
    for (key, share) in shares {
        if let Some(share) = share.filter(|share| *share < 0.0 || *share > 1.0) {
            return Err(format!(
                "`{key}` is {share}: a share from 0 to 1 was expected (78.2 percent is 0.782)"
            ));
        }
    }
    if let Some(norm) = seen.grad_norm.filter(|norm| *norm < 0.0) {
        return Err(format!("`grad_norm` is {norm}: a norm is at least 0"));
    }
    if step_key == "ask" {
        return Ok(Report::Ask { step, seen });
    }
    let checkpoint = text("checkpoint")?;
    if seen == Seen::default() && checkpoint.is_none() {
        return Err("it says nothing of its step".to_owned());
    }
    Ok(Report::Step { step, seen, checkpoint })
}

/// A report on files, which says nothing else.
fn loaded(object: &Map<String, Json>, files: &Json) -> Result<Report, String> {
    if let Some(other) = object.keys().find(|key| *key != LOADED) {
        return Err(format!("`{LOADED}` stands in a line of its own, not beside `{other}`"));
    }
    let name = |file: &Json| file.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let names = files.as_array().and_then(|files| files.iter().map(name).collect());
    names.map(Report::Loaded).ok_or_else(|| format!("`{LOADED}` is no list of file names"))
}

/// A number; null is as good as no key.
fn number(object: &Map<String, Json>, key: &str) -> Result<Option<f64>, String> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => match text.as_str() {
            "NaN" | "nan" => Ok(Some(f64::NAN)),
            "Infinity" | "inf" => Ok(Some(f64::INFINITY)),
            "-Infinity" | "-inf" => Ok(Some(f64::NEG_INFINITY)),
            _ => Err(format!("`{key}` is no number")),
        },
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{key}` is no number")),
    }
}

/// A line for a message, cut after `most` characters.
pub(crate) fn shown(line: &str, most: usize) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match line.char_indices().nth(most) {
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
    fn lines_are_read() {
        let step = |line: &str| match read(line) {
            Ok(Report::Step { step, seen, checkpoint }) => (step, seen, checkpoint),
            other => panic!("{line}: {other:?}"),
        };
        let (t, seen, _) = step(r#"{"step": 3, "train_loss": 0.1, "valid_loss": null}"#);
        assert_eq!((t, seen.train_loss, seen.valid_loss), (3, Some(0.1), None));
        let (_, seen, _) = step(r#"{"step": 3, "train_loss": NaN, "valid_loss": -Infinity}"#);
        assert!(seen.train_loss.is_some_and(f64::is_nan));
        assert_eq!(seen.valid_loss, Some(f64::NEG_INFINITY));
        let (.., checkpoint) = step(r#"{"step": 3, "checkpoint": "a NaN.pt"}"#);
        assert_eq!(checkpoint.as_deref(), Some("a NaN.pt"));
        assert_eq!(
            read(r#"{"ask": 7, "grad_norm": 2}"#),
            Ok(Report::Ask { step: 7, seen: Seen { grad_norm: Some(2.0), ..Seen::default() } })
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, words) in [
            ("loss: 3", "no JSON"),
            ("[1]", "no JSON object"),
            ("{}", "no `step`"),
            (r#"{"step": 1}"#, "says nothing"),
            (r#"{"step": -1, "train_loss": 1}"#, "no whole number"),
            (r#"{"step": 1.5, "train_loss": 1}"#, "no whole number"),
            (r#"{"step": 1, "train_loss": "low"}"#, "`train_loss` is no number"),
            (r#"{"step": 1, "train_los": 1}"#, "did you mean `train_loss`?"),
            (r#"{"step": 1, "bleu": 1}"#, "known are step"),
            (r#"{"step": 1, "valid_accuracy": 85}"#, "a share from 0 to 1"),
            (r#"{"step": 1, "train_loss": 1, "grad_norm": -1}"#, "a norm is at least 0"),
            (r#"{"ask": 1, "valid_loss": 1}"#, "`valid_loss` is unknown"),
            (r#"{"step": 1, "checkpoint": 3}"#, "`checkpoint` is no text"),
            (r#"{"loaded": "model.py"}"#, "`loaded` is no list of file names"),
            (r#"{"loaded": [""]}"#, "`loaded` is no list of file names"),
            (r#"{"step": 1, "loaded": []}"#, "`loaded` stands in a line of its own, not beside `step`"),
        ] {
            let told = read(line).expect_err(line);
            assert!(told.contains(words), "{line}: {told}");
        }
    }
}
