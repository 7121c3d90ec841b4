//! Every call that may wait, in destructors that may not: whatever runs them, no call waits, and none ends the process. The
//! commonest are in `unwinding.rs`; what is left behind, in `unwinding_no_loss.rs`.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::{self, panicking};
use std::time::{Duration, Instant};

use common::{LONG, Log, OnDrop, PROMPT, SHORT, on_a_thread};
use greenloop::event::{AsyncResult, Event};
use greenloop::future::block_on;
use greenloop::lock::{
    Barrier, BoundedSemaphore, BrokenBarrier, Condvar, Lazy, Mutex, OnceCell, ReentrantMutex, RwLock,
    Semaphore,
};
use greenloop::pool::{Group, Pool, PoolFull};
use greenloop::queue::{Channel, GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue};
use greenloop::server::StreamServer;
use greenloop::threadpool::ThreadPool;
use greenloop::{
    Builder, Elapsed, Timeout, current, greenlet_local, idle, inherited, iwait, kill_all, kill_all_nowait,
    kill_all_timeout, scope, select, shield, sleep, spawn, spawn_later, sync, testing, timeout, try_join_all,
    wait, wait_any, wait_any_timeout, wait_timeout, yield_now,
};

type Guard = Rc<OnDrop<Box<dyn FnMut()>>>;

/// Runs `calls` in a destructor: in each of the ways in which one can be run by an unwind, each on a thread of its own. What
/// it panics with is passed on, as it would end the process in there.
#[track_caller]
fn in_every_unwind(calls: fn()) {
    let unwinds: [fn(Guard); 5] = [panic_of_a_greenlet, panic_of_the_root, kill, expiry, deadlock];
    for unwind in unwinds {
        let start = Instant::now();
        on_a_thread(move || {
            // A thread without a hub would be blocked by what crosses threads.
            assert_eq!(current().id(), 0);
            let outcome = Rc::new(Cell::new(None));
            let told = outcome.clone();
            unwind(Rc::new(OnDrop(Box::new(move || {
                assert!(panicking());
                told.set(Some(catch_unwind(calls)));
            }))));
            outcome
                .take()
                .expect("the destructor comes to its end")
                .unwrap_or_else(|payload| resume_unwind(payload));
        });
        assert!(start.elapsed() < PROMPT);
    }
}

fn panic_of_a_greenlet(guard: Guard) {
    let g = spawn(move || {
        let _guard = guard;
        panic!("expected");
    });
    assert!(g.join().unwrap_err().is_panic());
}

fn panic_of_the_root(guard: Guard) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = guard;
        panic!("expected");
    }));
    assert!(caught.is_err());
}

fn kill(guard: Guard) {
    let g = spawn(move || {
        let _guard = guard;
        sleep(LONG);
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
}

fn expiry(guard: Guard) {
    let elapsed = timeout(SHORT, || {
        let _guard = guard;
        sleep(LONG);
    });
    assert_eq!(elapsed, Err(Elapsed));
}

fn deadlock(guard: Guard) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = guard;
        Event::new().wait();
    }));
    assert!(caught.is_err());
}

/// That a call which cannot say no panics, and names the one that can.
#[track_caller]
fn assert_refused<T>(call: impl FnOnce() -> T, instead: &str) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(call()))) else { panic!("no refusal") };
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    };
    assert!(text.contains(instead), "{text}");
}

#[test]
fn greenlets() {
    in_every_unwind(|| {
        idle();
        let waiting = spawn(|| sleep(LONG));
        assert!(try_join_all([spawn(|| sleep(LONG)), spawn(|| ())]).is_err());
        assert!(spawn_later(SHORT, || ()).join().is_err());
        kill_all([spawn(|| ()).handle(), waiting.handle()]);
        kill_all_nowait([&waiting]);
        assert!(!kill_all_timeout([&waiting], LONG));
        assert!(!waiting.kill_timeout(Duration::ZERO) && !waiting.is_finished());
        let me = current();
        if me.id() != 0 {
            // It would meet its own kill.
            me.kill();
            assert!(!me.kill_timeout(LONG));
        }
        assert_eq!(scope(|_| "a value"), "a value");
        assert_refused(|| scope(|s| drop(s.spawn(|| ()))), "cannot spawn");
        assert!(scope(|s| Builder::new().spawn_scoped(s, || ()).is_err()));
    });
}

