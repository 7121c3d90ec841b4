//! Hubs on several OS threads, and what becomes of one when its thread ends.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use common::{LONG, OnDrop, PROMPT, SHORT, is_child, on_a_thread, run_as_child};
use greenloop::event::Event;
use greenloop::queue::Queue;
use greenloop::{Greenlet, current, join_all, sleep, spawn, timeout, wait_all, yield_now};

#[test]
fn each_thread_has_a_hub_of_its_own() {
    let together = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let together = together.clone();
            std::thread::spawn(move || {
                together.wait();
                let queue = Queue::bounded(2);
                let consumer = spawn({
                    let queue = queue.clone();
                    move || queue.into_iter().sum::<u64>()
                });
                for item in 0..1_000 {
                    queue.put(item * n).unwrap();
                    if item % 100 == 0 {
                        sleep(Duration::from_micros(10));
                    }
                }
                queue.close();
                consumer.join().unwrap()
            })
        })
        .collect();
    let sums: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(sums, [0, 499_500, 999_000, 1_498_500]);
}

// The ids are per thread; the root is 0 everywhere.
#[test]
fn the_root_of_every_thread_is_number_zero() {
    let here = spawn(|| current().id());
    let there = on_a_thread(|| (current().id(), spawn(|| current().id()).join().unwrap()));
    assert_eq!((current().id(), there), (0, (0, here.join().unwrap())));
}

#[test]
fn a_thread_that_blocks_does_not_hold_up_another() {
    let (to_here, from_there) = mpsc::channel();
    let (to_there, from_here) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        spawn(move || {
            to_here.send(()).unwrap();
            from_here.recv().unwrap(); // blocks the whole thread, as it must
        })
        .join()
        .unwrap();
    });
    from_there.recv().unwrap();
    sleep(Duration::from_millis(1));
    assert_eq!(spawn(|| 1).join().unwrap(), 1);
    to_there.send(()).unwrap();
    thread.join().unwrap();
}

// Design: at thread exit live greenlets are forgotten with their stacks.
#[test]
fn greenlets_alive_at_the_end_of_their_thread_are_forgotten_without_running_destructors() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    fn guard() -> OnDrop<impl FnMut()> {
        OnDrop(|| {
            DROPS.fetch_add(1, Ordering::SeqCst);
        })
    }
    let start = Instant::now();
    on_a_thread(|| {
        let full = Queue::bounded(1);
        full.put(guard()).ok();
        let greenlets: [Greenlet<()>; 6] = [
            spawn(|| {
                let _guard = guard();
                sleep(LONG);
            }),
            spawn(|| {
                let _guard = guard();
                Event::new().wait();
            }),
            spawn(|| {
                let _guard = guard();
                let _ = timeout(LONG, || Queue::<()>::unbounded().get());
            }),
            spawn(|| {
                let _guard = guard();
                loop {
                    yield_now()
                }
            }),
            spawn({
                let full = full.clone();
                move || {
                    full.put(guard()).ok();
                }
            }),
            spawn(|| {
                let _guard = guard();
                let _ = spawn(|| sleep(LONG)).join();
            }),
        ];
        yield_now();
        yield_now();
        assert!(greenlets.iter().all(|g| !g.is_finished()));
        // And some that never had a turn.
        let fresh = guard();
        drop(spawn(move || drop(fresh)));
        let later = guard();
        drop(greenloop::spawn_later(LONG, move || drop(later)));
    });
    assert!(start.elapsed() < PROMPT);
    assert_eq!(DROPS.load(Ordering::SeqCst), 0);
}

#[test]
fn a_thread_whose_greenlets_have_all_ended_drops_everything() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    on_a_thread(|| {
        let guard = OnDrop(|| {
            DROPS.fetch_add(1, Ordering::SeqCst);
        });
        spawn(move || drop(guard)).join().unwrap();
        let value = spawn(|| {
            OnDrop(|| {
                DROPS.fetch_add(1, Ordering::SeqCst);
            })
        });
        wait_all();
        drop(value);
    });
    assert_eq!(DROPS.load(Ordering::SeqCst), 2);
}

#[test]
fn a_thread_that_panics_with_live_greenlets_ends_like_any_other() {
    let thread = std::thread::spawn(|| {
        drop(spawn(|| sleep(LONG)));
        yield_now();
        panic!("expected");
    });
    assert!(thread.join().is_err());
}

#[test]
fn many_threads_with_live_greenlets_come_and_go() {
    for _ in 0..50 {
        on_a_thread(|| {
            let event = Event::new();
            for _ in 0..10 {
                let event = event.clone();
                drop(spawn(move || event.wait()));
            }
            yield_now();
        });
    }
}

thread_local! {
    /// Touched before the hub is made, so that it is destroyed after the hub.
    static LATE: OnDrop<Box<dyn FnMut()>> = OnDrop(Box::new(|| {
        if let Some(mut last_words) = LAST_WORDS.take() {
            last_words();
        }
    }));
    static LAST_WORDS: Cell<Option<Box<dyn FnMut()>>> = const { Cell::new(None) };
}

