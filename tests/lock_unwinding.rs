//! What the locks do where nothing waits: calls that can say no do, those that cannot panic and say why. And what reports
//! of a deadlock say of them.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use common::{Flag, LONG, OnDrop, is_child, run_as_child};
use greenloop::lock::{
    Barrier, BoundedSemaphore, BrokenBarrier, Condvar, Lazy, Mutex, OnceCell, ReentrantMutex, RwLock,
    Semaphore,
};
use greenloop::{Builder, LoopExit, join_all, kill_all, sleep, spawn, wait_all, yield_now};

/// Runs `f` in a destructor that a panic runs, and gives what it gave. What it panics with is passed on afterwards.
fn while_unwinding<T>(f: impl FnOnce() -> T) -> T {
    let (mut f, mut result) = (Some(f), None);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = OnDrop(|| {
            assert!(std::thread::panicking());
            result = f.take().map(|f| catch_unwind(AssertUnwindSafe(f)));
        });
        panic!("expected");
    }));
    assert!(caught.is_err());
    match result.expect("the destructor has run") {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

fn refusal_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| while_unwinding(f))).expect_err("a panic");
    *payload.downcast::<String>().expect("a text")
}

/// The locks of this file, each held by a greenlet that does not let go.
struct Held {
    semaphore: Semaphore,
    bounded: BoundedSemaphore,
    mutex: Rc<Mutex<u32>>,
    reentrant: Rc<ReentrantMutex<u32>>,
    written: Rc<RwLock<u32>>,
    read: Rc<RwLock<u32>>,
    cell: Rc<OnceCell<u32>>,
    lazy: Rc<Lazy<u32>>,
}

fn held() -> (Held, greenloop::Greenlet<()>) {
    let making = || {
        sleep(LONG);
        0
    };
    let held = Held {
        semaphore: Semaphore::new(0),
        bounded: BoundedSemaphore::new(1),
        mutex: Rc::new(Mutex::new(0)),
        reentrant: Rc::new(ReentrantMutex::new(0)),
        written: Rc::new(RwLock::new(0)),
        read: Rc::new(RwLock::new(0)),
        cell: Rc::new(OnceCell::new()),
        lazy: Rc::new(Lazy::new(making)),
    };
    let Held { bounded, mutex, reentrant, written, read, cell, lazy, .. } = &held;
    let (bounded, mutex, reentrant) = (bounded.clone(), mutex.clone(), reentrant.clone());
    let (written, read, cell, lazy) = (written.clone(), read.clone(), cell.clone(), lazy.clone());
    let holder = Builder::new().name("holder").spawn(move || {
        let _permit = bounded.acquire_permit();
        let _guards = (mutex.lock(), reentrant.lock(), written.write(), read.read());
        cell.get_or_init(|| **lazy);
    });
    yield_now();
    (held, holder.unwrap())
}

#[test]
fn calls_that_can_say_no_say_no_while_unwinding() {
    let (held, holder) = held();
    while_unwinding(|| {
        assert!(held.semaphore.acquire_permit().is_none());
        assert!(held.semaphore.acquire_permit_timeout(LONG).is_none());
        assert!(held.bounded.acquire_permit().is_none());
        assert!(!held.bounded.acquire());
        assert!(held.mutex.try_lock().is_none() && held.mutex.lock_timeout(LONG).is_none());
        assert!(held.reentrant.try_lock().is_none() && held.reentrant.lock_timeout(LONG).is_none());
        assert!(held.written.read_timeout(LONG).is_none() && held.written.write_timeout(LONG).is_none());
        assert!(held.read.write_timeout(LONG).is_none());
        assert!(held.read.read_timeout(LONG).is_some());
        assert_eq!((held.cell.get(), held.cell.set(1), Lazy::get(&held.lazy)), (None, Err(1), None));

        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        let (guard, result) = condvar.wait_timeout(mutex.lock(), LONG);
        assert!(result.timed_out());
        let (guard, result) = condvar.wait_timeout_while(guard, LONG, |_| true);
        assert!(result.timed_out());
        drop(condvar.wait_while(guard, |_| false));
        assert!(!mutex.is_locked());
    });
    holder.kill();
}

