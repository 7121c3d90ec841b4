//! Sockets that servers listen on, with the options that must be set before they are bound.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Binds with `SO_REUSEADDR`, without listening yet. `[::]` takes IPv4 clients as well; where the system has no IPv6 at all
/// it stands for `0.0.0.0`.
pub(crate) fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && is_any_v6(address) => {
            return bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), reuse_port);
        }
        other => other?,
    };
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}
