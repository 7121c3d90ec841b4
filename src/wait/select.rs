//! [`select!`](crate::select!): whichever comes first, and nothing else.
//!
//! An *arm* is one of the things that may come: it can be attempted without waiting, and it has a list to wait in. All arms
//! are attempted; if none succeeds the greenlet stands in all lists at once, parks, and attempts again when it is called. The
//! first attempt that succeeds is the only one that has an effect. An arm that has called but was not the one passes the call
//! on to the next in its line.

#![allow(
    private_interfaces,
    reason = "nobody outside can name the lists and deadlines, nor implement the sealed traits"
)]

use std::array::from_fn;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::Waitable;
use crate::event::AsyncResult;
use crate::hub::{Hub, Reason};
use crate::lock::Semaphore;
use crate::park::{self, Deadline, Enrolled};
use crate::queue::{GetError, PutError, Sink, Source};
use crate::waitlist::{Place, WaitList, Watch};

/// One of the things that [`select!`](crate::select!) may wait for. It is made and asked by the macro.
pub trait Arm: sealed::Attempt {
    /// What it gives.
    type Output;

    /// What the successful attempt has taken.
    fn take(&mut self) -> Option<Self::Output>;
}

pub(crate) mod sealed {
    use super::{Deadline, WaitList};

    pub trait Attempt {
        /// Takes what is there, if it is; true if it has.
        fn attempt(&mut self) -> bool;

        fn list(&self) -> Option<&WaitList> {
            None
        }

        /// Nothing waits now, and nothing is there: takes the end of the wait, if that is what it stands for; true if it has.
        fn refuse(&mut self) -> bool {
            false
        }

        /// It was called and takes nothing: tells the next in line if there is something to take.
        fn pass_on(&self) {}

        #[expect(
            private_interfaces,
            reason = "nobody outside can name the deadline, nor implement this trait"
        )]
        fn deadline(&self) -> Deadline {
            Deadline::NEVER
        }
    }
}

use sealed::Attempt;

/// Waits for the first arm that succeeds. False if none does and `wait` says not to wait.
///
/// In which order they are asked is drawn each time: with a count that moves on, other things that are counted with it, or a loop over
/// several `select!`s, could keep step with it, and an arm that is ready would never be asked first.
///
/// # Panics
/// If it would have to wait in a destructor run by a panic or a kill, and none of the arms is an `after`.
#[doc(hidden)]
#[track_caller]
pub fn choose<const N: usize>(arms: &mut [&mut dyn Attempt; N], wait: bool) -> bool {
    // The macro knows how many there are: one that is ready is taken without an allocation.
    let (mut order, mut places): ([usize; N], [Place; N]) =
        (from_fn(|number| number), from_fn(|_| Place::default()));
    choose_among(arms, &mut order, &mut places, wait)
}

#[track_caller]
fn choose_among(
    arms: &mut [&mut dyn Attempt],
    order: &mut [usize],
    places: &mut [Place],
    wait: bool,
) -> bool {
    loop {
        if ask_in_turn(arms, order) {
            return true;
        }
        if !wait {
            return false;
        }
        if std::thread::panicking() {
            assert!(
                arms.iter_mut().any(|arm| arm.refuse()),
                "select! would have to wait in a destructor run by a panic or a kill: give it a `default` or an \
                 `after` arm"
            );
            return true;
        }
        let watch = stand_in_all(arms, places);
        let Some(first_called) = watch.next_call() else { continue };
        // Before the attempt, so that no call is held back while code of the user runs.
        while let Some(other) = watch.next_call() {
            arms[other].pass_on();
        }
        if arms[first_called].attempt() {
            return true;
        }
    }
}

/// Asks the arms until one succeeds. Each next one is drawn among those that are left, so that those that are ready have equal shares
/// wherever they stand: if only the first were drawn, one behind arms that are not ready would have the shares of these, too.
fn ask_in_turn(arms: &mut [&mut dyn Attempt], order: &mut [usize]) -> bool {
    (0..order.len()).any(|asked| {
        let next = asked + Hub::current().schedule.choose(order.len() - asked);
        order.swap(asked, next);
        arms[order[asked]].attempt()
    })
}

/// Parks in the lists of all arms. The watch then knows the numbers of those that have called, in their order.
#[track_caller]
fn stand_in_all(arms: &[&mut dyn Attempt], places: &mut [Place]) -> Rc<Watch> {
    let watch = Watch::new(true);
    let mut deadline = Deadline::NEVER;
    let mut enrolled = Vec::with_capacity(arms.len());
    for (number, (arm, place)) in arms.iter().zip(places).enumerate() {
        deadline = deadline.earlier(arm.deadline());
        enrolled.extend(arm.list().map(|list| Enrolled::watching(list, &watch, number, place)));
    }
    park::wait_for_call(&watch, Reason::plain(&"one of several things (select)"), deadline);
    drop(enrolled);
    watch
}

