//! Why a child gave no good output.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Output};
use std::time::Duration;

/// Why the output of a child process could not be had, with what there is of it.
///
/// # Examples
/// ```
/// use greenloop::process::Command;
/// use std::time::Duration;
///
/// let mut command = Command::new("sh");
/// let error = command.args(["-c", "echo begun; sleep 60"]).output_timeout(Duration::from_millis(200)).unwrap_err();
/// assert!(error.is_timeout());
/// assert_eq!(error.stdout(), b"begun\n");
/// ```
pub struct OutputError {
    program: String,
    kind: Kind,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<ExitStatus>,
}

enum Kind {
    Io(io::Error),
    TimedOut(Duration),
    Failed,
}

impl OutputError {
    pub(super) fn io(program: String, error: io::Error) -> OutputError {
        OutputError { program, kind: Kind::Io(error), stdout: Vec::new(), stderr: Vec::new(), status: None }
    }

    pub(super) fn timed_out(
        program: String,
        limit: Duration,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> OutputError {
        OutputError { program, kind: Kind::TimedOut(limit), stdout, stderr, status: None }
    }

    pub(super) fn failed(program: String, output: Output) -> OutputError {
        let Output { stdout, stderr, status } = output;
        OutputError { program, kind: Kind::Failed, stdout, stderr, status: Some(status) }
    }

    pub(super) fn killed(self, status: Option<ExitStatus>) -> OutputError {
        OutputError { status, ..self }
    }

    /// Was the time up?
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    /// use std::time::Duration;
    ///
    /// let error = Command::new("sleep").arg("60").output_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert!(error.is_timeout());
    /// assert!(!Command::new("false").check_output().unwrap_err().is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::TimedOut(_))
    }

    /// How the child has ended; `None` if it has not, or was never begun.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let error = Command::new("false").check_output().unwrap_err();
    /// assert_eq!(error.status().unwrap().code(), Some(1));
    /// assert!(Command::new("no-such-program").check_output().unwrap_err().status().is_none());
    /// ```
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// What it has written to standard output until then, if that was piped.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let error = Command::new("sh").args(["-c", "echo so far so good; exit 1"]).check_output().unwrap_err();
    /// assert_eq!(error.stdout(), b"so far so good\n");
    /// ```
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// What it has written to standard error until then, if that was piped.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let error = Command::new("sh").args(["-c", "echo why it failed >&2; exit 1"]).check_output().unwrap_err();
    /// assert_eq!(error.stderr(), b"why it failed\n");
    /// ```
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputError { program, kind, status, .. } = self;
        match (kind, status) {
            (Kind::Io(error), _) => write!(f, "`{program}`: {error}"),
            (Kind::TimedOut(limit), None) => write!(f, "`{program}` has not ended within {limit:?}"),
            (Kind::TimedOut(limit), Some(_)) => {
                write!(f, "`{program}` has not ended within {limit:?} and was killed")
            }
            (Kind::Failed, status) => {
                write!(f, "`{program}` has failed")?;
                status.map_or(Ok(()), |status| write!(f, " ({status})"))?;
                // The last line tells most.
                match String::from_utf8_lossy(&self.stderr).trim_end().lines().next_back() {
                    Some(line) => write!(f, ": {line}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputError({self})")
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OutputError> for io::Error {
    fn from(error: OutputError) -> io::Error {
        let kind = match &error.kind {
            Kind::Io(error) => error.kind(),
            Kind::TimedOut(_) => io::ErrorKind::TimedOut,
            Kind::Failed => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
