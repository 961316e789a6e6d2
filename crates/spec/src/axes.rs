//! Axes: a value of the sweep file is replaced by a list of values to try. Finds the axes of a tree and builds their
//! cross product. The meaning of the values is not known here.

use std::collections::HashSet;
use std::iter::Peekable;

use schedule::fields::{AXIS_KEYS, Field, Fields, join, number, whole};
use schedule::problem::Problem;
use schedule::tree::{Place, Tree, Value};

use crate::id;

/// One axis: its position and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Path of keys within the searched tree, as in `warmup.over`.
    pub path: String,
    /// Its position in the file.
    pub place: Place,
    /// The values, in the order of the file; at least one.
    pub values: Vec<Tree>,
}

/// A tree in which each axis is replaced by one of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The tree without axes.
    pub tree: Tree,
    /// Path and value of each axis, in the order of the file.
    pub chosen: Vec<(String, Tree)>,
}

/// Whether this tree is itself an axis.
pub fn is_axis(tree: &Tree) -> bool {
    match &tree.value {
        Value::Map(entries) => {
            matches!(entries.as_slice(), [(key, _)] if AXIS_KEYS.contains(&key.name.as_str()))
        }
        _ => false,
    }
}

/// All axes of a tree, depth first in the order of the file. `path` is the path of the tree; only problems use it.
pub fn find(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Vec<Axis> {
    let mut axes = Vec::new();
    search(tree, path, "", &mut axes, problems);
    axes
}

fn search(tree: &Tree, outer: &str, inner: &str, axes: &mut Vec<Axis>, problems: &mut Vec<Problem>) {
    if is_axis(tree) {
        let full = if inner.is_empty() { outer.to_owned() } else { join(outer, inner) };
        if let Some(values) = values_of(tree, &full, problems) {
            axes.push(Axis { path: inner.to_owned(), place: tree.place, values });
        }
        return;
    }
    match &tree.value {
        Value::Map(entries) => {
            for (key, child) in entries {
                search(child, outer, &join(inner, &key.name), axes, problems);
            }
        }
        Value::List(items) => {
            for (i, child) in items.iter().enumerate() {
                search(child, outer, &join(inner, &i.to_string()), axes, problems);
            }
        }
        _ => {}
    }
}

/// Number of variants that the axes span, or `None` if it exceeds `u64`.
pub fn size(axes: &[Axis]) -> Option<u64> {
    axes.iter().try_fold(1u64, |product, axis| product.checked_mul(axis.values.len() as u64))
}

/// The cross product: every variant of `tree`, the last axis varying fastest. The caller must check [`size`] first.
pub fn variants(tree: &Tree, axes: &[Axis]) -> Vec<Variant> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        all = all
            .into_iter()
            .flat_map(|chosen| {
                axis.values.iter().map(move |value| {
                    let mut chosen: Vec<(String, Tree)> = chosen.clone();
                    chosen.push((axis.path.clone(), value.clone()));
                    chosen
                })
            })
            .collect();
    }
    all.into_iter()
        .map(|chosen| {
            let values = axes.iter().zip(&chosen).map(|(axis, (_, value))| (axis.place, value));
            Variant { tree: substitute(tree, &mut values.peekable()), chosen }
        })
        .collect()
}

/// Replaces the axes of a tree, in the order of [`find`]. An axis that `find` rejected is left unchanged.
fn substitute<'a>(tree: &Tree, values: &mut Peekable<impl Iterator<Item = (Place, &'a Tree)>>) -> Tree {
    if is_axis(tree) {
        let value = values.next_if(|(place, _)| *place == tree.place);
        return value.map_or_else(|| tree.clone(), |(_, value)| value.clone());
    }
    let value = match &tree.value {
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, child)| (key.clone(), substitute(child, values))).collect())
        }
        Value::List(items) => Value::List(items.iter().map(|child| substitute(child, values)).collect()),
        other => other.clone(),
    };
    Tree { place: tree.place, value }
}

