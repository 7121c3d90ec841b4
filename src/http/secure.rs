//! A server's connection over TLS. It rests between two requests as others do, see `keeper.rs`; of its session nothing but the keys
//! and rustls's own buffer is left then.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::duplex_stream::DuplexStream;
use super::io::quiet;
use super::keeper::{Client, Service, keep};
use super::socket::Socket;
use super::stream::Stream;
use super::transport::{TlsInfo, Transport};
use super::whole_read::Within;
use crate::hub::Reason;
use crate::io::Resting;
use crate::sys::transfer;
use crate::tls::{ServerConfig, TlsStream};

/// Shakes hands, then has the connection served until it ends. An error is the server's own.
pub(super) fn serve<S: Stream>(
    tls: &ServerConfig,
    socket: Socket<S>,
    service: Rc<Service>,
) -> io::Result<()> {
    if Transport::is_stopping(&socket) {
        return Ok(());
    }
    // There is no request yet that a server which stops would have to wait for.
    Transport::set_idle(&socket, true);
    let shaken = tls.accept(socket.stream.another_handle()?);
    Transport::set_idle(&socket, false);
    match shaken {
        Ok(stream) => {
            let (read_limit, is_abrupt, certificates) = (Cell::new(None), Cell::new(false), OnceCell::new());
            keep(Secure { stream: Rc::new(stream), socket, read_limit, is_abrupt, certificates }, service);
        }
        // A client that fails in the handshake is as little to be reported as one that sends a malformed request.
        Err(error) => quiet(Err(error))?,
    }
    Ok(())
}

/// A TLS stream, and the socket below it as the server knows it.
struct Secure<S: Stream> {
    stream: Rc<TlsStream<S>>,
    socket: Socket<S>,
    /// Of a read here, which may be many of the socket.
    read_limit: Cell<Option<Duration>>,
    /// See [`Transport::set_abrupt`].
    is_abrupt: Cell<bool>,
    /// Those of the client, for handlers that ask. rustls lends them for a moment only.
    certificates: OnceCell<Box<[Vec<u8>]>>,
}

impl<S: Stream> Read for Secure<S> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.stream.read_over(&mut Within::new(&self.socket.stream, self.read_limit.get()), place)
    }
}

impl<S: Stream> Write for Secure<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (*self.stream).write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.stream).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        (*self.stream).flush()
    }
}

impl<S: Stream> Transport for Secure<S> {
    fn try_read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.stream.read_over(&mut Now(&self.socket.stream), place)
    }

    fn is_quiet(&self) -> bool {
        transfer::is_quiet(&self.socket.stream)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.stream.set_read_timeout(timeout)?;
        self.read_limit.set(timeout);
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        Transport::shutdown_write(&self.socket)
    }

    fn set_abrupt(&self, is_abrupt: bool) {
        self.is_abrupt.set(is_abrupt);
        self.socket.set_abrupt(is_abrupt);
    }

    fn set_idle(&self, is_idle: bool) {
        Transport::set_idle(&self.socket, is_idle);
    }

    fn is_stopping(&self) -> bool {
        Transport::is_stopping(&self.socket)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        Transport::peer_addr(&self.socket)
    }

    fn tls(&self) -> Option<TlsInfo<'_>> {
        let certificates = self.certificates.get_or_init(|| {
            self.stream.peer_certificates().iter().map(|certificate| certificate.to_vec()).collect()
        });
        let info = TlsInfo::new(self.stream.server_name(), self.stream.alpn_protocol());
        Some(info.with_peer_certificates(certificates))
    }

    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        Ok(Rc::new(SecureShared {
            stream: self.stream.clone(),
            socket: Transport::share(&self.socket)?,
            read_limit: Cell::new(None),
        }))
    }
}

impl<S: Stream> Client for Secure<S> {
    fn rest(&self) -> io::Result<(Resting, Reason)> {
        // What was read is decrypted, and what was decrypted is taken, so whatever comes next comes from the socket.
        self.stream.give_buffers_back();
        self.socket.rest()
    }

    fn say_goodbye(&self) {
        if !self.is_abrupt.get() {
            // All has been said, so a failure here is that of the client.
            let _ = self.stream.shutdown_write();
        }
    }

    fn peer(&self) -> &dyn fmt::Debug {
        self.socket.peer()
    }
}

/// A socket whose reads do not wait.
struct Now<'a, S>(&'a S);

impl<S: Stream> Read for Now<'_, S> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.0.read_without_waiting(place)
    }
}

impl<S: Stream> Write for Now<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        DuplexStream::write(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for greenlets that share it.
struct SecureShared<S> {
    stream: Rc<TlsStream<S>>,
    socket: Rc<dyn DuplexStream>,
    read_limit: Cell<Option<Duration>>,
}

impl<S: Stream> DuplexStream for SecureShared<S> {
    #[track_caller]
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        self.stream.read_over(&mut Within::new(&*self.socket, self.read_limit.get()), place)
    }

    #[track_caller]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (*self.stream).write(bytes)
    }

    #[track_caller]
    fn flush(&self) -> io::Result<()> {
        (*self.stream).flush()
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)?;
        self.read_limit.set(timeout);
        Ok(())
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.read_limit.get()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }

    #[track_caller]
    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        self.socket.shutdown_write()
    }

    fn shutdown(&self) -> io::Result<()> {
        self.socket.shutdown()
    }

    fn set_idle(&self, is_idle: bool) {
        self.socket.set_idle(is_idle);
    }

    fn is_stopping(&self) -> bool {
        self.socket.is_stopping()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr()
    }
}
