//! Reads the parameters of a node as declared in its table entry. Type, range and default come from the
//! table, so that the docs and the reader agree.

use crate::catalogue::{Default, Param, ParamType};
use crate::document::OtherNames;
use crate::expression::Expression;
use crate::fields::{Field, Fields, boolean, number, number_where, text, whole};
use crate::known::Metric;
use crate::length::{Length, length, length_of};
use crate::lr_value::{LrValue, lr_value};
use crate::metric_name::{REPORT_KEYS, check_name};
use crate::node::ScheduleNode;
use crate::problem::{Problem, all, listed, nearest};
use crate::tree::{Place, Tree, Value};

/// State of the whole schedule while its nodes are read.
#[derive(Debug)]
pub struct Reading {
    /// The number of closed-loop rules so far.
    pub(crate) rules: usize,
    /// Names of schedules of other libraries, for hints.
    pub(crate) names: OtherNames,
}

impl Reading {
    /// The state before anything is read.
    pub fn new(names: OtherNames) -> Self {
        Self { rules: 0, names }
    }
}

/// The parameters of one mapping.
#[derive(Debug)]
pub struct Reader<'a, 'p> {
    /// The mapping.
    pub fields: Fields<'a>,
    params: Vec<&'static [Param]>,
    /// The problems so far.
    pub problems: &'p mut Vec<Problem>,
    /// State of the whole schedule.
    pub(crate) reading: &'p mut Reading,
}

