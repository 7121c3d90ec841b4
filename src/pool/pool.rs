//! A group with a limited number of slots.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::Group;
use super::members::{Members, NO_SLOTS, Patience, Slots};
use crate::greenlet::{Builder, Greenlet, Handle};

/// Runs greenlets, at most `size` at a time: `spawn` waits while the pool is full.
///
/// It is a handle: clones are the same pool. A slot is taken when a greenlet is spawned or added, and given back when it ends or is
/// discarded. What a pool has in common with a [`Group`] (`spawn`, `apply`, `map`, `imap`, `join`, `kill` and so on) is described there, and
/// reached by dereferencing.
///
/// # Examples
/// ```
/// use greenloop::{pool::Pool, yield_now};
///
/// let pool = Pool::new(2);
/// for n in 0..3 {
///     pool.spawn(move || { yield_now(); n }); // the third call waits for a slot
/// }
/// pool.join();
/// assert_eq!(pool.free_count(), 2);
/// ```
#[derive(Clone)]
pub struct Pool {
    group: Group,
}

/// A pool had no free slot (in time). What was to go in, a function or a greenlet, is inside.
///
/// # Examples
/// ```
/// use greenloop::pool::{Pool, PoolFull};
///
/// let pool = Pool::new(1);
/// pool.spawn(|| ());
/// let Err(PoolFull(function)) = pool.try_spawn(|| "given back") else { panic!("there is no slot") };
/// assert_eq!(function(), "given back");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool is full")]
pub struct PoolFull<F>(pub F);

impl<F> fmt::Debug for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolFull(..)")
    }
}

impl Pool {
    /// A pool in which at most `size` greenlets run at a time. In one of size 0 none ever does: it is full for those that ask or
    /// wait for a limited time, and the calls that would wait for ever panic. A server does not start with it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, yield_now};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let (pool, running) = (Pool::new(2), Rc::new(Cell::new(0)));
    /// let most = pool.map(0..10, move |_| {
    ///     running.set(running.get() + 1);
    ///     let now = running.get();
    ///     yield_now();
    ///     running.set(running.get() - 1);
    ///     now
    /// });
    /// assert_eq!(most.into_iter().max(), Some(2));
    /// ```
    pub fn new(size: usize) -> Pool {
        Pool { group: Group { members: Members::new(Some(size)) } }
    }

    fn slots(&self) -> &Slots {
        match self.members.slots() {
            Some(slots) => slots,
            None => unreachable!("a pool is made with slots"),
        }
    }

    /// How many greenlets may run at a time.
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    ///
    /// let pool = Pool::new(3);
    /// pool.spawn(|| ());
    /// assert_eq!((pool.size(), pool.len()), (3, 1));
    /// ```
    pub fn size(&self) -> usize {
        self.slots().size
    }

    /// How many more could be spawned without waiting.
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::pool::Pool::new(3);
    /// let g = pool.spawn(|| ());
    /// assert_eq!(pool.free_count(), 2);
    /// g.wait();
    /// assert_eq!(pool.free_count(), 3);
    /// ```
    pub fn free_count(&self) -> usize {
        self.slots().free.available()
    }

