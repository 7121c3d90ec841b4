//! The server's side.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;

use super::choice::ByName;
use super::handshake;
use super::pem::{Identity, Roots, provider, wrong};
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
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Limits how long a handshake may take as a whole; 10 s unless this is called, `None` for ever.
    /// A [`shield`](crate::shield) holds it back like any timeout.
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
    /// There is one at [the module](super).
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
    pub fn identity(mut self, identity: Identity) -> ServerBuilder {
        self.identities.push(identity);
        self
    }

    /// Takes only clients with a certificate that one of these has signed: see
    /// [`peer_certificates`](TlsStream::peer_certificates).
    pub fn require_client_certificates(mut self, roots: Roots) -> ServerBuilder {
        self.clients = Some((roots, Demand::Required));
        self
    }

    /// Asks clients for a certificate that one of these has signed, and takes those that have none at all as well.
    pub fn ask_for_client_certificates(mut self, roots: Roots) -> ServerBuilder {
        self.clients = Some((roots, Demand::Optional));
        self
    }

    /// The application protocols, the best first. A client that offers others, and none of these, is refused.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> ServerBuilder {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// Makes the configuration.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If there is no identity; if there are no roots for client certificates.
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
        config.alpn_protocols = self.alpn;
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
