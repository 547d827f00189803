//! Turns the options into the configured source: its address and the access to it.
//!
//! This module, its children and `source` are the only places that name a source. Each source is a
//! feature of the build.

#[cfg(any(feature = "consul", feature = "etcd"))]
mod access;
#[cfg(feature = "consul")]
mod consul;
#[cfg(feature = "etcd")]
mod etcd;

use ::options::{Given, Variable};
use anyhow::bail;

use crate::{logging::Notice, options, source::Source};

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
const SSL_CERT_DIR: Variable = Variable("SSL_CERT_DIR");
const SSL_CERT_FILE: Variable = Variable("SSL_CERT_FILE");

/// The environment variables of the stores' own clients, and of TLS. They count where the user
/// gives nothing else.
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
    SSL_CERT_DIR,
    SSL_CERT_FILE,
];

/// The names of all sources, each with whether this build has it.
const SOURCES: [(&str, bool); 4] = [
    ("consul", cfg!(feature = "consul")),
    ("env", cfg!(feature = "env")),
    ("etcd", cfg!(feature = "etcd")),
    ("file", cfg!(feature = "file")),
];

/// Builds the configured source from the options.
///
/// # Errors
/// The backend does not exist, this build does not have it, or a setting that it needs is missing.
pub(crate) fn source(given: &Given, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
    // A build without stores adds no notice.
    let _ = &notices;
    match given.get(&options::BACKEND)?.as_str() {
        #[cfg(feature = "env")]
        "env" => Ok(Source::Env),
        #[cfg(feature = "file")]
        "file" => Ok(Source::File {
            files: given.get(&options::FILE)?.into_iter().map(Into::into).collect(),
            filter: given.get(&options::FILTER)?,
        }),
        #[cfg(feature = "etcd")]
        "etcd" => {
            let peers = given.variable(ETCDCTL_PEERS).unwrap_or("http://127.0.0.1:4001");
            etcd::source(given, "etcd", peers.split(',').map(str::to_owned).collect(), notices)
        }
        #[cfg(feature = "etcd")]
        "etcdv3" => etcd::source(given, "etcdv3", vec!["127.0.0.1:2379".to_owned()], notices),
        // As in confd, this means etcd without a default node.
        #[cfg(feature = "etcd")]
        "" => etcd::source(given, "etcd", Vec::new(), notices),
        #[cfg(feature = "consul")]
        "consul" => consul::source(given, notices),
        name @ ("dynamodb" | "rancher" | "redis" | "ssm" | "vault" | "zookeeper") => {
            bail!("backend {name:?} is not there yet: this confd reads keys from {}", built())
        }
        name if ["consul", "env", "etcd", "etcdv3", "file", ""].contains(&name) => {
            let name = if name.is_empty() { "etcd" } else { name };
            bail!("backend {name:?} is not in this build, which reads keys from {}", built())
        }
        _ => bail!("Invalid backend"),
    }
}

/// The names of the sources in this build, as a list in a sentence.
fn built() -> String {
    let names: Vec<_> =
        SOURCES.iter().filter(|(_, built)| *built).map(|(name, _)| format!("{name:?}")).collect();
    match names.split_last() {
        None => "nowhere".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
