//! Events, results and semaphores that any thread can set, give and wait for.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, Log, OnDrop, PROMPT, SHORT, is_child, on_a_thread, run_as_child};
use greenloop::sync::{AsyncResult, Event, Semaphore, channel};
use greenloop::{Elapsed, join_all, sleep, spawn, timeout, yield_now};

/// Waits on the root and in a greenlet, without and with a time limit.
fn wait_in_every_way(event: &Event) -> bool {
    let waits = [None, Some(LONG)].map(|limit| {
        let event = event.clone();
        spawn(move || match limit {
            None => {
                event.wait();
                true
            }
            Some(limit) => event.wait_timeout(limit),
        })
    });
    let here = event.wait_timeout(LONG);
    event.wait();
    here && join_all(waits).into_iter().all(Result::unwrap)
}

// EV13: waited for in one thread, set in another, which has a hub, or, EV14, which has none.
#[test]
fn an_event_is_set_from_another_thread() {
    let start = Instant::now();
    for _ in 0..20 {
        for with_a_hub in [false, true] {
            let event = Event::new();
            let other = thread::spawn({
                let event = event.clone();
                move || {
                    if with_a_hub {
                        sleep(Duration::from_micros(100));
                    }
                    event.set();
                }
            });
            assert!(wait_in_every_way(&event));
            other.join().unwrap();
        }
    }
    assert!(start.elapsed() < PROMPT);
}

// EV13: waited for in a background thread.
#[test]
fn an_event_is_waited_for_in_threads_of_every_kind() {
    let event = Event::new();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let event = event.clone();
            thread::spawn(move || match n % 2 {
                0 => wait_in_every_way(&event),
                _ => event.wait_timeout(LONG),
            })
        })
        .collect();
    sleep(Duration::from_millis(1));
    event.set();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn those_that_a_set_has_woken_stay_woken_though_it_is_cleared() {
    let event = Event::new();
    let log = Log::new();
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            let (event, log) = (event.clone(), log.clone());
            spawn(move || {
                assert!(event.wait_timeout(LONG));
                log.add(n);
            })
        })
        .collect();
    yield_now();
    event.set();
    event.clear();
    assert!(!event.is_set());
    join_all(waiters);
    assert_eq!(log.take(), [0, 1, 2]);
    assert!(!event.wait_timeout(SHORT));
}

#[test]
fn a_wait_for_an_event_can_be_killed_and_timed_out() {
    let event = Event::new();
    let victim = spawn({
        let event = event.clone();
        move || event.wait()
    });
    yield_now();
    victim.kill();
    assert_eq!(timeout(SHORT, || event.wait()), Err(Elapsed));
    assert!(!event.wait_timeout(SHORT));
    assert_eq!(format!("{event:?}"), "Event(unset, 0 waiting)");
    event.set();
    assert!(event.wait_timeout(Duration::ZERO));
}

// AR11
#[test]
fn a_value_arrives_from_another_thread() {
    for _ in 0..20 {
        let result = AsyncResult::new();
        let waiter = spawn({
            let result = result.clone();
            move || result.get()
        });
        let far = thread::spawn({
            let result = result.clone();
            move || result.get_timeout(LONG)
        });
        let setter = thread::spawn({
            let result = result.clone();
            move || result.set("from a thread")
        });
        assert_eq!(result.get(), "from a thread");
        assert_eq!(waiter.join().unwrap(), "from a thread");
        assert_eq!(far.join().unwrap(), Ok("from a thread"));
        setter.join().unwrap().unwrap();
    }
}

#[test]
fn a_result_takes_one_value() {
    let result = AsyncResult::new();
    assert_eq!((result.try_get(), result.get_timeout(SHORT)), (None, Err(Elapsed)));
    assert!(!result.wait_timeout(SHORT));
    result.set(1).unwrap();
    assert_eq!(
        on_a_thread({
            let result = result.clone();
            move || result.set(2)
        }),
        Err(2)
    );
    assert_eq!((result.get(), result.with(|value| value + 1)), (1, Some(2)));
}