    /// Is there no free slot?
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::pool::Pool::new(1);
    /// assert!(!pool.is_full());
    /// pool.spawn(|| ());
    /// assert!(pool.is_full());
    /// pool.join();
    /// assert!(!pool.is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        self.members.is_full()
    }

    /// [`spawn`](Group::spawn) if there is a slot now. **Switches**: no.
    ///
    /// # Errors
    /// [`PoolFull`] with the function if there is none.
    ///
    /// # Panics
    /// If no stack can be had.
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::{Pool, PoolFull};
    ///
    /// let pool = Pool::new(1);
    /// let served = pool.try_spawn(|| "served").unwrap();
    /// assert!(matches!(pool.try_spawn(|| "busy"), Err(PoolFull(_))));
    /// assert_eq!(served.join().unwrap(), "served");
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<Greenlet<T>, PoolFull<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.spawn_within(f, Patience::None)
    }

    /// [`spawn`](Group::spawn), waiting for a slot at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: if the pool is full.
    ///
    /// **While unwinding** it gives [`PoolFull`] at once.
    ///
    /// # Errors
    /// [`PoolFull`] with the function if no slot became free in time.
    ///
    /// # Panics
    /// If no stack can be had.
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever free a slot.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new(1);
    /// let long = pool.spawn(|| sleep(Duration::from_secs(60)));
    /// assert!(pool.spawn_timeout(|| 1, Duration::from_millis(1)).is_err());
    /// long.kill_nowait();
    /// assert_eq!(pool.spawn_timeout(|| 2, Duration::from_secs(60)).unwrap().join().unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn spawn_timeout<F, T>(&self, f: F, timeout: Duration) -> Result<Greenlet<T>, PoolFull<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.spawn_within(f, Patience::For(timeout))
    }

    #[track_caller]
    fn spawn_within<F, T>(&self, f: F, patience: Patience) -> Result<Greenlet<T>, PoolFull<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.members.take_slot(patience) {
            true => match self.members.spawn_in_slot(Builder::new(), f) {
                Ok(greenlet) => Ok(greenlet),
                Err(error) => panic!("{error}"),
            },
            false => Err(PoolFull(f)),
        }
    }

    /// [`add`](Group::add) if there is a slot now. **Switches**: no.
    ///
    /// # Errors
    /// [`PoolFull`] with what was to be added if there is none.
    ///
    /// # Panics
    /// If it is the root of the thread.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::{Pool, PoolFull}, spawn};
    ///
    /// let pool = Pool::new(1);
    /// let (one, other) = (spawn(|| 1), spawn(|| 2));
    /// assert!(pool.try_add(&one).is_ok());
    /// let Err(PoolFull(refused)) = pool.try_add(&other) else { panic!("there is no slot") };
    /// assert_eq!(refused.id(), other.id()); // it runs, but outside
    /// ```
    #[track_caller]
    pub fn try_add<H: AsRef<Handle>>(&self, member: H) -> Result<(), PoolFull<H>> {
        match self.add_within(member.as_ref(), Patience::None) {
            true => Ok(()),
            false => Err(PoolFull(member)),
        }
    }

    /// [`add`](Group::add), waiting for a slot at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: if the pool is full.
    ///
    /// **While unwinding** it gives [`PoolFull`] at once.
    ///
    /// # Errors
    /// [`PoolFull`] with what was to be added if no slot became free in time.
    ///
    /// # Panics
    /// If it is the root of the thread.
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever free a slot.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep, spawn};
    /// use std::time::Duration;
    ///
    /// let (pool, minute) = (Pool::new(1), Duration::from_secs(60));
    /// let (first, second) = (pool.spawn(move || sleep(minute)), spawn(move || sleep(minute)));
    /// assert!(pool.add_timeout(&second, Duration::from_millis(1)).is_err());
    /// first.kill_nowait();
    /// assert!(pool.add_timeout(&second, minute).is_ok());
    /// assert!(pool.contains(&second));
    /// ```
    #[track_caller]
    pub fn add_timeout<H: AsRef<Handle>>(&self, member: H, timeout: Duration) -> Result<(), PoolFull<H>> {
        match self.add_within(member.as_ref(), Patience::For(timeout)) {
            true => Ok(()),
            false => Err(PoolFull(member)),
        }
    }

    /// Waits until a slot is free, at most for `timeout` if there is one, without taking it, and gives the number of
    /// free slots: 0 if the time ran out or another greenlet was faster.
    ///
    /// **Switches**: if the pool is full.
    ///
    /// **While unwinding** it returns 0 at once.
    ///
    /// # Panics
    /// If the pool is of size 0 and there is no `timeout`: this would wait for ever.
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new(2);
    /// pool.spawn(|| ());
    /// assert_eq!(pool.wait_available(None), 1);
    /// pool.spawn(|| ());
    /// assert_eq!(pool.wait_available(Some(Duration::from_secs(60))), 2); // the first two have ended meanwhile
    /// ```
    #[track_caller]
    pub fn wait_available(&self, timeout: Option<Duration>) -> usize {
        assert!(timeout.is_some() || !self.members.is_hopeless() || std::thread::panicking(), "{NO_SLOTS}");
        self.slots().free.wait_as(timeout, self.slots().reason())
    }
}

impl Deref for Pool {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl<'a> IntoIterator for &'a Pool {
    type Item = Handle;
    type IntoIter = <&'a Group as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.group, f)
    }
}
