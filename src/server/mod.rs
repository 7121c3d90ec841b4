//! Servers: an acceptor, a greenlet for each connection or datagram, an orderly end; on one thread or on several.

mod accept;
mod address;
mod datagram_server;
mod life;
mod listener;
mod options;
mod outcome;
#[cfg(feature = "tls")]
mod secure;
mod serve;
mod stream_server;
mod together;
mod workers;

pub use address::ToListenAddrs;
pub use datagram_server::{DatagramBuilder, DatagramServer, Peer};
pub use listener::Listener;
pub use options::{DatagramOptions, ListenOptions};
pub use outcome::Outcome;
pub use serve::Serve;
pub use stream_server::{Builder, StreamServer};
#[cfg(feature = "http")]
pub(crate) use together::{Part, Together};
pub use workers::{Stopper, Worker, Workers, workers};
