//! Signals: from the kernel's handler to a descriptor that a hub watches.
//!
//! ```text
//!   any thread                                        the hub's thread
//!   signal ──▶ on_signal: for each mailbox that wants it:
//!                 mark it pending, write a byte  ──▶  the descriptor is readable ──▶ take()
//!              the action that was set before, if it is a handler
//! ```
//!
//! The handler runs wherever a thread was interrupted: it takes no lock and allocates nothing. It runs on the alternate stack, as
//! the stack of a greenlet may have no room for its frame.
//!
//! Mailboxes stand in a list that only grows, and are never freed nor their pipes closed, so that a handler that is just running on
//! another thread may use any of them; one that is given up is used again by the next hub that needs one. There are as
//! many as there ever were hubs with signals at the same time.
//!
//! What a signal did before it was first caught is restored when nobody wants it any more, so that, for example, Ctrl-C ends the
//! program again.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::{c_int, c_void, siginfo_t};

use super::descriptor;

/// Signals have numbers from 1 to this.
pub(crate) const LAST: c_int = 64;

struct Place {
    /// The one that was made before. Never changed.
    next: *const Place,
    taken: AtomicBool,
    /// One bit for each signal.
    wanted: AtomicU64,
    pending: AtomicU64,
    reader: PipeReader,
    writer: PipeWriter,
}

/// The one that was made last.
static PLACES: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());

/// All that were ever made.
fn places() -> impl Iterator<Item = &'static Place> {
    let mut next: *const Place = PLACES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: places come from `Box::leak`, are published when they are complete, and live for ever.
        let place = unsafe { next.as_ref() }?;
        next = place.next;
        Some(place)
    })
}

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// Where the signals for one hub arrive. Its descriptor is readable when some have.
pub(crate) struct Mailbox(&'static Place);

impl Mailbox {
    pub(crate) fn new() -> io::Result<Mailbox> {
        let free = places().find(|place| !place.taken.swap(true, Ordering::AcqRel));
        free.map_or_else(Mailbox::make, |place| Ok(Mailbox(place)))
    }

    fn make() -> io::Result<Mailbox> {
        let (reader, writer) = io::pipe()?;
        descriptor::set_nonblocking(&reader, true)?;
        descriptor::set_nonblocking(&writer, true)?;
        let place: &'static mut Place = Box::leak(Box::new(Place {
            next: PLACES.load(Ordering::Acquire),
            taken: AtomicBool::new(true),
            wanted: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            reader,
            writer,
        }));
        let new: *mut Place = place;
        loop {
            // SAFETY: nobody else knows of the place yet.
            let before = unsafe { (*new).next };
            let swapped =
                PLACES.compare_exchange(before.cast_mut(), new, Ordering::AcqRel, Ordering::Acquire);
            match swapped {
                // SAFETY: it lives for ever, and from now on it is only shared.
                Ok(_) => return Ok(Mailbox(unsafe { &*new })),
                // SAFETY: as above, it is still nobody else's.
                Err(other) => unsafe { (*new).next = other },
            }
        }
    }

    /// Says whether a signal is to arrive here; to be said before it is caught.
    pub(crate) fn want(&self, signal: c_int, wanted: bool) {
        match wanted {
            true => self.0.wanted.fetch_or(bit(signal), Ordering::AcqRel),
            false => self.0.wanted.fetch_and(!bit(signal), Ordering::AcqRel),
        };
    }

    /// Takes what has arrived: each signal once, however often it came.
    pub(crate) fn take(&self) -> impl Iterator<Item = c_int> + use<> {
        // First the bytes: what is marked after this look writes another one.
        while matches!((&self.0.reader).read(&mut [0; 64]), Ok(1..)) {}
        let pending = self.0.pending.swap(0, Ordering::AcqRel);
        (1..=LAST).filter(move |&signal| pending & bit(signal) != 0)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.wanted.store(0, Ordering::Release);
        self.take().for_each(drop);
        self.0.taken.store(false, Ordering::Release);
    }
}

/// How many want each signal. Not touched by the handler.
static CAUGHT: Mutex<[usize; LAST as usize + 1]> = Mutex::new([0; LAST as usize + 1]);

