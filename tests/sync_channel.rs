//! Channels between threads: who is blocked, who is woken, and that nothing is lost.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Flag, LONG, OnDrop, PROMPT, SHORT, on_a_thread};
use greenloop::event::Event;
use greenloop::queue::{GetError, PutError};
use greenloop::sync::{channel, unbounded};
use greenloop::{Elapsed, LoopExit, join_all, sleep, spawn, timeout, wait_all, yield_now};

#[test]
fn a_greenlet_gets_what_other_threads_send_each_in_its_order() {
    let (sender, receiver) = channel(3);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || (0..1_000).for_each(|n| sender.send((thread, n)).unwrap()))
        })
        .collect();
    drop(sender);
    let counts = spawn(move || {
        let mut next = [0; 4];
        for (thread, n) in receiver {
            assert_eq!(n, next[thread]);
            next[thread] += 1;
        }
        next
    });
    assert_eq!(counts.join().unwrap(), [1_000; 4]);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn items_are_shared_out_among_receivers_on_several_hubs() {
    let (sender, receiver) = channel(4);
    let hubs: Vec<_> = (0..3)
        .map(|_| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                let sums = join_all((0..4).map(|_| {
                    let receiver = receiver.clone();
                    spawn(move || receiver.iter().sum::<u64>())
                }));
                sums.into_iter().map(Result::unwrap).sum::<u64>()
            })
        })
        .collect();
    drop(receiver);
    (1..=3_000).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    let sum: u64 = hubs.into_iter().map(|hub| hub.join().unwrap()).sum();
    assert_eq!(sum, 3_000 * 3_001 / 2);
}

#[test]
fn a_full_channel_parks_a_greenlet_and_blocks_a_thread_without_a_hub() {
    let (sender, receiver) = channel(1);
    sender.send(0).unwrap();
    let thread = thread::spawn({
        let sender = sender.clone();
        move || sender.send(2).unwrap()
    });
    let greenlet = spawn({
        let sender = sender.clone();
        move || sender.send(1).unwrap()
    });
    let ran = Flag::new();
    spawn({
        let ran = ran.clone();
        move || ran.raise()
    })
    .join()
    .unwrap();
    assert!(ran.is_up() && !greenlet.is_finished());
    assert_eq!((sender.len(), receiver.recv()), (1, Ok(0)));
    let mut rest = [receiver.recv().unwrap(), receiver.recv().unwrap()];
    rest.sort_unstable();
    assert_eq!(rest, [1, 2]);
    greenlet.join().unwrap();
    thread.join().unwrap();
}

#[test]
fn the_calls_that_do_not_wait_say_what_is_the_matter() {
    let (sender, receiver) = channel(1);
    assert_eq!(receiver.try_recv(), Err(GetError::Empty));
    assert_eq!(receiver.recv_timeout(SHORT), Err(GetError::Empty));
    sender.try_send(1).unwrap();
    assert_eq!(sender.try_send(2), Err(PutError::Full(2)));
    assert_eq!(sender.send_timeout(3, SHORT), Err(PutError::Full(3)));
    assert!(!sender.is_closed() && !receiver.is_closed());
    drop(sender);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(receiver.is_closed());
    assert_eq!(receiver.try_recv(), Err(GetError::Closed));
    assert_eq!(receiver.recv(), Err(GetError::Closed));
    assert_eq!(receiver.recv_timeout(LONG), Err(GetError::Closed));
    assert_eq!(receiver.iter().next(), None);
}

#[test]
fn the_same_calls_work_on_a_thread_without_a_hub() {
    let (sender, receiver) = channel(1);
    thread::spawn(move || {
        assert_eq!(receiver.recv_timeout(SHORT), Err(GetError::Empty));
        sender.send(1).unwrap();
        assert_eq!(sender.send_timeout(2, SHORT), Err(PutError::Full(2)));
        let other = thread::spawn(move || sender.send(3));
        assert_eq!((receiver.recv(), receiver.recv_timeout(LONG)), (Ok(1), Ok(3)));
        other.join().unwrap().unwrap();
        assert_eq!(receiver.recv(), Err(GetError::Closed));
    })
    .join()
    .unwrap();
}

