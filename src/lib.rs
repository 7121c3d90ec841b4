#![doc = include_str!("../README.md")]
//!
//! # How a program runs
//!
//! Each OS thread that uses greenlets has a *hub*, made on first use. The thread's own stack, the *root*, may call every
//! blocking function; while it is blocked, the loop runs underneath it. When `main` returns, unfinished greenlets end
//! with the process.
//!
//! A function **switches** if other greenlets may run before it returns. Every function says in its documentation
//! whether it does. Between two switches nothing else happens on the thread.
//!
//! # Destructors do not block
//!
//! While a thread unwinds because of a panic, a kill or a timeout, nothing waits: `std::thread::panicking()` belongs to the
//! thread, and all its other greenlets would look as if they panicked. A blocking call that is made in a destructor then
//! returns its error, or the nearest neutral value, at once; those that run a function and give its value, such as
//! [`pool::Group::apply`], run it on the spot. The few that have neither, such as [`lock::Mutex::lock`] of a mutex that is held,
//! panic and say so; beside each stands one that can be used. Every call that may switch says what it does instead of waiting,
//! after the words **While unwinding**.
//!
//! # Time limits
//!
//! A call whose name ends in `_timeout` waits as its sibling does, but not longer than it is told. A limit of zero takes what is there
//! already, and gives up after a turn of the loop at most. A limit beyond 584 years, such as [`Duration::MAX`](std::time::Duration::MAX),
//! is none: on a thread's root the call panics with [`LoopExit`] then, as its sibling does, if nothing is left that could ever end the
//! wait. Limits that stay set, such as those of sockets and servers, follow the same rule, with `None` for no limit; where zero is refused
//! this is said there.
//!
//! A limit bounds its own call, and gives an error or a neutral value when it runs out. [`timeout()`] bounds any code, by unwinding it.
//!
//! # The end of a thread
//!
//! Greenlets that live when their thread ends vanish: no code of theirs runs any more, no destructor either. The destructor of
//! a thread-local must not block, and no greenlet should be inside `LocalKey::with` when its thread ends: thread-locals are
//! destroyed one by one, and another one may be gone already.
//!
//! # Mutexes of the standard library
//!
//! A guard of `std::sync::Mutex` that is held while its greenlet switches blocks the whole thread, for ever, as soon as
//! another greenlet locks the same mutex. Do not hold one over a call that switches, nor a `RefCell` borrow; what is to stay
//! locked over a switch belongs into one of the [`lock`]s of this crate.
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
pub mod fs;
pub mod future;
mod greenlet;
#[cfg(feature = "http")]
pub mod http;
pub mod hub;
pub mod io;
pub mod local;
pub mod lock;
pub mod net;
mod park;
pub mod pool;
pub mod process;
pub mod queue;
mod reactor;
mod report;
pub mod server;
pub mod signal;
mod stack;
pub mod sync;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threadpool;
mod timeout;
#[cfg(feature = "tls")]
pub mod tls;
mod unwind;
#[doc(hidden)]
pub mod wait;
mod waitlist;

pub use error::{Elapsed, JoinError, LoopExit};
pub use greenlet::{
    Builder, Greenlet, Handle, LinkId, Outcome, Scope, ScopedGreenlet, SpawnHook, current, idle, join_all,
    kill_all, kill_all_nowait, kill_all_timeout, on_spawn, scope, shield, sleep, spawn, spawn_later,
    try_join_all, wait_all, wait_all_timeout, yield_now,
};
pub use threadpool::threadpool;
pub use timeout::{Timeout, timeout};
pub use wait::{Iwait, Waitable, iwait, wait, wait_any, wait_any_timeout, wait_timeout};
