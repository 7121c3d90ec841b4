//! `RwLock`: who may be inside together, turns, and that nobody stays outside an open door.

mod common;

use std::rc::Rc;
use std::time::Duration;

use common::{Flag, LONG, Log, SHORT};
use greenloop::lock::RwLock;
use greenloop::{Greenlet, join_all, sleep, spawn, timeout, wait_all, yield_now};

type Lock = Rc<RwLock<u32>>;

/// Spawns a reader that logs its name and stays inside for a yield.
fn reader(lock: &Lock, log: &Log<&'static str>, name: &'static str) -> Greenlet<()> {
    let (lock, log) = (lock.clone(), log.clone());
    spawn(move || {
        let _guard = lock.read();
        log.add(name);
        yield_now();
    })
}

/// Spawns a writer that logs its name and stays inside for a yield.
fn writer(lock: &Lock, log: &Log<&'static str>, name: &'static str) -> Greenlet<()> {
    let (lock, log) = (lock.clone(), log.clone());
    spawn(move || {
        let mut guard = lock.write();
        log.add(name);
        yield_now();
        *guard += 1;
    })
}

fn fixture() -> (Lock, Log<&'static str>) {
    (Rc::new(RwLock::new(0)), Log::new())
}

#[test]
fn many_read_and_one_writes() {
    let lock = RwLock::new(5);
    {
        let (one, two) = (lock.read(), lock.read());
        assert_eq!(*one + *two, 10);
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        assert!(lock.write_timeout(Duration::ZERO).is_none());
    }
    {
        let mut write = lock.write();
        *write += 1;
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert!(lock.read_timeout(Duration::ZERO).is_none());
    }
    assert!(lock.try_write().is_some());
    assert_eq!(lock.into_inner(), 6);
}

#[test]
fn the_data_stays_as_it_is_while_somebody_is_inside() {
    let lock: Lock = Rc::new(RwLock::new(0));
    let done = join_all((0..40).map(|n| {
        let lock = lock.clone();
        spawn(move || {
            for _ in 0..10 {
                if n % 4 == 0 {
                    let mut value = lock.write();
                    let before = *value;
                    yield_now();
                    *value = before + 1;
                } else {
                    let value = lock.read();
                    let before = *value;
                    yield_now();
                    assert_eq!(*value, before);
                }
            }
        })
    }));
    assert!(done.into_iter().all(|g| g.is_ok()));
    assert_eq!(*lock.read(), 100);
}

#[test]
fn a_reader_that_comes_while_a_writer_waits_goes_behind_it() {
    let (lock, log) = fixture();
    let inside = lock.read();
    let writer = writer(&lock, &log, "writer");
    yield_now();
    assert!(lock.try_read().is_none());
    let reader = reader(&lock, &log, "reader");
    yield_now();
    assert_eq!(log.len(), 0);
    drop(inside);
    join_all([writer, reader]);
    assert_eq!(log.take(), ["writer", "reader"]);
}

#[test]
fn after_a_writer_all_readers_that_wait_go_in_together_then_the_next_writer() {
    let (lock, log) = fixture();
    let inside = lock.write();
    let all = vec![
        reader(&lock, &log, "r1"),
        writer(&lock, &log, "w1"),
        reader(&lock, &log, "r2"),
        writer(&lock, &log, "w2"),
        reader(&lock, &log, "r3"),
    ];
    yield_now();
    drop(inside);
    join_all(all);
    assert_eq!(log.take(), ["r1", "r2", "r3", "w1", "w2"]);
    assert_eq!(*lock.read(), 2);
}

#[test]
fn readers_that_come_and_go_all_the_time_do_not_starve_a_writer() {
    let (lock, stop) = (Rc::new(RwLock::new(0)), Flag::new());
    let readers: Vec<_> = (0..3)
        .map(|n| {
            let (lock, stop) = (lock.clone(), stop.clone());
            spawn(move || {
                (0..n).for_each(|_| yield_now());
                for _ in (0..100_000).take_while(|_| !stop.is_up()) {
                    let _guard = lock.read();
                    (0..3).for_each(|_| yield_now());
                }
            })
        })
        .collect();
    yield_now();
    for _ in 0..50 {
        *lock.write() += 1;
    }
    assert!(readers.iter().all(|reader| !reader.is_finished()));
    stop.raise();
    join_all(readers);
    assert_eq!(*lock.read(), 50);
}

#[test]
fn writers_that_come_all_the_time_do_not_starve_a_reader() {
    let (lock, stop) = (Rc::new(RwLock::new(0)), Flag::new());
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (lock, stop) = (lock.clone(), stop.clone());
            spawn(move || {
                for _ in (0..100_000).take_while(|_| !stop.is_up()) {
                    let _guard = lock.write();
                    yield_now();
                }
            })
        })
        .collect();
    yield_now();
    for _ in 0..50 {
        drop(lock.read());
    }
    assert!(writers.iter().all(|writer| !writer.is_finished()));
    stop.raise();
    join_all(writers);
}

#[test]
fn who_comes_when_the_lock_is_promised_goes_behind() {
    let (lock, log) = fixture();
    let inside = lock.write();
    let waiting = writer(&lock, &log, "waiting");
    yield_now();
    drop(inside);
    assert!(lock.try_write().is_none() && lock.try_read().is_none());
    let guard = lock.write();
    log.add("late");
    drop(guard);
    assert_eq!(log.take(), ["waiting", "late"]);
    waiting.join().unwrap();
}

