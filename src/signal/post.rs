//! Who on this thread wants which signals.
//!
//! A hub has one mailbox, made for the first that wants a signal and given up with the last. The hub watches its descriptor and
//! tells the post, between greenlets; the post tells those that want what has come.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::{Rc, Weak};

use super::Signal;
use crate::io::{Direction, Watched, with_context};
use crate::reactor::{Attendant, Expectation};
use crate::sys::signal::{Catch, Mailbox};

thread_local! {
    static POST: RefCell<Weak<Post>> = const { RefCell::new(Weak::new()) };
}

struct Post {
    /// None when the thread has ended.
    watched: RefCell<Option<Watched<Mailbox>>>,
    /// By their numbers, which grow.
    subscribers: RefCell<BTreeMap<u64, Subscriber>>,
    next: Cell<u64>,
}

struct Subscriber {
    signal: Signal,
    /// Runs between greenlets: it neither switches nor panics.
    call: Rc<dyn Fn()>,
    _catch: Catch,
    /// Before the watching ends.
    _herald: Option<Expectation>,
}

/// While one lives, its owner is called for each signal.
pub(crate) struct Subscription {
    post: Rc<Post>,
    number: u64,
}

/// Has `call` called, between greenlets, when the signal has come. A `herald` may wake somebody, so while it is there a blocked call
/// is no deadlock.
pub(crate) fn subscribe(signal: Signal, herald: bool, call: Rc<dyn Fn()>) -> io::Result<Subscription> {
    let attempt = || {
        let post = post()?;
        // It may have been made for this one alone.
        post.add(signal, herald, call).inspect_err(|_| post.close_if_unused())
    };
    refuse_synchronous(signal)
        .and_then(|()| attempt())
        .map_err(|error| with_context(error, format!("cannot catch {signal}")))
}

fn refuse_synchronous(signal: Signal) -> io::Result<()> {
    match signal.as_raw() {
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it says that the running code is broken, which cannot go on until a greenlet has its turn",
        )),
        _ => Ok(()),
    }
}

/// The one of this thread, made if it has none.
fn post() -> io::Result<Rc<Post>> {
    let current = POST.try_with(|post| post.borrow().upgrade()).unwrap_or(None);
    if let Some(post) = current.filter(|post| post.watched.borrow().is_some()) {
        return Ok(post);
    }
    let watched = Watched::new(Mailbox::new()?)?;
    let post = Rc::new(Post {
        watched: RefCell::new(None),
        subscribers: RefCell::new(BTreeMap::new()),
        next: Cell::new(0),
    });
    watched.attend(Direction::Read, post.clone())?;
    post.watched.replace(Some(watched));
    // Fails only among the destructors of thread-locals; the next one then makes another.
    let _ = POST.try_with(|current| current.replace(Rc::downgrade(&post)));
    Ok(post)
}

impl Post {
    fn add(self: &Rc<Self>, signal: Signal, herald: bool, call: Rc<dyn Fn()>) -> io::Result<Subscription> {
        let number = self.next.get();
        self.next.set(number + 1);
        let watched = self.watched.borrow();
        let Some(watched) = watched.as_ref() else { return Err(io::Error::other("the thread has ended")) };
        watched.get().want(signal.as_raw(), true);
        let catch = Catch::new(signal.as_raw()).inspect_err(|_| self.want_no_longer(watched, signal))?;
        let herald = herald.then(|| watched.herald());
        let subscriber = Subscriber { signal, call, _catch: catch, _herald: herald };
        self.subscribers.borrow_mut().insert(number, subscriber);
        Ok(Subscription { post: self.clone(), number })
    }

    fn want_no_longer(&self, watched: &Watched<Mailbox>, signal: Signal) {
        if self.subscribers.borrow().values().all(|subscriber| subscriber.signal != signal) {
            watched.get().want(signal.as_raw(), false);
        }
    }

    fn remove(&self, number: u64) {
        let removed = self.subscribers.borrow_mut().remove(&number);
        let Some(removed) = removed else { return };
        if let Some(watched) = &*self.watched.borrow() {
            self.want_no_longer(watched, removed.signal);
        }
        drop(removed);
        self.close_if_unused();
    }

    fn close_if_unused(&self) {
        if self.subscribers.borrow().is_empty() {
            self.close();
        }
    }

    fn close(&self) {
        let watched = self.watched.take();
        drop(watched);
    }
}

impl Attendant for Post {
    fn attend(&self) {
        let arrived: Vec<_> = match &*self.watched.borrow() {
            None => return,
            Some(watched) => {
                // It fails only if the hub's poller is broken, which the hub says itself.
                let _ = watched.attend_again();
                watched.get().take().collect()
            }
        };
        for signal in arrived {
            let calls: Vec<_> = (self.subscribers.borrow().values())
                .filter(|subscriber| subscriber.signal.as_raw() == signal)
                .map(|subscriber| subscriber.call.clone())
                .collect();
            calls.into_iter().for_each(|call| call());
        }
    }

    /// Greenlets that are forgotten with their thread forget their subscriptions. The signals do again what they did before.
    fn abandoned(&self) {
        let subscribers = self.subscribers.take();
        drop(subscribers);
        self.close();
    }
}

impl Subscription {
    /// Makes the signal a reason for the hub to go on. To be dropped before this.
    pub(crate) fn expect(&self) -> Option<Expectation> {
        self.post.watched.borrow().as_ref().map(Watched::expect)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.post.remove(self.number);
    }
}
