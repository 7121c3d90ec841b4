//! Sockets with the names and shapes of `std::net` and `std::os::unix::net`, which park the greenlet instead of blocking the
//! thread.

mod address;
mod connect;
mod examples;
mod listener;
mod methods;
mod shared;
mod stream;
mod udp;
mod unix_datagram;
mod unix_listener;
mod unix_stream;

pub use address::{ToSocketAddrs, lookup_host, lookup_host_timeout};
pub(crate) use listener::{BACKLOG, first_bound, listen_error};
pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
pub use udp::UdpSocket;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::UnixListener;
pub use unix_stream::UnixStream;
