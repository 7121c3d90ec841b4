//! Every call with a time limit: what it does with none at all, with one beyond the reach of the clock, and on the root where nothing is
//! left that could end the wait. The rule is in the documentation of the crate, "Time limits".

mod common;

use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use common::{LONG, on_a_thread};
use greenloop::event::{AsyncResult, Event};
use greenloop::io::Watched;
use greenloop::lock::{Barrier, BoundedSemaphore, Condvar, Mutex, ReentrantMutex, RwLock, Semaphore};
use greenloop::net::{TcpListener, TcpStream, UnixStream, lookup_host_timeout};
use greenloop::pool::{Group, Pool};
use greenloop::process::{Command, Stdio};
use greenloop::queue::{Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue};
use greenloop::signal::{SIGUSR2, Signals};
use greenloop::threadpool::ThreadPool;
use greenloop::{
    Handle, LoopExit, Timeout, current, hub, iwait, select, shield, sleep, spawn, spawn_later, sync,
    wait_all_timeout, wait_any_timeout, wait_timeout, yield_now,
};

/// Waits at most so long for something that never comes, and says whether it has come.
type Call = Rc<dyn Fn(Duration) -> bool>;

/// A wait that is made once.
type Wait = Box<dyn FnOnce() -> bool>;

fn call(f: impl Fn(Duration) -> bool + 'static) -> Call {
    Rc::new(f)
}

/// A greenlet that waits for ever, whoever wants it to end.
fn stuck() -> Handle {
    let greenlet = spawn(|| shield(|| Event::new().wait())).handle();
    yield_now();
    greenlet
}

