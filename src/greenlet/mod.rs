//! Greenlets: spawning, waiting for them, ending them, and what is to happen then.

mod builder;
mod handle;
mod hook;
mod join;
mod life;
mod link;
mod many;
mod pause;
#[cfg(feature = "http")]
pub(crate) mod rounds;
mod scope;
mod try_join;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use crate::hub::Outcome;
pub use builder::{Builder, spawn, spawn_later};
pub use handle::Handle;
pub(crate) use hook::announce;
pub use hook::{SpawnHook, on_spawn};
pub use join::Greenlet;
pub use link::LinkId;
pub use many::{join_all, kill_all, kill_all_nowait, kill_all_timeout, wait_all, wait_all_timeout};
pub use pause::{current, idle, shield, sleep, yield_now};
pub use scope::{Scope, ScopedGreenlet, scope};
pub use try_join::try_join_all;

// What a greenlet panics with is its result. Who holds it sees nothing that a panic could leave half done.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}
impl<T> UnwindSafe for Greenlet<T> {}
impl<T> RefUnwindSafe for Greenlet<T> {}
