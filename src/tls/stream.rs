//! The stream that users have.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};

use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;

use super::SharedStream;
use super::session::Session;

/// A TLS connection over a stream `S`, made by [`ClientConfig::connect`](super::ClientConfig::connect) or
/// [`ServerConfig::accept`](super::ServerConfig::accept).
///
/// It implements `Read` and `Write` as `S` does: for itself; and for `&TlsStream`, if `S` is a [`SharedStream`], so that one greenlet can read while
/// another writes. Two that read, or two that write at the same time, are an error for the second. Time limits are those
/// of the stream below: `stream.get_ref().set_read_timeout(..)`. Each bounds one read or write there, of which one here may need several: as
/// many as the pieces in which a record comes. To bound a call as a whole, put a [`timeout`](crate::timeout()) around it.
///
/// A write returns when the data is encrypted and the stream below has taken it. An error means that nothing of *this* write was taken;
/// one that comes after the data was encrypted is told by the next `write` or `flush`. A greenlet that is killed, or out of time,
/// while it writes leaves the connection whole: what was encrypted goes out with the next `write`, `flush` or
/// `close_notify`.
///
/// A read may have to write, for the protocol's own messages, and then waits for that. The end of the stream without a `close_notify` of
/// the peer is the error `UnexpectedEof`: somebody may have cut the connection.
///
/// **Dropping** it closes the stream below without a `close_notify`, as a destructor does not wait; call
/// [`close_notify`](Self::close_notify) before.
///
/// **Switches**: reading, writing and closing do, when they have to wait for the stream below. In a destructor run by a panic or a
/// kill they return an error instead.
///
/// # Examples
/// ```
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
/// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
/// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
/// # let (ours, theirs) = UnixStream::pair()?;
/// use std::io::{Read, Write};
///
/// # let shouting = spawn(move || -> std::io::Result<()> {
/// #     let mut stream = server.accept(theirs)?;
/// #     let mut place = [0; 8];
/// #     let count = stream.read(&mut place)?;
/// #     stream.write_all(&place[..count].to_ascii_uppercase())?;
/// #     stream.close_notify()
/// # });
/// let mut stream = client.connect("localhost", ours)?;
/// stream.write_all(b"hello")?;
/// stream.close_notify()?; // we have said all
/// assert_eq!(std::io::read_to_string(&mut stream)?, "HELLO"); // up to the peer's `close_notify`
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TlsStream<S> {
    session: Box<Session>,
    socket: S,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
}

impl<S> TlsStream<S> {
    pub(super) fn new(session: Session, socket: S) -> TlsStream<S> {
        TlsStream { session: Box::new(session), socket, alpn: None, server_name: None }
    }

    pub(super) fn parts(&mut self) -> (&Session, &mut S) {
        (&self.session, &mut self.socket)
    }

    /// Keeps what the handshake has brought.
    pub(super) fn note_agreement(&mut self) {
        let connection = self.session.connection.borrow();
        self.alpn = connection.alpn_protocol().map(Into::into);
        if let rustls::Connection::Server(server) = &*connection {
            self.server_name = server.server_name().map(Into::into);
        }
    }

    /// Reads over `socket`, which is the stream below in another manner of speaking.
    #[cfg(feature = "http")]
    pub(crate) fn read_over<T: Read + Write>(&self, socket: &mut T, place: &mut [u8]) -> io::Result<usize> {
        self.session.read(socket, place)
    }

    /// For a wait that may be long.
    #[cfg(feature = "http")]
    pub(crate) fn give_buffers_back(&self) {
        self.session.give_buffers_back();
    }

    pub(super) fn set_server_name(&mut self, name: &str) {
        self.server_name = Some(name.into());
    }