/// The calls that only a greenlet of this thread could answer.
fn calls_within() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = Vec::new();
    let mut add = |name, call| calls.push((name, call));

    let g = stuck();
    add(
        "Handle::wait_timeout",
        call({
            let g = g.clone();
            move |limit| g.wait_timeout(limit)
        }),
    );
    add("Handle::kill_timeout", call(move |limit| g.kill_timeout(limit)));

    let event = Event::new();
    add("Event::wait_timeout", call(move |limit| event.wait_timeout(limit)));
    let result = AsyncResult::<()>::new();
    add(
        "AsyncResult::wait_timeout",
        call({
            let result = result.clone();
            move |limit| result.wait_timeout(limit)
        }),
    );
    add("AsyncResult::get_timeout", call(move |limit| result.get_timeout(limit).is_ok()));

    let permits = Semaphore::new(0);
    add(
        "Semaphore::acquire_timeout",
        call({
            let permits = permits.clone();
            move |limit| permits.acquire_timeout(limit)
        }),
    );
    add(
        "Semaphore::acquire_permit_timeout",
        call({
            let permits = permits.clone();
            move |limit| permits.acquire_permit_timeout(limit).is_some()
        }),
    );
    add("Semaphore::wait", call(move |limit| permits.wait(Some(limit)) > 0));
    let bounded = BoundedSemaphore::new(1);
    assert!(bounded.acquire());
    add("BoundedSemaphore::acquire_timeout", call(move |limit| bounded.acquire_timeout(limit)));

    let mutex = Rc::new(Mutex::new(()));
    std::mem::forget(mutex.lock());
    add("Mutex::lock_timeout", call(move |limit| mutex.lock_timeout(limit).is_some()));
    let reentrant = Rc::new(ReentrantMutex::new(()));
    let holder = reentrant.clone();
    spawn(move || std::mem::forget(holder.lock()));
    yield_now();
    add("ReentrantMutex::lock_timeout", call(move |limit| reentrant.lock_timeout(limit).is_some()));
    let lock = Rc::new(RwLock::new(()));
    std::mem::forget(lock.write());
    add(
        "RwLock::read_timeout",
        call({
            let lock = lock.clone();
            move |limit| lock.read_timeout(limit).is_some()
        }),
    );
    add("RwLock::write_timeout", call(move |limit| lock.write_timeout(limit).is_some()));
    add("Barrier::wait_timeout", call(|limit| Barrier::new(2).wait_timeout(limit).is_ok()));
    add(
        "Condvar::wait_timeout",
        call(|limit| {
            let mutex = Mutex::new(());
            let (_guard, result) = Condvar::new().wait_timeout(mutex.lock(), limit);
            !result.timed_out()
        }),
    );
    add(
        "Condvar::wait_timeout_while",
        call(|limit| {
            let mutex = Mutex::new(());
            let (_guard, result) = Condvar::new().wait_timeout_while(mutex.lock(), limit, |_| true);
            !result.timed_out()
        }),
    );

    macro_rules! queues {
        ($($Queue:ident)*) => {$(
            let full = $Queue::bounded(1);
            full.put(0).unwrap();
            let put = move |limit| full.put_timeout(1, limit).is_ok();
            add(concat!(stringify!($Queue), "::put_timeout"), call(put));
            let empty = $Queue::<u8>::unbounded();
            let get = { let empty = empty.clone(); move |limit| empty.get_timeout(limit).is_ok() };
            add(concat!(stringify!($Queue), "::get_timeout"), call(get));
            let peek = move |limit| empty.peek_timeout(limit).is_ok();
            add(concat!(stringify!($Queue), "::peek_timeout"), call(peek));
        )*};
    }
    queues! { Queue LifoQueue PriorityQueue JoinableQueue }
    let jobs = JoinableQueue::unbounded().with_items([1]);
    add("JoinableQueue::join_timeout", call(move |limit| jobs.join_timeout(limit)));
    let channel = Channel::new();
    add(
        "Channel::put_timeout",
        call({
            let channel = channel.clone();
            move |limit| channel.put_timeout(1, limit).is_ok()
        }),
    );
    add("Channel::get_timeout", call(move |limit| channel.get_timeout(limit).is_ok()));

    let (group, pool) = (Group::new(), Pool::new(1));
    group.add(stuck());
    pool.add(stuck());
    add(
        "Group::join_timeout",
        call({
            let group = group.clone();
            move |limit| group.join_timeout(limit)
        }),
    );
    add("Group::kill_timeout", call(move |limit| group.kill_timeout(limit)));
    add(
        "Pool::spawn_timeout",
        call({
            let pool = pool.clone();
            move |limit| pool.spawn_timeout(|| (), limit).is_ok()
        }),
    );
    add(
        "Pool::add_timeout",
        call({
            let pool = pool.clone();
            move |limit| pool.add_timeout(stuck(), limit).is_ok()
        }),
    );
    add("Pool::wait_available", call(move |limit| pool.wait_available(Some(limit)) > 0));

    let never = Event::new();
    add(
        "wait_timeout",
        call({
            let never = never.clone();
            move |limit| !wait_timeout(&[&never], limit).is_empty()
        }),
    );
    add(
        "wait_any_timeout",
        call({
            let never = never.clone();
            move |limit| wait_any_timeout(&[&never], limit).is_some()
        }),
    );
    add(
        "iwait().timeout",
        call({
            let never = never.clone();
            move |limit| iwait(&[&never]).timeout(limit).count() > 0
        }),
    );
    add(
        "select! after",
        call({
            let never = never.clone();
            move |limit| {
                select! {
                    _ = never.wait() => true,
                    _ = after(limit) => false,
                }
            }
        }),
    );
    add(
        "timeout",
        call({
            let never = never.clone();
            move |limit| greenloop::timeout(limit, || never.wait()).is_ok()
        }),
    );
    add("Timeout::run", call(move |limit| Timeout::new(limit).run(|| never.wait()).is_ok()));
    add(
        "sleep",
        call(|limit| {
            sleep(limit);
            false
        }),
    );
    add(
        "spawn_later",
        call(|limit| {
            spawn_later(limit, || ()).join().unwrap();
            false
        }),
    );
    calls
}

/// The calls that another thread could answer, as far as is known.
fn calls_to_others() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = Vec::new();
    let mut add = |name, call| calls.push((name, call));
    let threads = ThreadPool::new(0);
    let job = threads.spawn(|| ());
    add("Job::wait_timeout", call(move |limit| job.wait_timeout(limit)));
    add("ThreadPool::join_timeout", call(move |limit| threads.join_timeout(limit)));
    let (event, result) = (sync::Event::new(), sync::AsyncResult::<()>::new());
    add("sync::Event::wait_timeout", call(move |limit| event.wait_timeout(limit)));
    add(
        "sync::AsyncResult::wait_timeout",
        call({
            let result = result.clone();
            move |limit| result.wait_timeout(limit)
        }),
    );
    add("sync::AsyncResult::get_timeout", call(move |limit| result.get_timeout(limit).is_ok()));
    let permits = sync::Semaphore::new(0);
    add("sync::Semaphore::acquire_timeout", call(move |limit| permits.acquire_timeout(limit)));
    let (sender, receiver) = sync::channel(1);
    sender.send(1).unwrap();
    let (other, empty) = sync::channel::<u8>(1);
    add(
        "Sender::send_timeout",
        call(move |limit| {
            let _receiver = &receiver;
            sender.send_timeout(1, limit).is_ok()
        }),
    );
    add(
        "Receiver::recv_timeout",
        call(move |limit| {
            let _sender = &other;
            empty.recv_timeout(limit).is_ok()
        }),
    );
    calls
}

