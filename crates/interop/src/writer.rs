//! Prints terms as Python code: for `math` with `if` and `return`, for `jax.numpy` and `keras.ops` without
//! branches.

use std::fmt::Write;

use schedule::formula::{Binary, Node, Term};

/// The functions that the code can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Plain numbers and the module `math`.
    Math,
    /// Arrays of `jax.numpy`.
    Jax,
    /// Tensors of `keras.ops`.
    Keras,
}

/// The code of a function.
#[derive(Debug)]
pub(crate) struct Body {
    /// Constants before the function, one per line.
    pub(crate) tables: String,
    /// Its lines, indented.
    pub(crate) lines: String,
    /// Whether it needs the module `math`.
    pub(crate) math: bool,
    /// Whether it needs `bisect_right`.
    pub(crate) bisect: bool,
    /// Whether single precision would give another lr at some step.
    pub(crate) needs_double: bool,
}

/// The lines of a function that returns the term, each indented by `indent`.
///
/// # Errors
/// The dialect lacks a required function.
pub(crate) fn body(term: &Term, dialect: Dialect, indent: &str) -> Result<Body, String> {
    if dialect != Dialect::Math && rounds_to_decimals(term) {
        return Err(
            "Python's `round` to decimals has no counterpart among the functions of arrays".to_owned()
        );
    }
    let mut printer = Printer { dialect, strict: rounds(term), tables: Vec::new(), lines: String::new() };
    match dialect {
        Dialect::Math => printer.returns(term, &mut Vec::new(), indent),
        Dialect::Jax | Dialect::Keras => printer.assigns(term, indent),
    }
    let tables = printer.tables.iter().map(|(name, table)| format!("{name} = {}\n", list(table))).collect();
    let lines = printer.lines;
    let (math, bisect) = (lines.contains("math."), lines.contains("bisect_right("));
    Ok(Body { tables, math, bisect, needs_double: false, lines })
}

fn rounds_to_decimals(term: &Term) -> bool {
    matches!(term.node(), Node::Binary(Binary::Decimals, ..))
        || term.children().into_iter().any(rounds_to_decimals)
}

/// The name of a function of `math` in array libraries.
fn of_arrays(name: &str) -> &str {
    match name {
        "acos" => "arccos",
        "asin" => "arcsin",
        "atan" => "arctan",
        name => name,
    }
}

/// A number as Python code.
pub(crate) fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if x.fract() == 0.0 && x.abs() < 2e9 {
        return format!("{x:.0}");
    }
    // Removes rounding noise: 0.1 * 0.1 is printed as 0.01.
    let short: f64 = format!("{x:.11e}").parse().unwrap_or(x);
    if short.fract() != 0.0 && (x - short).abs() <= 4.0 * f64::EPSILON * x.abs() {
        format!("{short:?}")
    } else {
        format!("{x:?}")
    }
}

/// The same with a decimal point: some libraries would compute in integers otherwise.
pub(crate) fn real(x: f64) -> String {
    let text = number(x);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

/// A list of numbers, in lines of at most 100 characters.
pub(crate) fn list(table: &[f64]) -> String {
    let numbers: Vec<String> = table.iter().map(|x| number(*x)).collect();
    let short = format!("[{}]", numbers.join(", "));
    if short.len() <= 80 {
        return short;
    }
    let mut text = String::from("[\n   ");
    let mut width = 3;
    for number in numbers {
        if width + number.len() + 2 > 98 {
            text.push_str("\n   ");
            width = 3;
        }
        width += number.len() + 2;
        // Writing to a String does not fail.
        let _ = write!(text, " {number},");
    }
    text.push_str("\n]");
    text
}

/// The precedence of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Choice,
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
    Atom,
}

/// Terms that have a variable.
type Scope = Vec<(String, Term)>;

struct Printer {
    dialect: Dialect,
    /// Whether the order of evaluation of sums and products must be kept.
    strict: bool,
    tables: Vec<(String, Vec<f64>)>,
    lines: String,
}

