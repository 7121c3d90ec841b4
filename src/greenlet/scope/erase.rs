//! Greenlets that borrow from the frames around their scope: who may lie about a lifetime, and why that is sound.
//!
//! A coroutine's closure must be `'static`, as nobody can say how long a greenlet lives. [`Scope::adopt`] hands over a
//! closure that is only `'scope`, with the compiler's knowledge of it removed. So [`enter`] promises this: **it neither returns nor
//! unwinds before every child will never run again and has dropped everything it borrows.**
//!
//! ```text
//!   frames of the caller      what children borrow ('env)
//!   enter                     Scope ('scope), the list of children       ◀── children borrow this, too, to spawn others
//!     catch(body)             spawns; unwinds no further than here
//!     catch(wait)             only if the body has returned; a kill, an expiry, LoopExit unwind no further than here
//!     cancel, wait            only if one of the two has unwound: shielded, ends with the last child or with the process
//!   enter                     no child is left: returns what the body gave, or the payload to be rethrown
//! ```
//!
//! * **What counts as the end of a child** is the state of its control block, which `greenlet/life.rs` sets when the closure, its value
//!   and its panic are gone or moved to where they belong, and behind which that greenlet does nothing but switch
//!   away for good. No flag is kept beside it that could lie.
//! * **No child is overlooked.** It is in the list before any other code can run: room in the list is made before it is
//!   spawned, and hooks are told after. It leaves the list only after its end. A child that spawns another does so before its
//!   own end, so the list cannot be empty in between.
//! * **The wait cannot be refused.** While a thread panics nothing parks. The wait stands behind a catch, not in a destructor,
//!   so the count of panics is what it was when the scope began. A scope that begins while it is not zero takes no
//!   children.
//! * **The wait cannot be left.** A kill or an expiry that ends the first wait leads to the second, which is shielded. On a root,
//!   `LoopExit` out of the second means that a child can never end: the process aborts. Any mistake in this reasoning
//!   is turned into an abort by the destructor of the list.
//! * **Nobody keeps what is `'scope`.** A child's value and panic go through memory that only the scope's own code and its
//!   children can name, since `'scope` is every lifetime for the body, and invariant. One that is leaked is never
//!   touched again. Handles, links, hooks and greenlet locals are `'static`.
//! * **The thread ends while a scope is open.** Then the scope's greenlet lives: it is forgotten, with its stack and with all its children
//!   (see `hub/current.rs`). None of them ever runs again, and their stacks stay mapped for ever. What a scope at any depth borrows
//!   lies on such stacks or on the heap; it cannot lie on the root's, whose frames would still be there. (A thread-local
//!   that is borrowed by `LocalKey::with` may be gone; see `docs/rationale.md`, the end of a thread.)
//! * **The scope's greenlet is forgotten or killed.** Its frames are not freed by anybody but itself: a suspended coroutine is
//!   never dropped, and a kill is an unwind, which is caught here.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::panic::Location;

use super::Panics;
use crate::greenlet::{Builder, Handle, shield};
use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::report;
use crate::unwind::{self, Payload};
use crate::waitlist::Place;

/// A scope in which greenlets are spawned that borrow: see [`scope`](crate::scope()).
///
/// # Examples
/// ```
/// use greenloop::Scope;
/// use std::cell::Cell;
///
/// fn count<'scope>(s: &'scope Scope<'scope, '_>, to: u32, sum: &'scope Cell<u32>) {
///     for n in 1..=to {
///         s.spawn(move || sum.set(sum.get() + n));
///     }
/// }
/// let sum = Cell::new(0);
/// greenloop::scope(|s| count(s, 4, &sum));
/// assert_eq!(sum.get(), 10);
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    children: Children,
    pub(super) panics: Panics,
    /// Invariant, as in the standard library: a child's borrows must outlive neither more nor less.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs `body`, waits for all children, and gives what the body returned or what has unwound it or the wait. Beside it,
