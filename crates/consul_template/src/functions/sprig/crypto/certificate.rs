//! Certificates as sprig makes them.

use std::net::IpAddr;

use bytes::Bytes;
use gotmpl::{Failure, Value};
use sha2::{Digest as _, Sha256};
use world::time::{Duration, Location, Time};

use super::der::{self, tag};
use super::key::Key;
use super::pem;
use render::library::values::lossy;

/// Whom a certificate is for.
pub(super) struct Subject {
    name: String,
    ips: Vec<IpAddr>,
    names: Vec<String>,
    is_authority: bool,
}

impl Subject {
    /// An authority, which can sign other certificates.
    pub(super) fn authority(name: &Bytes) -> Subject {
        Subject { name: lossy(name), ips: Vec::new(), names: Vec::new(), is_authority: true }
    }

    /// A server or client with these addresses and names.
    ///
    /// # Errors
    /// An address or a name is none.
    pub(super) fn new(name: &Bytes, ips: &[Value], names: &[Value]) -> Result<Subject, Failure> {
        let shown = |value: &Value| String::from_utf8_lossy(&value.text()).into_owned();
        let ips = ips.iter().map(|ip| {
            let failed = |what: String| Failure::new(format!("error parsing ip: {what}"));
            let text = ip
                .as_bytes()
                .map(lossy)
                .ok_or_else(|| failed(format!("{} is not a string", shown(ip))))?;
            text.parse().map_err(|_| failed(text))
        });
        let ips = ips.collect::<Result<_, Failure>>()?;
        let names = names.iter().map(|name| {
            name.as_bytes().map(lossy).ok_or_else(|| {
                let text = "error processing alternate dns name";
                Failure::new(format!("{text}: {} is not a string", shown(name)))
            })
        });
        let names = names.collect::<Result<_, Failure>>()?;
        Ok(Subject { name: lossy(name), ips, names, is_authority: false })
    }
}

/// What another certificate needs to know of the one that signs it.
pub(super) struct Certificate {
    subject: Vec<u8>,
    public_info: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

/// The certificate and the key that sign another certificate.
pub(super) struct Issuer {
    pub(super) certificate: Certificate,
    pub(super) key: Key,
}

/// The identifiers of extensions.
mod id {
    pub(super) const KEY_ID: &[u8] = &[0x55, 0x1d, 14];
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(super) const NAMES: &[u8] = &[0x55, 0x1d, 17];
    pub(super) const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(super) const ISSUER_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
    pub(super) const PURPOSES: &[u8] = &[0x55, 0x1d, 37];
    pub(super) const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    pub(super) const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
}

/// Reads the first certificate of a text in PEM.
///
/// # Errors
/// There is none, or it is malformed.
pub(super) fn read(text: &[u8]) -> Result<Certificate, Failure> {
    let (_, content) =
        pem::decode(text).ok_or_else(|| Failure::new("unable to decode certificate"))?;
    parse(&content).ok_or_else(|| {
        let text = "error parsing certificate: decodedCert.Bytes: x509: malformed certificate";
        Failure::new(text)
    })
}

fn parse(content: &[u8]) -> Option<Certificate> {
    let mut certificate = der::take_content(&mut { content }, tag::SEQUENCE)?;
    let mut fields = der::take_content(&mut certificate, tag::SEQUENCE)?;
    // The version is optional; then come the serial number, the kind of the signature, the issuer
    // and the validity.
    if fields.first() == Some(&tag::explicit(0)) {
        der::take(&mut fields)?;
    }
    for expected in [tag::INTEGER, tag::SEQUENCE, tag::SEQUENCE, tag::SEQUENCE] {
        der::take_content(&mut fields, expected)?;
    }
    let subject = der::take(&mut fields)?.whole.to_vec();
    let public_info = der::take(&mut fields)?.whole.to_vec();
    let mut key_id = None;
    while let Some(mut extensions) = der::take(&mut fields) {
        if extensions.tag != tag::explicit(3) {
            continue;
        }
        let mut extensions = der::take_content(&mut extensions.content, tag::SEQUENCE)?;
        while let Some(mut extension) = der::take_content(&mut extensions, tag::SEQUENCE) {
            if der::take_content(&mut extension, tag::OID)? == id::KEY_ID {
                let mut content = der::take_content(&mut extension, tag::OCTET_STRING)?;
                key_id = der::take_content(&mut content, tag::OCTET_STRING).map(<[u8]>::to_vec);
            }
        }
    }
    Some(Certificate { subject, public_info, key_id })
}

/// Makes a certificate for the public part of `key`, from `now` on for a number of days, signed by
/// `issuer`, or by `key` itself.
///
/// # Errors
/// The issuer's key is that of another certificate, or cannot sign.
pub(super) fn issue(
    subject: &Subject,
    now: &Time,
    days: i64,
    key: &Key,
    issuer: Option<&Issuer>,
) -> Result<Vec<u8>, String> {
    let name = distinguished(&subject.name);
    let signing = issuer.map_or(key, |issuer| &issuer.key);
    if issuer.is_some_and(|issuer| issuer.certificate.public_info != issuer.key.public_info()) {
        return Err("x509: provided PrivateKey doesn't match parent's PublicKey".to_owned());
    }
    if let Some(name) = subject.names.iter().find(|name| !name.is_ascii()) {
        return Err(format!("x509: {name:?} cannot be encoded as an IA5String"));
    }
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| "there are no random numbers".to_owned())?;
    // The days wrap around where Go's nanoseconds do.
    let nanos = days.wrapping_mul(86_400_000_000_000);
    let (begin, end) = (now.at(Location::Utc), now.at(Location::Utc).add(Duration(nanos)));
    let issuer_name = issuer.map_or(&name, |issuer| &issuer.certificate.subject);
    let issuer_key_id = issuer
        .filter(|issuer| issuer.certificate.subject != name)
        .and_then(|issuer| issuer.certificate.key_id.as_deref());
    let body = der::sequence(&[
        // The third version.
        &der::value(tag::explicit(0), &der::integer(&[2])),
        &der::integer(&serial),
        &signing.signature_kind(),
        issuer_name,
        &der::sequence(&[&moment(&begin)?, &moment(&end)?]),
        &name,
        &key.public_info(),
        &der::value(tag::explicit(3), &extensions(subject, key, issuer_key_id)),
    ]);
    let signature = signing.sign(&body)?;
    Ok(der::sequence(&[&body, &signing.signature_kind(), &der::bits(&signature)]))
}

