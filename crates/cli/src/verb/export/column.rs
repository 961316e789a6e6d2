//! The columns of an exported table.

/// The type of a column; any value may be missing. A column with values of several types has the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Integer,
    Real,
    Text,
}

/// Name and type of a column.
pub(crate) type Column = (String, Kind);
