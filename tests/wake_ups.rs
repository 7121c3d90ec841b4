//! One unit, two that wait for it, and the wait of the first ends otherwise in about the moment in which the unit comes: it goes to one of
//! them, whichever it is, and the one that is left has the next.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use common::PROMPT;
use greenloop::lock::{Condvar, Mutex, RwLock, Semaphore};
use greenloop::pool::Pool;
use greenloop::queue::{Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue};
use greenloop::testing::{duplex, virtual_time, wait_all_parked};
use greenloop::{Greenlet, select, sleep, spawn, spawn_later, sync, timeout, yield_now};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_millis(3);

/// How the wait of the first ends, beside the unit.
#[derive(Clone, Copy, Debug)]
enum End {
    KilledBefore,
    KilledAfter,
    /// Its time has run out, and it has not had its turn.
    Late(Limit),
    /// Its time has run out, and it is gone.
    Gone(Limit),
    /// Its time has run out, and nobody has looked at the clock.
    Unnoticed(Limit),
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    /// The call's own.
    Call,
    /// A `timeout` around it.
    Around,
}

const ENDS: [End; 8] = [
    End::KilledBefore,
    End::KilledAfter,
    End::Late(Limit::Call),
    End::Late(Limit::Around),
    End::Gone(Limit::Call),
    End::Gone(Limit::Around),
    End::Unnoticed(Limit::Call),
    End::Unnoticed(Limit::Around),
];

/// Waits for a unit, at most for a time, and says whether it has got one.
type Take = Rc<dyn Fn(Option<Duration>) -> bool>;
/// Gives one without a wait.
type Give = Rc<dyn Fn()>;

fn subject(take: impl Fn(Option<Duration>) -> bool + 'static, give: impl Fn() + 'static) -> (Take, Give) {
    (Rc::new(take), Rc::new(give))
}

/// A call with a time limit, from its two forms.
fn limited(
    limit: Option<Duration>,
    call: impl FnOnce() -> bool,
    timed: impl FnOnce(Duration) -> bool,
) -> bool {
    match limit {
        None => call(),
        Some(limit) => timed(limit),
    }
}

/// The unit of a lock is that nobody has it: who gets it keeps it until it is given.
fn kept<G: 'static>(
    lock: impl Fn() -> G + 'static,
    timed: impl Fn(Duration) -> Option<G> + 'static,
) -> (Take, Give) {
    let holder = Rc::new(RefCell::new(Some(lock())));
    let give = holder.clone();
    let keep = move |guard: Option<G>| match guard {
        None => false,
        some => {
            *holder.borrow_mut() = some;
            true
        }
    };
    subject(
        move |limit| limited(limit, || keep(Some(lock())), |limit| keep(timed(limit))),
        move || drop(give.take()),
    )
}

fn check(name: &str, make: fn() -> (Take, Give)) {
    for end in ENDS {
        match end {
            // In virtual time two timers are due at once.
            End::Late(_) | End::Gone(_) => virtual_time(|| check_end(name, make(), end)),
            End::KilledBefore | End::KilledAfter | End::Unnoticed(_) => check_end(name, make(), end),
        }
    }
}

