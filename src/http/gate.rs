//! Which connections of a server are between two requests, and how a server that stops ends them.

use super::admission::Admission;
use super::stream::Stream;
use slab::Slab;
use std::cell::{Cell, RefCell};

/// Knows which connections of a server are between two requests.
pub(super) struct Gate<S> {
    is_closed: Cell<bool>,
    idle: RefCell<Slab<S>>,
    pub(super) admission: Option<Admission>,
}

impl<S> Gate<S> {
    pub(super) fn new(admission: Option<Admission>) -> Gate<S> {
        Gate { is_closed: Cell::new(false), idle: RefCell::new(Slab::new()), admission }
    }
}

impl<S: Stream> Gate<S> {
    /// Ends the waits of idle connections: they read the end of the stream.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.admission.iter().for_each(Admission::open);
        for (_, stream) in self.idle.borrow().iter() {
            // Fails only if the connection is broken, and then it ends as well.
            let _ = stream.end_reads();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Has a connection ended by [`close`](Gate::close). Gives its place, if another handle can be had.
    pub(super) fn admit_idle(&self, stream: &S) -> Option<usize> {
        stream.another_handle().ok().map(|stream| self.idle.borrow_mut().insert(stream))
    }

    pub(super) fn forget_idle(&self, place: usize) {
        self.idle.borrow_mut().remove(place);
    }
}
