//! UDP.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use super::ToSocketAddrs;
use super::address::first;
use super::methods::{limit_methods, option_methods, socket_methods};
use super::shared::Shared;
use crate::io::with_context;

/// A UDP socket: `std::net::UdpSocket`, but only the greenlet waits.
///
/// What is there is received by one system call, and sending hardly ever waits. One greenlet can receive while another sends. A
/// datagram that is longer than the place for it is cut. A greenlet that never has to wait lets the others run after a number
/// of datagrams.
///
/// **Switches**: receiving, and sending while the system has no room. In a destructor run by a panic or a kill they return an
/// error instead.
///
/// # Examples
/// ```
/// use greenloop::{net::UdpSocket, spawn};
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// let echo = spawn(move || -> std::io::Result<()> {
///     let mut place = [0; 1500];
///     let (count, from) = server.recv_from(&mut place)?;
///     server.send_to(&place[..count], from).map(drop)
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"hello")?;
/// let mut place = [0; 8];
/// let count = client.recv(&mut place)?;
/// assert_eq!(&place[..count], b"hello");
/// # echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    inner: Shared<std::net::UdpSocket>,
}

impl UdpSocket {
    /// A socket with the first of the addresses that can be had; `0.0.0.0:0` or `[::]:0` is any.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// That of the last address tried, which its text names; that the name cannot be resolved.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// let error = UdpSocket::bind(socket.local_addr()?).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        first(addr, "bind a UDP socket to", |address| {
            std::net::UdpSocket::bind(address)
                .and_then(UdpSocket::from_std)
                .map_err(|error| with_context(error, format!("cannot bind a UDP socket to {address}")))
        })
    }

    /// From now on sends to this address only, and receives only from there. No packet is sent by it.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// That of the last address tried, which its text names; that the name cannot be resolved. If the peer's system says that
    /// nobody listens there, a later call has that as its error.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (socket, peer, stranger) =
    ///     (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// socket.connect(peer.local_addr()?)?;
    /// stranger.send_to(b"buy this", socket.local_addr()?)?;
    /// peer.send_to(b"hello", socket.local_addr()?)?;
    /// let mut place = [0; 8];
    /// assert_eq!(socket.recv(&mut place)?, 5); // the stranger's is not heard
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        first(addr, "connect a UDP socket to", |address| {
            let outcome = self.inner.std().connect(address);
            outcome.map_err(|error| with_context(error, format!("cannot connect a UDP socket to {address}")))
        })
    }

    /// Waits for a datagram; gives its length and who has sent it.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// `TimedOut` if the limit for reading has passed; if the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// a.send_to(b"hello", b.local_addr()?)?;
    /// let mut place = [0; 1500];
    /// assert_eq!(b.recv_from(&mut place)?, (5, a.local_addr()?));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.reading(|socket| socket.recv_from(buf))
    }

    /// [`recv_from`](Self::recv_from) without taking: the next call gets the same datagram.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for `recv_from`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// a.send_to(b"hello", b.local_addr()?)?;
    /// let mut place = [0; 8];
    /// assert_eq!(b.peek_from(&mut place)?, (5, a.local_addr()?));
    /// assert_eq!(b.recv_from(&mut place)?, (5, a.local_addr()?)); // the same
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.reading(|socket| socket.peek_from(buf))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// **Switches**: if the system has no room for it, and to look a name up.
    ///
    /// # Errors
    /// If the system refuses, for example because it is too long; the text names the address. `TimedOut` if the limit for writing has
    /// passed. That the name cannot be resolved.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// assert_eq!(a.send_to(b"hello", b.local_addr()?)?, 5);
    /// assert!(a.send_to(&[0; 70_000], b.local_addr()?).is_err()); // no datagram is that long
    /// let mut place = [0; 8];
    /// assert_eq!(b.recv_from(&mut place)?, (5, a.local_addr()?));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let Some(&to) = addr.to_socket_addrs()?.first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to send to"));
        };
        self.inner
            .writing(|socket| socket.send_to(buf, to))
            .map_err(|error| with_context(error, format!("cannot send to {to}")))
    }

    /// Waits for a datagram of the peer that the socket is [connected](Self::connect) to.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for [`recv_from`](Self::recv_from); `ConnectionRefused` if nobody listens at the peer's address.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// b.connect(a.local_addr()?)?;
    /// a.send_to(b"hello", b.local_addr()?)?;
    /// let mut place = [0; 8];
    /// let count = b.recv(&mut place)?;
    /// assert_eq!(&place[..count], b"hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.reading(|socket| socket.recv(buf))
    }

    /// [`recv`](Self::recv) without taking: the next call gets the same datagram.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for `recv`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// b.connect(a.local_addr()?)?;
    /// a.send_to(b"hello", b.local_addr()?)?;
    /// let mut place = [0; 2];
    /// assert_eq!((b.peek(&mut place)?, &place), (2, b"he"));
    /// let mut place = [0; 8];
    /// assert_eq!(b.recv(&mut place)?, 5); // all of the same
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.reading(|socket| socket.peek(buf))
    }

    /// Sends a datagram to the peer that the socket is [connected](Self::connect) to.
    ///
    /// **Switches**: if the system has no room for it.
    ///
    /// # Errors
    /// If the socket is not connected, or the system refuses; `ConnectionRefused` if an earlier datagram was. `TimedOut` if the limit
    /// for writing has passed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// assert!(a.send(b"hello").is_err()); // to whom?
    /// a.connect(b.local_addr()?)?;
    /// assert_eq!(a.send(b"hello")?, 5);
    /// assert_eq!(b.recv_from(&mut [0; 8])?, (5, a.local_addr()?));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.writing(|socket| socket.send(buf))
    }

    /// The peer that the socket is connected to. **Switches**: no.
    ///
    /// # Errors
    /// If it is not connected.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    ///
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// assert!(a.peer_addr().is_err());
    /// a.connect(b.local_addr()?)?;
    /// assert_eq!(a.peer_addr()?, b.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.std().peer_addr()
    }

    /// Becomes a member of a multicast group, at the interface with this address (`0.0.0.0` lets the system choose).
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the address is none of a group, or the system refuses; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    /// use std::net::Ipv4Addr;
    ///
    /// let group = Ipv4Addr::new(239, 255, 1, 1);
    /// let socket = UdpSocket::bind((group, 0))?;
    /// socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        let outcome = self.inner.std().join_multicast_v4(group, interface);
        outcome.map_err(|error| {
            with_context(error, format!("cannot join the group {group} at the interface {interface}"))
        })
    }

    /// Becomes a member of a multicast group, at the interface with this number (0 lets the system choose). **Switches**: no.
    ///
    /// # Errors
    /// If the address is none of a group, or the system refuses; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// # let Ok(_) = UdpSocket::bind("[::1]:0") else { return Ok(()) };
    /// let socket = UdpSocket::bind("[::]:0")?;
    /// let error = socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0).unwrap_err(); // which is no group
    /// assert!(error.to_string().starts_with("cannot join the group ::1 at the interface 0"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let outcome = self.inner.std().join_multicast_v6(group, interface);
        outcome.map_err(|error| {
            with_context(error, format!("cannot join the group {group} at the interface {interface}"))
        })
    }

    /// Ends what [`join_multicast_v4`](Self::join_multicast_v4) has begun. **Switches**: no.
    ///
    /// # Errors
    /// If the socket is no member; the text names the group.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    /// use std::net::Ipv4Addr;
    ///
    /// let group = Ipv4Addr::new(239, 255, 1, 1);
    /// let socket = UdpSocket::bind("0.0.0.0:0")?;
    /// socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// assert!(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err()); // it is no member any more
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        let outcome = self.inner.std().leave_multicast_v4(group, interface);
        outcome.map_err(|error| {
            with_context(error, format!("cannot leave the group {group} at the interface {interface}"))
        })
    }

    /// Ends what [`join_multicast_v6`](Self::join_multicast_v6) has begun. **Switches**: no.
    ///
    /// # Errors
    /// If the socket is no member; the text names the group.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// # let Ok(_) = UdpSocket::bind("[::1]:0") else { return Ok(()) };
    /// let socket = UdpSocket::bind("[::]:0")?;
    /// let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x1234);
    /// let error = socket.leave_multicast_v6(&group, 0).unwrap_err(); // it has not joined
    /// assert!(error.to_string().starts_with("cannot leave the group ff01::1234"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let outcome = self.inner.std().leave_multicast_v6(group, interface);
        outcome.map_err(|error| {
            with_context(error, format!("cannot leave the group {group} at the interface {interface}"))
        })
    }
}

option_methods! { UdpSocket by set_up:
    /// Allows to send to broadcast addresses (`SO_BROADCAST`).
    set_broadcast, broadcast: bool = true;
    /// Sets how many routers a packet may pass.
    set_ttl, ttl: u32 = 10;
    /// Gives what is sent to an IPv4 group to its members on this machine, too.
    set_multicast_loop_v4, multicast_loop_v4: bool = false;
    /// Sets how many routers a packet to an IPv4 group may pass; 1 unless it is set.
    set_multicast_ttl_v4, multicast_ttl_v4: u32 = 10;
}
option_methods! { UdpSocket by set_up6:
    /// Gives what is sent to an IPv6 group to its members on this machine, too.
    set_multicast_loop_v6, multicast_loop_v6: bool = false;
}
limit_methods!(UdpSocket, "receive", "send");
socket_methods!(UdpSocket, std::net::UdpSocket, SocketAddr);
