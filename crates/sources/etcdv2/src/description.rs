//! How users choose this source, and the meaning of its options.

use client_etcd2::Options;
use nodes::access::{self, Discovery};
use nodes::proxy::Proxies;
use options::{Invalid, Variable};
use source::{Changes, Configured, Description, Setup, Source};

use crate::Etcdv2;

/// Version 2 of etcd's API, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["etcdv2"],
    summary: "etcd, by version 2 of its API",
    options: &[access::PLACES, access::USER, tls::access::OPTIONS],
    variables: &[VARIABLES, tls::access::VARIABLES, nodes::proxy::VARIABLES],
    changes: Changes::Reported,
    configure,
};

const ETCDCTL_PEERS: Variable = Variable("ETCDCTL_PEERS");

/// The variables of etcd's own client.
const VARIABLES: &[Variable] = &[ETCDCTL_PEERS];

/// The advice if a node does not know version 2 of the API.
const WITHOUT_V2: &str = "this etcd does not serve version 2 of the API: start it with --enable-v2, \
                          which etcd has up to version 3.5, or use -backend etcdv3";

/// The advice if a node asks for a user.
const WITHOUT_USER: &str = "-basic-auth, -username and -password give the user";

/// The cluster that the user chose.
#[derive(Debug, PartialEq)]
struct Chosen {
    discovery: Option<Discovery>,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    let https = match given.get(&access::SCHEME)?.as_str() {
        "http" | "" => false,
        "https" => true,
        other => {
            return Err(Invalid::new(format!(
                "scheme is \"http\" or \"https\", not {}",
                gotmpl::quote(other.as_bytes())
            )));
        }
    };
    let peers = given.variable(ETCDCTL_PEERS);
    let chosen = access::nodes(given)?;
    let mut discovery = access::discovery(given, "etcd")?;
    if let Some(discovery) = &mut discovery {
        // As in confd, whose version 2 it was.
        discovery.scheme = Some(given.get(&access::SCHEME)?).filter(|scheme| !scheme.is_empty());
    }
    let are_default = chosen.is_none() && peers.is_none() && discovery.is_none();
    let nodes = chosen.unwrap_or_else(|| {
        let peers = peers.unwrap_or("http://127.0.0.1:2379");
        peers.split(',').map(|peer| peer.trim().to_owned()).collect()
    });
    let tls = tls::Options::of(given, tls::Options::default(), setup.warnings)?;
    let options = Options {
        nodes,
        not_given: are_default.then_some("-node"),
        https,
        tls,
        proxies: Proxies::of(given),
        user: access::user(given)?,
        without_user: Some(WITHOUT_USER),
        without_v2: Some(WITHOUT_V2),
    };
    if options.tls.ask_for_tls() {
        let secret = options.user.as_ref().map(|_| "password");
        let (nodes, discovery) = (&options.nodes, discovery.as_ref());
        setup.warnings.extend(access::warning_of_plain_text(nodes, discovery, https, secret));
    }
    Ok(Box::new(Chosen { discovery, options }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "etcdv2"
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Etcdv2::new(self.options.clone()))
    }
}
