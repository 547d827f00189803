//! The answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// A text of Consul: UTF-8. It can share its memory with other texts of the same answer.
pub type Text = Bytes;

/// Texts by their names, sorted by name.
pub type Texts = Arc<[(Text, Text)]>;

/// The answer to a [`Query`](crate::Query). Each query has answers of one variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// The value of a key; `None` if the key does not exist.
    Value(Option<Bytes>),
    /// Pairs, in the order of their keys.
    Pairs(Arc<[Pair]>),
    /// The instances of a service, or those that a prepared query has chosen.
    Instances(Arc<[Instance]>),
    /// Services, sorted by name.
    Services(Arc<[Service]>),
    /// A node with its services; `None` if there is no such node.
    Node(Option<Arc<NodeWithServices>>),
    /// Nodes.
    Nodes(Arc<[Node]>),
    /// Names of datacenters, sorted.
    Datacenters(Arc<[Text]>),
    /// The roots of the service mesh.
    CaRoots(Arc<[CaRoot]>),
    /// The certificate of a service.
    CaLeaf(Arc<Leaf>),
    /// Partitions, sorted by name.
    Partitions(Arc<[Partition]>),
    /// Peers, sorted by state, partition and name.
    Peerings(Arc<[Peering]>),
    /// Exported services, sorted by name.
    ExportedServices(Arc<[ExportedService]>),
    /// Imported services, sorted by name.
    ImportedServices(Arc<[ImportedService]>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The whole key.
    pub path: Text,
    /// The value.
    pub value: Bytes,
    /// The index at which the key was created.
    pub create_index: u64,
    /// The index at which it was last changed.
    pub modify_index: u64,
    /// How often it was locked.
    pub lock_index: u64,
    /// The number that its writer has given it.
    pub flags: u64,
    /// The session that holds its lock; empty if there is none.
    pub session: Text,
}

/// A running instance of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name of its node.
    pub node: Text,
    /// The id of its node.
    pub node_id: Text,
    /// The datacenter of its node.
    pub datacenter: Text,
    /// The address of its node.
    pub node_address: Text,
    /// More addresses of its node, by tag.
    pub node_tagged_addresses: Texts,
    /// The metadata of its node.
    pub node_meta: Texts,
    /// The metadata of the service.
    pub meta: Texts,
    /// The address of the service, or of the node if the service has none.
    pub address: Text,
    /// More addresses of the service, by tag, sorted by tag.
    pub tagged_addresses: Arc<[(Text, TaggedAddress)]>,
    /// The id of the service.
    pub id: Text,
    /// The name of the service.
    pub name: Text,
    /// Its tags, sorted.
    pub tags: Arc<[Text]>,
    /// Its checks and those of its node.
    pub checks: Arc<[Check]>,
    /// The worst state of its checks.
    pub status: Status,
    /// The port; 0 if it has none.
    pub port: i64,
    /// Its weights.
    pub weights: Weights,
}

/// An address with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedAddress {
    /// The address.
    pub address: Text,
    /// The port.
    pub port: i64,
}

/// How much of the traffic an instance gets, by the state of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While its checks pass.
    pub passing: i64,
    /// While one of them warns.
    pub warning: i64,
}

/// The state of an instance. A greater state is a worse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All checks pass, or there is none.
    Passing,
    /// A check warns.
    Warning,
    /// A check is critical.
    Critical,
    /// The instance or its node is in maintenance.
    Maintenance,
    /// A check has a state that Consul does not document.
    Unknown,
}

impl Status {
    /// The worst state of an instance with these checks.
    pub fn of(checks: &[Check]) -> Status {
        Status::worst(checks.iter().map(|check| (&check.id, &check.status)))
    }

    /// The worst state of an instance whose checks have these ids and states.
    pub fn worst<T: AsRef<[u8]>>(checks: impl IntoIterator<Item = (T, T)>) -> Status {
        let mut worst = Status::Passing;
        for (id, status) in checks {
            let id = id.as_ref();
            let is_maintenance =
                id == b"_node_maintenance" || id.starts_with(b"_service_maintenance:");
            match status.as_ref() {
                _ if is_maintenance => return Status::Maintenance,
                b"critical" => worst = Status::Critical,
                b"warning" if worst == Status::Passing => worst = Status::Warning,
                b"passing" | b"warning" => {}
                _ => return Status::Unknown,
            }
        }
        worst
    }

    /// The name in templates; empty for an unknown state.
    pub fn name(self) -> &'static str {
        match self {
            Status::Passing => "passing",
            Status::Warning => "warning",
            Status::Critical => "critical",
            Status::Maintenance => "maintenance",
            Status::Unknown => "",
        }
    }
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The node.
    pub node: Text,
    /// The id.
    pub id: Text,
    /// The name.
    pub name: Text,
    /// The state: `passing`, `warning` or `critical`.
    pub status: Text,
    /// Notes for people.
    pub notes: Text,
    /// What the check printed last.
    pub output: Text,
    /// The id of the service; empty for a check of the node.
    pub service_id: Text,
    /// The name of the service; empty for a check of the node.
    pub service_name: Text,
    /// The tags of the service.
    pub service_tags: Arc<[Text]>,
    /// What kind of check it is: `http`, `tcp`, `ttl`, …; may be empty.
    pub kind: Text,
    /// The namespace, in Consul Enterprise.
    pub namespace: Text,
    /// The partition, in Consul Enterprise.
    pub partition: Text,
    /// The port that a proxy exposes for the check.
    pub exposed_port: i64,
    /// The peer that the service was imported from.
    pub peer: Text,
    /// How the check is made, if Consul says so. It does not for the checks that its agents make.
    pub definition: Option<Arc<Definition>>,
    /// The index at which the check was registered.
    pub create_index: u64,
    /// The index at which it was last changed.
    pub modify_index: u64,
}

