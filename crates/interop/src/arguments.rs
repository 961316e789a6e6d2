//! Reads the arguments of one schedule of another library as declared in its entry.

use schedule::catalogue::{Default, ParamType};
use schedule::document::{OtherNames, StatedLength};
use schedule::fields::{Field, Fields};
use schedule::lr_value::LrValue;
use schedule::problem::Problem;
use schedule::reader::{Reader, Reading, scalar};
use schedule::tree::{Key, Tree, Value};

use crate::entry::{ExtraType, LibraryEntry, NumberType, Typed};
use crate::{program, trees};

/// A schedule inside another.
#[derive(Debug)]
pub(crate) struct Child {
    /// The schedule as the user wrote it.
    pub(crate) written: Tree,
    pub(crate) expanded: Tree,
    pub(crate) length: Option<StatedLength>,
    /// Whether it has no problems.
    pub(crate) fine: bool,
}

/// Expands a schedule. This is `expand::expand`, passed as a function because it calls this module.
pub(crate) type Expand = fn(&Tree, &str, &mut Vec<Problem>) -> Tree;

/// The arguments that the user passed.
pub(crate) struct Arguments<'a, 'p> {
    reader: Reader<'a, 'p>,
    /// The child schedules, in order.
    pub(crate) children: Vec<Child>,
    pub(crate) length: Option<StatedLength>,
    expand: Expand,
}

/// Reads the arguments of an entry. Returns the expansion and the length that it sets.
pub(crate) fn read(
    entry: &'static LibraryEntry,
    own: &Tree,
    children: Vec<Child>,
    path: &str,
    problems: &mut Vec<Problem>,
    expand: Expand,
) -> (Option<Tree>, Option<StatedLength>) {
    let mut reading = Reading::new(OtherNames::NONE);
    let Some(fields) = Fields::new(own, path, problems) else { return (None, None) };
    let reader = Reader::new(fields, entry.params, problems, &mut reading);
    let mut given = Arguments { reader, children, length: None, expand };
    let before = given.reader.problems.len();
    for (name, reason) in entry.refused {
        if given.reader.fields.optional(name).is_some() {
            given.problem(name, format!("`{name}` is not supported: {reason}"));
        }
    }
    entry.typed.iter().for_each(|typed| given.check_type(typed));
    for extra in entry.extra {
        given.check_form(extra.name, extra.ty, extra.required);
    }
    // Reads all parameters, so that all problems are found. Reading one again adds no problem.
    for param in entry.params {
        given.check(param.name, &param.ty);
    }
    let fine = given.reader.problems.len() == before;
    if fine && given.has("last_epoch") && given.integer("last_epoch") != Some(-1) {
        given.problem("last_epoch", "expected -1, because schedules begin at step 0 here");
    }
    let fine = fine && given.reader.problems.len() == before;
    let expanded = if fine { (entry.expand)(&mut given) } else { None };
    if expanded.is_none() && given.reader.problems.len() == before {
        let message = format!("`{}` can't be expanded with these arguments", entry.name);
        given.reader.problems.push(Problem::new(own.place, path, message));
    }
    let length = given.length;
    given.reader.finish_known(entry.params.iter().map(|param| param.name));
    (expanded, length)
}

fn is_empty(tree: &Tree) -> bool {
    matches!(&tree.value, Value::List(items) if items.is_empty())
}

impl Arguments<'_, '_> {
    /// Checks one parameter against its type.
    fn check(&mut self, name: &'static str, ty: &ParamType) {
        let reader = &mut self.reader;
        let float = reader.fields.optional(name).filter(|field| matches!(field.tree.value, Value::Float(_)));
        // In Python 2.0 is not an integer, and most libraries refuse it.
        if let (ParamType::Whole(_) | ParamType::Integer, Some(field)) = (ty, float) {
            reader.problems.push(field.expected("a whole number without a point or an exponent"));
            return;
        }
        match ty {
            // Some lists may be empty in Python; the entry checks that.
            ParamType::Lengths if reader.fields.optional(name).is_some_and(|field| is_empty(field.tree)) => {}
            ParamType::Expression => drop(self.expression(name)),
            _ => reader.check(name, ty),
        }
    }

    /// An expression or a lambda, converted to an expression of `schedule`.
    fn expression(&mut self, name: &'static str) -> Option<Tree> {
        let field = self.reader.fields.required(name, self.reader.problems)?;
        let Value::Text(text) = &field.tree.value else {
            let problem = field.expected("a lambda of the step, as in `lambda t: 0.95 ** t`");
            self.reader.problems.push(problem);
            return None;
        };
        let text = match program::expression(text) {
            Ok(text) => text,
            Err(message) => {
                self.reader.problems.push(field.problem(message));
                return None;
            }
        };
        match text.parse::<schedule::expression::Expression>() {
            Ok(_) => Some(Tree { place: field.tree.place, value: Value::Text(text) }),
            Err(error) => {
                let problem = Problem { hint: error.hint, ..field.problem(error.message) };
                self.reader.problems.push(problem);
                None
            }
        }
    }

