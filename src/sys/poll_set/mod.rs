//! Many descriptors behind one: a set that the hub can watch like any other descriptor, and that then says which of its own are
//! ready. They are reported as long as they are ready, and may be registered with the hub, too.
//!
//! One file per way of doing it, each with the same inherent methods:
//!
//! * `epoll.rs` (Linux): an epoll instance.
//! * `portable.rs` (everywhere else, and under `--cfg greenloop_portable_driver`): a poller of `polling`.
//!
//! | method | meaning |
//! |---|---|
//! | `add`, `modify`, `delete` | of a descriptor, under a number; `delete` before it is closed |
//! | `look` | calls a closure for those that are ready now, and does not wait |

#[cfg(all(target_os = "linux", not(greenloop_portable_driver)))]
mod epoll;
#[cfg(all(target_os = "linux", not(greenloop_portable_driver)))]
pub(crate) use epoll::PollSet;

#[cfg(not(all(target_os = "linux", not(greenloop_portable_driver))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(greenloop_portable_driver))))]
pub(crate) use portable::PollSet;

pub(crate) use super::driver::Interest;

/// Descriptors taken out of a set at once. Those that are left come first the next time.
const CAPACITY: usize = 512;