/// How a check is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// The URL that is asked.
    pub http: Text,
    /// The headers of the request, sorted by name.
    pub header: Arc<[(Text, Arc<[Text]>)]>,
    /// The method of the request.
    pub method: Text,
    /// The body of the request.
    pub body: Text,
    /// The name that the certificate must be for.
    pub tls_server_name: Text,
    /// Whether any certificate is accepted.
    pub tls_skip_verify: bool,
    /// The address that is connected to.
    pub tcp: Text,
    /// Whether that connection uses TLS.
    pub tcp_use_tls: bool,
    /// The address that gets a datagram.
    pub udp: Text,
    /// The address of a service that is asked by gRPC.
    pub grpc: Text,
    /// The name of a service of the operating system.
    pub os_service: Text,
    /// Whether gRPC uses TLS.
    pub grpc_use_tls: bool,
    /// The name of the session whose health is meant.
    pub session_name: Text,
    /// The pause between two checks.
    pub interval: Duration,
    /// The longest time that a check may take.
    pub timeout: Duration,
    /// The time after which a critical service is removed.
    pub deregister_after: Duration,
}

/// A service and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name.
    pub name: Text,
    /// The tags of all instances, sorted.
    pub tags: Arc<[Text]>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The id.
    pub id: Text,
    /// The name.
    pub name: Text,
    /// The address.
    pub address: Text,
    /// The datacenter.
    pub datacenter: Text,
    /// More addresses, by tag.
    pub tagged_addresses: Texts,
    /// The metadata.
    pub meta: Texts,
}

/// A node with its services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWithServices {
    /// The node.
    pub node: Node,
    /// Its services, sorted by name and id.
    pub services: Arc<[NodeService]>,
}

/// A service on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeService {
    /// The id.
    pub id: Text,
    /// The name.
    pub service: Text,
    /// The tags, sorted.
    pub tags: Arc<[Text]>,
    /// The metadata.
    pub meta: Texts,
    /// The port; 0 if it has none.
    pub port: i64,
    /// The address; empty if it is that of the node.
    pub address: Text,
    /// Whether other agents may change the tags.
    pub enable_tag_override: bool,
}

/// A root certificate of the service mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaRoot {
    /// The id.
    pub id: Text,
    /// The name.
    pub name: Text,
    /// The certificate, in PEM.
    pub root_cert: Text,
    /// Whether new certificates are signed by it.
    pub active: bool,
    /// When the certificate begins to be valid, in RFC 3339. May be empty.
    pub not_before: Text,
    /// When it ends to be valid, in RFC 3339. May be empty.
    pub not_after: Text,
    /// The index at which it was created.
    pub create_index: u64,
    /// The index at which it was last changed.
    pub modify_index: u64,
}

/// The certificate of a service in the mesh.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The serial number.
    pub serial_number: Text,
    /// The certificate, in PEM.
    pub cert_pem: Text,
    /// Its private key, in PEM. A secret.
    pub private_key_pem: Text,
    /// The name of the service.
    pub service: Text,
    /// The URI of the service in the certificate.
    pub service_uri: Text,
    /// When the certificate begins to be valid, in RFC 3339.
    pub valid_after: Text,
    /// When it ends to be valid, in RFC 3339.
    pub valid_before: Text,
    /// The index at which it was created.
    pub create_index: u64,
    /// The index at which it was last changed.
    pub modify_index: u64,
}

impl fmt::Debug for Leaf {
    /// Shows neither the certificate nor the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A partition, in Consul Enterprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The name.
    pub name: Text,
    /// The description.
    pub description: Text,
}

/// A peer of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// The id.
    pub id: Text,
    /// The name.
    pub name: Text,
    /// The partition, in Consul Enterprise.
    pub partition: Text,
    /// The metadata.
    pub meta: Texts,
    /// The state: `ESTABLISHING`, `ACTIVE`, …
    pub state: Text,
    /// The id of this cluster at the peer.
    pub peer_id: Text,
    /// The name that the certificates of the peer's servers are for.
    pub peer_server_name: Text,
    /// The addresses of the peer's servers.
    pub peer_server_addresses: Arc<[Text]>,
    /// The services that are imported from the peer.
    pub imported_services: Arc<[Text]>,
    /// The services that are exported to the peer.
    pub exported_services: Arc<[Text]>,
    /// When the peer was last heard of, in RFC 3339. May be empty.
    pub last_heartbeat: Text,
    /// When the peer last sent something, in RFC 3339. May be empty.
    pub last_receive: Text,
    /// When something was last sent to the peer, in RFC 3339. May be empty.
    pub last_send: Text,
    /// The partition of the peer, in Consul Enterprise.
    pub remote_partition: Text,
    /// The datacenter of the peer.
    pub remote_datacenter: Text,
}

/// A service that peers and partitions may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedService {
    /// The name.
    pub service: Text,
    /// The peers that may use it.
    pub peers: Arc<[Text]>,
    /// The partitions that may use it, in Consul Enterprise.
    pub partitions: Arc<[Text]>,
}

/// A service of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedService {
    /// The name.
    pub service: Text,
    /// The namespace, in Consul Enterprise.
    pub namespace: Text,
    /// The partition that exports it.
    pub source_partition: Text,
    /// The peer that exports it.
    pub source_peer: Text,
}
