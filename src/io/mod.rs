//! Cooperative input and output: descriptors of any kind, waiting for many of them, pipes, standard streams.
//!
//! [`Watched`] waits for one descriptor, [`select`] for several at once, and [`Poll`] for many again and again. [`pipe`] makes a
//! pair of descriptors that park the greenlet and never the thread, and [`stdin`], [`stdout`] and [`stderr`] are those of the
//! process.

mod context;
mod rest;
mod watched;

pub(crate) use context::with_context;
pub(crate) use rest::Resting;
pub(crate) use watched::wait_for_any;
pub use watched::{Direction, Watched};
