//! A schedule as a tree of leaves, rules and combinators: reading it from a document and evaluating it at a
//! position.

use crate::State;
use crate::catalogue::{self, Build, CLOCKS, ENTRIES, Entry};
use crate::combine::{self, COMBINATORS};
use crate::coverage::Coverage;
use crate::document::OtherNames;
use crate::fields::{Field, Fields};
use crate::formula::{Term, TermPosition};
use crate::index::{self, Item, normalized};
use crate::known::Known;
use crate::leaf::Leaf;
use crate::leaf::constant::Constant;
use crate::lint;
use crate::lr_value::lr_value;
use crate::problem::{Problem, listed, nearest};
use crate::ramp::Ramp;
use crate::reader::{Reader, Reading, word};
use crate::rule::{Memory, Rule};
use crate::segment::Position;
use crate::tree::{Place, Tree, Value};

/// The key of schedules by parameter group, at the top of a schedule.
pub(crate) const GROUPS: &str = "groups";

/// A node of the tree and its clock.
#[derive(Debug)]
pub(crate) struct ScheduleNode {
    clock: Option<Clock>,
    kind: NodeKind,
    /// The problem if the clock counts epochs and the length of an epoch is unknown.
    no_epochs: Option<Problem>,
    place: Place,
    path: String,
}

#[derive(Debug)]
enum NodeKind {
    Leaf(Box<dyn Leaf>),
    /// A rule, the index of its memory, and its kind.
    Rule(usize, Box<dyn Rule>, &'static str),
    Branch(Box<dyn Branch>),
}

/// A combinator: its lr depends on its children's.
pub(crate) trait Branch: std::fmt::Debug + Send + Sync {
    fn lr(&self, at: &Position, memories: &Memories) -> f64;

    /// Whether [`Branch::formula`] can express its lr as a function of t.
    fn has_formula(&self) -> bool {
        true
    }

    /// The lr as a term; `None` if it depends on more than t.
    fn formula(&self, at: &TermPosition) -> Option<Term>;

    /// Its form in other libraries.
    fn known(&self, _at: &Position) -> Known {
        Known::Other
    }

    /// The children that are active at a position, each with its own position.
    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position));

    /// All children, each with the start of its segment; this segment starts at `at`.
    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position));

    /// The children whose lr is evaluated at a position, each with the position of the evaluation.
    fn evaluated_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        self.active_children(at, visit);
    }

    /// Checks everything except the children. They are checked only if this finds no problem.
    fn check(&self, at: &Position, problems: &mut Vec<Problem>);

    /// The part of each child that a run covers if it covers `covered` of this segment. For repeated
    /// children, the first repetition.
    fn covered_children<'a>(&'a self, covered: &Coverage, visit: &mut dyn FnMut(&'a ScheduleNode, Coverage)) {
        self.children(&covered.start, &mut |child, at| visit(child, Coverage { start: at, ..*covered }));
    }

    /// Warns about everything except the children. A warning without a path is about the node.
    fn warn(&self, _covered: &Coverage, _warnings: &mut Vec<Problem>) {}

    /// Whether it turns a constant into a constant.
    fn keeps_constant(&self) -> bool {
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Clock {
    Step,
    Epoch,
    EpochFraction,
}

/// The memories of all rules of a schedule.
pub(crate) type Memories = State;

/// The memory of one rule in one segment.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Slot {
    /// The step of the run at which the segment began.
    #[serde(with = "crate::exact")]
    begin: f64,
    memory: Option<Memory>,
}

impl Slot {
    /// The memory at a position. A new segment starts with a fresh memory.
    pub(crate) fn memory(&mut self, rule: &dyn Rule, at: &Position) -> &mut Memory {
        if self.begin != at.begin {
            *self = Self { begin: at.begin, memory: None };
        }
        self.memory.get_or_insert_with(|| rule.start(at.base))
    }

    /// The memory of the segment of a position, if it has one.
    pub(crate) fn memory_at(&self, at: &Position) -> Option<&Memory> {
        self.memory.as_ref().filter(|_| self.begin == at.begin)
    }

    /// Whether the memory, if any, belongs to this kind of rule.
    pub(crate) fn fits(&self, rule: &dyn Rule) -> bool {
        self.memory.as_ref().is_none_or(|memory| memory.is_like(&rule.start(1.0)))
    }