#[test]
fn a_result_can_be_awaited() {
    let result = AsyncResult::new();
    let executor = thread::spawn({
        let result = result.clone();
        move || futures::executor::block_on(async move { result.await })
    });
    let here = spawn({
        let result = result.clone();
        move || greenloop::future::block_on(async move { result.await })
    });
    yield_now();
    result.set(7).unwrap();
    assert_eq!((here.join().unwrap(), executor.join().unwrap()), (7, 7));
}

#[test]
fn in_a_destructor_of_an_unwinding_greenlet_nothing_waits() {
    let (event, result, semaphore) = (Event::new(), AsyncResult::<u8>::new(), Semaphore::new(0));
    let seen = Rc::new(Cell::new(None));
    let victim = spawn({
        let seen = seen.clone();
        move || {
            let _last = OnDrop(|| {
                event.wait();
                seen.set(Some((event.wait_timeout(LONG), result.get_timeout(LONG), semaphore.acquire())));
            });
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill();
    assert_eq!(seen.take(), Some((false, Err(Elapsed), false)));
}

// LO34
#[test]
fn a_permit_released_here_is_had_there_while_this_thread_computes() {
    let semaphore = Semaphore::new(1);
    assert!(semaphore.acquire());
    let thread = thread::spawn({
        let semaphore = semaphore.clone();
        move || semaphore.acquire()
    });
    yield_now();
    semaphore.release();
    let start = Instant::now();
    while !thread.is_finished() {
        assert!(start.elapsed() < PROMPT);
        std::hint::spin_loop();
    }
    assert!(thread.join().unwrap());
}

// LO35
#[test]
fn a_permit_that_never_comes_is_given_up_and_a_later_one_wakes_nobody() {
    let semaphore = Semaphore::new(0);
    let in_a_thread = thread::spawn({
        let semaphore = semaphore.clone();
        move || (semaphore.acquire_timeout(SHORT), sleep(SHORT), semaphore.acquire_timeout(SHORT))
    });
    assert_eq!(in_a_thread.join().unwrap(), (false, (), false));
    assert_eq!(format!("{semaphore:?}"), "Semaphore(0 available, 0 waiting)");
    semaphore.release();
    assert_eq!(semaphore.available(), 1);
}

// LO36: it waits while the permit is given to the greenlet in front of it.
#[test]
fn a_thread_that_gives_up_does_not_touch_the_one_that_gets_the_permit() {
    let limit = 20 * SHORT;
    let mut in_time = false;
    // Again if the thread may have given up before the greenlet has had its turn, on a busy machine.
    while !in_time {
        let (semaphore, start) = (Semaphore::new(0), Instant::now());
        let greenlet = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        yield_now();
        let thread = thread::spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire_timeout(limit)
        });
        while !format!("{semaphore:?}").contains("2 waiting") && !thread.is_finished() {
            thread::yield_now();
        }
        semaphore.release();
        yield_now();
        in_time = start.elapsed() < limit;
        let has_it = greenlet.is_finished();
        let gave_up = !thread.join().unwrap();
        if in_time {
            assert!(has_it && gave_up);
            assert!(greenlet.join().unwrap());
            assert_eq!(format!("{semaphore:?}"), "Semaphore(0 available, 0 waiting)");
            semaphore.release();
            assert!(semaphore.try_acquire());
        } else {
            greenlet.kill();
        }
    }
}

#[test]
fn a_permit_that_a_thread_and_a_greenlet_want_goes_to_one_of_them() {
    let semaphore = Semaphore::new(1);
    assert!(semaphore.acquire());
    let greenlet = spawn({
        let semaphore = semaphore.clone();
        move || semaphore.acquire()
    });
    yield_now();
    semaphore.release();
    let thread = thread::spawn({
        let semaphore = semaphore.clone();
        move || {
            let first = semaphore.acquire_timeout(Duration::ZERO);
            (first, !first && semaphore.acquire_timeout(SHORT))
        }
    });
    // Whoever runs first may have it; one of the two gets it, and only one.
    let there = thread.join().unwrap();
    if there.0 || there.1 {
        semaphore.release();
    }
    assert!(greenlet.join().unwrap());
    assert!(!semaphore.try_acquire());
}

// LO37
#[test]
fn two_threads_fight_for_a_permit_ten_thousand_times() {
    let start = Instant::now();
    for (hubs, limit) in [(false, None), (true, None), (false, Some(LONG)), (true, Some(LONG))] {
        let semaphore = Semaphore::new(1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = semaphore.clone();
                thread::spawn(move || {
                    if hubs {
                        yield_now();
                    }
                    for _ in 0..10_000 {
                        assert!(match limit {
                            None => semaphore.acquire(),
                            Some(limit) => semaphore.acquire_timeout(limit),
                        });
                        assert_eq!(semaphore.available(), 0);
                        semaphore.release();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.available(), 1);
    }
    assert!(start.elapsed() < PROMPT * 2);
}

// LO37: no hub is made when none is needed. In a process of its own, as others make theirs here.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_without_a_hub_does_not_get_one_by_waiting() {
    const NAME: &str = "a_thread_without_a_hub_does_not_get_one_by_waiting";
    if !is_child(NAME) {
        let output = run_as_child(NAME);
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let pollers = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        targets.filter(|target| target.to_string_lossy().contains("eventpoll")).count()
    };
    let (event, semaphore, result) = (Event::new(), Semaphore::new(0), AsyncResult::new());
    let (sender, receiver) = channel(1);
    let other = thread::spawn({
        let (event, semaphore, result) = (event.clone(), semaphore.clone(), result.clone());
        move || {
            event.wait();
            assert!(semaphore.acquire());
            assert_eq!(result.get(), 1);
            assert_eq!(receiver.iter().count(), 100);
            assert!(!semaphore.acquire_timeout(SHORT));
        }
    });
    thread::sleep(SHORT);
    event.set();
    semaphore.release();
    result.set(1).unwrap();
    (0..100).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    other.join().unwrap();
    assert_eq!(pollers(), 0);
    yield_now();
    assert_eq!(pollers(), 1, "the way of counting is wrong");
}

#[test]
fn a_killed_waiter_passes_its_permit_on() {
    let semaphore = Semaphore::new(0);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.acquire())
        })
        .collect();
    yield_now();
    waiters[0].kill_nowait();
    on_a_thread({
        let semaphore = semaphore.clone();
        move || semaphore.release()
    });
    assert!(waiters[1].wait_timeout(LONG));
    assert!(!waiters[2].is_finished());
    semaphore.release();
    let outcomes = join_all(waiters);
    assert!(outcomes[0].as_ref().is_err_and(|error| error.is_killed()));
    assert!(matches!(outcomes[1..], [Ok(true), Ok(true)]));
}

