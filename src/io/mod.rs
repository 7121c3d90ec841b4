//! Cooperative input and output: what sockets, pipes and every other descriptor share.

mod context;
mod rest;
mod watched;

pub(crate) use context::with_context;
pub(crate) use rest::Resting;
pub(crate) use watched::{Watched, wait_for_any};
