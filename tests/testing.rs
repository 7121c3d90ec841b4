//! The tools for tests, tested.

mod common;

use common::{OnDrop, is_child, run_as_child};
use greenloop::event::Event;
use greenloop::lock::Semaphore;
use greenloop::queue::Queue;
use greenloop::testing::{
    assert_no_switch, assert_switches, duplex, elapsed, for_each_seed, virtual_time, wait_all_parked,
    with_seed,
};
use greenloop::{
    Builder, Elapsed, idle, join_all, select, shield, sleep, spawn, spawn_later, threadpool, timeout,
    wait_all, yield_now,
};
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a text")
}

#[test]
fn days_pass_in_no_time_and_to_the_nanosecond() {
    let start = Instant::now();
    virtual_time(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let sleepers = [86_400_u64, 1, 3_600].map(|seconds| {
            let log = log.clone();
            spawn(move || {
                sleep(SECOND * seconds as u32 + Duration::from_nanos(seconds));
                log.borrow_mut().push((seconds, elapsed()));
            })
        });
        join_all(sleepers);
        let expected = [1, 3_600, 86_400].map(|s| (s, SECOND * s as u32 + Duration::from_nanos(s)));
        assert_eq!(*log.borrow(), expected);
    });
    assert!(start.elapsed() < SECOND * 10);
}

#[test]
fn a_timeout_expires_before_or_after_an_event_as_the_clock_says() {
    virtual_time(|| {
        // At the same instant the timeout wins: the other timer only starts the greenlet that will set the event.
        for (set_after, expected) in [(9, Ok(())), (10, Err(Elapsed)), (11, Err(Elapsed))] {
            let event = Event::new();
            let setter = spawn_later(SECOND * set_after, {
                let event = event.clone();
                move || event.set()
            });
            assert_eq!(timeout(SECOND * 10, || event.wait()), expected);
            setter.wait();
        }
    });
}

#[test]
fn time_goes_on_from_where_it_stands() {
    let event = Event::new();
    let later = virtual_time(|| {
        let later = spawn_later(SECOND * 3600, {
            let event = event.clone();
            move || event.set()
        });
        sleep(SECOND * 3599 + SECOND * 9 / 10);
        later
    });
    assert!(!event.is_set());
    let start = Instant::now();
    later.join().unwrap();
    assert!(event.is_set() && start.elapsed() < SECOND * 30);
    virtual_time(|| assert_eq!(elapsed(), Duration::ZERO));
}

#[test]
fn real_work_is_waited_for() {
    virtual_time(|| {
        let job = spawn(|| threadpool().apply(|| std::thread::sleep(Duration::from_millis(20))));
        let sleeper = spawn(|| sleep(SECOND * 60));
        yield_now();
        job.join().unwrap();
        assert!(elapsed() < SECOND * 60, "the clock jumped over a job that was running");
        sleeper.join().unwrap();
        assert_eq!(elapsed(), SECOND * 60);
    });
}

#[test]
fn elapsed_outside_virtual_time_says_so() {
    let payload = catch_unwind(elapsed).unwrap_err();
    assert!(payload.downcast_ref::<&str>().unwrap().contains("virtual_time"));
}

#[test]
fn time_passes_for_a_loop_that_waits_by_idle_moments() {
    virtual_time(|| {
        let hour = SECOND * 3600;
        let sleeper = spawn(move || (0..3).for_each(|_| sleep(hour)));
        let idler = spawn({
            let sleeper = sleeper.handle();
            move || {
                while !sleeper.is_finished() {
                    idle()
                }
            }
        });
        while !idler.is_finished() {
            idle();
        }
        assert_eq!(elapsed(), hour * 3);
    });
}

#[test]
fn time_passes_for_a_loop_that_waits_by_idle_moments_while_another_thread_may_call() {
    virtual_time(|| {
        let remote = greenloop::hub::remote();
        let sleeper = spawn(|| sleep(Duration::from_millis(20)));
        while !sleeper.is_finished() {
            idle();
        }
        assert_eq!(elapsed(), Duration::from_millis(20));
        drop(remote);
    });
}