#[test]
fn without_receivers_items_are_dropped_and_senders_told() {
    let (sender, receiver) = channel(1);
    let item = Arc::new(());
    sender.send(item.clone()).unwrap();
    let thread = thread::spawn({
        let (sender, item) = (sender.clone(), item.clone());
        move || sender.send(item).unwrap_err().is_closed()
    });
    let greenlet = spawn({
        let (sender, item) = (sender.clone(), item.clone());
        move || sender.send(item).unwrap_err().is_closed()
    });
    yield_now();
    drop(receiver);
    assert!(greenlet.join().unwrap());
    assert!(thread.join().unwrap());
    assert!(sender.is_closed() && sender.is_empty());
    assert_eq!(Arc::strong_count(&item), 1);
    assert!(sender.try_send(item).unwrap_err().is_closed());
}

#[test]
fn a_wait_for_senders_of_other_threads_is_no_deadlock_and_their_end_is() {
    let (sender, receiver) = unbounded::<()>();
    let thread = thread::spawn(move || {
        thread::sleep(SHORT);
        drop(sender);
    });
    let ended = spawn(move || receiver.recv());
    let payload = std::panic::catch_unwind(|| Event::new().wait()).unwrap_err();
    assert!(LoopExit::from_panic(&*payload).is_some());
    assert_eq!(ended.join().unwrap(), Err(GetError::Closed));
    thread.join().unwrap();
}

// The kill comes while the receiver is parked, before and after the item.
#[test]
fn a_receiver_that_is_killed_loses_no_item() {
    for item_first in [false, true] {
        let (sender, receiver) = unbounded();
        let got = Rc::new(Cell::new(0));
        let victim = spawn({
            let (receiver, got) = (receiver.clone(), got.clone());
            move || got.set(receiver.recv().unwrap())
        });
        yield_now();
        if item_first {
            sender.send(7).unwrap();
        }
        victim.kill_nowait();
        if !item_first {
            sender.send(7).unwrap();
        }
        victim.wait();
        let left = receiver.try_recv().unwrap_or(0);
        assert_eq!((got.get(), left), if item_first { (7, 0) } else { (0, 7) });
    }
}

#[test]
fn the_item_of_a_killed_receiver_goes_to_the_next_in_line() {
    let (sender, receiver) = unbounded();
    let waits = |receiver: &greenloop::sync::Receiver<u32>| {
        let receiver = receiver.clone();
        spawn(move || receiver.recv())
    };
    let (first, second) = (waits(&receiver), waits(&receiver));
    yield_now();
    first.kill_nowait();
    // From another thread, while the kill is on its way.
    on_a_thread(move || sender.send(7).unwrap());
    assert_eq!(second.join().unwrap(), Ok(7));
    assert!(first.join().unwrap_err().is_killed());
}

#[test]
fn a_receiver_that_runs_out_of_time_loses_no_item() {
    let (sender, receiver) = unbounded();
    assert_eq!(receiver.recv_timeout(SHORT), Err(GetError::Empty));
    assert_eq!(timeout(SHORT, || receiver.recv()), Err(Elapsed));
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(GetError::Empty));
    sender.send(7).unwrap();
    assert_eq!(receiver.recv(), Ok(7));
}

#[test]
fn a_sender_that_is_killed_or_timed_out_sends_nothing_and_its_room_goes_to_the_next() {
    let (sender, receiver) = channel(1);
    sender.send(0).unwrap();
    let send = |item| {
        let sender = sender.clone();
        spawn(move || sender.send(item).unwrap())
    };
    let (victim, next) = (send(1), send(2));
    yield_now();
    assert_eq!(timeout(SHORT, || sender.send(3)), Err(Elapsed));
    victim.kill_nowait();
    assert_eq!(receiver.try_recv(), Ok(0));
    next.join().unwrap();
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(GetError::Empty));
    assert!(victim.join().unwrap_err().is_killed());
}

