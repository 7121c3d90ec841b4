//! What a connection's handler may return.

use std::error::Error;
use std::fmt;
use std::io;

use crate::report;

/// The end of a handler: nothing, or a `Result`.
///
/// An error is reported on standard error, once, unless it only says that the peer has gone: that is its right.
///
/// # Examples
/// ```
/// use greenloop::server::Outcome;
/// use std::fmt;
///
/// /// An end that is counted and not reported.
/// struct Counted(Result<(), String>);
///
/// impl Outcome for Counted {
///     fn conclude(self, peer: &dyn fmt::Debug) {
///         println!("{peer:?} {}", if self.0.is_ok() { "was content" } else { "was not content" });
///     }
/// }
/// # use greenloop::{net::TcpStream, server::StreamServer};
/// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| Counted(Err("no tea left".to_string())));
/// server.start()?;
/// let client = TcpStream::connect(server.local_addr()?)?;
/// assert_eq!(std::io::read_to_string(client)?, "");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Outcome {
    /// Reports what has to be reported. Called by the server.
    fn conclude(self, peer: &dyn fmt::Debug);
}

impl Outcome for () {
    fn conclude(self, _: &dyn fmt::Debug) {}
}

impl<E: Into<Box<dyn Error>>> Outcome for Result<(), E> {
    fn conclude(self, peer: &dyn fmt::Debug) {
        if let Err(error) = self {
            let error = error.into();
            if !error.downcast_ref().is_some_and(is_gone) {
                report::line(format_args!("greenloop: the handler for {peer:?} failed: {error}"));
            }
        }
    }
}

/// Does the error only say that the peer has gone?
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}
