//! The server against real stores, over HTTP.

mod answers;
mod events;
mod safety;
mod support;
