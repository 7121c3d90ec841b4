//! The server's side.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;

use super::choice::ByName;
use super::handshake;
use super::pem::{Identity, Roots, provider, wrong};
use super::protocols;
use super::stream::TlsStream;

/// How a server of this program speaks TLS. Cheap to clone.
///
/// # Examples
/// ```no_run
/// use greenloop::{server::StreamServer, tls};
/// use std::io::Write;
///
/// let identity = tls::Identity::from_files("cert.pem", "key.pem")?;
/// let config = tls::ServerConfig::builder().identity(identity).build()?;
/// StreamServer::bind("0.0.0.0:4433")?
///     .handle_tls(config, |stream, peer| write!(stream, "Your address is {}\n", peer.ip()))
///     .serve_forever()
/// # ;Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ServerConfig {
    config: Arc<rustls::ServerConfig>,
    handshake_timeout: Option<Duration>,
}

/// What a [`ServerConfig`] is to be.
///
/// # Examples
/// ```
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use greenloop::tls::{Identity, ServerBuilder, ServerConfig};
///
/// fn proving(builder: ServerBuilder, chain: &str, key: &str) -> std::io::Result<ServerConfig> {
///     builder.identity(Identity::from_pem(chain, key)?).alpn(["http/1.1"]).build()
/// }
/// assert!(proving(ServerConfig::builder(), &certificate, &key).is_ok());
/// assert!(proving(ServerConfig::builder(), &certificate, &certificate).is_err()); // that is no key
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a configuration is made by `build`"]
pub struct ServerBuilder {
    identities: Vec<Identity>,
    clients: Option<(Roots, Demand)>,
    alpn: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Required,
    Optional,
}

impl ServerConfig {
    /// Begins a configuration. It needs an [`identity`](ServerBuilder::identity) at least.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::{Identity, ServerConfig};
    ///
    /// let config = ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// assert_eq!(format!("{config:?}"), "ServerConfig { handshake_timeout: Some(10s), .. }");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Limits how long a handshake may take as a whole; 10 s unless this is called, `None` for ever.
    /// A [`shield`](crate::shield) holds it back like any timeout.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{net::UnixStream, tls::{Identity, ServerConfig}};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let config = ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// let (ours, _silent) = UnixStream::pair()?;
    /// let error = config.handshake_timeout(Duration::from_millis(1)).accept(ours).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handshake_timeout(mut self, limit: impl Into<Option<Duration>>) -> ServerConfig {
        self.handshake_timeout = limit.into();
        self
    }

    /// Shakes hands with a client that has connected.
    ///
    /// **Switches**: yes. If it is interrupted by a kill or a timeout, the stream is closed.
    ///
    /// # Errors
    /// If the peer does not speak TLS, refuses, or closes; if it shows no certificate that is trusted where one is demanded;
    /// `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let connected = spawn(move || client.connect("localhost", theirs));
    /// let stream = server.accept(ours)?;
    /// assert_eq!(stream.server_name(), Some("localhost")); // the client has told
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # std::io::Write::write_all(&mut &theirs, b"GET / HTTP/1.1\r\n\r\n")?;
    /// assert!(server.accept(ours).is_err()); // this one does not speak TLS
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn accept<S: Read + Write>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let connection = rustls::ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        handshake::shake(connection.into(), stream, self.handshake_timeout, "a client")
    }

    /// The same, with these application protocols if it has none.
    #[cfg(feature = "http")]
    pub(crate) fn with_default_alpn(mut self, protocol: &[u8]) -> ServerConfig {
        if self.config.alpn_protocols.is_empty() {
            let mut config = rustls::ServerConfig::clone(&self.config);
            config.alpn_protocols.push(protocol.to_vec());
            self.config = Arc::new(config);
        }
        self
    }
}

