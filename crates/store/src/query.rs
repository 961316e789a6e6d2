//! What SQL that a person wrote gives; each database answers it in its own way.

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names of the columns, also where there are no rows.
    pub columns: Vec<String>,
    /// The rows, each with a value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// What the databases can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; a NaN is stored so too.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number; may be infinite.
    Real(f64),
    /// Text; what is not UTF-8 in it is replaced.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}
