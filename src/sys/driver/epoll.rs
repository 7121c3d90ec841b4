//! The driver for Linux.
//!
//! `polling` opens and owns the epoll instance. Registration and waiting go straight to it, for two reasons: `polling`
//! never asks for `EPOLLRDHUP`, without which a reader must spend a second `read` on every message to learn that nothing
//! follows; and its own `wait` makes three to five system calls where one is enough.
//!
//! Other threads wake the hub by an eventfd that is registered edge-triggered: each write is a new edge, so nobody has
//! to read it.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polling::Poller;
use rustix::event::{EventfdFlags, epoll, eventfd};

use super::{EVENTS, Interest, Ready};

/// The token of the eventfd.
const WAKE: u64 = u64::MAX;

pub(crate) struct Driver {
    poller: Poller,
    events: RefCell<Vec<libc::epoll_event>>,
}

impl Driver {
    /// After a read that gave less than was asked for, nothing more is there unless `more` was reported.
    pub(crate) const REPORTS_MORE: bool = true;

    pub(crate) fn new() -> io::Result<(Driver, Waker)> {
        let poller = Poller::new()?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &poller,
            &wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )?;
        let events = RefCell::new(Vec::with_capacity(EVENTS));
        Ok((Driver { poller, events }, Waker { eventfd: Arc::new(wake) }))
    }

    pub(crate) fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        use epoll::EventFlags as On;
        let interest = On::IN | On::OUT | On::RDHUP | On::PRI | On::ET;
        Ok(epoll::add(&self.poller, descriptor, epoll::EventData::new_u64(token), interest)?)
    }

    /// Both directions are armed, for ever.
    pub(crate) fn arm(&self, _: BorrowedFd<'_>, _: u64, _: impl FnOnce() -> Interest) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn delete(&self, descriptor: BorrowedFd<'_>) {
        // Fails only for a descriptor that is not registered, which is what is wanted.
        let _ = epoll::delete(&self.poller, descriptor);
    }

    /// Calls `coming` with the place and the token of each event, and then `ready` for each. A signal may end it early.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        coming: impl Fn(usize, u64),
        mut ready: impl FnMut(Ready),
    ) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        match wait(self.poller.as_fd(), &mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for (place, event) in events.iter().enumerate() {
            coming(place, event.u64);
        }
        for event in events.iter() {
            let (token, flags) = (event.u64, event.events);
            if token == WAKE {
                continue;
            }
            let failed = flags & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0;
            ready(Ready {
                token,
                readable: failed || flags & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI) as u32 != 0,
                writable: failed || flags & libc::EPOLLOUT as u32 != 0,
                more: failed || flags & (libc::EPOLLRDHUP | libc::EPOLLPRI) as u32 != 0,
            });
        }
        Ok(())
    }
}

/// Ends a `wait` of its driver, from any thread.
#[derive(Clone)]
pub(crate) struct Waker {
    eventfd: Arc<OwnedFd>,
}

impl Waker {
    pub(crate) fn wake(&self) {
        // The counter overflows after 2⁶⁴ wake-ups; until then a write to an eventfd of our own does not fail.
        let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
    }
}

/// Set when the kernel (before 5.11) or a sandbox does not know `epoll_pwait2`.
static WITHOUT_PWAIT2: AtomicBool = AtomicBool::new(false);

/// `epoll_pwait2`, whose timeout is in nanoseconds; where there is none `epoll_wait`, in milliseconds rounded up.
fn wait(
    poller: BorrowedFd<'_>,
    events: &mut Vec<libc::epoll_event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let room = events.capacity().min(EVENTS);
    let precise = timeout.is_some_and(|timeout| !timeout.is_zero());
    if precise && !WITHOUT_PWAIT2.load(Ordering::Relaxed) {
        let limit = timeout.unwrap_or_default();
        let limit = libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos() as _,
        };
        // SAFETY: `events` has room for `room` items, `limit` lives through the call, and no signal mask is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                poller.as_raw_fd(),
                events.as_mut_ptr(),
                room as libc::c_int,
                &raw const limit,
                std::ptr::null::<libc::sigset_t>(),
                size_of::<libc::c_ulong>(),
            )
        };
        match io::Error::last_os_error() {
            error if count < 0 && matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                WITHOUT_PWAIT2.store(true, Ordering::Relaxed);
            }
            error if count < 0 => return Err(error),
            _ => {
                // SAFETY: the kernel has filled in the first `count` items.
                unsafe { events.set_len(count as usize) };
                return Ok(());
            }
        }
    }
    let millis = match timeout {
        None => -1,
        Some(Duration::ZERO) => 0,
        Some(timeout) => timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32,
    };
    // SAFETY: `events` has room for `room` items.
    let count = unsafe { libc::epoll_wait(poller.as_raw_fd(), events.as_mut_ptr(), room as i32, millis) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled in the first `count` items.
    unsafe { events.set_len(count as usize) };
    Ok(())
}