#[test]
fn calls_that_cannot_say_no_panic_while_unwinding_and_name_the_way_out() {
    let (held, holder) = held();
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    let refusals = [
        (refusal_of(|| drop(held.mutex.lock())), "Mutex::lock", "use Mutex::try_lock"),
        (refusal_of(|| drop(held.reentrant.lock())), "ReentrantMutex::lock", "use ReentrantMutex::try_lock"),
        (refusal_of(|| drop(held.written.read())), "RwLock::read", "use RwLock::try_read"),
        (refusal_of(|| drop(held.read.write())), "RwLock::write", "use RwLock::try_write"),
        (refusal_of(|| _ = held.cell.get_or_init(|| 1)), "OnceCell::get_or_init", "use OnceCell::get"),
        (
            refusal_of(|| _ = held.cell.get_or_try_init(|| Ok::<_, ()>(1))),
            "OnceCell::get_or_try_init",
            "use OnceCell::get",
        ),
        (refusal_of(|| drop(condvar.wait(mutex.lock()))), "Condvar::wait", "use Condvar::wait_timeout"),
        (
            refusal_of(|| drop(condvar.wait_while(mutex.lock(), |_| true))),
            "Condvar::wait",
            "use Condvar::wait_timeout",
        ),
    ];
    for (text, call, instead) in refusals {
        assert!(text.starts_with(&format!("{call} would have to wait")), "{text}");
        assert!(text.ends_with(instead), "{text}");
    }
    assert!(!mutex.is_locked());
    holder.kill();
    assert!(held.mutex.try_lock().is_some() && held.read.try_write().is_some());
}

#[test]
fn what_needs_no_wait_works_while_unwinding() {
    while_unwinding(|| {
        let mutex = Mutex::new(1);
        *mutex.lock() += 1;
        let reentrant = ReentrantMutex::new(1);
        let (_outer, _inner) = (reentrant.lock(), reentrant.lock());
        let lock = RwLock::new(1);
        *lock.write() += 1;
        assert_eq!(*lock.read() + *mutex.lock(), 4);
        assert_eq!(*OnceCell::new().get_or_init(|| 1), 1);
        assert_eq!(**Lazy::<String>::default(), *"");
        assert!(Barrier::new(1).wait().is_ok());
        assert!(Semaphore::new(1).acquire_permit().is_some());
        Condvar::new().notify_all();
    });
}

// A greenlet that unwinds cannot line up: it takes a lock that another was woken for, which then waits on in front.
#[test]
fn an_unwinding_greenlet_takes_what_is_promised_but_held_by_nobody() {
    let (mutex, lock) = (Rc::new(Mutex::new(Vec::new())), Rc::new(RwLock::new(Vec::new())));
    let guards = (mutex.lock(), lock.write());
    let waiters = [1, 2].map(|n| {
        let (mutex, lock) = (mutex.clone(), lock.clone());
        spawn(move || {
            mutex.lock().push(n);
            lock.write().push(n);
        })
    });
    let readers = [(); 2].map(|()| {
        let lock = lock.clone();
        spawn(move || drop(lock.read()))
    });
    yield_now();
    drop(guards);
    assert!(mutex.try_lock().is_none() && lock.try_write().is_none());
    while_unwinding(|| {
        mutex.lock().push(0);
        lock.write().push(0);
        drop(lock.read());
    });
    assert!(join_all(waiters).into_iter().chain(join_all(readers)).all(|g| g.is_ok()));
    assert_eq!((&*mutex.lock(), &*lock.read()), (&vec![0, 1, 2], &vec![0, 1, 2]));
}

