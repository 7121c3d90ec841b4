//! Loom runs each of these in every order that the memory model allows. See `.ci/loom`.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::inbox::{Inbox, Message, Rouse};

/// What the kernel does for a hub: sleep ends by a ring, also by one that came just before.
struct Kernel {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Kernel {
    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.ring.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Rouse for Arc<Kernel> {
    fn rouse(&self) {
        *self.rung.lock().unwrap() = true;
        self.ring.notify_one();
    }
}

fn inbox() -> (Arc<Inbox<Arc<Kernel>>>, Arc<Kernel>) {
    let kernel = Arc::new(Kernel { rung: Mutex::new(false), ring: Condvar::new() });
    (Inbox::new(kernel.clone()), kernel)
}

/// What the loop of a hub does while nobody is ready, until it has got so many messages.
fn read(inbox: &Inbox<Arc<Kernel>>, kernel: &Kernel, count: usize) -> Vec<usize> {
    let mut read = Vec::new();
    while read.len() < count {
        if inbox.fall_asleep() {
            kernel.sleep();
            inbox.awake();
        }
        while let Some(message) = inbox.take() {
            if let Message::Completed(number) = message {
                read.push(number);
            }
        }
    }
    read
}

#[test]
fn loom_a_hub_does_not_sleep_over_a_message() {
    loom::model(|| {
        let (inbox, kernel) = inbox();
        let sender = thread::spawn({
            let inbox = inbox.clone();
            move || assert!(inbox.send(Message::Completed(1)))
        });
        assert_eq!(read(&inbox, &kernel, 1), [1]);
        sender.join().unwrap();
    });
}

#[test]
fn loom_messages_of_two_threads_all_arrive() {
    loom::model(|| {
        let (inbox, kernel) = inbox();
        let senders = [1, 2].map(|number| {
            let inbox = inbox.clone();
            thread::spawn(move || assert!(inbox.send(Message::Completed(number))))
        });
        let mut numbers = read(&inbox, &kernel, 2);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_a_sleeping_hub_is_roused_without_a_message() {
    loom::model(|| {
        let (inbox, kernel) = inbox();
        assert!(inbox.fall_asleep());
        let thread = thread::spawn({
            let inbox = inbox.clone();
            move || inbox.rouse()
        });
        kernel.sleep();
        inbox.awake();
        thread.join().unwrap();
    });
}

#[test]
fn loom_no_message_is_left_behind_in_a_closed_inbox() {
    loom::model(|| {
        let (inbox, _) = inbox();
        let witness = Arc::new(());
        let sender = thread::spawn({
            let (inbox, witness) = (inbox.clone(), witness.clone());
            move || inbox.send(Message::Run(Box::new(move || drop(witness))))
        });
        inbox.close();
        sender.join().unwrap();
        assert!(!inbox.send(Message::Completed(1)));
        assert_eq!(Arc::strong_count(&witness), 1, "a call is kept for ever");
    });
}
