//! The store in which services are registered.

mod consul;
mod etcd;
mod etcd2;
mod keys;
mod kv;
mod noop;

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use client_consul::variables;
use nodes::proxy::Proxies;
use nodes::{Error, address};
use options::Given;

use crate::log::Log;
use crate::service::Service;
use crate::uri::{Uri, clean};
use keys::Keys;

/// A store in which services are registered.
#[async_trait(?Send)]
pub(crate) trait Registry {
    /// Asks whether the registry answers. Returns a line for the log, if there is one.
    async fn ping(&self) -> Result<Option<String>, Error>;

    /// Makes or replaces the entry of a service. An unhealthy service has no entry where entries have
    /// no state.
    async fn register(&self, service: &Service) -> Result<(), Error>;

    /// Makes sure that the entry of a service does not end, where entries end by themselves.
    async fn refresh(&self, service: &Service) -> Result<(), Error>;

    /// Says how a service is whose entry was made by [`register`](Self::register). An unhealthy
    /// service has no entry where entries have no state.
    async fn report(&self, service: &Service, health: &Health) -> Result<(), Error> {
        match health {
            Health::Passing(_) => self.refresh(service).await,
            Health::Failing(_) => self.deregister(service).await,
        }
    }

    /// Removes the entry of a service. An entry that does not exist is no error.
    async fn deregister(&self, service: &Service) -> Result<(), Error>;

    /// Why the service can have no entry here: a text for people. `None` if it can.
    fn refuses(&self, service: &Service) -> Option<String>;

    /// What the entry of a service has alone in this registry: two services with the same key replace
    /// each other.
    fn key(&self, service: &Service) -> String;

    /// All entries. Entries of other hosts and of other programs can be among them. Of keys, those
    /// with a slash in their name or id are left out.
    async fn entries(&self) -> Result<Vec<Entry>, Error>;

    /// Removes an entry.
    async fn remove(&self, entry: &Entry) -> Result<(), Error>;

    /// Waits until the registry may have lost entries: until it has not answered, and answers again.
    async fn lost(&self);

    /// Whether changes are only logged, and not made.
    fn is_noop(&self) -> bool {
        false
    }

    /// Whether the entry of an unhealthy service stays, and says so.
    fn has_states(&self) -> bool {
        false
    }

    /// Whether the service has no entry because it is unhealthy.
    fn is_left_out(&self, service: &Service) -> bool {
        service.is_healthy == Some(false) && !self.has_states()
    }

    /// The word of the log for a change: `done`, or `planned` if it is not made.
    fn word<'a>(&self, done: &'a str, planned: &'a str) -> &'a str {
        if self.is_noop() { planned } else { done }
    }

    /// Whether `-cleanup` looks for entries without a container here. In registrator only Consul's
    /// catalogue can be listed.
    fn is_cleaned(&self) -> bool {
        false
    }
}

/// How a service is, with an explanation for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers its checks.
    Passing(String),
    /// It does not.
    Failing(String),
}

impl Health {
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Health::Passing(_))
    }
}

/// What stands in the registry, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What registrator registers.
    Original,
    /// For containers: Consul gets all checks that a service asks for, and they are no attributes.
    Plain,
    /// For processes: an entry ends unless the process is there, and is healthy, to refresh it.
    Living,
}

/// An entry of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The id of the service.
    pub(crate) id: String,
    /// The name of the service.
    pub(crate) name: String,
    /// What the entry has alone in the registry, and the log shows: an id of Consul, or a key.
    pub(crate) key: String,
}

impl Entry {
    /// The entry of a key of which this is what follows the prefix: `NAME/ID`. A name or an id with a
    /// slash gives `None`, because the entries of another registrator whose prefix is longer look like
    /// that.
    fn of_key(key: &str, below: &str) -> Option<Entry> {
        let (name, id) = below.split_once('/')?;
        let is_entry = !name.is_empty() && !id.is_empty() && !id.contains('/');
        is_entry.then(|| Entry { id: id.to_owned(), name: name.to_owned(), key: key.to_owned() })
    }
}

/// Why a registry cannot be opened.
pub(crate) struct Unusable(pub(crate) String);

/// The shortest life of a session of Consul, if its configuration says nothing else.
const SHORTEST_SESSION: Duration = Duration::from_secs(10);

/// The longest name of an entry, in bytes.
const LONGEST_NAME: usize = 4096;

/// The schemes that are known.
const SCHEMES: [&str; 14] = [
    "consul",
    "consul-unix",
    "consul-tls",
    "consulkv",
    "consulkv-unix",
    "consulkv-tls",
    "etcd",
    "etcd-tls",
    "etcd2",
    "etcd2-tls",
    "skydns2",
    "skydns2-tls",
    "skydns2+etcd2",
    "skydns2+etcd2-tls",
];

