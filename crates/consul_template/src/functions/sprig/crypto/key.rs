//! Private keys.

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use gotmpl::Failure;

use super::der::{self, tag};
use super::pem;

/// A key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa2048,
    Rsa4096,
    P256,
    Ed25519,
}

/// A private key.
pub(super) enum Key {
    Rsa(RsaKeyPair),
    Elliptic(&'static Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A curve, with the object identifiers of it and of its signatures.
pub(super) struct Curve {
    id: &'static [u8],
    signature: &'static [u8],
    signing: &'static EcdsaSigningAlgorithm,
}

static CURVES: [Curve; 3] = [
    Curve {
        id: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        signature: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
    },
    Curve {
        id: &[0x2b, 0x81, 4, 0, 0x22],
        signature: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
    },
    Curve {
        id: &[0x2b, 0x81, 4, 0, 0x23],
        signature: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        signing: &ECDSA_P521_SHA512_ASN1_SIGNING,
    },
];

/// `rsaEncryption`.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// `sha256WithRSAEncryption`.
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
/// `ecPublicKey`.
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// Ed25519, the key and the signature.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const BROKEN: &str = "asn1: structure error: the key is malformed";

impl Key {
    /// Makes a key.
    ///
    /// # Errors
    /// The machine has no random numbers.
    pub(super) fn generate(kind: Kind) -> Result<Key, Failure> {
        let key = match kind {
            Kind::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(Key::Rsa),
            Kind::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Key::Rsa),
            Kind::P256 => {
                let curve = &CURVES[0];
                EcdsaKeyPair::generate(curve.signing).map(|key| Key::Elliptic(curve, key))
            }
            Kind::Ed25519 => Ed25519KeyPair::generate().map(Key::Ed25519),
        };
        key.map_err(|_| Failure::new("failed to generate private key"))
    }

    /// Reads a key in PEM.
    ///
    /// # Errors
    /// sprig's words for what is wrong.
    pub(super) fn parse(text: &[u8]) -> Result<Key, String> {
        let (kind, content) = pem::decode(text).ok_or("no PEM data in input")?;
        if kind == "PRIVATE KEY" {
            return from_pkcs8(&content).map_err(|why| format!("decoding PEM as PKCS#8: {why}"));
        }
        match kind.strip_suffix(" PRIVATE KEY") {
            Some("RSA") => RsaKeyPair::from_der(&content)
                .map(Key::Rsa)
                .map_err(|_| format!("parsing RSA private key from PEM: {}", fault(&content))),
            Some("EC") => from_rfc5915(&content, None).map_err(|why| {
                let text = "parsing EC private key from PEM: x509: failed to parse EC private key";
                format!("{text}: {why}")
            }),
            Some("DSA") => Err("keys of DSA are not supported: they are outdated".to_owned()),
            Some(_) => Err(format!("invalid private key type {kind}")),
            None => Err(format!("no private key data in PEM block of type {kind}")),
        }
    }

    /// The key in PEM, in the form that is usual for its kind.
    ///
    /// # Errors
    /// The machine has too little memory.
    pub(super) fn pem(&self) -> Result<String, Failure> {
        let (kind, content) = match self {
            Key::Rsa(key) => {
                let der: Result<Pkcs8V1Der<'_>, _> = key.as_der();
                let content = der.ok().and_then(|der| inside(der.as_ref()).map(<[u8]>::to_vec));
                ("RSA PRIVATE KEY", content)
            }
            Key::Elliptic(_, key) => {
                let private = key.private_key();
                let der: Result<EcPrivateKeyRfc5915Der<'_>, _> = private.as_der();
                ("EC PRIVATE KEY", der.ok().map(|der| (*der).as_ref().to_vec()))
            }
            Key::Ed25519(key) => {
                let der = key.to_pkcs8v1();
                ("PRIVATE KEY", der.ok().map(|der| der.as_ref().to_vec()))
            }
        };
        let content = content.ok_or_else(|| Failure::new("the private key cannot be written"))?;
        Ok(pem::encode(kind, &content))
    }

    /// The public key: the bytes that an identifier of the key is made from.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Key::Rsa(key) => key.public_key().as_ref().to_vec(),
            Key::Elliptic(_, key) => key.public_key().as_ref().to_vec(),
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The public key with its kind, as certificates have it.
    pub(super) fn public_info(&self) -> Vec<u8> {
        let kind = match self {
            Key::Rsa(_) => {
                der::sequence(&[&der::value(tag::OID, RSA), &der::value(tag::NULL, &[])])
            }
            Key::Elliptic(curve, _) => {
                der::sequence(&[&der::value(tag::OID, ELLIPTIC), &der::value(tag::OID, curve.id)])
            }
            Key::Ed25519(_) => der::sequence(&[&der::value(tag::OID, ED25519)]),
        };
        der::sequence(&[&kind, &der::bits(&self.public())])
    }

    /// The kind of the signatures, as certificates have it.
    pub(super) fn signature_kind(&self) -> Vec<u8> {
        match self {
            Key::Rsa(_) => {
                der::sequence(&[&der::value(tag::OID, RSA_SHA256), &der::value(tag::NULL, &[])])
            }
            Key::Elliptic(curve, _) => der::sequence(&[&der::value(tag::OID, curve.signature)]),
            Key::Ed25519(_) => der::sequence(&[&der::value(tag::OID, ED25519)]),
        }
    }

    /// Signs a message.
    ///
    /// # Errors
    /// The key cannot sign, or the machine has no random numbers.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| "the key cannot sign".to_owned();
        let random = SystemRandom::new();
        match self {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Key::Elliptic(_, key) => {
                let signature = key.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Key::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// The key inside of PKCS #8.
fn inside(content: &[u8]) -> Option<&[u8]> {
    let mut fields = der::take_content(&mut { content }, tag::SEQUENCE)?;
    der::take_content(&mut fields, tag::INTEGER)?;
    der::take_content(&mut fields, tag::SEQUENCE)?;
    der::take_content(&mut fields, tag::OCTET_STRING)
}

fn from_pkcs8(content: &[u8]) -> Result<Key, String> {
    let kind = (|| {
        let mut fields = der::take_content(&mut { content }, tag::SEQUENCE)?;
        der::take_content(&mut fields, tag::INTEGER)?;
        let mut kind = der::take_content(&mut fields, tag::SEQUENCE)?;
        let id = der::take_content(&mut kind, tag::OID)?;
        Some((id, der::take(&mut kind)))
    })();
    let (id, parameters) = kind.ok_or_else(|| fault(content))?;
    let broken = || BROKEN.to_owned();
    match id {
        RSA => RsaKeyPair::from_pkcs8(content).map(Key::Rsa).map_err(|_| broken()),
        ELLIPTIC => {
            let key = inside(content).ok_or_else(broken)?;
            from_rfc5915(key, parameters.map(|parameters| parameters.content))
        }
        ED25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(content)
            .map(Key::Ed25519)
            .map_err(|_| broken()),
        _ => Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".to_owned()),
    }
}

/// Reads a key of an elliptic curve. `curve` is the identifier of the curve, if the key need not
/// name it.
fn from_rfc5915(content: &[u8], curve: Option<&[u8]>) -> Result<Key, String> {
    let named = (|| {
        let mut fields = der::take_content(&mut { content }, tag::SEQUENCE)?;
        der::take_content(&mut fields, tag::INTEGER)?;
        der::take_content(&mut fields, tag::OCTET_STRING)?;
        Some(
            der::take_content(&mut fields, tag::explicit(0))
                .and_then(|mut parameters| der::take_content(&mut parameters, tag::OID)),
        )
    })();
    let id = named.ok_or_else(|| fault(content))?.or(curve);
    let curve = CURVES.iter().find(|curve| Some(curve.id) == id);
    let curve = curve.ok_or("x509: unknown elliptic curve")?;
    EcdsaKeyPair::from_private_key_der(curve.signing, content)
        .map(|key| Key::Elliptic(curve, key))
        .map_err(|_| BROKEN.to_owned())
}

/// Go's words for bytes that are no key.
fn fault(content: &[u8]) -> String {
    match der::take(&mut { content }) {
        Some(_) => BROKEN.to_owned(),
        None => "asn1: syntax error: truncated tag or length".to_owned(),
    }
}
