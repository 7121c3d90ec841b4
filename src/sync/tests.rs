//! Loom runs each of these in every order that the memory model allows. See `.ci/loom`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::channel::{Receiver, Sender, channel, unbounded};
use super::line::{Line, Wait};
use crate::queue::{GetError, PutError};

/// A permit counter over a line: the smallest thing that can be waited for.
struct Permits {
    count: AtomicUsize,
    line: Arc<Line>,
}

impl Permits {
    fn new() -> Arc<Permits> {
        Arc::new(Permits { count: AtomicUsize::new(0), line: Line::new() })
    }

    fn release(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.line.wake_one();
    }

    fn try_acquire(&self) -> Option<()> {
        let one_less = |count: usize| count.checked_sub(1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).ok().map(drop)
    }

    fn acquire(&self) {
        let mut wait = Wait::new(&self.line);
        block_on(poll_fn(|context| wait.poll(context.waker(), || self.try_acquire())));
    }
}

struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn loom_who_stands_in_line_is_woken() {
    loom::model(|| {
        let permits = Permits::new();
        let releaser = thread::spawn({
            let permits = permits.clone();
            move || permits.release()
        });
        permits.acquire();
        releaser.join().unwrap();
        assert_eq!(permits.line.len(), 0);
    });
}

#[test]
fn loom_two_that_wait_get_two_permits() {
    loom::model(|| {
        let permits = Permits::new();
        let other = thread::spawn({
            let permits = permits.clone();
            move || permits.acquire()
        });
        permits.release();
        permits.release();
        permits.acquire();
        other.join().unwrap();
        assert_eq!(permits.count.load(Ordering::Acquire), 0);
    });
}

#[test]
fn loom_a_wait_that_is_given_up_passes_its_wake_up_on() {
    loom::model(|| {
        let permits = Permits::new();
        let gives_up = thread::spawn({
            let permits = permits.clone();
            move || {
                let mut wait = Wait::new(&permits.line);
                let waker = Waker::from(Arc::new(Quiet));
                if let Poll::Ready(()) = wait.poll(&waker, || permits.try_acquire()) {
                    permits.release();
                }
                // Dropped, as by a kill: it does not look again.
            }
        });
        let releaser = thread::spawn({
            let permits = permits.clone();
            move || permits.release()
        });
        permits.acquire();
        gives_up.join().unwrap();
        releaser.join().unwrap();
    });
}

fn recv<T>(receiver: &Receiver<T>) -> Result<T, GetError> {
    let mut wait = Wait::new(&receiver.shared.getters);
    block_on(poll_fn(|context| {
        wait.poll(context.waker(), || match receiver.shared.get() {
            Err(GetError::Empty) => None,
            done => Some(done),
        })
    }))
}

fn send<T: Copy>(sender: &Sender<T>, item: T) -> Result<(), PutError<T>> {
    let mut wait = Wait::new(&sender.shared.putters);
    block_on(poll_fn(|context| {
        wait.poll(context.waker(), || match sender.shared.put(item) {
            Err(PutError::Full(_)) => None,
            done => Some(done),
        })
    }))
}

#[test]
fn loom_items_arrive_in_order_and_the_end_after_them() {
    loom::model(|| {
        let (sender, receiver) = unbounded();
        let thread = thread::spawn(move || {
            sender.try_send(1).unwrap();
            sender.try_send(2).unwrap();
        });
        assert_eq!(recv(&receiver), Ok(1));
        assert_eq!(recv(&receiver), Ok(2));
        assert_eq!(recv(&receiver), Err(GetError::Closed));
        thread.join().unwrap();
    });
}

#[test]
fn loom_a_full_channel_lets_its_sender_go_on() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let thread = thread::spawn(move || {
            send(&sender, 1).unwrap();
            send(&sender, 2).unwrap();
        });
        assert_eq!(recv(&receiver), Ok(1));
        assert_eq!(recv(&receiver), Ok(2));
        thread.join().unwrap();
    });
}

#[test]
fn loom_a_sender_learns_that_its_receivers_are_gone() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let thread = thread::spawn(move || drop(receiver));
        assert!(send(&sender, 2).unwrap_err().is_closed());
        thread.join().unwrap();
    });
}

#[test]
fn loom_a_receiver_that_is_given_up_loses_no_item() {
    loom::model(|| {
        let (sender, receiver) = unbounded();
        let gives_up = thread::spawn({
            let receiver = receiver.clone();
            move || {
                let mut wait = Wait::new(&receiver.shared.getters);
                let woken = Arc::new(Noted(AtomicBool::new(false)));
                let waker = Waker::from(woken.clone());
                match wait.poll(&waker, || receiver.shared.get().ok()) {
                    Poll::Ready(item) => Some(item),
                    Poll::Pending => None,
                }
            }
        });
        let sends = thread::spawn(move || sender.try_send(7).unwrap());
        let here = recv(&receiver);
        let there = gives_up.join().unwrap();
        assert_eq!(here.is_ok(), there.is_none(), "{here:?} {there:?}");
        sends.join().unwrap();
    });
}

#[test]
fn loom_two_receivers_get_the_two_items_of_one_sender() {
    loom::model(|| {
        let (sender, receiver) = unbounded();
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || recv(&receiver).unwrap()
        });
        let sends = thread::spawn(move || {
            sender.try_send(1).unwrap();
            sender.try_send(2).unwrap();
            sender // not the end, which would wake everybody
        });
        assert_eq!(recv(&receiver).unwrap() + other.join().unwrap(), 3);
        sends.join().unwrap();
    });
}

struct Noted(AtomicBool);

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
