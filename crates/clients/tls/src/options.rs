//! The options of a TLS connection, and the configuration that they give.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    WantsVerifier,
};

use nodes::Error;

use crate::Roots;

/// What a TLS connection trusts, and what it presents to the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// A PEM file of the CA certificates to trust. Without it the system's certificates are
    /// trusted, and Mozilla's if the system has none.
    pub ca: Option<PathBuf>,
    /// Where the system's CA certificates are.
    pub roots: Roots,
    /// A PEM file of the client's certificate and its intermediate certificates. As in confd, it is
    /// used only together with `key`.
    pub certificate: Option<PathBuf>,
    /// A PEM file of the client's private key.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must be valid for; `None` for the host of the
    /// address.
    pub server_name: Option<String>,
    /// Accept any server certificate. Anybody on the network path can then read and change
    /// everything.
    pub insecure: bool,
}

impl Options {
    /// Whether these options ask for TLS where an address leaves it open. `insecure` does not
    /// count: it says how to use TLS, not whether.
    pub fn ask_for_tls(&self) -> bool {
        self.ca.is_some() || self.identity().is_some()
    }

    /// A configuration for a client that does not use TLS, but needs a configuration. It trusts no
    /// server.
    ///
    /// # Errors
    ///
    /// There is no cryptography provider, which does not happen.
    pub fn none() -> Result<ClientConfig, Error> {
        let builder = builder(&Arc::new(ring::default_provider()))?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    /// Reads the files and makes a configuration. `protocol` is the name for ALPN.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or contains no certificate or key.
    pub fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = builder(&provider)?;
        let verifier = match &self.server_name {
            _ if self.insecure => Some(Verifier::of_any(provider)),
            Some(name) => Some(Verifier::of(name, self.roots()?, provider)?),
            None => None,
        };
        let builder = match verifier {
            Some(verifier) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            None => builder.with_root_certificates(self.roots()?),
        };
        let mut config = match self.identity() {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|cause| Error::tls(certificate, cause))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.to_owned()];
        Ok(config)
    }

    /// The paths of all files that the configuration is made from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.ca, &self.certificate, &self.key].into_iter().flatten().map(PathBuf::as_path)
    }

    fn identity(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|cause| Error::tls(path, cause))?;
            }
            return Ok(roots);
        }
        // The unusable certificates of the system are skipped, the others are trusted.
        roots.add_parsable_certificates(self.roots.certificates());
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok(roots)
    }
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::tls(Path::new("TLS"), cause))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|cause| Error::file("open", path, cause))
}

/// The certificates in a file; an error if there are none.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Error::tls(path, "no certificate in PEM is in it")),
        Ok(found) => Ok(found),
        Err(cause) => Err(Error::tls(path, cause)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        // The parser's message could contain a part of the key.
        .map_err(|_| Error::tls(path, "no private key in PEM is in it"))
}

/// Accepts certificates that rustls alone would not: any certificate, or a certificate for a name
/// other than the server's address. It always checks that the server has the certificate's key.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// The expected name, and the verifier for it. `None` accepts every certificate.
    expected: Option<(ServerName<'static>, Arc<WebPkiServerVerifier>)>,
}

impl Verifier {
    fn of_any(provider: Arc<CryptoProvider>) -> Self {
        Verifier { provider, expected: None }
    }

    fn of(name: &str, roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let not_usable = |cause: String| Error::tls(Path::new(name), cause);
        let with = Arc::clone(&provider);
        let rules = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), with)
            .build()
            .map_err(|cause| not_usable(cause.to_string()))?;
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| not_usable("not a name that a certificate can be for".to_owned()))?;
        Ok(Verifier { provider, expected: Some((name, rules)) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.expected {
            Some((name, rules)) => rules.verify_server_cert(certificate, between, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(ca: &Path) -> Options {
        Options { ca: Some(ca.to_owned()), ..Options::default() }
    }

    #[test]
    fn a_missing_file_is_reported_as_in_confd() {
        let error = options(Path::new("/nope")).client_config(b"h2").unwrap_err();
        assert_eq!(error.to_string(), "open /nope: no such file or directory");
    }

    #[test]
    fn a_file_without_certificates_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "no PEM").unwrap();
        let error = options(file.path()).client_config(b"h2").unwrap_err();
        let path = file.path().display();
        assert_eq!(error.to_string(), format!("{path}: no certificate in PEM is in it"));
        assert!(!error.is_transient());
    }

    #[test]
    fn a_certificate_without_its_key_is_not_used() {
        let mut options =
            Options { certificate: Some("/nope".into()), insecure: true, ..Options::default() };
        assert!(!options.ask_for_tls());
        assert!(options.client_config(b"h2").is_ok());
        options.key = Some("/nope".into());
        assert!(options.ask_for_tls());
        assert!(options.client_config(b"h2").is_err());
    }

    #[test]
    fn without_options_the_roots_of_the_system_are_trusted() {
        assert!(!Options::default().roots().unwrap().is_empty());
    }
}
