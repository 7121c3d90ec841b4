//! Greenlets: spawning, waiting for them, ending them.

mod builder;
mod handle;
mod join;
mod many;
mod pause;

pub use builder::{Builder, spawn, spawn_later};
pub use handle::Handle;
pub use join::Greenlet;
pub use many::{join_all, kill_all, wait_all, wait_all_timeout};
pub use pause::{current, shield, sleep, yield_now};
