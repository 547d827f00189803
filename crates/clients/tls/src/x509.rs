//! Certificates that Go's TLS accepts and rustls refuses.
//!
//! rustls has two rules of its own. A server's certificate must not say that it is a CA, though
//! `openssl req -x509` always makes it so. And a certificate must be of version 3 of X.509, though
//! `openssl x509 -req` makes version 1 of a request without extensions. [`Certificate`] reads such
//! certificates, and [`verify_server`] applies Go's rules to them. rustls still decides about all
//! other certificates.

use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use x509_cert::certificate::{Raw, TbsCertificateInner, Version};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The algorithms by which signatures are verified.
type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// The most signatures that are verified for one server: it could present CAs that have all signed
/// each other.
const MOST_SIGNATURES: usize = 100;

const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// The extensions that [`verify_server`] understands. Any other one must not be critical.
const UNDERSTOOD: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"), // key usage
    ObjectIdentifier::new_unwrap("2.5.29.17"), // alternative names, which the caller verifies
    ObjectIdentifier::new_unwrap("2.5.29.19"), // basic constraints
    ObjectIdentifier::new_unwrap("2.5.29.37"), // extended key usage
];

/// A certificate of any version of X.509.
pub(crate) struct Certificate<'a> {
    content: TbsCertificateInner<Raw>,
    /// The encoded content, which the issuer has signed.
    signed: &'a [u8],
    /// The identifier of the signature's algorithm.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// What a server's certificate may be trusted by.
pub(crate) struct Trusted<'a> {
    /// The CAs.
    pub(crate) anchors: &'a [TrustAnchor<'static>],
    /// The certificates of the CAs. As in Go, a server may present one of them as its own.
    pub(crate) certificates: &'a [CertificateDer<'static>],
}

impl<'a> Certificate<'a> {
    /// `None` if these bytes are no certificate.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let parts = content(der)?;
        let mut parts = SliceReader::new(parts).ok()?;
        let signed = parts.tlv_bytes().ok()?;
        let algorithm = content(parts.tlv_bytes().ok()?)?;
        let signature = BitStringRef::decode(&mut parts).ok()?.raw_bytes();
        let content = TbsCertificateInner::from_der(signed).ok()?;
        Some(Certificate { content, signed, algorithm, signature })
    }

    /// Whether the certificate is of version 1. It contains no names of hosts then.
    pub(crate) fn is_of_version_1(&self) -> bool {
        self.content.version() == Version::V1
    }

    /// The public key with its algorithm, in DER.
    pub(crate) fn public_key(&self) -> Option<Vec<u8>> {
        self.content.subject_public_key_info().to_der().ok()
    }

    /// Verifies a signature that was made with the certificate's key, by one of `algorithms`.
    pub(crate) fn has_signed(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithms: &Algorithms,
    ) -> bool {
        self.public_key().is_some_and(|key| {
            let (Some(key), is_any) = (Key::read(&key), |_: &[u8]| true) else { return false };
            key.verifies(message, signature, algorithms, is_any)
        })
    }

    fn is_valid_at(&self, now: UnixTime) -> Result<(), CertificateError> {
        let (validity, now) = (self.content.validity(), Duration::from_secs(now.as_secs()));
        if now < validity.not_before.to_unix_duration() {
            return Err(CertificateError::NotValidYet);
        }
        if now > validity.not_after.to_unix_duration() {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    /// Whether the key may be used by a server, or to sign certificates of servers.
    fn is_for_servers(&self) -> Result<(), CertificateError> {
        let usage = self.content.get_extension::<ExtendedKeyUsage>();
        let usage = usage.map_err(|_| CertificateError::BadEncoding)?;
        let is_for_servers = |usage: &ExtendedKeyUsage| {
            usage.0.iter().any(|usage| [SERVER_AUTH, ANY_USAGE].contains(usage))
        };
        match usage.is_none_or(|(_, usage)| is_for_servers(&usage)) {
            true => Ok(()),
            false => Err(CertificateError::InvalidPurpose),
        }
    }

    /// Whether the certificate has no critical extension that is not understood.
    fn is_understood(&self) -> Result<(), CertificateError> {
        let extensions = self.content.extensions().map_or(&[][..], Vec::as_slice);
        let is_strange = |extension: &x509_cert::ext::Extension| {
            extension.critical && !UNDERSTOOD.contains(&extension.extn_id)
        };
        match extensions.iter().any(is_strange) {
            true => Err(CertificateError::UnhandledCriticalExtension),
            false => Ok(()),
        }
    }

    /// Whether the certificate limits the names of the hosts below it.
    fn limits_names(&self) -> bool {
        let extensions = self.content.extensions().map_or(&[][..], Vec::as_slice);
        extensions.iter().any(|extension| extension.extn_id == NAME_CONSTRAINTS)
    }

    /// Whether the certificate may sign others, with `below` CAs between itself and the server's.
    fn is_ca(&self, below: usize) -> bool {
        let limits = self.content.get_extension::<BasicConstraints>().ok().flatten();
        let usage = self.content.get_extension::<KeyUsage>();
        let may_be_below = |longest: Option<u8>| longest.is_none_or(|most| below <= most.into());
        limits.is_some_and(|(_, limits)| limits.ca && may_be_below(limits.path_len_constraint))
            && !self.limits_names()
            && usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.key_cert_sign()))
    }

    /// Whether `key` has signed the certificate.
    fn is_signed_by(&self, key: &Key<'_>, algorithms: &Algorithms) -> bool {
        let is_its = |algorithm: &[u8]| algorithm == self.algorithm;
        key.verifies(self.signed, self.signature, algorithms, is_its)
    }
}

