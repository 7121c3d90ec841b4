//! Child processes about to be spawned.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output};
use std::time::Duration;

use super::{Child, OutputError, Stdio};
use crate::io::with_context;

/// A child process about to be spawned: `std::process::Command`, but only the greenlet waits.
///
/// What belongs to Unix alone (user, group, `exec` hooks) is set through [`as_std_mut`](Self::as_std_mut).
///
/// # Examples
/// ```
/// use greenloop::{process::Command, spawn, join_all};
///
/// let greetings = ["hello", "goodbye"].map(|word| spawn(move || Command::new("echo").arg(word).output()));
/// for output in join_all(greetings) {
///     assert!(output.unwrap()?.status.success()); // both ran at the same time
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    std: std::process::Command,
    /// Which of input, output and error were set.
    set: [bool; 3],
    kill_on_drop: bool,
}

impl Command {
    /// Of the program with this path, or with this name in one of the folders in `PATH`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// assert!(Command::new("true").status()?.success());
    /// let error = Command::new("no-such-program").status().unwrap_err();
    /// assert!(error.to_string().starts_with("cannot run `no-such-program`"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command::from(std::process::Command::new(program))
    }

    /// Adds an argument.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let output = Command::new("echo").arg("$HOME").arg("and *").check_output()?; // there is no shell
    /// assert_eq!(output, b"$HOME and *\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg(argument);
        self
    }

    /// Adds arguments.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// assert_eq!(Command::new("expr").args(["2", "+", "3"]).check_output()?, b"5\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        self.std.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo $GREETING"]).env("GREETING", "hello");
    /// assert_eq!(command.check_output()?, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.std.env(name, value);
        self
    }

    /// Sets variables of its environment.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo $ONE $TWO"]).envs([("ONE", "1"), ("TWO", "2")]);
    /// assert_eq!(command.check_output()?, b"1 2\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Command {
        self.std.envs(variables);
        self
    }

    /// Leaves a variable out of its environment.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo $ONE $TWO"]).envs([("ONE", "1"), ("TWO", "2")]).env_remove("ONE");
    /// assert_eq!(command.check_output()?, b"2\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.std.env_remove(name);
        self
    }

    /// Gives it no environment but what is set from now on.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut command = Command::new("/usr/bin/env");
    /// assert_eq!(command.env_clear().env("ONLY", "this").check_output()?, b"ONLY=this\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// The folder in which it starts.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// assert_eq!(Command::new("pwd").current_dir("/").check_output()?, b"/\n");
    /// let error = Command::new("pwd").current_dir("/nowhere").status().unwrap_err();
    /// assert!(error.to_string().starts_with("cannot run `pwd` in `/nowhere`"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Command {
        self.std.current_dir(folder);
        self
    }

    /// Its standard input. Otherwise that of this process; nothing for [`output`](Self::output) and its like.
    ///
    /// An end of a pipe stays open in this process as long as the `Command` lives, as in the standard library.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{fs::File, process::Command};
    ///
    /// let lines = Command::new("wc").arg("-l").stdin(File::open("/dev/null")?).check_output()?;
    /// assert_eq!(lines.trim_ascii(), b"0");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.std.stdin(stream.into().0);
        self.set[0] = true;
        self
    }

    /// Its standard output. Otherwise that of this process; piped for [`output`](Self::output) and its like.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{fs::{self, File}, process::Command};
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-stdout-{}", std::process::id()));
    ///
    /// Command::new("echo").arg("hello").stdout(File::create(&path)?).status()?;
    /// assert_eq!(fs::read_to_string(&path)?, "hello\n");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.std.stdout(stream.into().0);
        self.set[1] = true;
        self
    }

    /// Its standard error. Otherwise that of this process; piped for [`output`](Self::output) and its like.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let output = Command::new("sh").args(["-c", "echo a warning >&2"]).stderr(Stdio::null()).output()?;
    /// assert!(output.status.success() && output.stderr.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.std.stderr(stream.into().0);
        self.set[2] = true;
        self
    }

    /// Kills the process when its [`Child`] is dropped.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let child = Command::new("sleep").arg("60").kill_on_drop(true).spawn()?;
    /// drop(child); // it ends, and the hub reaps it
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.kill_on_drop = kill;
        self
    }

    /// The standard library's, to look at.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let mut command = Command::new("ls");
    /// command.arg("-l").current_dir("/");
    /// assert_eq!(command.as_std().get_program(), "ls");
    /// assert_eq!(command.as_std().get_current_dir().unwrap().to_str(), Some("/"));
    /// ```
    pub fn as_std(&self) -> &std::process::Command {
        &self.std
    }

    /// The standard library's, for the methods of `std::os::unix::process::CommandExt`. Streams are to be set here.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    /// use std::os::unix::process::CommandExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo $0"]).as_std_mut().arg0("another name");
    /// assert_eq!(command.check_output()?, b"another name\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.std
    }

    fn program(&self) -> String {
        self.std.get_program().to_string_lossy().into_owned()
    }

    /// Starts the process.
    ///
    /// **Switches**: no. The thread waits until the program is found and loaded, or not.
    ///
    /// # Errors
    /// `NotFound` if there is no such program, or not the folder where it is to start, and what else the system says; the text names
    /// both. If no descriptors can be had.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.communicate(b"hello")?.stdout, b"HELLO");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        let program = self.program();
        let spawned = self.std.spawn().and_then(|child| Child::adopt(child, program, self.kill_on_drop));
        spawned.map_err(|error| with_context(error, self.attempted()))
    }

    fn attempted(&self) -> String {
        let text = format!("cannot run `{}`", self.program());
        // The system does not say which of the two is missing.
        match self.std.get_current_dir() {
            Some(folder) => format!("{text} in `{}`", folder.display()),
            None => text,
        }
    }

    /// Starts the process and waits until it has ended. It is killed if the wait is ended by a kill or a timeout.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// assert!(Command::new("test").args(["1", "-lt", "2"]).status()?.success());
    /// assert_eq!(Command::new("test").args(["2", "-lt", "1"]).status()?.code(), Some(1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        child.kill_on_drop = true;
        child.wait()
    }

    /// Starts the process, waits until it has ended, and gives what it has written. It is killed if the wait is ended by a kill or a
    /// timeout.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::communicate`].
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo good; echo bad >&2; exit 3"]).output()?;
    /// assert_eq!((&*output.stdout, &*output.stderr), (&b"good\n"[..], &b"bad\n"[..]));
    /// assert_eq!(output.status.code(), Some(3)); // which is no error of this call
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn output(&mut self) -> io::Result<Output> {
        self.spawn_captured()?.communicate(&[])
    }

    /// [`output`](Self::output), at most for [`timeout`](crate#time-limits). If the time is up the process is killed, and the error has what it has written
    /// until then. Processes that it has started itself, and that may hold the pipes open, are not waited for.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// That the time is up; and as [`output`](Self::output).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    /// use std::{os::unix::process::ExitStatusExt, time::Duration};
    ///
    /// let output = Command::new("echo").arg("quick").output_timeout(Duration::from_secs(30))?;
    /// assert_eq!(output.stdout, b"quick\n");
    /// let error = Command::new("sleep").arg("60").output_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.to_string(), "`sleep` has not ended within 1ms and was killed");
    /// assert_eq!(error.status().unwrap().signal(), Some(9));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn output_timeout(&mut self, timeout: Duration) -> Result<Output, OutputError> {
        let mut child = self.spawn_captured().map_err(|error| OutputError::io(self.program(), error))?;
        let outcome = child.communicate_timeout(&[], timeout);
        if !outcome.as_ref().is_err_and(OutputError::is_timeout) {
            return outcome;
        }
        let status = child.kill().and_then(|()| child.wait()).ok();
        child.drain();
        let (stdout, stderr) = child.gathered.so_far();
        Err(OutputError::timed_out(self.program(), timeout, stdout, stderr).killed(status))
    }

    /// [`output`](Self::output) of a process that must succeed: gives what it has written to standard output.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// That it has failed, with its status and what it has written; and as [`output`](Self::output).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::Command;
    ///
    /// assert_eq!(Command::new("echo").arg("yes").check_output().unwrap(), b"yes\n");
    /// let error = Command::new("sh").args(["-c", "echo no >&2; exit 44"]).check_output().unwrap_err();
    /// assert_eq!(error.status().unwrap().code(), Some(44));
    /// assert_eq!(error.to_string(), "`sh` has failed (exit status: 44): no");
    /// ```
    #[track_caller]
    pub fn check_output(&mut self) -> Result<Vec<u8>, OutputError> {
        let output = self.output().map_err(|error| OutputError::io(self.program(), error))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(OutputError::failed(self.program(), output)),
        }
    }

    /// With pipes for what was not set, and killed if nobody can get its output any more.
    fn spawn_captured(&mut self) -> io::Result<Child> {
        use std::process::Stdio;
        let unset = self.set.map(|set| !set);
        self.set_streams(unset, [Stdio::null, Stdio::piped, Stdio::piped]);
        let spawned = self.spawn();
        // Another spawn of the same command begins anew.
        self.set_streams(unset, [Stdio::inherit; 3]);
        let mut child = spawned?;
        child.kill_on_drop = true;
        Ok(child)
    }

    fn set_streams(&mut self, which: [bool; 3], streams: [fn() -> std::process::Stdio; 3]) {
        use std::process::Command;
        let setters = [Command::stdin::<std::process::Stdio>, Command::stdout, Command::stderr];
        for ((set, stream), _) in setters.into_iter().zip(streams).zip(which).filter(|(_, which)| *which) {
            set(&mut self.std, stream());
        }
    }
}

/// Its streams count as not set.
impl From<std::process::Command> for Command {
    fn from(std: std::process::Command) -> Command {
        Command { std, set: [false; 3], kill_on_drop: false }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.std, f)
    }
}
