//! The columns of an exported table.

/// What a column holds; each may be missing. What holds several kinds holds the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Integer,
    Real,
    Text,
}

/// Name and content of a column.
pub(crate) type Column = (String, Kind);