/// What each signal did before it was caught. An action that was replaced is leaked, as a handler may just be reading it.
static PREVIOUS: [AtomicPtr<libc::sigaction>; LAST as usize + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; LAST as usize + 1];

/// While one lives, the signal comes to the mailboxes.
pub(crate) struct Catch(c_int);

impl Catch {
    pub(crate) fn new(signal: c_int) -> io::Result<Catch> {
        let mut caught = CAUGHT.lock().unwrap_or_else(PoisonError::into_inner);
        if caught[signal as usize] == 0 {
            install(signal)?;
        }
        caught[signal as usize] += 1;
        Ok(Catch(signal))
    }
}

impl Drop for Catch {
    fn drop(&mut self) {
        let mut caught = CAUGHT.lock().unwrap_or_else(PoisonError::into_inner);
        caught[self.0 as usize] -= 1;
        if caught[self.0 as usize] == 0 {
            restore(self.0);
        }
    }
}

fn handler() -> usize {
    on_signal as *const () as usize
}

fn action_of(signal: c_int) -> io::Result<libc::sigaction> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call changes nothing, and fills the structure or fails.
    match unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } {
        // SAFETY: it has succeeded.
        0 => Ok(unsafe { action.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn install(signal: c_int) -> io::Result<()> {
    let mut action = action_of(signal)?;
    // It may be ours still, if somebody has set another one between, and put this back.
    if action.sa_sigaction == handler() {
        return Ok(());
    }
    remember(signal, action);
    action.sa_sigaction = handler();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the mask is valid memory of the right type.
    unsafe { libc::sigemptyset(&raw mut action.sa_mask) };
    // SAFETY: `action` holds a handler of the shape that SA_SIGINFO asks for.
    match unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Before the handler can run: it may at once.
fn remember(signal: c_int, action: libc::sigaction) {
    let same = previous(signal)
        .is_some_and(|known| known.sa_sigaction == action.sa_sigaction && known.sa_flags == action.sa_flags);
    if !same {
        PREVIOUS[signal as usize].store(Box::into_raw(Box::new(action)), Ordering::Release);
    }
}

fn previous(signal: c_int) -> Option<&'static libc::sigaction> {
    // SAFETY: null, or from a box that is never freed.
    unsafe { PREVIOUS[signal as usize].load(Ordering::Acquire).as_ref() }
}

/// Unless somebody else has set an action since.
fn restore(signal: c_int) {
    let is_ours = action_of(signal).is_ok_and(|action| action.sa_sigaction == handler());
    if let Some(previous) = previous(signal).filter(|_| is_ours) {
        // SAFETY: the action is one that the kernel gave out.
        unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
    }
}

/// The handler.
extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let error = errno();
    // First, so that whoever is woken finds that done as well.
    chain(signal, info, context);
    for place in places() {
        if place.wanted.load(Ordering::Acquire) & bit(signal) != 0 {
            place.pending.fetch_or(bit(signal), Ordering::AcqRel);
            // SAFETY: the byte is valid memory, and the pipe is never closed. If it is full, it is readable.
            unsafe { libc::write(place.writer.as_raw_fd(), [0u8].as_ptr().cast(), 1) };
        }
    }
    set_errno(error);
}

/// Calls the handler that was set before, if there was one.
fn chain(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = previous(signal) else { return };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {}
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO the address is that of a handler of three arguments.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO the address is that of a handler of one argument.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// What the interrupted code may be about to look at.
fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(error: c_int) {
    #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "hurd", target_os = "redox"))]
    // SAFETY: the address of this thread's own variable.
    unsafe {
        *libc::__errno_location() = error;
    }
    #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
    // SAFETY: the address of this thread's own variable.
    unsafe {
        *libc::__error() = error;
    }
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    // SAFETY: the address of this thread's own variable.
    unsafe {
        *libc::__errno() = error;
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "emscripten",
        target_os = "hurd",
        target_os = "redox",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "android",
        target_os = "netbsd",
        target_os = "openbsd"
    )))]
    let _ = error;
}