impl Printer {
    fn line(&mut self, indent: &str, text: &str) {
        self.lines.push_str(&format!("{indent}{text}\n"));
    }

    /// Branches as `if` and `return`.
    fn returns(&mut self, term: &Term, scope: &mut Scope, indent: &str) {
        if let Node::Where(condition, yes, no) = term.node() {
            self.define(condition, scope, indent);
            let text = self.text(condition, scope, Level::Choice);
            self.line(indent, &format!("if {text}:"));
            self.returns(yes, &mut scope.clone(), &format!("{indent}    "));
            self.returns(no, scope, indent);
            return;
        }
        self.define(term, scope, indent);
        let text = self.text(term, scope, Level::Choice);
        self.line(indent, &format!("return {text}"));
    }

    /// Branches as values that overwrite each other, in reverse order.
    fn assigns(&mut self, term: &Term, indent: &str) {
        let mut scope = Vec::new();
        self.define(term, &mut scope, indent);
        let mut chain = Vec::new();
        let mut rest = term;
        while let Node::Where(condition, yes, no) = rest.node() {
            chain.push((condition, yes));
            rest = no;
        }
        let last = self.wide(rest, &scope);
        let wanted = if chain.is_empty() { "return" } else { "lr =" };
        self.line(indent, &format!("{wanted} {last}"));
        for (condition, yes) in chain.into_iter().rev() {
            let (condition, yes) =
                (self.text(condition, &scope, Level::Choice), self.text(yes, &scope, Level::Choice));
            let call = self.module();
            self.line(indent, &format!("lr = {call}.where({condition}, {yes}, lr)"));
        }
        if wanted != "return" {
            self.line(indent, "return lr");
        }
    }

