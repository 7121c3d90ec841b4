//! `ReentrantMutex`: ownership per greenlet.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{LONG, Log, OnDrop, SHORT};
use greenloop::lock::ReentrantMutex;
use greenloop::{current, join_all, sleep, spawn, timeout, yield_now};

// LO25
#[test]
fn its_holder_locks_again_and_must_unlock_as_often() {
    let mutex = Rc::new(ReentrantMutex::new(()));
    let guards: Vec<_> = (0..3).map(|_| mutex.lock()).collect();
    assert!(mutex.try_lock().is_some() && mutex.lock_timeout(Duration::ZERO).is_some());
    let other = spawn({
        let mutex = mutex.clone();
        move || drop(mutex.lock())
    });
    for guard in guards {
        yield_now();
        assert!(!other.is_finished());
        drop(guard);
    }
    assert!(!mutex.is_locked());
    other.join().unwrap();
}

// LO25: also while others wait.
#[test]
fn its_holder_locks_again_before_those_that_wait() {
    let (mutex, log) = (Rc::new(ReentrantMutex::new(())), Log::new());
    let outer = mutex.lock();
    let waiter = spawn({
        let (mutex, log) = (mutex.clone(), log.clone());
        move || {
            let _guard = mutex.lock();
            log.add("waiter");
        }
    });
    yield_now();
    {
        let _inner = mutex.lock();
        log.add("holder");
        yield_now();
    }
    drop(outer);
    waiter.join().unwrap();
    assert_eq!(log.take(), ["holder", "waiter"]);
}

// LO26
#[test]
fn a_guard_dropped_by_another_greenlet_panics_and_says_why() {
    let mutex: &'static ReentrantMutex<()> = Box::leak(Box::new(ReentrantMutex::new(())));
    let guard = mutex.lock();
    let thief = spawn(move || drop(guard));
    let id = thief.id();
    let text = thief.join().unwrap_err().to_string();
    assert!(
        text.contains(&format!("greenlet #{id} has unlocked a ReentrantMutex that greenlet #0 has locked")),
        "{text}"
    );
    assert!(text.contains("only the one that has locked it may unlock it"), "{text}");
    // Nobody else could have undone this lock.
    assert!(!mutex.is_locked());
}

// LO26: the locks of its owner stay, those that wait are woken.
#[test]
fn a_guard_dropped_by_another_greenlet_undoes_one_lock() {
    let mutex: &'static ReentrantMutex<()> = Box::leak(Box::new(ReentrantMutex::new(())));
    let (outer, inner) = (mutex.lock(), mutex.lock());
    let waiter = spawn(|| drop(mutex.lock()));
    assert!(spawn(move || drop(inner)).join().unwrap_err().is_panic());
    assert!(mutex.is_held_by_current() && !waiter.is_finished());
    assert!(spawn(move || drop(outer)).join().unwrap_err().is_panic());
    waiter.join().unwrap();
    assert!(!mutex.is_locked());
}

// A second panic would end the process.
#[test]
fn a_guard_dropped_by_another_greenlet_makes_no_second_panic() {
    let mutex: &'static ReentrantMutex<()> = Box::leak(Box::new(ReentrantMutex::new(())));
    let guard = mutex.lock();
    let g = spawn(move || {
        let _guard = guard;
        panic!("expected");
    });
    assert!(g.join().unwrap_err().to_string().contains("expected"));
    assert!(!mutex.is_locked());
}

// LO27
#[test]
fn ownership_is_per_greenlet_and_lasts_until_the_last_unlock() {
    let mutex = Rc::new(ReentrantMutex::new(()));
    assert!(!mutex.is_held_by_current() && !mutex.is_locked());
    let outer = mutex.lock();
    let inner = mutex.lock();
    let seen_by_another = spawn({
        let mutex = mutex.clone();
        move || (mutex.is_held_by_current(), mutex.is_locked(), mutex.try_lock().is_some())
    });
    assert_eq!(seen_by_another.join().unwrap(), (false, true, false));
    drop(inner);
    assert!(mutex.is_held_by_current());
    drop(outer);
    assert!(!mutex.is_held_by_current());
}

// LO27: the order in which the guards are dropped does not matter.
#[test]
fn the_outer_guard_may_be_dropped_first() {
    let mutex = ReentrantMutex::new(());
    let outer = mutex.lock();
    let inner = mutex.lock();
    drop(outer);
    assert!(mutex.is_held_by_current());
    drop(inner);
    assert!(!mutex.is_locked());
}

#[test]
fn a_greenlet_that_holds_it_excludes_the_others_over_switches() {
    let mutex = Rc::new(ReentrantMutex::new(Cell::new(0)));
    let done = join_all((0..20).map(|_| {
        let mutex = mutex.clone();
        spawn(move || {
            let outer = mutex.lock();
            let before = outer.get();
            yield_now();
            let inner = mutex.lock();
            yield_now();
            inner.set(before + 1);
        })
    }));
    assert!(done.into_iter().all(|g| g.is_ok()));
    assert_eq!(mutex.lock().get(), 20);
}

#[test]
fn killed_and_late_waiters_leave_the_line() {
    let mutex = Rc::new(ReentrantMutex::new(()));
    let guard = mutex.lock();
    let killed = spawn({
        let mutex = mutex.clone();
        move || drop(mutex.lock())
    });
    let late = spawn({
        let mutex = mutex.clone();
        move || mutex.lock_timeout(SHORT).is_none() && timeout(SHORT, || drop(mutex.lock())).is_err()
    });
    let patient = spawn({
        let mutex = mutex.clone();
        move || drop(mutex.lock())
    });
    yield_now();
    killed.kill();
    assert!(late.join().unwrap());
    drop(guard);
    patient.join().unwrap();
    assert!(!mutex.is_locked());
}

#[test]
fn a_kill_undoes_all_locks_of_its_greenlet() {
    let mutex = Rc::new(ReentrantMutex::new(()));
    let holder = spawn({
        let mutex = mutex.clone();
        move || {
            let _outer = mutex.lock();
            let _inner = mutex.lock();
            let _in_between = OnDrop(|| assert!(mutex.is_held_by_current()));
            sleep(LONG);
        }
    });
    yield_now();
    assert!(mutex.is_locked());
    holder.kill();
    assert!(!mutex.is_locked());
}

#[test]
fn the_data_can_be_had() {
    let mut mutex = ReentrantMutex::new(1);
    *mutex.get_mut() = 2;
    let guard = mutex.lock();
    assert_eq!(format!("{guard} {guard:?} {mutex:?}"), "2 2 ReentrantMutex(2)");
    drop(guard);
    let mutex = Rc::new(mutex);
    let other = mutex.clone();
    let held = mutex.lock();
    assert_eq!(spawn(move || format!("{other:?}")).join().unwrap(), "ReentrantMutex(<locked>)");
    drop(held);
    assert_eq!(Rc::into_inner(mutex).unwrap().into_inner(), 2);
    assert_eq!(*ReentrantMutex::<u8>::default().lock() + *ReentrantMutex::from(1).lock(), 1);
}

// The root is an owner like any other.
#[test]
fn the_root_owns_what_it_locks() {
    let mutex = Rc::new(ReentrantMutex::new(()));
    assert_eq!(current().id(), 0);
    let guard = mutex.lock();
    assert!(mutex.is_held_by_current());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _inner = mutex.lock();
        panic!("expected");
    }));
    assert!(caught.is_err() && mutex.is_held_by_current());
    drop(guard);
    assert!(!mutex.is_locked());
}
