//! Sockets of servers, with the options that must be set before they are bound.
//!
//! `[::]` takes IPv4 clients as well; where the system has no IPv6 at all it stands for `0.0.0.0`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, SockAddr, Socket, Type};

/// Binds a socket for connections with `SO_REUSEADDR`, without listening yet.
pub(crate) fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let (socket, address) = socket(address, Type::STREAM)?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Binds a socket for datagrams. From now on the system takes them.
pub(crate) fn bind_udp(address: SocketAddr, reuse_port: bool) -> io::Result<UdpSocket> {
    let (socket, address) = socket(address, Type::DGRAM)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// A socket and the address to bind it to.
fn socket(address: SocketAddr, kind: Type) -> io::Result<(Socket, SocketAddr)> {
    let is_any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    let (made, address) = match Socket::new(Domain::for_address(address), kind, None) {
        Err(error) if is_any_v6 && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            (Socket::new(Domain::IPV4, kind, None)?, any_v4)
        }
        made => (made?, address),
    };
    made.set_nonblocking(true)?;
    if is_any_v6 && address.is_ipv6() {
        made.set_only_v6(false)?;
    }
    Ok((made, address))
}
