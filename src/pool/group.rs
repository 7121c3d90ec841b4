//! Greenlets that are waited for and ended together.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::map::{Imap, ImapUnordered};
use super::members::{Members, Patience};
use crate::error::{self, JoinError};
use crate::greenlet::{self, Builder, Greenlet, Handle};
use crate::park::Deadline;

/// Greenlets that belong together: they are waited for, and killed, with one call. They leave by themselves when they end.
///
/// It is a handle: clones are the same group, and dropping all of them ends nobody. A [`Pool`](super::Pool) is a group with a limited
/// number of slots and dereferences to one; where it waits for a slot, the methods here say so.
///
/// # Examples
/// ```
/// use greenloop::{pool::Group, sleep, spawn};
/// use std::time::Duration;
///
/// let group = Group::new();
/// group.spawn(|| sleep(Duration::from_millis(1)));
/// group.add(spawn(|| sleep(Duration::from_secs(3600))));
/// assert!(!group.join_timeout(Duration::from_millis(20)));
/// assert_eq!(group.len(), 1); // one has ended
/// group.kill();
/// assert!(group.is_empty());
/// ```
#[derive(Clone)]
pub struct Group {
    pub(super) members: Rc<Members>,
}

impl Group {
    /// A group of nobody.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, spawn};
    ///
    /// let group = Group::new();
    /// group.clone().spawn(|| ());
    /// assert_eq!(group.len(), 1); // clones are the same group
    /// ```
    pub fn new() -> Group {
        Group::default()
    }

