//! Finds chosen values that are the lowest or highest that was tried, so that a better value may lie beyond: base lrs and
//! axes with numbers.

use std::collections::BTreeMap;

use crate::results::{Config, Grid};

/// An end of the values that were tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The lowest.
    Low,
    /// The highest.
    High,
}

impl Edge {
    /// The name in outputs for programs.
    pub fn name(self) -> &'static str {
        match self {
            Edge::Low => "low",
            Edge::High => "high",
        }
    }

    /// The mark in a table.
    pub fn flag(self) -> &'static str {
        match self {
            Edge::Low => "↓EDGE",
            Edge::High => "↑EDGE",
        }
    }

    /// The word in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Edge::Low => "lowest",
            Edge::High => "highest",
        }
    }
}

/// An axis whose chosen value is the lowest or highest that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisEdge {
    /// The axis, as in `schedule.cooldown.over`.
    pub path: String,
    /// The chosen value, as in `20%`.
    pub value: String,
    /// The end.
    pub edge: Edge,
}

/// The end of `values` that `chosen` is, if it is one. `values` are in ascending order; a single value has no ends.
pub(crate) fn edge(chosen: f64, values: &[f64]) -> Option<Edge> {
    match values {
        [] | [_] => None,
        [lowest, ..] if chosen == *lowest => Some(Edge::Low),
        [.., highest] if chosen == *highest => Some(Edge::High),
        _ => None,
    }
}

/// The axes of a config whose value is an end of the grid's values. Axes of words have no ends, and 0 and 100% are not reported:
/// no value lies beyond.
pub(crate) fn axis_edges(grid: &Grid<'_>, chosen: &Config<'_>) -> Vec<AxisEdge> {
    let mut tried: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, value) in grid.configs.iter().flat_map(|config| &config.axes) {
        tried.entry(path).or_default().push(value);
    }
    let own = chosen.axes.iter();
    own.filter_map(|(path, value)| {
        let edge = axis_edge(value, tried.get(path.as_str())?)?;
        Some(AxisEdge { path: path.clone(), value: value.clone(), edge })
    })
    .collect()
}

fn axis_edge(chosen: &str, tried: &[&str]) -> Option<Edge> {
    let all: Option<Vec<(f64, &str)>> = tried.iter().map(|value| number(value)).collect();
    let all = all?;
    // 0 has no unit.
    let mut units = all.iter().filter(|(number, _)| *number != 0.0).map(|(_, unit)| *unit);
    let unit = units.next()?;
    if units.any(|other| other != unit) {
        return None;
    }
    let mut values: Vec<f64> = all.iter().map(|(number, _)| *number).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let (chosen, _) = number(chosen)?;
    match edge(chosen, &values)? {
        Edge::Low if chosen == 0.0 => None,
        Edge::High if unit == "%" && chosen == 100.0 => None,
        edge => Some(edge),
    }
}

/// A value as a finite number and its unit: `20%`, `0.1x`, `2 epochs`, `0.9`.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_matches('"');
    let end = text.find(|c: char| c == '%' || c == 'x' || c.is_whitespace()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_numbers_with_one_unit_has_edges() {
        let lengths = ["10%", "20%", "40%"];
        assert_eq!(axis_edge("40%", &lengths), Some(Edge::High));
        assert_eq!(axis_edge("10%", &lengths), Some(Edge::Low));
        assert_eq!(axis_edge("20%", &lengths), None);
        assert_eq!(axis_edge("0.1x", &["0", "0.1x"]), Some(Edge::High));
        assert_eq!(axis_edge("1000", &["9", "10", "1000"]), Some(Edge::High));
        assert_eq!(axis_edge("2 epochs", &["2 epochs", "3 epochs"]), Some(Edge::Low));
    }

    #[test]
    fn words_bounds_mixed_units_and_single_values_have_no_edges() {
        assert_eq!(axis_edge("0", &["0", "0.1x"]), None);
        assert_eq!(axis_edge("100%", &["50%", "100%"]), None);
        assert_eq!(axis_edge("cosine", &["cosine", "linear"]), None);
        assert_eq!(axis_edge("10%", &["10%", "100"]), None);
        assert_eq!(axis_edge("10%", &["10%", "10%"]), None);
        assert_eq!(axis_edge("true", &["true", "false"]), None);
    }
}