// The same, kept over a switch in another greenlet: those that were promised the lock find it held.
#[test]
fn those_that_find_their_promised_lock_taken_keep_their_place() {
    let mutex: &'static Mutex<Vec<u32>> = Box::leak(Box::new(Mutex::new(Vec::new())));
    let lock: &'static RwLock<Vec<u32>> = Box::leak(Box::new(RwLock::new(Vec::new())));
    for writers in [false, true] {
        let held = (mutex.lock(), lock.write());
        let mut all: Vec<_> = (0..3)
            .map(|n| {
                spawn(move || {
                    mutex.lock().push(n);
                    if writers { lock.write().push(n) } else { drop(lock.read()) }
                })
            })
            .collect();
        let in_lock: Vec<_> = (3..6).map(|n| spawn(move || lock.write().push(n))).collect();
        yield_now();
        drop(held);
        let taken = while_unwinding(|| (mutex.lock(), lock.write()));
        all.push(spawn(move || {
            yield_now();
            drop(taken);
        }));
        assert!(join_all(all).into_iter().chain(join_all(in_lock)).all(|g| g.is_ok()));
        assert_eq!(std::mem::take(&mut *mutex.lock()), [0, 1, 2]);
        let expected = if writers { vec![3, 4, 5, 0, 1, 2] } else { vec![3, 4, 5] };
        assert_eq!(std::mem::take(&mut *lock.write()), expected);
    }
}

// Whoever gives up breaks it: the others would wait for ever.
#[test]
fn a_barrier_breaks_when_one_that_unwinds_cannot_wait_for_the_others() {
    let barrier = Barrier::new(3);
    let waiting = spawn({
        let barrier = barrier.clone();
        move || barrier.wait()
    });
    yield_now();
    assert_eq!(while_unwinding(|| barrier.wait()), Err(BrokenBarrier));
    assert_eq!(waiting.join().unwrap(), Err(BrokenBarrier));
    barrier.reset();
    let waiting = spawn({
        let barrier = barrier.clone();
        move || barrier.wait()
    });
    let another = spawn({
        let barrier = barrier.clone();
        move || barrier.wait()
    });
    yield_now();
    assert!(while_unwinding(|| barrier.wait()).is_ok());
    assert!(join_all([waiting, another]).into_iter().all(|party| party.unwrap().is_ok()));
}

// The process ends, as a panic leaves a destructor during an unwind; but it does not do so without a word.
#[test]
fn a_destructor_that_locks_a_held_mutex_during_an_unwind_says_why_the_process_ends() {
    const NAME: &str = "a_destructor_that_locks_a_held_mutex_during_an_unwind_says_why_the_process_ends";
    if !is_child(NAME) {
        let output = run_as_child(NAME);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(text.contains("Mutex::lock would have to wait"), "{text}");
        assert!(text.contains("in a destructor use Mutex::try_lock"), "{text}");
        return;
    }
    let mutex = Rc::new(Mutex::new(()));
    let guard = mutex.lock();
    let g = spawn({
        let mutex = mutex.clone();
        move || {
            let _locks = OnDrop(|| drop(mutex.lock()));
            sleep(LONG);
        }
    });
    yield_now();
    g.kill();
    drop(guard);
}

#[track_caller]
fn report_of(blocks: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(blocks)).unwrap_err();
    LoopExit::from_panic(&*payload).expect("a deadlock").report().to_string()
}

#[track_caller]
fn assert_line(report: &str, words: &str) {
    let here = concat!(" at ", file!());
    assert!(report.contains(&format!("{words}{here}")), "no `{words}{here}` in {report}");
}

