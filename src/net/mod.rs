//! Sockets with the names and shapes of `std::net`, which park the greenlet instead of blocking the thread.

mod address;
mod listener;
mod stream;

pub use address::{ToSocketAddrs, lookup_host};
pub(crate) use listener::{BACKLOG, first_bound, listen_error};
pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
