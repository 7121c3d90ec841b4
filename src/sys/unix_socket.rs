//! Unix sockets as the kernel makes them, non-blocking and closed on exec from the beginning.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use rustix::net::{AddressFamily, RecvFlags, SocketAddrAny};
use socket2::{Domain, SockAddr, Socket, Type};

/// Begins to connect; true if the connection is there already. `WouldBlock` if the listener's queue is full: then nothing
/// was begun.
pub(crate) fn begin_connect(address: &SocketAddr) -> io::Result<(UnixStream, bool)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&sock_addr(address)?) {
        Ok(()) => Ok((OwnedFd::from(socket).into(), true)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            Ok((OwnedFd::from(socket).into(), false))
        }
        Err(error) => Err(error),
    }
}

fn sock_addr(address: &SocketAddr) -> io::Result<SockAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(address) {
        return SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()));
    }
    SockAddr::unix(address.as_pathname().unwrap_or(Path::new("")))
}

/// Takes a connection that waits, in one system call where there is one for it.
pub(crate) fn accept(listener: &UnixListener) -> io::Result<(UnixStream, SocketAddr)> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
    {
        use rustix::net::{SocketFlags, acceptfrom_with};
        let (socket, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        Ok((UnixStream::from(socket), address(peer)?))
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

/// Receives without taking.
pub(crate) fn peek(socket: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, buf, RecvFlags::PEEK)?.0)
}

/// Receives a datagram without taking it.
pub(crate) fn peek_from(socket: &UnixDatagram, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    let (count, _, from) = rustix::net::recvfrom(socket, buf, RecvFlags::PEEK)?;
    Ok((count, address(from)?))
}

/// The address of a socket without a name.
pub(crate) fn unnamed() -> io::Result<SocketAddr> {
    SocketAddr::from_pathname("")
}

/// In the form of the standard library, which has none for a path of the greatest length: that is left out.
fn address(given: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let Some(given) = given.filter(|given| given.address_family() == AddressFamily::UNIX) else {
        return unnamed();
    };
    // SAFETY: `given` owns so many bytes, which the kernel has written, and outlives the slice.
    let bytes = unsafe { std::slice::from_raw_parts(given.as_ptr().cast::<u8>(), given.addr_len() as usize) };
    match bytes.get(std::mem::offset_of!(libc::sockaddr_un, sun_path)..) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Some([0, name @ ..]) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
        Some(path @ [1..=255, ..]) => {
            let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
            SocketAddr::from_pathname(OsStr::from_bytes(&path[..end])).or_else(|_| unnamed())
        }
        _ => unnamed(),
    }
}
