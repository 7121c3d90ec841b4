//! The way to a thread of the pool and back.

use std::io;
use std::path::Path;

use crate::io::with_context;
use crate::threadpool::threadpool;

/// Makes a call that may borrow from the greenlet, which waits for its end, whatever comes.
#[track_caller]
pub(super) fn act<T: Send>(
    attempted: impl FnOnce() -> String,
    call: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    threadpool().try_apply(call).and_then(|result| result).map_err(|error| with_context(error, attempted()))
}

/// Makes a call that is left to itself if the greenlet is interrupted.
#[track_caller]
pub(crate) fn look<T: Send + 'static>(
    attempted: impl FnOnce() -> String,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let result = match std::thread::panicking() {
        true => call(),
        false => match threadpool().try_spawn(call) {
            Ok(job) => job.outcome().and_then(|result| result),
            Err(error) => Err(error),
        },
    };
    result.map_err(|error| with_context(error, attempted()))
}

/// `cannot open `/a/b``
pub(crate) fn cannot(verb: &str, path: &Path) -> String {
    format!("cannot {verb} `{}`", path.display())
}
