//! A sweep from its file to its verdict, without a terminal.

mod whole_sweep;
