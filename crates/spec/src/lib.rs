//! Sweep file -> Spec -> Plan. Text in, values and problems out; no I/O.

pub mod event;
pub mod trial;
