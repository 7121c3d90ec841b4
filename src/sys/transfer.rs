//! `recv` and `send`, as the standard library's streams do them.
//!
//! That goes through functions of the C library; here rustix makes the system call in place: see `docs/rationale.md`, "Bytes
//! go to the kernel straight from the caller's frame".

pub(crate) use implementation::{receive, send};

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
