//! Waiting for descriptors. One file per way of doing it, each with the same inherent methods:
//!
//! * `epoll.rs` (Linux): edge-triggered, registered once, one system call per wait.
//! * `portable.rs` (everywhere else, and under `--cfg greenloop_portable_driver`): the one-shot interface of `polling`.
//!
//! | method | meaning |
//! |---|---|
//! | `add` | begins to watch a descriptor; a first event may come at once |
//! | `arm` | says that somebody is about to wait for these directions |
//! | `delete` | ends watching, before the descriptor is closed |
//! | `wait` | sleeps until something is ready, or the time is up, or the `Waker` was used |

#[cfg(all(target_os = "linux", not(greenloop_portable_driver)))]
mod epoll;
#[cfg(all(target_os = "linux", not(greenloop_portable_driver)))]
pub(crate) use epoll::{Driver, Waker};

#[cfg(not(all(target_os = "linux", not(greenloop_portable_driver))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(greenloop_portable_driver))))]
pub(crate) use portable::{Driver, Waker};

/// Events taken from the system at once. What is left comes with the next look, and has been waiting in the kernel rather than in front of
/// those who are due by the clock.
pub(crate) const EVENTS: usize = 64;

/// What became ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// The number given to `add`.
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// A read that gives less than it was asked for is not the last: the peer has closed its side, so that the end comes
    /// next, or urgent data lies in between, where reads stop. No further event will say so.
    pub(crate) more: bool,
}

/// Which directions somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}
