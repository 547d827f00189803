//! How users choose this source, and the meaning of its options.

use std::time::Duration;

use client_vault::{DEFAULT_NODE, Login, NAME, Options, variables};
use nodes::access::{self, Discovery};
use nodes::body::Bounds;
use nodes::proxy::Proxies;
use options::Invalid;
use source::{Changes, Configured, Description, Setup, Source};
use tracing::info;

use crate::{Vault, methods};

/// Vault, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["vault"],
    summary: "Vault and OpenBao: secrets, with versions or without",
    options: &[
        access::PLACES,
        access::USER,
        access::TOKEN,
        tls::access::OPTIONS,
        methods::OPTIONS,
        OPTIONS,
    ],
    variables: &[variables::ALL, tls::access::VARIABLES, nodes::proxy::VARIABLES],
    changes: Changes::Polled,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const VAULT_NAMESPACE: Opt<String> = text(
        "vault-namespace",
        "",
        "namespace of the secrets (Vault Enterprise, OpenBao)",
    )
    .key("vault_namespace");
}

/// The Vault that the user chose.
#[derive(Debug, PartialEq)]
struct Chosen {
    discovery: Option<Discovery>,
    options: Options,
    /// The word for the way to log in.
    method: String,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    let https = match given.get(&access::SCHEME)?.as_str() {
        "http" | "" => false,
        "https" => true,
        other => {
            let other = gotmpl::quote(other.as_bytes());
            return Err(Invalid::new(format!("scheme is \"http\" or \"https\", not {other}")));
        }
    };
    let discovery = access::discovery(given, NAME)?;
    let chosen = access::nodes(given)?;
    let of_client = given.variable(variables::ADDR);
    let is_default = chosen.is_none() && discovery.is_none() && of_client.is_none();
    let nodes = chosen.unwrap_or_else(|| vec![of_client.unwrap_or(DEFAULT_NODE).to_owned()]);
    let namespace = given.some(&VAULT_NAMESPACE)?;
    let (login, method) = methods::login(given)?;
    let options = Options {
        nodes,
        not_given: is_default.then_some("-node"),
        https,
        tls: tls::Options::of(given, variables::tls(given), setup.warnings)?,
        namespace: namespace.or_else(|| given.variable(variables::NAMESPACE).map(str::to_owned)),
        login,
        renew: true,
        proxies: Proxies::of(given),
        connecting: Duration::from_secs(3),
        bounds: Bounds::default(),
    };
    if options.tls.ask_for_tls() {
        let secret = match options.login {
            Login::Nothing => None,
            Login::Token(_) => Some("token"),
            Login::Method { .. } => Some("password"),
        };
        let (nodes, discovery) = (&options.nodes, discovery.as_ref());
        setup.warnings.extend(access::warning_of_plain_text(nodes, discovery, https, secret));
    }
    Ok(Box::new(Chosen { discovery, options, method }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        NAME
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        info!("Vault authentication backend set to {}", self.method);
        Box::new(Vault::new(self.options.clone()))
    }
}
