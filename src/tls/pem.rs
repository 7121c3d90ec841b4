//! Certificates and keys, and where they are read from.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::fs;
use crate::threadpool::threadpool;

/// What a server, or a client, proves itself with: a chain of certificates and the key of the first.
///
/// # Examples
/// ```
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use greenloop::tls::{Identity, ServerConfig};
///
/// let identity = Identity::from_pem(&certificate, &key)?;
/// assert!(ServerConfig::builder().identity(identity.clone()).build().is_ok()); // cheap to clone
/// assert!(ServerConfig::builder().identity(identity).alpn(["h2"]).build().is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads the chain, the own certificate first, and its private key (PKCS #8, PKCS #1 or SEC 1) from two PEM files, which may be
    /// the same.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If a file cannot be read, has no certificate or no key in it, or if the key is not that of the certificate. The text names the
    /// file.
    ///
    /// # Examples
    /// ```
    /// let error = greenloop::tls::Identity::from_files("nowhere.pem", "key.pem").unwrap_err();
    /// assert!(error.to_string().contains("nowhere.pem"));
    /// ```
    #[track_caller]
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Identity> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let texts = (fs::read(chain)?, fs::read(key)?);
        Self::of_texts((&texts.0, &in_file(chain)), (&texts.1, &in_file(key)))
    }

    /// The same from texts.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If there is no certificate or no key in them, or if the key is not that of the certificate.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::Identity;
    ///
    /// assert!(Identity::from_pem(&certificate, &key).is_ok());
    /// let error = Identity::from_pem(&certificate, &certificate).unwrap_err();
    /// assert!(error.to_string().contains("what it has is `CERTIFICATE`"));
    /// ```
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> io::Result<Identity> {
        Self::of_texts((chain.as_ref(), "in the text of the chain"), (key.as_ref(), "in the text of the key"))
    }

    fn of_texts((chain, chain_at): (&[u8], &str), (key, key_at): (&[u8], &str)) -> io::Result<Identity> {
        let chain = certificates(chain, chain_at)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(format!(
                "there is no private key that can be used {key_at}: {}; it should be PKCS #8, PKCS #1 or SEC 1, and not \
                 encrypted",
                what_is_there(key)
            )),
            error => wrong(format!("the private key {key_at} cannot be read: {}", reason(&error))),
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(format!("the private key {key_at} is not that of the first certificate {chain_at}"))
            }
            rustls::Error::InvalidCertificate(_) => {
                wrong(format!("the certificate {chain_at} is of no use: {error}"))
            }
            error => wrong(format!("the private key {key_at} is of no use: {error}")),
        })?;
        Ok(Identity { certified: Arc::new(certified) })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.certified.cert.len())
    }
}

/// The certificates that are trusted to sign others.
///
/// # Examples
/// ```
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use greenloop::tls::{ClientConfig, Roots};
///
/// let ours = Roots::from_pem(&certificate)?; // a service of our own, and nobody else
/// assert!(ClientConfig::builder().roots(ours).build().is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) store: rustls::RootCertStore,
}

impl Roots {
    /// Those that the system trusts. The variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If there are none; the text says what to do.
    ///
    /// # Examples
    /// ```no_run
    /// use greenloop::tls::{ClientConfig, Roots};
    /// let roots = Roots::system()?.and(Roots::from_file("our-own-ca.pem")?);
    /// let config = ClientConfig::builder().roots(roots).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn system() -> io::Result<Roots> {
        let found = threadpool().try_apply(rustls_native_certs::load_native_certs)?;
        let mut store = rustls::RootCertStore::empty();
        // Systems have certificates that are too old to be understood; they are of no use to anybody.
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added > 0 {
            return Ok(Roots { store });
        }
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "this system trusts no certificates ({}); install its CA certificates (Debian: ca-certificates), or set \
                 SSL_CERT_FILE",
                if reasons.is_empty() { "none were found".to_string() } else { reasons.join("; ") }
            ),
        ))
    }

    /// All certificates of a PEM file.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate in it, or one that is none. The text names the file.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::{fs, tls::Roots};
    /// # let path = std::env::temp_dir().join(format!("greenloop-roots-{}", std::process::id()));
    ///
    /// fs::write(&path, format!("our own authority\n{certificate}"))?;
    /// assert_eq!(Roots::from_file(&path)?.len(), 1);
    /// fs::write(&path, "nothing")?;
    /// assert!(Roots::from_file(&path).unwrap_err().to_string().contains(path.to_str().unwrap()));
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<Roots> {
        Self::of_text(&fs::read(path.as_ref())?, &in_file(path.as_ref()))
    }

    /// All certificates of a text.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If there is no certificate in it, or one that is none.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::Roots;
    ///
    /// assert_eq!(Roots::from_pem([&*certificate, &*certificate].concat())?.len(), 2);
    /// let error = Roots::from_pem("nothing").unwrap_err();
    /// assert!(error.to_string().starts_with("there is no certificate in the text: it is no PEM"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_pem(text: impl AsRef<[u8]>) -> io::Result<Roots> {
        Self::of_text(text.as_ref(), "in the text")
    }

    fn of_text(text: &[u8], at: &str) -> io::Result<Roots> {
        let mut store = rustls::RootCertStore::empty();
        for certificate in certificates(text, at)? {
            store
                .add(certificate)
                .map_err(|error| wrong(format!("a certificate {at} is of no use: {error}")))?;
        }
        Ok(Roots { store })
    }

    /// These and those.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use greenloop::tls::Roots;
    ///
    /// # let more = rcgen::generate_simple_self_signed(["example.org".to_string()]).unwrap().cert.pem();
    /// let both = Roots::from_pem(&certificate)?.and(Roots::from_pem(&more)?);
    /// assert_eq!(both.len(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn and(mut self, others: Roots) -> Roots {
        self.store.roots.extend(others.store.roots);
        self
    }

    /// How many there are.
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::tls::Roots;
    /// assert_eq!(Roots::from_pem(&certificate)?.len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Are there none?
    ///
    /// # Examples
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use greenloop::tls::Roots;
    /// assert!(!Roots::from_pem(&certificate)?.is_empty()); // a text without any is an error
    /// assert!(Roots::from_pem("").is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }
}

/// What makes keys and ciphers.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn in_file(path: &Path) -> String {
    format!("in `{}`", path.display())
}

fn certificates(text: &[u8], at: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found =
        found.map_err(|error| wrong(format!("the certificates {at} cannot be read: {}", reason(&error))))?;
    match found.is_empty() {
        true => Err(wrong(format!("there is no certificate {at}: {}", what_is_there(text)))),
        false => Ok(found),
    }
}

/// Without the lines in question, which rustls shows: where line ends are missing they hold the secret.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no line `-----END ...-----`".to_string(),
        pem::Error::IllegalSectionStart { .. } => {
            "a line that begins with `-----BEGIN` does not end with `-----`".to_string()
        }
        error => error.to_string(),
    }
}

/// Names what was found instead.
fn what_is_there(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let kinds: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .collect();
    match kinds.is_empty() {
        true => "it is no PEM, which has lines such as `-----BEGIN CERTIFICATE-----`".to_string(),
        false => format!("what it has is `{}`", kinds.join("`, `")),
    }
}
