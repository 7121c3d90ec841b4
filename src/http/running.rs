//! An HTTP server that runs.

use super::gate::Gate;
use super::stream::Stream;
use crate::net::TcpListener;
use crate::server::{Listener, Serve, StreamServer};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// An HTTP server that runs in the background. A handle: clones stand for the same server, which goes on when
/// all are dropped.
pub struct RunningServer<L: Listener = TcpListener> {
    pub(super) server: StreamServer<L>,
    pub(super) gate: Rc<Gate<L::Stream>>,
}

#[allow(private_bounds, reason = "as those of `Server`")]
impl<L: Listener> RunningServer<L>
where
    L::Stream: Stream,
{
    /// Waits until the server is stopped.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// Why the listening socket has become useless.
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.server.serve_forever()
    }

    /// Accepts no more connections, ends those at once that are between two requests, gives the others `grace` to finish
    /// the one they are in, then kills them.
    ///
    /// **Switches**: yes, until all have ended.
    pub fn stop(&self, grace: Duration) {
        self.gate.close();
        self.server.stop(grace);
    }

    /// The address the server listens on.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.server.local_addr()
    }
}

#[allow(private_bounds, reason = "as those of `Server`")]
impl<L: Listener> Serve for RunningServer<L>
where
    L::Stream: Stream,
{
    /// It has been.
    fn start(&self) -> io::Result<()> {
        self.server.start()
    }

    fn serve_forever(&self) -> io::Result<()> {
        self.serve_forever()
    }

    fn stop(&self, grace: Duration) {
        self.stop(grace);
    }
}

impl<L: Listener> Clone for RunningServer<L> {
    fn clone(&self) -> RunningServer<L> {
        RunningServer { server: self.server.clone(), gate: self.gate.clone() }
    }
}

impl<L: Listener> fmt::Debug for RunningServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer").field("addr", &self.server.local_addr().ok()).finish()
    }
}
