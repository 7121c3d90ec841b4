//! The thread pool: its size at run time, its end, its maps, and jobs that go wrong.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Flag, LONG, PROMPT, SHORT, on_a_thread};
use greenloop::sync::remote;
use greenloop::threadpool::{Job, ThreadPool};
use greenloop::{Elapsed, join_all, sleep, spawn, threadpool, timeout, wait_all, yield_now};

/// A job that runs until it is let go.
struct Held {
    job: Job<()>,
    started: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

impl Held {
    fn new(pool: &ThreadPool) -> Held {
        let ((start, started), (go, wait)) = (mpsc::channel(), mpsc::channel());
        let job = pool.spawn(move || {
            start.send(()).unwrap();
            let _ = wait.recv();
        });
        Held { job, started, go }
    }

    fn started(self) -> Held {
        self.started.recv().unwrap();
        self
    }

    fn end(self) {
        drop(self.go);
        self.job.join().unwrap();
    }
}

/// Lets the others run until it is so.
#[track_caller]
fn eventually(so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PROMPT, "it did not come to that");
        sleep(Duration::from_micros(100));
    }
}

fn text_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).expect_err("it should have panicked");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&'static str>().unwrap().to_string(),
    }
}

// TP01, TP02
#[test]
fn a_job_gives_its_value_or_its_panic() {
    let pool = ThreadPool::new(2);
    let here = thread::current().id();
    assert_ne!(pool.spawn(|| thread::current().id()).join().unwrap(), here);
    assert_eq!(pool.apply(|| 6 * 7), 42);
    let error = pool.spawn(|| panic!("boom")).join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("boom"));
    assert_eq!(text_of(|| pool.apply(|| panic!("bang"))), "bang");
    // The threads go on.
    assert_eq!(pool.map(0..20, |n| n + 1), (1..=20).collect::<Vec<_>>());
    assert!(pool.size() <= 2);
}

// TP04
#[test]
fn a_map_keeps_the_order_of_its_input() {
    for (size, count) in [(1, 10), (3, 100), (10, 100)] {
        let squares = ThreadPool::new(size).map(0..count, |n| n * n);
        assert_eq!(squares, (0..count).map(|n| n * n).collect::<Vec<_>>());
    }
}

// TP07
#[test]
fn a_lazy_map_keeps_the_order_of_its_input() {
    for size in [1, 2, 3, 10] {
        let pool = ThreadPool::new(size);
        for count in [0_u64, 1, 10, 200] {
            let squares = pool.imap(0..count, |n| {
                thread::sleep(Duration::from_micros(n * 7 % 50));
                n * n
            });
            assert!(squares.eq((0..count).map(|n| n * n)), "{count} items on {size} threads");
        }
    }
}

// TP07
#[test]
fn an_unordered_map_gives_what_comes_first() {
    let pool = ThreadPool::new(3);
    let mut squares: Vec<u64> = pool.imap_unordered(0..100, |n| n * n).collect();
    squares.sort_unstable();
    assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<_>>());
    let gates: Vec<_> = (0..3).map(|_| mpsc::channel::<()>()).collect();
    let (open, wait): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let mut by_time = pool.imap_unordered(wait.into_iter().enumerate(), |(n, gate)| {
        gate.recv().unwrap();
        n
    });
    for n in [2, 0, 1] {
        open[n].send(()).unwrap();
        assert_eq!(by_time.next(), Some(n));
    }
    assert_eq!(by_time.next(), None);
}

// TP07: items are taken as threads become free, so the input may be endless.
#[test]
fn a_lazy_map_takes_no_more_than_it_has_threads_for() {
    let taken = Rc::new(Cell::new(0));
    let pool = ThreadPool::new(2);
    let mut endless = pool.imap(
        {
            let taken = taken.clone();
            std::iter::repeat_with(move || taken.update(|taken| taken + 1))
        },
        |()| 1,
    );
    assert_eq!(endless.by_ref().take(20).sum::<u32>(), 20);
    assert!(taken.get() < 1_000);
    drop(endless);
    let before = taken.get();
    pool.join();
    yield_now();
    assert!(taken.get() <= before + 3);
}

