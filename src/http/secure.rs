//! A server's connection over TLS. It keeps its greenlet, and waits for the next request where it stands.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::connection::serve_connection;
use super::duplex_stream::DuplexStream;
use super::keeper::Service;
use super::response::Handler;
use super::server::Socket;
use super::stream::Stream;
use super::transport::{TlsInfo, Transport};
use crate::tls::{ServerConfig, TlsStream};

/// Shakes hands and serves the connection until it ends.
pub(super) fn serve<S: Stream, H: Handler>(
    tls: &ServerConfig,
    socket: Socket<S>,
    service: &Service<H>,
) -> io::Result<()> {
    let stream = Rc::new(tls.accept(socket.stream.another_handle()?)?);
    let served =
        serve_connection(Secure { stream: stream.clone(), socket }, &service.handler, &service.config);
    // All has been said, so a failure here is that of the client.
    let _ = stream.shutdown_write();
    served
}

/// A TLS stream, and the socket below it as the server knows it.
struct Secure<S: Stream> {
    stream: Rc<TlsStream<S>>,
    socket: Socket<S>,
}

impl<S: Stream> Read for Secure<S> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        (*self.stream).read(place)
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
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        Transport::shutdown_write(&self.socket)
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
        Some(TlsInfo::new(self.stream.server_name(), self.stream.alpn_protocol()))
    }

    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        Ok(Rc::new(SecureShared { stream: self.stream.clone(), socket: Transport::share(&self.socket)? }))
    }
}

/// The same for greenlets that share it.
struct SecureShared<S> {
    stream: Rc<TlsStream<S>>,
    socket: Rc<dyn DuplexStream>,
}

impl<S: Stream> DuplexStream for SecureShared<S> {
    #[track_caller]
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        (*self.stream).read(place)
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
        self.socket.set_read_timeout(timeout)
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
