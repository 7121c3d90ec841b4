//! Errors that say what was attempted.

use std::error::Error;
use std::fmt;
use std::io;

#[derive(Debug)]
struct Context {
    attempted: String,
    source: io::Error,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attempted, self.source)
    }
}

impl Error for Context {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The same kind of error, with a text that begins with what was attempted: `cannot connect to 127.0.0.1:1: ...`.
pub(crate) fn with_context(source: io::Error, attempted: impl Into<String>) -> io::Error {
    io::Error::new(source.kind(), Context { attempted: attempted.into(), source })
}
