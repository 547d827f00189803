//! What the settings mean for each store: where it is, and who asks.

use std::{ffi::OsString, path::PathBuf};

use anyhow::bail;
use backend::{
    consul::{self, Consistency, Token},
    etcd, tls,
};

use crate::{
    flags::boolean,
    logging::Notice,
    merged::{Merged, Variables},
    source::Source,
    srv::Discovery,
};

/// Looks the variables of the stores' own clients up through `env`.
pub(crate) fn variables(env: impl Fn(&str) -> Option<OsString>) -> Variables {
    const NAMES: [&str; 13] = [
        "CONSUL_CACERT",
        "CONSUL_CLIENT_CERT",
        "CONSUL_CLIENT_KEY",
        "CONSUL_HTTP_ADDR",
        "CONSUL_HTTP_AUTH",
        "CONSUL_HTTP_SSL",
        "CONSUL_HTTP_SSL_VERIFY",
        "CONSUL_HTTP_TOKEN",
        "CONSUL_HTTP_TOKEN_FILE",
        "CONSUL_NAMESPACE",
        "CONSUL_PARTITION",
        "CONSUL_TLS_SERVER_NAME",
        "ETCDCTL_PEERS",
    ];
    let given = |name| Some((name, env(name).filter(|value| !value.is_empty())?));
    let given = NAMES.into_iter().filter_map(given);
    given.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
}

/// Where the keys come from.
///
/// # Errors
/// The store is none, or what it needs is not given.
pub(crate) fn source(given: &Merged, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
    match given.text("backend")?.as_str() {
        "env" => Ok(Source::Env),
        "file" => Ok(Source::File {
            files: given.list("file").into_iter().map(PathBuf::from).collect(),
            filter: given.bytes("filter"),
        }),
        "etcd" => {
            let peers = given.variable("ETCDCTL_PEERS").unwrap_or("http://127.0.0.1:4001");
            given.etcd("etcd", peers.split(',').map(str::to_owned).collect(), notices)
        }
        "etcdv3" => given.etcd("etcdv3", vec!["127.0.0.1:2379".to_owned()], notices),
        // As in confd, where it is etcd without a default node.
        "" => given.etcd("etcd", Vec::new(), notices),
        "consul" => given.consul(notices),
        name @ ("dynamodb" | "rancher" | "redis" | "ssm" | "vault" | "zookeeper") => {
            bail!(
                "backend {name:?} is not there yet: this confd reads keys from \"consul\", \"env\", \
                 \"etcd\" and \"file\""
            )
        }
        _ => bail!("Invalid backend"),
    }
}

impl Merged {
    /// etcd under one of its names, at `default` if no nodes are given.
    fn etcd(
        &self,
        name: &'static str,
        default: Vec<String>,
        notices: &mut Vec<Notice>,
    ) -> anyhow::Result<Source> {
        let nodes = self.nodes().unwrap_or(default);
        let discovery = self.discovery(name)?;
        if nodes.is_empty() && discovery.is_none() {
            bail!("etcdclient: no available endpoints");
        }
        let (tls, user) = (self.tls(tls::Options::default(), notices)?, self.user()?);
        Ok(Source::Etcd { name, discovery, options: etcd::Options { nodes, tls, user } })
    }

