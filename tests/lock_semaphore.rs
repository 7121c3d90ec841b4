//! Permits as values, and `BoundedSemaphore`.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{LONG, Log, SHORT};
use greenloop::lock::{BoundedSemaphore, Permit, Semaphore};
use greenloop::{join_all, sleep, spawn, timeout, yield_now};

/// The text of the panic of `f`.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    *payload.downcast::<String>().expect("a text")
}

// LO09
#[test]
fn permits_are_given_back_at_the_end_of_their_scope() {
    let semaphore = Semaphore::new(2);
    {
        let _outer = semaphore.acquire_permit();
        {
            let _inner = semaphore.acquire_permit();
            assert_eq!(semaphore.available(), 0);
            assert!(semaphore.try_acquire_permit().is_none());
        }
        assert_eq!(semaphore.available(), 1);
    }
    assert_eq!(semaphore.available(), 2);
}

// LO09
#[test]
fn permits_are_given_back_when_a_panic_unwinds_past_them() {
    let semaphore = Semaphore::new(2);
    let g = spawn({
        let semaphore = semaphore.clone();
        move || {
            let _outer = semaphore.acquire_permit();
            let _inner = semaphore.acquire_permit();
            panic!("expected");
        }
    });
    assert!(g.join().unwrap_err().is_panic());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn permits_are_given_back_when_a_kill_or_a_timeout_unwinds_past_them() {
    let semaphore = Semaphore::new(1);
    let holder = spawn({
        let semaphore = semaphore.clone();
        move || {
            let _permit = semaphore.acquire_permit();
            sleep(LONG);
        }
    });
    yield_now();
    assert_eq!(semaphore.available(), 0);
    holder.kill();
    assert_eq!(semaphore.available(), 1);
    let result = timeout(SHORT, || {
        let _permit = semaphore.acquire_permit();
        sleep(LONG);
    });
    assert!(result.is_err());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn whoever_waits_for_a_permit_gets_it_when_another_is_dropped() {
    let (semaphore, log) = (Semaphore::new(1), Log::new());
    let workers: Vec<_> = (0..3)
        .map(|n| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            spawn(move || {
                let permit = semaphore.acquire_permit();
                assert!(permit.is_some());
                log.add(n);
                yield_now();
            })
        })
        .collect();
    assert!(join_all(workers).into_iter().all(|worker| worker.is_ok()));
    assert_eq!(log.take(), [0, 1, 2]);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_timed_permit_is_none_when_the_time_runs_out() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.acquire_permit_timeout(SHORT);
    assert!(held.is_some());
    assert!(semaphore.acquire_permit_timeout(SHORT).is_none());
    assert!(semaphore.acquire_permit_timeout(Duration::ZERO).is_none());
    drop(held);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_greenlet_killed_while_it_waits_for_a_permit_takes_none() {
    let semaphore = Semaphore::new(0);
    let waiter = spawn({
        let semaphore = semaphore.clone();
        move || drop(semaphore.acquire_permit())
    });
    yield_now();
    waiter.kill();
    semaphore.release();
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_permit_may_be_given_to_another_greenlet() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.acquire_permit();
    let other = spawn(move || drop(permit));
    assert!(semaphore.acquire());
    assert!(other.is_finished());
}

#[test]
fn a_forgotten_permit_is_not_given_back() {
    let semaphore = BoundedSemaphore::new(2);
    semaphore.acquire_permit().unwrap().forget();
    assert_eq!(semaphore.available(), 1);
    semaphore.release();
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_permit_outlives_the_semaphore_it_came_from() {
    let semaphore = Semaphore::new(1);
    let permit: Option<Permit> = semaphore.acquire_permit();
    drop(semaphore);
    assert_eq!(format!("{permit:?}"), "Some(Permit(Some(Semaphore(0 available, 0 waiting))))");
    drop(permit);
}

// LO11
#[test]
fn a_bounded_semaphore_that_is_released_too_often_names_itself_and_the_rule() {
    let fresh = BoundedSemaphore::new(1);
    let text = panic_of(|| fresh.release());
    assert!(text.starts_with("BoundedSemaphore(1) was released"), "{text}");
    assert!(text.contains("each release must follow an acquire"), "{text}");
    assert_eq!(fresh.available(), 1);

    let used = BoundedSemaphore::new(3);
    assert!(used.acquire());
    used.release();
    assert!(panic_of(|| used.release()).contains("BoundedSemaphore(3)"));
    assert_eq!(used.available(), 3);
    assert!(used.acquire() && used.acquire() && used.acquire() && !used.try_acquire());
}

// LO11
#[test]
fn a_permit_that_somebody_has_released_already_is_noticed_when_it_is_dropped() {
    let semaphore = BoundedSemaphore::new(1);
    let permit = semaphore.acquire_permit();
    semaphore.release();
    assert!(panic_of(|| drop(permit)).contains("BoundedSemaphore(1)"));
    assert_eq!(semaphore.available(), 1);
}

// A second panic would end the process.
#[test]
fn a_permit_too_many_makes_no_second_panic() {
    let semaphore = BoundedSemaphore::new(1);
    let result = spawn({
        let semaphore = semaphore.clone();
        move || {
            let _permit = semaphore.acquire_permit();
            semaphore.release();
            panic!("expected");
        }
    });
    assert!(result.join().unwrap_err().to_string().contains("expected"));
    assert_eq!(semaphore.available(), 1);
}

// LO11: also through a reference to what it is besides.
#[test]
fn a_bounded_semaphore_is_bounded_by_whatever_name() {
    let bounded = BoundedSemaphore::new(1);
    let plain: Semaphore = (*bounded).clone();
    assert!(panic_of(|| plain.release()).contains("BoundedSemaphore(1)"));
    assert_eq!(format!("{bounded:?}"), "BoundedSemaphore(1 of 1 available, 0 waiting)");
    assert_eq!(format!("{plain:?}"), format!("{bounded:?}"));
}

// LO33
#[test]
fn a_bounded_semaphore_of_three_lets_no_more_than_three_in() {
    let semaphore = BoundedSemaphore::new(3);
    let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let workers = join_all((0..10).map(|n| {
        let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
        spawn(move || {
            let _permit = semaphore.acquire_permit();
            inside.set(inside.get() + 1);
            most.set(most.get().max(inside.get()));
            sleep(Duration::from_micros(n * 50));
            inside.set(inside.get() - 1);
        })
    }));
    assert!(workers.into_iter().all(|worker| worker.is_ok()));
    assert_eq!((most.get(), inside.get(), semaphore.available()), (3, 0, 3));
}

// LO03
#[test]
fn a_semaphore_may_be_acquired_in_a_destructor() {
    struct Acquires(Semaphore);
    impl Drop for Acquires {
        fn drop(&mut self) {
            assert!(self.0.acquire());
        }
    }
    let semaphore = Semaphore::new(0);
    let g = spawn({
        let semaphore = semaphore.clone();
        move || drop(Acquires(semaphore))
    });
    yield_now();
    semaphore.release();
    g.join().unwrap();
    assert_eq!(semaphore.available(), 0);
}
