//! Who does something with a stream that one greenlet at a time may do.

use std::cell::Cell;
use std::rc::Rc;

use crate::hub::{Hub, Task};

/// The one greenlet that may do something, for an error that names it.
#[derive(Default)]
pub(crate) struct Holder(Cell<Option<Rc<Task>>>);

impl Holder {
    /// The running greenlet becomes the one, or is told who is.
    pub(crate) fn begin(&self) -> Result<(), Rc<Task>> {
        match self.0.take() {
            None => {
                self.0.set(Some(Hub::current().running()));
                Ok(())
            }
            Some(other) => {
                self.0.set(Some(other.clone()));
                Err(other)
            }
        }
    }

    pub(crate) fn end(&self) {
        self.0.take();
    }
}
