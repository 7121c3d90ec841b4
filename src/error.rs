//! The errors that calls of this crate return, apart from `std::io::Error`.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use crate::unwind::{self, Payload};

/// Why a greenlet gave no value.
///
/// # Examples
/// ```
/// let bad = greenloop::spawn(|| -> u32 { panic!("boom") });
/// let error = bad.join().unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().contains("boom"));
/// ```
pub struct JoinError(Kind);

enum Kind {
    Killed,
    Panicked(Payload),
    /// A clone of a panic: its text.
    Told(Box<str>),
    /// It could not be waited for, or not be started: why.
    Refused(Cow<'static, str>),
}

impl JoinError {
    pub(crate) fn killed() -> Self {
        JoinError(Kind::Killed)
    }

    pub(crate) fn panicked(payload: Payload) -> Self {
        JoinError(Kind::Panicked(payload))
    }

    pub(crate) fn refused() -> Self {
        Self::because(
            "the greenlet is still running, and a destructor run by a panic or a kill does not wait",
        )
    }

    pub(crate) fn because(why: impl Into<Cow<'static, str>>) -> Self {
        JoinError(Kind::Refused(why.into()))
    }

    /// Passes the failure on to the caller: the panic as it was, anything else as a panic that says so.
    #[track_caller]
    pub(crate) fn rethrow(self) -> ! {
        match self.0 {
            Kind::Panicked(payload) => std::panic::resume_unwind(payload),
            _ => panic!("no value: {self}"),
        }
    }

    /// Was the greenlet killed? As in gevent this is not a failure of the greenlet.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// let g = spawn(|| sleep(Duration::from_secs(60)));
    /// yield_now();
    /// g.kill();
    /// assert!(g.join().unwrap_err().is_killed());
    /// ```
    pub fn is_killed(&self) -> bool {
        matches!(self.0, Kind::Killed)
    }

    /// Did the greenlet panic?
    ///
    /// # Examples
    /// ```
    /// let error = greenloop::spawn(|| -> u8 { panic!("boom") }).join().unwrap_err();
    /// assert!(error.is_panic() && error.to_string().contains("boom"));
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panicked(_) | Kind::Told(_))
    }

    /// The payload of the panic, for `std::panic::resume_unwind`; the error itself if there was none.
    ///
    /// # Errors
    /// Gives the error back if the greenlet did not panic, or if this is a clone: the payload is with the original.
    ///
    /// # Examples
    /// ```
    /// let error = greenloop::spawn(|| std::panic::panic_any(7_u8)).join().unwrap_err();
    /// assert_eq!(*error.try_into_panic().unwrap().downcast::<u8>().unwrap(), 7);
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self.0 {
            Kind::Panicked(payload) => Ok(payload),
            other => Err(JoinError(other)),
        }
    }
}

/// The value, for a caller that is told of a failure by a panic.
#[track_caller]
pub(crate) fn value_of<T>(outcome: Result<T, JoinError>) -> T {
    // A closure would be where the panic is placed.
    match outcome {
        Ok(value) => value,
        Err(error) => error.rethrow(),
    }
}

/// The clone of a panic has its text. The payload, which cannot be cloned, stays with the original.
impl Clone for JoinError {
    fn clone(&self) -> JoinError {
        JoinError(match &self.0 {
            Kind::Killed => Kind::Killed,
            Kind::Panicked(payload) => Kind::Told(unwind::panic_text(payload).into()),
            Kind::Told(text) => Kind::Told(text.clone()),
            Kind::Refused(why) => Kind::Refused(why.clone()),
        })
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Killed => f.write_str("the greenlet was killed"),
            Kind::Panicked(payload) => write!(f, "the greenlet panicked: {}", unwind::panic_text(payload)),
            Kind::Told(text) => write!(f, "the greenlet panicked: {text}"),
            Kind::Refused(why) => f.write_str(why),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

/// The time given to [`timeout`](crate::timeout()) or to a `_timeout` method has run out.
///
/// # Examples
/// ```
/// use greenloop::{Elapsed, sleep, timeout};
/// use std::time::Duration;
///
/// fn answer() -> Result<u32, Elapsed> {
///     timeout(Duration::from_millis(1), || { sleep(Duration::from_secs(60)); 42 })
/// }
/// assert_eq!(answer(), Err(Elapsed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time allowed has run out")]
pub struct Elapsed;

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// The panic by which a blocking call of a thread's root says that nothing is left that could ever wake it.
///
/// The payload of that panic is the report as a `String`, so that the panic hook prints it. This type recognises it.
///
/// # Examples
/// ```
/// use greenloop::{LoopExit, event::Event, spawn};
/// use std::panic::catch_unwind;
///
/// let payload = catch_unwind(|| Event::new().wait()).unwrap_err();
/// let exit = LoopExit::from_panic(&*payload).expect("a deadlock");
/// assert!(exit.report().contains("waits for event"));
/// assert_eq!(spawn(|| 1).join().unwrap(), 1); // the hub goes on
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopExit {
    report: String,
}

impl LoopExit {
    /// Every report begins with these words.
    pub(crate) const OPENING: &'static str = "this would block for ever";

    /// Recognises the payload that `catch_unwind` or a `JoinError` gave.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{LoopExit, event::Event};
    /// use std::panic::catch_unwind;
    ///
    /// let deadlock = catch_unwind(|| Event::new().wait()).unwrap_err();
    /// assert!(LoopExit::from_panic(&*deadlock).is_some());
    /// let other = catch_unwind(|| panic!("boom")).unwrap_err();
    /// assert_eq!(LoopExit::from_panic(&*other), None);
    /// ```
    pub fn from_panic(payload: &(dyn Any + Send)) -> Option<LoopExit> {
        let report = payload.downcast_ref::<String>()?;
        report.starts_with(Self::OPENING).then(|| LoopExit { report: report.clone() })
    }

    /// The whole text: who waits for what, one greenlet a line.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Builder, LoopExit, event::Event};
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    ///
    /// let consumer = Builder::new().name("consumer").spawn(|| Event::new().wait())?;
    /// let payload = catch_unwind(AssertUnwindSafe(|| consumer.wait())).unwrap_err();
    /// let exit = LoopExit::from_panic(&*payload).expect("a deadlock");
    /// assert!(exit.report().lines().any(|line| line.contains("`consumer` waits for event")));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn report(&self) -> &str {
        &self.report
    }
}

impl fmt::Display for LoopExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for LoopExit {}