#[test]
fn every_wait_is_named_in_a_report() {
    let mutex = Mutex::new(0);
    let _held = mutex.lock();
    let me = std::thread::current().name().unwrap().to_string();
    assert_line(&report_of(|| drop(mutex.lock())), &format!("{me} waits for lock held by {me}"));
    let lock = RwLock::new(0);
    {
        let _read = lock.read();
        assert_line(&report_of(|| drop(lock.write())), "waits for rwlock (write) held by readers");
    }
    let _write = lock.write();
    assert_line(&report_of(|| drop(lock.read())), &format!("waits for rwlock (read) held by {me}"));
    let free = Mutex::new(0);
    assert_line(&report_of(|| drop(Condvar::new().wait(free.lock()))), "waits for condition (notify)");
    assert!(free.try_lock().is_some());
    assert_line(&report_of(|| _ = Barrier::new(3).wait()), "waits for barrier (arrival), 1 of 3");
    assert_line(&report_of(|| drop(Semaphore::new(0).acquire_permit())), "waits for semaphore (acquire)");

    let cell: Rc<OnceCell<u32>> = Rc::default();
    let maker = spawn({
        let cell = cell.clone();
        move || {
            *cell.get_or_init(|| {
                *OnceCell::new().get_or_init(|| Condvar::new().wait(Mutex::new(1).lock()).max(1))
            })
        }
    });
    yield_now();
    let made_by = format!("waits for once cell being made by #{}", maker.id());
    assert_line(&report_of(|| _ = cell.get_or_init(|| 1)), &made_by);
    let lazy = Lazy::<u32>::new(loop_exit);
    assert!(report_of(|| _ = *lazy).contains("waits for condition"));
    maker.kill();
}

fn loop_exit() -> u32 {
    *Condvar::new().wait(Mutex::new(1).lock())
}

// Story 14.
#[test]
fn a_report_names_the_holder_of_a_lock_as_of_now() {
    let mutex = Rc::new(Mutex::new(()));
    let reentrant = Rc::new(ReentrantMutex::new(()));
    let taken = Flag::new();
    let names = ["first", "second", "third"];
    let all = names.map(|name| {
        let (mutex, reentrant, taken) = (mutex.clone(), reentrant.clone(), taken.clone());
        let g = Builder::new().name(name).spawn(move || {
            let _guard = mutex.lock();
            if name == "first" {
                yield_now(); // the others line up
                return;
            }
            taken.raise();
            let _inner = reentrant.lock();
        });
        g.unwrap()
    });
    let guard = reentrant.lock();
    let report = report_of(|| all[2].wait());
    assert!(taken.is_up());
    let [first, second, third] = [0, 1, 2].map(|n| format!("#{} `{}`", all[n].id(), names[n]));
    assert_line(&report, &format!("{third} waits for lock held by {second}"));
    let me = std::thread::current().name().unwrap().to_string();
    assert_line(&report, &format!("{second} waits for lock held by {me}"));
    assert!(!report.contains(&first), "{report}");
    drop(guard);
    join_all(all);
}

// Its guard was forgotten, or given to somebody.
#[test]
fn a_report_says_that_the_holder_has_ended() {
    let mutex = Rc::new(Mutex::new(()));
    let g = spawn({
        let mutex = mutex.clone();
        move || std::mem::forget(mutex.lock())
    });
    let id = g.id();
    g.join().unwrap();
    assert_line(&report_of(|| drop(mutex.lock())), &format!("waits for lock held by #{id} (ended)"));
}

#[test]
fn a_report_of_a_lock_does_not_spoil_it() {
    let (mutex, lock) = (Rc::new(Mutex::new(())), Rc::new(RwLock::new(())));
    let held = (mutex.lock(), lock.read());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (mutex, lock) = (mutex.clone(), lock.clone());
            spawn(move || {
                drop(lock.write());
                drop(mutex.lock());
            })
        })
        .collect();
    for _ in 0..3 {
        report_of(|| drop(mutex.lock()));
        report_of(|| drop(lock.write()));
    }
    drop(held);
    wait_all();
    assert!(waiters.iter().all(|waiter| waiter.is_finished()));
    assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
    kill_all(&waiters);
}