    fn module(&self) -> &'static str {
        match self.dialect {
            Dialect::Math => "math",
            Dialect::Jax => "jnp",
            Dialect::Keras => "keras.ops",
        }
    }

    /// Defines variables for terms that are used more than once. With `if`, only terms that are always
    /// evaluated get one: in a branch that is not taken, evaluation could be an error.
    fn define(&mut self, term: &Term, scope: &mut Scope, indent: &str) {
        let eager = self.dialect == Dialect::Math;
        let mut found: Vec<(&Term, usize)> = Vec::new();
        named(term, eager, &mut found);
        for (term, uses) in found {
            let Node::Named(name, inner) = term.node() else { continue };
            if uses < 2 || scope.iter().any(|(_, known)| known == term) {
                continue;
            }
            let text = self.text(inner, scope, Level::Choice);
            let taken = |name: &str| scope.iter().any(|(known, _)| known == name);
            let name = (1..)
                .map(|i| if i == 1 { (*name).to_owned() } else { format!("{name}{i}") })
                .find(|name| !taken(name));
            let Some(name) = name else { continue };
            self.line(indent, &format!("{name} = {text}"));
            scope.push((name, term.clone()));
        }
    }

    /// An expression, in parentheses if its precedence is below `least`.
    fn text(&mut self, term: &Term, scope: &Scope, least: Level) -> String {
        let (text, level) = self.expression(term, scope);
        if level < least { format!("({text})") } else { text }
    }

    /// The same in double precision for Keras, which loses it for plain numbers.
    fn wide(&mut self, term: &Term, scope: &Scope) -> String {
        let text = self.text(term, scope, Level::Choice);
        if self.dialect == Dialect::Keras && term.number().is_some() { format!("f64({text})") } else { text }
    }

    fn call(&mut self, name: &str, args: &[&Term], scope: &Scope) -> String {
        let args: Vec<String> = args.iter().map(|arg| self.wide(arg, scope)).collect();
        format!("{name}({})", args.join(", "))
    }

    fn expression(&mut self, term: &Term, scope: &Scope) -> (String, Level) {
        if let Some((name, _)) = scope.iter().find(|(_, known)| known == term) {
            return (name.clone(), Level::Atom);
        }
        let module = self.module();
        match term.node() {
            Node::Number(x) if *x < 0.0 => (number(*x), Level::Sum),
            Node::Number(x) => (number(*x), Level::Atom),
            Node::Pi if self.dialect == Dialect::Keras => ("math.pi".to_owned(), Level::Atom),
            Node::Pi => (format!("{module}.pi"), Level::Atom),
            Node::T => ("t".to_owned(), Level::Atom),
            Node::Named(_, x) => self.expression(x, scope),
            // Keras rounds in single precision.
            Node::Function(function, x) if self.dialect == Dialect::Keras && function.name == "floor" => {
                (format!("({} // 1)", self.text(x, scope, Level::Power)), Level::Atom)
            }
            Node::Function(function, x) if self.dialect == Dialect::Keras && function.name == "ceil" => {
                (format!("(-(-{} // 1))", self.text(x, scope, Level::Atom)), Level::Atom)
            }
            Node::Function(function, x) => {
                let name = match (self.dialect, function.name) {
                    (Dialect::Math, "abs" | "round") => function.name.to_owned(),
                    (Dialect::Math, name) => format!("{module}.{name}"),
                    (_, name) => format!("{module}.{}", of_arrays(name)),
                };
                (self.call(&name, &[x], scope), Level::Atom)
            }
            Node::Wave(x) => self.wave(1.0, x, scope),
            Node::Where(condition, yes, no) if self.dialect == Dialect::Math => {
                let (yes, condition) =
                    (self.text(yes, scope, Level::Or), self.text(condition, scope, Level::Or));
                let no = self.text(no, scope, Level::Choice);
                (format!("{yes} if {condition} else {no}"), Level::Choice)
            }
            Node::Where(condition, yes, no) => {
                (self.call(&format!("{module}.where"), &[condition, yes, no], scope), Level::Atom)
            }
            Node::Entry(what, table, index) => self.entry(what, table, index, scope),
            Node::Passed(table, x) => self.passed(table, x, scope),
            Node::Binary(binary, a, b) => self.binary(*binary, a, b, scope),
        }
    }

    /// `factor` times half a cosine wave. In array code it is a sine of the remaining fraction, so that no
    /// digits cancel near the end in single precision.
    fn wave(&mut self, factor: f64, x: &Term, scope: &Scope) -> (String, Level) {
        if self.dialect == Dialect::Math {
            let text = self.text(x, scope, Level::Product);
            let factor = number(factor / 2.0);
            return (format!("{factor} * (1 + math.cos(math.pi * {text}))"), Level::Product);
        }
        let (module, left) = (self.module(), self.text(&x.left(), scope, Level::Product));
        let pi = if self.dialect == Dialect::Keras { "math.pi" } else { "jnp.pi" };
        let wave = format!("{module}.sin({pi} / 2 * {left}) ** 2");
        if factor == 1.0 {
            (wave, Level::Power)
        } else {
            (format!("{} * {wave}", number(factor)), Level::Product)
        }
    }

    /// A short table inline, a long table as a named constant.
    fn table(&mut self, name: &str, table: &[f64]) -> String {
        if table.len() <= 6 {
            return list(table);
        }
        if let Some((known, _)) = self.tables.iter().find(|(_, known)| known == table) {
            return known.clone();
        }
        let same = self.tables.iter().filter(|(known, _)| known.starts_with(name)).count();
        let name = if same == 0 { name.to_owned() } else { format!("{name}_{}", same + 1) };
        self.tables.push((name.clone(), table.to_vec()));
        name
    }

    fn entry(&mut self, what: &str, table: &[f64], index: &Term, scope: &Scope) -> (String, Level) {
        let most = table.len().saturating_sub(1);
        let table = self.table(&what.to_uppercase(), table);
        let text = self.text(index, scope, Level::Choice);
        let counted = is_count(index);
        let text = match self.dialect {
            Dialect::Math if counted => format!("{table}[{text}]"),
            Dialect::Math => format!("{table}[int({text})]"),
            Dialect::Jax if counted => format!("jnp.array({table})[{text}]"),
            Dialect::Jax => format!("jnp.array({table})[jnp.asarray({text}, int)]"),
            // In a branch that is not taken the index may be out of range.
            Dialect::Keras => format!(
                "keras.ops.take(f64({table}), keras.ops.clip(keras.ops.cast({text}, \"int32\"), 0, {}))",
                most
            ),
        };
        (text, Level::Atom)
    }

    fn passed(&mut self, table: &[f64], x: &Term, scope: &Scope) -> (String, Level) {
        if let [m] = table {
            // One milestone is a comparison.
            let text = format!("{} >= {}", self.text(x, scope, Level::Sum), number(*m));
            let text = match self.dialect {
                Dialect::Math => return (text, Level::Comparison),
                Dialect::Jax => format!("jnp.asarray({text}, int)"),
                Dialect::Keras => format!("f64({text})"),
            };
            return (text, Level::Atom);
        }
        let table = self.table("MILESTONES", table);
        let text = match self.dialect {
            Dialect::Math => format!("bisect_right({table}, {})", self.text(x, scope, Level::Choice)),
            Dialect::Jax => format!("jnp.sum({} >= jnp.array({table}))", self.text(x, scope, Level::Sum)),
            Dialect::Keras => {
                format!("keras.ops.sum(f64({} >= f64({table})))", self.text(x, scope, Level::Sum))
            }
        };
        (text, Level::Atom)
    }

    fn binary(&mut self, binary: Binary, a: &Term, b: &Term, scope: &Scope) -> (String, Level) {
        use Binary::{Add, And, Decimals, DivideDown, Greatest, Least, Multiply, Or, Remainder};
        let module = self.module();
        let function = match (binary, self.dialect) {
            (Least, Dialect::Math) => Some("min".to_owned()),
            (Greatest, Dialect::Math) => Some("max".to_owned()),
            // The functions of Keras reduce to single precision.
            (Least, Dialect::Keras) => Some("least".to_owned()),
            (Greatest, Dialect::Keras) => Some("greatest".to_owned()),
            // The backends of Keras round the quotient differently.
            (DivideDown, Dialect::Keras) if !(a.is_whole() && b.is_whole()) => {
                Some("floor_divide".to_owned())
            }
            (Decimals, _) => Some("round".to_owned()),
            (Least, _) => Some(format!("{module}.minimum")),
            (Greatest, _) => Some(format!("{module}.maximum")),
            (And, Dialect::Jax | Dialect::Keras) => Some(format!("{module}.logical_and")),
            (Or, Dialect::Jax | Dialect::Keras) => Some(format!("{module}.logical_or")),
            _ => None,
        };
        if let Some(name) = function {
            return (self.call(&name, &[a, b], scope), Level::Atom);
        }
        if binary == Multiply
            && let (Some(factor), Node::Wave(x)) = (a.number(), b.node())
        {
            return self.wave(factor, x, scope);
        }
        if binary == Add
            && let Some(y) = b.number().filter(|y| *y < 0.0)
        {
            let a = self.text(a, scope, Level::Sum);
            return (format!("{a} - {}", number(-y)), Level::Sum);
        }
        let (sign, level, left, right) = sign(binary);
        // `a * (b * c)` and `a * b * c` differ in the last digit.
        let right = match binary {
            Add if self.strict => Level::Product,
            Multiply if self.strict => Level::Power,
            _ => right,
        };
        let mut side = |term: &Term, least: Level, arithmetic: bool| {
            // `a // b * c` would be correct but hard to read.
            let whole = matches!(inner(term).node(), Node::Binary(DivideDown | Remainder, ..));
            let least = if whole && level == Level::Product { Level::Power } else { least };
            let text = self.text(term, scope, least);
            match self.dialect {
                Dialect::Keras if arithmetic && term.is_condition() => format!("f64({text})"),
                // In jax the sum of two conditions is a condition.
                Dialect::Jax if arithmetic && term.is_condition() => format!("jnp.asarray({text}, float)"),
                _ => text,
            }
        };
        let arithmetic = !binary.is_condition();
        let (a, b) = (side(a, left, arithmetic), side(b, right, arithmetic));
        match b.strip_prefix('-') {
            Some(b) if binary == Add => (format!("{a} - {b}"), level),
            _ => (format!("{a} {sign} {b}"), level),
        }
    }
}

