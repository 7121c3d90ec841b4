//! Cooperative input and output: descriptors of any kind, waiting for many of them, pipes, standard streams.
//!
//! [`Watched`] waits for one descriptor, [`select()`] for several at once, [`Poll`] for many again and again,
//! and [`Readiness`] brings them into [`select!`](crate::select!). [`pipe()`] makes a
//! pair of descriptors that park the greenlet and never the thread, and [`stdin`], [`stdout`] and [`stderr`] are those of the
//! process.

mod context;
#[cfg(any(feature = "tls", feature = "websocket"))]
mod holder;
pub(crate) mod patience;
mod pipe;
mod poll;
mod readiness;
#[cfg(feature = "http")]
mod rest;
mod select;
mod stdio;
mod watched;

pub(crate) use context::with_context;
#[cfg(any(feature = "tls", feature = "websocket"))]
pub(crate) use holder::Holder;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use poll::{Event, Interest, Poll, Token};
pub use readiness::Readiness;
#[cfg(feature = "http")]
pub(crate) use rest::Resting;
pub use select::{Selected, select};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub(crate) use watched::wait_for_any;
pub use watched::{Direction, Watched};
