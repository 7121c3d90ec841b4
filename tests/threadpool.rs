//! Blocking calls on other threads.

mod net_support;

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Instant;

use greenloop::event::Event;
use greenloop::threadpool::ThreadPool;
use greenloop::{LoopExit, join_all, sleep, spawn, threadpool, timeout, wait_all, yield_now};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ms, panic_of, spawn_parked};

/// Blocks the thread that calls it, not only a greenlet.
fn block(count: u64) {
    thread::sleep(ms(count));
}

// TP01
#[test]
fn a_spawned_call_runs_on_another_thread() {
    let job = ThreadPool::new(1).spawn(|| thread::current().id());
    assert_ne!(job.join().unwrap(), thread::current().id());
}

// TP01, TP06
#[test]
fn spawning_does_not_switch_and_the_other_greenlets_run_while_a_call_blocks() {
    let (pool, turns) = (ThreadPool::new(3), Rc::new(Cell::new(0)));
    let counting = turns.clone();
    let counter = spawn(move || {
        loop {
            counting.update(|turns| turns + 1);
            sleep(ms(1));
        }
    });
    let jobs = [1, 2, 3].map(|n| {
        pool.spawn(move || {
            block(30);
            n
        })
    });
    assert_eq!(turns.get(), 0);
    assert_eq!(jobs.map(|job| job.join().unwrap()), [1, 2, 3]);
    assert!(turns.get() > 3, "{} turns", turns.get());
    counter.kill();
}

// TP02
#[test]
fn apply_gives_the_value_and_passes_a_panic_on_with_its_payload() {
    let pool = ThreadPool::new(1);
    assert_eq!(pool.apply(|| 6 * 7), 42);
    let payload =
        catch_unwind(AssertUnwindSafe(|| pool.apply(|| -> () { std::panic::panic_any(17_u8) }))).unwrap_err();
    assert_eq!(*payload.downcast::<u8>().unwrap(), 17);
    assert_eq!(pool.apply(|| "the worker lives on"), "the worker lives on");
    assert_eq!(pool.size(), 1);
}

// TP02
#[test]
fn join_tells_of_a_panic() {
    let error = threadpool().spawn(|| -> () { panic!("boom") }).join().unwrap_err();
    assert!(error.is_panic() && !error.is_killed() && error.to_string().contains("boom"), "{error}");
}

// TP04
#[test]
fn map_gives_the_results_in_the_order_of_the_input() {
    for limit in [1, 2, 3, 10] {
        let pool = ThreadPool::new(limit);
        for count in [0, 10, 100_u32] {
            let squares = pool.map(0..count, |n| {
                (n % 3..3).for_each(|_| thread::yield_now());
                n * n
            });
            assert_eq!(squares, (0..count).map(|n| n * n).collect::<Vec<_>>());
        }
        assert!(pool.size() <= limit);
    }
}

// TP06, TP20
#[test]
fn a_slow_call_can_be_awaited_for_a_time_and_then_to_its_end() {
    let (pool, ran) = (ThreadPool::new(1), Flag::default());
    let job = pool.spawn(|| {
        block(60);
        7
    });
    spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    assert!(!job.wait_timeout(SHORT) && !job.is_finished());
    assert!(ran.is_up(), "other greenlets run while one waits");
    assert!(timeout(SHORT, || job.wait()).is_err());
    job.wait();
    assert!(job.is_finished() && job.wait_timeout(SHORT));
    assert_eq!(job.join().unwrap(), 7);
}

// TP10
#[test]
fn apply_inside_a_worker_of_the_same_pool_runs_at_once_on_that_thread_with_its_own_hub() {
    let pool = ThreadPool::new(1);
    let (outer, inner, greenlet) = pool.apply(|| {
        let inner = pool.apply(|| {
            sleep(SHORT);
            thread::current().id()
        });
        let greenlet = spawn(|| {
            sleep(SHORT);
            thread::current().id()
        });
        (thread::current().id(), inner, greenlet.join().unwrap())
    });
    assert_eq!((inner, greenlet), (outer, outer));
    assert_ne!(outer, thread::current().id());
}

// TP10
#[test]
fn apply_inside_a_worker_of_another_pool_goes_to_the_other_pool() {
    let (a, b) = (ThreadPool::new(1), ThreadPool::new(1));
    let (outer, inner) = a.apply(|| (thread::current().id(), b.apply(|| thread::current().id())));
    assert_ne!(outer, inner);
}

