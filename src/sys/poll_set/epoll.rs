//! A set that is an epoll instance, which epoll itself can watch.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};

use super::{CAPACITY, Interest};

pub(crate) struct PollSet(OwnedFd);

impl PollSet {
    pub(crate) fn new() -> io::Result<PollSet> {
        Ok(PollSet(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, descriptor: BorrowedFd<'_>, number: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.0, descriptor, epoll::EventData::new_u64(number), flags(interest))?)
    }

    pub(crate) fn modify(
        &self,
        descriptor: BorrowedFd<'_>,
        number: u64,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.0, descriptor, epoll::EventData::new_u64(number), flags(interest))?)
    }

    pub(crate) fn delete(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.0, descriptor)?)
    }

    /// An end or an error is reported as both directions: the operation tells more.
    pub(crate) fn look(&self, mut ready: impl FnMut(u64, Interest)) -> io::Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(CAPACITY);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&at_once))?;
        for event in events {
            use epoll::EventFlags as On;
            let (data, on) = (event.data, event.flags);
            let failed = on.intersects(On::HUP | On::ERR);
            let readable = failed || on.intersects(On::IN | On::RDHUP);
            ready(data.u64(), Interest { readable, writable: failed || on.intersects(On::OUT) });
        }
        Ok(())
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    use epoll::EventFlags as On;
    let mut flags = On::empty();
    flags.set(On::IN | On::RDHUP, interest.readable);
    flags.set(On::OUT, interest.writable);
    flags
}

impl AsFd for PollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
