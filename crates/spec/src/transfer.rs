//! Fine-tuning and parameter groups: reads `init_from`, `freeze`, `lr_multipliers` and `param_groups`, and defines what patterns match. The trainer checks names
//! and files against the model.

use schedule::fields::{Field, Fields, choice, number_where, text};
use schedule::problem::{Problem, all};
use schedule::tree::Value;
use wildmatch::WildMatch;

use crate::name::check_name;
use crate::program::tilde_hint;
use crate::trial::{InitFrom, Network};
use crate::world::World;

const PATTERNS: &str = "a list of parameter names, where * matches any text, as in [\"fc1.*\"]";

/// The values of the keys.
pub(crate) struct Transfer {
    pub(crate) init_from: Option<InitFrom>,
    pub(crate) freeze: Vec<String>,
    pub(crate) lr_multipliers: Vec<(String, f64)>,
    pub(crate) param_groups: Vec<(String, Vec<String>)>,
}

/// Whether a pattern matches a parameter: its name, the name of its layer, or the name of a module that contains the layer.
/// `*` matches any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern = WildMatch::new(pattern);
    let prefixes = name.match_indices('.').map(|(at, _)| name.split_at(at).0);
    prefixes.chain([name]).any(|prefix| pattern.matches(prefix))
}

impl Network {
    /// The name of the parameter group of a parameter: that of the first pattern that matches it.
    pub fn group_of(&self, parameter: &str) -> Option<&str> {
        let has = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, parameter));
        self.param_groups.iter().find(|(_, patterns)| has(patterns)).map(|(name, _)| name.as_str())
    }
}

impl InitFrom {
    /// The name in the file of a parameter of this model.
    pub fn name_in_file(&self, name: &str) -> String {
        let renamed = |(ours, theirs): &(String, String)| match ours.split_once('*') {
            None => (ours == name).then(|| theirs.clone()),
            Some((head, tail)) => {
                let middle = name.strip_prefix(head)?.strip_suffix(tail)?;
                Some(theirs.replacen('*', middle, 1))
            }
        };
        self.names.iter().find_map(renamed).unwrap_or_else(|| name.to_owned())
    }
}

pub(crate) fn read(
    fields: &mut Fields<'_>,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<Transfer> {
    let init_from = match fields.optional("init_from") {
        Some(field) => init_from(&field, world, problems).map(Some),
        None => Some(None),
    };
    let freeze = fields.read_or("freeze", Vec::new(), problems, patterns);
    let lr_multipliers = fields.read_or("lr_multipliers", Vec::new(), problems, multipliers);
    let param_groups = fields.read_or("param_groups", Vec::new(), problems, param_groups);
    let (init_from, freeze, lr_multipliers) = (init_from?, freeze?, lr_multipliers?);
    Some(Transfer { init_from, freeze, lr_multipliers, param_groups: param_groups? })
}

fn init_from(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<InitFrom> {
    if let Value::Text(file) = &field.tree.value {
        return weights(field, file, world, problems);
    }
    if !matches!(field.tree.value, Value::Map(_)) {
        problems
            .push(field.expected(
                "a safetensors file, or a mapping as in {file: weights.safetensors, fresh: [fc3]}",
            ));
        return None;
    }
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let file = fields.required("file", problems);
    let found = file.and_then(|field| match text(&field) {
        Ok(file) => weights(&field, &file, world, problems),
        Err(problem) => {
            problems.push(problem);
            None
        }
    });
    let names = fields.read_or("names", Vec::new(), problems, names);
    let fresh = fields.read_or("fresh", Vec::new(), problems, patterns);
    let keep = fields.read_or("optimizer", false, problems, choice(&OPTIMIZER_STATES));
    fields.finish(problems);
    Some(InitFrom { names: names?, fresh: fresh?, keep_optimizer: keep?, ..found? })
}

/// The values of `optimizer` in `init_from`: the word in the sweep file, and whether the optimizer's state is kept.
pub(crate) const OPTIMIZER_STATES: [(&str, bool); 2] = [("reset", false), ("keep", true)];

/// The prefix that marks the id of a trial instead of a file name.
const TRIAL: &str = "trial:";

/// The weights of a file or of a stored trial.
fn weights(
    field: &Field<'_>,
    file: &str,
    world: &dyn World,
    problems: &mut Vec<Problem>,
) -> Option<InitFrom> {
    if let Some(trial) = file.strip_prefix(TRIAL) {
        let id = trial.trim();
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_hexdigit()) {
            let message = format!("expected the id of a stored trial after `{TRIAL}`, found `{id}`");
            let best = "`sweep show best` prints the id of the best trial, which may change with every run";
            problems.push(field.problem(message).with_hint(best));
            return None;
        }
        let found = world.weights(id);
        return found.map_err(|message| problems.push(field.problem(message))).ok();
    }
    let blake3 = hash(field, file, world, problems)?;
    Some(InitFrom::plain(file.to_owned(), blake3))
}

fn hash(field: &Field<'_>, file: &str, world: &dyn World, problems: &mut Vec<Problem>) -> Option<String> {
    let found = world.hash(file);
    if found.is_none() {
        let problem = field.problem(format!("file not found: `{file}`"));
        problems.push(
            problem
                .with_hint(tilde_hint(file).unwrap_or("for the weights of a stored trial, use `trial:ID`")),
        );
    }
    found
}

