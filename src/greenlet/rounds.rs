//! Greenlets that rest: what goes on after a greenlet's own function, in rounds.
//!
//! A parked greenlet keeps its stack, some pages of memory that have gone cold when it goes on. A server has thousands of
//! connections that mostly wait for their next request, at a place where no frame holds anything worth keeping. Such a greenlet
//! ends its frames, gives the stack back, and is parked with nothing but its control block and a closure; when it is woken, the
//! closure runs again, on the stack that was used last:
//!
//! ```text
//!    f() returns ─▶ round ─▶ rests (no stack) ─▶ round ─▶ rests ─▶ .. ─▶ round is over ─▶ the end of the greenlet
//!                             woken, timed out, killed ─┘
//! ```
//!
//! To everybody else it is one greenlet, parked as any other: with an id, members of groups, joiners, links, a line in reports. It
//! rests by the rules of [`park`](crate::park): a kill or an expiry that is pending is thrown instead, one that comes meanwhile is thrown
//! at the beginning of the next round.

use std::panic::Location;
use std::rc::Rc;

use crate::hub::{End, Hub, Reason, Rounds, Task};
use crate::park::{Deadline, Rest, Woken};
use crate::unwind;

/// How a round ends.
pub(crate) enum Round {
    /// It was the last.
    Over,
    /// Another follows when the greenlet is woken, for which the body has seen to, or when the deadline has come.
    Rest(Reason, Deadline),
}

/// Lets the running greenlet go on in rounds when its own function has returned. `body` learns how the rest before it has ended,
/// and nothing in the first round.
#[track_caller]
pub(crate) fn follow(body: impl FnMut(Option<Woken>) -> Round + 'static) {
    let rounds = Following { body, site: Location::caller(), rest: None, end: None };
    Hub::current().running().rounds.set(Some(Box::new(rounds)));
}

struct Following<F> {
    body: F,
    /// The call that rests, in reports.
    site: &'static Location<'static>,
    rest: Option<Rest>,
    end: Option<End>,
}

impl<F: FnMut(Option<Woken>) -> Round + 'static> Rounds for Following<F> {
    fn set_end(&mut self, end: End) {
        self.end = Some(end);
    }

    fn run(mut self: Box<Self>, task: &Rc<Task>) {
        let round = unwind::catch(|| {
            let woken = self.rest.take().map(|rest| rest.end(task));
            match (self.body)(woken) {
                Round::Over => None,
                Round::Rest(reason, deadline) => Some(Rest::begin(reason, deadline, self.site)),
            }
        });
        let over = match round {
            Ok(Some(rest)) => {
                self.rest = Some(rest);
                return task.rounds.set(Some(self));
            }
            Ok(None) => Ok(()),
            Err(payload) => Err(payload),
        };
        let end = self.end.take();
        // The destructors of the body may block, and panic: that has been reported.
        std::mem::forget(unwind::catch(|| drop(self)));
        if let Some(end) = end {
            end(task, over);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