#[test]
fn time_passes_for_a_loop_that_waits_by_yields() {
    virtual_time(|| {
        let hour = SECOND * 3600;
        let sleeper = spawn(move || (0..3).for_each(|_| sleep(hour)));
        let yielder = spawn({
            let sleeper = sleeper.handle();
            move || {
                while !sleeper.is_finished() {
                    yield_now()
                }
            }
        });
        while !yielder.is_finished() {
            yield_now();
        }
        assert_eq!(elapsed(), hour * 3);
        assert_eq!(
            timeout(hour, || loop {
                yield_now()
            }),
            Err::<(), _>(Elapsed)
        );
        assert_eq!(elapsed(), hour * 4);
    });
}

#[test]
fn work_that_is_done_between_yields_takes_no_virtual_time() {
    virtual_time(|| {
        for seconds in 0..2 {
            assert_eq!(timeout(SECOND, || (0..60_000).for_each(|_| yield_now())), Ok(()));
            assert_eq!(elapsed(), SECOND * seconds);
            sleep(SECOND);
        }
        // However long it takes, if they do more than to yield.
        let queue = Queue::bounded(1);
        let sum = spawn({
            let queue = queue.clone();
            move || queue.into_iter().sum::<u32>()
        });
        let worked = timeout(SECOND, || {
            for n in 0..3_000 {
                queue.put(n).unwrap();
                (0..50).for_each(|_| yield_now());
            }
        });
        assert_eq!((worked, elapsed()), (Ok(()), SECOND * 2));
        queue.close();
        assert_eq!(sum.join().unwrap(), (0..3_000).sum());
    });
}

#[test]
fn a_loop_of_yields_waits_in_real_time_for_another_thread() {
    virtual_time(|| {
        let sleeper = spawn(|| sleep(SECOND * 3600));
        let (sender, receiver) = std::sync::mpsc::channel();
        let job = spawn(move || {
            threadpool().apply(move || {
                std::thread::sleep(Duration::from_millis(30));
                sender.send(7).unwrap();
            })
        });
        let got = loop {
            match receiver.try_recv() {
                Ok(got) => break got,
                Err(_) => yield_now(),
            }
        };
        assert_eq!((got, elapsed()), (7, Duration::ZERO));
        job.join().unwrap();
        sleeper.kill();
    });
}

#[test]
fn work_that_is_done_in_idle_moments_takes_no_virtual_time() {
    virtual_time(|| {
        for seconds in 0..2 {
            assert_eq!(timeout(SECOND, || (0..900).for_each(|_| idle())), Ok(()));
            assert_eq!(elapsed(), SECOND * seconds);
            sleep(SECOND);
        }
    });
}

fn order(seed: u64) -> Vec<u32> {
    let log = Rc::new(RefCell::new(Vec::new()));
    with_seed(seed, || {
        let all = (0..10).map(|n| {
            let log = log.clone();
            spawn(move || {
                (0..3).for_each(|_| {
                    log.borrow_mut().push(n);
                    yield_now()
                })
            })
        });
        join_all(all);
    });
    log.take()
}

#[test]
fn equal_seeds_give_equal_orders_and_others_give_others() {
    let orders: Vec<_> = (0..20).map(order).collect();
    for (seed, expected) in orders.iter().enumerate() {
        assert_eq!(order(seed as u64), *expected);
    }
    let mut different = orders.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 15);
}

