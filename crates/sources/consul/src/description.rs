//! How users choose this source, and the meaning of its options.

use std::time::Duration;

use client_consul::{CONNECTING, Consistency, Options, Token, Transport, WAIT, variables};
use nodes::access::{self, Discovery};
use nodes::address;
use nodes::body::Bounds;
use nodes::proxy::Proxies;
use options::{Given, Invalid, Opt, Variable};
use source::queries::{self, Queries};
use source::{Changes, Configured, Description, Setup, Source};

use crate::Consul;

/// Consul, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["consul"],
    summary: "Consul's key/value store",
    options: &[access::PLACES, access::USER, access::TOKEN, tls::access::OPTIONS, OPTIONS],
    variables: &[variables::ALL, tls::access::VARIABLES, nodes::proxy::VARIABLES],
    changes: Changes::Reported,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const CONSISTENCY: Opt<String> = text(
        "consistency",
        "default",
        "how true an answer has to be (Consul): default, consistent or stale",
    )
    .key("consistency")
    .words(&["default", "consistent", "stale"]);
    const DATACENTER: Opt<String> = text(
        "datacenter",
        "",
        "datacenter to read from (Consul; empty: that of the node)",
    )
    .key("datacenter");
    const MAX_STALE: Opt<Duration> = text(
        "max-stale",
        "10s",
        "how old an answer may be where consistency is stale (Consul)",
    )
    .key("max_stale");
    const NAMESPACE: Opt<String> =
        text("namespace", "", "namespace of the keys (Consul Enterprise)").key("namespace");
    const PARTITION: Opt<String> =
        text("partition", "", "partition of the keys (Consul Enterprise)").key("partition");
}

/// The datacenter that the user chose.
#[derive(Debug, PartialEq)]
struct Chosen {
    discovery: Option<Discovery>,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    let mut https = match given.get(&access::SCHEME)?.as_str() {
        "http" | "" => false,
        "https" => true,
        other => {
            return Err(Invalid::new(format!(
                "scheme is \"http\" or \"https\", not {}",
                gotmpl::quote(other.as_bytes())
            )));
        }
    };
    let discovery = access::discovery(given, "consul")?;
    let chosen = access::nodes(given)?;
    let nodes_are_default =
        chosen.is_none() && discovery.is_none() && given.variable(variables::HTTP_ADDR).is_none();
    let nodes = chosen.unwrap_or_else(|| {
        https |= variables::is_https(given);
        vec![given.variable(variables::HTTP_ADDR).unwrap_or("127.0.0.1:8500").to_owned()]
    });
    let tls = tls::Options::of(given, variables::tls(given), setup.warnings)?;
    let options = Options {
        nodes,
        not_given: nodes_are_default.then_some("-node"),
        https,
        tls,
        token: given
            .some(&access::AUTH_TOKEN)?
            .map(Token::Text)
            .or_else(|| variables::token(given)),
        user: access::user(given)?.or_else(|| variables::user(given)),
        proxies: Proxies::of(given),
        datacenter: given.some(&DATACENTER)?,
        namespace: text(given, &NAMESPACE, variables::NAMESPACE)?,
        partition: text(given, &PARTITION, variables::PARTITION)?,
        consistency: consistency(given)?,
        wait: WAIT,
        connecting: CONNECTING,
        transport: Transport::default(),
        bounds: Bounds::default(),
    };
    setup.warnings.extend(options.nodes.iter().filter_map(|node| with_path_of_api(node)));
    if options.tls.ask_for_tls() {
        let token = options.token.as_ref().map(|_| "token");
        let secret = token.or_else(|| options.user.as_ref().map(|_| "password"));
        let (nodes, discovery) = (&options.nodes, discovery.as_ref());
        setup.warnings.extend(access::warning_of_plain_text(nodes, discovery, https, secret));
    }
    Ok(Box::new(Chosen { discovery, options }))
}

/// A warning about a node that ends with a path of Consul's API. The whole path of the API would
/// follow it, and nothing would be found there.
fn with_path_of_api(node: &str) -> Option<String> {
    let whole = node.trim_end_matches('/');
    let path = ["/v1/kv", "/v1"].into_iter().find(|path| whole.ends_with(path))?;
    let node = address::shown(node);
    Some(format!(
        "the node {node} is followed by the paths of Consul's API, which begin with /v1: leave out \
         {path}"
    ))
}

/// The value of `option`, or of the variable of Consul's own client.
fn text(
    given: &Given,
    option: &Opt<String>,
    variable: Variable,
) -> Result<Option<String>, Invalid> {
    let of_client = || given.variable(variable).map(str::to_owned);
    Ok(given.some(option)?.or_else(of_client))
}

fn consistency(given: &Given) -> Result<Consistency, Invalid> {
    match given.get(&CONSISTENCY)?.as_str() {
        "default" => Ok(Consistency::Default),
        "consistent" => Ok(Consistency::Consistent),
        "stale" => Ok(Consistency::Stale(given.get(&MAX_STALE)?)),
        other => Err(Invalid::new(format!(
            "consistency is \"default\", \"consistent\" or \"stale\", not {}",
            gotmpl::quote(other.as_bytes())
        ))),
    }
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Consul::new(self.options.clone()))
    }

    fn queries(&self, settings: queries::Settings) -> Option<Box<dyn Queries>> {
        let mut options = self.options.clone();
        options.not_given = options.not_given.map(|_| "[consul] nodes in confd.toml");
        Some(crate::queries(options, settings))
    }
}