    /// The lr at a position: from the memory, or the rule's initial lr in a new segment.
    fn lr(&self, rule: &dyn Rule, at: &Position) -> f64 {
        self.memory_at(at).map_or_else(|| rule.start(at.base).lr, |memory| memory.lr)
    }
}

impl ScheduleNode {
    /// Reads a node.
    pub(crate) fn read(
        tree: &Tree,
        path: &str,
        problems: &mut Vec<Problem>,
        reading: &mut Reading,
    ) -> Option<Self> {
        let field = Field { tree, path: path.to_owned() };
        match &tree.value {
            Value::Map(_) => Self::read_fields(Fields::new(tree, path, problems)?, problems, reading),
            Value::Int(_) | Value::Float(_) | Value::Text(_) => match lr_value(&field) {
                Ok(value) => Some(Self::leaf(Box::new(Constant { value }))),
                Err(problem) => {
                    problems.push(match &tree.value {
                        Value::Text(text) => with_meant_name(problem, text, reading.names),
                        _ => problem,
                    });
                    None
                }
            },
            _ => {
                problems.push(field.expected("a schedule, as in {kind: cosine, to: 0}"));
                None
            }
        }
    }

    /// Reads a node from a mapping. Some of its keys may have been read before.
    pub(crate) fn read_fields(
        mut fields: Fields<'_>,
        problems: &mut Vec<Problem>,
        reading: &mut Reading,
    ) -> Option<Self> {
        let clock = fields.read_or("clock", (None, None), problems, |field| {
            let problem = field.problem("this clock counts epochs, but the length of an epoch is unknown");
            let problem = Some(problem.with_hint("pass --steps-per-epoch, or remove `clock`"));
            word(field, CLOCKS).map(|name| match name {
                "epoch" => (Some(Clock::Epoch), problem),
                "epoch_fraction" => (Some(Clock::EpochFraction), problem),
                _ => (Some(Clock::Step), None),
            })
        });
        let allow = fields.read_or("allow", Vec::new(), problems, lint::allow_list);
        let (place, path) = (fields.place(), fields.path().to_owned());
        let kind = match fields.optional("kind") {
            Some(kind) => Self::read_kind(&kind, fields, problems, reading),
            None => Self::read_combinator(fields, problems, reading),
        };
        let (clock, no_epochs) = clock?;
        allow?;
        Some(Self { clock, kind: kind?, no_epochs, place, path })
    }

    fn read_kind(
        kind: &Field<'_>,
        fields: Fields<'_>,
        problems: &mut Vec<Problem>,
        reading: &mut Reading,
    ) -> Option<NodeKind> {
        let Some(entry) = (match &kind.tree.value {
            Value::Text(name) => catalogue::find(name),
            _ => None,
        }) else {
            problems.push(unknown_kind(kind, reading.names));
            // Checks the other keys against the kind with the nearest name.
            if let Value::Text(name) = &kind.tree.value
                && let Some(entry) =
                    nearest(name, ENTRIES.iter().map(|entry| entry.kind)).and_then(catalogue::find)
            {
                Self::read_entry(entry, fields, problems, reading);
            }
            return None;
        };
        Self::read_entry(entry, fields, problems, reading)
    }

    fn read_entry(
        entry: &'static Entry,
        fields: Fields<'_>,
        problems: &mut Vec<Problem>,
        reading: &mut Reading,
    ) -> Option<NodeKind> {
        let mut reader = Reader::new(fields, entry.params, problems, reading);
        let kind = match entry.build {
            Build::Ramp(shape) => {
                reader.allow(crate::ramp::PARAMS);
                Ramp::read(&mut reader, shape).map(|ramp| NodeKind::Leaf(Box::new(ramp)))
            }
            Build::Leaf(read) => read(&mut reader).map(NodeKind::Leaf),
            Build::Rule(read) => read(&mut reader).map(|rule| {
                reader.reading.rules += 1;
                NodeKind::Rule(reader.reading.rules - 1, rule, entry.kind)
            }),
        };
        reader.finish_known(entry.all_params().map(|param| param.name));
        kind
    }

