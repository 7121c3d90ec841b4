//! Waiting where the kernel tells nobody when another attempt would be worth it: for room in the queue of a Unix listener,
//! for room at the receiver of a datagram to which the sender is not connected, and for the lock of a file.

use std::io;
use std::time::Duration;

use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};

/// Long enough for the greenlets that are ready to make room.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Does `operation` until it does not say that it would block, with pauses in between that grow. `what` is what it waits for.
///
/// # Errors
/// Those of the operation; `TimedOut`; that the thread is unwinding.
#[track_caller]
pub(crate) fn repeat<R>(
    what: &'static &'static str,
    timeout: Option<Duration>,
    mut operation: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    park::take_turn();
    let (mut deadline, mut pause) = (None, FIRST_PAUSE);
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => return done,
        }
        let deadline: Deadline = *deadline.get_or_insert_with(|| Deadline::after(timeout));
        if deadline.has_come() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("there was no {what} in the time allowed"),
            ));
        }
        let until = Deadline::after(Some(pause)).earlier(deadline);
        if park::park(Reason::plain(what), until) == Woken::Refused {
            return Err(io::Error::other(format!(
                "this would wait for {what}, but the greenlet is being unwound by a panic or a kill: destructors do not block"
            )));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
