//! The greenlet that takes new connections.

use std::io;
use std::time::Duration;

use super::Listener;
use super::life::Life;
use crate::greenlet::{self, sleep};
use crate::park;
use crate::report;
use crate::unwind;

/// gevent's: after a failed accept it pauses so long, and twice as long after each further failure, up to the limit.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and starts handlers until the server does not want it any more. The error is that of a listener which is
/// broken. It may be killed wherever it parks: then it holds no connection.
pub(super) fn accept_connections<L: Listener>(life: &Life<L>, listener: &L) -> io::Result<()> {
    let (mut pause, mut in_a_row) = (FIRST_PAUSE, 0);
    while life.accepts() {
        if in_a_row == life.max_accept {
            in_a_row = 0;
            park::yield_now();
            continue;
        }
        // A full pool leaves further clients in the kernel's queue.
        if life.connections.wait_available(None) == 0 {
            continue;
        }
        in_a_row += 1;
        park::lengthen_turn(life.max_accept);
        let failure = match caught(|| accept_one(life, listener)) {
            Ok(()) => {
                pause = FIRST_PAUSE;
                continue;
            }
            Err(error) if is_peers_fault(&error) => continue,
            Err(error) if caught(|| Ok(listener.is_broken(&error))).unwrap_or(false) => return Err(error),
            Err(error) => error,
        };
        report::line(format_args!(
            "greenloop: cannot take a connection: {failure}; the next attempt is in {pause:?}"
        ));
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// Takes a connection and starts its handler, without a park in between. If meanwhile others have filled the pool, which may
/// be shared, the connection is left with the server for later.
fn accept_one<L: Listener>(life: &Life<L>, listener: &L) -> io::Result<()> {
    let (stream, peer) = match life.left_over.take() {
        Some(connection) => connection,
        None => listener.accept()?,
    };
    if life.connections.is_full() {
        life.left_over.set(Some((stream, peer)));
        return Ok(());
    }
    let handler = life.handler.clone();
    life.connections.spawn_built(greenlet::Builder::new(), move || handler(stream, peer)).map(drop)
}

/// The listener may be the user's, and the hooks of a spawn are. If one of them panics, that is a failure like any other: a server whose
/// acceptor had ended would look as if it went on, and take nobody.
fn caught<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    unwind::catch(call).unwrap_or_else(|payload| match unwind::is_private(&payload) {
        true => std::panic::resume_unwind(payload),
        false => Err(io::Error::other(format!("a panic: {}", unwind::panic_text(&payload)))),
    })
}

/// The connection was gone before it was accepted (accept(2) passes pending network errors of the new socket on), or
/// somebody would not have an earlier datagram.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNREFUSED
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
        )
    )
}
