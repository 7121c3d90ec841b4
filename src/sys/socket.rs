//! Sockets as the kernel makes them: non-blocking and closed on exec from the beginning.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

fn tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Begins to connect; true if the connection is there already.
pub(crate) fn begin_connect(address: SocketAddr) -> io::Result<(TcpStream, bool)> {
    let socket = tcp(address)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok((socket.into(), true)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok((socket.into(), false)),
        Err(error) => Err(error),
    }
}

/// Binds with `SO_REUSEADDR`, without listening yet: until then clients are refused.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = tcp(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Lets clients connect.
pub(crate) fn listen(bound: &TcpListener, backlog: i32) -> io::Result<()> {
    socket2::SockRef::from(bound).listen(backlog)
}

/// Takes a connection that waits, in one system call where there is one for it.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
    {
        use rustix::net::{SocketFlags, acceptfrom_with};
        let (socket, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let peer = peer.ok_or_else(|| io::Error::other("the kernel did not say who has connected"))?;
        Ok((TcpStream::from(socket), peer))
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd"
    )))]
    {
        let (socket, peer) = listener.accept()?;
        socket.set_nonblocking(true)?;
        Ok((socket, peer))
    }
}
