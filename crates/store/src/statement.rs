//! Checks that a user's SQL is one statement that only reads.

/// Why a text is not a single query that only reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The text contains no statement.
    Empty,
    /// The text contains more than one statement.
    Several,
    /// The statement begins with this keyword, which is not allowed.
    Writes(String),
    /// The text contains a NUL character, at which SQLite would stop reading.
    Nul,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("empty query, expected a SELECT"),
            Self::Several => f.write_str("more than one statement; run one at a time"),
            Self::Writes(word) => write!(f, "{word} is not allowed: queries can only read"),
            Self::Nul => f.write_str("it contains a NUL character"),
        }
    }
}

/// The keywords with which a statement may begin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keywords {
    /// These keywords are denied. SQLite rejects unknown ones itself.
    Denied(&'static [&'static str]),
    /// Only these keywords are allowed, because PostgreSQL knows many.
    Allowed(&'static [&'static str]),
}

pub(crate) const SQLITE: Keywords = Keywords::Denied(&[
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "INSERT",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "UPDATE",
    "VACUUM",
]);

pub(crate) const POSTGRES: Keywords =
    Keywords::Allowed(&["SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW"]);

impl Keywords {
    fn allow(self, word: &str) -> bool {
        match self {
            Self::Denied(words) => !words.contains(&word),
            Self::Allowed(words) => words.contains(&word),
        }
    }
}

/// Checks that a text is one statement that does not write. This is only a first check with good messages: the
/// database checks the syntax, and its read-only connection rejects writes that this check misses.
pub(crate) fn check(sql: &str, keywords: &Keywords) -> Result<(), Refusal> {
    if sql.contains('\0') {
        return Err(Refusal::Nul);
    }
    let mut rest = skip_blanks(sql, true);
    if rest.is_empty() {
        return Err(Refusal::Empty);
    }
    // A query may begin with parentheses.
    let start = rest.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
    let word: String = start.chars().take_while(char::is_ascii_alphabetic).collect();
    let word = word.to_ascii_uppercase();
    if !keywords.allow(&word) {
        return Err(Refusal::Writes(word));
    }
    while !rest.is_empty() {
        if rest.starts_with(';') {
            let after = skip_blanks(rest, true);
            return if after.is_empty() { Ok(()) } else { Err(Refusal::Several) };
        }
        rest = skip_blanks(skip_token(rest), false);
    }
    Ok(())
}

/// The text without leading spaces, comments and, if `semicolons`, semicolons.
fn skip_blanks(mut sql: &str, semicolons: bool) -> &str {
    loop {
        let trimmed = sql.trim_start_matches(|c: char| c.is_whitespace() || semicolons && c == ';');
        let after = if let Some(comment) = trimmed.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = trimmed.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return trimmed;
        };
        sql = after;
    }
}

/// The text without the leading quoted text or character. A doubled quote within quotes reads as two adjacent quoted
/// texts, which end at the same position.
fn skip_token(sql: &str) -> &str {
    let mut chars = sql.chars();
    let close = match chars.next() {
        Some(quote @ ('\'' | '"' | '`')) => quote,
        Some('[') => ']',
        _ => return chars.as_str(),
    };
    chars.as_str().split_once(close).map_or("", |(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_and_multiple_statements_are_distinguished() {
        for one in
            ["select 1", "select 1;", ";select 1;;--;\n", "select ';'", "select '''; x'", "select [a;b]"]
        {
            assert_eq!(check(one, &SQLITE), Ok(()), "{one}");
        }
        for several in
            ["select 1; select 2", "select ''';'; x", "select 1;/*;*/x", "select \"a\"\";\";b", "a--;\n;b"]
        {
            assert_eq!(check(several, &SQLITE), Err(Refusal::Several), "{several}");
        }
        for (sql, allowed) in [
            ("select 1", true),
            ("(select 1) union (select 2)", true),
            ("with x as (select 1) select * from x", true),
            ("copy trials to program 'true'", false),
            ("set transaction read write", false),
            ("do 'begin end'", false),
        ] {
            assert_eq!(check(sql, &POSTGRES).is_ok(), allowed, "{sql}");
        }
        for empty in ["", " \n", "--", "/*", ";;/* x */"] {
            assert_eq!(check(empty, &SQLITE), Err(Refusal::Empty), "{empty}");
        }
    }
}