// TP14
#[test]
fn a_panic_of_the_input_or_of_a_call_comes_in_its_place() {
    let pool = ThreadPool::new(2);
    let broken = || (0..3).map(|n| if n == 2 { panic!("no more") } else { n });
    assert_eq!(text_of(|| drop(pool.map(broken(), |n| n))), "no more");
    let mut items = pool.imap(broken(), |n| n);
    assert_eq!((items.next(), items.next()), (Some(0), Some(1)));
    assert_eq!(text_of(|| _ = items.next()), "no more");
    let mut items = pool.imap_unordered(broken(), |n| n);
    let mut got = [items.next(), items.next()];
    got.sort_unstable();
    assert_eq!(got, [Some(0), Some(1)]);
    assert_eq!(text_of(|| _ = items.next()), "no more");
    let mut items = pool.imap(0..3, |n| if n == 1 { panic!("not this one") } else { n });
    assert_eq!(items.next(), Some(0));
    assert_eq!(text_of(|| _ = items.next()), "not this one");
    assert_eq!((items.next(), items.next()), (Some(2), None));
}

// TP06, TP20
#[test]
fn a_wait_with_a_limit_gives_up_and_the_others_run_meanwhile() {
    let pool = ThreadPool::new(1);
    let held = Held::new(&pool).started();
    let ran = Flag::new();
    drop(spawn({
        let ran = ran.clone();
        move || ran.raise()
    }));
    assert!(!held.job.wait_timeout(SHORT));
    assert!(ran.is_up() && !held.job.is_finished());
    assert_eq!(timeout(SHORT, || held.job.wait()), Err(Elapsed));
    held.end();
}

// TP24
#[test]
fn killing_the_greenlet_that_waits_does_not_stop_the_job() {
    let pool = ThreadPool::new(1);
    let (say, hear) = mpsc::channel();
    let held = Held::new(&pool).started();
    let job = pool.spawn(move || say.send(1).unwrap());
    let waiter = spawn(move || job.join());
    yield_now();
    waiter.kill();
    held.end();
    pool.join();
    assert_eq!(hear.try_recv(), Ok(1));
}

// TP11
#[test]
fn a_join_of_an_idle_pool_returns_without_a_switch() {
    let ran = Flag::new();
    let pool = ThreadPool::new(1);
    drop(spawn({
        let ran = ran.clone();
        move || ran.raise()
    }));
    pool.join();
    assert!(pool.join_timeout(Duration::ZERO));
    assert!(!ran.is_up());
    yield_now();
}

// TP12
#[test]
fn the_pool_counts_what_is_queued_and_what_runs() {
    let pool = ThreadPool::new(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    assert!(pool.is_empty());
    let held = Held::new(&pool).started();
    assert_eq!((pool.len(), pool.size()), (1, 1));
    for name in ["a", "b"] {
        let order = order.clone();
        drop(pool.spawn(move || order.lock().unwrap().push(name)));
    }
    assert_eq!(pool.len(), 3);
    assert!(!pool.join_timeout(SHORT));
    held.end();
    pool.join();
    assert_eq!((pool.len(), pool.size()), (0, 1));
    assert_eq!(*order.lock().unwrap(), ["a", "b"]);
}

#[test]
fn after_a_join_the_jobs_are_known_to_have_ended() {
    let pool = ThreadPool::new(3);
    for _ in 0..50 {
        let jobs: Vec<_> = (0..6).map(|n| pool.spawn(move || n)).collect();
        pool.join();
        assert!(jobs.iter().all(Job::is_finished));
    }
}

#[test]
fn a_join_can_be_killed_and_timed_out_and_waited_for_by_many() {
    let pool = ThreadPool::new(1);
    let held = Held::new(&pool).started();
    let joins: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            spawn(move || pool.join())
        })
        .collect();
    let without_a_hub = thread::spawn({
        let pool = pool.clone();
        move || pool.join()
    });
    yield_now();
    joins[0].kill();
    assert_eq!(timeout(SHORT, || pool.join()), Err(Elapsed));
    held.end();
    let ends = join_all(joins);
    assert!(ends[0].is_err() && ends[1].is_ok() && ends[2].is_ok());
    without_a_hub.join().unwrap();
}

