//! The life of a server, whatever it serves.
//!
//! ```text
//!   bound ───┐ start                stop_accepting
//!            ├──────▶ accepting ─────────────────────▶ paused ──┐
//!   given ───┘            │  ▲                           │      │ stop
//!     │                   │  └──── start_accepting ──────┘      │
//!     └── stop ───────────┴──── stop, or the listener breaks ───┴──▶ stopped
//! ```
//!
//! A server that is *bound* has an address and refuses clients; one that was *given* a listener lets the kernel queue them, as
//! does one that is *paused*. While it accepts, one greenlet, the acceptor, has the listener; it is killed to end
//! that. The handlers run in a pool and do not care what becomes of the server until `stop` runs out of patience.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Listener;
use super::accept::accept_connections;
use super::together::{Part, Together};
use crate::event::Event;
use crate::greenlet::{Builder, Handle};
use crate::pool::Pool;

/// gevent's: as many connections are accepted before the others get a turn.
pub(super) const MAX_ACCEPT: u32 = 100;

/// What takes a connection and who it is from.
pub(super) type Handler<L> = Rc<dyn Fn(<L as Listener>::Stream, <L as Listener>::Addr)>;
/// Begins to listen. If it fails it may be tried again.
pub(super) type Open<L> = Box<dyn Fn() -> io::Result<L>>;
type Connection<L> = (<L as Listener>::Stream, <L as Listener>::Addr);

pub(super) struct Life<L: Listener> {
    pub(super) handler: Handler<L>,
    /// The greenlets of the handlers.
    pub(super) connections: Pool,
    pub(super) max_accept: u32,
    pub(super) address: L::Addr,
    stage: RefCell<Stage<L>>,
    accepts: Cell<bool>,
    /// Accepted when the pool had become full, and not yet handled.
    pub(super) left_over: Cell<Option<Connection<L>>>,
    ended: Event,
    /// Why the acceptor has given up.
    failure: Cell<Option<io::Error>>,
    when_broken: Cell<Option<Box<dyn FnOnce()>>>,
}

pub(super) enum Stage<L> {
    Bound(Open<L>),
    Given(Rc<L>),
    /// The last acceptor is there even when it was killed, so that the next one can wait for its end.
    Started {
        listener: Rc<L>,
        acceptor: Option<Handle>,
    },
    Stopped,
}

impl<L: Listener> Life<L> {
    pub(super) fn new(
        stage: Stage<L>,
        address: L::Addr,
        (connections, max_accept): (Pool, u32),
        handler: Handler<L>,
    ) -> Rc<Life<L>> {
        Rc::new(Life {
            handler,
            connections,
            max_accept,
            address,
            stage: RefCell::new(stage),
            accepts: Cell::new(false),
            left_over: Cell::new(None),
            ended: Event::new(),
            failure: Cell::new(None),
            when_broken: Cell::new(None),
        })
    }

