//! What a connection needs only while it works: its buffers and the memory of a head.
//!
//! They are taken when something has come and given back when everything is answered, so that the thousands of connections that
//! wait for their next request hold none; and the one that was used last, which the processor still has at hand, is the next to be taken.

use super::head::Head;
use super::io::Buffers;
use std::cell::RefCell;

/// More than this are not kept for later. So many connections rarely work at the same time.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Desk>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) buffers: Box<Buffers>,
    pub(crate) head: Box<Head>,
}

impl Desk {
    pub(crate) fn take() -> Desk {
        let free = FREE.try_with(|free| free.borrow_mut().pop()).ok().flatten();
        free.unwrap_or_else(|| Desk { buffers: Box::default(), head: Box::new(Head::new()) })
    }

    /// Puts it back. There must be nothing left on it.
    pub(crate) fn give(mut self) {
        debug_assert!(self.buffers.are_empty());
        self.buffers.shrink();
        self.head.reset();
        // At the end of a thread there may be nobody to keep it.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(self);
            }
        });
    }
}