/// A distinguished name with this common name; without names if that is empty.
fn distinguished(name: &str) -> Vec<u8> {
    if name.is_empty() {
        return der::sequence(&[]);
    }
    let is_printable =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
    let text = der::value(if is_printable { tag::PRINTABLE } else { tag::UTF8 }, name.as_bytes());
    let attribute = der::sequence(&[&der::value(tag::OID, id::COMMON_NAME), &text]);
    der::sequence(&[&der::value(tag::SET, &attribute)])
}

/// A moment: with two digits for the years from 1950 to 2049.
fn moment(time: &Time) -> Result<Vec<u8>, String> {
    match time.civil().year {
        1950..2050 => Ok(der::value(tag::UTC_TIME, &time.format(b"060102150405Z"))),
        0..10_000 => Ok(der::value(tag::TIME, &time.format(b"20060102150405Z"))),
        _ => Err("asn1: structure error: cannot represent time as GeneralizedTime".to_owned()),
    }
}

fn extensions(subject: &Subject, key: &Key, issuer_key_id: Option<&[u8]>) -> Vec<u8> {
    let extension = |id: &[u8], critical: bool, content: &[u8]| {
        let critical = match critical {
            true => der::value(tag::BOOLEAN, &[0xff]),
            false => Vec::new(),
        };
        let content = der::value(tag::OCTET_STRING, content);
        der::sequence(&[&der::value(tag::OID, id), &critical, &content])
    };
    // Bits from the left: signatures, encryption of keys, and for authorities certificates. The
    // first byte is the number of bits that are left over.
    let usage: &[u8] = if subject.is_authority { &[2, 0b1010_0100] } else { &[5, 0b1010_0000] };
    let mut all = vec![
        extension(id::KEY_USAGE, true, &der::value(tag::BIT_STRING, usage)),
        extension(
            id::PURPOSES,
            false,
            &der::sequence(&[&der::value(tag::OID, id::SERVER), &der::value(tag::OID, id::CLIENT)]),
        ),
        extension(
            id::CONSTRAINTS,
            true,
            &match subject.is_authority {
                true => der::sequence(&[&der::value(tag::BOOLEAN, &[0xff])]),
                false => der::sequence(&[]),
            },
        ),
    ];
    if subject.is_authority {
        let hash = Sha256::digest(key.public());
        all.push(extension(id::KEY_ID, false, &der::value(tag::OCTET_STRING, &hash[..20])));
    }
    if let Some(key_id) = issuer_key_id {
        let content = der::sequence(&[&der::value(tag::implicit(0), key_id)]);
        all.push(extension(id::ISSUER_KEY_ID, false, &content));
    }
    let names = subject.names.iter().map(|name| der::value(tag::implicit(2), name.as_bytes()));
    let ips = subject.ips.iter().map(|ip| match ip.to_canonical() {
        IpAddr::V4(ip) => der::value(tag::implicit(7), &ip.octets()),
        IpAddr::V6(ip) => der::value(tag::implicit(7), &ip.octets()),
    });
    let names: Vec<u8> = names.chain(ips).flatten().collect();
    if !names.is_empty() {
        let content = der::value(tag::SEQUENCE, &names);
        all.push(extension(id::NAMES, subject.name.is_empty(), &content));
    }
    der::value(tag::SEQUENCE, &all.concat())
}