/// What has a `get` to select on.
///
/// This and its like are called as methods, so that a reference of any kind can stand for the object.
#[doc(hidden)]
pub trait Getting {
    type Arm<'a>: Arm
    where
        Self: 'a;
    fn getting(&self) -> Self::Arm<'_>;
}

/// `item = queue.get()`
#[doc(hidden)]
pub struct Get<'a, Q: Source> {
    queue: &'a Q,
    taken: Option<Result<Q::Item, GetError>>,
}

impl<Q: Source> fmt::Debug for Get<'_, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Get({:?})", self.queue)
    }
}

impl<Q: Source> Getting for Q {
    type Arm<'a>
        = Get<'a, Q>
    where
        Q: 'a;

    fn getting(&self) -> Get<'_, Q> {
        Get { queue: self, taken: None }
    }
}

impl<Q: Source> Attempt for Get<'_, Q> {
    fn attempt(&mut self) -> bool {
        self.taken = Some(self.queue.try_get()).filter(|got| !matches!(got, Err(GetError::Empty)));
        self.taken.is_some()
    }

    fn list(&self) -> Option<&WaitList> {
        Some(self.queue.getters())
    }

    fn pass_on(&self) {
        if self.queue.is_ready() {
            self.queue.getters().wake_one();
        }
    }
}

impl<Q: Source> Arm for Get<'_, Q> {
    type Output = Result<Q::Item, GetError>;

    fn take(&mut self) -> Option<Self::Output> {
        self.taken.take()
    }
}

/// `value = result.get()`
#[doc(hidden)]
#[derive(Debug)]
pub struct Value<'a, T>(&'a AsyncResult<T>, bool);

impl<T: Clone> Getting for AsyncResult<T> {
    type Arm<'a>
        = Value<'a, T>
    where
        T: 'a;

    fn getting(&self) -> Value<'_, T> {
        Value(self, false)
    }
}

impl<T> Attempt for Value<'_, T> {
    fn attempt(&mut self) -> bool {
        self.1 = self.0.is_set();
        self.1
    }

    fn list(&self) -> Option<&WaitList> {
        Some(self.0.waiters())
    }
}

impl<T: Clone> Arm for Value<'_, T> {
    type Output = T;

    fn take(&mut self) -> Option<T> {
        // A value that is there is not enough: another arm may have been asked first, and has taken something.
        std::mem::take(&mut self.1).then(|| self.0.try_get()).flatten()
    }
}

/// `done = queue.put(item)`; the item is made when there is room for it.
#[doc(hidden)]
pub struct Put<'a, Q: Sink, F> {
    queue: &'a Q,
    make: Option<F>,
    /// An item that found no room: making it has switched, and another was faster.
    made: Option<Q::Item>,
    taken: Option<Result<(), PutError<Q::Item>>>,
}

impl<Q: Sink, F> fmt::Debug for Put<'_, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Put({:?})", self.queue)
    }
}

#[doc(hidden)]
pub trait Putting: Sink + Sized {
    fn putting<F: FnOnce() -> Self::Item>(&self, item: F) -> Put<'_, Self, F> {
        Put { queue: self, make: Some(item), made: None, taken: None }
    }
}

impl<Q: Sink> Putting for Q {}

impl<Q: Sink, F: FnOnce() -> Q::Item> Put<'_, Q, F> {
    fn item(&mut self) -> Option<Q::Item> {
        // If making the item panics, the room is for the next in line.
        struct PassOn<'a, Q: Sink>(&'a Q);
        impl<Q: Sink> Drop for PassOn<'_, Q> {
            fn drop(&mut self) {
                pass_on_room(self.0);
            }
        }
        self.made.take().or_else(|| {
            let make = self.make.take()?;
            let pass_on = PassOn(self.queue);
            let item = make();
            std::mem::forget(pass_on);
            Some(item)
        })
    }
}

impl<Q: Sink, F: FnOnce() -> Q::Item> Attempt for Put<'_, Q, F> {
    fn attempt(&mut self) -> bool {
        if !self.queue.has_room() {
            return false;
        }
        let Some(item) = self.item() else { return false };
        match self.queue.try_put(item) {
            Err(PutError::Full(item)) => self.made = Some(item),
            done => self.taken = Some(done),
        }
        self.taken.is_some()
    }

    fn list(&self) -> Option<&WaitList> {
        Some(self.queue.putters())
    }

    fn pass_on(&self) {
        pass_on_room(self.queue);
    }
}

