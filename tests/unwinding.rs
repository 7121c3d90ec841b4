//! Nothing parks while its thread is panicking, and no greenlet ever sees the panic of another.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore};
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::queue::{GetError, Queue};
use greenloop::{
    Elapsed, join_all, kill_all, shield, sleep, spawn, timeout, wait_all, wait_all_timeout, yield_now,
};

/// Every blocking call, with what it says when it does not wait. None of them could ever return otherwise.
fn blocking_calls() {
    sleep(LONG);
    sleep(Duration::MAX);
    sleep(Duration::ZERO);
    yield_now();
    let event = Event::new();
    event.wait();
    assert!(!event.wait_timeout(LONG));
    let result = AsyncResult::<()>::new();
    result.wait();
    assert!(!result.wait_timeout(LONG));
    assert_eq!(result.get_timeout(LONG), Err(Elapsed));
    assert_eq!(result.try_get(), None);
    // LO03
    let semaphore = Semaphore::new(0);
    assert!(!semaphore.acquire());
    assert!(!semaphore.acquire_timeout(LONG));
    assert_eq!(semaphore.wait(None), 0);
    let queue = Queue::bounded(1);
    assert_eq!(queue.get(), Err(GetError::Empty));
    assert_eq!(queue.get_timeout(LONG), Err(GetError::Empty));
    assert_eq!(queue.peek(), Err(GetError::Empty));
    queue.put(1).unwrap();
    assert!(queue.put(2).unwrap_err().is_full());
    assert_eq!(queue.put_timeout(3, LONG).unwrap_err().into_item(), 3);
    assert_eq!(queue.get(), Ok(1));
    let never_run = spawn(|| sleep(LONG));
    never_run.wait();
    assert!(!never_run.wait_timeout(LONG));
    never_run.kill(); // asks for its end, without waiting
    assert!(!never_run.is_finished());
    assert!(!never_run.kill_timeout(LONG));
    kill_all([never_run.handle()]);
    let error = never_run.join().unwrap_err();
    assert!(!error.is_killed() && !error.is_panic());
    assert!(error.to_string().contains("destructor"), "{error}");
    assert_eq!(timeout(LONG, || event.wait_timeout(LONG)), Ok(false));
    assert_eq!(timeout(Duration::ZERO, || sleep(LONG)), Ok(()));
    shield(|| sleep(LONG));
    assert!(join_all([spawn(|| ())])[0].is_err());
    assert_eq!(format!("{event:?}{semaphore:?}"), "Event(unset, 0 waiting)Semaphore(0 available, 0 waiting)");
}

/// A guard that makes all blocking calls when it is dropped, and says that it came to the end of them.
///
/// An assertion that fails in there would end the process, so failures are caught and passed on.
fn blocking_guard(failure: &Rc<Cell<Option<String>>>, done: &Flag) -> OnDrop<impl FnMut() + 'static> {
    let (failure, done) = (failure.clone(), done.clone());
    OnDrop(move || {
        assert!(std::thread::panicking());
        if let Err(payload) = catch_unwind(blocking_calls) {
            let text = payload.downcast_ref::<String>().cloned();
            failure.set(Some(text.unwrap_or_else(|| String::from("an assertion"))));
        }
        done.raise();
    })
}

fn check(run: impl FnOnce(OnDrop<Box<dyn FnMut()>>)) {
    let (failure, done) = (Rc::default(), Flag::new());
    let mut guard = blocking_guard(&failure, &done);
    let all = OnDrop(Box::new(move || (guard.0)()) as Box<dyn FnMut()>);
    let start = Instant::now();
    run(all);
    assert!(start.elapsed() < PROMPT);
    assert!(done.is_up(), "the destructor did not come to its end");
    assert_eq!(failure.take(), None);
}

#[test]
fn a_destructor_run_by_a_panic_of_a_greenlet_does_not_block() {
    check(|guard| {
        let g = spawn(move || {
            let _guard = guard;
            panic!("expected");
        });
        assert!(g.join().unwrap_err().is_panic());
    });
}

#[test]
fn a_destructor_run_by_a_panic_of_the_root_does_not_block() {
    check(|guard| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = guard;
            panic!("expected");
        }));
        assert!(caught.is_err());
    });
}

#[test]
fn a_destructor_run_by_a_kill_does_not_block() {
    check(|guard| {
        let g = spawn(move || {
            let _guard = guard;
            sleep(LONG);
        });
        yield_now();
        g.kill();
        assert!(g.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_destructor_run_by_an_expiry_does_not_block() {
    check(|guard| {
        let result = timeout(SHORT, move || {
            let _guard = guard;
            sleep(LONG);
        });
        assert_eq!(result, Err(Elapsed));
    });
}

#[test]
fn a_destructor_run_by_a_deadlock_does_not_block() {
    check(|guard| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = guard;
            Event::new().wait();
        }));
        assert!(caught.is_err());
    });
}

