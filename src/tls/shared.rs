//! Streams for two greenlets.

use std::io::{Read, Write};

use super::TlsStream;
use crate::net::{TcpStream, UnixStream};

/// A stream that can be used through a shared reference, as a socket can: a TLS stream over it can, too, so one greenlet reads and
/// another writes.
///
/// It says what `for<'a> &'a S: Read + Write` says. With that as its condition the compiler would take each reference that a
/// generic function reads from for one to a TLS stream over a TLS stream over .., and give up.
///
/// # Examples
/// ```
/// use greenloop::net::TcpStream;
/// use greenloop::tls::SharedStream;
///
/// /// A socket that belongs to somebody.
/// struct Named(TcpStream, String);
///
/// impl SharedStream for Named {
///     type Side<'a> = &'a TcpStream;
///
///     fn side(&self) -> &TcpStream {
///         &self.0
///     }
/// }
/// ```
pub trait SharedStream {
    /// What reads and writes; mostly a reference.
    type Side<'a>: Read + Write
    where
        Self: 'a;

    /// Something to read from and to write to.
    ///
    /// **Switches**: no. Using it may.
    fn side(&self) -> Self::Side<'_>;
}

macro_rules! by_reference {
    ($($type:ty),*) => {$(
        impl SharedStream for $type {
            type Side<'a> = &'a $type;

            #[inline]
            fn side(&self) -> &$type {
                self
            }
        }
    )*};
}

by_reference!(TcpStream, UnixStream);

impl<S: SharedStream> SharedStream for TlsStream<S> {
    type Side<'a>
        = &'a TlsStream<S>
    where
        S: 'a;

    fn side(&self) -> &TlsStream<S> {
        self
    }
}