#[test]
fn timeouts_and_shields() {
    in_every_unwind(|| {
        let limit = Timeout::new(Duration::ZERO);
        assert_eq!(limit.run(|| sleep(LONG)), Ok(()));
        limit.start();
        sleep(LONG);
        assert_eq!(timeout(Duration::ZERO, || limit.run(yield_now)), Ok(Ok(())));
        assert!(!limit.is_pending());
        shield(|| timeout(LONG, || sleep(LONG))).unwrap();
    });
}

#[test]
fn events_and_results() {
    in_every_unwind(|| {
        let (event, result) = (Event::new(), AsyncResult::<u8>::new());
        drop(spawn({
            let event = event.clone();
            move || event.wait()
        }));
        event.set();
        event.wait();
        assert!(event.wait_timeout(LONG));
        assert_refused(|| result.get(), "use AsyncResult::try_get");
        result.set(1).unwrap();
        assert_eq!((result.get(), result.get_timeout(LONG)), (1, Ok(1)));
    });
}

#[test]
fn locks() {
    in_every_unwind(|| {
        let permits = BoundedSemaphore::new(1);
        let permit = permits.acquire_permit();
        assert!(permit.is_some() && !permits.acquire() && !permits.acquire_timeout(LONG));
        assert!(permits.acquire_permit().is_none() && permits.acquire_permit_timeout(LONG).is_none());
        assert_eq!(permits.wait(None), 0);
        drop(permit);
        assert_eq!(format!("{permits:?}"), "BoundedSemaphore(1 of 1 available, 0 waiting)");

        let mutex = Mutex::new(0);
        let held = mutex.lock();
        assert_refused(|| drop(mutex.lock()), "use Mutex::try_lock");
        assert!(mutex.lock_timeout(LONG).is_none());
        let condition = Condvar::new();
        let (held, result) = condition.wait_timeout(held, LONG);
        assert!(result.timed_out());
        let (held, result) = condition.wait_timeout_while(held, LONG, |_| true);
        assert!(result.timed_out());
        assert_refused(|| drop(condition.wait(held)), "use Condvar::wait_timeout");
        assert_refused(|| drop(condition.wait_while(mutex.lock(), |_| true)), "use Condvar::wait_timeout");
        assert!(!mutex.is_locked());
        assert_eq!(format!("{condition:?}"), "Condvar(0 waiting)");

        let lock = RwLock::new(0);
        let written = lock.write();
        assert_refused(|| drop(lock.read()), "use RwLock::try_read");
        assert!(lock.read_timeout(LONG).is_none());
        drop(written);
        let read = lock.read();
        assert_refused(|| drop(lock.write()), "use RwLock::try_write");
        assert!(lock.write_timeout(LONG).is_none());
        drop(read);
        *lock.write() += 1;

        let barrier = Barrier::new(2);
        assert_eq!(barrier.wait_timeout(LONG), Err(BrokenBarrier));
        assert_eq!((barrier.wait(), barrier.waiting()), (Err(BrokenBarrier), 0));
    });
}

