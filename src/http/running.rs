//! An HTTP server that runs.

use super::gate::Gate;
use super::stream::Stream;
use crate::event::Event;
use crate::greenlet::Handle;
use crate::net::TcpListener;
use crate::pool::Pool;
use crate::server::{Listener, Part, Serve, StreamServer, Together};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// An HTTP server that runs in the background, with those that [`also`](super::Server::also) has joined to it. A handle: clones stand
/// for the same server, which goes on when all are dropped.
pub struct RunningServer<L: Listener = TcpListener> {
    /// The one that the others were joined to.
    server: StreamServer<L>,
    all: Together,
}

impl<L: Listener> RunningServer<L> {
    pub(super) fn new(server: StreamServer<L>, all: Together) -> RunningServer<L> {
        RunningServer { server, all }
    }
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
    /// Why the listening socket, or one of several, has become useless. None of them accepts any more then.
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.all.serve_forever()
    }

    /// Accepts no more connections, ends those at once that are between two requests, gives the others `grace` to finish
    /// the one they are in, then kills them.
    ///
    /// **Switches**: yes, until all have ended.
    #[track_caller]
    pub fn stop(&self, grace: Duration) {
        self.all.stop(grace);
    }

    /// The address the server listens on; of several servers in one the first.
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
        self.all.start()
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
        RunningServer { server: self.server.clone(), all: self.all.clone() }
    }
}

impl<L: Listener> fmt::Debug for RunningServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer").field("addr", &self.server.local_addr().ok()).finish()
    }
}

/// A stream server whose connections have a gate.
pub(super) struct Gated<P, S> {
    pub(super) server: P,
    pub(super) gate: Rc<Gate<S>>,
}

impl<P: Part, S: Stream> Part for Gated<P, S> {
    fn start(&self) -> io::Result<()> {
        self.server.start()
    }

    fn close(&self) -> Option<Handle> {
        self.gate.close();
        self.server.close()
    }

    fn connections(&self) -> &Pool {
        self.server.connections()
    }

    fn ended(&self) -> &Event {
        self.server.ended()
    }

    fn take_failure(&self) -> Option<io::Error> {
        self.server.take_failure()
    }

    fn cannot(&self, why: &str) -> io::Error {
        self.server.cannot(why)
    }
}