/// Wakes the next in line for room that the one before was woken for and has left.
fn pass_on_room<Q: Sink>(queue: &Q) {
    if queue.has_room() {
        queue.putters().wake_one();
    }
}

impl<Q: Sink, F: FnOnce() -> Q::Item> Arm for Put<'_, Q, F> {
    type Output = Result<(), PutError<Q::Item>>;

    fn take(&mut self) -> Option<Self::Output> {
        self.taken.take()
    }
}

/// `_ = event.wait()`, and of everything else that is [`Waitable`].
#[doc(hidden)]
pub struct Wait<'a, W: ?Sized>(&'a W, bool);

impl<W: Waitable + ?Sized> fmt::Debug for Wait<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_ready() { "Wait(ready)" } else { "Wait(not ready)" })
    }
}

#[doc(hidden)]
pub trait Waiting: Waitable {
    fn waiting(&self) -> Wait<'_, Self> {
        Wait(self, false)
    }
}

impl<W: Waitable + ?Sized> Waiting for W {}

impl<W: Waitable + ?Sized> Attempt for Wait<'_, W> {
    fn attempt(&mut self) -> bool {
        self.1 = self.0.is_ready();
        self.1
    }

    fn list(&self) -> Option<&WaitList> {
        Some(self.0.waiters())
    }

    fn pass_on(&self) {
        if self.0.is_ready() {
            self.0.waiters().wake_one();
        }
    }
}

impl<W: Waitable + ?Sized> Arm for Wait<'_, W> {
    type Output = ();

    fn take(&mut self) -> Option<()> {
        // It takes nothing, so what it was called for is for the next in line.
        std::mem::take(&mut self.1).then(|| self.pass_on())
    }
}

/// `_ = semaphore.acquire()`
#[doc(hidden)]
#[derive(Debug)]
pub struct Acquire<'a>(&'a Semaphore, bool);

#[doc(hidden)]
pub trait Acquiring {
    fn acquiring(&self) -> Acquire<'_>;
}

impl Acquiring for Semaphore {
    fn acquiring(&self) -> Acquire<'_> {
        Acquire(self, false)
    }
}

impl Attempt for Acquire<'_> {
    fn attempt(&mut self) -> bool {
        self.1 = self.0.try_acquire();
        self.1
    }

    fn list(&self) -> Option<&WaitList> {
        Some(self.0.waiters())
    }

    fn pass_on(&self) {
        self.0.pass_on();
    }
}

impl Arm for Acquire<'_> {
    type Output = ();

    fn take(&mut self) -> Option<()> {
        std::mem::take(&mut self.1).then_some(())
    }
}

/// `_ = after(duration)`
#[doc(hidden)]
#[derive(Debug)]
pub struct After(Deadline, bool);

#[doc(hidden)]
pub fn after(duration: Duration) -> After {
    After(Deadline::after(Some(duration)), false)
}

impl Attempt for After {
    fn attempt(&mut self) -> bool {
        self.1 = self.0.has_come();
        self.1
    }

    fn refuse(&mut self) -> bool {
        self.1 = true;
        true
    }

    fn deadline(&self) -> Deadline {
        self.0
    }
}

impl Arm for After {
    type Output = ();

    fn take(&mut self) -> Option<()> {
        std::mem::take(&mut self.1).then_some(())
    }
}