// By another greenlet, as one of its own would be in its own way.
#[test]
fn locks_that_another_greenlet_holds() {
    let (reentrant, cell) = (Rc::new(ReentrantMutex::new(())), Rc::new(OnceCell::new()));
    let lazy: Rc<Lazy<u8>> = Rc::new(Lazy::new(|| {
        sleep(LONG);
        0
    }));
    let holder = spawn({
        let (reentrant, cell, lazy) = (reentrant.clone(), cell.clone(), lazy.clone());
        move || {
            let _held = reentrant.lock();
            cell.get_or_init(|| **lazy);
        }
    });
    yield_now();
    let guard = OnDrop(|| {
        assert_refused(|| drop(reentrant.lock()), "use ReentrantMutex::try_lock");
        assert!(reentrant.lock_timeout(LONG).is_none());
        assert_refused(|| *cell.get_or_init(|| 1), "use OnceCell::get");
        assert_refused(|| cell.get_or_try_init(|| Err(())).is_ok(), "use OnceCell::get");
        assert_eq!(cell.set(1), Err(1));
        assert_refused(|| *Lazy::force(&lazy), "use OnceCell::get");
    });
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        panic!("expected");
    }));
    assert!(caught.is_err());
    holder.kill();
    assert_eq!(*cell.get_or_init(|| 2), 2);
    drop(reentrant.lock());
}

macro_rules! queue_calls {
    ($($Queue:ident)*) => {$(
        let queue = $Queue::bounded(1);
        assert_eq!((queue.get(), queue.get_timeout(LONG)), (Err(GetError::Empty), Err(GetError::Empty)));
        assert_eq!((queue.peek(), queue.peek_timeout(LONG)), (Err(GetError::Empty), Err(GetError::Empty)));
        queue.put(1).unwrap();
        assert_eq!(queue.put(2), Err(PutError::Full(2)));
        assert_eq!(queue.put_timeout(3, LONG), Err(PutError::Full(3)));
        // Iterations end where they would wait.
        assert_eq!((&queue).into_iter().collect::<Vec<_>>(), [1]);
        assert!(!queue.is_closed());
        assert!(format!("{queue:?}").contains("(0 items of 1, 0 getting, 0 putting"));
    )*};
}

#[test]
fn queues() {
    in_every_unwind(|| {
        queue_calls! { Queue LifoQueue PriorityQueue JoinableQueue }
        let jobs = JoinableQueue::unbounded().with_items([1]);
        jobs.join();
        assert!(!jobs.join_timeout(LONG));
        assert_eq!(jobs.unfinished(), 1);

        let channel = Channel::new();
        assert_eq!(
            (channel.put(1), channel.put_timeout(2, LONG)),
            (Err(PutError::Full(1)), Err(PutError::Full(2)))
        );
        assert_eq!((channel.get(), channel.get_timeout(LONG)), (Err(GetError::Empty), Err(GetError::Empty)));
        assert_eq!((&channel).into_iter().next(), None);
        assert_eq!(format!("{channel:?}"), "Channel(0 getting, 0 putting)");
    });
}

#[test]
fn groups_and_pools() {
    in_every_unwind(|| {
        let (group, pool) = (Group::new(), Pool::new(1));
        group.spawn(|| sleep(LONG));
        pool.spawn(|| sleep(LONG));
        for group in [&group, &*pool] {
            group.join();
            assert!(!group.join_timeout(LONG) && group.try_join().is_err());
            let me = current().id();
            assert_eq!(group.apply(|| current().id()), me);
            assert_eq!(group.map(1..=3, |n| (n, current().id())), [(1, me), (2, me), (3, me)]);
            assert_eq!(
                (group.imap(1..=3, |n| n).next(), group.imap_unordered(1..=3, |n| n).next()),
                (None, None)
            );
            group.kill();
            assert!(!group.kill_timeout(LONG));
            assert_eq!(group.len(), 1);
        }
        let g = spawn(|| ());
        assert_refused(|| pool.spawn(|| ()), "use Pool::try_spawn");
        assert_refused(|| pool.add(&g), "use Pool::try_add");
        let Err(PoolFull(f)) = pool.spawn_timeout(|| 7, LONG) else { panic!("there was no slot") };
        assert_eq!(f(), 7);
        assert!(pool.add_timeout(&g, LONG).is_err());
        assert_eq!((pool.wait_available(None), pool.wait_available(Some(LONG))), (0, 0));
    });
}