    /// Refuses a number of the wrong Python type.
    fn check_type(&mut self, typed: &Typed) {
        let Some(field) = self.reader.fields.optional(typed.name) else { return };
        let found = match (&field.tree.value, typed.number) {
            (Value::Float(x), NumberType::Int) => format!("{x:?}"),
            (Value::Int(i), NumberType::Float) => i.to_string(),
            _ => return,
        };
        let message = format!("expected {}, found {found}: {}", typed.number, typed.otherwise);
        self.reader.problems.push(field.problem(message));
    }

    /// Checks the type of a parameter that is not a single value.
    fn check_form(&mut self, name: &'static str, ty: ExtraType, required: bool) {
        let Some(field) = self.reader.fields.optional(name) else {
            if required {
                self.reader.fields.required(name, self.reader.problems);
            }
            return;
        };
        let problem = match (&field.tree.value, ty) {
            (Value::List(items), ExtraType::Schedules) if !items.is_empty() => return,
            (Value::List(items), ExtraType::Each)
                if !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Map(_))) =>
            {
                return;
            }
            (Value::Map(_), ExtraType::Scales | ExtraType::Parameters)
            | (Value::Text(_), ExtraType::Word) => return,
            (Value::List(items), ExtraType::Span) if items.len() == 2 => return,
            (Value::List(items), ExtraType::Shares) if matches!(items.len(), 1 | 2) => return,
            (Value::Int(_) | Value::Float(_), ExtraType::Shares) => return,
            (_, ExtraType::Shares) => field.expected("a fraction of the run, or [from, to]"),
            (Value::Int(_) | Value::Float(_) | Value::Text(_), ExtraType::Span) => return,
            (_, ExtraType::Span) => field.expected("a length, or [from, to]"),
            (Value::Int(i), ExtraType::Ticks) if *i > 0 => return,
            (Value::Float(x), ExtraType::Ticks) if *x > 0.0 => return,
            (Value::Text(_), ExtraType::Ticks) => return,
            (_, ExtraType::Ticks) => field.expected("a length above 0"),
            (Value::List(items), ExtraType::Pair) if is_pair(items) => return,
            (_, ExtraType::Pair) => field.expected("a word and a number, as in [distance, 0.01]"),
            (_, ExtraType::Schedules) => field.expected("a list of schedules, at least one"),
            (_, ExtraType::Each) => field.expected("a list of mappings, at least one"),
            (_, ExtraType::Scales) => field.expected("a mapping from steps to factors, as in {30: 0.1}"),
            (_, ExtraType::Word) => field.expected("a word"),
            (_, ExtraType::Parameters) => field.expected("a mapping of parameters"),
        };
        self.reader.problems.push(problem);
    }

    /// Whether the user passed this parameter.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.reader.fields.has(name)
    }

    /// The value of a parameter as written, or its default.
    pub(crate) fn tree(&mut self, name: &'static str) -> Option<Tree> {
        self.maybe_tree(name).or_else(|| match self.reader.param(name)?.default {
            Default::Is(text) => Some(scalar(text)),
            _ => None,
        })
    }

    /// The value of a parameter, if the user passed it.
    pub(crate) fn maybe_tree(&mut self, name: &'static str) -> Option<Tree> {
        if self.reader.param(name).is_some_and(|param| matches!(param.ty, ParamType::Expression)) {
            return self.expression(name);
        }
        self.reader.fields.optional(name).map(|field| field.tree.clone())
    }

    /// The `mode` of the expansion: that of the user, or the library's default if the default here is
    /// different.
    pub(crate) fn mode(&mut self) -> Option<Tree> {
        let given = self.maybe_tree("mode");
        let accuracy = self.word("watch").is_some_and(|metric| metric == "valid_accuracy");
        if accuracy { given.or_else(|| self.tree("mode")) } else { given }
    }

    pub(crate) fn lr(&mut self, name: &'static str) -> Option<LrValue> {
        self.reader.lr(name)
    }

    pub(crate) fn maybe_lr(&mut self, name: &'static str) -> Option<LrValue> {
        self.reader.maybe_lr(name)?
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Option<f64> {
        self.reader.number(name)
    }

    pub(crate) fn maybe_number(&mut self, name: &'static str) -> Option<f64> {
        self.reader.maybe_number(name)?
    }

    pub(crate) fn whole(&mut self, name: &'static str) -> Option<u64> {
        self.reader.whole(name)
    }

    pub(crate) fn integer(&mut self, name: &'static str) -> Option<i64> {
        self.reader.integer(name)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.reader.flag(name)
    }

    pub(crate) fn choice(&mut self, name: &'static str) -> Option<&'static str> {
        self.reader.choice(name)
    }

    /// The text of a parameter.
    pub(crate) fn word(&mut self, name: &'static str) -> Option<String> {
        match &self.reader.fields.optional(name)?.tree.value {
            Value::Text(word) => Some(word.clone()),
            _ => None,
        }
    }

    /// A value derived from a parameter, with the place of that parameter.
    pub(crate) fn at_place_of(&mut self, name: &'static str, tree: Tree) -> Tree {
        Tree { place: self.maybe_tree(name).map_or(tree.place, |given| given.place), ..tree }
    }

    /// Adds a problem with one parameter.
    pub(crate) fn problem(&mut self, name: &'static str, message: impl Into<String>) {
        self.reader.problem(name, message);
    }

    /// Adds a problem with one parameter and returns no expansion.
    pub(crate) fn refuse(&mut self, name: &'static str, message: impl Into<String>) -> Option<Tree> {
        self.problem(name, message);
        None
    }

    /// The items of a list.
    pub(crate) fn items(&mut self, name: &'static str) -> Vec<Tree> {
        match self.reader.fields.optional(name).map(|field| &field.tree.value) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&mut self, name: &'static str) -> Vec<(Key, Tree)> {
        match self.reader.fields.optional(name).map(|field| &field.tree.value) {
            Some(Value::Map(entries)) => entries.clone(),
            _ => Vec::new(),
        }
    }

    /// A mapping from steps to factors of at least 0, in the order of the steps.
    pub(crate) fn scales(&mut self, name: &'static str) -> Option<Vec<(i64, f64)>> {
        let mut scales = Vec::new();
        let path = self.reader.fields.path_of(name);
        for (key, tree) in self.entries(name) {
            let field = Field { tree: &tree, path: format!("{path}.{}", key.name) };
            let factor = schedule::fields::number_where("a number of at least 0", |x| x >= 0.0)(&field);
            match (key.name.trim().parse::<i64>(), factor) {
                (Ok(step), Ok(factor)) if step >= 0 => scales.push((step, factor)),
                (_, Err(problem)) => self.reader.problems.push(problem),
                _ => {
                    let message =
                        format!("expected a step, a whole number of at least 0, found `{}`", key.name);
                    self.reader.problems.push(Problem::new(key.place, field.path, message));
                }
            }
        }
        scales.sort_by_key(|(step, _)| *step);
        Some(scales)
    }

    /// The length `a - b` that remains after a length `b`. If `a` is "100%", the rest is "100%" of the
    /// remaining segment. Also returns a number with the sign of the difference.
    pub(crate) fn minus(&mut self, a: &'static str, b: &'static str) -> Option<(Tree, f64)> {
        let (x, y) = (self.tree(a)?, self.tree(b)?);
        let share = matches!(&x.value, Value::Text(text) if text.trim().ends_with('%'));
        if share && x.value == Value::Text("100%".to_owned()) {
            return Some((x, 1.0));
        }
        let difference = trees::combine_lengths(&x, &y, |x, y| x - y);
        match difference {
            Some(difference) if !share || trees::ticks(&y) == Some(0.0) => Some(difference),
            _ => {
                let hint = "both in steps, or `100%` for the first";
                self.problem(b, format!("can't subtract {y} from `{a}` ({x}): expected {hint}"));
                None
            }
        }
    }

    /// Expands a child schedule.
    pub(crate) fn expanded(&mut self, tree: &Tree, name: &str) -> Option<Tree> {
        let before = self.reader.problems.len();
        let expanded = (self.expand)(tree, &self.reader.fields.path_of(name), self.reader.problems);
        (self.reader.problems.len() == before).then_some(expanded)
    }

    /// Sets the length of the schedule, if it is in plain ticks.
    pub(crate) fn set_length(&mut self, length: &Tree) {
        self.set_length_ticks(trees::ticks(length));
    }

    pub(crate) fn set_length_ticks(&mut self, ticks: Option<f64>) {
        self.length = ticks.map(|ticks| StatedLength { ticks, epochs: false });
    }

    /// The same, in epochs.
    pub(crate) fn set_length_epochs(&mut self, ticks: Option<f64>) {
        self.length = ticks.map(|ticks| StatedLength { ticks, epochs: true });
    }
}

fn is_pair(items: &[Tree]) -> bool {
    let number = |tree: &Tree| matches!(tree.value, Value::Int(_) | Value::Float(_));
    matches!(items, [word, x] if matches!(word.value, Value::Text(_)) && number(x))
}
