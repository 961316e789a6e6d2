//! Empty: the crate only has the test binary `it`.
