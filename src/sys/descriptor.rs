//! Descriptors of any kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};

/// Does the open file say `WouldBlock` instead of blocking?
pub(crate) fn is_nonblocking(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(fcntl_getfl(descriptor)?.contains(OFlags::NONBLOCK))
}

/// Lets the open file say `WouldBlock` instead of blocking, or no longer.
pub(crate) fn set_nonblocking(descriptor: impl AsFd, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(descriptor, nonblocking)?)
}

/// Would a read not block now, or a write? An end and an error count as ready: the operation tells more.
pub(crate) fn is_ready(descriptor: BorrowedFd<'_>, to_write: bool) -> io::Result<bool> {
    let flags = if to_write { PollFlags::OUT } else { PollFlags::IN };
    let mut asked = [PollFd::from_borrowed_fd(descriptor, flags)];
    look(&mut asked)?;
    Ok(!asked[0].revents().is_empty())
}

/// Has everybody gone who could take what is written? Not everybody who could not take it is noticed.
pub(crate) fn is_cut_off(descriptor: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(descriptor, PollFlags::OUT)];
    look(&mut asked).is_ok() && asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Blocks the thread until a write would not block.
pub(crate) fn block_until_writable(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    ask(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::OUT)], None)
}

/// Asks for all of them without waiting.
pub(crate) fn look(asked: &mut [PollFd<'_>]) -> io::Result<()> {
    ask(asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
}

fn ask(asked: &mut [PollFd<'_>], limit: Option<&Timespec>) -> io::Result<()> {
    while let Err(error) = poll(asked, limit) {
        if error != rustix::io::Errno::INTR {
            return Err(error.into());
        }
    }
    match asked.iter().any(|one| one.revents().contains(PollFlags::NVAL)) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => Ok(()),
    }
}