// What ran before counts neither, nor where the clock stands: a seed that fails among others fails alone.
#[test]
fn a_seed_gives_the_same_order_after_others_and_alone_on_a_thread() {
    fn order() -> Vec<u32> {
        let (log, queue) = (Rc::new(RefCell::new(Vec::new())), Queue::bounded(2));
        let all = (0..6).map(|n| {
            let (log, queue) = (log.clone(), queue.clone());
            spawn(move || {
                for round in 0..5 {
                    let patience = Duration::from_millis(if round < 3 { 0 } else { n.into() });
                    let done = match n % 2 {
                        0 => queue.put_timeout(n, patience).is_ok(),
                        _ => queue.get_timeout(patience).is_ok(),
                    };
                    log.borrow_mut().push(n * 100 + round * 10 + u32::from(done));
                    yield_now();
                }
            })
        });
        join_all(all);
        log.take()
    }
    let orders = RefCell::new(Vec::new());
    for_each_seed(40, |_| orders.borrow_mut().push(order()));
    for (seed, expected) in (0..).zip(orders.take()) {
        let alone = std::thread::spawn(move || virtual_time(|| with_seed(seed, order)));
        assert_eq!(alone.join().unwrap(), expected, "seed {seed}");
    }
}

// A timer that is cancelled may wake the hub for nothing, which is not to count.
#[test]
fn a_seed_gives_the_same_order_wherever_the_clock_stands() {
    fn order() -> Vec<u32> {
        let (log, event) = (Rc::new(RefCell::new(Vec::new())), Event::new());
        let micros = Duration::from_micros;
        let setter = event.clone();
        let mut all = vec![spawn(move || {
            sleep(micros(50));
            setter.set();
        })];
        all.extend((0..10).map(|n| {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                assert!(n < 5 || event.wait_timeout(micros(100))); // its timer is cancelled
                sleep(micros(if n < 5 { 120 } else { 70 }));
                log.borrow_mut().push(n);
            })
        }));
        join_all(all);
        log.take()
    }
    virtual_time(|| {
        let expected = with_seed(7, order);
        for _ in 0..100 {
            sleep(Duration::from_micros(13));
            assert_eq!(with_seed(7, order), expected);
        }
    });
}

