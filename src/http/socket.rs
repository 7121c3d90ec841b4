//! A socket as the server knows it.

use super::duplex_stream::DuplexStream;
use super::gate::Gate;
use super::keeper::Client;
use super::stream::Stream;
use super::transport::Transport;
use crate::hub::Reason;
use crate::io::Resting;
use crate::lock::Permit;
use crate::net::TcpStream;
use crate::sys::transfer;
use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A socket with the address it was accepted from, so that nobody asks the system again.
pub(super) struct Socket<S: Stream = TcpStream> {
    pub(super) stream: S,
    peer: S::Peer,
    gate: Rc<Gate<S>>,
    /// Where it stands among the idle ones.
    place: Cell<Option<usize>>,
    /// Until it and whoever has taken it over are gone.
    _slot: Option<Rc<Permit>>,
}

impl<S: Stream> Socket<S> {
    pub(super) fn new(stream: S, peer: S::Peer, gate: Rc<Gate<S>>, slot: Option<Permit>) -> Socket<S> {
        Socket { stream, peer, gate, place: Cell::new(None), _slot: slot.map(Rc::new) }
    }
}

impl<S: Stream> Drop for Socket<S> {
    fn drop(&mut self) {
        Transport::set_idle(self, false);
    }
}

impl<S: Stream> Read for Socket<S> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.stream.read(place)
    }
}

impl<S: Stream> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> Transport for Socket<S> {
    fn try_read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.stream.read_without_waiting(place)
    }

    fn is_quiet(&self) -> bool {
        transfer::is_quiet(&self.stream)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn set_abrupt(&self, is_abrupt: bool) {
        self.stream.set_abrupt(is_abrupt);
    }

    fn set_idle(&self, is_idle: bool) {
        match (is_idle, self.place.get()) {
            (true, None) => self.place.set(self.gate.admit_idle(&self.stream)),
            (false, Some(place)) => {
                self.gate.forget_idle(place);
                self.place.set(None);
            }
            _ => {}
        }
    }

    fn is_stopping(&self) -> bool {
        self.gate.is_closed()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        S::address(&self.peer)
    }

    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        let (stream, gate) = (self.stream.another_handle()?, self.gate.clone());
        Ok(Rc::new(Socket {
            stream,
            peer: self.peer.clone(),
            gate,
            place: Cell::new(None),
            _slot: self._slot.clone(),
        }))
    }
}

impl<S: Stream> Client for Socket<S> {
    fn rest(&self) -> io::Result<(Resting, Reason)> {
        self.stream.rest()
    }

    fn peer(&self) -> &dyn fmt::Debug {
        &self.peer
    }
}

impl<S: Stream> DuplexStream for Socket<S> {
    #[track_caller]
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        DuplexStream::read(&self.stream, place)
    }

    #[track_caller]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        DuplexStream::write(&self.stream, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.stream.read_timeout()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown()
    }

    fn set_idle(&self, is_idle: bool) {
        Transport::set_idle(self, is_idle);
    }

    fn is_stopping(&self) -> bool {
        self.gate.is_closed()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        S::address(&self.peer)
    }
}