impl ServerBuilder {
    /// What the server proves itself with. If there are several, a client gets the first whose certificate is valid for the name it
    /// asks for; the first of all if none is, or if it does not say.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig};
    /// # use greenloop::{net::UnixStream, spawn};
    ///
    /// # let more = rcgen::generate_simple_self_signed(["example.org".to_string()]).unwrap();
    /// # let (other_certificate, other_key) = (more.cert.pem(), more.signing_key.serialize_pem());
    /// let server = ServerConfig::builder()
    ///     .identity(Identity::from_pem(&certificate, &key)?) // of `localhost`
    ///     .identity(Identity::from_pem(&other_certificate, &other_key)?) // of `example.org`
    ///     .build()?;
    /// let client = ClientConfig::builder().roots(Roots::from_pem(&other_certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// assert!(client.connect("example.org", ours).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn identity(mut self, identity: Identity) -> ServerBuilder {
        self.identities.push(identity);
        self
    }

    /// Takes only clients with a certificate that one of these has signed: see
    /// [`peer_certificates`](TlsStream::peer_certificates).
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    /// # let (identity, roots) = (Identity::from_pem(&certificate, &key)?, Roots::from_pem(&certificate)?);
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// let server = ServerConfig::builder().identity(identity.clone()).require_client_certificates(roots.clone()).build()?;
    /// let nobody = ClientConfig::builder().roots(roots).build()?;
    /// let connected = spawn(move || nobody.connect("localhost", theirs));
    /// assert!(server.accept(ours).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn require_client_certificates(mut self, roots: Roots) -> ServerBuilder {
        self.clients = Some((roots, Demand::Required));
        self
    }

    /// Asks clients for a certificate that one of these has signed, and takes those that have none at all as well.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    /// # let (identity, roots) = (Identity::from_pem(&certificate, &key)?, Roots::from_pem(&certificate)?);
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// let server = ServerConfig::builder().identity(identity.clone()).ask_for_client_certificates(roots.clone()).build()?;
    /// let nobody = ClientConfig::builder().roots(roots).build()?;
    /// let connected = spawn(move || nobody.connect("localhost", theirs));
    /// assert!(server.accept(ours)?.peer_certificates().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ask_for_client_certificates(mut self, roots: Roots) -> ServerBuilder {
        self.clients = Some((roots, Demand::Optional));
        self
    }

    /// The application protocols, the best first. A client that offers others, and none of these, is refused.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    /// # let (identity, roots) = (Identity::from_pem(&certificate, &key)?, Roots::from_pem(&certificate)?);
    /// let server = ServerConfig::builder().identity(identity).alpn(["h2", "http/1.1"]).build()?;
    /// let client = ClientConfig::builder().roots(roots).alpn(["http/1.1", "h2"]).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let connected = spawn(move || client.connect("localhost", theirs));
    /// assert_eq!(server.accept(ours)?.alpn_protocol(), Some(&b"h2"[..])); // the server's wish goes first
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> ServerBuilder {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// Makes the configuration.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If there is no identity; if there are no roots for client certificates; `InvalidInput` for a name of an application protocol that
    /// is empty or too long.
    ///
    /// # Examples
    /// ```
    /// use greenloop::tls::ServerConfig;
    ///
    /// let error = ServerConfig::builder().build().unwrap_err();
    /// assert_eq!(error.to_string(), "a TLS server needs an identity: a certificate and its key");
    /// ```
    pub fn build(self) -> io::Result<ServerConfig> {
        if self.identities.is_empty() {
            return Err(wrong("a TLS server needs an identity: a certificate and its key".to_string()));
        }
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some((roots, demand)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.store), provider());
                let verifier = match demand {
                    Demand::Required => verifier,
                    Demand::Optional => verifier.allow_unauthenticated(),
                };
                let verifier =
                    verifier.build().map_err(|error| wrong(format!("client certificates: {error}")))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let identities = self.identities.into_iter().map(|identity| identity.certified).collect();
        let mut config = builder.with_cert_resolver(Arc::new(ByName(identities)));
        config.alpn_protocols = protocols::checked(self.alpn)?;
        Ok(config.into())
    }
}

impl From<Arc<rustls::ServerConfig>> for ServerConfig {
    fn from(config: Arc<rustls::ServerConfig>) -> ServerConfig {
        ServerConfig { config, handshake_timeout: Some(handshake::LIMIT) }
    }
}

impl From<rustls::ServerConfig> for ServerConfig {
    fn from(config: rustls::ServerConfig) -> ServerConfig {
        Arc::new(config).into()
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}
