//! Certificates of Certificate Manager.
//!
//! A key is the ARN of a certificate, behind a slash. It stands for the certificate; the same key with
//! `_chain` behind it is the chain, and with `_private_key` the encrypted private key, if keys are
//! exported.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use client_aws::{Client, Options, Service, VARIABLES};
use nodes::{Cause, Error, proxy};
use options::{Invalid, Variable, gobool};
use serde_json::{Value, json};
use source::{Changes, Configured, Description, Setup, Source};
use store::Key;

use crate::keys::{self, OfKey, Polled, each};

static VARIABLES_OF_ACM: [Variable; 3] = Service::ACM.variables();

const EXPORT: Variable = Variable("ACM_EXPORT_PRIVATE_KEY");
const PASSPHRASE: Variable = Variable("ACM_PASSPHRASE");

/// Certificate Manager, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["acm"],
    summary: "the certificates of AWS Certificate Manager",
    options: &[OPTIONS],
    variables: &[
        VARIABLES,
        &VARIABLES_OF_ACM,
        &[EXPORT, PASSPHRASE],
        proxy::VARIABLES,
        tls::access::VARIABLES,
    ],
    changes: Changes::OnlyPolled,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const EXPORT_PRIVATE_KEY: Opt<bool> = switch(
        "acm-export-private-key",
        "export the private keys of certificates, encrypted with ACM_PASSPHRASE",
    )
    .key("acm_export_private_key");
}

#[derive(PartialEq)]
struct Chosen {
    options: Options,
    /// The word that private keys are encrypted with, if they are exported.
    passphrase: Option<String>,
}

impl fmt::Debug for Chosen {
    /// Shows whether private keys are exported, and not the passphrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen")
            .field("options", &self.options)
            .field("exports", &self.passphrase.is_some())
            .finish()
    }
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    let by_variable = given.variable(EXPORT).and_then(gobool::parse).unwrap_or(false);
    let passphrase = match given.get(&EXPORT_PRIVATE_KEY)? || by_variable {
        false => None,
        true => match given.variable(PASSPHRASE) {
            Some(passphrase) => Some(passphrase.to_owned()),
            None => {
                return Err(Invalid::new(
                    "ACM_PASSPHRASE environment variable is required when exporting private keys",
                ));
            }
        },
    };
    let options = Options::of(given, &Service::ACM)?;
    Ok(Box::new(Chosen { options, passphrase }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "acm"
    }

    fn nodes(&self) -> &[String] {
        self.options.endpoint.as_slice()
    }

    fn open(&self) -> Box<dyn Source> {
        let client = Client::new(&Service::ACM, self.options.clone());
        let passphrase = self.passphrase.as_deref().map(|text| STANDARD.encode(text));
        Box::new(Polled(Box::new(Certificates { client, passphrase })))
    }
}

struct Certificates {
    client: Client,
    /// In Base64, as calls have it.
    passphrase: Option<String>,
}

#[async_trait]
impl keys::Service for Certificates {
    async fn read(&self, keys: &[Key]) -> Vec<OfKey> {
        each(keys, async |key| self.of_key(&key).await).await
    }
}

impl Certificates {
    async fn of_key(&self, key: &str) -> OfKey {
        // A prefix may stand before it.
        let Some(at) = key.find("/arn:") else {
            let reason = Cause::new(format!("{key} is not the ARN of a certificate"));
            return Err(Error::Refused { store: "acm", node: "AWS".to_owned(), reason });
        };
        let mut request = json!({"CertificateArn": &key[at + 1..]});
        let operation = match &self.passphrase {
            None => "GetCertificate",
            Some(passphrase) => {
                request["Passphrase"] = passphrase.as_str().into();
                "ExportCertificate"
            }
        };
        let answer = self.client.call(operation, &request).await?;
        let parts =
            [("", "Certificate"), ("_chain", "CertificateChain"), ("_private_key", "PrivateKey")];
        let pair = |(end, name): (&str, &str)| {
            let Value::String(text) = &answer[name] else { return None };
            Some((Bytes::from(format!("{key}{end}")), Bytes::from(text.clone())))
        };
        Ok(parts.into_iter().filter_map(pair).collect())
    }
}