    /// Consul, where the variables of its own client count for what is not given.
    fn consul(&self, notices: &mut Vec<Notice>) -> anyhow::Result<Source> {
        let mut https = match self.text("scheme")?.as_str() {
            "http" | "" => false,
            "https" => true,
            other => bail!("scheme is \"http\" or \"https\", not {other:?}"),
        };
        let nodes = self.nodes().unwrap_or_else(|| {
            https |= self.variable("CONSUL_HTTP_SSL").and_then(boolean) == Some(true);
            vec![self.variable("CONSUL_HTTP_ADDR").unwrap_or("127.0.0.1:8500").to_owned()]
        });
        let file = |name| self.variable(name).map(PathBuf::from);
        let given = tls::Options {
            ca: file("CONSUL_CACERT"),
            certificate: file("CONSUL_CLIENT_CERT"),
            key: file("CONSUL_CLIENT_KEY"),
            server_name: self.variable("CONSUL_TLS_SERVER_NAME").map(str::to_owned),
            insecure: self.variable("CONSUL_HTTP_SSL_VERIFY").and_then(boolean) == Some(false),
        };
        let tls = self.tls(given, notices)?;
        let user_of_client = || {
            let text = self.variable("CONSUL_HTTP_AUTH")?;
            let (name, password) = text.split_once(':').unwrap_or((text, ""));
            Some((name.to_owned(), password.to_owned()))
        };
        // A file for the token wins over the variable, as in Consul's own client.
        let token_of_client = || {
            let file = || Some(Token::File(file("CONSUL_HTTP_TOKEN_FILE")?));
            file().or_else(|| Some(Token::Text(self.variable("CONSUL_HTTP_TOKEN")?.to_owned())))
        };
        let place = |flag, name| {
            let of_client = || self.variable(name).map(str::to_owned);
            self.some_text(flag).map(|given| given.or_else(of_client))
        };
        let options = consul::Options {
            nodes,
            https,
            tls,
            token: self.some_text("auth-token")?.map(Token::Text).or_else(token_of_client),
            user: self.user()?.or_else(user_of_client),
            datacenter: self.some_text("datacenter")?,
            namespace: place("namespace", "CONSUL_NAMESPACE")?,
            partition: place("partition", "CONSUL_PARTITION")?,
            consistency: self.consistency()?,
            wait: consul::WAIT,
        };
        Ok(Source::Consul { discovery: self.discovery("consul")?, options })
    }

    fn consistency(&self) -> anyhow::Result<Consistency> {
        match self.text("consistency")?.as_str() {
            "default" => Ok(Consistency::Default),
            "consistent" => Ok(Consistency::Consistent),
            "stale" => Ok(Consistency::Stale(self.duration("max-stale")?)),
            other => {
                bail!("consistency is \"default\", \"consistent\" or \"stale\", not {other:?}")
            }
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The nodes, if any are given.
    fn nodes(&self) -> Option<Vec<String>> {
        let nodes = self.list("node").into_iter().map(|node| node.to_string_lossy().into_owned());
        Some(nodes.collect()).filter(|nodes: &Vec<_>| !nodes.is_empty())
    }

    /// How TLS is done: as in `default` where nothing else is given.
    fn tls(
        &self,
        default: tls::Options,
        notices: &mut Vec<Notice>,
    ) -> anyhow::Result<tls::Options> {
        let file = |flag| Some(self.path(flag)).filter(|path| !path.as_os_str().is_empty());
        let tls = tls::Options {
            ca: file("client-ca-keys").or(default.ca),
            certificate: file("client-cert").or(default.certificate),
            key: file("client-key").or(default.key),
            insecure: self.switch("client-insecure") || default.insecure,
            server_name: self.some_text("tls-server-name")?.or(default.server_name),
        };
        if tls.certificate.is_some() != tls.key.is_some() {
            notices.push(Notice::Warning(
                "client-cert and client-key count only together: no client certificate is used"
                    .into(),
            ));
        }
        Ok(tls)
    }

    /// User name and password, if they are to be sent. As in confd, half of it counts as none.
    fn user(&self) -> anyhow::Result<Option<(String, String)>> {
        if !self.switch("basic-auth") {
            return Ok(None);
        }
        let user = (self.text("username")?, self.text("password")?);
        Ok(Some(user).filter(|(name, password)| !name.is_empty() && !password.is_empty()))
    }

    /// The SRV record that names the nodes of `backend`, if one does. As in confd, only `etcd` has
    /// the scheme put before them.
    fn discovery(&self, backend: &str) -> anyhow::Result<Option<Discovery>> {
        let record = match (self.text("srv-record")?, self.text("srv-domain")?) {
            (record, _) if !record.is_empty() => record,
            (_, domain) if !domain.is_empty() => format!("_{backend}._tcp.{domain}."),
            _ => return Ok(None),
        };
        let scheme = if backend == "etcd" { Some(self.text("scheme")?) } else { None };
        Ok(Some(Discovery { record, scheme }))
    }
}