/// Bounds of a cycled momentum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Momentum {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl<'a, 'p> Reader<'a, 'p> {
    /// A reader of a mapping with these parameters.
    pub fn new(
        fields: Fields<'a>,
        params: &'static [Param],
        problems: &'p mut Vec<Problem>,
        reading: &'p mut Reading,
    ) -> Self {
        Self { fields, params: vec![params], problems, reading }
    }

    /// Allows more parameters in the mapping.
    pub(crate) fn allow(&mut self, params: &'static [Param]) {
        self.params.push(params);
    }

    /// The entry of a parameter in the table.
    pub fn param(&self, name: &str) -> Option<&'static Param> {
        self.params.iter().flat_map(|params| params.iter()).find(|param| param.name == name)
    }

    /// The outer `None` means a problem, the inner `None` a missing parameter.
    fn get<T, E: Into<Vec<Problem>>>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Field<'_>, &ParamType) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let Some(param) = self.param(name) else {
            let problem = Problem::new(self.fields.place(), name, "internal: not in the table of parameters");
            self.problems.push(problem);
            return None;
        };
        let result = match (self.fields.optional(name), param.default) {
            (Some(field), _) => read(&field, &param.ty),
            (None, Default::Absent) => return Some(None),
            (None, Default::Required) => {
                self.fields.required(name, self.problems);
                return None;
            }
            (None, Default::Is(text)) => {
                let mut tree = scalar(text);
                tree.place = self.fields.place();
                read(&Field { tree: &tree, path: self.fields.path_of(name) }, &param.ty)
            }
        };
        match result {
            Ok(value) => Some(Some(value)),
            Err(found) => {
                self.problems.extend(found.into());
                None
            }
        }
    }

    /// Reads a parameter only to find its problems.
    pub fn check(&mut self, name: &'static str, ty: &ParamType) {
        match ty {
            ParamType::Lr | ParamType::PositiveLr => drop(self.maybe_lr(name)),
            ParamType::LrOr(_) => drop(self.lr_or_word(name)),
            ParamType::Length(_) => drop(self.maybe_length(name)),
            ParamType::Number(_) => drop(self.maybe_number(name)),
            ParamType::Whole(_) => drop(self.maybe_whole(name)),
            ParamType::Integer => drop(self.integer(name)),
            ParamType::Flag => drop(self.flag(name)),
            ParamType::Choice(_) => drop(self.maybe_choice(name)),
            ParamType::Metric(_) => drop(self.maybe_metric(name)),
            ParamType::Lengths => drop(self.lengths(name)),
            ParamType::Factors => drop(self.maybe_factors(name)),
            ParamType::Lrs => drop(self.maybe_lrs(name)),
            ParamType::Points => drop(self.points(name)),
            ParamType::Expression => drop(self.expression(name)),
            ParamType::Momentum => drop(self.momentum()),
        }
    }

    /// A learning rate.
    pub fn lr(&mut self, name: &'static str) -> Option<LrValue> {
        self.maybe_lr(name)?
    }

    /// An optional learning rate.
    pub fn maybe_lr(&mut self, name: &'static str) -> Option<Option<LrValue>> {
        self.get(name, |field, ty| match (lr_value(field)?, ty) {
            (lr, ParamType::PositiveLr) if lr.is_zero() => Err(field.expected("a learning rate above 0")),
            (lr, _) => Ok(lr),
        })
    }

    /// A learning rate, or `None` for the word that the table allows instead.
    pub(crate) fn lr_or_word(&mut self, name: &'static str) -> Option<Option<LrValue>> {
        self.get(name, |field, ty| match (ty, &field.tree.value) {
            (ParamType::LrOr(word), Value::Text(text)) if text == word => Ok(None),
            (ParamType::LrOr(word), _) => lr_value(field)
                .map(Some)
                .map_err(|_| field.expected(&format!("a learning rate of at least 0, or the word `{word}`"))),
            _ => lr_value(field).map(Some),
        })?
    }

    pub(crate) fn length(&mut self, name: &'static str) -> Option<Length> {
        self.maybe_length(name)?
    }

    pub(crate) fn maybe_length(&mut self, name: &'static str) -> Option<Option<Length>> {
        self.get(name, |field, ty| match ty {
            ParamType::Length(least) => length_of(*least)(field),
            _ => length(field),
        })
    }

    /// A number.
    pub fn number(&mut self, name: &'static str) -> Option<f64> {
        self.maybe_number(name)?
    }

    /// An optional number.
    pub fn maybe_number(&mut self, name: &'static str) -> Option<Option<f64>> {
        self.get(name, |field, ty| match ty {
            ParamType::Number(range) => number_where(range.words, range.accepts)(field),
            _ => number(field),
        })
    }

    /// A whole number of at least 0.
    pub fn whole(&mut self, name: &'static str) -> Option<u64> {
        self.maybe_whole(name)?
    }

    pub(crate) fn maybe_whole(&mut self, name: &'static str) -> Option<Option<u64>> {
        self.get(name, |field, ty| match ty {
            ParamType::Whole(least) => whole(*least)(field),
            _ => whole(0)(field),
        })
    }

    /// A whole number.
    pub fn integer(&mut self, name: &'static str) -> Option<i64> {
        self.get(name, |field, _| field.tree.integer().ok_or_else(|| field.expected("a whole number")))?
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.get(name, |field, _| boolean(field))?
    }

    /// One of the words that the table lists.
    pub fn choice(&mut self, name: &'static str) -> Option<&'static str> {
        self.maybe_choice(name)?
    }

    pub(crate) fn maybe_choice(&mut self, name: &'static str) -> Option<Option<&'static str>> {
        self.get(name, |field, ty| {
            let ParamType::Choice(words) = ty else { return Err(field.expected("a word")) };
            word(field, words)
        })
    }

    pub(crate) fn maybe_metric(&mut self, name: &'static str) -> Option<Option<Metric>> {
        self.get(name, |field, ty| match ty {
            ParamType::Metric(names) => metric(field, names),
            ParamType::Choice(words) => Ok(Metric::named(word(field, words)?)),
            _ => Err(field.expected("a metric")),
        })
    }

    pub(crate) fn lengths(&mut self, name: &'static str) -> Option<Vec<Length>> {
        self.maybe_lengths(name)?
    }

    pub(crate) fn maybe_lengths(&mut self, name: &'static str) -> Option<Option<Vec<Length>>> {
        self.get(name, |field, _| each(field, "a list of lengths", length))
    }

    pub(crate) fn maybe_factors(&mut self, name: &'static str) -> Option<Option<Vec<f64>>> {
        let above_0 = number_where("a number above 0", |x| x > 0.0);
        self.get(name, |field, _| each(field, "a list of numbers above 0", &above_0))
    }

    pub(crate) fn maybe_lrs(&mut self, name: &'static str) -> Option<Option<Vec<LrValue>>> {
        self.get(name, |field, _| each(field, "a list of learning rates", lr_value))
    }

    pub(crate) fn points(&mut self, name: &'static str) -> Option<Vec<(Length, LrValue)>> {
        const FORM: &str = "a list of [length, learning rate] pairs";
        const PAIR: &str = "a [length, learning rate] pair";
        self.get(name, |field, _| {
            each(field, FORM, |item| match &item.tree.value {
                Value::List(pair) => match pair.as_slice() {
                    [at, lr] => Ok((
                        length(&Field { tree: at, path: item.path.clone() })?,
                        lr_value(&Field { tree: lr, path: item.path.clone() })?,
                    )),
                    _ => Err(item.expected(PAIR)),
                },
                _ => Err(item.expected(PAIR)),
            })
        })?
    }

    /// An expression, and a problem without a message for errors that are found later.
    pub(crate) fn expression(&mut self, name: &'static str) -> Option<(Expression, Problem)> {
        self.get(name, |field, _| {
            let text = match &field.tree.value {
                Value::Text(text) => text.clone(),
                Value::Int(_) | Value::Float(_) => field.tree.to_string(),
                _ => return Err(field.expected("an expression, as in \"0.95 ** t\"")),
            };
            match text.parse::<Expression>() {
                Ok(expression) => Ok((expression, field.problem(""))),
                Err(_) if text.trim_start().starts_with("lambda ") => {
                    let problem = field.problem("expected an expression, found a Python lambda");
                    Err(problem.with_hint("write the part after the colon, as a function of t"))
                }
                Err(error) => Err(Problem { hint: error.hint, ..field.problem(error.message) }),
            }
        })?
    }

    /// `{min, max}`; if it is missing, the optimizer's momentum is not changed.
    pub(crate) fn momentum(&mut self) -> Option<Option<Momentum>> {
        let Some(field) = self.fields.optional("momentum") else { return Some(None) };
        if field.tree.value == Value::Null {
            return Some(None);
        }
        let mut fields = Fields::new(field.tree, &field.path, self.problems)?;
        let within = || number_where("a number of at least 0 and below 1", |x| (0.0..1.0).contains(&x));
        let min = fields.read("min", self.problems, within());
        let max = fields.read("max", self.problems, within());
        fields.finish(self.problems);
        let (min, max) = (min?, max?);
        if min > max {
            self.problems.push(field.problem(format!("`min` ({min}) is above `max` ({max})")));
            return None;
        }
        Some(Some(Momentum { min, max }))
    }

    /// A schedule.
    pub(crate) fn node(&mut self, name: &'static str) -> Option<ScheduleNode> {
        let field = self.fields.required(name, self.problems)?;
        ScheduleNode::read(field.tree, &field.path, self.problems, self.reading)
    }

    /// A non-empty list of schedules.
    pub(crate) fn nodes(&mut self, name: &'static str) -> Option<Vec<ScheduleNode>> {
        let field = self.fields.required(name, self.problems)?;
        let items = match &field.tree.value {
            Value::List(items) if !items.is_empty() => items,
            Value::List(_) => {
                self.problems.push(field.problem("expected a list of schedules, found an empty list"));
                return None;
            }
            _ => {
                self.problems.push(field.expected("a list of schedules"));
                return None;
            }
        };
        // Reads every item, to find all problems.
        let parts: Vec<Option<ScheduleNode>> = items
            .iter()
            .enumerate()
            .map(|(i, tree)| {
                ScheduleNode::read(tree, &format!("{}[{i}]", field.path), self.problems, self.reading)
            })
            .collect();
        parts.into_iter().collect()
    }

    /// Reports unknown keys. `names` are known even if reading stopped before them.
    pub fn finish_known(mut self, names: impl Iterator<Item = &'static str>) {
        names.for_each(|name| self.fields.mark_known(name));
        self.finish();
    }

    /// Reports unknown keys.
    pub(crate) fn finish(self) {
        self.fields.finish(self.problems);
    }

    /// The place of the value of a key, or of the mapping if the key is missing.
    pub(crate) fn place_of(&mut self, name: &'static str) -> Place {
        self.fields.optional(name).map_or(self.fields.place(), |field| field.tree.place)
    }

    /// A problem with one key's value.
    pub fn problem(&mut self, name: &'static str, message: impl Into<String>) {
        let place = self.place_of(name);
        let path = self.fields.path_of(name);
        self.problems.push(Problem::new(place, path, message));
    }
}

/// Reads one of `words`, with the nearest word as a hint.
pub(crate) fn word(field: &Field<'_>, words: &[&'static str]) -> Result<&'static str, Problem> {
    let typed =
        text(field).map_err(|_| field.expected(&format!("one of {}", listed(words.iter().copied()))))?;
    words.iter().copied().find(|word| *word == typed).ok_or_else(|| {
        let problem = field.expected(&format!("one of {}", listed(words.iter().copied())));
        match nearest(&typed, words.iter().copied()) {
            Some(word) => problem.with_hint(format!("did you mean `{word}`?")),
            None => problem,
        }
    })
}

