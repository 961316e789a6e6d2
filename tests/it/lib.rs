//! Nothing: this crate is its one test binary, `it`.
