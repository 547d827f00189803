//! Keys, certificates, ciphers and passwords.

mod certificate;
mod cipher;
mod der;
mod key;
mod password;
mod pem;

use bytes::Bytes;
use gotmpl::types::{Field, IntegerType, StructType, Type, VALUES};
use gotmpl::{Argument, Failure, Returned, Struct, Value};
use render::funcs::data::base64_decode;

use self::certificate::{Issuer, Subject};
use self::key::{Key, Kind};
use super::super::Context;
use super::Library;
use render::library::values::lossy;

/// `sprig.certificate`.
static CERTIFICATE: StructType = StructType {
    name: "sprig.certificate",
    fields: &[Field { name: "Cert", ty: Type::String }, Field { name: "Key", ty: Type::String }],
    methods: &[],
};

/// `uint32`.
static UINT32: IntegerType =
    IntegerType { name: "uint32", signed: false, bits: 32, stringer: None, methods: &[] };

/// An `[]interface {}`; no element if it is nil.
struct List(Vec<Value>);

impl Argument for List {
    const TYPE: Type = Type::Slice(&VALUES);

    fn from_value(value: Value) -> Option<List> {
        Some(List(value.as_slice()?.elements().to_vec()))
    }
}

/// A `uint32`.
struct Uint32(u32);

impl Argument for Uint32 {
    const TYPE: Type = Type::Integer(&UINT32);

    fn from_value(value: Value) -> Option<Uint32> {
        match value {
            Value::Integer(_, bits) => Some(Uint32(bits as u32)),
            _ => None,
        }
    }
}

/// A certificate and its key, both in PEM.
struct Pair {
    certificate: Bytes,
    key: Bytes,
}

impl Argument for Pair {
    const TYPE: Type = Type::Struct(&CERTIFICATE);

    fn from_value(value: Value) -> Option<Pair> {
        let Value::Struct(value) = value else { return None };
        let text = |name: &[u8]| value.field(name)?.as_bytes().cloned();
        Some(Pair { certificate: text(b"Cert")?, key: text(b"Key")? })
    }
}

impl Returned for Pair {
    const TYPE: Type = Type::Struct(&CERTIFICATE);

    fn into_value(self) -> Result<Value, Failure> {
        let fields = vec![Value::String(self.certificate), Value::String(self.key)];
        Ok(Value::Struct(Struct::new(&CERTIFICATE, fields)))
    }
}

pub(super) fn add(library: &mut Library<'_>) {
    library.add("bcrypt", |_: &Context, text: Bytes| password::bcrypt(&text));
    library.add("htpasswd", |_: &Context, user: Bytes, text: Bytes| {
        let user = lossy(&user);
        match user.contains(':') {
            true => format!("invalid username: {user}"),
            false => format!("{user}:{}", password::bcrypt(&text)),
        }
    });
    library.add(
        "derivePassword",
        |_: &Context, counter: Uint32, form: Bytes, password: Bytes, user: Bytes, site: Bytes| {
            password::derive(counter.0, &lossy(&form), &password, &user, &site)
        },
    );
    library.add("encryptAES", |_: &Context, password: Bytes, text: Bytes| {
        cipher::encrypt(&password, &text)
    });
    library.add("decryptAES", |_: &Context, password: Bytes, text: Bytes| {
        cipher::decrypt(&password, &text)
    });
    library.add("genPrivateKey", |_: &Context, kind: Bytes| {
        let kind = match &*kind {
            b"" | b"rsa" => Kind::Rsa4096,
            b"ecdsa" => Kind::P256,
            b"ed25519" => Kind::Ed25519,
            b"dsa" => return Err(Failure::new("keys of DSA are not made: they are outdated")),
            other => return Ok(format!("Unknown type {}", String::from_utf8_lossy(other))),
        };
        Key::generate(kind)?.pem()
    });
    add_certificates(library);
}