/// Reads one of these metrics, or the name of one that the program reports.
fn metric(field: &Field<'_>, names: &[&'static str]) -> Result<Metric, Problem> {
    let typed = text(field)?;
    if names.contains(&typed.as_str()) {
        return Ok(Metric::named(&typed));
    }
    if REPORT_KEYS.contains(&typed.as_str()) {
        let names = listed(names.iter().copied());
        return Err(field.expected(&format!("one of {names}, or a metric of the program's own")));
    }
    check_name(&typed).map_err(|message| field.problem(message))?;
    Ok(Metric::Own(typed.into()))
}

/// Reads the items of a non-empty list.
fn each<T>(
    field: &Field<'_>,
    form: &str,
    read: impl Fn(&Field<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Vec<Problem>> {
    match &field.tree.value {
        Value::List(items) if !items.is_empty() => all(items
            .iter()
            .enumerate()
            .map(|(i, tree)| read(&Field { tree, path: format!("{}[{i}]", field.path) }))),
        Value::List(_) => Err(field.problem(format!("expected {form}, found an empty list")).into()),
        _ => Err(field.expected(form).into()),
    }
}

/// Parses a default value of the table.
pub fn scalar(text: &str) -> Tree {
    let value = match (text, text.parse::<i64>(), text.parse::<f64>()) {
        ("true", ..) => Value::Bool(true),
        ("false", ..) => Value::Bool(false),
        (_, Ok(i), _) => Value::Int(i),
        (_, _, Ok(x)) => Value::Float(x),
        _ => Value::Text(text.to_owned()),
    };
    Tree::new(value)
}