/// Runs `f`; what it returns runs in a destructor of the thread that comes after the hub's.
///
/// Thread-locals are destroyed in the reverse of the order in which they were first used: first the hub, then `LATE`, then the cell
/// with the closure.
fn with_last_words(f: impl FnOnce() -> Box<dyn FnMut()> + Send + 'static) {
    on_a_thread(move || {
        LAST_WORDS.set(None);
        LATE.with(|_| ());
        LAST_WORDS.set(Some(f()));
    });
}

#[test]
fn greenlets_can_be_used_in_a_destructor_that_comes_after_the_hubs() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    with_last_words(|| {
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        Box::new(|| {
            let sum: usize = join_all((0..10).map(|n| {
                spawn(move || {
                    sleep(Duration::from_micros(10));
                    n
                })
            }))
            .into_iter()
            .map(Result::unwrap)
            .sum();
            RAN.fetch_add(sum, Ordering::SeqCst);
        })
    });
    assert_eq!(RAN.load(Ordering::SeqCst), 45);
}

#[test]
fn handles_of_a_hub_that_has_ended_can_be_looked_at_and_dropped() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    with_last_words(|| {
        let done = spawn(|| Rc::new(5));
        done.wait();
        let (event, queue) = (Event::new(), Queue::unbounded());
        Box::new(move || {
            event.set();
            event.wait();
            queue.put(1).unwrap();
            queue.get().unwrap();
            assert!(done.is_finished());
            done.wait();
            done.kill();
            SEEN.fetch_add(1, Ordering::SeqCst);
        })
    });
    assert_eq!(SEEN.load(Ordering::SeqCst), 1);
}

// In a process of its own, as it may end it.
#[test]
fn a_greenlet_that_was_forgotten_is_never_run_again() {
    const NAME: &str = "a_greenlet_that_was_forgotten_is_never_run_again";
    if !is_child(NAME) {
        let output = run_as_child(NAME);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    static AFTER: AtomicUsize = AtomicUsize::new(0);
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    with_last_words(|| {
        let (event, queue) = (Event::new(), Queue::unbounded());
        let waiters = [
            spawn({
                let event = event.clone();
                move || {
                    event.wait();
                    AFTER.fetch_add(1, Ordering::SeqCst);
                }
            }),
            spawn({
                let queue = queue.clone();
                move || {
                    queue.get().unwrap();
                    AFTER.fetch_add(1, Ordering::SeqCst);
                }
            }),
            spawn(|| sleep(LONG)),
        ];
        yield_now();
        Box::new(move || {
            event.set();
            queue.put(1).unwrap();
            waiters[2].kill_nowait();
            for _ in 0..3 {
                yield_now();
                sleep(Duration::from_micros(10));
                assert_eq!(spawn(|| 1).join().unwrap(), 1);
            }
            SEEN.fetch_add(1, Ordering::SeqCst);
        })
    });
    assert_eq!((AFTER.load(Ordering::SeqCst), SEEN.load(Ordering::SeqCst)), (0, 1));
}

// The destructors of a process run on the stack that calls `exit`.
#[test]
fn a_greenlet_may_end_the_process() {
    const NAME: &str = "a_greenlet_may_end_the_process";
    if !is_child(NAME) {
        assert_eq!(run_as_child(NAME).status.code(), Some(3));
        return;
    }
    drop(spawn(|| sleep(LONG)));
    spawn(|| {
        yield_now();
        std::process::exit(3)
    })
    .join()
    .unwrap();
}

#[test]
fn thread_locals_are_shared_by_the_greenlets_of_a_thread_and_by_no_others() {
    thread_local! {
        static COUNT: RefCell<u32> = const { RefCell::new(0) };
    }
    fn ten() -> u32 {
        join_all((0..10).map(|_| {
            spawn(|| {
                yield_now();
                COUNT.with_borrow_mut(|count| *count += 1);
            })
        }));
        COUNT.with_borrow(|count| *count)
    }
    assert_eq!((ten(), on_a_thread(ten), ten()), (10, 10, 20));
    sleep(SHORT);
}

/// Does not compile if the type has the trait: the call would be ambiguous.
macro_rules! assert_lacks {
    ($($type:ty),* : $trait:ident) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn call() {}
            }
            struct HasIt;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
            <$type as Ambiguous<_>>::call();
        };
    )*};
}

// Whatever the names of the types inside, which the texts in compile_fail/ depend on.
assert_lacks!(
    greenloop::Greenlet<u8>,
    greenloop::Handle,
    greenloop::Builder,
    greenloop::event::Event,
    greenloop::event::AsyncResult<u8>,
    greenloop::lock::Semaphore,
    greenloop::queue::Queue<u8>,
    greenloop::queue::Iter<greenloop::queue::Queue<u8>>: Send
);
assert_lacks!(
    greenloop::Greenlet<u8>,
    greenloop::Handle,
    greenloop::event::Event,
    greenloop::event::AsyncResult<u8>,
    greenloop::lock::Semaphore,
    greenloop::queue::Queue<u8>,
    greenloop::queue::Iter<greenloop::queue::Queue<u8>>: Sync
);