/// All of them, made anew.
fn calls() -> Vec<(&'static str, Call)> {
    [calls_within(), calls_to_others()].into_iter().flatten().collect()
}

/// Also those of which a calculation with nanoseconds, with signed seconds or with the present could run over.
fn beyond_the_clock() -> [Duration; 4] {
    [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        Duration::from_secs(i64::MAX as u64),
        Duration::from_nanos(u64::MAX),
    ]
}

#[test]
fn a_limit_of_zero_gives_up_within_a_turn() {
    on_a_thread(|| {
        for (name, call) in calls() {
            let (turns, has_come) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
            let (counted, told) = (turns.clone(), has_come.clone());
            let g = spawn(move || told.set(Some(call(Duration::ZERO))));
            let counter = spawn(move || {
                loop {
                    counted.set(counted.get() + 1);
                    yield_now();
                }
            });
            assert!(g.wait_timeout(LONG), "{name}");
            assert_eq!(has_come.get(), Some(false), "{name}");
            assert!(turns.get() <= 200, "{name}: others had {} turns", turns.get());
            counter.kill();
        }
    });
}

#[test]
fn a_limit_beyond_the_reach_of_the_clock_is_none() {
    on_a_thread(|| {
        for limit in beyond_the_clock() {
            for (name, call) in calls() {
                let g = spawn(move || call(limit));
                for _ in 0..3 {
                    yield_now();
                }
                assert!(!g.is_finished(), "{name} {limit:?}: {:?}", g.join());
                g.kill();
                assert!(g.join().unwrap_err().is_killed(), "{name} {limit:?}");
            }
        }
    });
}

#[test]
fn without_a_limit_the_root_learns_of_a_deadlock() {
    on_a_thread(|| {
        for (name, call) in calls_within() {
            let payload = catch_unwind(AssertUnwindSafe(|| call(Duration::MAX))).expect_err(name);
            assert!(LoopExit::from_panic(&*payload).is_some(), "{name}");
        }
    });
}

// Those of which the table has none: they are the root's, or need no greenlet.
#[test]
fn the_root_waits_for_all_as_long_as_it_likes() {
    on_a_thread(|| {
        for limit in beyond_the_clock() {
            spawn(|| sleep(Duration::from_millis(1)));
            assert!(wait_all_timeout(limit));
        }
        spawn(|| sleep(LONG));
        assert!(!wait_all_timeout(Duration::ZERO));
    });
    on_a_thread(|| {
        let remote = hub::remote();
        assert_eq!(current().id(), 0);
        for limit in beyond_the_clock() {
            let remote = remote.clone();
            let other = thread::spawn(move || remote.spawn(|| ()).unwrap().wait_timeout(limit));
            while !other.is_finished() {
                sleep(Duration::from_millis(1));
            }
            assert!(other.join().unwrap());
        }
    });
}

#[test]
fn input_output_and_processes_take_limits_beyond_the_clock() {
    on_a_thread(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for limit in beyond_the_clock() {
            let (stream, _peer) = UnixStream::pair().unwrap();
            for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
                set(&stream, Some(limit)).unwrap();
            }
            let (watched, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            let watched = Watched::new(watched).unwrap();
            let signals = Signals::new(&[SIGUSR2]).unwrap();
            let waits: [(&str, Wait); 4] = [
                ("read", Box::new(move || (&stream).read(&mut [0; 1]).is_ok())),
                ("readable", Box::new(move || watched.readable_timeout(limit).is_ok())),
                (
                    "select",
                    Box::new(move || {
                        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
                        greenloop::io::select(&[&end], &[], Some(limit)).is_ok()
                    }),
                ),
                ("signals", Box::new(move || signals.wait_timeout(limit).is_ok())),
            ];
            for (name, wait) in waits {
                let g = spawn(wait);
                sleep(Duration::from_millis(1));
                assert!(!g.is_finished(), "{name} {limit:?}: {:?}", g.join());
                g.kill();
            }
            TcpStream::connect_timeout(address, limit).unwrap();
            assert!(!lookup_host_timeout(("localhost", 80), limit).unwrap().is_empty());
            assert_eq!(Command::new("echo").arg("tea").output_timeout(limit).unwrap().stdout, b"tea\n");
            let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            assert_eq!(cat.communicate_timeout(b"tea", limit).unwrap().stdout, b"tea");
            let mut child = Command::new("sleep").arg("0.01").spawn().unwrap();
            assert!(child.wait_timeout(limit).unwrap().unwrap().success());
        }
    });
}