/// the panics that no child's owner has asked for.
#[track_caller]
pub(super) fn enter<'env, F, R>(body: F) -> (Result<R, Payload>, Panics)
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let site = Location::caller();
    let scope =
        Scope { children: Children::new(), panics: Panics::default(), scope: PhantomData, env: PhantomData };
    let result = unwind::catch(|| body(&scope));
    let interrupted = match result.is_ok() {
        true => unwind::catch(|| scope.children.wait(site)).err(),
        false => None,
    };
    if result.is_err() || interrupted.is_some() {
        scope.children.end(site);
    }
    // No child is left: from here on anything may unwind.
    let panics = scope.panics.take();
    match interrupted {
        Some(payload) => (Err(payload), panics),
        None => (result, panics),
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a child. The hooks are to be told by the caller.
    #[track_caller]
    pub(super) fn adopt(&'scope self, builder: Builder, work: impl FnOnce() + 'scope) -> io::Result<Handle> {
        let work: Box<dyn FnOnce() + 'scope> = Box::new(work);
        // SAFETY: only the lifetime changes. `enter`, in whose frame `self` lies, is not left before the closure and all
        // that it has borrowed are used no more (module head).
        let work: Box<dyn FnOnce() + 'static> = unsafe { std::mem::transmute(work) };
        self.children.make_room()?;
        let (child, _) = builder.make(work)?;
        self.children.add(child.clone());
        Ok(child)
    }

    pub(super) fn cancel_all(&self) {
        self.children.cancel();
    }

    pub(super) fn running(&self) -> usize {
        self.children.running()
    }
}

/// All that may still run, and some that have ended.
struct Children {
    list: RefCell<Vec<Handle>>,
    /// Those that come are killed at once.
    cancelled: Cell<bool>,
    /// The thread was panicking already when the scope began.
    barren: bool,
}

impl Children {
    fn new() -> Children {
        let barren = std::thread::panicking();
        Children { list: RefCell::new(Vec::new()), cancelled: Cell::new(false), barren }
    }

    /// Makes room for one more, so that adding it cannot fail.
    fn make_room(&self) -> io::Result<()> {
        if self.barren {
            return Err(io::Error::other(
                "a scope in a destructor run by a panic or a kill, which does not wait, cannot spawn",
            ));
        }
        let mut list = self.list.borrow_mut();
        if list.len() == list.capacity() {
            list.retain(|child| !child.is_finished());
            // At least as much as is there, so that looking through the list stays rare.
            let more = list.len().max(4);
            list.reserve(more);
        }
        Ok(())
    }

    fn add(&self, child: Handle) {
        self.list.borrow_mut().push(child.clone());
        if self.cancelled.get() {
            child.kill_nowait();
        }
    }

    fn running(&self) -> usize {
        self.list.borrow().iter().filter(|child| !child.is_finished()).count()
    }

    /// Some child that has not ended. Those that have, and stand behind it, leave the list.
    fn unfinished(&self) -> Option<Handle> {
        let mut list = self.list.borrow_mut();
        while list.pop_if(|child| child.is_finished()).is_some() {}
        list.last().cloned()
    }

    /// Waits until all have ended.
    fn wait(&self, site: &'static Location<'static>) {
        while let Some(child) = self.unfinished() {
            let reason = Reason::of(&"all greenlets of its scope, such as", Object::Greenlet(child.id()));
            let joiners = &child.task().joiners;
            let woken = park::wait_on_at(joiners, &mut Place::default(), reason, Deadline::NEVER, site);
            assert!(woken != Woken::Refused, "a scope's wait was refused");
        }
    }

    /// Kills all, those to come included.
    fn cancel(&self) {
        self.cancelled.set(true);
        let children = self.list.borrow().clone();
        for child in children {
            child.kill_nowait();
        }
    }

    /// Kills all and waits until they have ended, or ends the process if they cannot.
    fn end(&self, site: &'static Location<'static>) {
        let ended = unwind::catch(|| {
            self.cancel();
            shield(|| self.wait(site));
        });
        if let Err(payload) = ended {
            abort(unwind::panic_text(&payload));
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        if self.running() > 0 {
            abort("this is a bug in greenloop");
        }
    }
}

/// The frames that children borrow from must not be left.
#[cold]
fn abort(why: &str) -> ! {
    report::line(format_args!(
        "greenloop: a scope cannot be left while greenlets borrow from the frames around it: {why}"
    ));
    std::process::abort();
}
