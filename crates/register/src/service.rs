//! From the ports of a container to the services that are registered.

use std::collections::BTreeMap;

use options::gobool;

use crate::container::{Binding, Container, Exposed, short};
use crate::metadata::{Metadata, plain_list, reversed_list};

/// A service: a port of a container that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// The id, which is unique in the registry.
    pub(crate) id: String,
    pub(crate) name: String,
    /// The address; empty where registrator registers none.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    /// What else the container says about the service.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The number of the port inside of the container, as the engine writes it.
    pub(crate) exposed: String,
    /// The id of the container.
    pub(crate) container: String,
    /// Whether the container's own health check says that it is healthy; `None` if that does not
    /// count.
    pub(crate) is_healthy: Option<bool>,
}

/// How services are made of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The address of every service; empty for its own.
    pub(crate) address: String,
    /// Whether services are registered by the addresses and ports of their containers.
    pub(crate) is_internal: bool,
    /// Whether services without a name of their own are left out.
    pub(crate) is_explicit: bool,
    /// The label that has the address of a service; empty for none.
    pub(crate) address_label: String,
    /// Whether the surprises of registrator are left out: tags keep their order, `SERVICE_IGNORE` can
    /// say no, and no service has an empty address.
    pub(crate) is_plain: bool,
    /// Whether the health of a service is that of its container's own health check.
    pub(crate) follows_health: bool,
}

impl Rules {
    /// The items of a list of tags.
    pub(crate) fn tags(&self, text: &str) -> Vec<String> {
        if self.is_plain { plain_list(text) } else { reversed_list(text) }
    }

    /// Whether a value of `SERVICE_IGNORE` leaves the service out.
    fn ignores(&self, value: &str) -> bool {
        !self.is_plain || gobool::parse(value) != Some(false)
    }
}

/// What has to be known about the machine and other containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The name of this host.
    pub(crate) host: String,
    /// The address of this host; `None` if it is not needed, or its name cannot be looked up.
    pub(crate) host_address: Option<String>,
    /// The container whose network the container shares, if it shares one.
    pub(crate) linked: Option<Linked>,
    /// The tags for every service of the container.
    pub(crate) tags: Vec<String>,
}

/// A container whose network is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) id: String,
    /// Its address, or why it is not known.
    pub(crate) address: Result<String, String>,
}

/// The ports of a container that can become services.
pub(crate) struct Reachable {
    pub(crate) ports: Vec<(Exposed, Binding)>,
    /// Lines of the log about ports that cannot.
    pub(crate) notes: Vec<String>,
}

/// The id of the container whose network `container` shares.
pub(crate) fn linked_to(container: &Container) -> Option<&str> {
    container.network_mode().strip_prefix("container:")
}

/// The ports of `container` that can become services by these rules.
pub(crate) fn reachable(container: &Container, rules: &Rules) -> Reachable {
    let short = short(container.id());
    let (mut ports, mut notes) = (Vec::new(), Vec::new());
    let all = container.ports();
    if all.is_empty() {
        notes.push(format!("ignored: {short} no published ports"));
    }
    for (port, binding) in all {
        if rules.is_internal || !binding.port.is_empty() {
            ports.push((port, binding));
        } else {
            notes.push(format!("ignored: {short} port {} not published on host", port.text));
        }
    }
    Reachable { ports, notes }
}

