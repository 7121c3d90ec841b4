//! greenloop
#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!(
    "greenloop ends greenlets and runs out timeouts by unwinding their stacks, which panic = \"abort\" makes impossible; \
     build with panic = \"unwind\""
);

mod coro;
mod error;
pub mod event;
mod fifo;
mod greenlet;
mod hub;
mod io;
pub mod lock;
mod park;
pub mod queue;
mod reactor;
mod stack;
mod sys;
mod timeout;
mod unwind;
mod waitlist;

pub use error::{Elapsed, JoinError, LoopExit};
pub use greenlet::{
    Builder, Greenlet, Handle, current, join_all, kill_all, shield, sleep, spawn, spawn_later, wait_all,
    wait_all_timeout, yield_now,
};
pub use timeout::{Timeout, timeout};
