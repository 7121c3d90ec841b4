//! What all servers have in common.

use std::io;
use std::time::Duration;

/// What can be started and stopped: the servers of this crate, and whatever is made of them.
///
/// # Examples
/// Two servers as one:
/// ```
/// use greenloop::server::{Serve, StreamServer};
/// use std::{io, time::Duration};
///
/// struct Both<A, B>(A, B);
///
/// impl<A: Serve, B: Serve> Serve for Both<A, B> {
///     fn start(&self) -> io::Result<()> {
///         self.0.start()?;
///         self.1.start()
///     }
///     fn serve_forever(&self) -> io::Result<()> {
///         self.start()?;
///         self.0.serve_forever()?;
///         self.1.serve_forever()
///     }
///     fn stop(&self, grace: Duration) {
///         self.0.stop(grace);
///         self.1.stop(grace);
///     }
/// }
/// let server = || Ok::<_, io::Error>(StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ()));
/// let both = Both(server()?, server()?);
/// both.start()?;
/// both.stop(Duration::ZERO);
/// # Ok::<(), io::Error>(())
/// ```
pub trait Serve {
    /// Begins to serve, when the current greenlet blocks. Does nothing if it serves already. **Switches**: no.
    ///
    /// # Errors
    /// If it cannot.
    fn start(&self) -> io::Result<()>;

    /// Starts if that has not happened yet, and waits until it is stopped. **Switches**: yes.
    ///
    /// # Errors
    /// As [`start`](Self::start); or why it could not go on.
    fn serve_forever(&self) -> io::Result<()>;

    /// Takes no more work, gives that which is under way `grace` to finish, then ends it. **Switches**: if there is something to wait for.
    fn stop(&self, grace: Duration);
}
