//! Writing to a child and reading from it at the same time.

use std::io::{self, Read, Write};
use std::process::{ExitStatus, Output};

use super::Child;
use crate::greenlet::{Builder, ScopedGreenlet, scope};
use crate::io::{PipeReader, PipeWriter};
use crate::park::Deadline;

/// Bytes read in one go.
const PIECE: usize = 16 * 1024;

/// What has been exchanged so far. It survives the end of a wait.
#[derive(Default)]
pub(super) struct Gathered {
    sent: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Gathered {
    pub(super) fn take(&mut self, status: ExitStatus) -> Output {
        let Gathered { stdout, stderr, .. } = std::mem::take(self);
        Output { status, stdout, stderr }
    }

    pub(super) fn so_far(&self) -> (Vec<u8>, Vec<u8>) {
        (self.stdout.clone(), self.stderr.clone())
    }
}

impl Child {
    /// Writes the rest of `input` and reads both streams to their ends, in a greenlet each. Ends that are done are closed. False if
    /// the deadline came first.
    #[track_caller]
    pub(super) fn exchange(&mut self, input: &[u8], deadline: Deadline) -> io::Result<bool> {
        let Child { stdin, stdout, stderr, gathered, .. } = self;
        let Gathered { sent, stdout: out, stderr: err } = gathered;
        if stdin.is_none() && *sent < input.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is input for a child whose standard input is not piped, or is closed",
            ));
        }
        if std::thread::panicking() {
            return Err(io::Error::other(
                "the output of a child process is not waited for in a destructor run by a panic or a kill",
            ));
        }
        scope(|scope| {
            let spawn_all = move || {
                Ok([
                    Builder::new().spawn_scoped(scope, move || send(stdin, input, sent))?,
                    Builder::new().spawn_scoped(scope, move || receive(stdout, out))?,
                    Builder::new().spawn_scoped(scope, move || receive(stderr, err))?,
                ])
            };
            let tasks = spawn_all().inspect_err(|_: &io::Error| scope.cancel())?;
            let outcome = tasks.into_iter().try_fold(true, |in_time, task| match in_time {
                true if task.handle().wait_until(deadline) => ended(task).map(|()| true),
                _ => Ok(false),
            });
            if !matches!(outcome, Ok(true)) {
                scope.cancel();
            }
            outcome
        })
    }

    /// Reads what is in the pipes now. Somebody else may still write to them.
    pub(super) fn drain(&mut self) {
        let ends = [(&self.stdout, &mut self.gathered.stdout), (&self.stderr, &mut self.gathered.stderr)];
        for (end, bytes) in ends {
            if let Some(end) = end {
                end.read_what_is_there(bytes);
            }
        }
    }
}

#[track_caller]
fn ended(task: ScopedGreenlet<'_, io::Result<()>>) -> io::Result<()> {
    task.join().unwrap_or_else(|error| Err(io::Error::other(error.to_string())))
}

fn send(end: &mut Option<PipeWriter>, input: &[u8], sent: &mut usize) -> io::Result<()> {
    while let Some(writer) = end.as_mut().filter(|_| *sent < input.len()) {
        match writer.write(&input[*sent..]) {
            // It need not read everything.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *sent = input.len(),
            outcome => *sent += outcome?,
        }
    }
    *end = None;
    Ok(())
}

fn receive(end: &mut Option<PipeReader>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while let Some(reader) = end {
        match reader.read(&mut piece)? {
            0 => *end = None,
            count => bytes.extend(&piece[..count]),
        }
    }
    Ok(())
}
