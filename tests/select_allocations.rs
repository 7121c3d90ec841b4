//! What a `select!` takes from the allocator: nothing, if an arm is ready.

use greenloop::lock::Semaphore;
use greenloop::queue::Queue;
use greenloop::{select, yield_now};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_select_with_an_arm_that_is_ready_allocates_nothing() {
    let (full, empty, permits) = (Queue::bounded(1), Queue::<u32>::bounded(1), Semaphore::new(0));
    yield_now(); // the hub is there
    full.put(1).unwrap();
    let before = COUNT.get();
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
    assert_eq!(COUNT.get() - before, 0);
}
