//! Very many greenlets, and what happens when there are too many.

mod common;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{is_child, run_as_child};
use greenloop::event::Event;
use greenloop::{Builder, Greenlet, join_all, kill_all, spawn, wait_all, yield_now};

/// One test at a time: what they need is limited for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

// Where guard pages take areas of memory, the system limits them; then as many as there may be.
#[test]
fn two_hundred_thousand_greenlets_park_at_once_and_are_all_woken_and_joined() {
    let _alone = alone();
    const MANY: usize = 200_000;
    let gate = Event::new();
    let mut greenlets: Vec<Greenlet<usize>> = Vec::with_capacity(MANY);
    for n in 0..MANY {
        let gate = gate.clone();
        let spawned = Builder::new().spawn(move || {
            gate.wait();
            n
        });
        match spawned {
            Ok(greenlet) => greenlets.push(greenlet),
            Err(error) => {
                assert!(n > 5_000 && error.to_string().contains("vm.max_map_count"), "after {n}: {error}");
                break;
            }
        }
    }
    let many = greenlets.len();
    yield_now();
    assert_eq!(format!("{gate:?}"), format!("Event(unset, {many} waiting)"));
    gate.set();
    let sum: usize = join_all(greenlets).into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, many * (many - 1) / 2);
}

#[test]
fn stacks_are_used_again() {
    let _alone = alone();
    for _ in 0..20 {
        let results = join_all((0..1_000).map(|n| {
            spawn(move || {
                yield_now();
                n
            })
        }));
        assert!(results.into_iter().map(Result::unwrap).eq(0..1_000));
    }
}

// After a burst the hub may have nothing to do for hours: the memory of the stacks goes back nevertheless.
#[cfg(target_os = "linux")]
#[test]
fn one_long_sleep_after_a_burst_gives_the_memory_of_the_stacks_back() {
    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    /// Uses the stack by frames alone: sanitizers keep variables elsewhere.
    fn dive(depth: u32) -> u32 {
        if depth == 0 { 0 } else { std::hint::black_box(dive(depth - 1)) + 1 }
    }
    const KIB: usize = 20_000;
    let _alone = alone();
    let gate = Event::new();
    let burst: Vec<_> = (0..4_000)
        .map(|_| {
            let gate = gate.clone();
            spawn(move || {
                assert_eq!(dive(400), 400);
                gate.wait();
            })
        })
        .collect();
    wait_all();
    let used = resident_kib();
    gate.set();
    join_all(burst);
    // Another thread looks, so that this one sleeps without a timer and in one go.
    let given_back = greenloop::sync::AsyncResult::new();
    let watcher = std::thread::spawn({
        let given_back = given_back.clone();
        move || {
            let start = std::time::Instant::now();
            let mut left = used;
            while left > used - KIB && start.elapsed() < common::PROMPT {
                std::thread::sleep(common::SHORT);
                left = resident_kib();
            }
            given_back.set(left).unwrap();
        }
    });
    let left = given_back.get();
    assert!(left <= used - KIB, "{used} KiB were used, and {left} still are");
    watcher.join().unwrap();
}

#[test]
fn many_greenlets_can_be_killed_at_once() {
    let _alone = alone();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let greenlets: Vec<_> = (0..10_000)
        .map(|_| {
            spawn(|| {
                let _guard = common::OnDrop(|| {
                    DROPS.fetch_add(1, Ordering::SeqCst);
                });
                Event::new().wait();
            })
        })
        .collect();
    yield_now();
    kill_all(&greenlets);
    assert_eq!(DROPS.load(Ordering::SeqCst), 10_000);
    assert!(join_all(greenlets).into_iter().all(|result| result.is_err_and(|error| error.is_killed())));
}

#[test]
fn an_absurd_stack_size_is_an_error_and_runs_nothing() {
    for size in [usize::MAX, 1 << 40, (1 << 30) + 1] {
        let captured = std::rc::Rc::new(());
        let error = Builder::new()
            .stack_size(size)
            .spawn({
                let captured = captured.clone();
                move || drop(captured)
            })
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&size.to_string()), "{error}");
        assert_eq!(std::rc::Rc::strong_count(&captured), 1);
    }
    assert_eq!(spawn(|| 1).join().unwrap(), 1);
}

// In a process of its own, whose address space is limited.
#[cfg(target_os = "linux")]
#[test]
fn running_out_of_address_space_is_an_error_that_names_the_limit() {
    const NAME: &str = "running_out_of_address_space_is_an_error_that_names_the_limit";
    if !is_child(NAME) {
        let output = run_as_child(NAME);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    const LIMIT: u64 = 2 << 30;
    let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
    // SAFETY: the structure is valid, and the call only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let gate = Event::new();
    let mut greenlets = Vec::new();
    let error = loop {
        let gate = gate.clone();
        match Builder::new().stack_size(1 << 20).spawn(move || gate.wait()) {
            Ok(greenlet) => greenlets.push(greenlet),
            Err(error) => break error,
        }
        assert!(greenlets.len() < 4096, "2 GiB hold no 4096 stacks of 1 MiB");
    };
    let text = error.to_string();
    assert!(text.contains("RLIMIT_AS") && text.contains("Builder::stack_size"), "{text}");
    assert!(text.contains(&format!("{} of 1024 KiB are in use", greenlets.len())), "{text}");
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    // What is there works, and what has ended makes room again.
    gate.set();
    join_all(greenlets);
    assert_eq!(Builder::new().stack_size(1 << 20).spawn(|| 1).unwrap().join().unwrap(), 1);
}

// In a process of its own, as the panic hook belongs to the process.
#[test]
fn every_panic_is_reported_exactly_once_and_kills_and_expiries_never() {
    const NAME: &str = "every_panic_is_reported_exactly_once_and_kills_and_expiries_never";
    if !is_child(NAME) {
        let output = run_as_child(NAME);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(|_| {
        REPORTS.fetch_add(1, Ordering::SeqCst);
    }));
    let panics: Vec<_> = (0..100).map(|_| spawn(|| panic!("boom"))).collect();
    panics.iter().for_each(|g| g.wait());
    assert_eq!(REPORTS.load(Ordering::SeqCst), 100);
    drop(join_all(panics)); // asking for it is no second report
    assert_eq!(REPORTS.load(Ordering::SeqCst), 100);
    drop(spawn(|| panic!("nobody asks")));
    yield_now();
    assert_eq!(REPORTS.load(Ordering::SeqCst), 101);
    let sleepers: Vec<_> = (0..10).map(|_| spawn(|| greenloop::sleep(common::LONG))).collect();
    yield_now();
    kill_all(&sleepers);
    assert!(greenloop::timeout(common::SHORT, || greenloop::sleep(common::LONG)).is_err());
    assert_eq!(REPORTS.load(Ordering::SeqCst), 101);
    let deadlock = std::panic::catch_unwind(|| Event::new().wait());
    assert!(deadlock.is_err());
    assert_eq!(REPORTS.load(Ordering::SeqCst), 102); // a deadlock is a panic
    let _ = std::panic::take_hook();
}
