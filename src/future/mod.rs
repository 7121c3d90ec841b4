//! The bridge to async crates: [`block_on`] runs a future on a greenlet.
//!
//! The other direction needs no bridge: what a [`Remote`](crate::sync::Remote) spawns, and an
//! [`AsyncResult`](crate::sync::AsyncResult) of [`sync`](crate::sync), can be awaited by any executor.

mod bell;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use crate::hub::Reason;
use crate::park::{Deadline, Woken};
pub(crate) use bell::Bell;

/// Runs a future to its end and parks only this greenlet while it is pending.
///
/// It suits futures that bring their own wake-ups with them: channels, locks and semaphores of async crates, or what is
/// computed on threads of another runtime. A future that needs a runtime around it (a socket or a timer of Tokio) must be
/// given one in the way that runtime offers. Wakers work from any thread.
///
/// Everything that ends a greenlet ends the future with it: a kill and a [`timeout`](crate::timeout()) drop the future where it
/// stands. A future that wakes itself lets the other greenlets run in between.
///
/// While somebody holds a waker of this call, that counts as outside work: there is no [`LoopExit`](crate::LoopExit), as the hub
/// cannot know whether the holder is another thread. When the last waker is dropped without having been used, nobody can
/// wake the call any more, and a thread that waits for it is told so.
///
/// **Switches**: if the future is pending.
///
/// **While unwinding** it panics if the future is pending: let a greenlet run it, by `spawn(|| block_on(future))`.
///
/// # Panics
/// If the future does. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever wake it.
/// While unwinding, if the future is pending.
///
/// # Examples
/// ```
/// use greenloop::{future::block_on, spawn};
///
/// let (sender, receiver) = async_channel::bounded(1);
/// let consumer = spawn(move || block_on(receiver.recv()));
/// block_on(async {
///     sender.send("from a future").await.unwrap();
/// });
/// assert_eq!(consumer.join()?, Ok("from a future"));
/// # Ok::<(), greenloop::JoinError>(())
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Bell::new();
    loop {
        let waker = bell.waker();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // From here on there is a waker only if the future, or somebody whom it told, keeps one.
        drop(waker);
        if bell.listen(Reason::plain(&"a future"), Deadline::NEVER) == Woken::Refused {
            panic!(
                "block_on in a destructor run by a panic or a kill, of a future that is not ready: let a greenlet run \
                 it, by spawn(|| block_on(future))"
            );
        }
    }
}
