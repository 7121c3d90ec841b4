//! Servers: an acceptor, a greenlet for each connection, an orderly end.

mod accept;
mod outcome;
mod stream_server;

pub use outcome::Outcome;
pub use stream_server::{Builder, StreamServer};