#[test]
fn thread_pools() {
    in_every_unwind(|| {
        // One without threads, where jobs wait, and one whose thread is busy.
        let (idle, busy) = (ThreadPool::new(0), ThreadPool::new(1));
        let (begun, has_begun) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let endless = busy.spawn(move || {
            begun.send(()).unwrap();
            _ = ends.recv();
        });
        has_begun.recv().unwrap();
        let job = idle.spawn(|| ());
        job.wait();
        assert!(!job.wait_timeout(LONG) && !endless.wait_timeout(LONG));
        for pool in [&idle, &busy] {
            let here = thread::current().id();
            assert_eq!(pool.apply(|| thread::current().id()), here);
            assert_eq!(pool.map(0..2, |n| (n, thread::current().id())), [(0, here), (1, here)]);
            assert_eq!(
                (pool.imap(1..=3, |n| n).next(), pool.imap_unordered(1..=3, |n| n).next()),
                (None, None)
            );
            pool.join();
            assert!(!pool.join_timeout(LONG));
        }
        assert!(idle.spawn(|| ()).join().is_err());
        idle.kill();
        assert!(job.join().unwrap_err().is_killed());
        busy.kill();
        assert!(!busy.kill_timeout(LONG));
        drop(end);
    });
}

#[test]
fn waits_for_several_things() {
    in_every_unwind(|| {
        let (event, set, queue) = (Event::new(), Event::new(), Queue::<u8>::unbounded());
        set.set();
        assert_eq!(wait(&[&event, &set, &queue]), [1]);
        assert_eq!(wait_timeout(&[&event, &set, &queue], LONG), [1]);
        assert_eq!((wait_any(&[&event, &set]), wait_any_timeout(&[&set], LONG)), (1, Some(0)));
        assert_eq!(wait_any_timeout(&[&event, &queue], LONG), None);
        assert_refused(|| wait_any(&[&event, &queue]), "use wait_any_timeout");
        let mut ready = iwait(&[&event, &set]);
        assert_eq!([ready.next(), ready.next(), ready.next()], [Some(1), None, None]);
        drop(ready);
        assert_eq!(iwait(&[&event]).timeout(LONG).count(), 0);

        let permits = Semaphore::new(0);
        let chosen = select! {
            _ = event.wait() => 1,
            item = queue.get() => item.unwrap(),
            default => 3,
        };
        assert_eq!(chosen, 3);
        // A time runs out at once, as that of `wait_timeout` does, but not before what is there.
        let chosen = select! {
            _ = after(LONG) => 1,
            _ = permits.acquire() => 2,
        };
        assert_eq!(chosen, 1);
        permits.release();
        let chosen = select! {
            _ = after(Duration::MAX) => 1,
            _ = permits.acquire() => 2,
        };
        assert_eq!(chosen, 2);
        let select_without_end = || {
            select! {
                _ = event.wait() => (),
                _ = permits.acquire() => (),
                _ = queue.get() => (),
                _ = queue.put(1) => queue.close_now(),
            }
        };
        queue.close_now();
        select_without_end();
        let queue = Queue::bounded(1);
        queue.put(1).unwrap();
        let select_without_end = || {
            select! {
                _ = event.wait() => (),
                _ = permits.acquire() => (),
                _ = queue.put(2) => (),
            }
        };
        assert_refused(select_without_end, "give it a `default` or an `after` arm");
        assert_eq!(
            format!("{event:?} {permits:?} {queue:?}"),
            "Event(unset, 0 waiting) Semaphore(0 available, 0 waiting) Queue(1 items of 1, 0 getting, 0 putting)"
        );
    });
}

