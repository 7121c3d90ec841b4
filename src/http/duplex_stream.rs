//! What is left of a connection when a handler has taken it over: two directions, for greenlets that share it.

use crate::net::{TcpStream, UnixStream};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// A byte stream that two greenlets can use at the same time, one to read and one to write: what is left of a connection when a handler
/// has taken it over.
///
/// ```
/// use greenloop::http::{Request, Response, DuplexStream, Transport};
/// use greenloop::net::UnixStream;
/// use std::io::{self, Read, Write};
/// use std::{net::SocketAddr, rc::Rc, time::Duration};
///
/// struct Local(UnixStream);
///
/// impl Transport for Local {
///     fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
///         Ok(Rc::new(self.0.try_clone()?))
///     }
/// #   fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_read_timeout(timeout) }
/// #   fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_write_timeout(timeout) }
/// #   fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
/// #   fn peer_addr(&self) -> Option<SocketAddr> { None }
///     // and the other methods
/// }
/// # impl Read for Local { fn read(&mut self, place: &mut [u8]) -> io::Result<usize> { self.0.read(place) } }
/// # impl Write for Local {
/// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
/// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
/// # }
/// ```
pub trait DuplexStream {
    /// As [`Read::read`].
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn read(&self, place: &mut [u8]) -> io::Result<usize>;

    /// As [`Write::write`].
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`Write::flush`].
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn flush(&self) -> io::Result<()>;

    /// Bounds each following `read`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// The limit that [`set_read_timeout`](Self::set_read_timeout) has set, if the stream can tell. Over one that cannot, TLS bounds each of
    /// the pieces in which a record comes, instead of the whole `read`.
    fn read_timeout(&self) -> Option<Duration> {
        None
    }

    /// Bounds each following `write`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Tells the peer that nothing more will be sent, while its own bytes can still be read.
    ///
    /// # Errors
    /// Whatever the stream reports.
    fn shutdown_write(&self) -> io::Result<()>;

    /// Ends both directions and wakes whoever waits for them, without waiting itself.
    ///
    /// # Errors
    /// That the stream has ended already.
    fn shutdown(&self) -> io::Result<()>;

    /// As [`Transport::set_idle`](super::Transport::set_idle): while it is, a server that stops ends the reading direction at once.
    fn set_idle(&self, is_idle: bool) {
        let _ = is_idle;
    }

    /// As [`Transport::is_stopping`](super::Transport::is_stopping).
    fn is_stopping(&self) -> bool {
        false
    }

    /// The address of the peer, if the stream has such a thing.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}

macro_rules! shared_sockets {
    ($($Stream:ty, $peer:expr;)*) => {$(
        impl DuplexStream for $Stream {
            #[track_caller]
            fn read(&self, place: &mut [u8]) -> io::Result<usize> {
                (&mut &*self).read(place)
            }

            #[track_caller]
            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                (&mut &*self).write(bytes)
            }

            fn flush(&self) -> io::Result<()> {
                Ok(())
            }

            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                <$Stream>::set_read_timeout(self, timeout)
            }

            fn read_timeout(&self) -> Option<Duration> {
                <$Stream>::read_timeout(self).ok().flatten()
            }

            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                <$Stream>::set_write_timeout(self, timeout)
            }

            fn shutdown_write(&self) -> io::Result<()> {
                <$Stream>::shutdown(self, Shutdown::Write)
            }

            fn shutdown(&self) -> io::Result<()> {
                <$Stream>::shutdown(self, Shutdown::Both)
            }

            fn peer_addr(&self) -> Option<SocketAddr> {
                $peer(self)
            }
        }
    )*};
}

shared_sockets! {
    TcpStream, |stream: &TcpStream| stream.peer_addr().ok();
    UnixStream, |_| None;
}

/// The time limits are those of the stream below, but that of a read is one for the whole of it, however many pieces its record comes in.
/// Ending both directions says no `close_notify`, as that may wait.
#[cfg(feature = "tls")]
impl<S: DuplexStream + crate::tls::SharedStream> DuplexStream for crate::tls::TlsStream<S> {
    #[track_caller]
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        super::whole_read::read(self, place)
    }

    #[track_caller]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    #[track_caller]
    fn flush(&self) -> io::Result<()> {
        Write::flush(&mut &*self)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.get_ref().set_read_timeout(timeout)
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.get_ref().read_timeout()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.get_ref().set_write_timeout(timeout)
    }

    #[track_caller]
    fn shutdown_write(&self) -> io::Result<()> {
        crate::tls::TlsStream::shutdown_write(self)?;
        self.get_ref().shutdown_write()
    }

    fn shutdown(&self) -> io::Result<()> {
        self.get_ref().shutdown()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.get_ref().peer_addr()
    }
}
