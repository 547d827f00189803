//! The options that stores with nodes have in common: where the nodes are, and who asks them.
//!
//! Each table is a group of options. A source names in its description the groups that it reads.

use std::ffi::OsString;

use options::{Given, Invalid};

use crate::address;

options::options! {
    /// The options that say where the nodes are.
    pub const PLACES;
    /// The addresses of the nodes.
    pub const NODE: Opt<Vec<OsString>> =
        list("node", "node of the backend (may be repeated)").key("nodes");
    /// The scheme of addresses without a scheme.
    pub const SCHEME: Opt<String> = text(
        "scheme",
        "http",
        "scheme of node addresses that have none: http or https",
    )
    .key("scheme")
    .words(&["http", "https"]);
    /// The domain in which an SRV record names the nodes.
    pub const SRV_DOMAIN: Opt<String> =
        text("srv-domain", "", "domain whose SRV record names the nodes").key("srv_domain");
    /// The whole name of that record.
    pub const SRV_RECORD: Opt<String> =
        text("srv-record", "", "SRV record that names the nodes").key("srv_record");
}

options::options! {
    /// The options of a store that asks for a user name and a password.
    pub const USER;
    /// Whether user name and password are sent at all.
    pub const BASIC_AUTH: Opt<bool> =
        switch("basic-auth", "send -username and -password to the backend").key("basic_auth");
    /// The password.
    pub const PASSWORD: Opt<String> =
        text("password", "", "password to log in with").key("password").secret();
    /// The user name.
    pub const USERNAME: Opt<String> =
        text("username", "", "user name to log in with").key("username");
}

options::options! {
    /// The option of a store that asks for a token.
    pub const TOKEN;
    /// The token.
    pub const AUTH_TOKEN: Opt<String> =
        text("auth-token", "", "token to log in with (Vault, Consul)").key("auth_token").secret();
}

/// The SRV record that names the nodes, in place of given addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The name of the record, such as `_etcd._tcp.example.com.`.
    pub record: String,
    /// The scheme that is put before the address of each node, such as `http`.
    pub scheme: Option<String>,
}

/// The addresses that the user gives; `None` if the user gives none. Bytes that are not UTF-8 are
/// replaced.
///
/// # Errors
/// As of [`Given::get`].
pub fn nodes(given: &Given) -> Result<Option<Vec<String>>, Invalid> {
    let nodes = given.some(&NODE)?;
    let text = |node: OsString| node.to_string_lossy().into_owned();
    Ok(nodes.map(|nodes| nodes.into_iter().map(text).collect()))
}

/// The SRV record that the user gives, or the record of `service` in the domain that the user
/// gives; `None` if the user gives neither. The nodes get no scheme.
///
/// # Errors
/// As of [`Given::get`].
pub fn discovery(given: &Given, service: &str) -> Result<Option<Discovery>, Invalid> {
    let record = match (given.get(&SRV_RECORD)?, given.get(&SRV_DOMAIN)?) {
        (record, _) if !record.is_empty() => record,
        (_, domain) if !domain.is_empty() => format!("_{service}._tcp.{domain}."),
        _ => return Ok(None),
    };
    Ok(Some(Discovery { record, scheme: None }))
}

/// User name and password, if they must be sent. As in confd, one without the other counts as none.
///
/// # Errors
/// As of [`Given::get`].
pub fn user(given: &Given) -> Result<Option<(String, String)>, Invalid> {
    if !given.get(&BASIC_AUTH)? {
        return Ok(None);
    }
    let user = (given.get(&USERNAME)?, given.get(&PASSWORD)?);
    Ok(Some(user).filter(|(name, password)| !name.is_empty() && !password.is_empty()))
}

/// A warning if a node is asked without TLS although the user gives certificates, which probably
/// means that TLS was intended. The nodes are those of `discovery`, if there is one.
/// `tls_is_default` is whether an address without a scheme uses TLS. `secret` is what is sent to the
/// node: "token" or "password".
pub fn warning_of_plain_text(
    nodes: &[String],
    discovery: Option<&Discovery>,
    tls_is_default: bool,
    secret: Option<&str>,
) -> Option<String> {
    let is_plain = |node: &&String| match node.split_once("://") {
        Some((scheme, _)) => scheme == "http",
        None => !tls_is_default,
    };
    let found = discovery.map(|Discovery { record, scheme }| match scheme {
        Some(scheme) => vec![format!("{scheme}://{record}")],
        None => vec![record.clone()],
    });
    let node = address::shown(found.as_deref().unwrap_or(nodes).iter().find(is_plain)?);
    let scheme = if node.contains("://") { "" } else { "http://" };
    let consequence = match secret {
        Some(secret) => format!("the {secret} is sent in plain text"),
        None => "the certificates are not used".to_owned(),
    };
    Some(format!(
        "{scheme}{node} is asked without TLS, although certificates are given: {consequence}. \
         Write https:// before the address, or set scheme to https, to use TLS"
    ))
}

#[cfg(test)]
mod tests {
    use options::{Layer, Opt, Value};

    use super::*;

    fn given(texts: &[(&Opt<String>, &str)], basic_auth: bool) -> Given {
        let mut layer = Layer::default();
        layer.set(&BASIC_AUTH.spec(), Value::Switch(basic_auth));
        for (option, text) in texts {
            layer.set(&option.spec(), Value::Text(text.into()));
        }
        Given::new(vec![layer])
    }

    #[test]
    fn a_record_wins_over_a_domain() {
        let record = |texts: &[(&Opt<String>, &str)]| {
            discovery(&given(texts, false), "etcd").unwrap().map(|discovery| discovery.record)
        };
        assert_eq!(record(&[]), None);
        let domain = (&SRV_DOMAIN, "example.com");
        assert_eq!(record(&[(&SRV_RECORD, ""), domain]).unwrap(), "_etcd._tcp.example.com.");
        let whole = (&SRV_RECORD, "_x._tcp.example.com.");
        assert_eq!(record(&[domain, whole]).unwrap(), "_x._tcp.example.com.");
    }

    #[test]
    fn a_user_is_sent_only_with_basic_auth_and_a_password() {
        let (name, password) = ((&USERNAME, "u"), (&PASSWORD, "p"));
        assert_eq!(user(&given(&[name, password], false)), Ok(None));
        assert_eq!(user(&given(&[name, (&PASSWORD, "")], true)), Ok(None));
        let sent = Some(("u".to_owned(), "p".to_owned()));
        assert_eq!(user(&given(&[name, password], true)), Ok(sent));
    }
}