// TP15
#[test]
fn with_no_threads_jobs_wait_in_their_order_until_there_are_some() {
    let pool = ThreadPool::new(0);
    let order = Arc::new(Mutex::new(Vec::new()));
    let jobs: Vec<_> = (0..5)
        .map(|n| {
            let order = order.clone();
            pool.spawn(move || order.lock().unwrap().push(n))
        })
        .collect();
    assert!(!jobs[0].wait_timeout(SHORT));
    assert_eq!((pool.len(), pool.size()), (5, 0));
    pool.set_limit(1);
    jobs.into_iter().for_each(|job| job.join().unwrap());
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(pool.size(), 1);
}

// TP16
#[test]
fn lowered_to_nothing_the_threads_go_as_their_jobs_end() {
    let pool = ThreadPool::new(3);
    let held: Vec<_> = (0..3).map(|_| Held::new(&pool).started()).collect();
    let queued = pool.spawn(|| "ran after all");
    assert_eq!(pool.size(), 3);
    pool.set_limit(0);
    for (left, held) in [2, 1, 0].into_iter().zip(held) {
        held.end();
        eventually(|| pool.size() == left);
    }
    assert!(!queued.is_finished());
    pool.set_limit(2);
    assert_eq!(queued.join().unwrap(), "ran after all");
}

// TP17
#[test]
fn the_limit_goes_up_and_down() {
    let pool = ThreadPool::new(2);
    assert_eq!(pool.size(), 0);
    for limit in [1, 2, 1, 0, 2] {
        pool.set_limit(limit);
        assert_eq!(pool.limit(), limit);
        let held: Vec<_> = (0..limit).map(|_| Held::new(&pool).started()).collect();
        eventually(|| pool.size() == limit);
        held.into_iter().for_each(Held::end);
    }
    // Idle threads beyond the limit go, too.
    pool.join();
    pool.set_limit(0);
    eventually(|| pool.size() == 0);
}

#[test]
fn raising_the_limit_starts_no_more_threads_than_there_are_jobs() {
    let pool = ThreadPool::new(0);
    let held: Vec<_> = (0..2).map(|_| Held::new(&pool)).collect();
    pool.set_limit(10);
    let held: Vec<_> = held.into_iter().map(Held::started).collect();
    assert_eq!(pool.size(), 2);
    held.into_iter().for_each(Held::end);
}

// TP25
#[test]
fn idle_threads_end_after_a_time_that_can_be_set() {
    let pool = ThreadPool::new(2);
    pool.apply(|| ());
    pool.join();
    assert_eq!(pool.size(), 1);
    pool.set_idle_timeout(Duration::from_millis(1));
    eventually(|| pool.size() == 0);
    pool.set_idle_timeout(Duration::MAX);
    assert_eq!(pool.apply(|| 5), 5);
    assert_eq!(pool.size(), 1);
    assert_eq!(threadpool().limit(), 10);
}

