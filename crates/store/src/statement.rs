//! What kind of statement a person wrote.

/// What stands against running a text as one query that only reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No statement in it.
    Empty,
    /// More than one.
    Several,
    /// One that begins with this word and writes.
    Writes(String),
    /// SQLite would take the text to end there.
    Nul,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; a SELECT was expected"),
            Self::Several => f.write_str("it has more than one statement; ask for one at a time"),
            Self::Writes(word) => write!(f, "a query only reads; {word} is not allowed"),
            Self::Nul => f.write_str("it contains a NUL character"),
        }
    }
}

/// How a database's statements begin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Words {
    /// Those that do more than read; all others may be tried, as the database refuses what is none.
    Refused(&'static [&'static str]),
    /// Those that read; all others are refused, as the database knows many.
    Allowed(&'static [&'static str]),
}

pub(crate) const SQLITE: Words = Words::Refused(&[
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

pub(crate) const POSTGRES: Words = Words::Allowed(&["SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW"]);

impl Words {
    fn allow(self, word: &str) -> bool {
        match self {
            Self::Refused(words) => !words.contains(&word),
            Self::Allowed(words) => words.contains(&word),
        }
    }
}

/// Sees to it that a text is one statement and not one that writes. Whether it is right is for the database to
/// say, which also refuses to write what this does not see.
pub(crate) fn check(sql: &str, words: &Words) -> Result<(), Refusal> {
    if sql.contains('\0') {
        return Err(Refusal::Nul);
    }
    let mut rest = skip_blanks(sql, true);
    if rest.is_empty() {
        return Err(Refusal::Empty);
    }
    // A query may begin with brackets.
    let start = rest.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
    let word: String = start.chars().take_while(char::is_ascii_alphabetic).collect();
    let word = word.to_ascii_uppercase();
    if !words.allow(&word) {
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

/// Without spaces, comments and, where told, semicolons at its start.
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

/// Without the quoted text or the character at its start. A doubled quote within quotes reads as two texts
/// side by side, which ends at the same place.
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
    fn one_statement_is_told_from_several() {
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
