//! What the tests of TLS share: certificates, configurations, connected pairs.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;

use greenloop::net::TcpStream;
use greenloop::testing::{Duplex, duplex};
use greenloop::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig, TlsStream, rustls};
use greenloop::{Greenlet, spawn};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::net_support::connection;

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pem {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key).unwrap()
    }
}

/// A key whose signatures are all of the same size, so that all handshakes are.
pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::from_pem(self.pem()).unwrap()
    }

    /// A certificate for these names.
    pub(crate) fn sign(&self, names: &[&str]) -> Pem {
        self.sign_with(names, |_| {})
    }

    pub(crate) fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pem {
        let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = key();
        Pem { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// The authority that the configurations below trust.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("an authority for tests"))
}

/// Its certificate for `localhost`.
pub(crate) fn localhost() -> &'static Pem {
    static LOCALHOST: OnceLock<Pem> = OnceLock::new();
    LOCALHOST.get_or_init(|| authority().sign(&["localhost", "127.0.0.1"]))
}

pub(crate) fn server() -> ServerConfig {
    ServerConfig::builder().identity(localhost().identity()).build().unwrap()
}

/// A server that says nothing after the handshake.
pub(crate) fn server_without_tickets() -> ServerConfig {
    let provider = rustls::crypto::ring::default_provider();
    let Pem { certificate, key } = localhost();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.send_tls13_tickets = 0;
    config.into()
}

pub(crate) fn client() -> ClientConfig {
    ClientConfig::builder().roots(authority().roots()).build().unwrap()
}

/// Begins to accept in a greenlet.
pub(crate) fn accepting<S: Read + Write + 'static>(
    config: &ServerConfig,
    stream: S,
) -> Greenlet<io::Result<TlsStream<S>>> {
    let config = config.clone();
    spawn(move || config.accept(stream))
}

/// Shakes hands over two ends of a connection; the client's comes first.
pub(crate) fn shake<S: Read + Write + 'static>(
    client: &ClientConfig,
    server: &ServerConfig,
    (near, far): (S, S),
) -> (io::Result<TlsStream<S>>, io::Result<TlsStream<S>>) {
    let accepting = accepting(server, far);
    let connected = client.connect("localhost", near);
    (connected, accepting.join().unwrap())
}

/// A connection over the loopback interface; the client's end comes first.
pub(crate) fn tcp_pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (near, far) = shake(&client(), &server(), connection());
    let (near, far) = (near.unwrap(), far.unwrap());
    // Otherwise the first data waits for the acknowledgement of the handshake.
    near.get_ref().set_nodelay(true).unwrap();
    (near, far)
}

/// A connection in memory; the client's end comes first.
pub(crate) fn memory_pair(capacity: usize) -> (TlsStream<Duplex>, TlsStream<Duplex>) {
    let (near, far) = shake(&client(), &server(), duplex(capacity));
    (near.unwrap(), far.unwrap())
}

/// A client of rustls itself, for tests that send its records as they like.
pub(crate) struct Raw {
    pub(crate) tls: rustls::ClientConnection,
    pub(crate) socket: TcpStream,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr, version: &'static rustls::SupportedProtocolVersion) -> Raw {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority().pem().as_bytes()).unwrap()).unwrap();
        let config =
            rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let mut tls = rustls::ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        Raw { tls, socket }
    }

    /// The record that has these bytes in it, not yet sent.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(bytes).unwrap();
        let mut record = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut record).unwrap();
        }
        record
    }
}

impl Read for Raw {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.socket).read(place)
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        rustls::Stream::new(&mut self.tls, &mut self.socket).flush()
    }
}
