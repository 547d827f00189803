//! How users choose this source, and the meaning of its options.

use std::time::Duration;

use nodes::access::{self, Discovery};
use options::{Given, Invalid};
use source::{Changes, Configured, Description, Setup, Source};
use tls::access::{CLIENT_CERT, CLIENT_KEY};

use crate::address::{Login, Secret};
use crate::asked::Spelling;
use crate::connection::Limits;
use crate::{Options, Redis};

/// Redis, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["redis"],
    summary: "Redis and Valkey: a server alone, behind Sentinel, or a cluster",
    options: &[access::PLACES, access::USER, tls::access::OPTIONS, OPTIONS],
    variables: &[tls::access::VARIABLES],
    changes: Changes::Reported,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const DIAL_TIMEOUT: Opt<Duration> = text(
        "dial-timeout",
        "1s",
        "longest time until a connection is open (Redis)",
    )
    .key("dial_timeout");
    const POLL_INTERVAL: Opt<Duration> = text(
        "poll-interval",
        "10s",
        "how often all keys are read in watch mode if the server reports no changes (Redis)",
    )
    .key("poll_interval");
    const READ_TIMEOUT: Opt<Duration> = text(
        "read-timeout",
        "1s",
        "longest silence of a server that has to answer (Redis)",
    )
    .key("read_timeout");
    const SENTINEL_MASTER: Opt<String> = text(
        "sentinel-master",
        "",
        "name of the master; the nodes are Sentinels that know its address (Redis)",
    )
    .key("sentinel_master");
    const SEPARATOR: Opt<String> = text(
        "separator",
        "",
        "separator in Redis key names in place of /",
    )
    .key("separator");
    const WRITE_TIMEOUT: Opt<Duration> = text(
        "write-timeout",
        "1s",
        "longest time in which a server takes no part of a request (Redis)",
    )
    .key("write_timeout");
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
        "http" | "redis" | "" => false,
        "https" | "rediss" => true,
        other => {
            let other = gotmpl::quote(other.as_bytes());
            return Err(Invalid::new(format!("scheme is \"redis\" or \"rediss\", not {other}")));
        }
    };
    let discovery = access::discovery(given, "redis")?;
    let chosen = access::nodes(given)?;
    let nodes_are_default = chosen.is_none() && discovery.is_none();
    let options = Options {
        nodes: chosen.unwrap_or_else(|| vec!["127.0.0.1:6379".to_owned()]),
        nodes_are_default,
        tls_is_default,
        tls: tls(given, setup.warnings)?,
        login: login(given)?,
        sentinel: given.some(&SENTINEL_MASTER)?,
        spelling: Spelling::new(&given.get(&SEPARATOR)?),
        limits: Limits {
            connecting: given.get(&DIAL_TIMEOUT)?,
            reading: given.get(&READ_TIMEOUT)?,
            writing: given.get(&WRITE_TIMEOUT)?,
        },
        poll: given.get(&POLL_INTERVAL)?.max(Duration::from_secs(1)),
    };
    let is_plain = |node: &&String| !tls_is_default && !node.starts_with("rediss://");
    if options.tls.ask_for_tls()
        && let Some(node) = options.nodes.iter().find(is_plain)
    {
        let node = nodes::address::shown(node);
        setup.warnings.push(format!(
            "{node} is asked without TLS, although certificates are given: they are not used. Write \
             rediss:// before the address, or set scheme to rediss, to use TLS"
        ));
    }
    Ok(Box::new(Chosen { discovery, options }))
}

/// The user, and the password. As in Go confd, `client_key` is the password, unless there is a client
/// certificate that it can be the key of.
fn login(given: &Given) -> Result<Option<Login>, Invalid> {
    let key = match given.some(&CLIENT_CERT)? {
        Some(_) => None,
        None => given.some(&CLIENT_KEY)?.map(|key| key.to_string_lossy().into_owned()),
    };
    let user = given.some(&access::USERNAME)?;
    let password = given.some(&access::PASSWORD)?.or(key).map(Secret);
    Ok(password.map(|password| Login { user, password }))
}

fn tls(given: &Given, warnings: &mut Vec<String>) -> Result<tls::Options, Invalid> {
    let mut of_tls = Vec::new();
    let mut options = tls::Options::of(given, tls::Options::default(), &mut of_tls)?;
    if options.certificate.is_none() {
        // It is the password.
        options.key = None;
    } else {
        warnings.append(&mut of_tls);
    }
    Ok(options)
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn nodes(&self) -> &[String] {
        &self.options.nodes
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        Some((self.discovery.as_ref()?, &mut self.options.nodes))
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Redis::new(self.options.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use options::{Layer, Opt, Value};

    use super::*;

    /// The password and the file of the key of the client, with these options given.
    fn secrets(of: &[(&Opt<PathBuf>, &str)], password: &str) -> (Option<String>, Option<PathBuf>) {
        let mut layer = Layer::default();
        layer.set(&access::PASSWORD.spec(), Value::Text(password.into()));
        for (option, text) in of {
            layer.set(&option.spec(), Value::Text(text.into()));
        }
        let (given, mut warnings) = (Given::new(vec![layer]), Vec::new());
        let password = login(&given).unwrap().map(|login| login.password.0);
        let key = tls(&given, &mut warnings).unwrap().key;
        assert_eq!(warnings, Vec::<String>::new());
        (password, key)
    }

    #[test]
    fn the_key_of_the_client_is_the_password_unless_there_is_a_certificate() {
        let (key, certificate) = ((&CLIENT_KEY, "k"), (&CLIENT_CERT, "c"));
        let password = |text: &str| Some(text.to_owned());
        assert_eq!(secrets(&[], ""), (None, None));
        assert_eq!(secrets(&[key], ""), (password("k"), None));
        assert_eq!(secrets(&[key], "p"), (password("p"), None));
        let file = Some(Path::new("k").to_owned());
        assert_eq!(secrets(&[key, certificate], ""), (None, file.clone()));
        assert_eq!(secrets(&[key, certificate], "p"), (password("p"), file));
    }
}