/// The service of one port, or `None` if the container or the rules want none. Lines of the log are
/// added to `notes`.
pub(crate) fn service(
    container: &Container,
    (port, binding): &(Exposed, Binding),
    is_group: bool,
    rules: &Rules,
    surroundings: &Surroundings,
    notes: &mut Vec<String>,
) -> Option<Service> {
    let metadata = Metadata::of(container, port);
    if metadata.get("ignore").is_some_and(|value| rules.ignores(value)) {
        return None;
    }
    let name = match metadata.get("name") {
        Some(name) => name,
        None if rules.is_explicit => return None,
        None => image_name(container.image()),
    };
    let name = match is_group && !metadata.is_own("name") {
        true => format!("{name}-{}", port.text),
        false => name.to_owned(),
    };
    let mut address = address(container, binding, &name, rules, surroundings, notes);
    if rules.is_plain && matches!(&address[..], "" | "0.0.0.0") {
        internal_address(container).clone_into(&mut address);
        if address.is_empty() {
            let short = short(container.id());
            notes.push(format!("no address is known for {short} {name}: it is not registered"));
            return None;
        }
    }
    let is_udp = port.protocol == "udp";
    let id = metadata.get("id").map_or_else(
        || {
            // Without a name of the host, the address on the host stands for it.
            let host = match &surroundings.host[..] {
                "" => &binding.address,
                host => host,
            };
            let end = if is_udp { ":udp" } else { "" };
            format!("{host}:{}:{}{end}", container.name(), port.text)
        },
        str::to_owned,
    );
    let mut tags = rules.tags(metadata.get("tags").unwrap_or_default());
    tags.extend(surroundings.tags.iter().cloned());
    tags.extend(is_udp.then(|| "udp".to_owned()));
    let attributes = metadata.into_attributes();
    // A check that the service asks for counts more.
    let has_check = attributes.keys().any(|name| name.starts_with("check_"));
    let registered = if rules.is_internal { &port.text } else { &binding.port };
    Some(Service {
        id,
        name,
        address,
        port: registered.parse().unwrap_or(0),
        tags,
        attributes,
        exposed: port.text.clone(),
        container: container.id().to_owned(),
        is_healthy: container.is_healthy().filter(|_| rules.follows_health && !has_check),
    })
}

/// The address of a service. What comes later here wins.
fn address(
    container: &Container,
    binding: &Binding,
    name: &str,
    rules: &Rules,
    surroundings: &Surroundings,
    notes: &mut Vec<String>,
) -> String {
    let mut address = match rules.is_internal {
        true => internal_address(container).to_owned(),
        false => {
            let of_host = host_address(container, binding, surroundings);
            if rules.address.is_empty() { of_host } else { rules.address.clone() }
        }
    };
    if !rules.address_label.is_empty() {
        let label = &rules.address_label;
        let given = container.labels().find(|(name, value)| name == label && !value.is_empty());
        match given {
            Some((_, value)) => {
                value
                    .rsplit_once('/')
                    .map_or(value, |(address, _)| address)
                    .clone_into(&mut address);
                notes.push(format!("using container IP {address} from label '{label}'"));
            }
            None => {
                notes.push(format!("Label '{label}' not found in container configuration"));
            }
        }
    }
    if let Some(linked) = &surroundings.linked {
        let short = short(&linked.id);
        notes.push(format!("{name}: detected container NetworkMode, linked to: {short}"));
        match &linked.address {
            Ok(own) => {
                own.clone_into(&mut address);
                notes.push(format!("{name}: using network container IP {address}"));
            }
            Err(why) => notes.push(format!("unable to inspect network container: {short} {why}")),
        }
    }
    address
}

/// The address of a container inside of the engine's networks; empty if it has none.
pub(crate) fn internal_address(container: &Container) -> &str {
    match container.address() {
        "" => container.networks().map(|(_, own)| own).find(|own| !own.is_empty()).unwrap_or(""),
        own => own,
    }
}

/// Whether the address of a service of these ports is that of the host.
pub(crate) fn needs_host_address(
    container: &Container,
    ports: &[(Exposed, Binding)],
    rules: &Rules,
) -> bool {
    let is_own = !rules.is_internal && rules.address.is_empty();
    is_own && ports.iter().any(|(_, binding)| published_at(container, binding).is_none())
}

/// The address by which a port is reached from outside of its host.
fn host_address(container: &Container, binding: &Binding, surroundings: &Surroundings) -> String {
    let host = || surroundings.host_address.as_deref().unwrap_or("0.0.0.0");
    published_at(container, binding).unwrap_or_else(host).to_owned()
}

/// The only address at which a port is published; `None` for every address of the host.
fn published_at<'a>(container: &'a Container, binding: &'a Binding) -> Option<&'a str> {
    match container.network_mode() {
        "bridge" | "default" | "host" => {
            Some(&binding.address[..]).filter(|address| !matches!(*address, "" | "0.0.0.0"))
        }
        network => Some(container.address_on(network)).filter(|address| *address != "0.0.0.0"),
    }
}

/// The name of an image, without its registry, folders, tag and digest.
fn image_name(image: &str) -> &str {
    let base = image.rsplit('/').next().unwrap_or(image);
    base.split(':').next().unwrap_or(base)
}