    fn read_combinator(
        mut fields: Fields<'_>,
        problems: &mut Vec<Problem>,
        reading: &mut Reading,
    ) -> Option<NodeKind> {
        let Some(combinator) = COMBINATORS.iter().find(|combinator| fields.has(combinator.key)) else {
            problems.push(neither(&mut fields));
            return None;
        };
        let mut reader = Reader::new(fields, combinator.params, problems, reading);
        let branch = (combinator.read)(&mut reader);
        reader.finish();
        branch.map(NodeKind::Branch)
    }

    pub(crate) fn leaf(leaf: Box<dyn Leaf>) -> Self {
        let (place, path) = (Place::default(), String::new());
        Self { clock: None, kind: NodeKind::Leaf(leaf), no_epochs: None, place, path }
    }

    /// Whether it sets the unit of its lengths.
    pub(crate) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// The position on this node's clock.
    fn local(&self, at: &Position) -> Position {
        let steps = at.whole_steps();
        match (self.clock, at.epoch) {
            (None, _) | (_, None) => *at,
            (Some(Clock::Step), _) => Position { s: at.step, len: steps, tick: 1.0, whole: true, ..*at },
            (Some(Clock::Epoch), Some(epoch)) => at.by_epochs(epoch),
            (Some(Clock::EpochFraction), Some(epoch)) => {
                Position { s: at.step / epoch, len: steps / epoch, tick: epoch, whole: false, ..*at }
            }
        }
    }

