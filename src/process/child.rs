//! A running child process.

#![allow(private_interfaces, reason = "nobody outside can name the list, nor implement the sealed trait")]

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Output};
use std::rc::Rc;
use std::time::Duration;

use super::error::OutputError;
use super::exchange::Gathered;
use super::watch::{Process, reap_orphans};
use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::io::{PipeReader, PipeWriter};
use crate::park::Deadline;
use crate::signal::{SIGKILL, Signal};
use crate::wait::{Listed, Waitable};
use crate::waitlist::WaitList;

/// A child process: `std::process::Child`, but only the greenlet waits.
///
/// It is [`Waitable`], and ready when it has ended. Dropping it lets the process run on, unless
/// [`kill_on_drop`](super::Command::kill_on_drop) was said; the hub reaps it when it ends.
///
/// # Examples
/// ```
/// use greenloop::process::{Command, Stdio};
/// use std::io::{Read, Write};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"through the cat")?; // dropped, so that the cat sees the end
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "through the cat");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Child {
    /// Our end of its standard input, if that is piped.
    pub stdin: Option<ChildStdin>,
    /// Our end of its standard output, if that is piped.
    pub stdout: Option<ChildStdout>,
    /// Our end of its standard error, if that is piped.
    pub stderr: Option<ChildStderr>,
    pub(super) process: Rc<Process>,
    pub(super) program: String,
    pub(super) gathered: Gathered,
    pub(super) kill_on_drop: bool,
}

