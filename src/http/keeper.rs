//! A server's connection between its requests: a greenlet that rests.
//!
//! While nothing has come and nothing is to be said, a connection is its socket and a closure. Everything else, the stack and the
//! buffers, is there only from the arrival of a request until the last answer has left; see `greenlet/rounds.rs` and `desk.rs`.

use super::config::Config;
use super::connection::{Borrowed, Visit, visit};
use super::io::quiet;
use super::response::Handler;
use super::server::Socket;
use super::stream::Stream;
use super::transport::Transport;
use crate::greenlet::rounds::{self, Round};
use crate::io::Resting;
use crate::park::{Deadline, Woken};
use crate::server::Outcome;
use std::io;
use std::rc::Rc;

/// What all connections of a server serve.
pub(super) struct Service<H> {
    pub(super) handler: H,
    pub(super) config: Config,
}

/// Lets the running greenlet, when its own function has returned, serve the connection until it ends.
pub(super) fn keep<S: Stream, H: Handler + 'static>(socket: Socket<S>, service: Rc<Service<H>>) {
    let mut keeper = Keeper { socket: Some(socket), service, served: 0, resting: None };
    rounds::follow(move |woken| keeper.round(woken));
}

struct Keeper<S: Stream, H> {
    /// Always there between two rounds.
    socket: Option<Socket<S>>,
    service: Rc<Service<H>>,
    served: u64,
    resting: Option<Resting>,
}

impl<S: Stream, H: Handler> Keeper<S, H> {
    fn round(&mut self, woken: Option<Woken>) -> Round {
        self.resting = None;
        let Some(socket) = self.socket.take() else { return Round::Over };
        socket.set_idle(false);
        if woken == Some(Woken::TimedOut) {
            return Round::Over;
        }
        let peer = socket.peer.clone();
        self.serve(socket).unwrap_or_else(|error| {
            quiet(Err(error)).conclude(&peer);
            Round::Over
        })
    }

    /// Serves what is there.
    fn serve(&mut self, socket: Socket<S>) -> io::Result<Round> {
        let Service { handler, config } = &*self.service;
        match visit(socket, &Borrowed(handler), config, &mut self.served, true)? {
            Visit::Over => Ok(Round::Over),
            Visit::Taken(socket, hand_over) => {
                drop(socket);
                hand_over.run(config);
                Ok(Round::Over)
            }
            Visit::Idle(socket, timeout) => {
                let (resting, reason) = socket.stream.rest()?;
                socket.set_idle(true);
                self.resting = Some(resting);
                self.socket = Some(socket);
                Ok(Round::Rest(reason, Deadline::after(timeout)))
            }
        }
    }
}
