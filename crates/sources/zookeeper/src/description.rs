//! How users choose this source, and the meaning of its options.

use std::time::Duration;

use nodes::access::{self, Discovery};
use options::Invalid;
use source::{Changes, Configured, Description, Setup, Source};

use crate::address::Places;
use crate::{Login, Options, ZooKeeper};

/// ZooKeeper, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["zookeeper"],
    summary: "nodes of ZooKeeper that have no children",
    options: &[access::PLACES, access::USER, tls::access::OPTIONS, OPTIONS],
    variables: &[tls::access::VARIABLES],
    changes: Changes::Reported,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const SESSION_TIMEOUT: Opt<Duration> = text(
        "session-timeout",
        "10s",
        "longest silence before a session ends (ZooKeeper)",
    )
    .key("session_timeout");
}

/// The servers that the user chose.
#[derive(Debug, PartialEq)]
struct Chosen {
    discovery: Option<Discovery>,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    let tls_is_default = match given.get(&access::SCHEME)?.as_str() {
        // The default of the option is for other sources.
        "http" | "zookeeper" | "" => false,
        "https" | "zookeepers" => true,
        other => {
            let other = gotmpl::quote(other.as_bytes());
            let text = format!("scheme is \"zookeeper\" or \"zookeepers\", not {other}");
            return Err(Invalid::new(text));
        }
    };
    let discovery = access::discovery(given, "zookeeper")?;
    let chosen = access::nodes(given)?;
    let nodes_are_default = chosen.is_none() && discovery.is_none();
    let nodes = chosen.unwrap_or_else(|| vec!["127.0.0.1:2181".to_owned()]);
    let tls = tls::Options::of(given, tls::Options::default(), setup.warnings)?;
    let places = Places::parse(&nodes, tls_is_default).map_err(|_| {
        Invalid::new("all nodes of ZooKeeper have the same root: write it behind each address")
    })?;
    let plain = places.servers.iter().find(|server| !server.tls);
    if tls.ask_for_tls()
        && let Some(server) = plain
    {
        let node = &server.shown;
        setup.warnings.push(format!(
            "{node} is asked without TLS, although certificates are given: they are not used. Write \
             zookeepers:// before the address, or set scheme to zookeepers, to use TLS"
        ));
    }
    let (user, password) = (given.some(&access::USERNAME)?, given.some(&access::PASSWORD)?);
    let login = match (user, password) {
        (Some(user), Some(password)) => Some(Login { user, password }),
        (None, None) => None,
        _ => {
            let text = "username and password count only together: confd does not log in";
            setup.warnings.push(text.to_owned());
            None
        }
    };
    let session = given.get(&SESSION_TIMEOUT)?.max(Duration::from_millis(100));
    let options = Options { nodes, nodes_are_default, tls_is_default, tls, login, session };
    Ok(Box::new(Chosen { discovery, options }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(ZooKeeper::new(self.options.clone()))
    }
}
