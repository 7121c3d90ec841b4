//! Handlers.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::{Signal, Subscription, subscribe};
use crate::greenlet::{self, Builder};
use crate::report;

/// Runs `f` in a greenlet of its own each time the signal comes, until the returned [`Handler`] is dropped.
///
/// `f` may block, for as long as it likes; a signal that comes meanwhile runs it again, beside. If it panics only that greenlet
/// ends, and the handler stays. Several handlers of one signal all run, in the order in which they were set, also on other
/// threads' hubs. The hub must come around for that: its thread has to block in a call of this crate.
///
/// A handler keeps no program going: [`wait_all`](crate::wait_all) returns although it is set.
///
/// **Switches**: no.
///
/// # Errors
/// If the signal cannot be caught (`SIGKILL`, `SIGSTOP`), or stands for broken code (`SIGSEGV` and its like). If no
/// descriptors can be had.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, signal::{self, SIGTERM}, spawn};
///
/// let stop = Event::new();
/// let _handler = signal::on(SIGTERM, { let stop = stop.clone(); move || stop.set() })?;
/// # assert_eq!(unsafe { libc::raise(15) }, 0);
/// stop.wait(); // until somebody sends SIGTERM
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn on(signal: Signal, f: impl Fn() + 'static) -> io::Result<Handler> {
    let (f, site): (Rc<dyn Fn()>, _) = (Rc::new(f), Location::caller());
    let weak = Rc::downgrade(&f);
    let run = move || {
        let handler = weak.clone();
        let body = move || {
            greenlet::announce(&greenlet::current());
            // Not if it was removed in the meantime.
            if let Some(f) = handler.upgrade() {
                f();
            }
        };
        let spawned = Builder::new().name(signal.to_string()).spawned_at(site).spawn_unannounced(body);
        if let Err(error) = spawned {
            report::line(format_args!("greenloop: the handler of {signal} cannot run: {error}"));
        }
    };
    let subscription = subscribe(signal, true, Rc::new(run))?;
    Ok(Handler { _f: f, signal, _subscription: subscription })
}

/// Keeps a handler of [`on`] set; dropping it removes the handler. What it has begun goes on.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, signal::{self, SIGUSR1, SIGUSR2, Handler}};
///
/// let (one, both) = (Event::new(), Event::new());
/// let handlers: Vec<Handler> = vec![
///     signal::on(SIGUSR1, { let one = one.clone(); move || one.set() })?,
///     signal::on(SIGUSR2, { let (one, both) = (one.clone(), both.clone()); move || { one.wait(); both.set() } })?,
/// ];
/// # assert_eq!(unsafe { libc::raise(libc::SIGUSR2) | libc::raise(libc::SIGUSR1) }, 0);
/// both.wait(); // until both have come, in any order
/// drop(handlers); // nothing is handled any more
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping it removes the handler"]
pub struct Handler {
    _f: Rc<dyn Fn()>,
    signal: Signal,
    _subscription: Subscription,
}

impl Handler {
    /// The signal that it handles.
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::{self, SIGHUP};
    ///
    /// let handler = signal::on(SIGHUP, || println!("read the configuration again"))?;
    /// assert_eq!(handler.signal(), SIGHUP);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handler({})", self.signal)
    }
}
