//! Waiting for many descriptors, again and again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::Watched;
use super::watched::cannot_watch;
use crate::park;
use crate::reactor::Direction;
use crate::sys::poll_set::{self, PollSet};

/// What a [`Poll`] is to tell of a descriptor: that it can be read, that it can be written, or both.
///
/// # Examples
/// ```
/// use greenloop::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    readable: bool,
    writable: bool,
}

impl Interest {
    /// That a read would not block.
    ///
    /// # Examples
    /// ```
    /// # use greenloop::io::Interest;
    /// assert!(Interest::READABLE.is_readable() && !Interest::READABLE.is_writable());
    /// ```
    pub const READABLE: Interest = Interest { readable: true, writable: false };
    /// That a write would not block.
    ///
    /// # Examples
    /// ```
    /// # use greenloop::io::Interest;
    /// assert!(Interest::WRITABLE.is_writable() && !Interest::WRITABLE.is_readable());
    /// ```
    pub const WRITABLE: Interest = Interest { readable: false, writable: true };

    /// Is it about reading?
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Interest;
    ///
    /// assert!((Interest::READABLE | Interest::WRITABLE).is_readable());
    /// assert!(!Interest::WRITABLE.is_readable());
    /// ```
    pub const fn is_readable(self) -> bool {
        self.readable
    }

    /// Is it about writing?
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Interest;
    ///
    /// assert!((Interest::READABLE | Interest::WRITABLE).is_writable());
    /// assert!(!Interest::READABLE.is_writable());
    /// ```
    pub const fn is_writable(self) -> bool {
        self.writable
    }

    fn to_sys(self) -> poll_set::Interest {
        poll_set::Interest { readable: self.readable, writable: self.writable }
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest { readable: self.readable || other.readable, writable: self.writable || other.writable }
    }
}

/// The name that a [`Poll`] has given to one of its descriptors. It is not given again.
///
/// # Examples
/// ```
/// use greenloop::io::{Interest, Poll, pipe};
/// use std::collections::HashMap;
///
/// let ((one, _a), (other, _b)) = (pipe()?, pipe()?);
/// let poll = Poll::new()?;
/// let mut names = HashMap::new();
/// names.insert(poll.register(one, Interest::READABLE)?, "one");
/// names.insert(poll.register(other, Interest::READABLE)?, "other");
/// assert_eq!(names.len(), 2); // each has a token of its own
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

/// What [`Poll::poll`] has found about one descriptor.
///
/// # Examples
/// ```
/// use greenloop::io::{Event, Interest, Poll, pipe};
///
/// let (_reader, writer) = pipe()?;
/// let poll = Poll::new()?;
/// let token = poll.register(writer, Interest::WRITABLE)?;
/// assert_eq!(poll.poll(None)?, [Event { token, readable: false, writable: true }]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which one.
    pub token: Token,
    /// A read would not block: something is there, or the end, or an error.
    pub readable: bool,
    /// A write would not block: there is room, or an error.
    pub writable: bool,
}

/// Many descriptors of which a greenlet wants to know which are ready, as with Python's `selectors`.
///
/// It owns what is registered: sockets, pipes, anything that has a descriptor, whole structs with what belongs to a connection;
/// or borrows, if `T` is a reference. A descriptor is reported by each [`poll`](Self::poll) as long as it is ready. All methods
/// take `&self`: another greenlet may register and unregister while one polls, or while one reads what it has [got](Self::get).
/// Only one may poll at a time.
///
/// # Examples
/// ```
/// use greenloop::{io::{Interest, Poll, pipe}, spawn};
/// use std::{io::{Read, Write}, time::Duration};
///
/// let (reader, mut writer) = pipe()?;
/// let poll = Poll::new()?;
/// let token = poll.register(reader, Interest::READABLE)?;
/// spawn(move || writer.write_all(b"ping"));
///
/// let events = poll.poll(Some(Duration::from_secs(5)))?;
/// assert!(events[0].token == token && events[0].readable);
/// let mut answer = [0; 4];
/// (&*poll.get(token).unwrap()).read_exact(&mut answer)?;
/// assert_eq!(&answer, b"ping");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Poll<T: AsFd> {
    /// Before the entries, which it must not outlive.
    set: Watched<PollSet>,
    entries: RefCell<Slab<Entry<T>>>,
    next: Cell<u32>,
}