/// Opens the registry at `text`. Nothing is connected to yet. `given` has the variables of
/// [`VARIABLES`]. Entries live for `ttl` after they were last refreshed; zero for no end.
///
/// # Errors
/// There is no such registry, or a file that it needs cannot be used.
pub(crate) fn open(
    text: &str,
    manner: Manner,
    ttl: Duration,
    noop: bool,
    given: &Given,
    log: &Log,
) -> Result<Rc<dyn Registry>, Unusable> {
    let hint = if manner == Manner::Original { String::new() } else { meant(text) };
    let uri = Uri::parse(text)
        .ok_or_else(|| Unusable(format!("bad adapter uri: {}{hint}", address::shown(text))))?;
    let scheme = &uri.scheme[..];
    if !SCHEMES.contains(&scheme) {
        let known = SCHEMES.join(", ");
        return Err(Unusable(format!(
            "unrecognized adapter: {} (known are {known}){hint}",
            address::shown(text)
        )));
    }
    if scheme.starts_with("consul") && uri.host.contains(',') {
        let text = format!("{scheme}:// names one agent: services are registered at an agent");
        return Err(Unusable(text));
    }
    if scheme.starts_with("consulkv") && manner == Manner::Living && ttl < SHORTEST_SESSION {
        let least = SHORTEST_SESSION.as_secs();
        log.line(format_args!(
            "{scheme}: Consul refuses a -ttl below {least}, unless its session_ttl_min is lower"
        ));
    }
    let family = scheme.split_once('-').map_or(scheme, |(family, _)| family);
    let registry: Rc<dyn Registry> = match family {
        "consul" => {
            let options = consul_options(&uri, &uri.path, given)?;
            Rc::new(consul::Consul::new(options, manner, ttl))
        }
        "consulkv" => {
            let (socket, prefix) = match scheme {
                "consulkv-unix" => uri.path.split_once(':').ok_or_else(|| {
                    let form = "consulkv-unix:///SOCKET:/PREFIX";
                    Unusable(format!(
                        "bad adapter uri: {} (it has the form {form})",
                        address::shown(text)
                    ))
                })?,
                _ => ("", &uri.path[..]),
            };
            let options = consul_options(&uri, socket, given)?;
            let ttl = Some(ttl).filter(|_| manner == Manner::Living);
            Rc::new(kv::Kv::new(options, clean(prefix), ttl, log.clone()))
        }
        _ => {
            let keys = match family.starts_with("skydns2") {
                false => Keys::below(&uri.path),
                true if uri.path.len() < 2 => {
                    let form = format!("{family}://<host>/<domain>");
                    return Err(Unusable(format!("skydns2: dns domain required e.g.: {form}")));
                }
                true => Keys::of_domain(&uri.path[1..]),
            };
            let options = etcd_options(&uri, given)?;
            match family.ends_with("etcd2") {
                true => Rc::new(etcd2::Etcd2::new(of_version_2(options), keys, ttl)),
                false => Rc::new(etcd::Etcd::new(options, keys, ttl)),
            }
        }
    };
    log.line(format_args!("Using {scheme} adapter: {}", address::shown(text)));
    Ok(if noop { Rc::new(noop::Noop::new(registry, log.clone())) } else { registry })
}

/// What was probably meant by a text that is no URI of a registry.
fn meant(text: &str) -> String {
    let shown = |uri: &str| address::shown(uri).to_string();
    match text.split_once("://") {
        Some(("etcdv3" | "etcd3", rest)) => format!("; write {}", shown(&format!("etcd://{rest}"))),
        Some(("etcdv2", rest)) => format!("; write {}", shown(&format!("etcd2://{rest}"))),
        Some(("http" | "https", rest)) => of_host(rest),
        Some(_) => String::new(),
        None => of_host(text),
    }
}

fn of_host(host: &str) -> String {
    match host.contains([':', '.']) {
        true => {
            let of = |scheme: &str| address::shown(&format!("{scheme}://{host}")).to_string();
            format!("; write {} or {}", of("consul"), of("etcd"))
        }
        false => "; a registry is written as consul://HOST:PORT or etcd://HOST:PORT/PREFIX".into(),
    }
}

/// Why a key of this form cannot be below `prefix`, which has no slashes at its ends.
fn key_outside(prefix: &str, key: &str) -> Option<String> {
    let below = match prefix {
        "" => Some(key),
        prefix => key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')),
    };
    let is_inside = below.is_some_and(|below| below.contains('/') && !below.starts_with('/'));
    let is_text = key.len() <= LONGEST_NAME && !key.chars().any(char::is_control);
    (!is_inside || !is_text)
        .then(|| format!("the name and the id of the service cannot be a key below {prefix}/"))
}

