//! `recv` and `send`, as the standard library's streams do them, and what is under way.
//!
//! The standard library goes through functions of the C library; here rustix makes the system call in place: see `docs/rationale.md`, "Bytes
//! go to the kernel straight from the caller's frame".

#[cfg(feature = "http")]
use std::os::fd::AsFd;

pub(crate) use implementation::{receive, send};

/// Has the peer acknowledged all that was sent, and was all read that has come? False where the system does not tell.
#[cfg(all(feature = "http", target_os = "linux"))]
pub(crate) fn is_quiet(stream: &impl AsFd) -> bool {
    use std::os::fd::AsRawFd;

    let mut left: libc::c_int = 0;
    // SAFETY: the call writes one integer (tcp(7) and unix(7), SIOCOUTQ, which has the number of TIOCOUTQ).
    let asked = unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut left) };
    asked == 0 && left == 0 && rustix::io::ioctl_fionread(stream).is_ok_and(|unread| unread == 0)
}

#[cfg(all(feature = "http", not(target_os = "linux")))]
pub(crate) fn is_quiet(_: &impl AsFd) -> bool {
    false
}

#[cfg(all(target_os = "linux", not(greenloop_std_transfers)))]
mod implementation {
    use std::io;
    use std::os::fd::AsFd;

    use rustix::net::{RecvFlags, SendFlags};

    #[inline]
    pub(crate) fn receive(stream: &impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(stream, buf, RecvFlags::empty())?;
        Ok(count)
    }

    /// A peer that has gone is an error, not a signal.
    #[inline]
    pub(crate) fn send(stream: &impl AsFd, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(stream, buf, SendFlags::NOSIGNAL)?)
    }
}

#[cfg(not(all(target_os = "linux", not(greenloop_std_transfers))))]
mod implementation {
    use std::io::{self, Read, Write};

    pub(crate) fn receive<S>(mut stream: &S, buf: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a S: Read,
    {
        stream.read(buf)
    }

    pub(crate) fn send<S>(mut stream: &S, buf: &[u8]) -> io::Result<usize>
    where
        for<'a> &'a S: Write,
    {
        stream.write(buf)
    }
}