#[test]
fn waiting_senders_come_in_their_order() {
    let (sender, receiver) = channel(1);
    sender.send(0).unwrap();
    let senders: Vec<_> = (1..=5)
        .map(|n| {
            let sender = sender.clone();
            spawn(move || sender.send(n).unwrap())
        })
        .collect();
    yield_now();
    drop(sender);
    assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    join_all(senders);
}

#[test]
fn in_a_destructor_of_an_unwinding_greenlet_nothing_waits() {
    let (sender, receiver) = channel(1);
    sender.send(1).unwrap();
    let (empty_sender, empty) = unbounded::<u32>();
    let seen = Rc::new(Cell::new(None));
    let victim = spawn({
        let (sender, seen) = (sender.clone(), seen.clone());
        move || {
            let _last = OnDrop(|| seen.set(Some((sender.send(2), empty.recv()))));
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill();
    assert_eq!(seen.take(), Some((Err(PutError::Full(2)), Err(GetError::Empty))));
    assert_eq!(receiver.recv(), Ok(1));
    drop(empty_sender);
}

// A thread that ends forgets its greenlets without unwinding them; their places in line must not stay behind.
#[test]
fn a_receiver_that_vanishes_with_its_thread_takes_no_item_with_it() {
    for woken in [false, true] {
        let (sender, receiver) = unbounded();
        let (parked, is_parked) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let thread = thread::spawn({
            let receiver = receiver.clone();
            move || {
                drop(spawn(move || receiver.recv()));
                yield_now();
                parked.send(()).unwrap();
                wait.recv().unwrap();
            }
        });
        is_parked.recv().unwrap();
        let here = thread::spawn(move || receiver.recv());
        if woken {
            // The first in line is told, but its thread does not come around any more.
            sender.send(7).unwrap();
        }
        go.send(()).unwrap();
        thread.join().unwrap();
        if !woken {
            sender.send(7).unwrap();
        }
        assert_eq!(here.join().unwrap(), Ok(7), "woken: {woken}");
    }
}

#[test]
fn a_channel_that_always_has_items_starves_nobody() {
    let (sender, receiver) = unbounded();
    (0..10_000).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    let left = Rc::new(Cell::new(0));
    let reader = spawn(move || receiver.iter().for_each(drop));
    let other = spawn({
        let (left, reader) = (left.clone(), reader.handle());
        move || {
            while !reader.is_finished() {
                left.update(|turns| turns + 1);
                yield_now();
            }
        }
    });
    other.join().unwrap();
    reader.join().unwrap();
    assert!(left.get() > 100, "the others had {} turns", left.get());
}

// Every way to give up, on several hubs at once: what was sent is received once or still inside.
#[test]
fn items_survive_any_mixture_of_kills_and_timeouts() {
    let start = Instant::now();
    let (sender, receiver) = channel(2);
    let (sent, got) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let hubs: Vec<_> = (0..3_u64)
        .map(|hub| {
            let (sender, receiver, sent, got) = (sender.clone(), receiver.clone(), sent.clone(), got.clone());
            thread::spawn(move || {
                for round in 0..200_u64 {
                    let micros = Duration::from_micros((round * 7 + hub * 13) % 50);
                    let putter = spawn({
                        let (sender, sent) = (sender.clone(), sent.clone());
                        move || {
                            if sender.send_timeout((), micros * 3).is_ok() {
                                sent.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                    let getters = [0, 1].map(|_| {
                        let (receiver, got) = (receiver.clone(), got.clone());
                        spawn(move || {
                            let _ = timeout(micros * 2, || {
                                receiver.recv().map(|()| got.fetch_add(1, Ordering::Relaxed))
                            });
                        })
                    });
                    sleep(micros);
                    getters[round as usize % 2].kill();
                    join_all(getters);
                    putter.join().unwrap();
                }
            })
        })
        .collect();
    hubs.into_iter().for_each(|hub| hub.join().unwrap());
    let left = receiver.len();
    assert_eq!(sent.load(Ordering::Relaxed), got.load(Ordering::Relaxed) + left);
    assert!(start.elapsed() < PROMPT);
    drop(sender);
    wait_all();
}
