//! Waiting for several descriptors, once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::Watched;
use super::watched::cannot_watch;
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::reactor::Direction;
use crate::sys::descriptor;
use crate::sys::poll_set::{Interest, PollSet};

/// What [`select`] has found: places in the slices that it was given, in their order.
///
/// # Examples
/// ```
/// use greenloop::{io::{Selected, select}, net::UnixStream};
/// use std::io::Write;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// theirs.write_all(b"x")?;
/// let selected = select(&[&ours, &theirs], &[&theirs], None)?;
/// assert_eq!(selected, Selected { readable: vec![0], writable: vec![0] });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Of those from which a read would not block.
    pub readable: Vec<usize>,
    /// Of those to which a write would not block.
    pub writable: Vec<usize>,
}

impl Selected {
    /// Has the time run out?
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{pipe, select};
    /// use std::time::Duration;
    ///
    /// let (silent, _kept) = pipe()?;
    /// assert!(select(&[&silent], &[], Some(Duration::from_millis(1)))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.writable.is_empty()
    }
}

/// Waits until a read from one of the first or a write to one of the second would not block, at most for `timeout`; `None` is for
/// ever. The result is empty if the time has run out.
///
/// The descriptors may be of any kind, also sockets and pipes of this crate, and need not be non-blocking. A regular file is always
/// ready. An end or an error counts as ready. For the same descriptors again and again [`Poll`](super::Poll) is cheaper; for
/// queues and events beside descriptors see [`Readiness`](super::Readiness).
///
/// **Switches**: always, at least once, so that a loop around it keeps nobody out.
///
/// # Errors
/// If one of them is closed, or the system can neither ask nor watch it. In a destructor run by a panic or a kill, which does not
/// wait, if none is ready.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if there are none, no timeout, and nothing else is left to wake it.
///
/// # Examples
/// ```
/// use greenloop::{io::{pipe, select}, spawn};
/// use std::{io::Write, time::Duration};
///
/// let (silent, _kept) = pipe()?;
/// let (ours, mut theirs) = pipe()?;
/// spawn(move || theirs.write_all(b"x"));
/// let selected = select(&[&silent, &ours], &[], None)?;
/// assert_eq!(selected.readable, [1]);
/// assert!(select(&[&silent], &[], Some(Duration::from_millis(5)))?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn select(read: &[&dyn AsFd], write: &[&dyn AsFd], timeout: Option<Duration>) -> io::Result<Selected> {
    let mut asked: Vec<_> = (read.iter().map(|io| PollFd::from_borrowed_fd(io.as_fd(), PollFlags::IN)))
        .chain(write.iter().map(|io| PollFd::from_borrowed_fd(io.as_fd(), PollFlags::OUT)))
        .collect();
    let mut look = || {
        descriptor::look(&mut asked)?;
        Ok(selected(&asked, read.len()))
    };
    let found: Selected = look()?;
    if !found.is_empty() || timeout == Some(Duration::ZERO) {
        park::yield_now();
        return Ok(found);
    }
    if read.is_empty() && write.is_empty() {
        let woken = park::park(Reason::plain(&"no descriptor (select)"), Deadline::after(timeout));
        return match woken {
            Woken::Refused => {
                Err(io::Error::other("select does not wait in a destructor run by a panic or a kill"))
            }
            _ => Ok(found),
        };
    }
    let watched = Watched::new(set_of(read, write)?)?;
    let outcome = watched.with(Direction::Read, timeout, |_| match look() {
        Ok(found) if found.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
        other => other,
    });
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => look(),
        other => other,
    }
}

fn selected(asked: &[PollFd<'_>], reads: usize) -> Selected {
    let (read, write) = asked.split_at(reads);
    let ready = |part: &[PollFd<'_>]| {
        let all = part.iter().enumerate().filter(|(_, one)| !one.revents().is_empty());
        all.map(|(place, _)| place).collect()
    };
    Selected { readable: ready(read), writable: ready(write) }
}

/// A set of all of them, each once.
fn set_of(read: &[&dyn AsFd], write: &[&dyn AsFd]) -> io::Result<PollSet> {
    let mut interests: BTreeMap<RawFd, (_, Interest)> = BTreeMap::new();
    for (io, reads) in read.iter().map(|io| (io, true)).chain(write.iter().map(|io| (io, false))) {
        let nothing = Interest { readable: false, writable: false };
        let (_, interest) = interests.entry(io.as_fd().as_raw_fd()).or_insert((io.as_fd(), nothing));
        match reads {
            true => interest.readable = true,
            false => interest.writable = true,
        }
    }
    let set = PollSet::new()?;
    for (number, (descriptor, interest)) in interests {
        set.add(descriptor, number as u64, interest)
            .map_err(|error| cannot_watch(error, descriptor.as_raw_fd()))?;
    }
    Ok(set)
}