#[test]
fn what_crosses_threads() {
    in_every_unwind(|| {
        let (sender, receiver) = sync::channel(1);
        assert_eq!(receiver.recv(), Err(GetError::Empty));
        assert_eq!(receiver.recv_timeout(LONG), Err(GetError::Empty));
        sender.send(1).unwrap();
        assert_eq!(sender.send(2), Err(PutError::Full(2)));
        assert_eq!(sender.send_timeout(3, LONG), Err(PutError::Full(3)));
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
        assert_eq!(format!("{receiver:?}"), "Receiver(0 items of 1, 0 receiving, 0 sending)");
        assert_eq!(receiver.into_iter().next(), None);
        assert_eq!(sender.send(4), Err(PutError::Closed(4)));

        let (event, result) = (sync::Event::new(), sync::AsyncResult::<u8>::new());
        event.wait();
        assert!(!event.wait_timeout(LONG));
        result.wait();
        assert!(!result.wait_timeout(LONG));
        assert_eq!(result.get_timeout(LONG), Err(Elapsed));
        assert_refused(|| result.get(), "use AsyncResult::try_get");
        let permits = sync::Semaphore::new(0);
        assert!(!permits.acquire() && !permits.acquire_timeout(LONG));
        let g = sync::remote().spawn(|| ()).unwrap();
        g.wait();
        assert!(!g.wait_timeout(LONG) && g.join().is_err());
        assert_eq!(
            format!("{event:?} {result:?} {permits:?}"),
            "Event(unset, 0 waiting) AsyncResult(unset, 0 waiting) Semaphore(0 available, 0 waiting)"
        );
    });
}

#[test]
fn futures() {
    in_every_unwind(|| {
        assert_eq!(block_on(async { 1 }), 1);
        assert_refused(|| block_on(pending::<()>()), "spawn(|| block_on(future))");
        // One that asks again and again, for what only another greenlet could bring about.
        let ran = Rc::new(Cell::new(false));
        drop(spawn({
            let ran = ran.clone();
            move || ran.set(true)
        }));
        let asks = poll_fn(|context| {
            context.waker().wake_by_ref();
            if ran.get() { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_refused(|| block_on(asks), "spawn(|| block_on(future))");
    });
}

greenlet_local! { static MADE: u8 = { sleep(LONG); 1 }; }
inherited! { static BOUND: u8; }

#[test]
fn calls_that_run_a_closure() {
    in_every_unwind(|| {
        let sleepy = || {
            sleep(LONG);
            1
        };
        assert_eq!(MADE.with(|made| *made + sleepy()), 2);
        assert_eq!(BOUND.bind(1, || BOUND.with(|bound| bound.copied().unwrap() + sleepy())), 2);
        assert_eq!(testing::with_seed(1, sleepy) + testing::virtual_time(sleepy), 2);
    });
}

#[test]
fn tools_for_tests() {
    in_every_unwind(|| {
        let log = Log::new();
        drop(spawn({
            let log = log.clone();
            move || log.add(panicking())
        }));
        testing::wait_all_parked();
        testing::for_each_seed(3, |_| drop(spawn(|| sleep(LONG))));
        assert_eq!(log.len(), 0, "another greenlet has run, and has seen this one panicking");
        let (mut one, mut other) = testing::duplex(1);
        assert!(one.read(&mut [0]).is_err());
        assert_eq!(one.write(b"ab").unwrap(), 1);
        assert!(one.write(b"b").is_err());
        assert_eq!(other.read(&mut [0; 2]).unwrap(), 1);
    });
}

#[test]
fn servers_say_that_they_go_on() {
    struct Ask(Rc<RefCell<Vec<String>>>, Option<greenloop::server::Workers<Duration>>);
    impl Drop for Ask {
        fn drop(&mut self) {
            let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(|_, _| ());
            self.0.borrow_mut().push(server.serve_forever().unwrap_err().to_string());
            self.0.borrow_mut().push(self.1.take().unwrap().join().unwrap_err().to_string());
        }
    }
    let said = Rc::new(RefCell::new(Vec::new()));
    let workers = greenloop::server::workers("127.0.0.1:0", 1, |worker| Ok(worker.wait())).unwrap();
    let stopper = workers.stopper();
    let greenlet = spawn({
        let said = said.clone();
        move || {
            let _ask = Ask(said, Some(workers));
            panic!("expected")
        }
    });
    assert!(greenlet.join().unwrap_err().is_panic());
    stopper.stop(Duration::ZERO);
    let said = said.take();
    assert!(
        said.len() == 2 && said.iter().all(|text| text.contains("a destructor run by a panic")),
        "{said:?}"
    );
}