// The root's own verb.
#[test]
fn waiting_for_all_in_a_destructor_run_by_a_panic_returns_at_once() {
    let g = spawn(|| sleep(Duration::from_millis(1)));
    let said = Cell::new(None);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = OnDrop(|| {
            wait_all();
            said.set(Some(wait_all_timeout(LONG)));
        });
        panic!("expected");
    }));
    assert!(caught.is_err());
    assert_eq!(said.get(), Some(false));
    assert!(!g.is_finished());
    g.join().unwrap();
}

// After the unwind everything blocks as usual again.
#[test]
fn a_greenlet_that_has_caught_a_panic_blocks_as_usual() {
    let g = spawn(|| {
        assert!(catch_unwind(|| panic!("expected")).is_err());
        assert!(!std::thread::panicking());
        let start = Instant::now();
        sleep(Duration::from_millis(10));
        start.elapsed()
    });
    assert!(g.join().unwrap() >= Duration::from_millis(10));
}

#[test]
fn a_payload_may_block_in_its_destructor_after_the_unwind() {
    struct Slow(Flag);
    impl Drop for Slow {
        fn drop(&mut self) {
            sleep(SHORT);
            self.0.raise();
        }
    }
    // Never sent anywhere, but a payload must be `Send`.
    struct Payload(u8);
    let dropped = Flag::new();
    let g = spawn({
        let dropped = dropped.clone();
        move || {
            let payload = catch_unwind(|| std::panic::panic_any(Payload(1))).unwrap_err();
            let slow = Slow(dropped);
            let payload = payload.downcast::<Payload>().unwrap();
            drop(slow);
            payload.0
        }
    });
    assert_eq!(g.join().unwrap(), 1);
    assert!(dropped.is_up());
}

// What wakes others is not refused, and they run afterwards, with a clean slate.
#[test]
fn a_destructor_run_by_a_panic_may_wake_and_spawn_others() {
    let (event, semaphore, queue, log) = (Event::new(), Semaphore::new(0), Queue::unbounded(), Log::new());
    let waiters = [
        {
            let (event, log) = (event.clone(), log.clone());
            spawn(move || {
                event.wait();
                log.add(std::thread::panicking())
            })
        },
        {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(std::thread::panicking())
            })
        },
        {
            let (queue, log) = (queue.clone(), log.clone());
            spawn(move || {
                queue.get().unwrap();
                log.add(std::thread::panicking())
            })
        },
    ];
    yield_now();
    let bad = spawn({
        let log = log.clone();
        move || {
            let _guard = OnDrop(move || {
                event.set();
                semaphore.release();
                queue.put(()).unwrap();
                let log = log.clone();
                drop(spawn(move || log.add(std::thread::panicking())));
            });
            panic!("expected");
        }
    });
    assert!(bad.join().unwrap_err().is_panic());
    join_all(waiters);
    wait_all();
    assert_eq!(log.take(), [false; 4]);
}

// Panics, kills and expiries everywhere; a bystander looks all the time.
#[test]
fn no_greenlet_ever_sees_another_one_panicking() {
    let (stop, looks) = (Flag::new(), Rc::new(Cell::new(0)));
    let bystanders: Vec<_> = (0..3)
        .map(|_| {
            let (stop, looks) = (stop.clone(), looks.clone());
            spawn(move || {
                while !stop.is_up() {
                    assert!(!std::thread::panicking());
                    looks.set(looks.get() + 1);
                    yield_now();
                }
            })
        })
        .collect();
    for round in 0..20 {
        let unwinding = spawn(move || {
            let _tries_to_let_others_run = OnDrop(|| {
                yield_now();
                sleep(SHORT);
                shield(yield_now);
            });
            match round % 3 {
                0 => panic!("expected"),
                1 => ignore(timeout(Duration::from_micros(10), || {
                    let _inner = OnDrop(yield_now);
                    sleep(LONG);
                })),
                _ => sleep(LONG),
            }
        });
        yield_now();
        if round % 3 == 2 {
            unwinding.kill_nowait();
        }
        unwinding.wait();
    }
    stop.raise();
    assert!(join_all(bystanders).into_iter().all(|bystander| bystander.is_ok()));
    assert!(looks.get() > 20);
}

// A destructor that panics itself, on its own and caught, while another panic unwinds.
#[test]
fn a_caught_panic_inside_a_destructor_does_not_make_the_outer_unwind_block() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let _guard = OnDrop(|| {
                assert!(catch_unwind(|| panic!("expected: inner")).is_err());
                sleep(LONG);
                log.add("end");
            });
            panic!("expected: outer");
        }
    });
    let error = g.join().unwrap_err();
    assert!(error.to_string().contains("outer"), "{error}");
    assert_eq!(log.take(), ["end"]);
}
