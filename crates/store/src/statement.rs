//! SQL as text: statements for many rows, and what kind of statement a person wrote.

/// `VALUES (?, …), (?, …) …`.
pub(crate) fn values(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("VALUES {}", vec![row; rows].join(", "))
}

/// `HEAD VALUES (?, …), (?, …) … TAIL`.
pub(crate) fn insert(head: &str, columns: usize, rows: usize, tail: &str) -> String {
    format!("{head} {} {tail}", values(columns, rows))
}

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

/// Words that begin a statement that does more than read.
const WRITING: [&str; 18] = [
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
];

/// Sees to it that a text is one statement and not one that writes. Whether it is right is for SQLite to
/// say, which also refuses to write what this does not see.
pub(crate) fn check(sql: &str) -> Result<(), Refusal> {
    if sql.contains('\0') {
        return Err(Refusal::Nul);
    }
    let mut rest = skip_blanks(sql, true);
    if rest.is_empty() {
        return Err(Refusal::Empty);
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let word = word.to_ascii_uppercase();
    if WRITING.contains(&word.as_str()) {
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
    fn many_rows_make_one_statement() {
        assert_eq!(
            insert("INSERT INTO t (a, b)", 2, 2, "RETURNING a"),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) RETURNING a"
        );
    }

    #[test]
    fn one_statement_is_told_from_several() {
        for one in
            ["select 1", "select 1;", ";select 1;;--;\n", "select ';'", "select '''; x'", "select [a;b]"]
        {
            assert_eq!(check(one), Ok(()), "{one}");
        }
        for several in
            ["select 1; select 2", "select ''';'; x", "select 1;/*;*/x", "select \"a\"\";\";b", "a--;\n;b"]
        {
            assert_eq!(check(several), Err(Refusal::Several), "{several}");
        }
        for empty in ["", " \n", "--", "/*", ";;/* x */"] {
            assert_eq!(check(empty), Err(Refusal::Empty), "{empty}");
        }
    }
}
