//! A client of Vault, by its HTTP API.
//!
//! [`Client`] logs in, keeps its token alive, and asks the nodes: [`Client::read`], [`Client::list`],
//! [`Client::write`]. A [`Reply`] is what Vault answers, and [`Client::mount`] says which secrets engine
//! has a path. No text of an error contains a secret.
//!
//! The modules: `client` sends requests, `session` has the token, `reply` reads answers, `mount` knows
//! the secrets engines, `path` spells paths. [`variables`] reads the variables of Vault's own client.

mod client;
mod mount;
mod path;
mod reply;
mod session;
pub mod variables;

use std::time::Duration;

use nodes::Secret;
use nodes::body::Bounds;
use nodes::proxy::Proxies;

pub use client::{Client, Request};
pub use mount::{Engine, Mount};
pub use path::escaped;
pub use reply::{Auth, Reply, WrapInfo};

/// The name in errors and log lines.
pub const NAME: &str = "vault";

/// The address of a Vault of this machine.
pub const DEFAULT_NODE: &str = "http://127.0.0.1:8200";

/// The default timeout of a new connection.
pub const CONNECTING: Duration = Duration::from_secs(3);

/// Where Vault is, and how it is logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The nodes, one in each string: `http://HOST:PORT`, `https://HOST:PORT`, `HOST:PORT` or
    /// `unix:///PATH`.
    pub nodes: Vec<String>,
    /// What the user has not given, such as `-node`, so that the nodes are the default ones. Errors
    /// then say so.
    pub not_given: Option<&'static str>,
    /// Whether a node given as `HOST:PORT` is connected to by TLS.
    pub https: bool,
    /// The options of TLS, for the nodes that use it.
    pub tls: tls::Options,
    /// The namespace, in Vault Enterprise and OpenBao.
    pub namespace: Option<String>,
    /// How a token is got.
    pub login: Login,
    /// Whether a token is renewed before it ends.
    pub renew: bool,
    /// The proxies of the machine.
    pub proxies: Proxies,
    /// The timeout of a new connection, its TLS handshake included.
    pub connecting: Duration,
    /// The bounds on the body of each answer.
    pub bounds: Bounds,
}

/// How a token is got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Not at all: requests carry none. An agent or a proxy in front of Vault may add one.
    Nothing,
    /// It is given.
    Token(Secret),
    /// A request of a login method gives it.
    Method {
        /// The path of the request, such as `auth/approle/login`.
        path: String,
        /// The fields of the request. Files among them are read at each login.
        fields: Vec<(&'static str, Secret)>,
    },
}

impl Default for Options {
    /// No nodes, and no token.
    fn default() -> Self {
        Options {
            nodes: Vec::new(),
            not_given: None,
            https: false,
            tls: tls::Options::default(),
            namespace: None,
            login: Login::Nothing,
            renew: true,
            proxies: Proxies::default(),
            connecting: CONNECTING,
            bounds: Bounds::default(),
        }
    }
}