    /// The lr at a position: a finite number of at least 0, even after an overflow.
    pub(crate) fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        // Avoids a copy of the position, which would double the cost.
        let own;
        let at = if self.clock.is_none() {
            at
        } else {
            own = self.local(at);
            &own
        };
        let lr = match &self.kind {
            NodeKind::Leaf(leaf) => leaf.lr(at),
            NodeKind::Rule(slot, rule, _) => match memories.slots.get(*slot) {
                Some(slot) => slot.lr(rule.as_ref(), at),
                None => rule.start(at.base).lr,
            },
            NodeKind::Branch(branch) => branch.lr(at, memories),
        };
        // The comparison is also false for NaN.
        if lr > 0.0 { lr.min(f64::MAX) } else { 0.0 }
    }

    /// [`ScheduleNode::local`], as terms.
    fn local_formula(&self, at: &TermPosition) -> TermPosition {
        let steps = at.len.clone() * at.tick;
        let epochs = |epoch: f64, s: Term, whole| TermPosition {
            s,
            len: steps.clone() / epoch,
            tick: epoch,
            whole,
            ..at.clone()
        };
        match (self.clock, at.epoch) {
            (None, _) | (_, None) => at.clone(),
            (Some(Clock::Step), _) => {
                TermPosition { s: at.step.clone(), len: steps, tick: 1.0, whole: true, ..at.clone() }
            }
            (Some(Clock::Epoch), Some(epoch)) => {
                epochs(epoch, at.step.clone().divide_down(epoch.into()).named("epoch"), true)
            }
            (Some(Clock::EpochFraction), Some(epoch)) => {
                epochs(epoch, (at.step.clone() / epoch).named("epoch"), false)
            }
        }
    }

    /// The lr as a term; `None` if it depends on more than t.
    pub(crate) fn formula(&self, at: &TermPosition) -> Option<Term> {
        let at = self.local_formula(at);
        let lr = match &self.kind {
            NodeKind::Leaf(leaf) => leaf.formula(&at),
            NodeKind::Rule(..) => return None,
            NodeKind::Branch(branch) => branch.formula(&at)?,
        };
        Some(lr.at_least(0.0))
    }

    /// Its form in other libraries for a segment that begins at `at`. Their lengths are in steps.
    pub(crate) fn known(&self, at: &Position) -> Known {
        let at = self.local(at);
        let known = match &self.kind {
            NodeKind::Leaf(leaf) => leaf.known(&at),
            NodeKind::Rule(_, rule, _) => rule.known(at.base),
            NodeKind::Branch(branch) => branch.known(&at),
        };
        match known {
            Known::Constant(_) | Known::Step { .. } | Known::Multistep { .. } => known,
            _ if at.tick == 1.0 => known,
            _ => Known::Other,
        }
    }

    /// The kinds of the rules in it, each once.
    pub(crate) fn rule_kinds(&self, at: &Position, kinds: &mut Vec<&'static str>) {
        match &self.kind {
            NodeKind::Leaf(_) => {}
            NodeKind::Rule(_, _, kind) if kinds.contains(kind) => {}
            NodeKind::Rule(_, _, kind) => kinds.push(kind),
            NodeKind::Branch(branch) => branch.children(at, &mut |child, at| child.rule_kinds(&at, kinds)),
        }
    }

    /// The momentum at a position, if an active leaf cycles it.
    pub(crate) fn momentum(&self, at: &Position) -> Option<f64> {
        let at = self.local(at);
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.momentum(&at),
            NodeKind::Rule(..) => None,
            NodeKind::Branch(branch) => {
                let mut momentum = None;
                branch.active_children(&at, &mut |child, at| momentum = momentum.or(child.momentum(&at)));
                momentum
            }
        }
    }

    /// Every rule that is active at a position, with its index and its own position.
    pub(crate) fn rules(&self, at: &Position, visit: &mut dyn FnMut(usize, &dyn Rule, &Position)) {
        let at = self.local(at);
        match &self.kind {
            NodeKind::Leaf(_) => {}
            NodeKind::Rule(slot, rule, _) => visit(*slot, rule.as_ref(), &at),
            NodeKind::Branch(branch) => branch.active_children(&at, &mut |child, at| child.rules(&at, visit)),
        }
    }

    /// Whether everything in it can be written as a formula.
    pub(crate) fn has_formula(&self, at: &Position) -> bool {
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.has_formula(),
            NodeKind::Rule(..) => true,
            NodeKind::Branch(branch) => {
                let mut all = branch.has_formula();
                branch.children(at, &mut |child, at| all &= child.has_formula(&at));
                all
            }
        }
    }

    /// All its rules, with their index.
    pub(crate) fn all_rules(&self, at: &Position, visit: &mut dyn FnMut(usize, &dyn Rule)) {
        match &self.kind {
            NodeKind::Leaf(_) => {}
            NodeKind::Rule(slot, rule, _) => visit(*slot, rule.as_ref()),
            NodeKind::Branch(branch) => branch.children(at, &mut |child, at| child.all_rules(&at, visit)),
        }
    }

    /// Whether a leaf in it may have an invalid lr: see [`Leaf::needs_step_check`].
    pub(crate) fn needs_step_check(&self, at: &Position) -> bool {
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.needs_step_check(),
            NodeKind::Rule(..) => false,
            NodeKind::Branch(branch) => {
                let mut may = false;
                branch.children(at, &mut |child, at| may |= child.needs_step_check(&at));
                may
            }
        }
    }

    /// Problems of the leaves that have no valid lr at this position.
    pub(crate) fn invalid_lrs(&self, at: &Position, problems: &mut Vec<Problem>) {
        let local = self.local(at);
        match &self.kind {
            NodeKind::Leaf(leaf) => problems.extend(leaf.invalid_lr(&local)),
            NodeKind::Rule(..) => {}
            NodeKind::Branch(branch) => {
                branch.evaluated_children(&local, &mut |child, at| child.invalid_lrs(&at, problems))
            }
        }
    }

    /// Checks that it fits a segment that begins at `at`.
    pub(crate) fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let local = self.local(at);
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.check(&local, problems),
            NodeKind::Rule(_, rule, _) => {
                if let Some(watch) = rule.watch() {
                    watch.check(&local, problems);
                }
                rule.check(&local, problems);
            }
            NodeKind::Branch(branch) => {
                let before = problems.len();
                branch.check(&local, problems);
                if problems.len() == before {
                    branch.children(&local, &mut |child, at| child.check(&at, problems));
                }
            }
        }
    }

    /// Problems of all clocks in epochs in this node and below.
    pub(crate) fn needs_epochs(&self, at: &Position, problems: &mut Vec<Problem>) {
        problems.extend(self.no_epochs.clone());
        if let NodeKind::Branch(branch) = &self.kind {
            branch.children(at, &mut |child, at| child.needs_epochs(&at, problems));
        }
    }

    /// Warnings for the part that the run covers.
    pub(crate) fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let covered = covered.by(self.local(&covered.start));
        let before = warnings.len();
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.warn(&covered, warnings),
            NodeKind::Rule(_, rule, _) => {
                if let Some(watch) = rule.watch() {
                    watch.warn(&covered, rule.min_checks(), warnings);
                    if let Some(max) = rule.max_mode() {
                        watch.warn_of_the_mode(max, warnings);
                    }
                }
            }
            NodeKind::Branch(branch) => branch.warn(&covered, warnings),
        }
        for warning in warnings.iter_mut().skip(before).filter(|warning| warning.path.is_empty()) {
            (warning.place, warning.path) = (self.place, self.path.clone());
        }
        if let NodeKind::Branch(branch) = &self.kind {
            branch.covered_children(&covered, &mut |child, covered| child.warn(&covered, warnings));
        }
    }

    /// Whether it is written as a constant, possibly scaled or clamped.
    pub(crate) fn is_constant(&self) -> bool {
        match &self.kind {
            NodeKind::Leaf(leaf) => leaf.is_constant(),
            NodeKind::Rule(..) => false,
            NodeKind::Branch(branch) => {
                let mut all = branch.keeps_constant();
                branch.children(&Position::run(1, 1.0, None), &mut |child, _| all &= child.is_constant());
                all
            }
        }
    }
}

