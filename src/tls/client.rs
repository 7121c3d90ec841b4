//! The client's side.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;

use super::handshake;
use super::pem::{Identity, Roots, provider, wrong};
use super::protocols;
use super::stream::TlsStream;

/// How this program speaks TLS as a client. Cheap to clone; make one and keep it, as it remembers sessions.
///
/// # Examples
/// ```no_run
/// use greenloop::{net::TcpStream, tls};
/// use std::io::{Read, Write};
///
/// let config = tls::ClientConfig::new()?;
/// let mut stream = config.connect("www.rust-lang.org", TcpStream::connect("www.rust-lang.org:443")?)?;
/// stream.write_all(b"GET / HTTP/1.1\r\nHost: www.rust-lang.org\r\nConnection: close\r\n\r\n")?;
/// let mut page = Vec::new();
/// stream.read_to_end(&mut page)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientConfig {
    config: Arc<rustls::ClientConfig>,
    handshake_timeout: Option<Duration>,
}

/// What a [`ClientConfig`] is to be.
///
/// # Examples
/// ```
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use greenloop::tls::{ClientBuilder, ClientConfig, Roots};
///
/// fn trusting(builder: ClientBuilder, text: &str) -> std::io::Result<ClientConfig> {
///     builder.roots(Roots::from_pem(text)?).alpn(["h2", "http/1.1"]).build()
/// }
/// assert!(trusting(ClientConfig::builder(), &certificate).is_ok());
/// assert!(trusting(ClientConfig::builder(), "nobody").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a configuration is made by `build`"]
pub struct ClientBuilder {
    roots: Option<Roots>,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
}

impl ClientConfig {
    /// Trusts whom the system trusts.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`Roots::system`].
    ///
    /// # Examples
    /// ```no_run
    /// use greenloop::{net::TcpStream, tls::ClientConfig};
    ///
    /// let stream = ClientConfig::new()?.connect("example.org", TcpStream::connect("example.org:443")?)?;
    /// println!("{:?}", stream.protocol_version());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn new() -> io::Result<ClientConfig> {
        Self::builder().build()
    }

    /// Begins a configuration.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::{ClientConfig, Roots};
    ///
    /// let config = ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?; // trusts only this one
    /// # let (ours, _theirs) = greenloop::net::UnixStream::pair()?;
    /// assert!(config.connect("localhost:443", ours).unwrap_err().to_string().contains("without a port"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Limits how long a handshake may take as a whole; 10 s unless this is called, `None` for ever.
    /// A [`shield`](crate::shield) holds it back like any timeout.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{net::UnixStream, tls::{ClientConfig, Roots}};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let config = ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// let (ours, _silent) = UnixStream::pair()?;
    /// let error = config.handshake_timeout(Duration::from_millis(1)).connect("localhost", ours).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handshake_timeout(mut self, limit: impl Into<Option<Duration>>) -> ClientConfig {
        self.handshake_timeout = limit.into();
        self
    }

    /// Shakes hands over a connected stream with the server of that name: a host name or an address, without a port. Its
    /// certificate must be valid for the name.
    ///
    /// With TLS 1.3 a server that demands a client certificate refuses it after this: the error comes with the first read.
    ///
    /// **Switches**: yes. If it is interrupted by a kill or a timeout, the stream is closed.
    ///
    /// # Errors
    /// If the certificate is not to be trusted; if the peer does not speak TLS, refuses, or closes; `TimedOut`. The text names the
    /// server.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{self, Identity, Roots}};
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let client = tls::ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let listener = spawn(move || server.accept(theirs));
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.server_name(), Some("localhost"));
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let server = tls::ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// # let other_listener = spawn(move || server.accept(theirs));
    /// let error = client.connect("example.org", ours).unwrap_err(); // it answers, but is somebody else
    /// assert!(error.to_string().contains("`example.org`"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect<S: Read + Write>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>> {
        let server = ServerName::try_from(name.to_string()).map_err(|_| {
            let text = format!(
                "`{name}` is no name of a server: it should be a host name or an address, without a port"
            );
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let connection =
            rustls::ClientConnection::new(self.config.clone(), server).map_err(io::Error::other)?;
        let mut stream =
            handshake::shake(connection.into(), stream, self.handshake_timeout, &format!("`{name}`"))?;
        stream.set_server_name(name);
        Ok(stream)
    }
}

impl ClientBuilder {
    /// Whom to trust, instead of whom the system trusts.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    ///
    /// let server = ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// let client = ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let accepted = spawn(move || server.accept(theirs));
    /// assert!(client.connect("localhost", ours).is_ok()); // a certificate that the system knows nothing of
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn roots(mut self, roots: Roots) -> ClientBuilder {
        self.roots = Some(roots);
        self
    }

    /// What to show to a server that demands a certificate.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    ///
    /// let identity = Identity::from_pem(&certificate, &key)?; // here, for both sides
    /// let roots = Roots::from_pem(&certificate)?;
    /// let server = ServerConfig::builder().identity(identity.clone()).require_client_certificates(roots.clone()).build()?;
    /// let client = ClientConfig::builder().roots(roots).identity(identity).build()?;
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let accepted = spawn(move || server.accept(theirs));
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(accepted.join().unwrap()?.peer_certificates().len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn identity(mut self, identity: Identity) -> ClientBuilder {
        self.identity = Some(identity);
        self
    }

    /// The application protocols to offer, the best first.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::{net::UnixStream, spawn, tls::{ClientConfig, Identity, Roots, ServerConfig}};
    /// # let (identity, roots) = (Identity::from_pem(&certificate, &key)?, Roots::from_pem(&certificate)?);
    /// let server = ServerConfig::builder().identity(identity).alpn(["http/1.1"]).build()?;
    /// let client = ClientConfig::builder().roots(roots).alpn(["h2", "http/1.1"]).build()?;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let accepted = spawn(move || server.accept(theirs));
    /// let stream = client.connect("localhost", ours)?;
    /// assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..])); // the best that both speak
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> ClientBuilder {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// Makes the configuration.
    ///
    /// **Switches**: to read the system's certificates, if no [`roots`](Self::roots) were given.
    ///
    /// # Errors
    /// As [`Roots::system`]; that the roots are empty; `InvalidInput` for a name of an application protocol that is empty or too long.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::{ClientConfig, Roots};
    ///
    /// let config = ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// assert_eq!(format!("{config:?}"), "ClientConfig { handshake_timeout: Some(10s), .. }");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn build(self) -> io::Result<ClientConfig> {
        let roots = match self.roots {
            Some(roots) if roots.is_empty() => return Err(wrong("there are no roots to trust".to_string())),
            Some(roots) => roots,
            None => Roots::system()?,
        };
        let builder = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots.store);
        let mut config = match self.identity {
            Some(identity) => {
                let resolver: Arc<dyn ResolvesClientCert> =
                    Arc::new(SingleCertAndKey::from(identity.certified));
                builder.with_client_cert_resolver(resolver)
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols::checked(self.alpn)?;
        Ok(config.into())
    }
}

impl From<Arc<rustls::ClientConfig>> for ClientConfig {
    fn from(config: Arc<rustls::ClientConfig>) -> ClientConfig {
        ClientConfig { config, handshake_timeout: Some(handshake::LIMIT) }
    }
}

impl From<rustls::ClientConfig> for ClientConfig {
    fn from(config: rustls::ClientConfig) -> ClientConfig {
        Arc::new(config).into()
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}
