//! The binary `sweep`.
fn main() {}
