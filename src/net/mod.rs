//! Sockets with the names and shapes of `std::net`, which park the greenlet instead of blocking the thread.

mod address;
mod connect;
mod listener;
mod methods;
mod shared;
mod stream;

pub use address::{ToSocketAddrs, lookup_host, lookup_host_timeout};
pub(crate) use listener::{BACKLOG, first_bound, listen_error};
pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