    /// The stream below. Reading from it or writing to it would destroy the TLS connection; time limits and addresses are what
    /// it is for.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// use std::{io::{ErrorKind, Read}, time::Duration};
    ///
    /// let mut stream = client.connect("localhost", ours)?;
    /// stream.get_ref().set_read_timeout(Some(Duration::from_millis(1)))?;
    /// assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// Gives the stream below back. What was read from it and not yet taken is lost, as is what was not yet sent.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// use std::io::{Read, Write};
    ///
    /// let (mut client, mut server) = (client.connect("localhost", ours)?, accepted.join().unwrap()?);
    /// client.close_notify()?;
    /// server.close_notify()?;
    /// assert_eq!((client.read(&mut [0; 8])?, server.read(&mut [0; 8])?), (0, 0)); // both know of the end
    /// let (mut client, mut server) = (client.into_inner(), server.into_inner());
    /// client.write_all(b"plain")?;
    /// assert_eq!(server.read(&mut [0; 8])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> S {
        self.socket
    }

    /// The application protocol that both have chosen, if any: `h2`, for example.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let (identity, roots) = (Identity::from_pem(&certificate, &key)?, Roots::from_pem(&certificate)?);
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    /// use std::io::{Read, Write};
    ///
    /// let server = ServerConfig::builder().identity(identity).alpn(["tea/2", "tea/1"]).build()?;
    /// spawn(move || {
    ///     let mut stream = server.accept(theirs)?;
    ///     let greeting: &[u8] = match stream.alpn_protocol() {
    ///         Some(b"tea/2") => b"mint or green?",
    ///         _ => b"tea?", // also for a client that does not know of protocols
    ///     };
    ///     stream.write_all(greeting)?;
    ///     stream.close_notify()
    /// });
    /// let client = ClientConfig::builder().roots(roots).alpn(["tea/1"]).build()?; // an old one
    /// let mut stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.alpn_protocol(), Some(&b"tea/1"[..]));
    /// let mut greeting = String::new();
    /// stream.read_to_string(&mut greeting)?;
    /// assert_eq!(greeting, "tea?");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The name of the server that the client has asked for: on the client always, on the server if the client has told.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.server_name(), Some("localhost"));
    /// assert_eq!(accepted.join().unwrap()?.server_name(), Some("localhost")); // on the server
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The certificates of the peer, its own first; empty if it has shown none, as most clients do.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.peer_certificates(), [made.cert.der().clone()]); // the server's
    /// assert!(accepted.join().unwrap()?.peer_certificates().is_empty()); // the client has none
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let connection = self.session.connection.borrow();
        connection
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|der| der.clone().into_owned())
            .collect()
    }

    /// Did the handshake go on with an earlier session of the two, which is faster?
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # use std::io::{Read, Write};
    /// # let accept = move |socket: UnixStream| {
    /// #     let mut stream = server.accept(socket)?;
    /// #     stream.write_all(b"hello")?;
    /// #     stream.close_notify()
    /// # };
    /// # let (again, their_end) = UnixStream::pair()?;
    /// # spawn(move || accept(theirs).and_then(|()| accept(their_end)));
    /// let mut first = client.connect("localhost", ours)?;
    /// assert!(!first.is_resumed());
    /// first.read(&mut [0; 8])?; // the server has told how to go on, beside what it says
    /// let second = client.connect("localhost", again)?;
    /// assert!(second.is_resumed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_resumed(&self) -> bool {
        self.session.connection.borrow().handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The version of the protocol.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// use greenloop::tls::rustls::ProtocolVersion;
    ///
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.session.connection.borrow().protocol_version()
    }
}

impl<S: Read + Write> TlsStream<S> {
    /// Tells the peer that nothing more will be sent, as `shutdown(Shutdown::Write)` does for a socket. What the peer sends can still be
    /// read. Calling it again does nothing more than to send what is left.
    ///
    /// **Switches**: when it has to wait.
    ///
    /// # Errors
    /// Those of the stream below.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// use std::io::{ErrorKind, Read, Write};
    ///
    /// let (mut client, mut server) = (client.connect("localhost", ours)?, accepted.join().unwrap()?);
    /// server.write_all(b"bye")?;
    /// server.close_notify()?;
    /// assert_eq!(std::io::read_to_string(&mut client)?, "bye"); // nobody has cut it off
    /// drop(client); // without a word
    /// assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn close_notify(&mut self) -> io::Result<()> {
        self.session.close(&mut self.socket)
    }
}

impl<S: SharedStream> TlsStream<S> {
    /// [`close_notify`](Self::close_notify) for a stream that greenlets share.
    ///
    /// **Switches**: when it has to wait, also for a greenlet that is writing.
    ///
    /// # Errors
    /// Those of the stream below.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, tls::TlsStream};
    /// use std::{io::{self, Read}, net::Shutdown};
    ///
    /// fn no_more_questions(stream: &TlsStream<TcpStream>) -> io::Result<String> {
    ///     stream.shutdown_write()?;
    ///     stream.get_ref().shutdown(Shutdown::Write)?;
    ///     let mut rest = String::new();
    ///     (&*stream).take(1 << 20).read_to_string(&mut rest).map(|_| rest)
    /// }
    /// ```
    #[track_caller]
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.session.close(&mut self.socket.side())
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.session.read(&mut self.socket, place)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&self.session, &mut self.socket, bytes)
    }

    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        write_vectored(&self.session, &mut self.socket, parts)
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut self.socket)
    }
}

impl<S: SharedStream> Read for &TlsStream<S> {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.session.read(&mut self.socket.side(), place)
    }
}

impl<S: SharedStream> Write for &TlsStream<S> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&self.session, &mut self.socket.side(), bytes)
    }

    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        write_vectored(&self.session, &mut self.socket.side(), parts)
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut self.socket.side())
    }
}

fn write<T: Write>(session: &Session, socket: &mut T, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    session.write(socket, |writer| writer.write(bytes))
}

fn write_vectored<T: Write>(session: &Session, socket: &mut T, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    if parts.iter().all(|part| part.is_empty()) {
        return Ok(0);
    }
    session.write(socket, |writer| writer.write_vectored(parts))
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("session", &self.session).field("stream", &self.socket).finish()
    }
}
