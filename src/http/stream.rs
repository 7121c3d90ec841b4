//! The sockets that a server serves: one of either kind can rest between two requests.

use super::duplex_stream::DuplexStream;
use crate::hub::Reason;
use crate::io::Resting;
use crate::net::{TcpStream, UnixStream};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net as unix;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::tls::SharedStream as Shared;

/// What TLS asks of a stream. Without it that is nothing.
#[cfg(not(feature = "tls"))]
pub(super) trait Shared {}

/// What a server needs of a socket. All of it is what the sockets of `net` can do anyway.
pub(super) trait Stream: Read + Write + AsFd + DuplexStream + Shared + Sized + 'static {
    /// Where a client comes from.
    type Peer: Clone + fmt::Debug + 'static;

    /// Called once, when it was accepted.
    fn prepare(&self) -> io::Result<()>;
    /// The address for requests, if it is one of the network.
    fn address(peer: &Self::Peer) -> Option<SocketAddr>;
    fn another_handle(&self) -> io::Result<Self>;
    /// Lets whoever reads meet the end.
    fn end_reads(&self) -> io::Result<()>;
    /// From now on, is a close to look like a failure to the peer?
    fn set_abrupt(&self, is_abrupt: bool);
    fn read_without_waiting(&self, place: &mut [u8]) -> io::Result<usize>;
    fn rest(&self) -> io::Result<(Resting, Reason)>;
}

macro_rules! streams {
    ($($Stream:ty, $Peer:ty, $prepare:expr, $address:expr, $set_abrupt:expr;)*) => {$(
        impl Stream for $Stream {
            type Peer = $Peer;

            #[inline]
            fn prepare(&self) -> io::Result<()> {
                $prepare(self)
            }

            #[inline]
            fn address(peer: &$Peer) -> Option<SocketAddr> {
                $address(peer)
            }

            #[inline]
            fn another_handle(&self) -> io::Result<$Stream> {
                self.try_clone()
            }

            #[inline]
            fn end_reads(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Read)
            }

            fn set_abrupt(&self, is_abrupt: bool) {
                $set_abrupt(self, is_abrupt);
            }

            #[inline]
            fn read_without_waiting(&self, place: &mut [u8]) -> io::Result<usize> {
                self.try_read(place)
            }

            #[inline]
            fn rest(&self) -> io::Result<(Resting, Reason)> {
                self.rest_until_readable()
            }
        }

        #[cfg(not(feature = "tls"))]
        impl Shared for $Stream {}
    )*};
}

streams! {
    // Responses are gathered: nothing is gained by waiting for more.
    TcpStream, SocketAddr, |stream: &TcpStream| stream.set_nodelay(true), |peer: &SocketAddr| Some(*peer), reset_at_close;
    // The system knows no other end of them.
    UnixStream, unix::SocketAddr, |_| Ok(()), |_| None, |_, _| ();
}

/// A failure here is that of the client: it has gone, and looks at no end.
fn reset_at_close(stream: &TcpStream, yes: bool) {
    let _ = stream.set_linger(yes.then_some(Duration::ZERO));
}
