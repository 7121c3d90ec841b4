//! The first exchange of a connection, with its limit.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustls::{Connection, ProtocolVersion};

use super::sending::Sending;
use super::session::Session;
use super::stream::TlsStream;
use crate::io::with_context;
use crate::timeout::Timeout;

/// What a peer gets for its handshake unless the configuration says otherwise.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Shakes hands; `peer` is its name in errors. The stream is closed if that fails, or if the greenlet is interrupted.
#[track_caller]
pub(super) fn shake<S: Read + Write>(
    connection: Connection,
    socket: S,
    limit: Option<Duration>,
    peer: &str,
) -> io::Result<TlsStream<S>> {
    let mut stream = TlsStream::new(Session::new(connection), socket);
    let shaken = Timeout::from(limit).run(|| {
        let (session, socket) = stream.parts();
        proceed(session, socket)
    });
    match shaken {
        Ok(Ok(())) => {
            stream.note_agreement();
            Ok(stream)
        }
        Ok(Err(error)) => {
            let advice = advice(&error);
            Err(with_context(error, format!("the TLS handshake with {peer} failed{advice}")))
        }
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "the TLS handshake with {peer} timed out: it did not finish within {:?}",
                limit.unwrap_or_default()
            ),
        )),
    }
}

fn proceed<T: Read + Write>(session: &Session, socket: &mut T) -> io::Result<()> {
    loop {
        if has_only_tickets(session) {
            session.tickets_wait.set(true);
            return Ok(());
        }
        Sending::begin(session)?.finish(socket)?;
        if !session.connection.borrow().is_handshaking() {
            return Ok(());
        }
        match session.receive(socket) {
            Ok(true) => {}
            Ok(false) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer has closed the connection",
                ));
            }
            Err(error) => {
                // So that the peer hears why. It is of no use to say that this failed as well.
                let _ = Sending::begin(session).and_then(|mut sending| sending.finish(socket));
                return Err(error);
            }
        }
    }
}

/// A TLS 1.3 server has no more to say than tickets once the client's last message has come.
fn has_only_tickets(session: &Session) -> bool {
    let connection = &*session.connection.borrow();
    let is_1_3 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    matches!(connection, Connection::Server(_)) && is_1_3 && !connection.is_handshaking()
}

/// What to do about the usual reason.
fn advice(error: &io::Error) -> &'static str {
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref());
    match fault {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            " (nobody that is trusted has signed the certificate; if it is right, add its issuer to the `Roots`)"
        }
        Some(rustls::Error::InvalidMessage(_)) => " (does the peer speak TLS on this port?)",
        _ => "",
    }
}