/// The text of an operator, its precedence, and the minimum precedences of its operands.
fn sign(binary: Binary) -> (&'static str, Level, Level, Level) {
    use Binary::{
        Add, And, AtLeast, AtMost, Decimals, Divide, DivideDown, Equal, Greater, Greatest, Least, Less,
        Multiply, Or, Power, Remainder, Subtract, Unequal,
    };
    match binary {
        Add => ("+", Level::Sum, Level::Sum, Level::Sum),
        Subtract => ("-", Level::Sum, Level::Sum, Level::Product),
        Multiply => ("*", Level::Product, Level::Product, Level::Product),
        Divide => ("/", Level::Product, Level::Product, Level::Power),
        DivideDown => ("//", Level::Product, Level::Power, Level::Power),
        Remainder => ("%", Level::Product, Level::Power, Level::Power),
        Power => ("**", Level::Power, Level::Atom, Level::Power),
        Less => ("<", Level::Comparison, Level::Sum, Level::Sum),
        AtMost => ("<=", Level::Comparison, Level::Sum, Level::Sum),
        Greater => (">", Level::Comparison, Level::Sum, Level::Sum),
        AtLeast => (">=", Level::Comparison, Level::Sum, Level::Sum),
        Equal => ("==", Level::Comparison, Level::Sum, Level::Sum),
        Unequal => ("!=", Level::Comparison, Level::Sum, Level::Sum),
        And => ("and", Level::And, Level::And, Level::And),
        Or | Least | Greatest | Decimals => ("or", Level::Or, Level::Or, Level::Or),
    }
}

