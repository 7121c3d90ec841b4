//! Which signals there are.

use std::fmt;
use std::io;

use crate::sys;

/// A signal by its number.
///
/// # Examples
/// ```
/// use greenloop::signal::{SIGTERM, Signal};
///
/// assert_eq!(SIGTERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::from_raw(15)?, SIGTERM);
/// assert!(Signal::from_raw(0).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// The signal with this number of the system's.
    ///
    /// # Errors
    /// `InvalidInput` if there is none.
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::{SIGINT, Signal};
    ///
    /// assert_eq!(Signal::from_raw(libc::SIGINT)?, SIGINT);
    /// assert_eq!(Signal::from_raw(1000).unwrap_err().to_string(), "there is no signal 1000");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_raw(number: i32) -> io::Result<Signal> {
        match number {
            1..=sys::signal::LAST => Ok(Signal(number)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no signal {number}"))),
        }
    }

    /// Its number.
    ///
    /// # Examples
    /// ```
    /// use greenloop::signal::SIGTERM;
    ///
    /// // What a shell says of a process that a signal has ended.
    /// assert_eq!(128 + SIGTERM.as_raw(), 143);
    /// ```
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

macro_rules! signals {
    ($($name:ident: $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: Signal = Signal(libc::$name);
        )*

        /// Its name, if it has one.
        impl fmt::Display for Signal {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $($name => f.write_str(stringify!($name)),)*
                    Signal(number) => write!(f, "signal {number}"),
                }
            }
        }
    };
}

signals! {
    SIGHUP: "The terminal is gone; to servers often: read your configuration again.";
    SIGINT: "Ctrl-C.";
    SIGQUIT: "Ctrl-\\\\; ends with a core dump.";
    SIGABRT: "The process aborts.";
    SIGKILL: "Ends a process. It can be sent but not be caught.";
    SIGUSR1: "For users.";
    SIGUSR2: "For users.";
    SIGPIPE: "A write to a pipe that nobody reads. Rust programs ignore it.";
    SIGALRM: "The time of `alarm` is up.";
    SIGTERM: "Please end.";
    SIGCHLD: "A child process has ended or was stopped.";
    SIGCONT: "Go on after a stop.";
    SIGSTOP: "Stops a process. It can be sent but not be caught.";
    SIGTSTP: "Ctrl-Z.";
    SIGTTIN: "A read from a terminal in the background.";
    SIGTTOU: "A write to a terminal in the background.";
    SIGURG: "Urgent data has come to a socket.";
    SIGWINCH: "The terminal has another size.";
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