/// What is registered is shared with whoever has got it: they use it while others register and unregister.
struct Entry<T> {
    io: Rc<T>,
    token: Token,
    interest: Interest,
}

impl<T: AsFd> Poll<T> {
    /// One without descriptors.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If no descriptor can be had for it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::Poll, net::TcpStream};
    /// use std::time::Duration;
    ///
    /// let poll = Poll::<TcpStream>::new()?;
    /// assert!(poll.poll(Some(Duration::ZERO))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> io::Result<Poll<T>> {
        let set = Watched::new(PollSet::new()?)?;
        Ok(Poll { set, entries: RefCell::new(Slab::new()), next: Cell::new(0) })
    }

    /// How many are registered.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Interest, Poll, pipe};
    ///
    /// let (reader, _writer) = pipe()?;
    /// let poll = Poll::new()?;
    /// let token = poll.register(reader, Interest::READABLE)?;
    /// assert_eq!(poll.len(), 1);
    /// poll.unregister(token)?;
    /// assert_eq!(poll.len(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Is none registered?
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Interest, Poll, pipe};
    ///
    /// let (reader, _writer) = pipe()?;
    /// let poll = Poll::new()?;
    /// assert!(poll.is_empty());
    /// poll.register(reader, Interest::READABLE)?;
    /// assert!(!poll.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `io` in. A greenlet that polls is told if it is ready.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the descriptor is closed or registered already, or the system cannot watch it, as with regular files. `io` is gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Interest, Poll, pipe};
    ///
    /// let (reader, _writer) = pipe()?;
    /// let poll = Poll::new()?; // of references, as the reader stays ours
    /// let token = poll.register(&reader, Interest::READABLE)?;
    /// assert!(poll.register(&reader, Interest::READABLE).is_err()); // once is enough
    /// assert!(poll.get(token).is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register(&self, io: T, interest: Interest) -> io::Result<Token> {
        let io = Rc::new(io);
        let descriptor = io.as_fd();
        let mut entries = self.entries.borrow_mut();
        let place = entries.vacant_entry();
        let token = Token(u64::from(self.next.get()) << 32 | place.key() as u64);
        let added = self.set.get().add(descriptor, token.0, interest.to_sys());
        added.map_err(|error| cannot_watch(error, descriptor.as_raw_fd()))?;
        self.next.update(|number| number.wrapping_add(1));
        place.insert(Entry { io: io.clone(), token, interest });
        Ok(token)
    }

    /// Changes what is to be told.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// `NotFound` if it is not registered, or not any more.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::{Interest, Poll}, net::UnixStream};
    /// use std::time::Duration;
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let poll = Poll::new()?;
    /// let token = poll.register(ours, Interest::READABLE)?;
    /// assert!(poll.poll(Some(Duration::ZERO))?.is_empty()); // nothing has come
    /// poll.modify(token, Interest::READABLE | Interest::WRITABLE)?;
    /// assert!(poll.poll(None)?[0].writable);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn modify(&self, token: Token, interest: Interest) -> io::Result<()> {
        let io = self.get(token).ok_or_else(unknown)?;
        self.set.get().modify(io.as_fd(), token.0, interest.to_sys())?;
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get_mut(token.place()).filter(|entry| entry.token == token) {
            entry.interest = interest;
        }
        Ok(())
    }

    /// Gives back what was registered. It is told of no longer. It comes in an `Rc`, as somebody may have [got](Self::get) it and be using
    /// it: `Rc::into_inner` takes it out if nobody has.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// `NotFound` if it is not registered, or not any more.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Interest, Poll, pipe};
    /// use std::{io::{ErrorKind, Read}, rc::Rc};
    ///
    /// let (reader, writer) = pipe()?;
    /// let poll = Poll::new()?;
    /// let token = poll.register(reader, Interest::READABLE)?;
    /// drop(writer);
    /// let mut reader = Rc::into_inner(poll.unregister(token)?).unwrap(); // ours again
    /// assert_eq!(reader.read(&mut [0; 8])?, 0);
    /// assert_eq!(poll.unregister(token).unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unregister(&self, token: Token) -> io::Result<Rc<T>> {
        let mut entries = self.entries.borrow_mut();
        if entries.get(token.place()).is_none_or(|entry| entry.token != token) {
            return Err(unknown());
        }
        let Entry { io, .. } = entries.remove(token.place());
        drop(entries);
        // Fails only for a descriptor that was closed behind its owner's back, which is in no set any more.
        let _ = self.set.get().delete(io.as_fd());
        Ok(io)
    }

    /// What is registered under this token. It may be used however long that takes: if it is unregistered meanwhile, it is open until
    /// this is dropped. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::{Interest, Poll}, net::UnixStream};
    /// use std::io::{Read, Write};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let poll = Poll::new()?;
    /// poll.register(ours, Interest::READABLE)?;
    /// theirs.write_all(b"ping")?;
    /// for event in poll.poll(None)? {
    ///     let mut place = [0; 8];
    ///     let count = (&*poll.get(event.token).unwrap()).read(&mut place)?;
    ///     assert_eq!(&place[..count], b"ping");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get(&self, token: Token) -> Option<Rc<T>> {
        let entries = self.entries.borrow();
        let entry = entries.get(token.place()).filter(|entry| entry.token == token);
        entry.map(|entry| entry.io.clone())
    }

    /// Waits until one of them is ready, at most for `timeout`, and tells which are; `None` is for ever. Nothing is told if the time
    /// has run out. With a timeout of zero it does not wait.
    ///
    /// **Switches**: always, at least once, so that a loop around it keeps nobody out.
    ///
    /// # Errors
    /// If another greenlet polls already. In a destructor run by a panic or a kill, which does not wait, if none is ready.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Interest, Poll, pipe};
    /// use std::{io::Write, time::Duration};
    ///
    /// let ((silent, _kept), (reader, mut writer)) = (pipe()?, pipe()?);
    /// let poll = Poll::new()?;
    /// poll.register(silent, Interest::READABLE)?;
    /// let token = poll.register(reader, Interest::READABLE)?;
    /// assert!(poll.poll(Some(Duration::from_millis(1)))?.is_empty());
    /// writer.write_all(b"ping")?;
    /// let ready: Vec<_> = poll.poll(None)?.iter().map(|event| event.token).collect();
    /// assert_eq!(ready, [token]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn poll(&self, timeout: Option<Duration>) -> io::Result<Vec<Event>> {
        let events = self.look()?;
        if !events.is_empty() || timeout == Some(Duration::ZERO) {
            park::yield_now();
            return Ok(events);
        }
        let outcome = self.set.with(Direction::Read, timeout, |_| match self.look()? {
            events if events.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            events => Ok(events),
        });
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.look(),
            other => other,
        }
    }

    fn look(&self) -> io::Result<Vec<Event>> {
        let (entries, mut events) = (self.entries.borrow(), Vec::new());
        self.set.get().look(|number, ready| {
            let entry = entries.get(Token(number).place()).filter(|entry| entry.token.0 == number);
            if let Some(Entry { token, interest, .. }) = entry {
                let readable = ready.readable && interest.readable;
                let writable = ready.writable && interest.writable;
                events.push(Event { token: *token, readable, writable });
            }
        })?;
        Ok(events)
    }
}

impl Token {
    fn place(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "nothing is registered under this token, or no longer")
}

/// Readable while one of its descriptors is ready.
impl<T: AsFd> AsFd for Poll<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl<T: AsFd> fmt::Debug for Poll<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Poll({} registered)", self.len())
    }
}
