//! How users choose this source, and the meaning of its options.

use std::path::PathBuf;
use std::time::Duration;

use client_consul::{CONNECTING, Consistency, Options, Token, Transport, WAIT};
use nodes::access::{self, Discovery};
use nodes::address;
use nodes::body::Bounds;
use nodes::proxy::Proxies;
use options::{Given, Invalid, Opt, Variable, gobool};
use source::queries::{self, Queries};
use source::{Changes, Configured, Description, Setup, Source};

use crate::Consul;

/// Consul, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["consul"],
    summary: "Consul's key/value store",
    options: &[access::PLACES, access::USER, access::TOKEN, tls::access::OPTIONS, OPTIONS],
    variables: &[VARIABLES, tls::access::VARIABLES, nodes::proxy::VARIABLES],
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
    .key("consistency");
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

const CACERT: Variable = Variable("CONSUL_CACERT");
const CLIENT_CERT: Variable = Variable("CONSUL_CLIENT_CERT");
const CLIENT_KEY: Variable = Variable("CONSUL_CLIENT_KEY");
const HTTP_ADDR: Variable = Variable("CONSUL_HTTP_ADDR");
const HTTP_AUTH: Variable = Variable("CONSUL_HTTP_AUTH");
const HTTP_SSL: Variable = Variable("CONSUL_HTTP_SSL");
const HTTP_SSL_VERIFY: Variable = Variable("CONSUL_HTTP_SSL_VERIFY");
const HTTP_TOKEN: Variable = Variable("CONSUL_HTTP_TOKEN");
const HTTP_TOKEN_FILE: Variable = Variable("CONSUL_HTTP_TOKEN_FILE");
const NAMESPACE_OF_CLIENT: Variable = Variable("CONSUL_NAMESPACE");
const PARTITION_OF_CLIENT: Variable = Variable("CONSUL_PARTITION");
const SERVER_NAME: Variable = Variable("CONSUL_TLS_SERVER_NAME");

/// The variables of Consul's own client.
const VARIABLES: &[Variable] = &[
    CACERT,
    CLIENT_CERT,
    CLIENT_KEY,
    HTTP_ADDR,
    HTTP_AUTH,
    HTTP_SSL,
    HTTP_SSL_VERIFY,
    HTTP_TOKEN,
    HTTP_TOKEN_FILE,
    NAMESPACE_OF_CLIENT,
    PARTITION_OF_CLIENT,
    SERVER_NAME,
];

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
        chosen.is_none() && discovery.is_none() && given.variable(HTTP_ADDR).is_none();
    let nodes = chosen.unwrap_or_else(|| {
        https |= given.variable(HTTP_SSL).and_then(gobool::parse) == Some(true);
        vec![given.variable(HTTP_ADDR).unwrap_or("127.0.0.1:8500").to_owned()]
    });
    let tls = tls::Options::of(given, tls_of_client(given), setup.warnings)?;
    let options = Options {
        nodes,
        nodes_are_default,
        https,
        tls,
        token: given.some(&access::AUTH_TOKEN)?.map(Token::Text).or_else(|| token_of_client(given)),
        user: access::user(given)?.or_else(|| user_of_client(given)),
        proxies: Proxies::of(given),
        datacenter: given.some(&DATACENTER)?,
        namespace: text(given, &NAMESPACE, NAMESPACE_OF_CLIENT)?,
        partition: text(given, &PARTITION, PARTITION_OF_CLIENT)?,
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

fn tls_of_client(given: &Given) -> tls::Options {
    let file = |variable| given.variable(variable).map(PathBuf::from);
    tls::Options {
        ca: file(CACERT),
        certificate: file(CLIENT_CERT),
        key: file(CLIENT_KEY),
        server_name: given.variable(SERVER_NAME).map(str::to_owned),
        insecure: given.variable(HTTP_SSL_VERIFY).and_then(gobool::parse) == Some(false),
        ..tls::Options::default()
    }
}

/// As in Consul's own client, a file with the token wins over the variable.
fn token_of_client(given: &Given) -> Option<Token> {
    let file = given.variable(HTTP_TOKEN_FILE).map(|path| Token::File(path.into()));
    file.or_else(|| Some(Token::Text(given.variable(HTTP_TOKEN)?.to_owned())))
}

fn user_of_client(given: &Given) -> Option<(String, String)> {
    let text = given.variable(HTTP_AUTH)?;
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    Some((name.to_owned(), password.to_owned()))
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
        Some(crate::queries(self.options.clone(), settings))
    }
}