    /// How many run, or wait for their first turn.
    ///
    /// # Examples
    /// ```
    /// let group = greenloop::pool::Group::new();
    /// (0..3).for_each(|n| drop(group.spawn(move || n)));
    /// assert_eq!(group.len(), 3);
    /// group.join();
    /// assert_eq!(group.len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Is nobody in it?
    ///
    /// # Examples
    /// ```
    /// let group = greenloop::pool::Group::new();
    /// let g = group.spawn(|| ());
    /// assert!(!group.is_empty());
    /// g.wait(); // it leaves by itself
    /// assert!(group.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is this greenlet in it?
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, spawn};
    ///
    /// let group = Group::new();
    /// let (member, stranger) = (group.spawn(|| ()), spawn(|| ()));
    /// assert!(group.contains(&member) && !group.contains(&stranger));
    /// ```
    pub fn contains(&self, member: impl AsRef<Handle>) -> bool {
        self.members.contains(member.as_ref())
    }

    /// Those that are in it now, in the order in which they were spawned.
    ///
    /// # Examples
    /// ```
    /// let group = greenloop::pool::Group::new();
    /// let spawned = [(); 3].map(|()| group.spawn(|| ()).id());
    /// let members: Vec<_> = group.iter().map(|member| member.id()).collect();
    /// assert_eq!(members, spawned);
    /// ```
    pub fn iter(&self) -> std::vec::IntoIter<Handle> {
        self.members.all().into_iter()
    }

    /// Adds a greenlet that was spawned elsewhere. Nothing happens if it is in already or has ended.
    ///
    /// **Switches**: in a pool, if that is full.
    ///
    /// **While unwinding** it panics if the pool is full: use [`Pool::try_add`](super::Pool::try_add) there.
    ///
    /// # Panics
    /// If it is the root of the thread, which never ends. In a full pool as [`spawn`](Self::spawn).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, spawn};
    ///
    /// let (group, g) = (Group::new(), spawn(|| 1));
    /// group.add(&g);
    /// assert!(group.contains(&g));
    /// assert_eq!(g.join().unwrap(), 1);
    /// assert!(group.is_empty());
    /// ```
    #[track_caller]
    pub fn add(&self, member: impl AsRef<Handle>) {
        let got_slot = self.add_within(member.as_ref(), Patience::Endless);
        assert!(
            got_slot,
            "{self:?} is full, and a destructor run by a panic or a kill does not wait for a slot: use Pool::try_add there"
        );
    }

    #[track_caller]
    pub(super) fn add_within(&self, member: &Handle, patience: Patience) -> bool {
        assert!(member.id() != 0, "the root of a thread cannot be added to {self:?}: it never ends");
        if member.is_finished() || self.contains(member) {
            return true;
        }
        let got_slot = self.members.take_slot(patience);
        if got_slot {
            self.members.add_in_slot(member);
        }
        got_slot
    }

    /// Takes a greenlet out, which runs on; its slot is free. False if it is not in the group.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new(1);
    /// let long = pool.spawn(|| sleep(Duration::from_secs(60)));
    /// assert!(pool.discard(&long)); // runs on, without a slot
    /// assert_eq!((pool.len(), pool.free_count()), (0, 1));
    /// ```
    pub fn discard(&self, member: impl AsRef<Handle>) -> bool {
        self.members.discard(member.as_ref())
    }

    /// Spawns a greenlet in the group.
    ///
    /// **Switches**: in a pool, if that is full, until a slot is free.
    ///
    /// **While unwinding** it panics if the pool is full: use [`Pool::try_spawn`](super::Pool::try_spawn) there.
    ///
    /// # Panics
    /// If no stack can be had. In a full pool: on a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that
    /// could ever free a slot; while unwinding, always; if the pool is of size 0.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, yield_now};
    ///
    /// let pool = Pool::new(1);
    /// let first = pool.spawn(|| { yield_now(); 1 });
    /// let second = pool.spawn(|| 2); // waits for the slot
    /// assert!(first.is_finished());
    /// assert_eq!(second.join().unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.spawn_built(Builder::new(), f) {
            Ok(greenlet) => greenlet,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`spawn`](Self::spawn) with a builder, and with its error.
    #[track_caller]
    pub(crate) fn spawn_built<F, T>(&self, builder: Builder, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.take_slot();
        self.members.spawn_in_slot(builder, f)
    }

    #[track_caller]
    fn take_slot(&self) {
        let got_slot = self.members.take_slot(Patience::Endless);
        assert!(
            got_slot,
            "{self:?} is full, and a destructor run by a panic or a kill does not wait for a slot: use Pool::try_spawn there"
        );
    }

    /// [`spawn_built`](Self::spawn_built) for one who spawns many. `None` if everybody has been killed since there were so many `kills`,
    /// before it waited for a slot or meanwhile: nothing of the kind starts after that.
    #[track_caller]
    pub(super) fn spawn_unless_killed<F, T>(
        &self,
        kills: u64,
        builder: Builder,
        f: F,
    ) -> Option<io::Result<Greenlet<T>>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        if self.members.kills() != kills {
            return None;
        }
        self.take_slot();
        if self.members.kills() != kills {
            self.members.give_slot();
            return None;
        }
        Some(self.members.spawn_in_slot(builder, f))
    }

    /// Runs `f` in the group and waits for its value. From inside a greenlet of a full pool, which would wait for itself,
    /// it runs `f` at once.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it runs `f` itself.
    ///
    /// # Panics
    /// If `f` does, with the same payload; if the greenlet is killed. As [`spawn`](Self::spawn).
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// assert_eq!(Pool::new(1).apply(|| 6 * 7), 42);
    /// ```
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        if std::thread::panicking() || (self.members.is_full() && self.contains(greenlet::current())) {
            return f();
        }
        error::value_of(self.spawn(f).join())
    }

    /// Runs `f` over all items, each in a greenlet, as many at a time as a pool allows, and gives the results in the order of
    /// the input. Killing the group meanwhile takes no more input: an item that has just been taken, and waits for a slot, is dropped.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it runs `f` itself, for one item after the other.
    ///
    /// # Panics
    /// If the iterator of the input does, at once; or `f` for one of the items, after all have ended, with the payload of the first
    /// in the order of the input; if one is killed. As [`spawn`](Self::spawn).
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// assert_eq!(Pool::new(3).map(1..=4, |n| n * n), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        if std::thread::panicking() {
            return items.into_iter().map(f).collect();
        }
        let (f, kills) = (Rc::new(f), self.members.kills());
        let mut jobs = Vec::new();
        for item in items {
            let f = f.clone();
            match self.spawn_unless_killed(kills, Builder::new(), move || f(item)) {
                Some(Ok(job)) => jobs.push(job),
                Some(Err(error)) => panic!("{error}"),
                None => break,
            }
        }
        let killed = self.members.kills() != kills;
        let results: Result<Vec<T>, JoinError> = greenlet::join_all(jobs).into_iter().collect();
        match results {
            // Only some of them were started.
            Ok(_) if killed => JoinError::killed().rethrow(),
            results => error::value_of(results),
        }
    }

    /// Like [`map`](Self::map), but lazy: gives each result when it and all before it have arrived. The input is taken by a greenlet of
    /// its own which starts at once, in a pool as slots become free; [`Imap::maxsize`] limits how far it runs ahead. Dropping the
    /// iterator kills it and what it started.
    ///
    /// **Switches**: `next` does, unless its result is there. Making it does not.
    ///
    /// **While unwinding** `next` ends the iteration instead of waiting.
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// let doubled: Vec<_> = Pool::new(2).imap([1, 2, 3], |n| n * 2).collect();
    /// assert_eq!(doubled, [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn imap<I, F, T>(&self, items: I, f: F) -> Imap<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        Imap::new(self.clone(), items, f)
    }

    /// Like [`imap`](Self::imap), but gives each result as soon as it has arrived.
    ///
    /// **Switches**: `next` does, unless a result is there. Making it does not.
    ///
    /// **While unwinding** `next` ends the iteration instead of waiting.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::time::Duration;
    ///
    /// let by_time = Pool::new(2).imap_unordered([50, 1], |ms| { sleep(Duration::from_millis(ms)); ms });
    /// assert_eq!(by_time.collect::<Vec<_>>(), [1, 50]);
    /// ```
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> ImapUnordered<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        ImapUnordered::new(self.clone(), items, f)
    }

    /// Waits until nobody is left (somebody may have come when the caller runs).
    ///
    /// **Switches**: unless the group is empty.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever empty it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, yield_now};
    ///
    /// let group = Group::new();
    /// (0..3).for_each(|_| drop(group.spawn(yield_now)));
    /// group.join();
    /// assert!(group.is_empty());
    /// ```
    #[track_caller]
    pub fn join(&self) {
        self.members.wait_until_empty(Deadline::NEVER);
    }

    /// [`join`](Self::join), at most for [`timeout`](crate#time-limits); says whether the group became empty.
    ///
    /// **Switches**: unless the group is empty.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever empty it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, pool::Group};
    /// use std::time::Duration;
    ///
    /// let (group, stop) = (Group::new(), Event::new());
    /// group.spawn({ let stop = stop.clone(); move || stop.wait() });
    /// assert!(!group.join_timeout(Duration::from_millis(1)));
    /// stop.set();
    /// assert!(group.join_timeout(Duration::from_secs(60)));
    /// ```
    #[track_caller]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Deadline::after(Some(timeout)))
    }

    #[track_caller]
    pub(crate) fn join_until(&self, deadline: Deadline) -> bool {
        self.members.wait_until_empty(deadline)
    }

    /// [`join`](Self::join), and says whether a member has panicked: since the last `try_join`, whether it was in the group when this was
    /// called or had already left. A kill is no failure.
    ///
    /// **Switches**: unless the group is empty.
    ///
    /// **While unwinding** it gives an error at once.
    ///
    /// # Errors
    /// The first failure in time, with its text; the payload of the panic is with the member's own
    /// [`join`](crate::Greenlet::join). While unwinding, that somebody still runs.
    ///
    /// # Panics
    /// As [`join`](Self::join).
    ///
    /// # Examples
    /// ```
    /// let group = greenloop::pool::Group::new();
    /// group.spawn(|| ());
    /// group.spawn(|| panic!("boom"));
    /// assert!(group.try_join().unwrap_err().to_string().contains("boom"));
    /// assert!(group.try_join().is_ok());
    /// ```
    #[track_caller]
    pub fn try_join(&self) -> Result<(), JoinError> {
        match self.members.wait_until_empty(Deadline::NEVER) {
            true => self.members.take_failure().map_or(Ok(()), Err),
            false => Err(JoinError::refused()),
        }
    }

    /// Kills everybody in the group, those included that come meanwhile, and waits until they are dead. If a member calls it,
    /// it is spared itself. What feeds the group, a [`map`](Self::map) or an [`imap`](Self::imap), stops.
    ///
    /// **Switches**: unless the group is empty.
    ///
    /// **While unwinding** it asks for their ends and returns at once.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, sleep};
    /// use std::time::Duration;
    ///
    /// let group = Group::new();
    /// let long = group.spawn(|| sleep(Duration::from_secs(60)));
    /// group.kill();
    /// assert!(group.is_empty() && long.join().unwrap_err().is_killed());
    /// ```
    #[track_caller]
    pub fn kill(&self) {
        self.kill_until(Deadline::NEVER);
    }

    /// [`kill`](Self::kill), waiting at most for [`timeout`](crate#time-limits); says whether all are dead.
    ///
    /// **Switches**: unless the group is empty.
    ///
    /// **While unwinding** it asks for their ends and returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever empty it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, pool::Group, shield, yield_now};
    /// use std::time::Duration;
    ///
    /// let (group, stored) = (Group::new(), Event::new());
    /// group.spawn({ let stored = stored.clone(); move || shield(|| stored.wait()) });
    /// yield_now();
    /// assert!(!group.kill_timeout(Duration::from_millis(1))); // its shield holds the kill back
    /// stored.set();
    /// assert!(group.kill_timeout(Duration::from_secs(60)));
    /// ```
    #[track_caller]
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_until(Deadline::after(Some(timeout)))
    }

    /// Asks for the end of everybody in the group, and returns at once; see [`Handle::kill_nowait`].
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Group, sleep, yield_now};
    /// use std::time::Duration;
    ///
    /// let group = Group::new();
    /// let long = group.spawn(|| sleep(Duration::from_secs(60)));
    /// yield_now();
    /// group.kill_nowait();
    /// assert_eq!(group.len(), 1); // it has not died yet
    /// assert!(long.join().unwrap_err().is_killed());
    /// ```
    pub fn kill_nowait(&self) {
        self.members.kill_others();
    }

    #[track_caller]
    pub(crate) fn kill_until(&self, deadline: Deadline) -> bool {
        loop {
            let killed = self.members.kill_others();
            if killed.is_empty() {
                return true;
            }
            if !killed.iter().all(|member| member.wait_until(deadline)) {
                return false;
            }
        }
    }
}

impl Default for Group {
    fn default() -> Group {
        Group { members: Members::new(None) }
    }
}

impl<H: AsRef<Handle>> FromIterator<H> for Group {
    /// A group of greenlets that run already.
    fn from_iter<I: IntoIterator<Item = H>>(members: I) -> Group {
        let group = Group::new();
        members.into_iter().for_each(|member| group.add(member));
        group
    }
}

impl<H: AsRef<Handle>> Extend<H> for Group {
    fn extend<I: IntoIterator<Item = H>>(&mut self, members: I) {
        members.into_iter().for_each(|member| self.add(member));
    }
}

impl IntoIterator for &Group {
    type Item = Handle;
    type IntoIter = std::vec::IntoIter<Handle>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.members.slots() {
            Some(slots) => write!(f, "Pool({} of {} running)", self.len(), slots.size),
            None => write!(f, "Group({} running)", self.len()),
        }
    }
}