fn add_certificates(library: &mut Library<'_>) {
    library.add("buildCustomCert", |_: &Context, certificate: Bytes, key: Bytes| {
        let decoded = |text: &Bytes, what: &str| {
            base64_decode(text).map_err(|_| Failure::new(format!("unable to decode base64 {what}")))
        };
        let certificate = decoded(&certificate, "certificate")?;
        let key = decoded(&key, "private key")?;
        certificate::read(&certificate)?;
        Key::parse(&key)
            .map_err(|why| Failure::new(format!("error parsing private key: {why}")))?;
        Ok::<_, Failure>(Pair { certificate, key })
    });
    library.add("genCA", |context: &Context, name: Bytes, days: i64| {
        let key = new_key()?;
        issue(context, &Subject::authority(&name), days, &key, None)
    });
    library.add("genCAWithKey", |context: &Context, name: Bytes, days: i64, key: Bytes| {
        issue(context, &Subject::authority(&name), days, &given_key(&key)?, None)
    });
    library.add(
        "genSelfSignedCert",
        |context: &Context, name: Bytes, ips: List, names: List, days: i64| {
            let key = new_key()?;
            issue(context, &Subject::new(&name, &ips.0, &names.0)?, days, &key, None)
        },
    );
    library.add(
        "genSelfSignedCertWithKey",
        |context: &Context, name: Bytes, ips: List, names: List, days: i64, key: Bytes| {
            let key = given_key(&key)?;
            issue(context, &Subject::new(&name, &ips.0, &names.0)?, days, &key, None)
        },
    );
    library.add(
        "genSignedCert",
        |context: &Context, name: Bytes, ips: List, names: List, days: i64, by: Pair| {
            let key = new_key()?;
            let issuer = issuer(&by)?;
            issue(context, &Subject::new(&name, &ips.0, &names.0)?, days, &key, Some(&issuer))
        },
    );
    library.add_raw_signed();
}

impl Library<'_> {
    /// `genSignedCertWithKey`, which has more parameters than closures can have.
    fn add_raw_signed(&mut self) {
        let params = vec![
            Type::String,
            List::TYPE,
            List::TYPE,
            Type::Int,
            Type::Struct(&CERTIFICATE),
            Type::String,
        ];
        let signature =
            gotmpl::Signature { params, variadic: false, result: <Pair as Returned>::TYPE };
        self.0.add_raw("sprig_genSignedCertWithKey", signature, |context: &Context, arguments| {
            let mut arguments = arguments.iter_mut().map(std::mem::take);
            let mut next = || arguments.next().unwrap_or_default();
            let wrong = || Failure::new("argument has another type");
            let name = Bytes::from_value(next()).ok_or_else(wrong)?;
            let ips = List::from_value(next()).ok_or_else(wrong)?;
            let names = List::from_value(next()).ok_or_else(wrong)?;
            let days = i64::from_value(next()).ok_or_else(wrong)?;
            let by = Pair::from_value(next()).ok_or_else(wrong)?;
            let key = given_key(&Bytes::from_value(next()).ok_or_else(wrong)?)?;
            let issuer = issuer(&by)?;
            let subject = Subject::new(&name, &ips.0, &names.0)?;
            issue(context, &subject, days, &key, Some(&issuer))?.into_value()
        });
    }
}

fn new_key() -> Result<Key, Failure> {
    Key::generate(Kind::Rsa2048)
}

fn given_key(text: &Bytes) -> Result<Key, Failure> {
    Key::parse(text).map_err(|why| Failure::new(format!("parsing private key: {why}")))
}

/// The issuer of a certificate: another certificate with its key.
fn issuer(by: &Pair) -> Result<Issuer, Failure> {
    let certificate = certificate::read(&by.certificate)?;
    let key = Key::parse(&by.key)
        .map_err(|why| Failure::new(format!("error parsing private key: {why}")))?;
    Ok(Issuer { certificate, key })
}

/// A certificate for `subject` and its `key`, signed by `issuer`, or by itself.
fn issue(
    context: &Context,
    subject: &Subject,
    days: i64,
    key: &Key,
    issuer: Option<&Issuer>,
) -> Result<Pair, Failure> {
    let now = context.machine.host.now();
    let certificate = certificate::issue(subject, &now, days, key, issuer)
        .map_err(|why| Failure::new(format!("error creating certificate: {why}")))?;
    Ok(Pair {
        certificate: pem::encode("CERTIFICATE", &certificate).into(),
        key: key.pem()?.into(),
    })
}