fn check_end(name: &str, (take, give): (Take, Give), end: End) {
    let taken = Rc::new(Cell::new(0));
    let waiter = |limit: Option<Limit>| -> Greenlet<()> {
        let (take, taken) = (take.clone(), taken.clone());
        spawn(move || {
            let got = match limit {
                None => take(None),
                Some(Limit::Call) => take(Some(LIMIT)),
                Some(Limit::Around) => timeout(LIMIT, || take(None)).unwrap_or(false),
            };
            taken.set(taken.get() + usize::from(got));
        })
    };
    let give_later = || {
        let give = give.clone();
        drop(spawn_later(LIMIT, move || give()));
    };
    let until = |count: usize| {
        let come = timeout(PROMPT, || {
            while taken.get() < count {
                sleep(MS / 10);
            }
        });
        assert!(come.is_ok(), "{name}, {end:?}: a unit is lost");
        wait_all_parked();
        assert_eq!(taken.get(), count, "{name}, {end:?}: a unit was taken twice");
    };
    let limit = match end {
        End::KilledBefore | End::KilledAfter => None,
        End::Late(limit) | End::Gone(limit) | End::Unnoticed(limit) => Some(limit),
    };
    // Of two whose timers are due at once the one that has armed it first has its turn first.
    if let End::Late(_) = end {
        give_later();
    }
    let (first, second) = (waiter(limit), waiter(None));
    wait_all_parked();
    match end {
        End::KilledBefore => {
            first.kill_nowait();
            give();
        }
        End::KilledAfter => {
            give();
            first.kill_nowait();
        }
        End::Late(_) => sleep(LIMIT),
        End::Gone(_) => {
            give_later();
            sleep(LIMIT);
        }
        End::Unnoticed(_) => {
            std::thread::sleep(LIMIT * 2);
            give();
        }
    }
    until(1);
    assert!(first.wait_timeout(PROMPT), "{name}, {end:?}: the first waits on");
    if !second.is_finished() {
        give();
        until(2);
    }
    assert!(second.wait_timeout(PROMPT), "{name}, {end:?}: the second waits on");
}

#[test]
fn a_permit() {
    check("Semaphore", || {
        let permits = Semaphore::new(0);
        let give = permits.clone();
        subject(
            move |limit| limited(limit, || permits.acquire(), |limit| permits.acquire_timeout(limit)),
            move || give.release(),
        )
    });
    check("sync::Semaphore", || {
        let permits = sync::Semaphore::new(0);
        let give = permits.clone();
        subject(
            move |limit| limited(limit, || permits.acquire(), |limit| permits.acquire_timeout(limit)),
            move || give.release(),
        )
    });
}

#[test]
fn a_lock() {
    check("Mutex", || {
        let mutex: &Mutex<()> = Box::leak(Box::default());
        kept(|| mutex.lock(), |limit| mutex.lock_timeout(limit))
    });
    check("RwLock", || {
        let lock: &RwLock<()> = Box::leak(Box::default());
        kept(|| lock.write(), |limit| lock.write_timeout(limit))
    });
}