#[test]
fn permits_are_had_in_the_order_of_asking_across_hubs() {
    let semaphore = Semaphore::new(0);
    let (say, order) = mpsc::channel();
    let mut threads = Vec::new();
    for n in 0..4 {
        let (asking, say) = (semaphore.clone(), say.clone());
        threads.push(thread::spawn(move || {
            if n % 2 == 0 {
                yield_now(); // makes a hub
            }
            assert!(asking.acquire());
            say.send(n).unwrap();
        }));
        let stands_in_line = format!("Semaphore(0 available, {} waiting)", n + 1);
        while format!("{semaphore:?}") != stands_in_line {
            thread::yield_now();
        }
    }
    for n in 0..4 {
        semaphore.release();
        assert_eq!(order.recv(), Ok(n));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn virtual_time_gives_a_wait_for_other_threads_its_limit_and_goes_on() {
    use greenloop::testing;
    let start = Instant::now();
    testing::virtual_time(|| {
        let event = Event::new();
        assert!(!event.wait_timeout(SHORT));
        assert_eq!(testing::elapsed(), SHORT);
        let other = thread::spawn({
            let event = event.clone();
            move || event.set()
        });
        assert!(event.wait_timeout(LONG));
        other.join().unwrap();
        sleep(LONG);
    });
    assert!(start.elapsed() >= SHORT && start.elapsed() < PROMPT);
}
