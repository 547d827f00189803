//! The options of a TLS connection, and the configuration that they give.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use nodes::Error;

use crate::Roots;
use crate::identity::{certificates, identity};
use crate::verifier::Verifier;

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
        let builder = builder(&Arc::new(aws_lc_rs::default_provider()))?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    /// Reads the files and makes a configuration. `protocol` is the name for ALPN; empty if
    /// the protocol has none.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or contains no certificate or key.
    pub fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = builder(&provider)?;
        let verifier = match self.insecure {
            true => Verifier::of_any(Arc::clone(&provider)),
            false => self.verifier(Arc::clone(&provider))?,
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity() {
            Some((certificate, key)) => {
                let identity = identity(certificate, key, &provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        if !protocol.is_empty() {
            config.alpn_protocols = vec![protocol.to_owned()];
        }
        Ok(config)
    }

    /// Makes sure that the client's certificate and key can be used, if there are any.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or contains no certificate or usable key, or the key belongs to another
    /// certificate.
    pub fn check_identity(&self) -> Result<(), Error> {
        let Some((certificate, key)) = self.identity() else { return Ok(()) };
        identity(certificate, key, &aws_lc_rs::default_provider()).map(drop)
    }

    /// The paths of all files that the configuration is made from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.ca, &self.certificate, &self.key].into_iter().flatten().map(PathBuf::as_path)
    }

    fn identity(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, Error> {
        let name = self.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| {
                Error::tls(Path::new(name), "not a name that a certificate can be for")
            })
        });
        let (roots, certificates) = self.roots()?;
        Verifier::new(roots, certificates, name.transpose()?, provider)
            .map_err(|cause| Error::tls(Path::new("TLS"), cause))
    }

    /// The trusted CAs, and their certificates where there are any.
    fn roots(&self) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Error> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            let certificates = certificates(path)?;
            for certificate in &certificates {
                roots.add(certificate.clone()).map_err(|cause| Error::tls(path, cause))?;
            }
            return Ok((roots, certificates));
        }
        // The unusable certificates of the system are skipped, the others are trusted.
        let certificates: Vec<_> = self.roots.certificates().into_iter().collect();
        roots.add_parsable_certificates(certificates.iter().cloned());
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok((roots, certificates))
    }
}

/// Makes sure that a file has certificates of CAs that can be trusted.
///
/// # Errors
///
/// The file cannot be read, or contains no certificate, or one that cannot be used.
pub fn check_authorities(path: &Path) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| Error::tls(path, cause))?;
    }
    Ok(())
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::tls(Path::new("TLS"), cause))
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        assert!(!Options::default().roots().unwrap().0.is_empty());
    }
}
