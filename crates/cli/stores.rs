//! Turns the options into the configured source: its address and the access to it.

use std::path::PathBuf;

use anyhow::bail;
use client_consul::{self as consul, Consistency, Token};
use client_etcd as etcd;
use config::options::{Given, Opt, Variable};

use crate::{flags::boolean, logging::Notice, options, source::Source, srv::Discovery};

const CONSUL_CACERT: Variable = Variable("CONSUL_CACERT");
const CONSUL_CLIENT_CERT: Variable = Variable("CONSUL_CLIENT_CERT");
const CONSUL_CLIENT_KEY: Variable = Variable("CONSUL_CLIENT_KEY");
const CONSUL_HTTP_ADDR: Variable = Variable("CONSUL_HTTP_ADDR");
const CONSUL_HTTP_AUTH: Variable = Variable("CONSUL_HTTP_AUTH");
const CONSUL_HTTP_SSL: Variable = Variable("CONSUL_HTTP_SSL");
const CONSUL_HTTP_SSL_VERIFY: Variable = Variable("CONSUL_HTTP_SSL_VERIFY");
const CONSUL_HTTP_TOKEN: Variable = Variable("CONSUL_HTTP_TOKEN");
const CONSUL_HTTP_TOKEN_FILE: Variable = Variable("CONSUL_HTTP_TOKEN_FILE");
const CONSUL_NAMESPACE: Variable = Variable("CONSUL_NAMESPACE");
const CONSUL_PARTITION: Variable = Variable("CONSUL_PARTITION");
const CONSUL_TLS_SERVER_NAME: Variable = Variable("CONSUL_TLS_SERVER_NAME");
const ETCDCTL_PEERS: Variable = Variable("ETCDCTL_PEERS");

/// The environment variables of the stores' own clients. They count where the user gives nothing
/// else.
pub(crate) const VARIABLES: &[Variable] = &[
    CONSUL_CACERT,
    CONSUL_CLIENT_CERT,
    CONSUL_CLIENT_KEY,
    CONSUL_HTTP_ADDR,
    CONSUL_HTTP_AUTH,
    CONSUL_HTTP_SSL,
    CONSUL_HTTP_SSL_VERIFY,
    CONSUL_HTTP_TOKEN,
    CONSUL_HTTP_TOKEN_FILE,
    CONSUL_NAMESPACE,
    CONSUL_PARTITION,
    CONSUL_TLS_SERVER_NAME,
    ETCDCTL_PEERS,
];

/// Builds the configured source from the options.
///
/// # Errors
/// The backend does not exist, or a setting that it needs is missing.
pub(crate) fn source(given: &Given, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
    match given.get(&options::BACKEND)?.as_str() {
        "env" => Ok(Source::Env),
        "file" => Ok(Source::File {
            files: given.get(&options::FILE)?.into_iter().map(PathBuf::from).collect(),
            filter: given.get(&options::FILTER)?,
        }),
        "etcd" => {
            let peers = given.variable(ETCDCTL_PEERS).unwrap_or("http://127.0.0.1:4001");
            etcd(given, "etcd", peers.split(',').map(str::to_owned).collect(), notices)
        }
        "etcdv3" => etcd(given, "etcdv3", vec!["127.0.0.1:2379".to_owned()], notices),
        // As in confd, this means etcd without a default node.
        "" => etcd(given, "etcd", Vec::new(), notices),
        "consul" => consul(given, notices),
        name @ ("dynamodb" | "rancher" | "redis" | "ssm" | "vault" | "zookeeper") => {
            bail!(
                "backend {name:?} is not there yet: this confd reads keys from \"consul\", \"env\", \
                 \"etcd\" and \"file\""
            )
        }
        _ => bail!("Invalid backend"),
    }
}

