//! The variables of Consul's own client.

use std::path::PathBuf;

use options::{Given, Variable, gobool};

use crate::Token;

const CACERT: Variable = Variable("CONSUL_CACERT");
const CAPATH: Variable = Variable("CONSUL_CAPATH");
const CLIENT_CERT: Variable = Variable("CONSUL_CLIENT_CERT");
const CLIENT_KEY: Variable = Variable("CONSUL_CLIENT_KEY");
/// The address of the agent.
pub const HTTP_ADDR: Variable = Variable("CONSUL_HTTP_ADDR");
const HTTP_AUTH: Variable = Variable("CONSUL_HTTP_AUTH");
const HTTP_SSL: Variable = Variable("CONSUL_HTTP_SSL");
const HTTP_SSL_VERIFY: Variable = Variable("CONSUL_HTTP_SSL_VERIFY");
const HTTP_TOKEN: Variable = Variable("CONSUL_HTTP_TOKEN");
const HTTP_TOKEN_FILE: Variable = Variable("CONSUL_HTTP_TOKEN_FILE");
/// The namespace.
pub const NAMESPACE: Variable = Variable("CONSUL_NAMESPACE");
/// The partition.
pub const PARTITION: Variable = Variable("CONSUL_PARTITION");
const SERVER_NAME: Variable = Variable("CONSUL_TLS_SERVER_NAME");

/// All of them.
pub const ALL: &[Variable] = &[
    CACERT,
    CAPATH,
    CLIENT_CERT,
    CLIENT_KEY,
    HTTP_ADDR,
    HTTP_AUTH,
    HTTP_SSL,
    HTTP_SSL_VERIFY,
    HTTP_TOKEN,
    HTTP_TOKEN_FILE,
    NAMESPACE,
    PARTITION,
    SERVER_NAME,
];

/// Whether an address without a scheme is connected to by TLS.
pub fn is_https(given: &Given) -> bool {
    given.variable(HTTP_SSL).and_then(gobool::parse) == Some(true)
}

/// What a connection by TLS trusts and presents.
pub fn tls(given: &Given) -> tls::Options {
    let file = |variable| given.variable(variable).map(PathBuf::from);
    let mut tls = tls::Options {
        ca: file(CACERT),
        certificate: file(CLIENT_CERT),
        key: file(CLIENT_KEY),
        server_name: given.variable(SERVER_NAME).map(str::to_owned),
        insecure: given.variable(HTTP_SSL_VERIFY).and_then(gobool::parse) == Some(false),
        ..tls::Options::default()
    };
    if let Some(folder) = file(CAPATH) {
        tls.roots = tls::Roots { file: None, folders: vec![folder] };
    }
    tls
}

/// The ACL token. As in Consul's own client, a file with the token wins over the variable.
pub fn token(given: &Given) -> Option<Token> {
    let file = given.variable(HTTP_TOKEN_FILE).map(|path| Token::File(path.into()));
    file.or_else(|| Some(Token::Text(given.variable(HTTP_TOKEN)?.to_owned())))
}

/// User name and password.
pub fn user(given: &Given) -> Option<(String, String)> {
    let text = given.variable(HTTP_AUTH)?;
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    Some((name.to_owned(), password.to_owned()))
}
