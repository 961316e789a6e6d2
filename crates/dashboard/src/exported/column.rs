//! The columns of an exported table.

/// The type of a column; any value may be missing. A column with values of several types has the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Text, or values of several kinds.
    Text,
}

/// Name and type of a column.
pub type Column = (String, Kind);
