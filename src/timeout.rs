//! A deadline over any code.
//!
//! The scope has an identity. When its time has come the greenlet is woken wherever it is parked and a private payload with that
//! identity is thrown; it passes through everything, inner scopes included, until it reaches the scope it belongs to.

use std::time::Duration;

use crate::error::Elapsed;
use crate::hub::timers::TimerKey;
use crate::hub::{Alarm, Hub};
use crate::unwind;
use std::panic::resume_unwind;

/// Runs `f`; if it has not finished after `limit`, it is unwound where it waits and the result is `Err(Elapsed)`.
///
/// Only a greenlet that parks can be interrupted: code that computes, and a call that gets what it waits for in the same
/// turn of the loop in which the time runs out, finish first. Destructors run, nothing is printed. Timeouts nest: each
/// ends its own scope, and an outer one passes through the inner ones. A limit of zero still
/// needs a turn of the loop; one beyond 584 years never ends.
///
/// **Switches**: only if `f` does.
///
/// # Errors
/// [`Elapsed`] if the time ran out.
///
/// # Panics
/// If `f` does.
///
/// # Examples
/// ```
/// use greenloop::{sleep, timeout, Elapsed};
/// use std::time::Duration;
///
/// assert_eq!(timeout(Duration::from_secs(10), || 1 + 1), Ok(2));
/// assert_eq!(timeout(Duration::from_millis(1), || sleep(Duration::from_secs(60))), Err(Elapsed));
/// ```
pub fn timeout<T>(limit: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    Timeout::new(limit).run(f)
}

/// A limit that can be kept and used again: what [`timeout`] does, as an object.
///
/// # Examples
/// ```
/// use greenloop::{sleep, Timeout};
/// use std::time::Duration;
///
/// let limit = Timeout::new(Duration::from_millis(1));
/// for _ in 0..2 {
///     assert!(limit.run(|| sleep(Duration::from_secs(60))).is_err());
/// }
/// assert!(Timeout::never().run(|| sleep(Duration::from_millis(5))).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limit: Option<Duration>,
}

impl Timeout {
    /// A limit of this length, counted from each [`run`](Self::run).
    pub const fn new(limit: Duration) -> Timeout {
        Timeout { limit: Some(limit) }
    }

    /// No limit: gevent's `Timeout(None)`. It arms no timer.
    pub const fn never() -> Timeout {
        Timeout { limit: None }
    }

    /// Runs `f` within the limit, see [`timeout`].
    ///
    /// **Switches**: only if `f` does.
    ///
    /// # Errors
    /// [`Elapsed`] if the time ran out.
    ///
    /// # Panics
    /// If `f` does.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
        let hub = Hub::current();
        let Some(deadline) = self.limit.and_then(|limit| hub.deadline(limit)) else { return Ok(f()) };
        let scope = Scope::enter(hub, deadline);
        match unwind::catch(f) {
            Ok(value) => Ok(value),
            Err(payload) if unwind::is_expiry_of(&payload, scope.id) => Err(Elapsed),
            Err(payload) => {
                drop(scope);
                resume_unwind(payload)
            }
        }
    }
}

impl From<Duration> for Timeout {
    fn from(limit: Duration) -> Timeout {
        Timeout::new(limit)
    }
}

impl From<Option<Duration>> for Timeout {
    fn from(limit: Option<Duration>) -> Timeout {
        Timeout { limit }
    }
}

/// An armed limit of the running greenlet; leaving it disarms it.
struct Scope {
    id: u64,
    timer: TimerKey,
}

impl Scope {
    fn enter(hub: &Hub, deadline: u64) -> Scope {
        let id = hub.new_id();
        let timer = hub.arm(deadline, Alarm::Expire(hub.running(), id));
        Scope { id, timer }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let hub = Hub::current();
        if !hub.disarm(self.timer) {
            hub.running().forget_expired(self.id);
        }
    }
}