// TP12
#[test]
fn jobs_beyond_the_limit_wait_in_order_and_spawning_them_does_not() {
    let (pool, log) = (ThreadPool::new(1), Arc::new(Mutex::new(Vec::new())));
    let (open, gate) = mpsc::channel();
    let first = pool.spawn(move || gate.recv().unwrap());
    let jobs: Vec<_> = (0..20)
        .map(|n| {
            let log = log.clone();
            pool.spawn(move || log.lock().unwrap().push(n))
        })
        .collect();
    assert!(!first.wait_timeout(SHORT) && log.lock().unwrap().is_empty());
    open.send(()).unwrap();
    jobs.into_iter().for_each(|job| job.join().unwrap());
    assert_eq!(*log.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(pool.size(), 1);
}

// TP14
#[test]
fn map_passes_a_panic_of_the_input_or_of_the_function_on() {
    let pool = ThreadPool::new(3);
    let input = (0..5).map(|n| if n == 3 { panic!("bad input") } else { n });
    assert_eq!(panic_of(|| pool.map(input, |n| n)), "bad input");
    let text = panic_of(|| {
        pool.map(0..5, |n| {
            block(5 - n);
            assert!(n % 2 == 0, "item {n}");
        })
    });
    assert_eq!(text, "item 1");
}

// TP18
#[test]
fn the_pool_keeps_nothing_of_a_job_that_has_ended() {
    let (pool, token) = (ThreadPool::new(1), Arc::new(()));
    let result = pool.spawn({
        let token = token.clone();
        move || token.clone()
    });
    result.wait();
    // The function is gone, the value is in the job.
    assert_eq!(Arc::strong_count(&token), 2);
    drop(result);
    assert_eq!(Arc::strong_count(&token), 1);
    let borrowed = pool.apply(|| Arc::strong_count(&token));
    assert_eq!((borrowed, Arc::strong_count(&token)), (1, 1));
    let panicked = pool.spawn({
        let token = token.clone();
        move || std::panic::panic_any(token)
    });
    panicked.wait();
    assert_eq!(Arc::strong_count(&token), 2);
    drop(panicked);
    assert_eq!(Arc::strong_count(&token), 1);
}

// TP19
#[test]
fn a_job_that_is_dropped_runs_nevertheless_and_its_value_is_dropped() {
    let (pool, token) = (ThreadPool::new(1), Arc::new(()));
    drop(pool.spawn({
        let token = token.clone();
        move || {
            block(5);
            token
        }
    }));
    pool.apply(|| ());
    assert_eq!(Arc::strong_count(&token), 1);
}

// TP24
#[test]
fn killing_the_greenlet_that_waits_for_a_job_does_not_stop_the_job() {
    let (pool, done) = (ThreadPool::new(1), Arc::new(AtomicUsize::new(0)));
    let inside = done.clone();
    let (job_pool, start) = (pool.clone(), Instant::now());
    let waiter = spawn_parked(move || {
        let job = job_pool.spawn(move || {
            block(30);
            inside.fetch_add(1, SeqCst);
        });
        job.join()
    });
    waiter.kill();
    assert!(waiter.is_finished() && (done.load(SeqCst) == 0 || start.elapsed() >= ms(30)));
    pool.apply(|| ());
    assert_eq!(done.load(SeqCst), 1);
}

// TP25, but for the end of idle threads after 5 s.
#[test]
fn the_default_pool_has_at_most_10_threads_and_is_the_same_for_the_whole_thread() {
    let pool = threadpool();
    assert_eq!((pool.limit(), pool.size()), (10, 0));
    let (barrier, running) = (Arc::new(Barrier::new(11)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..12)
        .map(|n| {
            let (barrier, running) = (barrier.clone(), running.clone());
            threadpool().spawn(move || {
                running.fetch_add(1, SeqCst);
                if n < 10 {
                    barrier.wait();
                }
            })
        })
        .collect();
    assert_eq!(pool.size(), 10);
    barrier.wait();
    jobs.into_iter().for_each(|job| job.join().unwrap());
    assert_eq!((running.load(SeqCst), pool.size()), (12, 10));
}

// TP26
#[test]
fn a_job_that_waits_for_another_job_of_its_full_pool_waits_in_vain() {
    let pool = ThreadPool::new(1);
    let inner = pool.clone();
    let waited = pool.spawn(move || {
        let job = inner.spawn(|| ());
        job.wait_timeout(ms(20))
    });
    assert!(!waited.join().unwrap());
}

#[test]
fn threads_are_started_only_as_they_are_needed() {
    let pool = ThreadPool::new(4);
    assert_eq!(pool.size(), 0);
    for _ in 0..20 {
        // The worker is idle again soon after it has told of the end; until then another may be started.
        pool.apply(|| ());
        block(1);
    }
    assert!((1..=2).contains(&pool.size()), "{pool:?}");
    let barrier = Arc::new(Barrier::new(4));
    let ids = pool.map(0..4, move |_| {
        barrier.wait();
        thread::current().id()
    });
    assert_eq!((pool.size(), ids.into_iter().collect::<HashSet<ThreadId>>().len()), (4, 4));
}

#[test]
fn a_hub_that_sleeps_in_the_kernel_is_woken_by_a_job() {
    let start = Instant::now();
    // Nothing else goes on: it sleeps without a limit.
    threadpool().apply(|| block(20));
    // A timer goes on: it sleeps until then.
    let sleeper = spawn_parked(|| sleep(LONG));
    assert_eq!(
        threadpool()
            .spawn(|| {
                block(20);
                "woken"
            })
            .join()
            .unwrap(),
        "woken"
    );
    assert!(start.elapsed() >= ms(40) && start.elapsed() < PROMPT);
    sleeper.kill();
}

#[test]
fn a_running_job_keeps_a_wait_from_being_a_deadlock() {
    let event = Event::new();
    let setter = event.clone();
    spawn(move || {
        threadpool().apply(|| block(20));
        setter.set();
    });
    event.wait();
    // A job that nobody waits for may still be the last hope; when it has ended in vain, that is the end.
    let (start, nobody) = (Instant::now(), Event::new());
    drop(threadpool().spawn(|| block(20)));
    let payload = catch_unwind(AssertUnwindSafe(|| nobody.wait())).unwrap_err();
    assert!(LoopExit::from_panic(&*payload).is_some() && start.elapsed() >= ms(20));
    assert_eq!(threadpool().apply(|| 1), 1);
}

#[test]
fn wait_all_waits_for_jobs() {
    let done = Arc::new(AtomicUsize::new(0));
    let inside = done.clone();
    drop(threadpool().spawn(move || {
        block(20);
        inside.store(1, SeqCst);
    }));
    wait_all();
    assert_eq!(done.load(SeqCst), 1);
}

/// What a greenlet does that borrows its own frame while it is interrupted by `interrupt`; says whether the job had ended when the frame
/// was unwound or left.
fn borrow_under(interrupt: impl FnOnce(&greenloop::Handle)) -> (bool, bool, usize) {
    let (pool, after, destroyed) = (ThreadPool::new(1), Flag::default(), Rc::new(Cell::new(usize::MAX)));
    let (came_after, seen) = (after.clone(), destroyed.clone());
    let worker = pool.clone();
    let g = spawn_parked(move || {
        let done = AtomicUsize::new(0);
        let mut frame = [0_u8; 1024];
        let _guard = OnDrop(|| seen.set(done.load(SeqCst)));
        worker.apply(|| {
            block(30);
            frame.fill(7);
            done.store(1, SeqCst);
        });
        assert!(frame.iter().all(|&byte| byte == 7));
        yield_now();
        came_after.raise();
    });
    interrupt(&g);
    let killed = g.join().is_err_and(|error| error.is_killed());
    (killed, after.is_up(), destroyed.get())
}

// TP24: a job that borrows is not abandoned.
#[test]
fn a_borrow_is_never_abandoned_by_a_kill() {
    let killed_after_the_job = (true, false, 1);
    assert_eq!(borrow_under(|g| g.kill_nowait()), killed_after_the_job);
    assert_eq!(borrow_under(|g| g.kill()), killed_after_the_job);
    assert_eq!(
        borrow_under(|g| {
            assert!(!g.kill_timeout(ms(2)));
            g.kill();
        }),
        killed_after_the_job
    );
    assert_eq!(borrow_under(|_| {}), (false, true, 1));
}

#[test]
fn a_timeout_that_runs_out_during_a_borrow_is_delivered_afterwards() {
    let pool = ThreadPool::new(1);
    let mut text = String::from("borrowed");
    // The value has come: it is not lost.
    let start = Instant::now();
    let outcome = timeout(SHORT, || {
        pool.apply(|| {
            block(30);
            text.push_str(" and given back");
            text.len()
        })
    });
    assert_eq!((outcome, text.as_str()), (Ok(23), "borrowed and given back"));
    assert!(start.elapsed() >= ms(30));
    // The next park is where the time is up.
    let outcome = timeout(SHORT, || {
        pool.apply(|| {
            block(30);
            text.clear();
        });
        sleep(LONG);
    });
    assert!(outcome.is_err() && text.is_empty() && start.elapsed() < PROMPT);
    // From within a greenlet, with an outer timeout.
    let g = spawn(move || {
        let numbers = vec![1_u32; 1000];
        timeout(SHORT, || timeout(LONG, || pool.apply(|| block(30))).map(|()| numbers.iter().sum::<u32>()))
    });
    assert_eq!(g.join().unwrap(), Ok(Ok(1000)));
}

#[test]
fn a_borrowing_job_that_panics_leaves_the_borrowed_value_to_its_owner() {
    let mut list = vec![1];
    let text = panic_of(|| {
        threadpool().apply(|| {
            list.push(2);
            panic!("in the middle");
        })
    });
    assert_eq!((text.as_str(), list), ("in the middle", vec![1, 2]));
}

#[test]
fn apply_in_a_destructor_of_a_killed_greenlet_runs_on_the_spot() {
    let log = Log::new();
    let guard = OnDrop({
        let log = log.clone();
        move || {
            let (go, wait) = mpsc::channel::<()>();
            let job = threadpool().spawn(move || _ = wait.recv());
            log.add((threadpool().apply(|| thread::current().id()), job.join().is_err()));
            drop(go);
        }
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    g.kill();
    assert_eq!(log.take(), [(thread::current().id(), true)]);
    wait_all();
}

#[test]
fn many_greenlets_share_few_threads() {
    let (pool, running, most) = (ThreadPool::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
    let (running, most) = (Arc::new(running), Arc::new(most));
    let first = Arc::new(Barrier::new(3));
    let greenlets = (0..1000_usize).map(|n| {
        let (pool, running, most) = (pool.clone(), running.clone(), most.clone());
        let first = first.clone();
        spawn(move || {
            let numbers = [n; 10];
            pool.apply(|| {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                if n < 3 {
                    first.wait();
                }
                running.fetch_sub(1, SeqCst);
                numbers.iter().sum::<usize>()
            })
        })
    });
    let sums: Vec<_> = join_all(greenlets).into_iter().map(Result::unwrap).collect();
    assert!(sums.into_iter().eq((0..1000).map(|n| n * 10)));
    assert_eq!(most.load(SeqCst), 3);
}

#[test]
fn hubs_of_several_threads_share_a_pool() {
    let pool = ThreadPool::new(2);
    let threads: Vec<_> = (0..4_usize)
        .map(|base| {
            let pool = pool.clone();
            thread::spawn(move || {
                let greenlets = (0..200).map(|n| {
                    let pool = pool.clone();
                    spawn(move || pool.apply(|| base * 1000 + n))
                });
                join_all(greenlets).into_iter().map(Result::unwrap).eq(base * 1000..base * 1000 + 200)
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn a_pool_that_is_dropped_finishes_what_is_queued_and_its_threads_end() {
    struct Ends(mpsc::Sender<&'static str>);
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send("the thread has ended");
        }
    }
    thread_local!(static END: Cell<Option<Ends>> = const { Cell::new(None) });
    let (sender, receiver) = mpsc::channel();
    let pool = ThreadPool::new(1);
    let (first, last) = (sender.clone(), sender.clone());
    drop(pool.spawn(move || {
        block(10);
        END.set(Some(Ends(first)));
    }));
    let job = pool.spawn(move || last.send("the last job has run").unwrap());
    drop((pool, sender));
    job.join().unwrap();
    assert_eq!(receiver.recv_timeout(PROMPT), Ok("the last job has run"));
    // Sooner than it would for being idle.
    assert_eq!(receiver.recv_timeout(ms(3000)), Ok("the thread has ended"));
}

#[test]
fn a_thread_may_end_while_its_jobs_run() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let pool = ThreadPool::new(1);
        drop(pool.spawn(move || {
            block(30);
            sender.send(()).unwrap();
        }));
    })
    .join()
    .unwrap();
    assert_eq!(receiver.recv_timeout(PROMPT), Ok(()));
}

#[test]
fn what_a_job_borrows_outlives_the_job_even_if_the_thread_of_the_greenlet_ends() {
    // The greenlet is forgotten with its stack, but a thread-local is destroyed with its thread: here one that was used
    // before the hub, and so goes after it.
    static DESTROYED: AtomicUsize = AtomicUsize::new(0);
    struct Local;
    impl Drop for Local {
        fn drop(&mut self) {
            DESTROYED.store(1, SeqCst);
        }
    }
    thread_local!(static LOCAL: Local = const { Local });
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        LOCAL.with(|_| ());
        spawn_parked(move || {
            LOCAL.with(|local| {
                threadpool().apply(|| {
                    block(50);
                    // Where a real program would use it.
                    let _: &Local = local;
                    sender.send(DESTROYED.load(SeqCst)).unwrap();
                })
            })
        });
    });
    assert_eq!(receiver.recv_timeout(PROMPT), Ok(0), "the job outlived what it borrows");
    thread.join().unwrap();
}
