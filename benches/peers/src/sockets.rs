//! Sockets and epoll, one system call per function.

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use rustix::event::epoll::{Event, EventFlags};

/// Lets this process open as many descriptors as it may.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a process may raise its limit up to the maximum");
}

fn tcp() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
}

/// Listens on the loopback interface with a backlog of 4096.
pub fn listen(port: u16) -> OwnedFd {
    listen_beside(port, false)
}

/// The same, where the kernel shares out the connections among `count` listeners.
pub fn listen_together(port: u16, count: u64) -> Vec<OwnedFd> {
    (0..count).map(|_| listen_beside(port, true)).collect()
}

fn listen_beside(port: u16, others: bool) -> OwnedFd {
    let bound = || {
        let listener = tcp()?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        sockopt::set_socket_reuseport(&listener, others)?;
        rustix::net::bind(&listener, &SocketAddrV4::new([127, 0, 0, 1].into(), port))?;
        rustix::net::listen(&listener, 4096)?;
        Ok(listener)
    };
    bound().unwrap_or_else(|error: Errno| crate::fail(&format!("cannot listen on port {port}: {error}")))
}

/// Takes a connection if one waits.
pub fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    match rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(socket) => {
            sockopt::set_tcp_nodelay(&socket, true).ok()?;
            Some(socket)
        }
        Err(Errno::AGAIN) => None,
        Err(error) => crate::fail(&format!("cannot accept: {error}")),
    }
}

/// Begins to connect.
pub fn connect(address: &SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = tcp()?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Has a connection that was begun come about?
pub fn is_connected(socket: &OwnedFd) -> bool {
    matches!(sockopt::socket_error(socket), Ok(Ok(())))
}

/// Has a socket be ready for reading only when so many bytes have come.
pub fn wake_at(socket: &OwnedFd, bytes: usize) {
    let least = bytes as libc::c_int;
    // SAFETY: the option is an int, and this one lives through the call.
    let outcome = unsafe {
        let (at, size) = (&raw const least, size_of_val(&least) as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, at.cast(), size)
    };
    assert_eq!(outcome, 0, "every socket has a low-water mark");
}

/// An epoll instance, edge-triggered, with the events of its last wait.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub fn new() -> Poll {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll instance can be had");
        Poll { epoll, events: Vec::with_capacity(1024) }
    }

    pub fn add(&self, descriptor: impl AsFd, key: u64, interest: EventFlags) {
        let data = epoll::EventData::new_u64(key);
        epoll::add(&self.epoll, descriptor, data, interest | EventFlags::ET)
            .expect("an open socket is watched");
    }

    /// Sleeps until something is ready; gives key and flags of each event.
    #[inline]
    pub fn wait(&mut self, timeout: Option<Duration>) -> impl Iterator<Item = (u64, EventFlags)> + '_ {
        let timeout = timeout.map(|time| Timespec::try_from(time).expect("a short time"));
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => crate::fail(&format!("epoll_wait: {error}")),
        }
        self.events.iter().map(|event| (event.data.u64(), event.flags))
    }
}

impl Default for Poll {
    fn default() -> Self {
        Poll::new()
    }
}
