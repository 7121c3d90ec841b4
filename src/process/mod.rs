//! Child processes, with the names of `std::process`: only the greenlet waits.
//!
//! The hub learns of the end of a child by a descriptor (a `pidfd`), or where the system has none by `SIGCHLD`. It reaps every child that
//! was spawned here, also those whose [`Child`] was dropped: there are no zombies as long as the hub comes around. Children may be
//! spawned on any thread.
//!
//! While a [`Child`] lives and its process runs, the hub has something to wait for: [`wait_all`](crate::wait_all) waits for it, too.

mod child;
mod command;
mod error;
mod exchange;
mod stdio;
mod watch;

#[doc(no_inline)]
pub use std::process::{ExitStatus, Output};

pub use child::Child;
pub use command::Command;
pub use error::OutputError;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
