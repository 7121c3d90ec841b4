//! Which of several certificates a client gets.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The first that is valid for the name asked for, or else the first of all.
#[derive(Debug)]
pub(super) struct ByName(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().filter(|_| self.0.len() > 1);
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let fitting = name.and_then(|name| self.0.iter().find(|certified| is_valid_for(certified, &name)));
        fitting.or(self.0.first()).cloned()
    }
}

fn is_valid_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