// TP09
#[test]
fn a_kill_throws_away_what_is_queued_and_waits_for_what_runs() {
    let pool = ThreadPool::new(2);
    let running: Vec<_> = (0..2).map(|_| Held::new(&pool).started()).collect();
    let item = Arc::new(());
    let queued: Vec<_> = (0..4)
        .map(|_| {
            let item = item.clone();
            pool.spawn(move || drop(item))
        })
        .collect();
    let killer = spawn({
        let pool = pool.clone();
        move || pool.kill()
    });
    yield_now();
    assert!(!killer.is_finished());
    for job in queued {
        assert!(job.join().unwrap_err().is_killed());
    }
    assert_eq!(Arc::strong_count(&item), 1);
    assert_eq!(pool.len(), 2);
    assert!(!pool.kill_timeout(SHORT));
    running.into_iter().for_each(Held::end);
    killer.join().unwrap();
    assert_eq!((pool.len(), pool.size()), (0, 0));
    assert_eq!(pool.apply(|| "used again"), "used again");
    assert!(pool.kill_timeout(LONG));
}

#[test]
fn what_is_spawned_during_a_kill_is_done_by_threads_of_the_same_number() {
    let pool = ThreadPool::new(1);
    let held = Held::new(&pool).started();
    let killer = spawn({
        let pool = pool.clone();
        move || pool.kill()
    });
    yield_now();
    let late = pool.spawn(|| thread::current().id());
    assert_eq!(pool.size(), 1);
    held.end();
    killer.join().unwrap();
    late.join().unwrap();
    assert_eq!(pool.size(), 1);
}

#[test]
fn a_greenlet_whose_borrowing_call_is_thrown_away_is_told() {
    let pool = ThreadPool::new(1);
    let held = Held::new(&pool).started();
    let caller = spawn({
        let pool = pool.clone();
        move || {
            let text = String::from("borrowed");
            pool.apply(|| text.len())
        }
    });
    yield_now();
    assert!(!pool.kill_timeout(Duration::ZERO));
    let error = caller.join().unwrap_err();
    assert!(error.to_string().contains("the thread pool was killed before it came to it"), "{error}");
    held.end();
}

// TP19
#[test]
fn a_kill_right_after_a_spawn_leaves_nothing_behind() {
    for _ in 0..50 {
        let (pool, item) = (ThreadPool::new(2), Arc::new(()));
        let jobs: Vec<_> = (0..5)
            .map(|_| {
                let item = item.clone();
                pool.spawn(move || drop(item))
            })
            .collect();
        pool.kill();
        assert_eq!((Arc::strong_count(&item), pool.size(), pool.len()), (1, 0, 0));
        assert!(jobs.into_iter().all(|job| job.join().err().is_none_or(|error| error.is_killed())));
    }
    wait_all();
}

// TP19: the thread tells a thousand that the kill before is over, and meanwhile there is the next.
#[test]
fn a_kill_that_comes_while_the_one_before_ends_is_noticed() {
    let pool = ThreadPool::new(1);
    pool.set_idle_timeout(2 * LONG);
    for _ in 0..10 {
        let Held { job, started, go } = Held::new(&pool);
        started.recv().unwrap();
        let killers: Vec<_> = (0..1_000)
            .map(|_| {
                let pool = pool.clone();
                spawn(move || pool.kill())
            })
            .collect();
        yield_now();
        // For this one the thread stays.
        let next = pool.spawn(|| ());
        drop(go);
        while pool.len() > 1 {
            std::hint::spin_loop();
        }
        assert!(pool.kill_timeout(PROMPT), "nobody has noticed the second kill");
        join_all(killers);
        job.join().unwrap();
        assert!(next.join().err().is_none_or(|error| error.is_killed()));
    }
}

// TP10, and what would wait for itself.
#[test]
fn a_job_does_not_wait_for_its_own_pool() {
    let pool = ThreadPool::new(1);
    let inner = pool.clone();
    let value = pool.apply(move || {
        inner.join();
        inner.kill();
        assert!(!inner.join_timeout(LONG) && !inner.kill_timeout(LONG));
        inner.apply(|| {
            sleep(Duration::from_millis(1));
            spawn(|| 3).join().unwrap()
        })
    });
    assert_eq!(value, 3);
}

