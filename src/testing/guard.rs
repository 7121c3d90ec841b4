//! Who runs while something runs.

use std::panic::Location;

use crate::hub::Hub;
use crate::park;

/// Runs `f` and makes sure that no other greenlet could run meanwhile.
///
/// # Panics
/// If `f` has switched.
///
/// # Examples
/// ```
/// use greenloop::{queue::Queue, testing};
///
/// let queue = Queue::bounded(1);
/// testing::assert_no_switch(|| queue.put(1)).unwrap();
/// ```
#[track_caller]
pub fn assert_no_switch<T>(f: impl FnOnce() -> T) -> T {
    let (value, switches) = counted(f);
    assert!(switches == 0, "it must not switch, and has switched {switches} times");
    value
}

/// Runs `f` and makes sure that others could run meanwhile.
///
/// # Panics
/// If `f` has not switched.
///
/// # Examples
/// ```
/// greenloop::testing::assert_switches(|| greenloop::yield_now());
/// ```
#[track_caller]
pub fn assert_switches<T>(f: impl FnOnce() -> T) -> T {
    let (value, switches) = counted(f);
    assert!(switches > 0, "it must switch, and has not ({})", Location::caller());
    value
}

fn counted<T>(f: impl FnOnce() -> T) -> (T, u64) {
    let hub = Hub::current();
    let before = hub.schedule.switches.get();
    let value = f();
    (value, hub.schedule.switches.get() - before)
}

/// Lets the others run until all of them are parked or have ended, but for those that are in this call, too.
///
/// **Switches**: yes. Greenlets that yield to each other for ever keep it from returning.
///
/// **While unwinding** it returns at once.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, spawn, testing};
///
/// let event = Event::new();
/// let waiter = spawn({ let event = event.clone(); move || event.wait() });
/// testing::wait_all_parked();
/// event.set();
/// testing::wait_all_parked();
/// assert!(waiter.is_finished());
/// ```
pub fn wait_all_parked() {
    /// Counts the caller as one that stands back, also when it is killed.
    struct StandingBack;
    impl StandingBack {
        fn new() -> StandingBack {
            Hub::current().schedule.standing_back.update(|count| count + 1);
            StandingBack
        }
    }
    impl Drop for StandingBack {
        fn drop(&mut self) {
            Hub::current().schedule.standing_back.update(|count| count - 1);
        }
    }
    let _standing_back = StandingBack::new();
    while !std::thread::panicking() && Hub::current().schedule.has_others_ready() {
        park::yield_now();
    }
}
