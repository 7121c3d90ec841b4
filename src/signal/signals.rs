//! Waiting for signals.

#![allow(private_interfaces, reason = "nobody outside can name the list, nor implement the sealed trait")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{SIGINT, SIGTERM, Signal, Subscription, subscribe};
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::wait::{Listed, Waitable};
use crate::waitlist::{Place, WaitList};

/// Signals that come one after the other, from now on until it is dropped.
///
/// Those that come while nobody waits are kept, each kind once. Each is taken by one waiter. It is
/// [`Waitable`], and ready while a signal is there to be taken.
///
/// # Examples
/// ```
/// use greenloop::{select, signal::{SIGHUP, SIGTERM, Signals}};
/// use std::time::Duration;
///
/// let signals = Signals::new(&[SIGHUP, SIGTERM])?;
/// # assert_eq!(unsafe { libc::raise(1) }, 0);
/// select! {
///     _ = signals.wait() => assert_eq!(signals.try_take(), Some(SIGHUP)),
///     _ = after(Duration::from_secs(30)) => panic!("nobody has sent one"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    arrived: Rc<Arrived>,
    _subscriptions: Vec<Subscription>,
}

struct Arrived {
    signals: RefCell<VecDeque<Signal>>,
    waiters: WaitList,
}

impl Signals {
    /// Begins to keep the signals that come.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// As [`on`](super::on()).
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::{SIGKILL, SIGUSR1, Signals};
    ///
    /// let signals = Signals::new(&[SIGUSR1])?;
    /// # assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    /// assert_eq!(signals.wait()?, SIGUSR1); // it was kept until now
    /// assert!(Signals::new(&[SIGKILL]).is_err()); // nobody can keep this one
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(signals: &[Signal]) -> io::Result<Signals> {
        let arrived = Rc::new(Arrived { signals: RefCell::default(), waiters: WaitList::new() });
        let subscriptions: io::Result<Vec<_>> = signals
            .iter()
            .map(|&signal| {
                let arrived = arrived.clone();
                subscribe(signal, true, Rc::new(move || arrived.add(signal)))
            })
            .collect();
        Ok(Signals { arrived, _subscriptions: subscriptions? })
    }

    /// Takes the next signal if one is there. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{signal::{SIGUSR1, Signals}, wait_any};
    ///
    /// let signals = Signals::new(&[SIGUSR1])?;
    /// assert_eq!(signals.try_take(), None);
    /// # assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    /// wait_any(&[&signals]); // it is there, and not taken
    /// assert_eq!(signals.try_take(), Some(SIGUSR1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_take(&self) -> Option<Signal> {
        self.arrived.signals.borrow_mut().pop_front()
    }

    /// Waits for the next signal.
    ///
    /// **Switches**: unless one is there.
    ///
    /// # Errors
    /// In a destructor run by a panic or a kill, which does not wait, if none is there.
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::{SIGUSR1, SIGUSR2, Signals};
    ///
    /// let signals = Signals::new(&[SIGUSR1, SIGUSR2])?;
    /// # assert_eq!(unsafe { libc::raise(libc::SIGUSR1) | libc::raise(libc::SIGUSR2) }, 0);
    /// let both = [signals.wait()?, signals.wait()?]; // as long as nobody sends one, the others run
    /// assert!(both.contains(&SIGUSR1) && both.contains(&SIGUSR2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(&self) -> io::Result<Signal> {
        self.wait_until(Deadline::NEVER)
    }

    /// [`wait`](Self::wait), at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: unless one is there.
    ///
    /// # Errors
    /// `TimedOut`; and as [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::{SIGUSR1, Signals};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let signals = Signals::new(&[SIGUSR1])?;
    /// let error = signals.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<Signal> {
        self.wait_until(Deadline::after(Some(timeout)))
    }

    #[track_caller]
    fn wait_until(&self, deadline: Deadline) -> io::Result<Signal> {
        let mut place = Place::default();
        loop {
            if let Some(signal) = self.try_take() {
                return Ok(signal);
            }
            let reason = Reason::plain(&"a signal");
            let error = match park::wait_on(&self.arrived.waiters, &mut place, reason, deadline) {
                Woken::Notified => continue,
                Woken::TimedOut => {
                    io::Error::new(io::ErrorKind::TimedOut, "no signal has come in the time allowed")
                }
                Woken::Refused => io::Error::other(
                    "this would wait for a signal, but the greenlet is being unwound by a panic or a kill: destructors do not \
                     block",
                ),
            };
            return self.try_take().ok_or(error);
        }
    }
}

impl Arrived {
    fn add(&self, signal: Signal) {
        let mut signals = self.signals.borrow_mut();
        if !signals.contains(&signal) {
            signals.push_back(signal);
        }
        drop(signals);
        self.waiters.wake_one();
    }
}

impl Listed for Signals {
    fn waiters(&self) -> &WaitList {
        &self.arrived.waiters
    }
}

impl Waitable for Signals {
    fn is_ready(&self) -> bool {
        !self.arrived.signals.borrow().is_empty()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.arrived.signals.borrow()).finish()
    }
}

/// Waits for one of the signals. For one after the other see [`Signals`], which does not miss those that come in between.
///
/// **Switches**: yes.
///
/// # Errors
/// As [`on`](super::on()). In a destructor run by a panic or a kill, which does not wait.
///
/// # Examples
/// ```
/// use greenloop::signal::{self, SIGINT, SIGTERM};
///
/// # greenloop::spawn(|| assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0));
/// let signal = signal::wait(&[SIGINT, SIGTERM])?; // somebody sends one meanwhile
/// assert_eq!(signal, SIGTERM);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn wait(signals: &[Signal]) -> io::Result<Signal> {
    Signals::new(signals)?.wait()
}

/// Waits for Ctrl-C.
///
/// **Switches**: yes.
///
/// # Errors
/// As [`wait`].
///
/// # Examples
/// ```
/// use greenloop::signal;
///
/// # greenloop::spawn(|| assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0));
/// signal::ctrl_c()?; // the others run on until then
/// println!("good bye");
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn ctrl_c() -> io::Result<()> {
    wait(&[SIGINT]).map(drop)
}

/// What asks a program to end: Ctrl-C and `SIGTERM`, kept from now on.
///
/// **Switches**: no.
///
/// # Errors
/// As [`on`](super::on()).
///
/// # Examples
/// ```
/// use greenloop::{server::StreamServer, signal, spawn};
/// use std::time::Duration;
///
/// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_socket, _peer| ());
/// let stop = signal::on_termination()?;
/// spawn({
///     let server = server.clone();
///     move || stop.wait().map(|_| server.stop(Duration::from_secs(10)))
/// });
/// # spawn(|| assert_eq!(unsafe { libc::raise(15) }, 0));
/// server.serve_forever()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn on_termination() -> io::Result<Signals> {
    Signals::new(&[SIGINT, SIGTERM])
}
