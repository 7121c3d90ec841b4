//! Signals: handlers that run in greenlets, and waiting for one.
//!
//! [`on()`] runs a function in a greenlet of its own each time a signal comes; it may block like any other. [`wait`] waits for
//! one of several, [`Signals`] for one after the other, and among other things by [`select!`](crate::select!).
//!
//! A signal comes to all hubs that want it. From the first that does to the last that no longer does, it does not do what it
//! does otherwise, end the process for example; a handler that some library has set before is called as well. Signals of one
//! kind that come faster than they are looked at are one.
//!
//! To wait for signals keeps no program going: [`wait_all`](crate::wait_all) returns although handlers are set. But while one
//! is, a blocking call that only a signal could still end is no deadlock and goes on.

mod kind;
mod on;
mod post;
mod signals;

pub use kind::*;
pub use on::{Handler, on};
pub(crate) use post::{Subscription, subscribe};
pub use signals::{Signals, ctrl_c, on_termination, wait};
