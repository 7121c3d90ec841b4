//! Servers with one life: they start, serve and end as one. Mostly it is one server.
//!
//! None starts unless all can. A stop closes all listeners before it waits for anybody, then there is one grace for all handlers. A
//! listener that breaks ends the others as well: a service never goes on with fewer doors than it was given.

use std::io;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use crate::event::Event;
use crate::greenlet::{self, Builder, Handle};
use crate::park::Deadline;
use crate::pool::Pool;
use crate::unwind;
use crate::wait::{Waitable, iwait};

/// gevent's: a server that is stopped without a word about its handlers lets them finish for so long.
pub(super) const USUAL_GRACE: Duration = Duration::from_secs(1);
/// gevent's: so long a stop waits for the end of handlers that it has killed.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// One of them.
pub(crate) trait Part {
    fn start(&self) -> io::Result<()>;
    /// Lets go of the listener, which is closed when the acceptor, that is given to the caller, has ended.
    fn close(&self) -> Option<Handle>;
    /// The greenlets of the handlers.
    fn connections(&self) -> &Pool;
    fn ended(&self) -> &Event;
    /// Why the listener has become useless.
    fn take_failure(&self) -> Option<io::Error>;
    /// Has `then` called if the listener becomes useless, unless it is closed before that.
    fn when_broken(&self, then: Box<dyn FnOnce()>);
    /// An error that names the server.
    fn cannot(&self, why: &str) -> io::Error;
}

/// At least one.
#[derive(Clone)]
pub(crate) struct Together(Rc<[Box<dyn Part>]>);

impl Together {
    pub(crate) fn new(parts: Vec<Box<dyn Part>>) -> Together {
        Together(parts.into())
    }

    pub(crate) fn start(&self) -> io::Result<()> {
        for (number, part) in self.0.iter().enumerate() {
            if let Err(error) = part.start() {
                let started = &self.0[..number];
                close(started);
                end(started);
                return Err(error);
            }
        }
        if self.0.len() > 1 {
            self.0.iter().for_each(|part| self.clone().ends_with(&**part));
        }
        Ok(())
    }

    /// Also while nobody waits for the end.
    fn ends_with(self, part: &dyn Part) {
        part.when_broken(Box::new(move || {
            close(&self.0);
            end(&self.0);
        }));
    }

    #[track_caller]
    pub(crate) fn serve_forever(&self) -> io::Result<()> {
        self.start()?;
        self.wait_for_end()
    }

    /// For those that have been started: the end may have come already.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) -> io::Result<()> {
        let interrupted = Interrupted(self);
        match &*self.0 {
            [part] => part.ended().wait(),
            parts => {
                let ends: Vec<_> = parts.iter().map(|part| part.ended() as &dyn Waitable).collect();
                let _first = iwait(&ends).next();
            }
        }
        mem::forget(interrupted);
        if !self.0.iter().any(|part| part.ended().is_set()) {
            return Err(self.0[0]
                .cannot("is started, but a destructor run by a panic or a kill does not wait for its end"));
        }
        close(&self.0);
        end(&self.0);
        self.0.iter().find_map(|part| part.take_failure()).map_or(Ok(()), Err)
    }

    #[track_caller]
    pub(crate) fn stop(&self, grace: Duration) {
        /// Also if the wait for the handlers is interrupted: clients are refused from now on.
        struct Ended<'a>(&'a Together);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                end(&self.0.0);
            }
        }
        let _ended = Ended(self);
        for acceptor in close(&self.0) {
            acceptor.kill();
        }
        let until = Deadline::after(Some(grace));
        let mut are_done = true;
        for part in self.0.iter() {
            // A handler that stops its own server does not wait for itself, and ends when it likes.
            part.connections().discard(greenlet::current());
            are_done = are_done && part.connections().join_until(until);
        }
        if are_done {
            return;
        }
        self.kill_nowait();
        let until = Deadline::after(Some(LAST_WAIT));
        for part in self.0.iter() {
            part.connections().kill_until(until);
        }
    }

    fn kill_nowait(&self) {
        self.0.iter().for_each(|part| part.connections().kill_nowait());
    }
}

/// Clients are refused from now on. The acceptors have been killed, and end when they next run.
fn close(parts: &[Box<dyn Part>]) -> Vec<Handle> {
    let acceptors: Vec<_> = parts.iter().filter_map(|part| part.close()).collect();
    acceptors.iter().for_each(Handle::kill_nowait);
    acceptors
}

fn end(parts: &[Box<dyn Part>]) {
    parts.iter().for_each(|part| part.ended().set());
}

/// A `serve_forever` that is unwound, by a kill or a timeout, stops its servers. That may take time, which an unwinding
/// greenlet does not have, so another one does it.
struct Interrupted<'a>(&'a Together);

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        let together = self.0.clone();
        close(&together.0);
        let stopping = {
            let together = together.clone();
            move || together.stop(USUAL_GRACE)
        };
        // A spawn hook that panics, out of a destructor, would end the process. It does not keep the greenlet from running.
        let spawned = unwind::catch(|| Builder::new().name("stop").spawn(stopping).map(drop));
        if matches!(spawned, Ok(Err(_))) {
            together.kill_nowait();
            end(&together.0);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