impl Child {
    /// Takes a child of the standard library over.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If no descriptors can be had to watch it. It is killed then.
    ///
    /// # Examples
    /// ```
    /// let child = std::process::Command::new("true").spawn()?;
    /// assert!(greenloop::process::Child::from_std(child)?.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(child: std::process::Child) -> io::Result<Child> {
        let program = format!("child {}", child.id());
        Child::adopt(child, program, false)
    }

    pub(super) fn adopt(
        mut child: std::process::Child,
        program: String,
        kill_on_drop: bool,
    ) -> io::Result<Child> {
        reap_orphans();
        let reader = |end: OwnedFd| PipeReader::from_std(end.into());
        let streams = (|| {
            let stdin = child.stdin.take().map(|end| PipeWriter::from_std(OwnedFd::from(end).into()));
            let stdout = child.stdout.take().map(|end| reader(end.into()));
            let stderr = child.stderr.take().map(|end| reader(end.into()));
            io::Result::Ok((stdin.transpose()?, stdout.transpose()?, stderr.transpose()?))
        })();
        let (stdin, stdout, stderr) = match streams {
            Ok(streams) => streams,
            Err(error) => {
                // Who gets no `Child` cannot end it. After the kill the wait is short.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(error);
            }
        };
        let process = Process::watch(child)?;
        let gathered = Gathered::default();
        Ok(Child { stdin, stdout, stderr, process, program, gathered, kill_on_drop })
    }

    /// The number of the process. Once it has been waited for, another process may get it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("sh").args(["-c", "echo $$"]).stdout(Stdio::piped()).spawn()?;
    /// let id = child.id();
    /// let output = child.communicate(b"")?;
    /// assert_eq!(output.stdout, format!("{id}\n").into_bytes());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process by force (`SIGKILL`). It has not ended when this returns; [`wait`](Self::wait) does.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses. None if it has ended already.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// child.kill()?; // it has ended already, and that is well
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.send_signal(SIGKILL)
    }

    /// Sends a signal, `SIGTERM` for example. **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses. None if it has ended already: then nobody gets it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{process::Command, signal::SIGTERM};
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// child.send_signal(SIGTERM)?;
    /// assert_eq!(child.wait()?.signal(), Some(15));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_signal(&mut self, signal: Signal) -> io::Result<()> {
        self.process.send(signal)
    }

    /// How it has ended, if it has. **Switches**: no.
    ///
    /// # Errors
    /// If somebody else has taken the status, by a `waitpid` for any child for example, or `SIGCHLD` is ignored.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert!(child.try_wait()?.is_none()); // it waits for input
    /// let status = child.wait()?;
    /// assert_eq!(child.try_wait()?, Some(status));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.look().transpose()
    }

    /// Waits until it has ended and tells how. Its piped input is closed before, so that it does not wait for more.
    ///
    /// Its piped output is not read: one that writes much waits for ever, and this with it. See
    /// [`wait_with_output`](Self::wait_with_output).
    ///
    /// **Switches**: unless it has ended.
    ///
    /// # Errors
    /// As [`try_wait`](Self::try_wait). In a destructor run by a panic or a kill, which does not wait, if it runs.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(3));
    /// assert_eq!(child.wait()?.code(), Some(3)); // again, if you like
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process.wait(Deadline::NEVER)?.ok_or_else(cut_short)
    }

    /// [`wait`](Self::wait), at most for [`timeout`](crate#time-limits); `None` if it still runs. Its input stays open.
    ///
    /// **Switches**: unless it has ended.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    /// use std::time::Duration;
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert!(child.wait_timeout(Duration::from_millis(1))?.is_none()); // its input is still open
    /// drop(child.stdin.take());
    /// assert!(child.wait_timeout(Duration::from_secs(30))?.unwrap().success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.process.wait(Deadline::after(Some(timeout)))
    }

    /// Reads what it writes to its piped streams until their ends, and waits until it has ended. Its piped input is closed before.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`communicate`](Self::communicate).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    /// use std::io::Write;
    ///
    /// let mut child = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// child.stdin.as_mut().unwrap().write_all(b"b\na\n")?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"a\nb\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        self.communicate(&[])
    }

    /// Gives it `input` and its end, reads meanwhile what it writes to its piped streams until their ends, and waits until it has
    /// ended.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// `InvalidInput` if there is input and its standard input is not piped, or closed. Those of the system, except that it does
    /// not read all of its input, which is none. If no stack can be had for its greenlets. In a destructor run by a panic or a kill,
    /// which does not wait.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.communicate(b"b\na\n")?.stdout, b"a\nb\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn communicate(&mut self, input: &[u8]) -> io::Result<Output> {
        self.communicate_until(input, Deadline::NEVER)?.ok_or_else(cut_short)
    }

    /// None if the deadline came first.
    #[track_caller]
    fn communicate_until(&mut self, input: &[u8], deadline: Deadline) -> io::Result<Option<Output>> {
        if !self.exchange(input, deadline)? {
            return Ok(None);
        }
        drop(self.stdin.take());
        Ok(self.process.wait(deadline)?.map(|status| self.gathered.take(status)))
    }

    /// [`communicate`](Self::communicate), at most for [`timeout`](crate#time-limits). If the time is up, the child runs on, the error has a copy of what
    /// was read, and another call, with the same input, goes on where this one was: nothing is lost.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// That the time is up; and as [`communicate`](Self::communicate).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    /// use std::time::Duration;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "read line; echo $line; exec sleep 60"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    /// let mut child = command.kill_on_drop(true).spawn()?;
    /// let error = child.communicate_timeout(b"hello\n", Duration::from_millis(200)).unwrap_err();
    /// assert!(error.is_timeout() && error.status().is_none()); // it runs on
    /// assert_eq!(error.stdout(), b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn communicate_timeout(&mut self, input: &[u8], timeout: Duration) -> Result<Output, OutputError> {
        match self.communicate_until(input, Deadline::after(Some(timeout))) {
            Ok(Some(output)) => Ok(output),
            Err(error) => Err(OutputError::io(self.program.clone(), error)),
            Ok(None) => {
                let (stdout, stderr) = self.gathered.so_far();
                Err(OutputError::timed_out(self.program.clone(), timeout, stdout, stderr))
            }
        }
    }
}

fn cut_short() -> io::Error {
    io::Error::other("the wait for the child has ended before the child")
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop {
            // If it cannot be killed it runs on; nobody is there to be told.
            let _ = self.process.send(SIGKILL);
        }
        self.process.let_go();
    }
}

impl Listed for Child {
    fn waiters(&self) -> &WaitList {
        &self.process.waiters
    }
}

impl Waitable for Child {
    fn is_ready(&self) -> bool {
        self.process.look().is_some()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.process.look() {
            None => "running".to_string(),
            Some(Ok(status)) => status.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        write!(f, "Child(`{}` {}, {state})", self.program, self.id())
    }
}
