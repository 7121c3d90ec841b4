//! The greenlet that takes new connections.

use std::io;
use std::time::Duration;

use super::stream_server::Inner;
use crate::greenlet::{self, sleep};
use crate::net::TcpListener;

/// gevent's: after a failed accept it pauses so long, and twice as long after each further failure, up to the limit.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and starts handlers until it is killed or the listener is broken.
pub(super) fn accept_connections(server: &Inner, listener: &TcpListener) -> io::Error {
    let mut pause = FIRST_PAUSE;
    loop {
        // A full pool leaves further clients in the kernel's queue.
        server.connections.wait_available(None);
        let failure = match accept_one(server, listener) {
            Ok(()) => {
                pause = FIRST_PAUSE;
                continue;
            }
            Err(error) if is_peers_fault(&error) => continue,
            Err(error) if is_broken(&error) => return error,
            Err(error) => error,
        };
        eprintln!("greenloop: cannot take a connection: {failure}; the next attempt is in {pause:?}");
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn accept_one(server: &Inner, listener: &TcpListener) -> io::Result<()> {
    let (socket, peer) = listener.accept()?;
    let handler = server.handler.clone();
    server.connections.spawn_built(greenlet::Builder::new(), move || handler(socket, peer))?;
    Ok(())
}

/// The connection was gone before it was accepted (accept(2) passes pending network errors of the new socket on).
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
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

/// The listener itself is of no use any more.
fn is_broken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK))
}
