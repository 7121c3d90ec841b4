//! Telling greenlets that something has happened: [`Event`], and [`AsyncResult`] which carries a value.
//!
//! Both are handles: cloning one gives another handle to the same thing. They stay on their thread.

mod async_result;
#[expect(clippy::module_inception, reason = "one primitive per file, named after it")]
mod event;

pub use async_result::AsyncResult;
pub use event::Event;