/// etcd under one of its names, at the nodes `default` if none are given.
fn etcd(
    given: &Given,
    name: &'static str,
    default: Vec<String>,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Source> {
    let nodes = nodes(given)?.unwrap_or(default);
    let discovery = discovery(given, name)?;
    if nodes.is_empty() && discovery.is_none() {
        bail!("etcdclient: no available endpoints");
    }
    let (tls, user) = (tls(given, tls::Options::default(), notices)?, user(given)?);
    Ok(Source::Etcd { name, discovery, options: etcd::Options { nodes, tls, user } })
}

/// Consul. For settings that are not given, the variables of its own client count.
fn consul(given: &Given, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
    let mut https = match given.get(&options::SCHEME)?.as_str() {
        "http" | "" => false,
        "https" => true,
        other => bail!("scheme is \"http\" or \"https\", not {other:?}"),
    };
    let nodes = nodes(given)?.unwrap_or_else(|| {
        https |= given.variable(CONSUL_HTTP_SSL).and_then(boolean) == Some(true);
        vec![given.variable(CONSUL_HTTP_ADDR).unwrap_or("127.0.0.1:8500").to_owned()]
    });
    let file = |variable| given.variable(variable).map(PathBuf::from);
    let default = tls::Options {
        ca: file(CONSUL_CACERT),
        certificate: file(CONSUL_CLIENT_CERT),
        key: file(CONSUL_CLIENT_KEY),
        server_name: given.variable(CONSUL_TLS_SERVER_NAME).map(str::to_owned),
        insecure: given.variable(CONSUL_HTTP_SSL_VERIFY).and_then(boolean) == Some(false),
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
    let options = consul::Options {
        nodes,
        https,
        tls,
        token: given.some(&options::AUTH_TOKEN)?.map(Token::Text).or_else(token_of_client),
        user: user(given)?.or_else(user_of_client),
        datacenter: given.some(&options::DATACENTER)?,
        namespace: place(&options::NAMESPACE, CONSUL_NAMESPACE)?,
        partition: place(&options::PARTITION, CONSUL_PARTITION)?,
        consistency: consistency(given)?,
        wait: consul::WAIT,
    };
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

/// The nodes that the user gives, if any.
fn nodes(given: &Given) -> anyhow::Result<Option<Vec<String>>> {
    let given = given.some(&options::NODE)?;
    let nodes =
        given.map(|nodes| nodes.into_iter().map(|node| node.to_string_lossy().into_owned()));
    Ok(nodes.map(Iterator::collect))
}

/// The TLS options. Settings that the user does not give are taken from `default`.
fn tls(
    given: &Given,
    default: tls::Options,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<tls::Options> {
    let tls = tls::Options {
        ca: given.some(&options::CLIENT_CA_KEYS)?.or(default.ca),
        certificate: given.some(&options::CLIENT_CERT)?.or(default.certificate),
        key: given.some(&options::CLIENT_KEY)?.or(default.key),
        insecure: given.get(&options::CLIENT_INSECURE)? || default.insecure,
        server_name: given.some(&options::TLS_SERVER_NAME)?.or(default.server_name),
    };
    if tls.certificate.is_some() != tls.key.is_some() {
        notices.push(Notice::Warning(
            "client-cert and client-key count only together: no client certificate is used".into(),
        ));
    }
    Ok(tls)
}

/// User name and password, if they must be sent. As in confd, one without the other counts as none.
fn user(given: &Given) -> anyhow::Result<Option<(String, String)>> {
    if !given.get(&options::BASIC_AUTH)? {
        return Ok(None);
    }
    let user = (given.get(&options::USERNAME)?, given.get(&options::PASSWORD)?);
    Ok(Some(user).filter(|(name, password)| !name.is_empty() && !password.is_empty()))
}

/// The SRV record with the nodes of `backend`, if there is one. As in confd, only `etcd` puts the
/// scheme before them.
fn discovery(given: &Given, backend: &str) -> anyhow::Result<Option<Discovery>> {
    let record = match (given.get(&options::SRV_RECORD)?, given.get(&options::SRV_DOMAIN)?) {
        (record, _) if !record.is_empty() => record,
        (_, domain) if !domain.is_empty() => format!("_{backend}._tcp.{domain}."),
        _ => return Ok(None),
    };
    let scheme = if backend == "etcd" { Some(given.get(&options::SCHEME)?) } else { None };
    Ok(Some(Discovery { record, scheme }))
}
