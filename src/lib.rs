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
#[cfg(feature = "http")]
pub mod http;
mod hub;
mod io;
pub mod lock;
pub mod net;
mod park;
pub mod pool;
pub mod queue;
mod reactor;
pub mod server;
mod stack;
mod sys;
pub mod threadpool;
mod timeout;
mod unwind;
mod waitlist;

pub use error::{Elapsed, JoinError, LoopExit};
pub use greenlet::{
    Builder, Greenlet, Handle, current, join_all, kill_all, shield, sleep, spawn, spawn_later, wait_all,
    wait_all_timeout, yield_now,
};
pub use threadpool::threadpool;
pub use timeout::{Timeout, timeout};