/// Waits for whichever comes first, takes it, and runs what belongs to it. The others lose nothing.
///
/// | arm | gives |
/// |---|---|
/// | `item = queue.get()` | `Result<T, GetError>`; of all queues, and of a `Channel` |
/// | `done = queue.put(item)` | `Result<(), PutError<T>>`; the item is made when there is room; not of a `Channel` |
/// | `value = result.get()` | the value of an `AsyncResult` |
/// | `_ = anything.wait()` | `()`: for an event, a greenlet, a job, a result, and everything [`Waitable`](crate::Waitable) |
/// | `_ = semaphore.acquire()` | `()`: the permit is taken |
/// | `_ = after(duration)` | `()` |
/// | `default` | does not wait: runs if none of the others is ready; stands last |
///
/// The item of a `put` is made at most once. If making it switches and the room is gone afterwards, it is kept until there is room again,
/// and dropped if another arm comes first.
///
/// An object can be given by a name, as a field, and by whatever points to it: a reference, an `Rc`.
///
/// The pattern must always match. What runs after `=>` may `break`, `continue`, `return` and use `?`, and is separated by a
/// comma, which a block does not need. Which of several arms that are ready at the same time is taken is drawn each time, with equal
/// shares; under `testing::with_seed` equal seeds draw the same.
///
/// Each arm takes some of the depth that the compiler allows to macros, the more the longer its object: beyond a dozen the crate that has
/// them may have to say `#![recursion_limit = "256"]`.
///
/// **Switches**: unless an arm is ready or there is a `default`.
///
/// **While unwinding** it takes an `after` at once, however long; without one it panics: give it a `default` there.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever make an arm ready. While
/// unwinding, if no arm is ready and there is neither a `default` nor an `after`.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, queue::Queue, select, spawn};
/// use std::time::Duration;
///
/// let (jobs, stop) = (Queue::unbounded(), Event::new());
/// let worker = spawn({
///     let (jobs, stop) = (jobs.clone(), stop.clone());
///     move || {
///         let mut done = Vec::new();
///         loop {
///             select! {
///                 job = jobs.get() => done.push(job.unwrap()),
///                 _ = stop.wait() => break,
///                 _ = after(Duration::from_secs(30)) => panic!("nothing to do"),
///             }
///         }
///         done
///     }
/// });
/// jobs.put(1).unwrap();
/// greenloop::yield_now();
/// stop.set();
/// assert_eq!(worker.join().unwrap(), [1]);
/// ```
#[macro_export]
macro_rules! select {
    // The entry: everything goes through `@arms` with the arms found so far.
    (@arms [$($arms:tt)*] default => $body:expr $(,)?) => {
        $crate::select!(@expand [$($arms)*] [false] [$body])
    };
    (@arms [$($arms:tt)+]) => {
        $crate::select!(@expand [$($arms)*] [true] [::std::unreachable!("an arm has succeeded")])
    };
    (@arms [$($arms:tt)*] $value:pat = after($duration:expr) => $($rest:tt)+) => {
        $crate::select!(@body [$($arms)*] [arm $value, $crate::wait::select::after($duration)] $($rest)+)
    };
    (@arms [$($arms:tt)*] $value:pat = $($rest:tt)+) => {
        $crate::select!(@object [$($arms)*] [$value] [] $($rest)+)
    };
    // Before the last dot lies the object, after it the method.
    (@object [$($arms:tt)*] [$value:pat] [$($object:tt)+] .get() => $($rest:tt)+) => {
        $crate::select!(@body [$($arms)*] [arm $value, {
            use $crate::wait::select::Getting as _;
            ($($object)+).getting()
        }] $($rest)+)
    };
    (@object [$($arms:tt)*] [$value:pat] [$($object:tt)+] .put($item:expr) => $($rest:tt)+) => {
        $crate::select!(@body [$($arms)*] [arm $value, {
            use $crate::wait::select::Putting as _;
            ($($object)+).putting(|| $item)
        }] $($rest)+)
    };
    (@object [$($arms:tt)*] [$value:pat] [$($object:tt)+] .wait() => $($rest:tt)+) => {
        $crate::select!(@body [$($arms)*] [arm $value, {
            use $crate::wait::select::Waiting as _;
            ($($object)+).waiting()
        }] $($rest)+)
    };
    (@object [$($arms:tt)*] [$value:pat] [$($object:tt)+] .acquire() => $($rest:tt)+) => {
        $crate::select!(@body [$($arms)*] [arm $value, {
            use $crate::wait::select::Acquiring as _;
            ($($object)+).acquiring()
        }] $($rest)+)
    };
    (@object [$($arms:tt)*] [$value:pat] [$($object:tt)*] $next:tt $($rest:tt)+) => {
        $crate::select!(@object [$($arms)*] [$value] [$($object)* $next] $($rest)+)
    };
    (@body [$($arms:tt)*] [$($arm:tt)+] $body:block $(, $($rest:tt)*)?) => {
        $crate::select!(@arms [$($arms)* [$($arm)+ => $body]] $($($rest)*)?)
    };
    (@body [$($arms:tt)*] [$($arm:tt)+] $body:block $($rest:tt)*) => {
        $crate::select!(@arms [$($arms)* [$($arm)+ => $body]] $($rest)*)
    };
    (@body [$($arms:tt)*] [$($arm:tt)+] $body:expr $(, $($rest:tt)*)?) => {
        $crate::select!(@arms [$($arms)* [$($arm)+ => $body]] $($($rest)*)?)
    };
    (@expand [$([$arm:ident $value:pat, $make:expr => $body:expr])*] [$wait:expr] [$default:expr]) => {{
        $(let mut $arm = $make;)*
        $crate::wait::select::choose(&mut [$(&mut $arm),*], $wait);
        $(if let ::std::option::Option::Some(taken) = $crate::wait::select::Arm::take(&mut $arm) {
            let $value = taken;
            $body
        } else)* {
            // A block as such would be one in a block, of which the compiler says that it is too much.
            match () { () => $default }
        }
    }};
    ($($arms:tt)+) => {
        $crate::select!(@arms [] $($arms)+)
    };
}