#[test]
fn without_a_seed_the_order_is_that_of_arrival() {
    order(1);
    let log = Rc::new(RefCell::new(Vec::new()));
    join_all((0..10).map(|n| {
        let log = log.clone();
        spawn(move || log.borrow_mut().push(n))
    }));
    assert_eq!(*log.borrow(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_race_is_found_by_some_seed_and_left_overs_are_killed() {
    let (runs, dropped) = (Cell::new(0), Rc::new(Cell::new(0)));
    struct Left(Rc<Cell<u32>>);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let found = catch_unwind(AssertUnwindSafe(|| {
        for_each_seed(1000, |_| {
            runs.set(runs.get() + 1);
            let left = Left(dropped.clone());
            spawn(move || {
                Event::new().wait();
                drop(left)
            });
            // Read, wait, write: a lost update.
            let account = Rc::new(Cell::new(0));
            join_all((0..2).map(|_| {
                let account = account.clone();
                spawn(move || {
                    let before = account.get();
                    if before == 0 {
                        yield_now()
                    }
                    account.set(before + 1);
                })
            }));
            assert_eq!(account.get(), 2, "lost update");
        });
    }));
    assert!(found.is_err());
    assert!(runs.get() < 1000);
    assert_eq!(dropped.get(), runs.get());
}

#[test]
fn a_left_over_that_cannot_be_killed_does_not_hang() {
    for_each_seed(3, |_| {
        spawn(|| shield(|| Event::new().wait()));
        yield_now();
    });
}

#[test]
fn a_left_over_that_swallows_its_kill_over_and_over_is_told_and_does_not_hang() {
    /// What the failure says, and how many runs there were.
    fn fail(f: impl Fn()) -> (String, u32) {
        let (stop, runs) = (Rc::new(Cell::new(false)), Cell::new(0));
        let text = panic_of(|| {
            for_each_seed(3, |_| {
                runs.set(runs.get() + 1);
                let stop = stop.clone();
                let stubborn = move || {
                    while !stop.get() {
                        drop(catch_unwind(|| Event::new().wait()));
                    }
                };
                drop(Builder::new().name("stubborn").spawn(stubborn).unwrap());
                wait_all_parked();
                f();
            })
        });
        stop.set(true);
        wait_all();
        (text, runs.get())
    }
    let (text, runs) = fail(|| ());
    assert!(text.contains("`stubborn`, spawned at tests/testing.rs:"), "{text}");
    assert!(text.contains("goes on and on though it was killed"), "{text}");
    assert_eq!(runs, 1);
    // A failure of the run itself is what is thrown.
    assert_eq!(fail(|| panic!("expected: the failure")).0, "expected: the failure");
}

#[test]
fn a_left_over_that_ends_what_it_shields_after_many_turns_is_waited_for() {
    let ended = Rc::new(Cell::new(0));
    for_each_seed(3, |_| {
        let (begun, ended) = (Event::new(), ended.clone());
        let begins = begun.clone();
        spawn(move || {
            shield(|| {
                begins.set();
                (0..1_000).for_each(|_| yield_now());
                ended.set(ended.get() + 1);
            });
        });
        begun.wait();
    });
    assert_eq!(ended.get(), 3);
}

#[test]
fn what_a_left_over_spawns_as_it_dies_is_killed_before_the_next_run() {
    let ran = Rc::new(Cell::new(0));
    for_each_seed(3, |_| {
        assert_eq!(ran.get(), 0, "it runs among those of the next");
        let ran = ran.clone();
        spawn(move || {
            let _heir = OnDrop(|| {
                let ran = ran.clone();
                drop(spawn(move || {
                    yield_now();
                    ran.set(ran.get() + 1)
                }));
            });
            Event::new().wait();
        });
        wait_all_parked();
    });
    assert_eq!(ran.get(), 0);
}

// In a process of its own, whose output is read.
#[test]
fn a_failure_tells_its_seed_before_what_is_left_over_is_killed() {
    const NAME: &str = "a_failure_tells_its_seed_before_what_is_left_over_is_killed";
    if is_child(NAME) {
        for_each_seed(1, |_| {
            spawn(|| {
                let _last = OnDrop(|| eprintln!("killed now"));
                Event::new().wait();
            });
            wait_all();
            panic!("expected: the failure");
        });
    }
    let output = String::from_utf8(run_as_child(NAME).stderr).unwrap();
    let (seed, killed) = (output.find("GREENLOOP_SEED=").unwrap(), output.find("killed now").unwrap());
    assert!(seed < killed, "{output}");
}

// In a process of its own, as the environment belongs to all threads.
#[test]
fn the_environment_says_how_many_seeds_are_run_or_which() {
    const NAME: &str = "the_environment_says_how_many_seeds_are_run_or_which";
    if is_child(NAME) {
        for_each_seed(2, |seed| println!("seed {seed}"));
        return;
    }
    let seeds = |name, value| {
        let output = common::child(NAME).env(name, value).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.matches("seed ").count()
    };
    assert_eq!(seeds("GREENLOOP_SEEDS", "5"), 5);
    assert_eq!(seeds("GREENLOOP_SEED", "7"), 1);
    assert_eq!(seeds("GREENLOOP_OTHER", "7"), 2);
}

#[test]
fn nothing_is_lost_whatever_the_order() {
    // QU41, QU42, LO16: over 2,000 orders with kills and timeouts.
    for_each_seed(2000, |_| {
        let (queue, permits) = (Queue::bounded(2), Semaphore::new(2));
        let (put, got) = (Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(0_u32)));
        let putters: Vec<_> = (0..4)
            .map(|_| {
                let (queue, permits, put) = (queue.clone(), permits.clone(), put.clone());
                spawn(move || {
                    for item in 0..4 {
                        permits.acquire();
                        let done = timeout(SECOND * item, || queue.put(item));
                        permits.release();
                        if let Ok(Ok(())) = done {
                            put.set(put.get() + 1);
                        }
                        sleep(SECOND);
                    }
                })
            })
            .collect();
        let getters: Vec<_> = (0..3)
            .map(|patience| {
                let (queue, got) = (queue.clone(), got.clone());
                spawn(move || {
                    while queue.get_timeout(SECOND * (1 + patience)).is_ok() {
                        got.set(got.get() + 1);
                    }
                })
            })
            .collect();
        sleep(SECOND * 2);
        getters[0].kill();
        join_all(putters);
        join_all(getters);
        assert_eq!(got.get() + queue.len() as u32, put.get());
        assert_eq!(permits.available(), 2);
    });
}

#[test]
fn guards_tell_what_has_switched() {
    assert_no_switch(|| Event::new().is_set());
    assert_switches(yield_now);
    assert!(catch_unwind(|| assert_no_switch(yield_now)).is_err());
    assert!(catch_unwind(|| assert_switches(|| ())).is_err());
    // LO17, GL11: neither a release nor a spawn switches.
    let permits = Semaphore::new(0);
    assert_no_switch(|| {
        permits.release();
        spawn(|| ())
    });
    wait_all();
}

#[test]
fn wait_all_parked_lets_everybody_come_to_rest() {
    let (event, passed) = (Event::new(), Rc::new(Cell::new(0)));
    for _ in 0..3 {
        let (event, passed) = (event.clone(), passed.clone());
        spawn(move || {
            (0..5).for_each(|_| yield_now());
            event.wait();
            passed.set(passed.get() + 1)
        });
    }
    wait_all_parked();
    assert!(format!("{event:?}").contains("3 waiting"));
    event.set();
    wait_all_parked();
    assert_eq!(passed.get(), 3);
}

#[test]
fn several_that_wait_until_all_are_parked_do_not_wait_for_each_other() {
    let (event, passed) = (Event::new(), Rc::new(Cell::new(0)));
    let busy = spawn({
        let event = event.clone();
        move || {
            (0..5).for_each(|_| yield_now());
            event.wait();
        }
    });
    let waiting = [(); 2].map(|()| {
        let (event, passed) = (event.clone(), passed.clone());
        spawn(move || {
            wait_all_parked();
            assert!(format!("{event:?}").contains("1 waiting"));
            passed.set(passed.get() + 1);
        })
    });
    let killed = spawn(wait_all_parked);
    yield_now();
    killed.kill(); // counts no longer
    wait_all_parked();
    assert!(format!("{event:?}").contains("1 waiting") && passed.get() <= 2);
    join_all(waiting);
    assert_eq!(passed.get(), 2);
    event.set();
    wait_all_parked();
    assert!(busy.is_finished());
}

#[test]
fn a_connection_in_memory_carries_both_ways_ends_and_breaks() {
    let (client, server) = duplex(3);
    let echo = spawn(move || {
        let mut server = &server;
        let mut bytes = [0; 2];
        loop {
            match server.read(&mut bytes).unwrap() {
                0 => break,
                count => server.write_all(&bytes[..count]).unwrap(),
            }
        }
    });
    let client = Rc::new(client);
    let writer = spawn({
        let client = client.clone();
        move || {
            (&*client).write_all(b"there and back").unwrap();
            client.shutdown_write()
        }
    });
    let mut text = String::new();
    (&*client).read_to_string(&mut text).unwrap();
    assert_eq!(text, "there and back");
    join_all([echo, writer]);
    assert_eq!((&*client).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

    let (mut client, server) = duplex(1);
    let blocked = spawn(move || client.write_all(b"xy").unwrap_err().kind());
    yield_now();
    drop(server);
    assert_eq!(blocked.join().unwrap(), ErrorKind::BrokenPipe);
}

#[test]
fn a_kill_at_a_connection_in_memory_loses_no_byte() {
    let (client, mut server) = duplex(2);
    let client = Rc::new(client);
    let reader = spawn({
        let client = client.clone();
        move || (&*client).read(&mut [0; 8]).unwrap()
    });
    yield_now();
    reader.kill();
    server.write_all(b"ab").unwrap();
    let mut bytes = [0; 2];
    (&*client).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ab");
}

#[test]
fn nobody_stays_parked_beside_bytes_or_room_of_a_connection_in_memory() {
    let (client, server) = duplex(2);
    let (client, server) = (Rc::new(client), Rc::new(server));
    let readers = [(); 2].map(|()| {
        let client = client.clone();
        spawn(move || (&*client).read(&mut [0]).unwrap())
    });
    yield_now();
    (&*server).write_all(b"ab").unwrap();
    wait_all();
    assert!(readers.iter().all(|reader| reader.is_finished()), "{client:?}");

    (&*server).write_all(b"cd").unwrap();
    let writers = [(); 2].map(|()| {
        let server = server.clone();
        spawn(move || (&*server).write(b"e").unwrap())
    });
    yield_now();
    assert_eq!((&*client).read(&mut [0; 2]).unwrap(), 2);
    wait_all();
    assert!(writers.iter().all(|writer| writer.is_finished()), "{client:?}");
}

#[test]
fn whoever_waits_for_room_is_told_that_the_connection_in_memory_has_been_shut_down() {
    let (client, _server) = duplex(1);
    let client = Rc::new(client);
    (&*client).write_all(b"a").unwrap();
    let writers = [(); 2].map(|()| {
        let client = client.clone();
        spawn(move || (&*client).write(b"b").unwrap_err().kind())
    });
    yield_now();
    client.shutdown_write();
    assert!(join_all(writers).into_iter().all(|kind| kind.unwrap() == ErrorKind::BrokenPipe));
}

// Idle turns look at the time that was seen last.
#[test]
fn time_does_not_go_back_when_virtual_time_ends() {
    virtual_time(|| {
        sleep(Duration::from_secs(1000));
        sleep(Duration::from_secs(1));
    });
    wait_all();
    sleep(Duration::from_millis(1));
}

#[test]
fn virtual_time_lasts_until_the_last_that_wants_it_has_ended() {
    let start = Instant::now();
    let first = spawn(|| virtual_time(|| sleep(SECOND)));
    let second = spawn(|| {
        virtual_time(|| {
            sleep(SECOND * 3); // the first ends meanwhile
            elapsed()
        })
    });
    assert_eq!(second.join().unwrap(), SECOND * 3);
    first.join().unwrap();
    assert!(start.elapsed() < SECOND);
    // And no longer.
    let start = Instant::now();
    sleep(Duration::from_millis(5));
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[test]
fn the_order_is_that_of_arrival_when_all_that_had_a_seed_have_ended() {
    let pausing = |seed, times| spawn(move || with_seed(seed, || (0..times).for_each(|_| yield_now())));
    for times in [[3, 30], [30, 3]] {
        join_all([pausing(1, times[0]), pausing(2, times[1])]);
        let log = Rc::new(RefCell::new(Vec::new()));
        join_all((0..20).map(|n| {
            let log = log.clone();
            spawn(move || log.borrow_mut().push(n))
        }));
        assert!(log.take().into_iter().eq(0..20), "{times:?}");
    }
}

#[test]
fn seeds_are_for_the_root() {
    let greenlet = spawn(|| for_each_seed(2, |_| ()));
    assert!(greenlet.join().unwrap_err().to_string().contains("for the root of a thread"));
}

#[test]
fn equal_seeds_choose_the_same_arms() {
    let choices = |seed| {
        let (left, right) = (Queue::unbounded(), Queue::unbounded());
        for n in 0..40 {
            left.put(n).unwrap();
            right.put(n).unwrap();
        }
        let one = || select! { _ = left.get() => 'l', _ = right.get() => 'r' };
        with_seed(seed, || (0..40).map(|_| one()).collect::<String>())
    };
    assert_eq!(choices(7), choices(7));
    assert!((0..10).any(|seed| choices(seed) != choices(7)));
    let before = choices(3);
    spawn(|| ()).join().unwrap(); // the ids that were given out do not count
    assert_eq!(choices(3), before);
}
