//! What may be used inside `catch_unwind` and outside of it, by the marker traits of the standard library.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;

use greenloop::event::{self, Event};
use greenloop::lock::{
    Barrier, BoundedSemaphore, Condvar, Lazy, Mutex, OnceCell, Permit, ReentrantMutex, RwLock, Semaphore,
};
use greenloop::pool::{Group, Pool};
use greenloop::queue::{Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue};
use greenloop::threadpool::{Job, ThreadPool};
use greenloop::{Greenlet, Handle, join_all, spawn, sync, yield_now};

fn is_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn is_safe_by_value<T: UnwindSafe>() {}

/// What may look half changed behind a panic.
type Open = Rc<RefCell<Vec<u8>>>;

#[test]
fn primitives_may_be_used_on_both_sides_of_a_catch() {
    is_safe::<(Event, event::AsyncResult<u8>)>();
    is_safe::<(Semaphore, BoundedSemaphore, Permit, Condvar, Barrier)>();
    is_safe::<(OnceCell<u8>, Lazy<u8>)>();
    is_safe::<(Queue<Open>, LifoQueue<Open>, PriorityQueue<u8>, JoinableQueue<Open>, Channel<Open>)>();
    is_safe::<(Greenlet<Open>, Handle, Group, Pool, ThreadPool, Job<Open>)>();
    is_safe::<(sync::Event, sync::AsyncResult<u8>, sync::Semaphore)>();
    is_safe::<(sync::Sender<Cell<u8>>, sync::Receiver<Cell<u8>>, sync::Remote, sync::RemoteGreenlet<Cell<u8>>)>(
    );
    // The data is what a panic may leave half changed: these have no poison.
    is_safe_by_value::<(Mutex<Vec<u8>>, RwLock<Vec<u8>>, ReentrantMutex<Vec<u8>>)>();
}

/// Does the type implement [`RefUnwindSafe`]? A method of the type goes before one of a trait.
struct Asked<T>(std::marker::PhantomData<T>);
trait OtherwiseNot {
    fn is_ref_unwind_safe(&self) -> bool {
        false
    }
}
impl<T> OtherwiseNot for Asked<T> {}
impl<T: RefUnwindSafe> Asked<T> {
    fn is_ref_unwind_safe(&self) -> bool {
        true
    }
}

macro_rules! is_ref_unwind_safe {
    ($T:ty) => {
        Asked::<$T>(std::marker::PhantomData).is_ref_unwind_safe()
    };
}

#[test]
fn what_lets_half_changed_data_be_seen_is_left_to_an_assertion() {
    assert!(is_ref_unwind_safe!(Event) && is_ref_unwind_safe!(event::AsyncResult<u8>));
    assert!(!is_ref_unwind_safe!(Mutex<u8>) && !is_ref_unwind_safe!(RwLock<u8>));
    assert!(!is_ref_unwind_safe!(ReentrantMutex<u8>));
    assert!(!is_ref_unwind_safe!(event::AsyncResult<Open>) && !is_ref_unwind_safe!(OnceCell<Open>));
}

// The markers are promises: what they promise.
#[test]
fn a_panic_leaves_the_primitives_as_they_were() {
    let (event, permits, queue) = (Event::new(), Semaphore::new(1), Queue::bounded(1));
    let caught = catch_unwind(|| {
        let _permit = permits.acquire_permit();
        queue.put(1).unwrap();
        event.set();
        panic!("expected by a test");
    });
    assert!(caught.is_err());
    assert!(event.is_set() && permits.try_acquire());
    assert_eq!((queue.get(), queue.put(2)), (Ok(1), Ok(())));

    let (mutex, cell) = (Mutex::new(1), OnceCell::new());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut data = mutex.lock();
        *data = 2;
        panic!("expected by a test");
    }));
    assert!(caught.is_err() && !mutex.is_locked() && *mutex.lock() == 2, "no poison");
    assert!(catch_unwind(|| *cell.get_or_init(|| -> u8 { panic!("expected by a test") })).is_err());
    assert_eq!(*cell.get_or_init(|| 3), 3);

    let group = Group::new();
    let caught = catch_unwind(|| group.apply(|| panic!("expected by a test")));
    assert!(caught.is_err() && group.is_empty());
    let waiting = spawn({
        let permits = permits.clone();
        move || permits.acquire()
    });
    yield_now();
    permits.release();
    assert!(join_all([waiting]).remove(0).unwrap());
}