#[test]
fn a_writer_killed_while_it_waits_no_longer_keeps_readers_out() {
    let (lock, log) = fixture();
    let inside = lock.read();
    let writer = writer(&lock, &log, "writer");
    yield_now();
    let readers = [reader(&lock, &log, "r1"), reader(&lock, &log, "r2")];
    yield_now();
    assert_eq!(log.len(), 0);
    writer.kill();
    join_all(readers);
    assert_eq!(log.take(), ["r1", "r2"]);
    assert!(lock.try_read().is_some() && lock.try_write().is_none());
    drop(inside);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_writer_whose_time_runs_out_no_longer_keeps_readers_out() {
    for around in [false, true] {
        let (lock, log) = fixture();
        let inside = lock.read();
        let late = spawn({
            let lock = lock.clone();
            move || match around {
                true => timeout(SHORT, || drop(lock.write())).is_err(),
                false => lock.write_timeout(SHORT).is_none(),
            }
        });
        yield_now();
        let reader = reader(&lock, &log, "reader");
        reader.join().unwrap();
        assert!(late.join().unwrap());
        drop(inside);
    }
}

// The door opens in the moment in which the writer at its head has been killed and does not know yet.
#[test]
fn a_killed_writer_that_has_not_run_yet_lets_those_behind_it_in() {
    let (lock, log) = fixture();
    let inside = lock.read();
    let killed = writer(&lock, &log, "killed");
    yield_now();
    let all = [reader(&lock, &log, "reader"), writer(&lock, &log, "writer")];
    yield_now();
    killed.kill_nowait();
    drop(inside);
    join_all(all);
    let mut log = log.take();
    log.sort_unstable();
    assert_eq!(log, ["reader", "writer"]);
    assert!(lock.try_write().is_some());
}

// Both alarms ring in one turn: who is inside goes out first.
#[test]
fn a_door_that_opens_in_the_turn_in_which_the_time_runs_out_wins() {
    for writes in [false, true] {
        let (lock, _) = fixture();
        let inside = spawn({
            let lock = lock.clone();
            move || {
                let _guard = lock.write();
                sleep(SHORT);
            }
        });
        yield_now();
        let late = spawn({
            let lock = lock.clone();
            move || match writes {
                true => lock.write_timeout(2 * SHORT).is_some(),
                false => lock.read_timeout(2 * SHORT).is_some(),
            }
        });
        yield_now();
        std::thread::sleep(4 * SHORT);
        assert!(late.join().unwrap());
        inside.join().unwrap();
    }
}

#[test]
fn killed_and_late_readers_leave_the_line() {
    let (lock, log) = fixture();
    let inside = lock.write();
    let killed = reader(&lock, &log, "killed");
    let late = spawn({
        let lock = lock.clone();
        move || lock.read_timeout(SHORT).is_none() && timeout(SHORT, || drop(lock.read())).is_err()
    });
    yield_now();
    killed.kill();
    assert!(late.join().unwrap());
    drop(inside);
    assert!(lock.try_write().is_some());
    assert_eq!(log.len(), 0);
}

#[test]
fn those_killed_after_they_were_woken_go_in_and_come_out() {
    let (lock, log) = fixture();
    let inside = lock.write();
    let readers = [reader(&lock, &log, "r1"), reader(&lock, &log, "r2")];
    yield_now();
    let writer = writer(&lock, &log, "w");
    yield_now();
    drop(inside);
    readers.iter().for_each(|reader| reader.kill_nowait());
    writer.join().unwrap();
    assert_eq!(log.take(), ["r1", "r2", "w"]);
    assert!(lock.try_write().is_some());
}

#[test]
fn whatever_unwinds_past_a_guard_gives_it_back() {
    let lock: Lock = Rc::new(RwLock::new(0));
    let bad = spawn({
        let lock = lock.clone();
        move || {
            let _guard = lock.write();
            panic!("expected");
        }
    });
    assert!(bad.join().unwrap_err().is_panic());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let lock = lock.clone();
            spawn(move || {
                let _guard = lock.read();
                sleep(LONG);
            })
        })
        .collect();
    let writer = spawn({
        let lock = lock.clone();
        move || *lock.write() = 7
    });
    yield_now();
    readers.iter().for_each(|reader| reader.kill());
    writer.join().unwrap();
    assert_eq!(*lock.try_read().unwrap(), 7);
}

#[test]
fn a_guard_may_be_dropped_by_another_greenlet() {
    let lock: &'static RwLock<u32> = Box::leak(Box::new(RwLock::new(0)));
    let read = lock.read();
    let other = spawn(move || drop(read));
    let write = lock.write();
    assert!(other.is_finished());
    let other = spawn(move || drop(write));
    assert_eq!(*lock.read(), 0);
    assert!(other.is_finished());
}

#[test]
fn it_can_be_formatted_and_made_from_values() {
    let mut lock = RwLock::from(1);
    *lock.get_mut() = 2;
    {
        let read = lock.read();
        assert_eq!(format!("{lock:?} {read:?} {read}"), "RwLock(2) 2 2");
    }
    {
        let write = lock.write();
        assert_eq!(format!("{lock:?} {write:?} {write}"), "RwLock(<locked>) 2 2");
    }
    assert_eq!(*RwLock::<u8>::default().read(), 0);
    wait_all();
}
