//! A peek whose clone takes its time: what happens around it is not forgotten.

use greenloop::queue::{JoinableQueue, LifoQueue, PriorityQueue, Queue};
use greenloop::testing::virtual_time;
use greenloop::{sleep, spawn, wait_all, yield_now};
use std::time::Duration;

/// An item whose clone takes a second.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slow(u32);

impl Clone for Slow {
    fn clone(&self) -> Self {
        sleep(Duration::from_secs(1));
        Slow(self.0)
    }
}

macro_rules! for_a_kind {
    ($name:ident, $Kind:ident) => {
        mod $name {
            use super::*;

            /// How many of two getters that come during a peek get something.
            fn served(before: u32, meanwhile: u32) -> usize {
                virtual_time(|| {
                    let queue = $Kind::unbounded();
                    (0..before).for_each(|n| queue.put(Slow(n)).unwrap());
                    let peek = spawn({
                        let queue = queue.clone();
                        move || queue.peek().is_ok()
                    });
                    yield_now(); // it is in the middle of the clone
                    let getters = [(); 2].map(|()| {
                        let queue = queue.clone();
                        spawn(move || queue.get().is_ok())
                    });
                    yield_now();
                    (0..meanwhile).for_each(|n| queue.put(Slow(before + n)).unwrap());
                    wait_all();
                    assert!(peek.join().unwrap());
                    let served = getters.iter().filter(|getter| getter.is_finished()).count();
                    getters.iter().for_each(|getter| getter.kill());
                    assert_eq!(queue.len() + served, (before + meanwhile) as usize);
                    served
                })
            }

            // QU06, QU40
            #[test]
            fn whoever_is_refused_during_a_peek_gets_what_is_inside_afterwards() {
                assert_eq!([served(1, 0), served(2, 0), served(3, 0)], [1, 2, 2]);
            }

            // QU06, QU40
            #[test]
            fn what_is_put_during_a_peek_reaches_who_waits() {
                assert_eq!([served(1, 1), served(1, 2), served(2, 1)], [2, 2, 2]);
            }
        }
    };
}

for_a_kind!(queue, Queue);
for_a_kind!(lifo_queue, LifoQueue);
for_a_kind!(priority_queue, PriorityQueue);
for_a_kind!(joinable_queue, JoinableQueue);
