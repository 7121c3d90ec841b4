//! A server whose connections speak TLS.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Builder, Listener, Outcome, StreamServer};
use crate::timeout::Timeout;
use crate::tls::{ServerConfig, TlsStream};

/// How long a goodbye may take. It waits only for a peer that does not read; and may then have to send what a write that was
/// interrupted has left, for which the handler itself did not want to wait.
const GOODBYE: Duration = Duration::from_secs(1);

impl<L: Listener> Builder<L>
where
    L::Stream: Read + Write,
{
    /// [`handle`](Self::handle) over TLS (feature `tls`): the greenlet of a connection shakes hands, then calls `handler`, then says
    /// `close_notify`. A handshake that fails is reported as a failure of a handler is, and the handler is not called.
    ///
    /// A peer that does not read holds its connection no longer than the handler wants to wait, and one second: then it is closed
    /// without a `close_notify`, and without the rest of what an interrupted write has left.
    ///
    /// A handler that needs the stream for longer than its own call takes a plain stream from `handle` and calls
    /// [`ServerConfig::accept`] itself.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{net::TcpStream, server::StreamServer, tls};
    /// use std::io::{Read, Write};
    ///
    /// let config = tls::ServerConfig::builder().identity(tls::Identity::from_pem(&certificate, &key)?).build()?;
    /// let server = StreamServer::bind("127.0.0.1:0")?
    ///     .handle_tls(config, |stream, peer| write!(stream, "Your address is {}\n", peer.ip()));
    /// server.start()?;
    ///
    /// let client = tls::ClientConfig::builder().roots(tls::Roots::from_pem(&certificate)?).build()?;
    /// let mut text = String::new();
    /// client.connect("localhost", TcpStream::connect(server.local_addr()?)?)?.read_to_string(&mut text)?;
    /// assert_eq!(text, "Your address is 127.0.0.1\n");
    /// # server.stop(std::time::Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle_tls<F, R>(self, config: ServerConfig, handler: F) -> StreamServer<L>
    where
        F: Fn(&mut TlsStream<L::Stream>, L::Addr) -> R + 'static,
        R: Outcome,
    {
        self.handle(move |stream, peer: L::Addr| {
            let mut stream = config.accept(stream)?;
            handler(&mut stream, peer.clone()).conclude(&peer);
            // The handler has said all, so a failure here is that of the peer.
            let _ = Timeout::new(GOODBYE).run(|| stream.close_notify());
            io::Result::Ok(())
        })
    }
}
