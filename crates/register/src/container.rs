//! A container, as its engine describes it.

use std::collections::BTreeMap;

use serde_json::Value;

/// What engines call a container whose health check succeeds.
pub(crate) const HEALTHY: &str = "healthy";

/// An inspected container: the engine's JSON document.
#[derive(Debug, Clone)]
pub(crate) struct Container(Value);

/// A port of a container, with its protocol. The order is that in which services are registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exposed {
    /// The number; 0 for a text that is none.
    pub(crate) number: u16,
    /// `tcp`, `udp` or another protocol.
    pub(crate) protocol: String,
    /// The number as the engine writes it.
    pub(crate) text: String,
}

/// Where a port of a container is reached on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The address on the host; empty or `0.0.0.0` for all addresses.
    pub(crate) address: String,
    /// The port on the host; empty if the port is not published.
    pub(crate) port: String,
}

impl Exposed {
    /// Parses `80/tcp`, `53/udp` or `80`, which means TCP.
    fn parse(text: &str) -> Exposed {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Exposed {
            number: number.parse().unwrap_or(0),
            protocol: protocol.to_owned(),
            text: number.to_owned(),
        }
    }
}

impl Container {
    pub(crate) fn new(document: Value) -> Container {
        Container(document)
    }

    /// The whole document.
    pub(crate) fn document(&self) -> &Value {
        &self.0
    }

    pub(crate) fn id(&self) -> &str {
        self.text("/Id")
    }

    /// The name, without the slash before it.
    pub(crate) fn name(&self) -> &str {
        let name = self.text("/Name");
        name.strip_prefix('/').unwrap_or(name)
    }

    /// The image, as it was named when the container was created.
    pub(crate) fn image(&self) -> &str {
        self.text("/Config/Image")
    }

    /// The moment of its last start, as the engine writes it.
    pub(crate) fn started_at(&self) -> &str {
        self.text("/State/StartedAt")
    }

    /// Whether it runs. The engine also says "running" of a container that has ended and waits for its
    /// next start, but such a container is not reached by any port.
    pub(crate) fn is_running(&self) -> bool {
        let is = |pointer: &str| self.0.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
        is("/State/Running") && !is("/State/Restarting")
    }

    /// Whether its own health check says that it is healthy; `None` if it has no such check.
    pub(crate) fn is_healthy(&self) -> Option<bool> {
        match self.text("/State/Health/Status") {
            "" | "none" => None,
            status => Some(status == HEALTHY),
        }
    }

    pub(crate) fn exit_code(&self) -> i64 {
        self.0.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(0)
    }

    /// The variables, each as `NAME=value`.
    pub(crate) fn environment(&self) -> impl Iterator<Item = &str> {
        let variables = self.0.pointer("/Config/Env").and_then(Value::as_array);
        variables.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The labels, in the order of their names.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries("/Config/Labels").filter_map(|(name, value)| Some((name, value.as_str()?)))
    }

    /// The network mode: `bridge`, `host`, `none`, the name of a network, or `container:ID`.
    pub(crate) fn network_mode(&self) -> &str {
        self.text("/HostConfig/NetworkMode")
    }

    /// Its address on the engine's first network, where the engine still tells it apart.
    pub(crate) fn address(&self) -> &str {
        self.text("/NetworkSettings/IPAddress")
    }

    /// Its addresses by the names of its networks. An address is empty where it has none.
    pub(crate) fn networks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries("/NetworkSettings/Networks").map(|(name, network)| {
            (name, network.get("IPAddress").and_then(Value::as_str).unwrap_or_default())
        })
    }

    /// Its address on the network of this name; empty if it has none.
    pub(crate) fn address_on(&self, network: &str) -> &str {
        self.networks().find(|(name, _)| *name == network).map_or("", |(_, address)| address)
    }

    /// All its ports, with the first binding of each on the host. A port that is exposed, and of
    /// which the engine says nothing more, counts as bound to itself: that is how ports of the
    /// host's own network look.
    pub(crate) fn ports(&self) -> BTreeMap<Exposed, Binding> {
        let exposed = self.entries("/Config/ExposedPorts").map(|(name, _)| {
            let port = Exposed::parse(name);
            let binding = Binding { address: "0.0.0.0".to_owned(), port: port.text.clone() };
            (port, binding)
        });
        let bound = self.entries("/NetworkSettings/Ports").map(|(name, bindings)| {
            let text = |name: &str| bindings.pointer(name).and_then(Value::as_str);
            let binding = Binding {
                address: text("/0/HostIp").unwrap_or_default().to_owned(),
                port: text("/0/HostPort").unwrap_or_default().to_owned(),
            };
            (Exposed::parse(name), binding)
        });
        exposed.chain(bound).collect()
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn entries(&self, pointer: &str) -> impl Iterator<Item = (&str, &Value)> {
        let object = self.0.pointer(pointer).and_then(Value::as_object);
        let mut entries: Vec<_> = object.into_iter().flatten().collect();
        entries.sort_by_key(|(name, _)| name.as_str());
        entries.into_iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// The first twelve characters of a container's id, as people know it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