/// The kind with this name in another library, or with the nearest name.
fn kind_meant(typed: &str) -> Option<&'static str> {
    let wanted = normalized(typed);
    let named = ENTRIES.iter().find(|entry| {
        normalized(entry.kind) == wanted || entry.aliases.iter().any(|alias| normalized(alias) == wanted)
    });
    named.map(|entry| entry.kind).or_else(|| nearest(typed, ENTRIES.iter().map(|entry| entry.kind)))
}

/// Adds a hint to the problem of a text that is not an lr but names a schedule.
fn with_meant_name(problem: Problem, text: &str, names: OtherNames) -> Problem {
    match ((names.suggest)(text), kind_meant(text)) {
        (Some(name), _) => problem.with_hint(format!("write {{kind: {name}, ...}} or a call, {name}(...)")),
        (None, Some(kind)) => problem.with_hint(format!("write {{kind: {kind}}}")),
        (None, None) => problem,
    }
}

fn unknown_kind(kind: &Field<'_>, names: OtherNames) -> Problem {
    let Value::Text(typed) = &kind.tree.value else { return kind.expected("the name of a schedule") };
    let problem = kind.problem(format!("unknown schedule `{typed}`"));
    // A preset or a combinator is not a kind, but is easily mistaken for one.
    if let Ok(item @ (Item::Combinator(_) | Item::Preset(_))) = index::find(typed) {
        return problem.with_hint(format!("write `{}` as in {}", item.name(), item.example()));
    }
    match (kind_meant(typed), (names.suggest)(typed)) {
        (Some(name), None) => problem.with_hint(format!("did you mean `{name}`?")),
        (None, Some(name)) => problem.with_hint(format!("did you mean `{name}`?")),
        (Some(name), Some(other)) => problem.with_hint(format!("did you mean `{name}`, or `{other}`?")),
        (None, None) => {
            let kinds = listed(ENTRIES.iter().map(|entry| entry.kind));
            problem.with_hint(format!("known: {kinds}{}", names.suffix))
        }
    }
}

/// The problem of a mapping that is not a schedule.
fn neither(fields: &mut Fields<'_>) -> Problem {
    let problem = Problem::new(
        fields.place(),
        fields.path(),
        format!("expected a schedule with `kind` or one of {}", listed(combine::keys())),
    );
    let known = || ["kind", "values"].into_iter().chain(combine::keys());
    for name in fields.names() {
        if let Some(meant) = nearest(name, known()) {
            return problem.with_hint(format!("did you mean `{meant}` instead of `{name}`?"));
        }
    }
    if fields.has(GROUPS) {
        return problem.with_hint("`groups` can only be at the top of a schedule, around all others");
    }
    if fields.has("warmup") || fields.has("cooldown") {
        return problem.with_hint("`warmup` and `cooldown` need a `body`, as in body: 1x");
    }
    problem.with_hint("as in {kind: cosine, to: 0}")
}
