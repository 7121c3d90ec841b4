//! What crosses OS threads.
//!
//! Everything else of this crate stays on its thread and costs no atomics. What is here may be sent to and shared with any
//! thread, and waited for by greenlets of any hub, by threads without a hub, and partly by async executors:
//!
//! * [`remote()`]: spawns greenlets on a hub from elsewhere.
//! * [`channel()`] and [`unbounded`]: items from many threads to many.
//! * [`Event`], [`AsyncResult`], [`Semaphore`]: the siblings of those in [`event`](crate::event) and [`lock`](crate::lock).
//!
//! # Who blocks
//!
//! A call that has to wait parks the greenlet if its thread has a hub (the root is a greenlet in this respect: the loop runs
//! underneath it). A thread that has none is blocked; no hub is made for it. As everywhere, nothing waits on a thread with
//! a hub that is unwinding.
//!
//! # No deadlock report
//!
//! A greenlet that waits for something of this module counts as outside work: its hub sleeps in the kernel, without
//! polling, and raises no [`LoopExit`](crate::LoopExit), as it cannot know what other threads will do. A channel ends when all senders
//! are gone, and a [`RemoteGreenlet`] with its thread; but a deadlock *between* threads is not found.

mod async_result;
mod block;
mod channel;
mod event;
mod line;
mod remote;
mod remote_greenlet;
mod semaphore;
#[cfg(all(test, greenloop_loom))]
mod tests;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use async_result::{AsyncResult, Get};
pub(crate) use block::wait;
pub use channel::{IntoIter, Iter, Receiver, Sender, channel, unbounded};
pub use event::Event;
pub(crate) use line::Line;
pub use remote::{HubEnded, Remote, remote};
pub use remote_greenlet::RemoteGreenlet;
pub use semaphore::Semaphore;

// A panic finds nothing half done in here. Items and results are taken out, and those that are seen again count.
impl UnwindSafe for Event {}
impl RefUnwindSafe for Event {}
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}
impl UnwindSafe for Remote {}
impl RefUnwindSafe for Remote {}
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
impl<T> UnwindSafe for RemoteGreenlet<T> {}
impl<T> RefUnwindSafe for RemoteGreenlet<T> {}
impl<T: UnwindSafe + RefUnwindSafe> UnwindSafe for AsyncResult<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for AsyncResult<T> {}