// TP18
#[test]
fn nothing_of_a_job_that_has_ended_is_kept() {
    let pool = ThreadPool::new(1);
    let (argument, result) = (Arc::new(()), Arc::new(()));
    let job = pool.spawn({
        let (argument, result) = (argument.clone(), result.clone());
        move || {
            drop(argument);
            result
        }
    });
    pool.join();
    assert_eq!((Arc::strong_count(&argument), Arc::strong_count(&result)), (1, 2));
    drop(job);
    assert_eq!(Arc::strong_count(&result), 1);
    assert!(Arc::ptr_eq(&pool.apply(|| result.clone()), &result));
    pool.join();
    assert_eq!(Arc::strong_count(&result), 1);
}

// What goes wrong outside the call itself ends neither the thread nor the hub.
#[test]
fn a_result_whose_destructor_panics_ends_nothing() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("expected");
            }
        }
    }
    let pool = ThreadPool::new(1);
    let held = Held::new(&pool).started();
    drop(pool.spawn(|| Bomb));
    held.end();
    pool.join();
    let thrown = pool.spawn(|| panic_any(7_u8)).join().unwrap_err();
    assert_eq!(*thrown.try_into_panic().unwrap().downcast::<u8>().unwrap(), 7);
    let held = Held::new(&pool).started();
    drop(pool.spawn({
        let bomb = Bomb;
        move || drop(bomb)
    }));
    assert!(!pool.kill_timeout(Duration::ZERO));
    held.end();
    assert_eq!(pool.apply(|| 1), 1);
}

// TP26
#[test]
fn a_job_that_waits_for_another_of_a_full_pool_waits_until_there_is_room() {
    let pool = ThreadPool::new(1);
    let inner = pool.clone();
    let outer = pool.spawn(move || inner.spawn(|| 5).join().unwrap());
    assert!(!outer.wait_timeout(SHORT));
    pool.set_limit(2);
    assert_eq!(outer.join().unwrap(), 5);
}

#[test]
fn one_pool_serves_several_hubs() {
    let pool = ThreadPool::new(2);
    let threads: Vec<_> = (0..3_u64)
        .map(|n| {
            let pool = pool.clone();
            thread::spawn(move || {
                let calls = (0..20).map(|m| {
                    let pool = pool.clone();
                    spawn(move || pool.apply(|| n * m))
                });
                join_all(calls.collect::<Vec<_>>()).into_iter().map(Result::unwrap).sum::<u64>()
            })
        })
        .collect();
    let sums: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(sums, [0, 190, 380]);
}

// A job belongs to its hub; other threads reach its result through a remote.
#[test]
fn the_result_of_a_job_is_had_from_any_thread_through_a_remote() {
    let here = remote();
    let other = thread::spawn(move || {
        let digest = here.spawn(|| threadpool().apply(|| thread::current().id())).unwrap();
        drop(here);
        digest.join().unwrap()
    });
    wait_all();
    assert_ne!(other.join().unwrap(), thread::current().id());
}

#[test]
fn a_pool_that_is_dropped_finishes_what_is_queued() {
    let ran = Arc::new(AtomicUsize::new(0));
    let pool = ThreadPool::new(1);
    let jobs: Vec<_> = (0..20)
        .map(|_| {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed))
        })
        .collect();
    drop(pool);
    jobs.iter().for_each(Job::wait);
    assert_eq!(ran.load(Ordering::Relaxed), 20);
    // With no threads nobody would.
    let pool = ThreadPool::new(0);
    let job = pool.spawn(|| ());
    drop(pool);
    assert!(job.join().unwrap_err().is_killed());
}

#[test]
fn a_thread_that_ends_does_not_take_its_jobs_with_it() {
    let (pool, ran) = (ThreadPool::new(1), Arc::new(AtomicUsize::new(0)));
    let held = Held::new(&pool).started();
    on_a_thread({
        let (pool, ran) = (pool.clone(), ran.clone());
        move || drop(pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed)))
    });
    held.end();
    pool.join();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}