/// A public key.
struct Key<'a> {
    /// The identifier of its algorithm.
    algorithm: Vec<u8>,
    bytes: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads a key with its algorithm.
    fn read(der: &'a [u8]) -> Option<Self> {
        let key = SubjectPublicKeyInfoRef::from_der(der).ok()?;
        let algorithm = content(&key.algorithm.to_der().ok()?)?.to_vec();
        Some(Key { algorithm, bytes: key.subject_public_key.raw_bytes() })
    }

    /// Whether the key has signed `message`, by one of `algorithms` whose identifier is `allowed`.
    fn verifies(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithms: &Algorithms,
        allowed: impl Fn(&[u8]) -> bool,
    ) -> bool {
        algorithms.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == self.algorithm
                && allowed(algorithm.signature_alg_id().as_ref())
                && algorithm.verify_signature(self.bytes, message, signature).is_ok()
        })
    }
}

/// Verifies a server's certificate by the rules of Go's TLS, except that it is for the right host.
/// `between` are the other certificates that the server presents.
///
/// A CA that limits the names of hosts is not accepted.
///
/// # Errors
/// Go would refuse the certificate too, or it cannot be read.
pub(crate) fn verify_server(
    der: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    trusted: &Trusted<'_>,
    now: UnixTime,
    algorithms: &Algorithms,
) -> Result<(), CertificateError> {
    let server = Certificate::read(der).ok_or(CertificateError::BadEncoding)?;
    server.is_valid_at(now)?;
    server.is_understood()?;
    server.is_for_servers()?;
    if trusted.certificates.contains(der) {
        return Ok(());
    }
    let between: Vec<_> = between.iter().filter_map(|der| Certificate::read(der)).collect();
    let between: Vec<_> = between
        .iter()
        .filter(|ca| ca.is_valid_at(now).and(ca.is_understood()).and(ca.is_for_servers()).is_ok())
        .collect();
    let mut search =
        Search { between: &between, anchors: trusted.anchors, algorithms, left: MOST_SIGNATURES };
    match search.leads_from(&server, 0) {
        true => Ok(()),
        false => Err(CertificateError::UnknownIssuer),
    }
}

/// The search for a chain of signatures that leads to a trusted CA.
struct Search<'a> {
    /// The CAs that the server presents.
    between: &'a [&'a Certificate<'a>],
    anchors: &'a [TrustAnchor<'static>],
    algorithms: &'a Algorithms,
    /// The number of signatures that may still be verified.
    left: usize,
}

impl Search<'_> {
    /// Whether a chain leads from `certificate` to a trusted CA. There are `below` CAs between the
    /// server's certificate and `certificate`.
    fn leads_from(&mut self, certificate: &Certificate<'_>, below: usize) -> bool {
        let Ok(issuer) = certificate.content.issuer().to_der() else { return false };
        let is_issuer = |anchor: &&TrustAnchor<'_>| {
            content(&issuer) == Some(anchor.subject.as_ref()) && anchor.name_constraints.is_none()
        };
        for anchor in self.anchors.iter().filter(is_issuer) {
            let key = sequence(&anchor.subject_public_key_info);
            if key.is_some_and(|key| self.has_signed(&key, certificate)) {
                return true;
            }
        }
        for ca in self.between {
            if ca.content.subject() == certificate.content.issuer()
                && ca.is_ca(below)
                && ca.public_key().is_some_and(|key| self.has_signed(&key, certificate))
                && self.leads_from(ca, below + 1)
            {
                return true;
            }
        }
        false
    }

    fn has_signed(&mut self, key: &[u8], certificate: &Certificate<'_>) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        Key::read(key).is_some_and(|key| certificate.is_signed_by(&key, self.algorithms))
    }
}

/// The content of an encoded value.
fn content(der: &[u8]) -> Option<&[u8]> {
    Some(AnyRef::from_der(der).ok()?.value())
}

/// A sequence with this content, encoded.
fn sequence(content: &[u8]) -> Option<Vec<u8>> {
    AnyRef::new(x509_cert::der::Tag::Sequence, content).ok()?.to_der().ok()
}
