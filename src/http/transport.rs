//! What the connection loop knows of the world: a byte stream with timeouts.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A byte stream that carries one HTTP connection: a socket, a TLS session, a buffer in memory.
///
/// `read` and `write` may park the calling greenlet; a timeout that passes meanwhile surfaces as
/// [`io::ErrorKind::TimedOut`] (or `WouldBlock`, as blocking sockets of the standard library have it).
pub trait Transport: Read + Write {
    /// Bounds each following `read`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the transport reports; it ends the connection.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Bounds each following `write`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the transport reports; it ends the connection.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Tells the peer that nothing more will be sent, while its own bytes can still be read.
    ///
    /// # Errors
    /// Whatever the transport reports; it is taken to mean that the peer is gone.
    fn shutdown_write(&self) -> io::Result<()>;

    /// The address of the peer, if the transport has such a thing.
    fn peer_addr(&self) -> Option<SocketAddr>;
}