/// Whether the last digit of a number can change a rounded result.
fn rounds(term: &Term) -> bool {
    let here = match term.node() {
        Node::Binary(Binary::DivideDown | Binary::Remainder, a, b) => !(a.is_whole() && b.is_whole()),
        Node::Function(function, _) => matches!(function.name, "floor" | "ceil" | "round"),
        Node::Binary(Binary::Decimals, ..) => true,
        _ => false,
    };
    here || term.children().into_iter().any(rounds)
}

/// The term without its name.
fn inner(term: &Term) -> &Term {
    match term.node() {
        Node::Named(_, x) => inner(x),
        _ => term,
    }
}

/// Whether the value of a term is an integer in Python or jax.
fn is_count(term: &Term) -> bool {
    match term.node() {
        Node::Passed(table, _) => table.len() > 1,
        Node::Named(_, x) => is_count(x),
        Node::Binary(Binary::Add | Binary::Subtract, a, b) => {
            (is_count(a) && b.number().is_some()) || (is_count(b) && a.number().is_some())
        }
        _ => false,
    }
}

/// Named terms from the inside out, with the number of uses. `eager` skips terms in branches.
fn named<'a>(term: &'a Term, eager: bool, found: &mut Vec<(&'a Term, usize)>) {
    if let Some((_, uses)) = found.iter_mut().find(|(known, _)| *known == term) {
        *uses += 1;
        return;
    }
    match term.node() {
        Node::Where(condition, ..) if eager => named(condition, eager, found),
        _ => term.children().into_iter().for_each(|child| named(child, eager, found)),
    }
    if matches!(term.node(), Node::Named(..)) {
        found.push((term, 1));
    }
}