fn at_condvar(give: fn(&'static Mutex<()>, &Condvar)) -> (Take, Give) {
    let (mutex, condvar): (&Mutex<()>, _) = (Box::leak(Box::default()), Condvar::new());
    let notified = condvar.clone();
    let timed = |condvar: &Condvar, limit| !condvar.wait_timeout(mutex.lock(), limit).1.timed_out();
    let call = |condvar: &Condvar| {
        drop(condvar.wait(mutex.lock()));
        true
    };
    subject(
        move |limit| limited(limit, || call(&condvar), |limit| timed(&condvar, limit)),
        move || give(mutex, &notified),
    )
}

#[test]
fn a_notification() {
    check("Condvar", || at_condvar(|_, condvar| condvar.notify_one()));
    // Whoever was notified has to park once more.
    check("Condvar, whose lock is taken", || {
        at_condvar(|mutex, condvar| {
            let guard = mutex.try_lock();
            condvar.notify_one();
            drop(spawn(move || {
                yield_now();
                drop(guard);
            }));
        })
    });
}

macro_rules! check_queues {
    ($($Queue:ident),*) => {$(
        check(concat!(stringify!($Queue), " (get)"), || {
            let queue = $Queue::bounded(4);
            let give = queue.clone();
            subject(
                move |limit| limited(limit, || queue.get().is_ok(), |limit| queue.get_timeout(limit).is_ok()),
                move || give.try_put(1).unwrap(),
            )
        });
        check(concat!(stringify!($Queue), " (put)"), || {
            let queue = $Queue::bounded(1).with_items([1]);
            let give = queue.clone();
            subject(
                move |limit| limited(limit, || queue.put(1).is_ok(), |limit| queue.put_timeout(1, limit).is_ok()),
                move || assert_eq!(give.try_get(), Ok(1)),
            )
        });
    )*};
}

#[test]
fn an_item_and_the_room_for_one() {
    check_queues!(Queue, LifoQueue, PriorityQueue, JoinableQueue);
    check("Channel (get)", || {
        let channel = Channel::new();
        let give = channel.clone();
        subject(
            move |limit| limited(limit, || channel.get().is_ok(), |limit| channel.get_timeout(limit).is_ok()),
            move || give.try_put(1).unwrap(),
        )
    });
    check("Channel (get), from one that waits", || {
        let channel = Channel::new();
        let give = channel.clone();
        subject(
            move |limit| limited(limit, || channel.get().is_ok(), |limit| channel.get_timeout(limit).is_ok()),
            move || {
                let give = give.clone();
                drop(spawn(move || give.put(1).unwrap()));
            },
        )
    });
    check("Channel (put)", || {
        let channel = Channel::new();
        let give = channel.clone();
        subject(
            move |limit| {
                limited(limit, || channel.put(1).is_ok(), |limit| channel.put_timeout(1, limit).is_ok())
            },
            move || assert_eq!(give.try_get(), Ok(1)),
        )
    });
    check("sync::channel (recv)", || {
        let (sender, receiver) = sync::channel(4);
        subject(
            move |limit| {
                limited(limit, || receiver.recv().is_ok(), |limit| receiver.recv_timeout(limit).is_ok())
            },
            move || sender.try_send(1).unwrap(),
        )
    });
    check("sync::channel (send)", || {
        let (sender, receiver) = sync::channel(1);
        sender.try_send(1).unwrap();
        subject(
            move |limit| {
                limited(limit, || sender.send(1).is_ok(), |limit| sender.send_timeout(1, limit).is_ok())
            },
            move || assert_eq!(receiver.try_recv(), Ok(1)),
        )
    });
    check("testing::duplex (read)", || {
        let (near, far) = duplex(4);
        subject(
            move |limit| {
                let read = || (&near).read(&mut [0]).is_ok();
                limited(limit, read, |limit| timeout(limit, read).unwrap_or(false))
            },
            move || assert_eq!((&far).write(b"x").unwrap(), 1),
        )
    });
}

#[test]
fn a_slot_of_a_pool() {
    check("Pool", || {
        let (pool, ended) = (Pool::new(1), Semaphore::new(0));
        let give = ended.clone();
        let member = move || {
            let ended = ended.clone();
            move || assert!(ended.acquire())
        };
        drop(pool.spawn(member()));
        subject(
            move |limit| {
                let spawn = || {
                    drop(pool.spawn(member()));
                    true
                };
                limited(limit, spawn, |limit| pool.spawn_timeout(member(), limit).is_ok())
            },
            move || give.release(),
        )
    });
}

#[test]
fn whatever_a_select_waits_for() {
    check("select! (acquire)", || {
        let (permits, never) = (Semaphore::new(0), Semaphore::new(0));
        let give = permits.clone();
        let call = {
            let (permits, never) = (permits.clone(), never.clone());
            move || {
                select! {
                    _ = never.acquire() => false,
                    _ = permits.acquire() => true,
                }
            }
        };
        let timed = move |limit| {
            select! {
                _ = permits.acquire() => true,
                _ = never.acquire() => false,
                _ = after(limit) => false,
            }
        };
        subject(move |limit| limited(limit, &call, &timed), move || give.release())
    });
    check("select! (get and put)", || {
        let (items, room) = (Queue::bounded(4), Queue::bounded(1).with_items([1]));
        let (gives_item, gives_room, turn) = (items.clone(), room.clone(), Cell::new(false));
        let call = {
            let (items, room) = (items.clone(), room.clone());
            move || {
                select! {
                    item = items.get() => item.is_ok(),
                    done = room.put(1) => done.is_ok(),
                }
            }
        };
        let timed = move |limit| {
            select! {
                item = items.get() => item.is_ok(),
                done = room.put(1) => done.is_ok(),
                _ = after(limit) => false,
            }
        };
        let give = move || match turn.replace(!turn.get()) {
            true => gives_item.try_put(1).unwrap(),
            false => assert_eq!(gives_room.try_get(), Ok(1)),
        };
        subject(move |limit| limited(limit, &call, &timed), give)
    });
}
