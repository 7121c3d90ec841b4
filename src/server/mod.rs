//! Servers: an acceptor, a greenlet for each connection, an orderly end.

mod accept;
mod address;
mod life;
mod listener;
mod options;
mod outcome;
mod serve;
mod stream_server;
mod workers;

pub use address::ToListenAddrs;
pub use listener::Listener;
pub use options::ListenOptions;
pub use outcome::Outcome;
pub use serve::Serve;
pub use stream_server::{Builder, StreamServer};
pub use workers::{Stopper, Worker, Workers, workers};
