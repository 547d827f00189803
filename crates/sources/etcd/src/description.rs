//! How users choose this source, and the meaning of its options.

use client_etcd::Options;
use nodes::access::{self, Discovery};
use nodes::proxy::Proxies;
use options::{Invalid, Variable};
use source::{Changes, Configured, Description, Setup, Source};

use crate::Etcd;

/// etcd, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["etcd", "etcdv3", ""],
    summary: "etcd, by version 3 of its protocol",
    options: &[access::PLACES, access::USER, tls::access::OPTIONS],
    variables: &[VARIABLES, tls::access::VARIABLES, nodes::proxy::VARIABLES],
    changes: Changes::Reported,
    configure,
};

const ETCDCTL_PEERS: Variable = Variable("ETCDCTL_PEERS");

/// The variables of etcd's own client.
const VARIABLES: &[Variable] = &[ETCDCTL_PEERS];

/// The cluster that the user chose.
#[derive(Debug, PartialEq)]
struct Chosen {
    name: &'static str,
    discovery: Option<Discovery>,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    // As in confd, each name has its own default, and the empty name has none.
    let peers = given.variable(ETCDCTL_PEERS);
    let (name, default) = match setup.name {
        "etcdv3" => ("etcdv3", vec!["127.0.0.1:2379".to_owned()]),
        "" => ("etcd", Vec::new()),
        _ => {
            let peers = peers.unwrap_or("http://127.0.0.1:4001");
            ("etcd", peers.split(',').map(str::to_owned).collect())
        }
    };
    let chosen = access::nodes(given)?;
    let nodes_are_default = chosen.is_none() && !(name == "etcd" && peers.is_some());
    let nodes = chosen.unwrap_or(default);
    let mut discovery = access::discovery(given, name)?;
    if let Some(discovery) = discovery.as_mut().filter(|_| name == "etcd") {
        // As in confd, no other name puts the scheme before the nodes.
        discovery.scheme = Some(given.get(&access::SCHEME)?);
    }
    if nodes.is_empty() && discovery.is_none() {
        return Err(Invalid::new("etcdclient: no available endpoints"));
    }
    let tls = tls::Options::of(given, tls::Options::default(), setup.warnings)?;
    let scheme = given.get(&access::SCHEME)?;
    if !matches!(&*scheme, "" | "http" | "https") {
        // Go confd takes every scheme, and does not use it for most addresses.
        let scheme = gotmpl::quote(scheme.as_bytes());
        let text = format!("scheme is \"http\" or \"https\", not {scheme}: http is used");
        setup.warnings.push(text);
    }
    let options = Options {
        nodes,
        nodes_are_default: nodes_are_default && discovery.is_none(),
        https: scheme == "https",
        tls,
        proxies: Proxies::of(given),
        user: access::user(given)?,
    };
    if options.tls.ask_for_tls() {
        let secret = options.user.as_ref().map(|_| "password");
        let (nodes, discovery) = (&options.nodes, discovery.as_ref());
        setup.warnings.extend(access::warning_of_plain_text(nodes, discovery, true, secret));
    }
    Ok(Box::new(Chosen { name, discovery, options }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        self.name
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Etcd::new(self.options.clone()))
    }
}

#[cfg(test)]
mod tests {
    use options::{Given, Layer, Value};

    use super::*;

    fn configured(name: &'static str, given: &Given) -> Result<Box<dyn Configured>, Invalid> {
        configure(Setup { name, given, environment: Vec::new, warnings: &mut Vec::new() })
    }

    #[test]
    fn each_name_has_its_default_node_and_the_empty_one_has_none() {
        let given = Given::default();
        let chosen = configured("etcd", &given).unwrap();
        assert_eq!(
            (chosen.name(), chosen.places()),
            ("etcd", vec!["http://127.0.0.1:4001".into()])
        );
        let chosen = configured("etcdv3", &given).unwrap();
        assert_eq!((chosen.name(), chosen.places()), ("etcdv3", vec!["127.0.0.1:2379".into()]));
        let error = configured("", &given).unwrap_err();
        assert_eq!(error.to_string(), "etcdclient: no available endpoints");
        let peers = given.with_variables(VARIABLES, |_| Some("a,b".into()));
        assert_eq!(configured("etcd", &peers).unwrap().nodes(), ["a", "b"]);
    }

    #[test]
    fn only_etcd_puts_the_scheme_before_the_nodes_of_a_record() {
        let mut layer = Layer::default();
        layer.set(&access::SRV_DOMAIN.spec(), Value::Text("example.com".into()));
        let given = Given::new(vec![layer]);
        for (name, record, scheme) in [
            ("etcd", "_etcd._tcp.example.com.", Some("http")),
            ("", "_etcd._tcp.example.com.", Some("http")),
            ("etcdv3", "_etcdv3._tcp.example.com.", None),
        ] {
            let mut chosen = configured(name, &given).unwrap();
            let (discovery, _) = chosen.discovery().unwrap();
            assert_eq!((&*discovery.record, discovery.scheme.as_deref()), (record, scheme));
        }
    }
}