/// Where Consul is. `socket` is the path of a socket, for the schemes that have one.
fn consul_options(
    uri: &Uri,
    socket: &str,
    given: &Given,
) -> Result<client_consul::Options, Unusable> {
    let is_tls = uri.scheme.ends_with("-tls");
    let node = match uri.scheme.ends_with("-unix") {
        true => format!("unix://{socket}"),
        false if uri.host.is_empty() => {
            given.variable(variables::HTTP_ADDR).unwrap_or("127.0.0.1:8500").to_owned()
        }
        false => uri.host.clone(),
    };
    let mut tls = variables::tls(given);
    if tls.roots == tls::Roots::default() {
        tls.roots = system_tls(given).roots;
    }
    if is_tls {
        // As in registrator, a certificate is always verified.
        tls.insecure = false;
        if tls.certificate.is_some() != tls.key.is_some() {
            let text = "both client certificate and key must be provided";
            return Err(Unusable(format!("Cannot set up Consul TLSConfig{text}")));
        }
        if let Err(error) = tls.client_config(b"http/1.1") {
            return Err(Unusable(format!("Cannot set up Consul TLSConfig{error}")));
        }
    }
    Ok(client_consul::Options {
        nodes: vec![node],
        https: is_tls || variables::is_https(given),
        tls,
        token: variables::token(given),
        user: variables::user(given),
        proxies: Proxies::of(given),
        namespace: given.variable(variables::NAMESPACE).map(str::to_owned),
        partition: given.variable(variables::PARTITION).map(str::to_owned),
        ..client_consul::Options::default()
    })
}

/// Where etcd is. The variables are those of etcdctl.
fn etcd_options(uri: &Uri, given: &Given) -> Result<client_etcd::Options, Unusable> {
    let host = if uri.host.is_empty() { "127.0.0.1:2379" } else { &uri.host };
    let file = |variable| given.variable(variable).map(Into::into);
    let https = uri.scheme.ends_with("-tls");
    let tls = match https {
        true => tls::Options {
            ca: file(ETCD_CACERT),
            certificate: file(ETCD_CERT),
            key: file(ETCD_KEY),
            ..system_tls(given)
        },
        false => tls::Options::default(),
    };
    if https && let Err(error) = tls.client_config(b"h2") {
        return Err(unusable(error));
    }
    let user = given.variable(ETCD_USER).map(|text| {
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        let password = given.variable(ETCD_PASSWORD).unwrap_or(password);
        (name.to_owned(), password.to_owned())
    });
    Ok(client_etcd::Options {
        nodes: host.split(',').map(str::to_owned).collect(),
        nodes_are_default: uri.host.is_empty(),
        https,
        tls,
        proxies: Proxies::of(given),
        user,
    })
}

/// The same place, for a client of version 2 of the API.
fn of_version_2(options: client_etcd::Options) -> client_etcd2::Options {
    client_etcd2::Options {
        nodes: options.nodes,
        not_given: options.nodes_are_default.then_some("HOST:PORT"),
        https: options.https,
        tls: options.tls,
        proxies: options.proxies,
        user: options.user,
        without_user: Some(etcd2::WITHOUT_USER),
        without_v2: Some(etcd2::WITHOUT_V2),
    }
}

fn unusable(error: Error) -> Unusable {
    Unusable(format!("etcd: {error}"))
}

/// The options that trust the system's certificates.
fn system_tls(given: &Given) -> tls::Options {
    tls::Options::of(given, tls::Options::default(), &mut Vec::new()).unwrap_or_default()
}

const ETCD_CACERT: options::Variable = options::Variable("ETCDCTL_CACERT");
const ETCD_CERT: options::Variable = options::Variable("ETCDCTL_CERT");
const ETCD_KEY: options::Variable = options::Variable("ETCDCTL_KEY");
const ETCD_PASSWORD: options::Variable = options::Variable("ETCDCTL_PASSWORD");
const ETCD_USER: options::Variable = options::Variable("ETCDCTL_USER");

/// The variables that say how a registry is reached.
pub(crate) const VARIABLES: &[&[options::Variable]] = &[
    variables::ALL,
    tls::access::VARIABLES,
    nodes::proxy::VARIABLES,
    &[ETCD_CACERT, ETCD_CERT, ETCD_KEY, ETCD_PASSWORD, ETCD_USER],
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_password_in_the_uri_is_not_shown() {
        let log = Log::new(Arc::new(world::System::new()), Box::new(std::io::sink()));
        let given = Given::default();
        for uri in
            ["nosuch://joe:secret@h", "consul://joe:secret@[::1", "consulkv-unix://joe:secret@h"]
        {
            let opened = open(uri, Manner::Original, Duration::ZERO, false, &given, &log);
            let Err(Unusable(text)) = opened else { panic!("{uri} was opened") };
            assert!(text.contains("joe:…@") && !text.contains("secret"), "{text}");
        }
    }
}
