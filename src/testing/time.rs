//! Virtual time.

use std::cell::RefCell;
use std::time::Duration;

use crate::hub::Hub;

thread_local! {
    /// When those that are under way have begun. Several greenlets may be in one, and leave it in any order.
    static BEGINNINGS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` while the clock of this thread's hub stands still, except that it jumps to the next timer whenever everybody is
/// parked. So sleeps and timeouts take no real time, and last exactly as long as they say.
///
/// Who waits for an [`idle`](crate::idle()) moment goes first: the clock jumps when there were a thousand of them since it last did. So
/// work that is done in fewer takes no time, and a loop that waits by `idle` for somebody who sleeps does end.
///
/// Whoever yields is not parked either. The clock jumps for a loop that waits by [`yield_now`](crate::yield_now()) when for 64,000 turns
/// everybody who was ready has done no more than to yield, and nothing is expected of another thread. It takes milliseconds of real
/// time for each jump: better let it wait for an [`Event`](crate::event::Event), or [`wait`](crate::Handle::wait) for the sleeper.
///
/// Real things still take real time: while a thread-pool job runs the clock waits for it; while a
/// [`Remote`](crate::sync::Remote) lives, or somebody waits for something of [`sync`](crate::sync) or for a waker, the time until
/// the next timer is given to other threads. Descriptors are
/// asked before each jump, but what is on its way between two sockets may be overtaken: use [`duplex`](super::duplex()). Afterwards the
/// clock goes on from where it stands, so timers that are left keep their distance. Several greenlets may be in one at the same time: it
/// lasts until the last of them has ended.
///
/// **Switches**: if `f` does.
///
/// **While unwinding** nothing waits in `f` either.
///
/// # Examples
/// ```
/// use greenloop::{Elapsed, sleep, testing, timeout};
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// testing::virtual_time(|| {
///     assert_eq!(timeout(hour, || sleep(hour * 2)), Err(Elapsed));
///     assert_eq!(testing::elapsed(), hour);
/// });
/// ```
pub fn virtual_time<T>(f: impl FnOnce() -> T) -> T {
    struct UnderWay(u64);
    impl Drop for UnderWay {
        fn drop(&mut self) {
            let is_last = BEGINNINGS.with_borrow_mut(|beginnings| {
                if let Some(own) = beginnings.iter().rposition(|beginning| *beginning == self.0) {
                    beginnings.remove(own);
                }
                beginnings.is_empty()
            });
            Hub::current().clock.set_virtual(!is_last);
        }
    }
    let hub = Hub::current();
    hub.clock.set_virtual(true);
    let under_way = UnderWay(hub.now());
    BEGINNINGS.with_borrow_mut(|beginnings| beginnings.push(under_way.0));
    f()
}

/// The virtual time that has passed since the [`virtual_time`] began that was entered last. **Switches**: no.
///
/// # Panics
/// Outside [`virtual_time`].
///
/// # Examples
/// ```
/// use greenloop::{sleep, testing::{elapsed, virtual_time}};
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// virtual_time(|| { sleep(hour); assert_eq!(elapsed(), hour) }); // takes no time
/// ```
#[track_caller]
pub fn elapsed() -> Duration {
    match BEGINNINGS.with_borrow(|beginnings| beginnings.last().copied()) {
        Some(beginning) => Duration::from_nanos(Hub::current().now() - beginning),
        None => panic!("testing::elapsed has a meaning only inside testing::virtual_time"),
    }
}