/// The values of an axis: listed, or spaced evenly or by a constant ratio.
fn values_of(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Vec<Tree>> {
    let before = problems.len();
    let mut fields = Fields::new(tree, path, problems)?;
    let mut values = Vec::new();
    if let Some(field) = fields.optional("values") {
        match &field.tree.value {
            Value::List(items) if !items.is_empty() => values.clone_from(items),
            Value::List(_) => {
                problems.push(field.problem("an axis needs at least one value, but this list is empty"))
            }
            _ => problems.push(field.expected("a list of values")),
        }
    }
    for (kind, space) in [("linspace", Space::Linear), ("logspace", Space::Log)] {
        if let Some(field) = fields.optional(kind) {
            match spaced(&field, space) {
                Ok(numbers) => {
                    let tree = |x| Tree { place: field.tree.place, value: Value::Float(x) };
                    values.extend(numbers.into_iter().map(tree));
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    fields.finish(problems);
    let mut seen = HashSet::new();
    for value in &values {
        if let Some(nested) = first_axis(value) {
            problems.push(Problem::new(nested.place, path, "an axis can't be inside another axis"));
        }
        // Equal as values: 1 equals 1.0, and positions are ignored.
        if !seen.insert(id::canonical(value).to_string()) {
            problems.push(Problem::new(value.place, path, format!("duplicate value {value}")));
        }
    }
    (problems.len() == before).then_some(values)
}

#[derive(Clone, Copy)]
enum Space {
    Linear,
    Log,
}

/// `[lo, hi, n]`: n values from lo to hi, both included.
fn spaced(field: &Field<'_>, space: Space) -> Result<Vec<f64>, Problem> {
    let form = "a list of three numbers: lowest value, highest value, number of values (2 or more)";
    let Value::List(items) = &field.tree.value else { return Err(field.expected(form)) };
    let [low, high, n] = items.as_slice() else { return Err(field.expected(form)) };
    let entry = |tree| Field { tree, path: field.path.clone() };
    let (low, high, n) = (number(&entry(low))?, number(&entry(high))?, whole(2)(&entry(n))?);
    if n > 10_000 {
        return Err(field.problem(format!("an axis can have at most 10,000 values, found {n}")));
    }
    if low >= high {
        return Err(field.problem(format!("the lowest value {low} is not below the highest {high}")));
    }
    if matches!(space, Space::Log) && low <= 0.0 {
        return Err(field
            .problem(format!("the values of a logspace must be above 0, found {low}"))
            .with_hint("give the values themselves, not their exponents"));
    }
    let last = (n - 1) as f64;
    let step = (high - low) / last;
    if !step.is_finite() {
        return Err(field.problem(format!("the distance between {low} and {high} is too large")));
    }
    Ok((0..n)
        .map(|i| match (i, space) {
            (0, _) => low,
            (i, _) if i == n - 1 => high,
            (i, Space::Linear) => linear(i as f64, step, (low, high), last),
            (i, Space::Log) => round((low.ln() + (high / low).ln() * (i as f64 / last)).exp()),
        })
        .collect())
}

/// Value `i` of numpy's `linspace`, bit for bit. A step that underflows to 0 is handled as numpy does.
fn linear(i: f64, step: f64, (low, high): (f64, f64), last: f64) -> f64 {
    if step == 0.0 { i / last * (high - low) + low } else { i * step + low }
}

/// Rounds to twelve significant digits. The further digits of numpy's `geomspace` differ between machines and give
/// 0.03000000000000001 instead of 0.03.
fn round(x: f64) -> f64 {
    format!("{x:.11e}").parse().unwrap_or(x)
}

fn first_axis(tree: &Tree) -> Option<&Tree> {
    if is_axis(tree) {
        return Some(tree);
    }
    match &tree.value {
        Value::Map(entries) => entries.iter().find_map(|(_, child)| first_axis(child)),
        Value::List(items) => items.iter().find_map(first_axis),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn axes(text: &str) -> (Vec<Axis>, Vec<Problem>) {
        let tree = yaml::read(text).expect("good YAML");
        let mut problems = Vec::new();
        (find(&tree, "", &mut problems), problems)
    }

    /// Values of numpy 2.4.6: `[float(x) for x in np.linspace(0.1, 1, 10)]` and so on.
    const LINSPACE: [(&str, &[f64]); 6] = [
        ("[0.1, 1, 10]", &[0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6, 0.7000000000000001, 0.8, 0.9, 1.0]),
        ("[0, 1, 5]", &[0.0, 0.25, 0.5, 0.75, 1.0]),
        (
            "[0.01, 0.1, 10]",
            &[
                0.01,
                0.020000000000000004,
                0.030000000000000006,
                0.04000000000000001,
                0.05000000000000001,
                0.06000000000000001,
                0.07,
                0.08,
                0.09000000000000001,
                0.1,
            ],
        ),
        ("[0.0001, 0.001, 7]", &[0.0001, 0.00025, 0.00039999999999999996, 0.00055, 0.0007, 0.00085, 0.001]),
        ("[-0.3, 0.9, 5]", &[-0.3, 0.0, 0.3, 0.5999999999999999, 0.9]),
        ("[1e-05, 1, 6]", &[1e-05, 0.20000800000000002, 0.40000600000000003, 0.600004, 0.800002, 1.0]),
    ];

    /// The same for `np.geomspace`.
    const GEOMSPACE: [(&str, &[f64]); 6] = [
        ("[0.01, 1, 3]", &[0.01, 0.1, 1.0]),
        ("[0.003, 3, 4]", &[0.003, 0.03000000000000001, 0.3000000000000001, 3.0]),
        (
            "[0.0003, 0.03, 5]",
            &[0.0003, 0.0009486832980505141, 0.003000000000000001, 0.009486832980505141, 0.03],
        ),
        ("[1e-9, 1e9, 5]", &[1e-09, 3.1622776601683795e-05, 1.0, 31622.776601683792, 1000000000.0]),
        (
            "[0.001, 1, 7]",
            &[0.001, 0.0031622776601683794, 0.01, 0.03162277660168379, 0.1, 0.31622776601683794, 1.0],
        ),
        (
            "[0.1, 100, 10]",
            &[
                0.1,
                0.21544346900318834,
                0.46415888336127786,
                1.0,
                2.1544346900318834,
                4.6415888336127775,
                10.0,
                21.54434690031882,
                46.41588833612777,
                100.0,
            ],
        ),
    ];

    fn floats(text: &str) -> Vec<f64> {
        let (axes, problems) = axes(text);
        assert_eq!(problems, vec![]);
        let value = |tree: &Tree| match tree.value {
            Value::Float(x) => x,
            _ => panic!("{tree} is not a number"),
        };
        axes[0].values.iter().map(value).collect()
    }

    #[test]
    fn spaced_axes_have_the_values_of_numpy() {
        for (space, values) in LINSPACE {
            assert_eq!(floats(&format!("a: {{linspace: {space}}}")), values, "{space}");
        }
        for (space, values) in GEOMSPACE {
            let twelve: Vec<f64> = values.iter().map(|x| round(*x)).collect();
            assert_eq!(floats(&format!("a: {{logspace: {space}}}")), twelve, "{space}");
        }
    }

    #[test]
    fn the_last_axis_of_the_cross_product_varies_fastest() {
        let tree = yaml::read("{a: {values: [1, 2]}, b: [c, {values: [x, y]}]}").expect("good YAML");
        let axes = find(&tree, "", &mut Vec::new());
        assert_eq!(size(&axes), Some(4));
        let all: Vec<String> = variants(&tree, &axes).iter().map(|v| v.tree.to_string()).collect();
        assert_eq!(all, ["{a: 1, b: [c, x]}", "{a: 1, b: [c, y]}", "{a: 2, b: [c, x]}", "{a: 2, b: [c, y]}"]);
        assert_eq!(variants(&tree, &axes)[1].chosen[1].0, "b.1");
    }

    #[test]
    fn a_bad_axis_is_a_problem_at_its_position() {
        for (text, words) in [
            ("a: {values: []}", "1:13: a.values: an axis needs at least one value"),
            ("a: {values: 3}", "expected a list of values"),
            ("a: {values: [1, 1.0]}", "1:17: a: duplicate value 1.0"),
            ("a: {logspace: [0, 1, 3]}", "above 0"),
            ("a: {logspace: [-4, -1, 4]}", "not their exponents"),
            ("a: {linspace: [1, 0, 3]}", "not below"),
            ("a: {linspace: [0, 1, 1]}", "at least 2"),
            ("a: {linspace: [0, 1]}", "a list of three"),
            ("a: {linspace: [0, 1, 1000000000]}", "at most 10,000"),
            ("a: {linspace: [-1.7e308, 1.7e308, 3]}", "the distance between"),
            ("a: {values: [{values: [1]}]}", "inside another axis"),
        ] {
            let (_, problems) = axes(text);
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(all.iter().any(|problem| problem.contains(words)), "{text}: {all:?}");
        }
    }
}