    /// Has it been started, and not stopped?
    pub(super) fn is_started(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Started { .. })
    }

    /// Does it want connections?
    pub(super) fn accepts(&self) -> bool {
        self.accepts.get()
    }

    /// Is there an acceptor that will go on?
    pub(super) fn is_accepting(&self) -> bool {
        let stage = self.stage.borrow();
        let Stage::Started { acceptor: Some(acceptor), .. } = &*stage else { return false };
        self.accepts() && !acceptor.is_doomed()
    }

    pub(super) fn start(self: &Rc<Self>) -> io::Result<()> {
        let opened = match &*self.stage.borrow() {
            Stage::Bound(_) | Stage::Given(_) if self.connections.size() == 0 => {
                return Err(self.has_no_slots());
            }
            Stage::Bound(open) => Some(Rc::new(open()?)),
            Stage::Given(listener) => Some(listener.clone()),
            Stage::Started { .. } | Stage::Stopped => None,
        };
        let Some(listener) = opened else { return self.start_accepting() };
        let before = self.stage.replace(Stage::Started { listener, acceptor: None });
        self.start_accepting().inspect_err(|_| {
            // There was no stack for the acceptor, and no code of the user's has run.
            drop(self.stage.replace(before));
        })
    }

    pub(super) fn start_accepting(self: &Rc<Self>) -> io::Result<()> {
        if self.is_accepting() {
            return Ok(());
        }
        let (listener, previous) = match &*self.stage.borrow() {
            Stage::Started { listener, acceptor } => (listener.clone(), acceptor.clone()),
            Stage::Stopped => {
                return Err(self.cannot("was stopped and cannot start again; bind a new one"));
            }
            Stage::Bound(_) | Stage::Given(_) => {
                return Err(self.cannot("is not started, so it cannot accept; call `start`"));
            }
        };
        let life = self.clone();
        let body = move || life.serve_as_acceptor(listener, previous);
        // Before the hooks of the spawn run, which may let it run, kill it, or stop the server.
        Builder::new().name("acceptor").spawn_known(body, |acceptor| {
            self.accepts.set(true);
            if let Stage::Started { acceptor: place, .. } = &mut *self.stage.borrow_mut() {
                *place = Some(acceptor.clone());
            }
        })
    }

    fn has_no_slots(&self) -> io::Error {
        let text = format!(
            "the server on {:?} would serve nobody: its pool is of size 0, so no handler could ever run; \
             allow one at a time at least",
            self.address
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    }

    pub(super) fn cannot(&self, why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::NotConnected, format!("the server on {:?} {why}", self.address))
    }

    /// What the acceptor does.
    fn serve_as_acceptor(&self, listener: Rc<L>, previous: Option<Handle>) {
        // One at a time may wait for the listener.
        if let Some(previous) = previous {
            previous.wait();
        }
        let outcome = accept_connections(self, &*listener);
        drop(listener);
        if let Err(failure) = outcome {
            self.failure.set(Some(failure));
            let then = self.when_broken.take();
            drop(self.close());
            self.ended.set();
            if let Some(then) = then {
                then();
            }
        }
    }

    /// No handler is started any more when this returns; the kernel queues clients.
    #[track_caller]
    pub(super) fn stop_accepting(&self) {
        self.accepts.set(false);
        let acceptor = match &*self.stage.borrow() {
            Stage::Started { acceptor, .. } => acceptor.clone(),
            _ => None,
        };
        if let Some(acceptor) = acceptor {
            acceptor.kill();
        }
    }

    /// Lets go of the listener. It is closed when the acceptor, which is given to the caller, has ended.
    fn close(&self) -> Option<Handle> {
        self.accepts.set(false);
        self.left_over.take();
        self.when_broken.take();
        match self.stage.replace(Stage::Stopped) {
            Stage::Started { acceptor, .. } => acceptor,
            _ => None,
        }
    }

    #[track_caller]
    pub(super) fn serve_forever(self: &Rc<Self>) -> io::Result<()> {
        self.alone().serve_forever()
    }

    #[track_caller]
    pub(super) fn stop(self: &Rc<Self>, grace: Duration) {
        self.alone().stop(grace);
    }

    fn alone(self: &Rc<Self>) -> Together {
        Together::new(vec![Box::new(self.clone())])
    }
}

impl<L: Listener> Part for Rc<Life<L>> {
    fn start(&self) -> io::Result<()> {
        Life::start(self)
    }

    fn close(&self) -> Option<Handle> {
        Life::close(self)
    }

    fn connections(&self) -> &Pool {
        &self.connections
    }

    fn ended(&self) -> &Event {
        &self.ended
    }

    fn take_failure(&self) -> Option<io::Error> {
        self.failure.take()
    }

    fn when_broken(&self, then: Box<dyn FnOnce()>) {
        self.when_broken.set(Some(then));
    }

    fn cannot(&self, why: &str) -> io::Error {
        Life::cannot(self, why)
    }
}

impl<L: Listener> fmt::Debug for Life<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.stage.borrow() {
            Stage::Bound(_) | Stage::Given(_) => "not started",
            Stage::Started { .. } if self.is_accepting() => "started",
            Stage::Started { .. } => "paused",
            Stage::Stopped => "stopped",
        };
        write!(f, "{:?}, {state}, {} handlers", self.address, self.connections.len())
    }
}
