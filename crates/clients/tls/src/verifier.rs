//! Decides whether a server's certificate is accepted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, PeerMisbehaved, RootCertStore,
    SignatureScheme,
};

use crate::x509::{Certificate, Trusted, verify_server};

/// The rules for the certificates of servers: those of Go's TLS. It always verifies that the server
/// has the certificate's key.
#[derive(Debug)]
pub(crate) struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` accepts every certificate.
    rules: Option<Rules>,
}

#[derive(Debug)]
struct Rules {
    roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
    of_rustls: Arc<WebPkiServerVerifier>,
    /// The name that the certificate must be for; `None` for the host of the address.
    name: Option<ServerName<'static>>,
}

/// The server's certificate is of version 1 of X.509, which can name no host.
#[derive(Debug, thiserror::Error)]
#[error("version 1 of X.509")]
pub(crate) struct Version1;

impl Verifier {
    /// Accepts any certificate.
    pub(crate) fn of_any(provider: Arc<CryptoProvider>) -> Self {
        Verifier { provider, rules: None }
    }

    /// Accepts certificates that lead to `roots`, or are among the `certificates` of the roots.
    /// They must be for `name`, or for the host of the address.
    ///
    /// # Errors
    ///
    /// There are no roots.
    pub(crate) fn new(
        roots: RootCertStore,
        certificates: Vec<CertificateDer<'static>>,
        name: Option<ServerName<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let (roots, with) = (Arc::new(roots), Arc::clone(&provider));
        let of_rustls =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), with).build()?;
        Ok(Verifier { provider, rules: Some(Rules { roots, certificates, of_rustls, name }) })
    }

    /// Verifies a signature by a certificate of version 1 of X.509, which rustls cannot read.
    /// `error` is the answer of rustls.
    fn verify_of_version_1(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
        error: rustls::Error,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let certificate = Certificate::read(certificate).filter(Certificate::is_of_version_1);
        let Some(certificate) = certificate else { return Err(error) };
        let known = self.provider.signature_verification_algorithms.mapping;
        let Some((_, algorithms)) = known.iter().find(|(scheme, _)| *scheme == signature.scheme)
        else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        match certificate.has_signed(message, signature.signature(), algorithms) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }
}

impl Rules {
    /// Applies Go's rules to a certificate that rustls refused with `error`.
    fn by_go(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Certificate::read(certificate).is_some_and(|read| read.is_of_version_1()) {
            return Err(CertificateError::Other(OtherError(Arc::new(Version1))).into());
        }
        let trusted = Trusted { anchors: &self.roots.roots, certificates: &self.certificates };
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server(certificate, between, &trusted, now, algorithms)?;
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(rules) = &self.rules else { return Ok(ServerCertVerified::assertion()) };
        let name = rules.name.as_ref().unwrap_or(host);
        let verified = rules.of_rustls.verify_server_cert(certificate, between, name, ocsp, now);
        match verified {
            // rustls has no name for a CA in the place of a server, nor for old versions. It knows
            // no certificate that is trusted by itself.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Other(_) | CertificateError::UnknownIssuer,
            )) => rules.by_go(certificate, between, name, now, &self.provider),
            verified => verified,
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
            .or_else(|error| self.verify_of_version_1(message, certificate, signature, error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .or_else(|error| self.verify_of_version_1(message, certificate, signature, error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
