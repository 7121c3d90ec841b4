//! What a `select!` takes from the allocator: nothing, if an arm is ready.

mod allocations_support;

use allocations_support::count;
use greenloop::lock::Semaphore;
use greenloop::queue::Queue;
use greenloop::{select, yield_now};
use std::time::Duration;

#[test]
fn a_select_with_an_arm_that_is_ready_allocates_nothing() {
    let (full, empty, permits) = (Queue::bounded(1), Queue::<u32>::bounded(1), Semaphore::new(0));
    yield_now(); // the hub is there
    full.put(1).unwrap();
    let before = count();
    for round in 0..100 {
        let item = select! {
            _ = permits.acquire() => unreachable!(),
            item = full.get() => item,
            item = empty.get() => item,
            _ = after(Duration::from_secs(60)) => unreachable!(),
        };
        assert_eq!(item, Ok(1));
        select! {
            done = full.put(1) => done.unwrap(),
            _ = empty.get() => unreachable!("{round}"),
        }
        select! {
            _ = permits.acquire() => unreachable!(),
            default => {}
        }
    }
    assert_eq!(count() - before, 0);
}
