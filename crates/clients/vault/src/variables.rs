//! The variables of Vault's own client.

use std::path::PathBuf;

use nodes::Secret;
use options::{Given, Variable, gobool};

/// The address of a node.
pub const ADDR: Variable = Variable("VAULT_ADDR");
const CACERT: Variable = Variable("VAULT_CACERT");
const CAPATH: Variable = Variable("VAULT_CAPATH");
const CLIENT_CERT: Variable = Variable("VAULT_CLIENT_CERT");
const CLIENT_KEY: Variable = Variable("VAULT_CLIENT_KEY");
/// The namespace.
pub const NAMESPACE: Variable = Variable("VAULT_NAMESPACE");
const SKIP_VERIFY: Variable = Variable("VAULT_SKIP_VERIFY");
const TLS_SERVER_NAME: Variable = Variable("VAULT_TLS_SERVER_NAME");
const TOKEN: Variable = Variable("VAULT_TOKEN");

/// All of them.
pub const ALL: &[Variable] = &[
    ADDR,
    CACERT,
    CAPATH,
    CLIENT_CERT,
    CLIENT_KEY,
    NAMESPACE,
    SKIP_VERIFY,
    TLS_SERVER_NAME,
    TOKEN,
];

/// What a connection by TLS trusts and presents.
pub fn tls(given: &Given) -> tls::Options {
    let file = |variable| given.variable(variable).map(PathBuf::from);
    let mut tls = tls::Options {
        ca: file(CACERT),
        certificate: file(CLIENT_CERT),
        key: file(CLIENT_KEY),
        server_name: given.variable(TLS_SERVER_NAME).map(str::to_owned),
        insecure: given.variable(SKIP_VERIFY).and_then(gobool::parse) == Some(true),
        ..tls::Options::default()
    };
    if let Some(folder) = file(CAPATH) {
        tls.roots = tls::Roots { file: None, folders: vec![folder] };
    }
    tls
}

/// The token.
pub fn token(given: &Given) -> Option<Secret> {
    given.variable(TOKEN).map(|text| Secret::Text(text.to_owned()))
}
