//! The result of a user's SQL. Each database runs it in its own module.

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names of the columns, also if there are no rows.
    pub columns: Vec<String>,
    /// The rows, each with one value per column.
    pub rows: Vec<Vec<Value>>,
}

/// A value in a database.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value, or NaN.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number; may be infinite.
    Real(f64),
    /// Text; invalid UTF-8 is replaced.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}
