//! TCP sockets as the kernel makes them, non-blocking and closed on exec from the beginning, and their options.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

fn tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Begins to connect, from `local` if that is given; true if the connection is there already.
pub(crate) fn begin_connect(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<(TcpStream, bool)> {
    let socket = tcp(address)?;
    if let Some(local) = local {
        // Several attempts at once, to different addresses, may come from the same port.
        socket.set_reuse_address(local.port() != 0)?;
        socket.bind(&SockAddr::from(local))?;
    }
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
    SockRef::from(bound).listen(backlog)
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

/// A fraction of a second counts as a second, so that it does not become nothing, which means something else.
pub(crate) fn set_linger(socket: impl AsFd, linger: Option<Duration>) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(socket, linger)?)
}

pub(crate) fn linger(socket: impl AsFd) -> io::Result<Option<Duration>> {
    Ok(sockopt::socket_linger(socket)?)
}

pub(crate) fn set_keepalive(socket: &TcpStream, silence: Option<Duration>) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let Some(silence) = silence else { return socket.set_keepalive(false) };
    let seconds = silence.as_secs().saturating_add(u64::from(silence.subsec_nanos() > 0));
    let params = TcpKeepalive::new().with_time(Duration::from_secs(seconds));
    let was_on = socket.keepalive()?;
    socket.set_tcp_keepalive(&params).inspect_err(|_| {
        // It is switched on before the time is refused.
        let _ = socket.set_keepalive(was_on);
    })
}

pub(crate) fn keepalive(socket: &TcpStream) -> io::Result<Option<Duration>> {
    let socket = SockRef::from(socket);
    socket.keepalive()?.then(|| socket.tcp_keepalive_time()).transpose()
}
