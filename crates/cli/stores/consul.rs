//! What the options mean for Consul.

use std::path::PathBuf;

use ::options::{Given, Opt, gobool};
use anyhow::bail;
use client_consul::{Consistency, Options, Token, WAIT};

use super::access::{discovery, nodes, tls, user};
use super::{
    CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_HTTP_ADDR, CONSUL_HTTP_AUTH,
    CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
    CONSUL_NAMESPACE, CONSUL_PARTITION, CONSUL_TLS_SERVER_NAME,
};
use crate::{logging::Notice, options, source::Source};

/// Consul. For settings that are not given, the variables of its own client count.
pub(super) fn source(given: &Given, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
    let mut https = match given.get(&options::SCHEME)?.as_str() {
        "http" | "" => false,
        "https" => true,
        other => bail!("scheme is \"http\" or \"https\", not {other:?}"),
    };
    let nodes = nodes(given)?.unwrap_or_else(|| {
        https |= given.variable(CONSUL_HTTP_SSL).and_then(gobool::parse) == Some(true);
        vec![given.variable(CONSUL_HTTP_ADDR).unwrap_or("127.0.0.1:8500").to_owned()]
    });
    let file = |variable| given.variable(variable).map(PathBuf::from);
    let default = tls::Options {
        ca: file(CONSUL_CACERT),
        certificate: file(CONSUL_CLIENT_CERT),
        key: file(CONSUL_CLIENT_KEY),
        server_name: given.variable(CONSUL_TLS_SERVER_NAME).map(str::to_owned),
        insecure: given.variable(CONSUL_HTTP_SSL_VERIFY).and_then(gobool::parse) == Some(false),
        ..tls::Options::default()
    };
    let tls = tls(given, default, notices)?;
    let user_of_client = || {
        let text = given.variable(CONSUL_HTTP_AUTH)?;
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        Some((name.to_owned(), password.to_owned()))
    };
    // As in Consul's own client, a file with the token wins over the variable.
    let token_of_client = || {
        let file = || Some(Token::File(file(CONSUL_HTTP_TOKEN_FILE)?));
        file().or_else(|| Some(Token::Text(given.variable(CONSUL_HTTP_TOKEN)?.to_owned())))
    };
    let place = |option: &Opt<String>, variable| {
        let of_client = || given.variable(variable).map(str::to_owned);
        given.some(option).map(|given| given.or_else(of_client))
    };
    let options = Box::new(Options {
        nodes,
        https,
        tls,
        token: given.some(&options::AUTH_TOKEN)?.map(Token::Text).or_else(token_of_client),
        user: user(given)?.or_else(user_of_client),
        datacenter: given.some(&options::DATACENTER)?,
        namespace: place(&options::NAMESPACE, CONSUL_NAMESPACE)?,
        partition: place(&options::PARTITION, CONSUL_PARTITION)?,
        consistency: consistency(given)?,
        wait: WAIT,
    });
    Ok(Source::Consul { discovery: discovery(given, "consul")?, options })
}

fn consistency(given: &Given) -> anyhow::Result<Consistency> {
    match given.get(&options::CONSISTENCY)?.as_str() {
        "default" => Ok(Consistency::Default),
        "consistent" => Ok(Consistency::Consistent),
        "stale" => Ok(Consistency::Stale(given.get(&options::MAX_STALE)?)),
        other => {
            bail!("consistency is \"default\", \"consistent\" or \"stale\", not {other:?}")
        }
    }
}
