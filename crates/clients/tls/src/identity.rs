//! The PEM files of certificates and keys.

use std::path::Path;

use nodes::Error;
use report::read_regular;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::x509::Certificate;

/// The certificates in a file.
///
/// # Errors
///
/// The file cannot be read, or contains no certificate.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Error::tls(path, "no certificate in PEM is in it")),
        Ok(found) => Ok(found),
        Err(cause) => Err(Error::tls(path, cause)),
    }
}

/// The client's certificate and its key.
///
/// # Errors
///
/// A file cannot be read, or contains no certificate or usable key, or the key belongs to another
/// certificate.
pub(crate) fn identity(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let chain = certificates(certificate)?;
    let pem = read(key)?;
    let parsed = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        // The parser's message could contain a part of the key.
        Error::tls(
            key,
            if is_encrypted(&pem) { ENCRYPTED } else { "no private key in PEM is in it" },
        )
    })?;
    let signing = provider
        .key_provider
        .load_private_key(parsed)
        .map_err(|_| Error::tls(key, if is_encrypted(&pem) { ENCRYPTED } else { UNUSABLE }))?;
    // rustls would compare them too, but refuses certificates of version 1 of X.509.
    let own = chain.first().and_then(|first| Certificate::read(first)?.public_key());
    if let (Some(own), Some(public)) = (own, signing.public_key())
        && own != public.as_ref()
    {
        let of = certificate.display();
        return Err(Error::tls(key, format!("the private key in it does not belong to {of}")));
    }
    Ok(CertifiedKey::new(chain, signing))
}

const ENCRYPTED: &str = "the private key in it is encrypted, and confd asks for no passphrase: decrypt it with `openssl pkey`";

const UNUSABLE: &str = "the private key in it cannot be used: RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519 can";

/// Whether the text contains a private key that a passphrase protects, in PKCS #8 or in the older
/// form of OpenSSL.
fn is_encrypted(pem: &[u8]) -> bool {
    let marks = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
    pem.split(|byte| *byte == b'\n')
        .any(|line| marks.iter().any(|mark| line.starts_with(mark.as_bytes())))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_regular(path).map_err(|cause| Error::file("open", path, cause))
}
