//! Telling greenlets that something has happened: [`Event`], and [`AsyncResult`] which carries a value.
//!
//! Both are handles: cloning one gives another handle to the same thing. They stay on their thread.

mod async_result;
#[expect(clippy::module_inception, reason = "one primitive per file, named after it")]
mod event;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use async_result::AsyncResult;
pub use event::Event;

// A panic finds nothing half done in here. The value of an `AsyncResult` is seen again behind it, so that counts.
impl UnwindSafe for Event {}
impl RefUnwindSafe for Event {}
impl<T: UnwindSafe + RefUnwindSafe> UnwindSafe for AsyncResult<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for AsyncResult<T> {}