fn patterns(field: &Field<'_>) -> Result<Vec<String>, Problem> {
    let items = match &field.tree.value {
        Value::List(items) => items,
        _ => return Err(field.expected(PATTERNS)),
    };
    let pattern = |item: &schedule::tree::Tree| match &item.value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    };
    items.iter().map(pattern).collect::<Option<_>>().ok_or_else(|| field.expected(PATTERNS))
}

fn multipliers(field: &Field<'_>) -> Result<Vec<(String, f64)>, Vec<Problem>> {
    let Value::Map(entries) = &field.tree.value else {
        return Err(field
            .expected("a mapping from parameter names to factors, as in {\"fc1.*\": 0.1}")
            .into());
    };
    let factor =
        number_where("a factor above 0 (`freeze` is for parameters that are not trained)", |x| x > 0.0);
    let read = entries.iter().map(|(key, tree)| {
        let entry = Field { tree, path: format!("{}.{}", field.path, key.name) };
        factor(&entry).map(|factor| (key.name.clone(), factor))
    });
    all(read)
}

/// A mapping from names of groups to patterns.
fn param_groups(field: &Field<'_>) -> Result<Vec<(String, Vec<String>)>, Vec<Problem>> {
    const FORM: &str =
        "a mapping from parameter groups to parameter names, as in {matrices: [\"*.weight\"], rest: [\"*\"]}";
    let Value::Map(entries) = &field.tree.value else { return Err(field.expected(FORM).into()) };
    all(entries.iter().map(|(key, tree)| {
        check_name(&key.name).map_err(|message| Problem::new(key.place, field.path.clone(), message))?;
        let entry = Field { tree, path: format!("{}.{}", field.path, key.name) };
        patterns(&entry).map(|patterns| (key.name.clone(), patterns))
    }))
}

fn names(field: &Field<'_>) -> Result<Vec<(String, String)>, Vec<Problem>> {
    const FORM: &str =
        "a mapping from names of this model to names in the file, as in {\"fc1.*\": \"encoder.0.*\"}";
    let Value::Map(entries) = &field.tree.value else { return Err(field.expected(FORM).into()) };
    let stars = |text: &str| text.matches('*').count();
    let read = entries.iter().map(|(key, tree)| {
        let entry = Field { tree, path: format!("{}.{}", field.path, key.name) };
        let theirs = text(&entry)?;
        match (stars(&key.name), stars(&theirs)) {
            (0, 0) | (1, 1) => Ok((key.name.clone(), theirs)),
            _ => Err(entry.problem("both names need exactly one `*`, or none")),
        }
    });
    all(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Files, task};

    #[test]
    fn a_pattern_matches_parameters_layers_and_modules() {
        for (pattern, name, expected) in [
            ("fc1.weight", "fc1.weight", true),
            ("fc1", "fc1.bias", true),
            ("fc1", "fc11.bias", false),
            ("*.bias", "fc2.bias", true),
            ("fc*", "fc2.bias", true),
            ("*", "conv1.weight", true),
            ("encoder", "encoder.fc1.weight", true),
            ("encoder.fc1", "encoder.fc1.bias", true),
            ("fc1", "encoder.fc1.bias", false),
            ("weight", "fc1.weight", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    fn read(keys: &str) -> Result<crate::trial::Network, String> {
        let text = format!(
            "data: {{dataset: digits}}\nmodel: {{kind: rows}}\noptimizer: {{kind: plain}}\nbudget: {{steps: 5}}\n\
             lr: 0.1\nschedules: {{a: {{kind: constant}}}}\n{keys}\n"
        );
        Ok(task(&text, &Files(&["w.safetensors"]))?.network().expect("a network").clone())
    }

    #[test]
    fn parameter_names_are_mapped_to_names_in_the_file() {
        let init = read("init_from: {file: w.safetensors, names: {\"fc1.*\": \"body.0.*\", fc2.bias: head.b}, fresh: [fc3]}")
            .expect("a good file")
            .init_from
            .expect("weights");
        let names = ["fc1.weight", "fc2.bias", "fc2.weight"].map(|name| init.name_in_file(name));
        assert_eq!(names, ["body.0.weight", "head.b", "fc2.weight"]);
        assert_eq!(
            read("init_from: w.safetensors").expect("short").init_from.expect("weights").blake3,
            "hash of w.safetensors"
        );
    }

    #[test]
    fn problems_name_the_key_and_the_mistake() {
        for (keys, words) in [
            ("init_from: no.safetensors", "init_from: file not found: `no.safetensors`"),
            ("init_from: 3", "init_from: expected a safetensors file"),
            ("init_from: {file: w.safetensors, names: {\"fc1.*\": head}}", "both names need exactly one `*`"),
            ("freeze: fc1", "freeze: expected a list of parameter names"),
            ("lr_multipliers: {fc1: 0}", "lr_multipliers.fc1: expected a factor above 0"),
            ("param_groups: [fc1]", "param_groups: expected a mapping from parameter groups"),
            ("param_groups: {a: fc1}", "param_groups.a: expected a list of parameter names"),
            ("param_groups: {a: [fc1]}", "param_groups: no schedule has `groups`"),
        ] {
            let message = read(keys).expect_err(keys);
            assert!(message.contains(words), "{words} in {message}");
        }
    }
}
