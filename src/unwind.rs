//! The private payloads by which a kill and an expired [`Timeout`](crate::Timeout) travel, and how they are caught.
//!
//! Both are thrown with `resume_unwind`: destructors run, but the panic hook does not, so nothing is printed, and code that
//! handles errors as `Result`s never sees them. Only the greenlet's own root (kill) and the scope with the right identity
//! (timeout) stop them; everybody else who catches panics in this crate must ask [`is_private`] and pass them on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What `catch_unwind` gives for a panic.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

struct Kill;

struct Expiry {
    scope: u64,
}

/// The payload of a kill.
pub(crate) fn kill() -> Payload {
    Box::new(Kill)
}

/// Ends the current greenlet from where it stands.
pub(crate) fn throw_kill() -> ! {
    resume_unwind(kill())
}

/// In the number of a scope: there is none around the greenlet, and nobody would take the payload.
pub(crate) const LOOSE: u64 = 1 << 63;

/// Leaves the timeout scope `scope` from within.
pub(crate) fn throw_expiry(scope: u64) -> ! {
    if scope & LOOSE != 0 {
        panic!(
            "a Timeout that this greenlet has started ran out, and nothing here takes that: \
             put what it limits into its `run`, or cancel() it in time"
        );
    }
    resume_unwind(Box::new(Expiry { scope }))
}

/// Is this a kill?
pub(crate) fn is_kill(payload: &Payload) -> bool {
    payload.is::<Kill>()
}

/// Is this the expiry of the timeout scope `scope` and of no other?
pub(crate) fn is_expiry_of(payload: &Payload, scope: u64) -> bool {
    payload.downcast_ref::<Expiry>().is_some_and(|expiry| expiry.scope == scope)
}

/// Is this a kill or an expiry, which only their addressee may stop, rather than a panic of the program?
pub(crate) fn is_private(payload: &Payload) -> bool {
    payload.is::<Kill>() || payload.is::<Expiry>()
}

/// Runs `f` and returns what it returned or what it threw.
///
/// The caller must not use state that `f` may have left half-changed; in this crate that state is the user's, who sees the
/// panic again when it is rethrown or joined.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// The text of a panic, for messages.
pub(crate) fn panic_text(payload: &Payload) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}
