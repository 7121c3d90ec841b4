//! A server's connection between its requests: a greenlet that rests.
//!
//! While nothing has come and nothing is to be said, a connection is its socket, with its TLS session if it has one, and a closure.
//! Everything else, the stack and the buffers, is there only from the arrival of a request until the last answer has left; see
//! `greenlet/rounds.rs` and `desk.rs`. A client that has just come is about to send its first request, and is waited for with the stack:
//! when thousands come at once, their stacks are made while they come and not when all of them want an answer.

use super::config::Config;
use super::connection::{self, Visit};
use super::error::is_timeout;
use super::io::quiet;
use super::response::Handler;
use super::transport::Transport;
use crate::greenlet::rounds::{self, Round};
use crate::hub::Reason;
use crate::io::Resting;
use crate::park::{Deadline, Woken, park};
use crate::server::Outcome;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// How long a client that has just come keeps a stack without having sent anything.
const FIRST_MOMENT: Duration = Duration::from_secs(1);

/// What all connections of a server serve.
pub(super) struct Service {
    pub(super) handler: Rc<dyn Handler>,
    pub(super) config: Config,
}

/// The server's end of a connection, which can wait for a request without frames.
pub(super) trait Client: Transport + 'static {
    /// Has the running greenlet woken when something comes. [`Transport::try_read`] has just said that nothing is there.
    fn rest(&self) -> io::Result<(Resting, Reason)>;
    /// Says that this is the end, if what is below HTTP has a word for that.
    fn say_goodbye(&self) {}
    /// Who it is, for reports.
    fn peer(&self) -> &dyn fmt::Debug;
}

/// Lets the running greenlet, when its own function has returned, serve the connection until it ends.
pub(super) fn keep<C: Client>(client: C, service: Rc<Service>) {
    let mut keeper = Keeper { client: Some(client), service, served: 0, resting: None, deadline: None };
    rounds::follow(move |woken| keeper.round(woken));
}

struct Keeper<C> {
    /// Always there between two rounds.
    client: Option<C>,
    service: Rc<Service>,
    served: u64,
    resting: Option<Resting>,
    /// When the next request has to have begun, since the one before.
    deadline: Option<Deadline>,
}

impl<C: Client> Keeper<C> {
    fn round(&mut self, woken: Option<Woken>) -> Round {
        self.resting = None;
        let Some(mut client) = self.client.take() else { return Round::Over };
        client.set_idle(false);
        if woken == Some(Woken::TimedOut) {
            client.say_goodbye();
            return Round::Over;
        }
        let mut stays = woken.is_none();
        let ended = loop {
            let Service { handler, config } = &*self.service;
            let served = self.served;
            let visit;
            (client, visit) = connection::visit(client, &**handler, config, &mut self.served, true);
            if self.served > served {
                self.deadline = None;
            }
            match visit {
                Ok(Visit::Idle(timeout)) => match client.rest() {
                    Ok((resting, reason)) if stays && self.served == 0 => {
                        stays = self.stand_by(&client, reason, timeout) == Woken::Notified;
                        drop(resting);
                    }
                    Ok((resting, reason)) => return self.rest(client, resting, reason, timeout),
                    Err(error) => break Err(error),
                },
                Ok(Visit::Taken(hand_over)) => {
                    drop(client);
                    hand_over.run(config);
                    return Round::Over;
                }
                Ok(Visit::Over) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // A client that has taken too long for what was for it would take as long for that.
        if !ended.as_ref().is_err_and(is_timeout) {
            client.say_goodbye();
        }
        quiet(ended).conclude(client.peer());
        Round::Over
    }

    /// Waits a moment for the first request, with the stack that it will need. When that is over another look has to follow: something may
    /// have come since.
    fn stand_by(&mut self, client: &C, reason: Reason, timeout: Option<Duration>) -> Woken {
        let deadline = self.deadline.get_or_insert_with(|| Deadline::after(timeout));
        client.set_idle(true);
        let woken = park(reason, deadline.earlier(Deadline::after(Some(FIRST_MOMENT))));
        client.set_idle(false);
        woken
    }

    /// What has woken it may have been no request: then the time for that goes on.
    fn rest(&mut self, client: C, resting: Resting, reason: Reason, timeout: Option<Duration>) -> Round {
        let deadline = *self.deadline.get_or_insert_with(|| Deadline::after(timeout));
        client.set_idle(true);
        self.resting = Some(resting);
        self.client = Some(client);
        Round::Rest(reason, deadline)
    }
}
